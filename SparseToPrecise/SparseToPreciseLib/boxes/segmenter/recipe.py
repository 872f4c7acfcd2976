"""The recipe of a segmenter, from phantoms or a user's boxes to a bundle."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import torch

from ...anatomy.cases import AnatomyCubes, described_sources, trained_on
from ...core.box import Box
from ...core.errors import InputError
from ...core.progress import Progress
from ...core.training.card import Description, network_data_format
from ...core.training.loop import LoopOptions
from ...core.training.recipe import PhantomRecipe, Run, check_one_source, held_back, train
from ...core.volume import Volume
from ..correction import BoxCorrection
from ..scenes import ANATOMY_SHARE, Scene, case_scenes, mixed_scenes
from ..simulation import TIGHT_SHARE
from .confidence import calibrated_level
from .inputs import CHANNEL_NAMES, SEEN
from .model import SEGMENTER_FAMILY
from .trainer import PlaneSampling, SegmenterTrainer, Weights, box_loss

Boxes = Volume | Box | Sequence[Box]
"""Objects in an image: a labelmap whose extent on every plane is meant, or boxes of one object each."""
BoxCases = Iterable[tuple[Volume, Boxes]]

FIRST_SEED = 100_000
"""Phantoms for training are numbered from here plus the recipe's seed times as much; those for validation below."""
CROPPED = {"context_share": 1.3, "longest_side": 128}
"""How a user's cases are cropped, see `case_scenes`: boxes are at most half as loose as a corrector's, and 40 cells lie
along them."""
HELD_BACK = 0.2
"""Share of a user's cases, where there are none to validate with and at least five."""
SEGMENTER_MINUTES = 15.0
"""Minutes of computing time (on two cores half as long) with a user's cases."""


@dataclass(frozen=True)
class BoxScenes:
    """Cases of a training.

    Attributes
    ----------
    training, validation
        The same ones where a user gave too few to hold some back.
    on_phantoms
        Whether they are phantoms; else a user's.
    correction
        What corrected a user's boxes first, if anything did.
    sources
        `AnatomyCubes.sources` of the real anatomy among the phantoms.
    """

    training: Sequence[Scene]
    validation: Sequence[Scene]
    on_phantoms: bool
    correction: BoxCorrection | None = None
    sources: Sequence[dict[str, str | int]] = ()


@dataclass(frozen=True, kw_only=True)
class SegmenterRecipe(PhantomRecipe):
    """Everything that decides what comes of a training of a segmenter; the batch counts boxes.

    Attributes
    ----------
    sampling, weights
        How boxes are drawn, and how much each loss counts.
    all_axes, own_intensities
        Whether the trained model looks along all three axes of a box, and whether what it finds is sharpened by the
        image's own intensities (`evidence`).
    """

    sampling: PlaneSampling
    weights: Weights
    all_axes: bool
    own_intensities: bool

    family = SEGMENTER_FAMILY
    shares = (0.15, 0.95)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_channels((SEEN, 1))

    @classmethod
    def for_cases(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        return {} if given.get("cases") is None else {"minutes": SEGMENTER_MINUTES}

    def cases(
        self,
        run: Run,
        progress: Progress,
        *,
        cases: BoxCases | None = None,
        validation_cases: BoxCases | None = None,
        correction: BoxCorrection | None = None,
        anatomy: str | os.PathLike[str] | None = None,
    ) -> BoxScenes:
        """Cases for training and validation.

        Parameters
        ----------
        cases, validation_cases
            Images with boxes instead of phantoms. A labelmap counts by its extent on every plane alone, be it an
            object, the boxes of slices (`TightenResult.slices_as_volume`) or one box; every value but 0 is the object.
            A list of boxes has one for each object of the kind.
        correction
            Corrects them slice by slice before they are learnt from; None: they are learnt from as they are.
        anatomy
            A folder of labelled images, see `anatomy.table`, that most of the phantoms give way to.
        """
        check_one_source(cases, anatomy)
        if cases is None:
            if correction is not None:
                raise InputError("Boxes to correct were wanted, and no cases were given; phantoms need no correction.")
            first = FIRST_SEED * (1 + self.seed)
            drawn = [None, None] if anatomy is None else [AnatomyCubes(anatomy, role) for role in ("train", "validate")]
            training = mixed_scenes(range(first, first + self.phantoms), drawn[0], progress.part(0, 0.9))
            others = mixed_scenes(range(first - self.validation_phantoms, first), drawn[1], progress.part(0.9, 1))
            return BoxScenes(training, others, True, sources=() if anatomy is None else drawn[0].sources)
        if correction is not None:
            correction = replace(correction, boxes=0, kept=0, reason="")
        training = case_scenes(_pairs(cases, correction, progress), progress, **CROPPED)
        # A few boxes are all needed to train on; then the same ones say how far the training is.
        sets = held_back(training, HELD_BACK)
        if validation_cases is not None:
            others = case_scenes(_pairs(validation_cases, correction, progress), progress, **CROPPED)
            return BoxScenes(training, others, False, correction)
        return BoxScenes(sets.training, sets.validation, False, correction)

    def trainer(self, network: torch.nn.Module, cases: BoxScenes, options: LoopOptions) -> SegmenterTrainer:
        return SegmenterTrainer(
            network,
            cases.training,
            cases.validation,
            self.sampling,
            box_loss(self.weights),
            options,
            weights=self.weights,
            masks=cases.on_phantoms,
        )

    def describe(self, trainer: SegmenterTrainer, cases: BoxScenes, run: Run, progress: Progress) -> Description:
        level = calibrated_level(
            trainer.network,
            cases.validation,
            self.sampling,
            3 if self.all_axes else 1,
            self.seed,
            torch.device(run.device),
            progress,
            own_intensities=self.own_intensities,
        )
        corrected = _told(cases.correction)
        apart = cases.training is not cases.validation
        source, learnt_from = f"user boxes ({len(cases.training)})", "boxes, without a single mask"
        if corrected:
            source += ", tightened first"
            learnt_from = "boxes that a corrector tightened first; it learnt from masks"
        plane = {"format": "a plane of a box's cells", "spatial_shape": ["16 * n"] * 2, "is_patch_data": False}
        return Description(
            source=trained_on(cases.sources) if cases.on_phantoms else source,
            about={
                "task": "Segmentation of the object in a 3D box, learnt from boxes",
                "description": f"Segments the one object in a box, trained from {learnt_from}; for SparseToPrecise. "
                "Research use only.",
                "data_type": "image and box",
                "references": [
                    "Redekop, Chernyavskiy: Medical Image Segmentation with Imperfect 3D Bounding Boxes, 2021",
                    "Kervadec et al.: Bounding boxes for weakly supervised segmentation: Global constraints get close "
                    "to full supervision, MIDL 2020",
                ],
                "network_data_format": network_data_format(
                    CHANNEL_NAMES, [-1, 1.5], ["the cell is object"], "logits", plane
                ),
            },
            parameters={
                "side": self.sampling.side,
                "spacing_mm": self.sampling.spacing_mm,
                "largest_margin": self.sampling.largest_margin,
                "all_axes": self.all_axes,
                "own_intensities": self.own_intensities,
                "level": level,
            },
            training={
                "boxes": len(cases.training),
                "validation_boxes": len(cases.validation),
                "held_back": apart,
                "correction": corrected,
                "weights_of_losses": asdict(self.weights),
                "seed": self.seed,
                "sources": list(cases.sources),
            },
            measures={
                "validation_loss": ("validation loss", ".3f"),
                "box_iou": ("IoU of planes' boxes", ".3f"),
                "dice": ("Dice", ".3f"),
            },
            choices={
                "views": self.all_axes,
                "sharpened": self.own_intensities,
                "data": "user" if not cases.on_phantoms else "anatomy" if cases.sources else "phantoms",
                "tightened": corrected is not None,
                "checked": "phantoms" if cases.on_phantoms else "others" if apart else "same",
            },
            values={
                "boxes": len(cases.training),
                "validation_boxes": len(cases.validation),
                "learnt_from": learnt_from,
                "sources": described_sources(cases.sources),
                "anatomy_share": ANATOMY_SHARE,
                "corrected": corrected,
                "tightened_boxes": corrected and corrected["boxes"] - corrected["kept"],
                "level": level,
                "cells": self.sampling.side // 2,
                "tight_share": TIGHT_SHARE,
            },
            curve={"box_iou": "IoU of planes' boxes", "dice": "Dice"},
        )


def _told(correction: BoxCorrection | None) -> dict[str, Any] | None:
    if correction is None:
        return None
    corrector = correction.corrector
    return {
        "corrector": corrector.name,
        "sha256": corrector.sha256,
        "coverage": correction.coverage,
        "boxes": correction.boxes,
        "kept": correction.kept,
    }


def _pairs(cases: BoxCases, correction: BoxCorrection | None, progress: Progress) -> Iterable[tuple[Volume, Volume]]:
    """One (image, labelmap) pair per box or labelmap."""
    for image, given in cases:
        for one in [given] if isinstance(given, Volume | Box) else given:
            if correction is not None:
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


train_segmenter = partial(train, SEGMENTER_FAMILY)
"""`core.training.recipe.train` of a segmenter."""
