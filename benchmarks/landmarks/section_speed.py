"""Time: the whole detection on a large volume beside full-volume demons, in one process with one thread."""

from __future__ import annotations

import time
from pathlib import Path

import SimpleITK as sitk

from SparseToPreciseLib.landmarks.detect import detect
from SparseToPreciseLib.phantoms.cochlea import make_cochlea

from ..tables import number, percent, table
from .context import Context, shares, template_at
from .itk_recipes import demons, to_image

TITLE = "Time"
TEMPLATE = "cochlea"
FIELD_MM = 96.0
ITERATIONS = {8: 40, 4: 30, 2: 15, 1: 2}
"""Of the demons by shrink factor."""
GOAL = 0.5


def measure(folder: Path, size: tuple[int, int, int]) -> dict:
    template = template_at(folder)
    spacing = [FIELD_MM / count for count in size]
    case = make_cochlea(4000, "benchmark", spacing_mm=spacing, field_mm=FIELD_MM)
    fixed = make_cochlea(4001, "benchmark", spacing_mm=spacing, field_mm=FIELD_MM).image
    own = template.places[0].centre  # loads what a template loads once
    assert own.shape == (3,) and template.surroundings
    started = time.process_time()
    found = detect(template, case.image)
    seconds = time.process_time() - started
    images = [to_image(one.array, one.grid) for one in (fixed, case.image)]
    shape = case.image.shape
    del case, fixed
    started = time.process_time()
    matched = sitk.Cast(images[1], sitk.sitkFloat32)
    demons(images[0], matched, ITERATIONS)
    whole = time.process_time() - started
    return {
        "shape": list(shape[::-1]),
        "detect": seconds,
        "demons": whole,
        "timings": found.timings,
        "placed": len(found.placed),
    }


def run(context: Context) -> dict:
    (found,) = context.each("speed", measure, TEMPLATE, [context.counts.large])
    return {**found, "shares": shares([found]), "trainings": context.templates}


def render(found: dict) -> str:
    ratio = found["detect"] / found["demons"]
    levels = [f"{count} at {'full' if shrink == 1 else f'1/{shrink}'}" for shrink, count in ITERATIONS.items()]
    steps = ", ".join(levels)
    rows = [[stage, percent(share)] for stage, share in found["shares"].items()]
    parts = [
        f"One thread; computing time, which other work on the machine does not lengthen. Target of "
        f"{' x '.join(str(one) for one in found['shape'])} voxels ({FIELD_MM:g} mm wide).",
        table(
            ["", "seconds", "ratio", "goal", ""],
            [
                ["full-volume demons", number(found["demons"], 1), "1", "", ""],
                [
                    "detect, all stages",
                    number(found["detect"], 1),
                    number(ratio),
                    f"≤ {GOAL:g}",
                    "reached" if ratio <= GOAL else "**missed**",
                ],
            ],
        ),
        f"The demons ran {steps} resolution, without any rigid stage before them. They are not done by then: at full "
        "resolution two iterations are far too few, and each further one costs as much again, so the ratio flatters "
        "them.",
        "Where the detection's time goes:",
        table(["stage", "share"], rows),
        "Training, on the CPU with one thread (computing minutes; the goal is 15 with default settings):",
        table(
            ["template", "steps", "of at most", "slices a step", "minutes", "minutes by the clock, machine shared"],
            [
                [
                    f"{name}, default settings" if name == "cochlea" else name,
                    str(one["steps"]),
                    str(one["limits"]["steps"]),
                    str(one["batch_size"]),
                    number(one["minutes"], 1),
                    number(one["wall_seconds"] / 60, 1),
                ]
                for name, one in found["trainings"].items()
            ],
        ),
    ]
    return "\n\n".join(parts)
