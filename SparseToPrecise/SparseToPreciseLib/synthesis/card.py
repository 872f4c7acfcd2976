"""What a synthesis bundle says of itself: metadata, model card and validation curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..core.training.card import (
    before_and_after,
    common_metadata,
    how_it_ended,
    network_data_format,
    paragraph,
    training_facts,
    validation_curve,
)
from .body import BACKGROUND, BODY_PARAMETERS, BRIGHT, HIGHEST
from .model import FAMILY

if TYPE_CHECKING:
    from .recipe import SynthesisRecipe

_PACKAGES = ("scipy", "scikit-image", "SimpleITK")
_OBJECTIVES = {
    "frequency": "mean |high − true high| + mean |low + high − CT|",
    "l1": "mean |CT − true CT|",
    "l1-gradient": "mean |CT − true CT| + the gradient difference",
}
_OUTPUTS = {
    "low": "low band of the CT, units of the window",
    "high": "high band of the CT, units of the window",
    "high_probability": "weight of the high band",
    "ct": "CT, units of the window",
}


@dataclass(frozen=True)
class SynthesisFacts:
    """What happened in a training.

    Attributes
    ----------
    name, rows
        Of the bundle; of the training log.
    pairs, validation_pairs
        How many there were.
    on_phantoms
        Whether they were phantoms; else a user's.
    held_back
        Whether training did not see those for validation.
    seen
        From `likeness.seen_in`.
    device, processes, seconds
        Where it was trained, in how many processes, wall time of everything.
    """

    name: str
    rows: Sequence[dict[str, float]]
    pairs: int
    validation_pairs: int
    on_phantoms: bool
    held_back: bool
    seen: dict[str, Any]
    device: str
    processes: int
    seconds: float

    @property
    def source(self) -> str:
        return "phantoms" if self.on_phantoms else f"user pairs ({self.pairs})"


def bundle_metadata(recipe: SynthesisRecipe, facts: SynthesisFacts) -> dict[str, Any]:
    """MONAI's keys and ours; everything a reader or the program must know of the model."""
    shape = ["32 + 16 * n"] * 3
    patch = {"format": "isotropic lattice along R, A and S", "spatial_shape": shape, "is_patch_data": True}
    outputs = [_OUTPUTS[name] for name in recipe.outputs]
    return {
        **common_metadata(facts.name, _PACKAGES, facts.source),
        "task": "Synthetic CT from MR",
        "description": "Makes a CT in HU of an MR; for SparseToPrecise. Research use only."
        + (" Trained on phantoms only: anatomy plausible, HU not validated." if facts.on_phantoms else ""),
        "data_type": "MR",
        "references": [
            "Shi, Mettes, Zheng, Snoek: Frequency-Supervised MR-to-CT Image Synthesis, MICCAI DGM4 workshop 2021",
        ],
        "network_data_format": network_data_format(
            ["MR, air −2, brightest 2"], [BACKGROUND - 1, HIGHEST], outputs, "image", patch
        ),
        "family": FAMILY,
        "network": dict(recipe.network),
        "parameters": {
            "modality": "MR",
            "spacing_mm": recipe.spacing_mm,
            "hu_window": list(recipe.hu_window),
            "sigma_mm": recipe.sigma_mm,
            "outputs": list(recipe.outputs),
            "tile": recipe.tile,
            "flips": recipe.sampling.flips,
            "body": BODY_PARAMETERS,
            "seen": facts.seen,
        },
        "training": {
            "data": facts.source,
            "pairs": facts.pairs,
            "validation_pairs": facts.validation_pairs,
            "held_back": facts.held_back,
            "objective": recipe.objective,
            "adversarial_weight": recipe.adversarial.weight,
            "seed": recipe.seed,
            **training_facts(facts.rows, facts.device, facts.processes, facts.seconds, _PACKAGES),
        },
    }


def model_card(recipe: SynthesisRecipe, facts: SynthesisFacts, metadata: dict[str, Any]) -> str:
    """docs/README.md of the bundle (Markdown). Every number in it is from the recipe or the log."""
    low, high = recipe.hu_window
    if facts.on_phantoms:
        data = (
            f"{facts.pairs} procedural head phantoms, each with another anatomy and another MR contrast; bone and air "
            "are both dark in their MR. **Phantoms only: anatomy plausible, HU not validated.** The model has never "
            "seen a patient."
        )
        checked = f"{facts.validation_pairs} other phantoms"
    else:
        data = f"{facts.pairs} pair(s) that a user gave. How well MR and CT were registered decides what comes of them."
        checked = f"{facts.validation_pairs} pair(s) that training did not see"
        if not facts.held_back:
            checked = "the **same pairs**: whether the model fits other images is not measured"
    bands = (
        f" It gives the low and the high band apart (Gaussian of {recipe.sigma_mm:g} mm on the whole volume) and the "
        "weight of the high one; their sum is the CT."
        if len(recipe.outputs) > 1
        else ""
    )
    weight = recipe.adversarial.weight
    adversarial = (
        f" A relativistic average patch GAN on the {'high band' if bands else 'CT'} is added with weight {weight:g} "
        f"after {recipe.adversarial.warm_up:.0%} of the training."
        if weight
        else ""
    )
    arguments = recipe.network.get("arguments", {})
    network = (
        f'{arguments["backbone"]["name"]} with the head "{arguments["head"]["name"]}"'
        if {"backbone", "head"} <= arguments.keys()
        else recipe.network["name"]
    )
    does = (
        f"A {network} sees the MR on voxels of {recipe.spacing_mm:g} mm along R, A and S, in tiles of {recipe.tile} "
        f"voxels, with air at {BACKGROUND:g} and the brightest of the body at {BRIGHT:g}.{bands} HU from {low:g} to "
        f"{high:g}; outside the body −1024."
    )
    measures = {
        "mae_hu": ("MAE (HU)", ".1f"),
        "high_mae_hu": ("MAE of the high band (HU)", ".1f"),
        "bone_dice": ("bone Dice (> 250 HU)", ".3f"),
    }
    return f"""# {facts.name}

Makes a synthetic CT (HU) of an MR. For SparseToPrecise; after Shi, Mettes, Zheng and Snoek, "Frequency-Supervised
MR-to-CT Image Synthesis" (2021). Research use only, not for diagnosis or for planning a treatment.

## What it does

{paragraph(does)}

```bash
sparse-to-precise synthesize MR --output CT --model {facts.name}
```

## Training

{paragraph("- Data: " + data)}
{paragraph(f"- Objective: {_OBJECTIVES[recipe.objective]}, within the body.{adversarial}")}
- Adam, learning rate {recipe.learning_rate:g} falling to 0 along a cosine, {recipe.batch_size} patch(es) of
  {recipe.sampling.patch} voxels a step and process, gradients clipped at norm 1{
        ", computed in bfloat16" if recipe.bfloat16 else ""
    }.
{how_it_ended(recipe, metadata["training"])}

## Validation

On {checked}. All rows are in [log.csv](log.csv); the weights with the lowest mean absolute error are kept.

{before_and_after(facts.rows, measures)}

![validation](validation.png)

How it does on real images, beside what it is built from, is in the project's benchmark.
"""


def curve(facts: SynthesisFacts) -> bytes:
    """A PNG of the losses and of the errors in HU over the steps."""
    measures = {"mae_hu": "MAE of the CT", "high_mae_hu": "MAE of the high band"}
    return validation_curve(facts.rows, measures, "HU")
