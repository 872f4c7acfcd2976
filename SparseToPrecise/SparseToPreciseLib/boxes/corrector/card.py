"""What a corrector's bundle says of itself: metadata, model card and validation curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ...core.training import card as common
from .confidence import ACCEPTED_FAILURES, STRICT, Calibration
from .model import CORRECTOR_FAMILY

if TYPE_CHECKING:
    from .recipe import CorrectorRecipe

_PACKAGES = ("scipy",)
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


@dataclass(frozen=True)
class CorrectorFacts:
    """What happened in a training.

    Attributes
    ----------
    name, rows
        Of the bundle; of the training log.
    scenes, validation_scenes
        How many there were, deformed copies included, those too that took another's place.
    copies
        How many of the scenes (of the first process) are deformed copies.
    calibration
        As measured.
    device, processes, seconds
        Where it was trained, in how many processes, wall time of everything.
    user_cases
        How many cases a user gave; None: phantoms.
    held_back
        Whether validation and calibration are on objects that training did not see.
    start
        The bundle whose weights it began with.
    """

    name: str
    rows: Sequence[dict[str, float]]
    scenes: int
    validation_scenes: int
    copies: int
    calibration: Calibration
    device: str
    processes: int
    seconds: float
    user_cases: int | None
    held_back: bool
    start: str | None

    @property
    def source(self) -> str:
        return "phantoms" if self.user_cases is None else f"user cases ({self.user_cases})"


def bundle_metadata(recipe: CorrectorRecipe, facts: CorrectorFacts) -> dict[str, Any]:
    """MONAI's keys and ours; everything a reader or the program must know of the model."""
    cells = {"format": "cells of a box", "spatial_shape": ["8 * n"] * 3, "is_patch_data": False}
    return {
        **common.common_metadata(facts.name, _PACKAGES, facts.source),
        "task": "Tightening of a loose 3D box around an object",
        "description": "Finds the patches of a box's slices that are object, and the box of each slice; for "
        "SparseToPrecise. Research use only.",
        "data_type": "image and box",
        "references": [
            "Redekop, Chernyavskiy: Medical Image Segmentation with Imperfect 3D Bounding Boxes, 2021",
        ],
        "network_data_format": common.network_data_format(
            CHANNEL_NAMES, [-2, 2], ["the cell is object"], "logits", cells
        ),
        "family": CORRECTOR_FAMILY,
        "network": dict(recipe.network),
        "parameters": {
            "patch": recipe.patch,
            **asdict(recipe.sampling.view),
            "largest_margin": recipe.sampling.largest_margin,
            "calibration": facts.calibration.as_parameters(),
        },
        "training": {
            "data": facts.source,
            "scenes": facts.scenes,
            "validation_scenes": facts.validation_scenes,
            "held_back": facts.held_back,
            "started_from": facts.start,
            "seed": recipe.seed,
            **common.training_facts(facts.rows, facts.device, facts.processes, facts.seconds, _PACKAGES),
        },
    }


def model_card(recipe: CorrectorRecipe, facts: CorrectorFacts, metadata: dict[str, Any]) -> str:
    """docs/README.md of the bundle (Markdown). Every number in it is from the recipe, the log or the calibration."""
    calibration = facts.calibration
    if facts.user_cases is None:
        data = (
            f"{facts.scenes} procedural phantoms with random contrast, so that no modality is special; one loose box "
            "after another is drawn around them. **The model has never seen a patient.**"
        )
        checked = f"{facts.validation_scenes} other phantoms"
        told = "It is not told how large objects are, nor which way the image lies"
    else:
        data = f"{facts.user_cases} case(s) that a user gave, and {facts.copies} deformed copies of those trained on"
        data += f", starting from the weights of {facts.start}." if facts.start else "."
        checked = "cases that training did not see, and deformed copies of them"
        if not facts.held_back:
            checked = (
                "other deformed copies **of the same cases**: whether the model fits other images is not measured, "
                "and the calibration may be too hopeful"
            )
        view = recipe.sampling.view
        told = f"It is told how large the box is beside the objects of the cases ({view.typical_mm:.1f} mm long)"
        if view.oriented:
            told += ", and it sees all images the same way round (R, A, S), so that it can tell left from right"
    does = (
        f"A {recipe.network['name']} sees the box on a lattice of cells and gives the chance of each to be object, "
        "which is then sharpened by the intensities that this image has there and elsewhere; the mean of a patch "
        f"({recipe.patch} x {recipe.patch} pixels, a cell has 2 x 2) is the expected share of object in it. The pixels "
        f"follow the box: one that is as long as it is wide has sides of {recipe.sampling.view.side} pixels. Where the "
        f"object seems to fill only a part of the box, that part is looked at once more. {told}. Margins of up to "
        f"{recipe.sampling.largest_margin:.0%} of the object's size per side were trained on."
    )
    learnt = (
        f"- Cross-entropy of cells, so that chances are what they say; Adam, learning rate {recipe.learning_rate:g} "
        f"falling to 0 along a cosine, {recipe.batch_size} boxes a step and process, gradients clipped at norm 1."
    )
    kept = "All rows are in [log.csv](log.csv); the weights with the lowest validation loss are kept."
    longest = ""
    if calibration.longest_mm is not None:
        longest = f" So it is where something more than {calibration.longest_mm:.0f} mm across was found."
    told_of_levels = (
        f"Calibrated on {calibration.cases} boxes. For every coverage (share of the object that is to stay in the "
        "boxes of the slices): a patch counts when more than the threshold of it is object; the margin (patches) is "
        "added on every side; a map of which more is doubtful than the limit is not trusted, and its box is kept as it "
        f"is.{longest} At most {ACCEPTED_FAILURES:.0%} of the trusted boxes may miss the coverage. The slice IoU is "
        "that of all boxes, kept ones included; with loose boxes it is "
        f"{calibration.report[STRICT]['loose_slice_iou']:.3f}."
    )
    measures = {"validation_loss": ("validation loss", ".4f"), "patch_dice": ("Dice of patches", ".3f")}
    rows = "\n".join(
        f"| {coverage:g} | {level.threshold:g} | {level.margin:g} | {max(level.largest_uncertain, 0):.0%} "
        f"| {reached['safe']:.0%} | {reached['failed_among_safe']:.1%} | {reached['slice_iou']:.3f} |"
        for (coverage, level), reached in zip(calibration.levels.items(), calibration.report.values(), strict=True)
    )
    return f"""# {facts.name}

Tightens a loose 3D box around the object in it: a box per slice, and the box around those. For SparseToPrecise; after
Redekop and Chernyavskiy, "Medical Image Segmentation with Imperfect 3D Bounding Boxes" (2021). Research use only, not
for diagnosis.

## What it does

{common.paragraph(does)}

```bash
sparse-to-precise box tighten IMAGE ROI --output ROI_OUT --model {facts.name}
```

## Training

{common.paragraph(f"- Data: {data}")}
{common.paragraph(learnt)}
{common.how_it_ended(recipe, metadata["training"])}

## Validation and calibration

{common.paragraph(f"On {checked}. {kept}")}

{common.before_and_after(facts.rows, measures)}

![validation](validation.png)

{common.paragraph(told_of_levels)}

| coverage | threshold | margin | limit of doubt | trusted | of these, missed | slice IoU |
| --: | --: | --: | --: | --: | --: | --: |
{rows}
"""


def validation_curve(rows: Sequence[dict[str, float]]) -> bytes:
    """A PNG of the loss and of the Dice of patches, over the steps."""
    return common.validation_curve(rows, {"patch_dice": "Dice of patches"})
