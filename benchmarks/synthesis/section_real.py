"""Real heads, which no model was trained on: a pair of templates, and a brain whose skull was taken away."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from SparseToPreciseLib.core.images import read_image
from SparseToPreciseLib.core.masks import dice
from SparseToPreciseLib.core.volume import Volume
from SparseToPreciseLib.synthesis.body import grown
from SparseToPreciseLib.synthesis.hu import AIR_BELOW, BONE_ABOVE
from SparseToPreciseLib.synthesis.metrics import evaluate
from SparseToPreciseLib.synthesis.model import load_model
from SparseToPreciseLib.synthesis.synthesize import SynthesisResult, synthesize

from ..harness import DATA
from ..tables import number, percent, table
from .context import Context

TITLE = "Real images"

MR, CT = "mni152_t1_head_2mm.nii.gz", "ct_template_head_2mm_hu.nii.gz"
BRAIN, TUMOUR = "colin27_t1_1mm.nii.gz", "brain_tumor1_t1gd.nrrd"
GOAL_DICE, GOAL_INVENTED = 0.6, 0.001

_SOFT_HU, _BONE_HU = 40.0, 700.0
_SKIN_MM, _RIM_MM = 4.0, 8.0
_BASE_RAS = -22.0
"""Height (mm) in the templates' space below which face and base of the skull lie."""


@lru_cache(maxsize=1)
def answers(model: str) -> dict[str, tuple[Volume, SynthesisResult]]:
    """File to image and its synthesis."""
    synthesizer = load_model(model, "cpu")
    images = {name: read_image(DATA / name) for name in (MR, BRAIN, TUMOUR)}
    return {name: (image, synthesize(image, synthesizer)) for name, image in images.items()}


def run(context: Context) -> dict:
    if not DATA.is_dir():
        return {}
    found = answers(str(context.model))
    mr, result = found[MR]
    reference = read_image(DATA / CT)
    body = result.body
    inside = body.array != 0
    truth = reference.resampled_to(mr.grid).array
    rows = {"default model": result.ct.array}
    rows |= rules(mr, inside, truth)
    low = mr.grid.points_ras()[..., 2] < _BASE_RAS
    brain, answer = found[BRAIN]
    bone = answer.ct.array > BONE_ABOVE
    there = answer.body.array != 0
    deep = grown(there, -_RIM_MM, brain.grid.spacing_kji)
    return {
        "rows": {name: _scores(mr.with_array(array), reference, body, truth, low) for name, array in rows.items()},
        "invented": {
            "brain": float(bone[there].mean()),
            "deep": float(bone[deep].mean()),
            "rim_mm": _RIM_MM,
            "above_100": float((answer.ct.array > 100)[deep].mean()),
        },
        "warnings": {name: result.warnings for name, (_, result) in found.items()},
    }


def rules(mr: Volume, inside: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    """HU arrays of what needs no model; the last two know the reference."""
    from skimage.filters import threshold_otsu

    air = np.full(mr.shape, -1024.0, np.float32)
    soft = np.where(inside, _SOFT_HU, air)
    under = grown(inside, -_SKIN_MM, mr.grid.spacing_kji)
    values = mr.array

    def dark(threshold: float) -> np.ndarray:
        return np.where(under & (values < threshold), _BONE_HU, soft)

    bone = (truth > BONE_ABOVE) & inside
    tried = np.percentile(values[inside], np.arange(2, 60, 2))
    best = max(tried, key=lambda threshold: dice((dark(threshold) > BONE_ABOVE) & inside, bone))
    classes = np.select([truth < AIR_BELOW, truth > BONE_ABOVE], [1, 2], 0)
    means = np.array([truth[inside & (classes == one)].mean() for one in range(3)])
    return {
        "soft tissue everywhere": soft,
        "dark is bone (Otsu)": dark(float(threshold_otsu(values[inside]))),
        "dark is bone, threshold chosen on the reference": dark(float(best)),
        "mean of the reference's own classes": np.where(inside, means[classes], air),
    }


def _scores(ct: Volume, reference: Volume, body: Volume, truth: np.ndarray, low: np.ndarray) -> dict[str, float | None]:
    measured = evaluate(ct, reference, body)
    inside = body.array != 0
    made, true = ((array > BONE_ABOVE) & inside for array in (ct.array, truth))
    spread = float(np.ptp(ct.array[inside]))
    correlation = float(np.corrcoef(ct.array[inside], truth[inside])[0, 1]) if spread else None
    return {
        "mae": measured.mae,
        "air": measured.air,
        "soft": measured.soft,
        "bone": measured.bone,
        "bone_edge": measured.bone_edge,
        "dice": measured.bone_dice,
        "dice_vault": dice(made & ~low, true & ~low),
        "dice_base": dice(made & low, true & low),
        "bone_ml": float(made.sum() * ct.grid.voxel_volume_mm3 / 1000),
        "true_ml": float(true.sum() * ct.grid.voxel_volume_mm3 / 1000),
        "correlation": correlation,
    }


def render(found: dict) -> str:
    if not found:
        return "The real images are not on this machine, so nothing was measured on them."
    lines = []
    for name, row in found["rows"].items():
        bold = "**" if name == "default model" else ""
        lines.append(
            [
                f"{bold}{name}{bold}",
                number(row["correlation"]),
                *(number(row[key]) for key in ("dice", "dice_vault", "dice_base")),
                *(number(row[key], 0) for key in ("mae", "air", "soft", "bone", "bone_ml")),
            ]
        )
    head = ["", "correlation", "bone Dice", "vault", "base and face", "MAE", "air", "soft", "bone", "bone (ml)"]
    invented = found["invented"]
    first = next(iter(found["rows"].values()))
    return (
        "**Templates.** The mean T1 of many heads (MNI152) and the mean CT of other heads, on one grid of 2 mm; no "
        "model was trained on them. A mean is smooth, and the two are of different people: this is plausibility, not "
        "accuracy. "
        f"Within the body that the tool finds in the MR; bone is above 250 HU ({number(first['true_ml'], 0)} ml in the "
        "reference), errors in HU. The last two rows know the reference.\n\n"
        + table(head, lines)
        + "\n\n**A brain without skull** (colin27, roughly skull-stripped, a contrast and a field of view of its own): "
        f"{percent_fine(invented['brain'])} of the voxels of the body mask are above 250 HU, and "
        f"{percent_fine(invented['deep'])} of those more than {invented['rim_mm']:g} mm from its rim "
        f"({percent_fine(invented['above_100'])} above 100 HU)."
        + "".join(f"\n\nWhat the tool warns of in {name}: {' '.join(said)}" for name, said in _told(found))
    )


def verdict(found: dict) -> list[str]:
    if not found:
        return ["The real images are not on this machine: plausibility was not measured."]
    own, rule = found["rows"]["default model"], found["rows"]["dark is bone (Otsu)"]
    best = found["rows"]["dark is bone, threshold chosen on the reference"]
    reached = "reaches" if own["dice"] >= GOAL_DICE else "misses"
    lines = [
        f"On the real pair of templates the default model {reached} the goal of a bone Dice of {GOAL_DICE:g}: "
        f"{number(own['dice'])} ({number(own['dice_vault'])} in the vault, {number(own['dice_base'])} in base and "
        f"face), where calling everything dark bone has {number(rule['dice'])}, and {number(best['dice'])} with a "
        "threshold chosen on the reference."
    ]
    flat = found["rows"]["soft tissue everywhere"]
    if own["mae"] > flat["mae"]:
        lines.append(
            f"Its mean absolute error on the smooth mean CT is {number(own['mae'], 0)} HU, more than the "
            f"{number(flat['mae'], 0)} HU of soft tissue everywhere: a mean of many heads has little bone and air to "
            "be wrong about."
        )
    if found["invented"]["deep"] > GOAL_INVENTED:
        lines.append(
            f"In a skull-stripped brain the default model invents bone in {percent_fine(found['invented']['deep'])} of "
            "the voxels away from its rim."
        )
    return lines


def percent_fine(value: float) -> str:
    """With two digits below 1 %."""
    return percent(value) if value >= 0.0995 else f"{number(100 * value)} %"


def _told(found: dict) -> list[tuple[str, list[str]]]:
    return [(name, said) for name, said in found["warnings"].items() if said]
