"""A CT of an MR on the MR's own grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..core.errors import InputError
from ..core.progress import Progress, timed
from ..core.tiles import Tiling
from ..core.volume import Volume
from .confidence import unlikeness
from .hu import HuWindow
from .modality import refuse_ct
from .model import Synthesizer
from .native import Native
from .uncertainty import Spread, flips
from .working_grid import WorkingMR, working_mr

_LARGEST = 1e30
"""Of an MR's values: the work is done in float32, and sums of them must be finite."""


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
        Where it ran, names of the bundles, voxels along a tile.
    note
        What gave way to the hardware; "" when nothing did. It is among the warnings, too.
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
        From `model.load_model`; the answers of several are averaged.
    body_mask
        Where the body is, on any grid (non-zero is inside); None: it is found in the MR.
    bands
        Also low and high band and the probability of the high one.
    uncertainty
        Also the standard deviation over models and over images mirrored as in their training. It does not change the
        CT, which is the mean of the models' answers to the image as it is.
    tile, overlap
        Voxels of a tile on the model's lattice, and the share of it that neighbours cover; None: the model's.
    progress
        Told about every tile; a cancel takes effect before the next one.

    Returns
    -------
    SynthesisResult
        The ijk_to_ras of its volumes is the MR's, byte for byte.

    Raises
    ------
    InputError
        The MR is a single slice, has NaN or one value everywhere, or looks like a CT; the mask is empty or lies
        elsewhere; no model, or models with different CT windows; bands of a model that has none.
    Cancelled
        By the progress.
    """
    progress = progress or Progress()
    chosen = [models] if isinstance(models, Synthesizer) else list(models)
    window = _checked_models(chosen, bands)
    tilings = [model.tiling(tile, overlap) for model in chosen]
    timings: dict[str, float] = {}
    with timed(timings, "prepare"):
        progress(0.0, "looking at the MR")
        check_mr(mr)
        seen: dict[float, WorkingMR] = {}
        for number, model in enumerate(chosen):
            part = progress.part(0.01 + 0.07 * number / len(chosen), 0.01 + 0.07 * (number + 1) / len(chosen))
            if model.spacing_mm not in seen:
                seen[model.spacing_mm] = working_mr(mr, model.spacing_mm, body_mask, part)
        warnings = [note for model in chosen for note in unlikeness(mr, seen[model.spacing_mm], model.seen)]
    with timed(timings, "network"):
        answer = _answers(chosen, tilings, seen, bands, uncertainty, window, progress.part(0.08, 0.85))
    with timed(timings, "apply"):
        native = Native(mr, seen[chosen[0].spacing_mm], body_mask)
        volumes = native.volumes(answer.lattice, window, progress.part(0.85, 1.0))
    progress(1.0, "done")
    notes = list(dict.fromkeys([*(model.note for model in chosen if model.note), *answer.notes]))
    if uncertainty and answer.count < 2:
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
        tile=answer.tile,
        note=" ".join(notes),
        answers=answer.count,
        timings={stage: round(seconds, 4) for stage, seconds in timings.items()},
    )


def check_mr(mr: Volume) -> None:
    """Refuse what no model can use.

    Raises
    ------
    InputError
        A single slice, NaN, one value everywhere, or a CT.
    """
    name = mr.name or "The MR"
    if min(mr.shape) < 2:
        sizes = " x ".join(str(size) for size in mr.shape[::-1])
        raise InputError(f"{name} is a single slice ({sizes} voxels); synthesis needs a volume of several slices.")
    if mr.array.dtype.kind == "f" and not np.isfinite(mr.array).all():
        raise InputError(f"{name} has NaN or infinite values; replace them (for example with a threshold) first.")
    low, high = float(mr.array.min()), float(mr.array.max())
    if low == high:
        raise InputError(f"{name} has the value {low:g} everywhere; load another volume.")
    if max(abs(low), abs(high)) > _LARGEST:
        raise InputError(f"{name} has values from {low:.2g} to {high:.2g}; scale them down first.")
    refuse_ct(mr)


@dataclass(frozen=True)
class _Answer:
    """What the networks say on the first model's lattice: name to (K, J, I) in units of the window."""

    lattice: dict[str, np.ndarray]
    notes: list[str]
    tile: int
    count: int


def _answers(
    models: Sequence[Synthesizer],
    tilings: Sequence[Tiling],
    seen: dict[float, WorkingMR],
    bands: bool,
    uncertainty: bool,
    window: HuWindow,
    progress: Progress,
) -> _Answer:
    runs = [
        (number, flip)
        for number, model in enumerate(models)
        for flip in (flips(model.flip_axes()) if uncertainty else [()])
    ]
    first = seen[models[0].spacing_mm].grid
    means = Spread()
    spread = Spread() if uncertainty else None
    tilings, notes = list(tilings), []
    for step, (number, flip) in enumerate(runs):
        model = models[number]
        working = seen[model.spacing_mm]
        part = progress.part(step / len(runs), (step + 1) / len(runs))
        # A mirrored image is asked only for its CT.
        told = model(working.z, tilings[number], bands=bands and not flip, flip=flip, progress=part)
        tilings[number] = told.tiling
        notes += told.notes
        array = told.array
        if model.spacing_mm != models[0].spacing_mm:
            array = np.stack([Volume(one, working.grid.ijk_to_ras).resampled_to(first).array for one in array])
        # What is clipped later does not count as disagreement.
        np.clip(array[0], 0, 1, out=array[0])
        if spread is not None:
            spread.add(array[0])
        if not flip:
            means.add(array)
    names = ("ct", "low", "high", "high_probability") if bands else ("ct",)
    lattice = dict(zip(names, means.mean, strict=True))
    if spread is not None:
        lattice["uncertainty"] = spread.deviation * np.float32(window.width)
    return _Answer(lattice, notes, tilings[0].size, len(runs))


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
