"""Training the models of this family from Python: the committed recipes, with what the caller wants different."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..core.box import Box
from ..core.bundles import Bundle, find_bundles
from ..core.errors import InputError
from ..core.progress import Progress
from ..core.training.configs import packaged_config
from ..core.training.recipe import Validated, ready_recipe
from ..core.volume import Volume
from .correction import BoxCorrection
from .corrector.model import CORRECTOR_FAMILY, DEFAULT_CORRECTOR
from .segmenter.model import SEGMENTER_FAMILY

Boxes = Volume | Box | Sequence[Box]
"""Of objects in an image: a labelmap whose extent on every plane is meant, or boxes of one object each."""

CORRECTOR_MINUTES, SEGMENTER_MINUTES = 30.0, 15.0
"""Of computing time (on two cores half as long) with a user's cases. With this and what is below, correctors of 3 to
20 masks of the benchmark's series are much tighter than with 8 minutes alone; that of one mask is not."""
CORRECTOR_CASES = {
    "sampling::largest_margin": 1.0,
    "sampling::tight_share": 0.15,
    "sampling::close_share": 0.5,
    "sampling::view::oriented": True,
    "calibration_boxes": 100,
}
"""What a corrector does otherwise with a user's cases: looser boxes, most of them close all the same, and images that
all lie the same way in RAS."""


def train_corrector(
    output: str | os.PathLike[str],
    *,
    cases: Iterable[tuple[Volume, Volume]] | None = None,
    phantoms: int | None = None,
    minutes: float | None = None,
    epochs: float | None = None,
    steps: int | None = None,
    seed: int | None = None,
    device: str = "auto",
    progress: Progress | None = None,
    validated: Validated | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Bundle:
    """Train a corrector by the committed recipe (configs/train.json), with what is given here instead of its own.

    Parameters
    ----------
    output
        The bundle's folder.
    cases
        (image, labelmap) pairs, one is enough; every value of a labelmap but 0 is the object. Deformed copies of them
        are trained on as well, from the default model's weights where it is installed, for boxes up to three times as
        long as the object. None: phantoms.
    phantoms
        How many of them.
    minutes, epochs, steps
        When to end; when one of them is given, the recipe's own (with cases: `CORRECTOR_MINUTES`) does not count.
    seed
        Of everything.
    device, progress, validated
        As in `CorrectorRecipe.train`.
    overrides
        Further values of configs/train.json by MONAI's ids, such as {"patch": 32} or {"start": None}.

    Raises
    ------
    InputError
        Something of it is not as it should be; `Cancelled` when the user has cancelled. Neither leaves a bundle.
    """
    given: dict[str, Any] = {"phantoms": phantoms, "seed": seed}
    if cases is not None:
        there = any(bundle.name == DEFAULT_CORRECTOR for bundle in find_bundles(CORRECTOR_FAMILY))
        given |= {
            "minutes": CORRECTOR_MINUTES,
            "start": DEFAULT_CORRECTOR if there else None,
            **CORRECTOR_CASES,
        }
    recipe = ready_recipe(
        packaged_config(CORRECTOR_FAMILY, "train.json"),
        output,
        CORRECTOR_FAMILY,
        device,
        given=given,
        ends={"minutes": minutes, "epochs": epochs, "steps": steps},
        overrides=overrides,
    )
    from .scenes import case_scenes

    scenes = None if cases is None else case_scenes(cases, progress)
    return recipe.train(output, cases=scenes, device=device, progress=progress, validated=validated)


def train_segmenter(
    output: str | os.PathLike[str],
    *,
    cases: Iterable[tuple[Volume, Boxes]] | None = None,
    validation_cases: Iterable[tuple[Volume, Boxes]] | None = None,
    correction: BoxCorrection | None = None,
    phantoms: int | None = None,
    minutes: float | None = None,
    epochs: float | None = None,
    steps: int | None = None,
    seed: int | None = None,
    device: str = "auto",
    progress: Progress | None = None,
    validated: Validated | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Bundle:
    """Train a segmenter by the committed recipe (configs/train.json), with what is given here instead of its own.

    Parameters
    ----------
    output
        The bundle's folder.
    cases, validation_cases
        Images with boxes to train on and to validate with, instead of phantoms. A labelmap counts by its extent on
        every plane alone, be it an object, the boxes of slices (`TightenResult.slices_as_volume`) or one box; every
        value but 0 is the object. A list of boxes has one for each object of the kind.
    correction
        Corrects them slice by slice before they are learnt from; None: they are learnt from as they are.
    phantoms
        How many phantoms to train on.
    minutes, epochs, steps
        When to end; when one of them is given, the recipe's own (with cases: `SEGMENTER_MINUTES`) does not count.
    seed
        Of everything.
    device, progress, validated
        As in `SegmenterRecipe.train`.
    overrides
        Further values of configs/train.json by MONAI's ids, such as {"sampling::axis": 2}.

    Returns
    -------
    Bundle
        As it was written.

    Raises
    ------
    InputError
        Something of it is not as it should be; `Cancelled` when the user has cancelled. Neither leaves a bundle.
    """
    recipe = ready_recipe(
        packaged_config(SEGMENTER_FAMILY, "train.json"),
        output,
        SEGMENTER_FAMILY,
        device,
        given={"phantoms": phantoms, "seed": seed, "minutes": None if cases is None else SEGMENTER_MINUTES},
        ends={"minutes": minutes, "epochs": epochs, "steps": steps},
        overrides=overrides,
    )
    if correction is not None:
        if cases is None:
            raise InputError("Boxes to correct were wanted, and no cases were given; phantoms need no correction.")
        correction = replace(correction, boxes=0, kept=0, reason="")
    return recipe.train(
        output,
        cases=None if cases is None else _pairs(cases, correction, progress),
        validation_cases=None if validation_cases is None else _pairs(validation_cases, correction, progress),
        correction=correction,
        device=device,
        progress=progress,
        validated=validated,
    )


def _pairs(
    cases: Iterable[tuple[Volume, Boxes]], correction: BoxCorrection | None, progress: Progress | None
) -> Iterable[tuple[Volume, Volume]]:
    """One (image, labelmap) pair per box or labelmap."""
    for image, given in cases:
        for one in [given] if isinstance(given, Volume | Box) else given:
            if correction is not None:
                if progress is not None:
                    progress(0.0, f"tightening box {correction.boxes + 1}")
                yield image, correction.corrected(image, one)
            elif isinstance(one, Volume):
                yield image, one
            else:
                yield image, Volume(one.mask_on(image.grid).astype("uint8"), image.ijk_to_ras, image.name)
    if correction is not None and 0 < correction.boxes == correction.kept:
        raise InputError(
            f"The corrector {correction.corrector.name} could tighten none of the {correction.boxes} box(es), the last "
            f"one because {correction.reason}; train a corrector on a few masks of your own, or learn from the boxes "
            "as they are."
        )
