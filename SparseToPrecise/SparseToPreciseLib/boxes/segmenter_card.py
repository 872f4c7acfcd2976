"""What a segmenter's bundle says of itself: metadata, model card and validation curve."""

from __future__ import annotations

import io
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from .. import __version__
from .corrector_card import software_versions
from .segment import SEGMENTER_FAMILY
from .segmenter_channels import CHANNEL_NAMES, SEEN

if TYPE_CHECKING:
    from .segmenter_recipe import SegmenterRecipe


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
    held_back: bool
    device: str
    processes: int
    seconds: float

    @property
    def best(self) -> dict[str, float]:
        """The row whose weights the bundle holds."""
        return min(self.rows, key=lambda row: row["validation_loss"])

    @property
    def source(self) -> str:
        return "phantoms" if self.on_phantoms else f"user boxes ({self.boxes})"


def bundle_metadata(recipe: SegmenterRecipe, facts: SegmenterFacts) -> dict[str, Any]:
    """MONAI's keys and ours; everything a reader or the program must know of the model."""
    versions = software_versions()
    channels = {
        "format": "a plane of a box's cells",
        "spatial_shape": ["16 * n"] * 2,
        "dtype": "float32",
        "is_patch_data": False,
    }
    return {
        "schema": "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/"
        "meta_schema_20240725.json",
        "version": __version__,
        "changelog": {__version__: "trained by configs/train.json"},
        "monai_version": versions["monai"],
        "pytorch_version": versions["torch"],
        "numpy_version": versions["numpy"],
        "required_packages_version": {"scipy": versions["scipy"]} if "scipy" in versions else {},
        "name": facts.name,
        "task": "Segmentation of the object in a 3D box, learnt from boxes",
        "description": "Segments the one object in a box, trained without a single mask; for SparseToPrecise. Research "
        "use only.",
        "authors": "The SparseToPrecise developers",
        "copyright": "Apache-2.0",
        "data_source": facts.source,
        "data_type": "image and box",
        "intended_use": "Research. Not for diagnosis.",
        "references": [
            "Redekop, Chernyavskiy: Medical Image Segmentation with Imperfect 3D Bounding Boxes, 2021",
            "Kervadec et al.: Bounding boxes for weakly supervised segmentation: Global constraints get close to full "
            "supervision, MIDL 2020",
        ],
        "network_data_format": {
            "inputs": {
                "image": {
                    "type": "image",
                    "num_channels": SEEN,
                    "value_range": [-1, 1.5],
                    "channel_def": {str(number): name for number, name in enumerate(CHANNEL_NAMES)},
                    **channels,
                }
            },
            "outputs": {
                "pred": {
                    "type": "logits",
                    "num_channels": 1,
                    "value_range": [],
                    "channel_def": {"0": "the cell is object"},
                    **channels,
                }
            },
        },
        "family": SEGMENTER_FAMILY,
        "network": dict(recipe.network),
        "parameters": {
            "side": recipe.sampling.side,
            "spacing_mm": recipe.sampling.spacing_mm,
            "largest_margin": recipe.sampling.largest_margin,
            "all_axes": recipe.all_axes,
            "level": facts.level,
        },
        "training": {
            "data": facts.source,
            "boxes": facts.boxes,
            "validation_boxes": facts.validation_boxes,
            "held_back": facts.held_back,
            "weights_of_losses": asdict(recipe.weights),
            "seed": recipe.seed,
            "steps": facts.rows[-1]["steps"],
            "minutes": facts.rows[-1]["minutes"],
            "clock": "computing time of the process" if facts.device == "cpu" else "wall time",
            "wall_seconds": round(facts.seconds, 1),
            "device": facts.device,
            "processes": facts.processes,
            "best": {key: value for key, value in facts.best.items() if value == value},
            "date": datetime.now(timezone.utc).date().isoformat(),
            "software": {"sparse-to-precise": __version__, "python": platform.python_version(), **versions},
        },
    }


def model_card(recipe: SegmenterRecipe, facts: SegmenterFacts, metadata: dict[str, Any]) -> str:
    """docs/README.md of the bundle (Markdown). Every number in it is from the recipe or the log."""
    best, first, training = facts.best, facts.rows[0], metadata["training"]
    if facts.on_phantoms:
        data = (
            f"{facts.boxes} procedural phantoms with random contrast, so that no modality is special. **The model has "
            "never seen a patient.**"
        )
        checked = f"{facts.validation_boxes} other phantoms; their masks serve for the Dice in this table alone"
    else:
        data = f"{facts.boxes} box(es) that a user gave."
        checked = f"{facts.validation_boxes} box(es) that training did not see"
        if not facts.held_back:
            checked = "the **same boxes**: whether the model fits other images is not measured"
    losses = ", ".join(
        f"{name} {getattr(recipe.weights, name):g}" for name in ("tightness", "emptiness", "size", "likeness", "alike")
    )
    limits = {"minutes": recipe.minutes, "epochs": recipe.epochs, "steps": recipe.steps}
    ends = [f"{value:g} {unit}" for unit, value in limits.items() if value is not None]
    software = ", ".join(f"{name} {number}" for name, number in training["software"].items())
    measures = {"validation_loss": "validation loss", "box_iou": "IoU of planes' boxes", "dice": "Dice"}
    there = [name for name in measures if name in best]
    table = [
        "| | " + " | ".join(measures[name] for name in there) + " |",
        "|---|" + "---:|" * len(there),
        "| before | " + " | ".join(f"{first[name]:.3f}" for name in there) + " |",
        f"| these weights (step {best['steps']}) | " + " | ".join(f"{best[name]:.3f}" for name in there) + " |",
    ]
    views = ", along each of the three axes; the mean of the three counts" if recipe.all_axes else ""
    return f"""# {facts.name}

Segments the one object in a box; trained from boxes, without a single mask. For SparseToPrecise; after Redekop and
Chernyavskiy, "Medical Image Segmentation with Imperfect 3D Bounding Boxes" (2021), section 3.2, and Kervadec et al.
(MIDL 2020). Research use only, not for diagnosis.

## What it does

A {recipe.network["name"]} sees three neighbouring planes of the box's cells and segments the middle one{views}. A box
as long as it is wide has {recipe.sampling.side // 2} cells along its sides. Margins of up to
{recipe.sampling.largest_margin:.0%} of the object's size per side were trained on. Nothing outside the box becomes
object, and of several components the largest remains.

```bash
sparse-to-precise box segment IMAGE ROI --output SEG --model {facts.name}
```

## Training

- Data: {data}
- Of each plane the losses see the box of the object alone. Weights: {losses}. The barrier's temperature begins at 5
  and grows 1.1 times in each of {recipe.weights.epochs:g} equal parts of the training. Emptiness and likeness are
  cross-entropies outside and inside the box; the target inside comes from the histograms inside and outside.
- Adam, learning rate {recipe.learning_rate:g} falling to 0 along a cosine, {recipe.batch_size} boxes with up to
  {recipe.sampling.planes} planes each a step and process, gradients clipped at norm 1.
- Ended after {" or ".join(ends)}: {training["steps"]} steps in {training["minutes"]:.1f} minutes ({training["clock"]})
  on {facts.device}, {facts.processes} process(es); {facts.seconds / 60:.1f} minutes of wall time altogether.
- Seed {recipe.seed}. Software: {software}.

The recipe is `configs/train.json`; `python -m monai.bundle run training --config_file configs/train.json` runs it
again.

## Validation

On {checked}. All rows are in [log.csv](log.csv); the weights with the lowest validation loss are kept.

{chr(10).join(table)}

A cell is object from a probability of {facts.level:g}: the lowest at which the boxes of what is found agree nearly best
with the given ones on these boxes.

![validation](validation.png)

How it does on real images, beside rules that need no training, is in the project's benchmark.
"""


def validation_curve(rows: Sequence[dict[str, float]]) -> bytes:
    """A PNG of the loss and of what else is measured, over the steps."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    steps = [row["steps"] for row in rows]
    left.plot(steps, [row["validation_loss"] for row in rows], "o-", label="validation")
    left.plot(steps, [row["training_loss"] for row in rows], ".--", label="training", alpha=0.6)
    left.set(xlabel="steps", ylabel="loss")
    left.legend()
    for name, label in (("box_iou", "IoU of planes' boxes"), ("dice", "Dice")):
        if name in rows[0]:
            right.plot(steps, [row[name] for row in rows], "o-", label=label)
    right.set(xlabel="steps")
    right.legend()
    for axes in (left, right):
        axes.grid(alpha=0.3)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
