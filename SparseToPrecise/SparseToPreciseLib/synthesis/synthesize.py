"""A CT of an MR on the MR's own grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..core.errors import InputError
from ..core.progress import Progress, timed
from ..core.volume import Volume
from .body import field_of_view
from .confidence import out_of_domain, refuse_other_unit
from .hu import HuWindow
from .inference import predict
from .inputs import NetworkInput, check_mr, network_input
from .model import Synthesizer
from .postprocessing import on_mr_grid
from .working_grid import WayBack


@dataclass(frozen=True)
class SynthesisResult:
    """A synthetic CT and what belongs to it, all on the MR's own grid.

    Attributes
    ----------
    ct
        int16 HU, -1024 outside the body.
    body
        uint8 0/1.
    low, high
        int16 HU, where bands were wanted and the model has them: low + high = CT but for rounding and the window.
    high_probability
        float32 from 0 to 1: where the model takes detail from.
    uncertainty
        float32 HU, the standard deviation over mirrored images and models, where it was wanted.
    warnings
        Sentences for the user.
    device, models, tile
        Device that it ran on, names of the bundles, voxels along a tile.
    note
        Sentences on what gave way to the hardware; "" when nothing did. It is among the warnings, too.
    answers
        Network runs over the whole volume, of all models and mirrored images.
    timings
        Seconds per stage: prepare, network, apply.
    """

    ct: Volume
    body: Volume
    low: Volume | None
    high: Volume | None
    high_probability: Volume | None
    uncertainty: Volume | None
    warnings: list[str]
    device: str
    models: list[str]
    tile: int
    note: str
    answers: int
    timings: dict[str, float] = field(default_factory=dict)


def synthesize(
    mr: Volume,
    models: Synthesizer | Sequence[Synthesizer],
    body_mask: Volume | None = None,
    *,
    bands: bool = False,
    uncertainty: bool = False,
    tile: int | None = None,
    overlap: float | None = None,
    progress: Progress | None = None,
) -> SynthesisResult:
    """Make the CT that belongs to an MR.

    Parameters
    ----------
    mr
        Any unit and grid.
    models
        Results of `model.load_model`; the answers of several are averaged.
    body_mask
        The body on any grid (non-zero is inside); None: it is found in the MR.
    bands
        Also low and high band and the probability of the high one.
    uncertainty
        Also the standard deviation over models and over images mirrored as in their training. It does not change the
        CT, which is the mean of the models' answers to the image as it is.
    tile, overlap
        Voxels of a tile on the model's working grid, and the share of it that neighbours cover; None: the model's.
    progress
        Hears of every tile; a cancel takes effect before the next one.

    Returns
    -------
    SynthesisResult
        The ijk_to_ras of its volumes is the MR's, byte for byte.

    Raises
    ------
    InputError
        The MR is a single slice, has NaN within the image or one value everywhere, is a mask, looks like a CT, or is
        far too small for its spacing to be in mm; the body mask is empty or lies elsewhere; no model, or models with
        different CT windows; bands of a model that has none.
    Cancelled
        The progress cancels.

    Examples
    --------
    >>> from SparseToPreciseLib.phantoms.head import head_case
    >>> from SparseToPreciseLib.synthesis.model import load_model
    >>> mr = head_case(1, "demo", spacing_mm=6.0).mr
    >>> result = synthesize(mr, load_model(device="cpu"))
    >>> result.ct.array.dtype.name, int(result.ct.array.min()), result.ct.grid.same_as(mr.grid)
    ('int16', -1024, True)
    """
    progress = progress or Progress()
    chosen = [models] if isinstance(models, Synthesizer) else list(models)
    window = _checked_models(chosen, bands)
    tilings = [model.tiling(tile, overlap) for model in chosen]
    timings: dict[str, float] = {}
    with timed(timings, "prepare"):
        progress(0.0, "looking at the MR")
        check_mr(mr)
        for model in chosen:
            refuse_other_unit(mr, model.seen)
        inputs: dict[float, NetworkInput] = {}
        for number, model in enumerate(chosen):
            part = progress.part(0.01 + 0.07 * number / len(chosen), 0.01 + 0.07 * (number + 1) / len(chosen))
            if model.spacing_mm not in inputs:
                inputs[model.spacing_mm] = network_input(mr, model.spacing_mm, body_mask, part)
        known = field_of_view(mr)
        warnings = [] if known is None else [_beyond(mr, known)]
        warnings += [note for one in inputs.values() for note in one.notes]
        warnings += [note for model in chosen for note in out_of_domain(mr, inputs[model.spacing_mm], model.seen)]
    with timed(timings, "network"):
        prediction = predict(
            chosen,
            tilings,
            inputs,
            bands=bands,
            uncertainty=uncertainty,
            window=window,
            progress=progress.part(0.08, 0.85),
        )
    with timed(timings, "apply"):
        first = inputs[chosen[0].spacing_mm]
        found = Volume(first.mask.astype(np.uint8), first.grid.ijk_to_ras)
        way_back = WayBack(mr.grid, found, body_mask, known)
        volumes = on_mr_grid(mr, way_back, prediction.outputs, window, progress.part(0.85, 1.0))
    progress(1.0, "done")
    notes = list(dict.fromkeys([*(model.note for model in chosen if model.note), *prediction.notes]))
    if uncertainty and prediction.runs < 2:
        warnings.append(
            f"The model {chosen[0].name} gives one answer only, so its uncertainty is 0 everywhere and says nothing; "
            "give a second model."
        )
    return SynthesisResult(
        ct=volumes["ct"],
        body=volumes["body"],
        low=volumes.get("low"),
        high=volumes.get("high"),
        high_probability=volumes.get("high_probability"),
        uncertainty=volumes.get("uncertainty"),
        warnings=list(dict.fromkeys([*notes, *warnings])),
        device=chosen[-1].device,
        models=[model.name for model in chosen],
        tile=prediction.tile,
        note=" ".join(notes),
        answers=prediction.runs,
        timings={stage: round(seconds, 4) for stage, seconds in timings.items()},
    )


def _beyond(mr: Volume, known: np.ndarray) -> str:
    share = 1 - np.count_nonzero(known) / known.size
    return f"{share:.1%} of {mr.name or 'the MR'} is NaN at its border; it was left out as beyond the image."


def _checked_models(models: Sequence[Synthesizer], bands: bool) -> HuWindow:
    if not models:
        raise InputError("There is no model; give at least one.")
    window = models[0].window
    for other in models[1:]:
        if other.window != window:
            raise InputError(
                f"The models {models[0].name} and {other.name} have different CT windows ({window.minimum:g} to "
                f"{window.maximum:g} and {other.window.minimum:g} to {other.window.maximum:g} HU); use models of one."
            )
    without = [model.name for model in models if not model.has_bands]
    if bands and without:
        raise InputError(f"The model {without[0]} does not tell bands apart; leave the bands out or use another model.")
    return window
