"""The recipe of a corrector, from phantoms or a user's few masks to a calibrated bundle."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from ...anatomy.cases import described_sources, trained_on
from ...core.bundles import find_bundles
from ...core.errors import InputError
from ...core.progress import Progress
from ...core.training.card import Description, network_data_format
from ...core.training.loop import LoopOptions
from ...core.training.recipe import PhantomRecipe, Run, check_one_source, train
from ...core.volume import Volume
from ..scenes import ANATOMY_SHARE, Scene, case_scenes, mask_on
from ..simulation import loose_box
from .cases import SceneSets, case_sets, phantom_sets
from .confidence import (
    ACCEPTED_FAILURES,
    FAR_LONGER,
    STRICT,
    Calibration,
    CalibrationCase,
    best_level,
    calibrated,
    dice_by_level,
)
from .inference import predict
from .inputs import CHANNELS
from .model import CORRECTOR_FAMILY, DEFAULT_CORRECTOR
from .trainer import OBJECTIVES, CorrectorTrainer, Sampling
from .working_grid import PATCHES

CALIBRATION_MARGINS = (0.0, 0.1, 0.25, 0.5, 1.0)
SHARE_OF_BOXES = 0.6
"""Share of the progress of calibrating at which its boxes have been predicted."""
CORRECTOR_MINUTES = 30.0
"""Minutes of computing time (on two cores half as long) with a user's cases. With this and what is below, correctors of
3 to 20 masks of the benchmark's series are much tighter than with 8 minutes alone; that of one mask is not."""
CORRECTOR_CASES = {
    "sampling::largest_margin": 1.0,
    "sampling::tight_share": 0.15,
    "sampling::close_share": 0.5,
    "sampling::view::oriented": True,
    "calibration_boxes": 100,
}
"""Differences of a training with a user's cases: looser boxes, most of them close all the same, and images that
all lie the same way in RAS."""
CHANNEL_NAMES = (
    "intensity around the middle's median",
    "likeness to that median",
    "rank of the intensity in the box",
    "evidence",
    "distance along u",
    "distance along v",
    "distance along the axis",
    "in the image",
    "length of the box by that of the objects trained on",
)


@dataclass(frozen=True, kw_only=True)
class CorrectorRecipe(PhantomRecipe):
    """Everything that decides what comes of a training of a corrector.

    Attributes
    ----------
    calibration_boxes
        On how many boxes, around phantoms of other seeds or held-back cases, threshold, margin and safety are measured.
    sampling
        How boxes are drawn. With a user's cases the view's `typical_mm` is measured on them.
    patch
        Side of a patch in pixels, one of `PATCHES`.
    objective
        One of `trainer.OBJECTIVES`.

    Raises
    ------
    InputError
        As `TrainingRecipe`, the patch is no side of one, or the objective is unknown.
    """

    calibration_boxes: int
    sampling: Sampling
    patch: int
    objective: str = "cross-entropy"

    family = CORRECTOR_FAMILY
    shares = (0.1, 0.85)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.patch not in PATCHES:
            sizes = f"{', '.join(map(str, PATCHES[:-1]))} or {PATCHES[-1]}"
            raise InputError(f"A patch must have {sizes} pixels, not {self.patch}.")
        if self.objective not in OBJECTIVES:
            raise InputError(f"There is no objective {self.objective!r}; choose from {', '.join(OBJECTIVES)}.")
        self.check_channels((CHANNELS, 1))

    @classmethod
    def for_cases(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        if given.get("cases") is None:
            return {}
        there = any(bundle.name == DEFAULT_CORRECTOR for bundle in find_bundles(CORRECTOR_FAMILY))
        start = DEFAULT_CORRECTOR if there else None
        return {"minutes": CORRECTOR_MINUTES, "start": start, **CORRECTOR_CASES}

    def cases(
        self,
        run: Run,
        progress: Progress,
        *,
        cases: Iterable[tuple[Volume, Volume]] | None = None,
        anatomy: str | os.PathLike[str] | None = None,
    ) -> SceneSets:
        """Cases for training, validation and calibration.

        Parameters
        ----------
        cases
            (image, labelmap) pairs, one is enough; every value of a labelmap but 0 is the object. Deformed copies of
            them are trained on as well, from the default model's weights where it is installed, for boxes up to three
            times as long as the object. None: phantoms.
        anatomy
            A folder of labelled images, see `anatomy.table`, that most of the phantoms give way to.
        """
        check_one_source(cases, anatomy)
        return self.scenes(None if cases is None else case_scenes(cases, progress), progress, anatomy)

    def scenes(
        self, cases: Sequence[Scene] | None, progress: Progress, anatomy: str | os.PathLike[str] | None = None
    ) -> SceneSets:
        """Phantoms and real anatomy, or cases from `scenes.case_scenes` and deformed copies of them."""
        if cases is None:
            counts = (self.phantoms, self.validation_phantoms, -(-self.calibration_boxes // 2))
            return phantom_sets(self.seed, counts, self.sampling, progress, anatomy)
        return case_sets(self.seed, cases, self.sampling, progress)

    def trainer(self, network: torch.nn.Module, cases: SceneSets, options: LoopOptions) -> CorrectorTrainer:
        return CorrectorTrainer(
            network,
            cases.training,
            cases.validation,
            cases.sampling,
            self.patch,
            options,
            renew=cases.renew,
            lasting=cases.lasting,
            objective=self.objective,
        )

    def measured(self, cases: SceneSets) -> CorrectorRecipe:
        return replace(self, sampling=cases.sampling)

    def calibrate(
        self, network: torch.nn.Module, cases: SceneSets, device: torch.device, progress: Progress
    ) -> tuple[Calibration, float]:
        """Calibration of a trained network by boxes around the objects in `cases.calibration`, and the level at which
        what it finds there overlaps most with these objects."""
        rng = np.random.default_rng([self.seed, 7])
        found, overlaps = [], []
        view = cases.sampling.view
        margins = [one for one in CALIBRATION_MARGINS if one <= cases.sampling.largest_margin]
        for number in range(self.calibration_boxes):
            share = SHARE_OF_BOXES * number / self.calibration_boxes
            progress(share, f"calibrating: box {number + 1} of {self.calibration_boxes}")
            scene = cases.calibration[number % len(cases.calibration)]
            box = loose_box(scene.mask, margins[int(rng.integers(len(margins)))], rng)
            axis = int(rng.integers(3))
            frame = view.frame(box, axis, min(float(scene.image.spacing[axis]), float(box.size[axis])))
            prediction = predict(network, scene.image, frame, view, self.patch, device)
            overlaps.append(dice_by_level(prediction.chances, scene.mask, box))
            found.append(CalibrationCase(replace(prediction, chances=None), mask_on(frame, scene.mask)))
        longest = None if cases.largest_mm is None else FAR_LONGER * cases.largest_mm
        return calibrated(found, self.patch, progress.part(SHARE_OF_BOXES, 1), longest), best_level(overlaps)

    def describe(self, trainer: CorrectorTrainer, cases: SceneSets, run: Run, progress: Progress) -> Description:
        calibration, level = self.calibrate(trainer.network, cases, torch.device(run.device), progress)
        user_cases = cases.user_cases
        on_phantoms = user_cases is None
        data = "user" if user_cases is not None else "anatomy" if cases.sources else "phantoms"
        scenes = len(cases.training) + trainer.renewed
        cells = {"format": "cells of a box", "spatial_shape": ["8 * n"] * 3, "is_patch_data": False}
        view = cases.sampling.view
        return Description(
            source=trained_on(cases.sources) if on_phantoms else f"user cases ({user_cases})",
            about={
                "task": "Tightening of a loose 3D box around an object",
                "description": "Finds the patches of a box's slices that are object, and the box of each slice; for "
                "SparseToPrecise. Research use only.",
                "data_type": "image and box",
                "references": [
                    "Redekop, Chernyavskiy: Medical Image Segmentation with Imperfect 3D Bounding Boxes, 2021",
                ],
                "network_data_format": network_data_format(
                    CHANNEL_NAMES, [-2, 2], ["the cell is object"], "logits", cells
                ),
            },
            parameters={
                "patch": self.patch,
                **asdict(view),
                "largest_margin": cases.sampling.largest_margin,
                "level": level,
                "calibration": calibration.as_parameters(),
            },
            training={
                "scenes": scenes,
                "validation_scenes": len(cases.validation),
                "held_back": cases.held_back,
                "seed": self.seed,
                "sources": list(cases.sources),
            },
            measures={"validation_loss": ("validation loss", ".4f"), "patch_dice": ("Dice of patches", ".3f")},
            choices={
                "objective": self.objective,
                "data": data,
                "unseen": data == "phantoms",
                "again": data == "anatomy",
                "told": "phantoms" if on_phantoms else "user",
                "directions": view.oriented and not on_phantoms,
                "checked": data if on_phantoms else "others" if cases.held_back else "same",
                "longest": calibration.longest_mm is not None,
            },
            values={
                "scenes": scenes,
                "validation_scenes": len(cases.validation),
                "user_cases": user_cases,
                "sources": described_sources(cases.sources),
                "copies": scenes - cases.lasting,
                "calibration": calibration,
                "accepted": ACCEPTED_FAILURES,
                "loose_slice_iou": calibration.report[STRICT]["loose_slice_iou"],
                "levels": _levels(calibration),
                "level": level,
                "anatomy_share": ANATOMY_SHARE,
            },
            curve={"patch_dice": "Dice of patches"},
        )


def _levels(calibration: Calibration) -> str:
    """Lines of the card's table."""
    return "\n".join(
        f"| {coverage:g} | {level.threshold:g} | {level.margin:g} | {max(level.largest_uncertain, 0):.0%} "
        f"| {reached['safe']:.0%} | {reached['failed_among_safe']:.1%} | {reached['slice_iou']:.3f} |"
        for (coverage, level), reached in zip(calibration.levels.items(), calibration.report.values(), strict=True)
    )


train_corrector = partial(train, CORRECTOR_FAMILY)
"""`core.training.recipe.train` of a corrector."""
