"""Another structure and scale: skulls of small animals in micro-CT, 0.1 mm, 8 bits, poses of 45 to 180 degrees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from itk_recipes import usual_recipe
from landmark_context import Context, errors, placed_summary, poses, summary, template_at, told
from scipy import ndimage
from section_landmark_brain import lost_table
from skull_phantom import LANDMARKS, LENGTH_MM, make_skull
from tables import number, table

from SparseToPreciseLib.landmarks.detect import detect
from SparseToPreciseLib.landmarks.reference import Reference

TITLE = "Skulls in micro-CT (phantoms)"
TEMPLATE = "skull"
NEAR_MM = 1.0
ANGLES = (45.0, 60.0, 75.0, 90.0, 105.0, 120.0, 135.0, 150.0, 165.0, 180.0)
ROWS = {
    "third": "usual recipe: image moments (ends by third moments), affine MI, demons",
    "all": "usual recipe, all ends of the axes tried",
    "moments": "the tool, pose by moments only",
    "search": "the tool, structure not searched: pose from the middle of the image",
    "full": "**the tool**",
}


def reference() -> Reference:
    """Individual 0 with its bone, as a user would get it by a threshold and its largest component."""
    skull = make_skull(0, 0.0, variation=0.5)
    labels, _ = ndimage.label(skull.image.array > 100)
    largest = 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    return Reference(skull.image, skull.image.with_array((labels == largest).astype(np.uint8), "bone"), skull.landmarks)


def measure(folder: Path, number_: int) -> dict:
    template = template_at(folder)
    angle = ANGLES[number_ % len(ANGLES)]
    skull = make_skull(100 + number_, angle)
    full = detect(template, skull.image, threshold=0.0)
    rows = {"full": full.placed, "moments": {}}
    if full.registered:
        place = full.place.centre
        rows["moments"] = detect(template, skull.image, threshold=0.0, seed_point=place, search=False).placed
    stages = ("pose", "rigid", "deformable")
    middle = skull.image.grid.to_ras((np.array(skull.image.shape[::-1]) - 1) / 2)
    rows["search"] = detect(template, skull.image, threshold=0.0, stages=stages, seed_point=middle).placed
    marks = template.references[0].landmarks
    usual = usual_recipe(template.references[0].image, skull.image, np.stack(list(marks.values())), ("third", "all"))
    rows |= {key: dict(zip(marks, points, strict=True)) for key, points in usual.items()}
    return {
        "angle": angle,
        "errors": {name: errors(skull.landmarks, found) for name, found in rows.items()},
        **told(full),
    }


def run(context: Context) -> dict:
    cases = context.each("skull", measure, TEMPLATE, range(context.counts.skulls))
    return {
        "rows": {name: summary(cases, name, NEAR_MM) for name in ROWS},
        "tool": placed_summary(cases, NEAR_MM),
        "poses": poses(cases),
        "training": context.templates.get(TEMPLATE, {}),
        "records": cases,
    }


def render(found: dict) -> str:
    lines = []
    for one in found["records"]:
        medians = [_middle(one["errors"][name]) for name in ROWS]
        sure = float(np.mean(list(one["confidence"].values())))
        lines.append([f"{one['angle']:g}°", *(number(value) for value in medians), number(sure)])
    return (
        f"Procedural skulls of {LENGTH_MM:g} mm (`benchmarks/landmarks/skull_phantom.py`): 0.1 mm voxels, 8 bits, "
        f"{len(LANDMARKS)} landmarks, hollow and nearly symmetric. The template was taught on one individual; the "
        f"others are stretched by up to 10 %, bent, of other bone thickness and tones, turned by 45 to 180 degrees. "
        "What is wanted is that no pair is lost. The figures in the goal (half of thirty pairs lost by the usual "
        "recipe, else 0.15 to 0.34 mm) are of real skulls, which are harder than these.\n\n"
        + lost_table(found, ROWS, NEAR_MM)
        + "\n\nMedian error (mm) of each pair, and the tool's mean confidence:\n\n"
        + table(["turned by", *(label.replace("**", "") for label in ROWS.values()), "confidence"], lines)
    )


def _middle(found: dict[str, float | None]) -> float:
    known = [error for error in found.values() if error is not None]
    return float(np.median(known)) if known else float("nan")
