"""What a segmenter's bundle says of itself: metadata, model card and validation curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ...core.training import card as common
from ..simulation import TIGHT_SHARE
from .inputs import CHANNEL_NAMES
from .model import SEGMENTER_FAMILY

if TYPE_CHECKING:
    from ..correction import BoxCorrection
    from .recipe import SegmenterRecipe

_PACKAGES = ("scipy",)


@dataclass(frozen=True)
class SegmenterFacts:
    """What happened in a training.

    Attributes
    ----------
    name, rows
        Of the bundle; of the training log.
    boxes, validation_boxes
        How many objects with boxes there were.
    level
        Probability from which a cell is object.
    on_phantoms
        Whether they were phantoms; else a user's.
    correction
        What corrected a user's boxes first, if anything did.
    held_back
        Whether training did not see those for validation.
    device, processes, seconds
        Where it was trained, in how many processes, wall time of everything.
    """

    name: str
    rows: Sequence[dict[str, float]]
    boxes: int
    validation_boxes: int
    level: float
    on_phantoms: bool
    correction: BoxCorrection | None
    held_back: bool
    device: str
    processes: int
    seconds: float

    @property
    def source(self) -> str:
        if self.on_phantoms:
            return "phantoms"
        return f"user boxes ({self.boxes})" + ("" if self.correction is None else ", tightened first")

    @property
    def learnt_from(self) -> str:
        """What the object was known by."""
        if self.correction is None:
            return "boxes, without a single mask"
        return "boxes that a corrector tightened first; it learnt from masks"


def bundle_metadata(recipe: SegmenterRecipe, facts: SegmenterFacts) -> dict[str, Any]:
    """MONAI's keys and ours; everything a reader or the program must know of the model."""
    plane = {"format": "a plane of a box's cells", "spatial_shape": ["16 * n"] * 2, "is_patch_data": False}
    return {
        **common.common_metadata(facts.name, _PACKAGES, facts.source),
        "task": "Segmentation of the object in a 3D box, learnt from boxes",
        "description": f"Segments the one object in a box, trained from {facts.learnt_from}; for SparseToPrecise. "
        "Research use only.",
        "data_type": "image and box",
        "references": [
            "Redekop, Chernyavskiy: Medical Image Segmentation with Imperfect 3D Bounding Boxes, 2021",
            "Kervadec et al.: Bounding boxes for weakly supervised segmentation: Global constraints get close to full "
            "supervision, MIDL 2020",
        ],
        "network_data_format": common.network_data_format(
            CHANNEL_NAMES, [-1, 1.5], ["the cell is object"], "logits", plane
        ),
        "family": SEGMENTER_FAMILY,
        "network": dict(recipe.network),
        "parameters": {
            "side": recipe.sampling.side,
            "spacing_mm": recipe.sampling.spacing_mm,
            "largest_margin": recipe.sampling.largest_margin,
            "all_axes": recipe.all_axes,
            "own_intensities": recipe.own_intensities,
            "level": facts.level,
        },
        "training": {
            "data": facts.source,
            "boxes": facts.boxes,
            "validation_boxes": facts.validation_boxes,
            "held_back": facts.held_back,
            "correction": _correction(facts.correction),
            "weights_of_losses": asdict(recipe.weights),
            "seed": recipe.seed,
            **common.training_facts(facts.rows, facts.device, facts.processes, facts.seconds, _PACKAGES),
        },
    }


def _correction(correction: BoxCorrection | None) -> dict[str, Any] | None:
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


def model_card(recipe: SegmenterRecipe, facts: SegmenterFacts, metadata: dict[str, Any]) -> str:
    """docs/README.md of the bundle (Markdown). Every number in it is from the recipe or the log."""
    if facts.on_phantoms:
        data = (
            f"{facts.boxes} procedural phantoms with random contrast, so that no modality is special. **The model has "
            "never seen a patient.**"
        )
        checked = f"{facts.validation_boxes} other phantoms; their masks serve for the Dice in this table alone"
    else:
        data = f"{facts.boxes} box(es) that a user gave."
        if facts.correction is not None:
            made = _correction(facts.correction)
            data += (
                f" {made['boxes'] - made['kept']} of {made['boxes']} (with those for validation) were tightened by the "
                f"model {made['corrector']} first, coverage {made['coverage']:g}; of the others it was not sure."
            )
        checked = f"{facts.validation_boxes} box(es) that training did not see"
        if not facts.held_back:
            checked = "the **same boxes**: whether the model fits other images is not measured"
    does = (
        f"Segments the one object in a box; trained from {facts.learnt_from}. For SparseToPrecise; after Redekop and "
        'Chernyavskiy, "Medical Image Segmentation with Imperfect 3D Bounding Boxes" (2021), section 3.2, and Kervadec '
        "et al. (MIDL 2020). Research use only, not for diagnosis."
    )
    losses = ", ".join(
        f"{name} {getattr(recipe.weights, name):g}" for name in ("tightness", "emptiness", "size", "likeness", "alike")
    )
    measures = {
        "validation_loss": ("validation loss", ".3f"),
        "box_iou": ("IoU of planes' boxes", ".3f"),
        "dice": ("Dice", ".3f"),
    }
    views = ", along each of the three axes; the mean of the three counts" if recipe.all_axes else ""
    sharpened = ""
    if recipe.own_intensities:
        sharpened = "What it finds is then sharpened by the intensities that this image has there and elsewhere. "
    return f"""# {facts.name}

{common.paragraph(does)}

## What it does

A {recipe.network["name"]} sees three neighbouring planes of the box's cells and segments the middle one{views}.
{sharpened}A box as long as it is wide has {recipe.sampling.side // 2} cells along its sides. Margins of up to
{recipe.sampling.largest_margin:.0%} of the object's size per side were trained on. Nothing outside the box becomes
object, and of several components the largest remains.

```bash
sparse-to-precise box segment IMAGE ROI --output SEG --model {facts.name}
```

## Training

{common.paragraph(f"- Data: {data}")}
- Of each plane the losses see the box of the object alone: what is in the boxes of the planes along all three axes
  can be object. Weights: {losses}. The barrier's temperature begins at 5
  and grows 1.1 times in each of {recipe.weights.epochs:g} equal parts of the training. Emptiness and likeness are
  cross-entropies outside and inside the boxes; the target inside comes from the histograms inside and outside.
- Boxes have no margin in {TIGHT_SHARE:.0%} of the draws; in {recipe.sampling.cut_share:.0%} the field of view ends
  within the object.
- Adam, learning rate {recipe.learning_rate:g} falling to 0 along a cosine, {recipe.batch_size} boxes with up to
  {recipe.sampling.planes} planes each a step and process, gradients clipped at norm 1.
{common.how_it_ended(recipe, metadata["training"])}

## Validation

On {checked}. All rows are in [log.csv](log.csv); the weights with the lowest validation loss are kept.

{common.before_and_after(facts.rows, measures)}

A cell is object from a probability of {facts.level:g}: the lowest at which the boxes of what is found agree nearly best
with those that it learnt from, on these boxes.

![validation](validation.png)

How it does on real images, beside rules that need no training, is in the project's benchmark.
"""


def validation_curve(rows: Sequence[dict[str, float]]) -> bytes:
    """A PNG of the loss and of what else is measured, over the steps."""
    return common.validation_curve(rows, {"box_iou": "IoU of planes' boxes", "dice": "Dice"})
