"""What a bundle says of itself: metadata, model card and validation curve, from the recipe and the log alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..core.training import card as common
from .dataset import Generation
from .guidance import RADIUS_PER_SIGMA
from .model import FAMILY, MULTIPLE
from .network import form_parameters
from .working_grid import MARGIN_SIGMAS, SIGMA_VOXELS

if TYPE_CHECKING:
    from .recipe import Recipe

_PACKAGES = ("scipy", "SimpleITK", "scikit-image")
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
    def source(self) -> str:
        return "phantoms" if self.user_cases is None else f"user cases ({self.user_cases})"


def bundle_metadata(recipe: Recipe, facts: Facts) -> dict[str, Any]:
    """MONAI's keys and ours; everything a reader or the program must know of the model."""
    cube = {"format": "cube around the stroke", "spatial_shape": [f"{MULTIPLE} * n"] * 3, "is_patch_data": False}
    ranges = [_RANGES.get(name, [-1, 1]) for name in recipe.form.inputs]
    span = [min(low for low, _ in ranges), max(high for _, high in ranges)]
    said = "correction of the proposal" if recipe.form.residual else "logit"
    return {
        **common.common_metadata(facts.name, _PACKAGES, facts.source),
        "task": "Correction of a segmentation by one stroke along the true boundary",
        "description": "Moves the boundary of a segmentation to a stroke nearby and leaves the rest as it is; for "
        "SparseToPrecise. Research use only.",
        "data_type": "image, segmentation and stroke",
        "references": [
            "Shahin, Zhuang, El-Zehiry: From Sparse to Precise: A Practical Editing Approach for Intracardiac "
            "Echocardiography Segmentation, 2023"
        ],
        "network_data_format": common.network_data_format(recipe.form.inputs, span, [said], "logits", cube),
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
            "simulation_cases_per_second": round(facts.generation.cases_per_second, 3) or None,
            "simulation_workers": facts.generation.workers or None,
            **common.training_facts(facts.rows, facts.device, facts.processes, facts.seconds, _PACKAGES),
        },
    }


def model_card(recipe: Recipe, facts: Facts, metadata: dict[str, Any]) -> str:
    """docs/README.md of the bundle (Markdown). Every number in it is from the recipe or the log."""
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
    measures = {
        "validation_loss": ("validation loss", ".5f"),
        "in_zone_error_removed": ("share of the error inside the influence zone that is removed", ".1%"),
    }
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
- The simulation has seed {recipe.simulation.seed}; its time counts as wall time alone.
{common.how_it_ended(recipe, metadata["training"])}

## Validation

On {checked}

{common.before_and_after(facts.rows, measures, f"before training ({before})")}

![validation](validation.png)

All rows are in [log.csv](log.csv). Of all rows, the weights with the lowest validation loss are kept. These are
simulated strokes on simulated errors; the comparison on real images, beside other methods, is in the project's
benchmark.
"""


def validation_curve(rows: Sequence[dict[str, float]], residual: bool) -> bytes:
    """A PNG of the loss and of the share of in-zone error removed, over the steps."""
    start = "image-aware warp (before training)" if residual else ""
    return common.validation_curve(rows, {"in_zone_error_removed": "in-zone error removed"}, "share", start)
