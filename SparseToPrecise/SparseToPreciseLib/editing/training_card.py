"""What a bundle says of itself: metadata, model card and validation curve, from the recipe and the log alone."""

from __future__ import annotations

import io
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from .. import __version__
from .dataset import Generation
from .guidance import RADIUS_PER_SIGMA
from .model import FAMILY, MULTIPLE
from .network import form_parameters
from .working_grid import MARGIN_SIGMAS, SIGMA_VOXELS

if TYPE_CHECKING:
    from .training_recipe import Recipe

_PACKAGES = ("torch", "monai", "numpy", "scipy", "SimpleITK", "scikit-image")
_RANGES = {"image": [-0.5, 1.5], "mask": [0, 1], "guidance": [0, 1]}

WORKING_SPACING = (
    f"influence radius (mm) / {RADIUS_PER_SIGMA:.4f} / {SIGMA_VOXELS:g}: isotropic along RAS, so that sigma is always "
    f"{SIGMA_VOXELS:g} voxels; the grid reaches {MARGIN_SIGMAS:g} sigma beyond the stroke, its sides are multiples of "
    f"{MULTIPLE} voxels"
)


@dataclass(frozen=True)
class Facts:
    """What happened in a training.

    Attributes
    ----------
    name
        Of the bundle.
    rows
        Of the training log.
    cases, validation_cases
        How many there were.
    generation
        How fast the training cases were made.
    device, processes
        Where it was trained, and in how many processes.
    seconds
        Wall time of everything, in this run.
    user_cases
        How many cases a user gave; None: phantoms.
    held_back
        True when the validation cubes come from the training cases.
    """

    name: str
    rows: Sequence[dict[str, float]]
    cases: int
    validation_cases: int
    generation: Generation
    device: str
    processes: int
    seconds: float
    user_cases: int | None
    held_back: bool

    @property
    def best(self) -> dict[str, float]:
        """The row whose weights the bundle holds."""
        return min(self.rows, key=lambda row: row["validation_loss"])

    @property
    def source(self) -> str:
        return "phantoms" if self.user_cases is None else f"user cases ({self.user_cases})"


def bundle_metadata(recipe: Recipe, facts: Facts) -> dict[str, Any]:
    """MONAI's keys and ours; everything a reader or the program must know of the model."""
    versions = _versions()
    channels = {
        "format": "cube around the stroke",
        "spatial_shape": [f"{MULTIPLE} * n"] * 3,
        "dtype": "float32",
        "is_patch_data": False,
    }
    ranges = [_RANGES.get(name, [-1, 1]) for name in recipe.form.inputs]
    span = [min(low for low, _ in ranges), max(high for _, high in ranges)]
    return {
        "schema": "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/"
        "meta_schema_20240725.json",
        "version": __version__,
        "changelog": {__version__: "trained by configs/train.json"},
        "monai_version": versions["monai"],
        "pytorch_version": versions["torch"],
        "numpy_version": versions["numpy"],
        "required_packages_version": {name: versions[name] for name in _PACKAGES[3:] if name in versions},
        "name": facts.name,
        "task": "Correction of a segmentation by one stroke along the true boundary",
        "description": "Moves the boundary of a segmentation to a stroke nearby and leaves the rest as it is; for "
        "SparseToPrecise. Research use only.",
        "authors": "The SparseToPrecise developers",
        "copyright": "Apache-2.0",
        "data_source": facts.source,
        "data_type": "image, segmentation and stroke",
        "intended_use": "Research. Not for diagnosis.",
        "references": [
            "Shahin, Zhuang, El-Zehiry: From Sparse to Precise: A Practical Editing Approach for Intracardiac "
            "Echocardiography Segmentation, 2023"
        ],
        "network_data_format": {
            "inputs": {
                "image": {
                    "type": "image",
                    "num_channels": len(recipe.form.inputs),
                    "value_range": span,
                    "channel_def": {str(number): name for number, name in enumerate(recipe.form.inputs)},
                    **channels,
                }
            },
            "outputs": {
                "pred": {
                    "type": "logits",
                    "num_channels": 1,
                    "value_range": [],
                    "channel_def": {"0": "correction of the proposal" if recipe.form.residual else "logit"},
                    **channels,
                }
            },
        },
        "family": FAMILY,
        "network": dict(recipe.network),
        "parameters": {
            **form_parameters(recipe.form),
            "working_spacing": WORKING_SPACING,
        },
        "training": {
            "data": facts.source,
            "cases": facts.cases,
            "validation_cases": facts.validation_cases,
            "validation_cases_from_training_cases": facts.held_back,
            "seeds": {"recipe": recipe.seed, "simulation": recipe.simulation.seed},
            "objective": recipe.objective,
            "steps": facts.rows[-1]["steps"],
            "minutes": facts.rows[-1]["minutes"],
            "clock": "computing time of the process" if facts.device == "cpu" else "wall time",
            "wall_seconds_with_simulation": round(facts.seconds, 1),
            "device": facts.device,
            "processes": facts.processes,
            "simulation_cases_per_second": round(facts.generation.cases_per_second, 3) or None,
            "simulation_workers": facts.generation.workers or None,
            "best": {key: value for key, value in facts.best.items() if value == value},
            "date": datetime.now(timezone.utc).date().isoformat(),
            "software": {"sparse-to-precise": __version__, "python": platform.python_version(), **versions},
        },
    }


def model_card(recipe: Recipe, facts: Facts, metadata: dict[str, Any]) -> str:
    """docs/README.md of the bundle (Markdown). Every number in it is from the recipe or the log."""
    best, first, training = facts.best, facts.rows[0], metadata["training"]
    made = (
        f" They were simulated at {facts.generation.cases_per_second:.1f} cases a second by "
        f"{facts.generation.workers} process(es)."
        if facts.generation.cases
        else ""
    )
    if facts.user_cases is None:
        data = (
            f"{facts.cases} cases simulated on {recipe.phantoms} procedural phantoms (families "
            f"{', '.join(recipe.simulation.families)}; random contrast, so that no modality is special).{made} "
            "**The model has never seen a patient.**"
        )
        checked = f"{facts.validation_cases} cases on {recipe.validation_phantoms} other phantoms of the same families."
    else:
        data = (
            f"{facts.cases} cases simulated in {recipe.cubes} cubes around random boundary points of "
            f"{facts.user_cases} case(s) that a user gave.{made}"
        )
        checked = f"{facts.validation_cases} cases from images that training did not see."
        if facts.held_back:
            checked = (
                f"{facts.validation_cases} cases in {recipe.validation_cubes} cubes held back by seed **from the same "
                "images**: whether the model fits other images is not measured."
            )
    form = "corrects the image-aware warp (a proposal that needs no training)" if recipe.form.residual else "redraws"
    before = "the image-aware warp itself" if recipe.form.residual else "the untrained network"
    limits = {"minutes": recipe.minutes, "epochs": recipe.epochs, "steps": recipe.steps}
    ends = [f"{value:g} {unit}" for unit, value in limits.items() if value is not None]
    software = ", ".join(f"{name} {number}" for name, number in training["software"].items())
    return f"""# {facts.name}

Corrects a segmentation near one stroke that a user draws where the true boundary runs. For SparseToPrecise; after
Shahin, Zhuang and El-Zehiry, "From Sparse to Precise" (2023). Research use only, not for diagnosis.

## What it does

A {recipe.network["name"]} sees {", ".join(recipe.form.inputs)} on a cube around the stroke and {form}. Nothing outside
the influence radius changes, whatever the network says: the program composes its answer with the old segmentation.

Working spacing: {WORKING_SPACING}.

```bash
sparse-to-precise edit IMAGE SEGMENTATION STROKE --output OUT --model {facts.name}
```

## Training

- Data: {data}
- Objective: {recipe.objective}; Adam, learning rate {recipe.learning_rate:g} falling to 0 along a cosine, batch
  {recipe.batch_size} per process, gradients clipped at norm 1{", computed in bfloat16" if recipe.bfloat16 else ""}.
- Ended after {" or ".join(ends)}: {training["steps"]} steps in {training["minutes"]:.1f} minutes ({training["clock"]})
  on {facts.device}, {facts.processes} process(es); {facts.seconds / 60:.1f} minutes of wall time with the simulation.
- Seeds: {recipe.seed} (weights, order), {recipe.simulation.seed} (simulation).
- Software: {software}.

The recipe is `configs/train.json`; `python -m monai.bundle run training --config_file configs/train.json` runs it
again.

## Validation

On {checked}

| | validation loss | share of the error inside the influence zone that is removed |
|---|---:|---:|
| before training ({before}) | {first["validation_loss"]:.5f} | {first["in_zone_error_removed"]:.1%} |
| these weights (step {best["steps"]}) | {best["validation_loss"]:.5f} | {best["in_zone_error_removed"]:.1%} |

![validation](validation.png)

All rows are in [log.csv](log.csv). Of all rows, the weights with the lowest validation loss are kept. These are
simulated strokes on simulated errors; the comparison on real images, beside other methods, is in the project's
benchmark.
"""


def validation_curve(rows: Sequence[dict[str, float]], residual: bool) -> bytes:
    """A PNG of the loss and of the share of in-zone error removed, over the steps."""
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
    right.plot(steps, [100 * row["in_zone_error_removed"] for row in rows], "o-", color="tab:green")
    if residual:
        start = 100 * rows[0]["in_zone_error_removed"]
        right.axhline(start, color="gray", linestyle="--", label="image-aware warp (before training)")
        right.legend()
    right.set(xlabel="steps", ylabel="in-zone error removed (%)")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # Slicer brings some without their metadata
            continue
    return {"torch": "unknown", "monai": "unknown", "numpy": "unknown", **found}
