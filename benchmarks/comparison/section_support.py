"""Common support: slices that nobody labelled, and a boundary that ends early."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from SparseToPreciseLib.comparison.compare import compare
from SparseToPreciseLib.comparison.thickness import sides, thickness
from SparseToPreciseLib.core.volume import Volume

from ..tables import number, percent, table
from .context import Context

TITLE = "Common support"
GONE = 0.3
_LAYER_MM = 0.9


def run(context: Context) -> dict:
    stacks, organs = [], []
    for case in range(context.supports):
        rng = np.random.default_rng([context.seed, case])
        stacks.append(_unlabelled(*_stack(rng), rng))
        organs.append(_unlabelled(*_organ(rng), rng))
    return {"stacks": _summary(stacks), "organs": _summary(organs), "layer": _layer()}


def _stack(rng: np.random.Generator) -> tuple[Volume, Volume]:
    """Every slice the same, so that what is left says exactly what the whole says."""
    disc = np.hypot(*(np.indices((60, 60)) - 30)) < rng.uniform(12, 20)
    other = np.roll(disc, rng.integers(1, 4, 2), axis=(0, 1))
    return tuple(Volume(np.repeat(one[None], 30, axis=0), np.diag([1, 1, 3, 1])) for one in (disc, other))


def _organ(rng: np.random.Generator) -> tuple[Volume, Volume]:
    """A lump, and the same by a rater who is a little elsewhere everywhere."""
    points = np.indices((40, 64, 64)) - np.array([20, 32, 32]).reshape(3, 1, 1, 1)
    radius = np.sqrt(np.square(points / np.array([17, 24, 20]).reshape(3, 1, 1, 1)).sum(axis=0))
    noise = [ndimage.gaussian_filter(rng.standard_normal(radius.shape), (3, 5, 5)) for _ in range(2)]
    shape = radius + 6 * noise[0]
    return tuple(Volume(one < 1, np.diag([1, 1, 2.5, 1])) for one in (shape, shape + 3 * noise[1]))


def _unlabelled(a: Volume, b: Volume, rng: np.random.Generator) -> dict:
    there = np.flatnonzero(b.array.any(axis=(1, 2)))
    gone = b.array.copy()
    gone[rng.choice(there, round(GONE * len(there)), replace=False)] = False
    full, part = compare(a, b), compare(a, b.with_array(gone))
    return {
        "full": full.overlap.dice,
        "naive": part.overlap.dice,
        "common": part.common_overlap.dice,
        "full_hd95": full.distances.hd95,
        "naive_hd95": part.distances.hd95,
        "common_hd95": part.common_distances.hd95,
    }


def _summary(cases: list[dict]) -> dict:
    found = {key: float(np.mean([one[key] for one in cases])) for key in cases[0]}
    changes = [abs(one["common"] - one["full"]) for one in cases]
    return {**found, "cases": len(cases), "mean_change": float(np.mean(changes)), "largest_change": float(max(changes))}


def _layer() -> dict:
    """A layer that is as thick as an artery's intima and media, one of whose boundaries ends at half its length."""
    spacing = (0.06, 0.06, 0.5)
    i, j = np.meshgrid(np.arange(200), np.arange(80))
    middle = 40 + 6 * np.sin(i / 30)
    sheet = np.abs(j - middle) <= _LAYER_MM / 2 / spacing[1]
    layer = Volume(np.pad(np.repeat(sheet[None], 12, axis=0), ((2, 2), (0, 0), (4, 4))), np.diag([*spacing, 1]))
    short = layer.array.copy()
    short[..., 104:] = False
    lower, upper = sides(layer, axis=1)
    ends_early = sides(layer.with_array(short), axis=1)[1]
    found = {"both": thickness(lower, upper, layer.grid, 1).mean_mm}
    for name, common in (("naive", False), ("common", True)):
        one = thickness(lower, ends_early, layer.grid, 1, common_support=common)
        found |= {name: one.mean_mm, f"{name}_sd": one.sd_mm, "excluded": one.excluded_share}
    return found


def render(found: dict) -> str:
    rows = [
        [name, number(one["full"], 3), number(one["naive"], 3), number(one["common"], 3),
         number(one["mean_change"], 4), number(one["largest_change"], 4),
         f"{number(one['full_hd95'], 1)} / {number(one['naive_hd95'], 1)} / {number(one['common_hd95'], 1)}"]
        for name, one in (("stacks of equal slices", found["stacks"]), ("lumps, two raters", found["organs"]))
    ]  # fmt: skip
    layer = found["layer"]
    head = ["30 % of the slices of B unlabelled", "Dice before", "all slices", "common slices", "mean change",
            "largest change", "HD95 (mm): before / all / common"]  # fmt: skip
    bias = [[name, number(layer[key], 3), number(layer[key] - layer["both"], 3, True)]
            for name, key in (("both boundaries whole", "both"), ("one ends early, all points", "naive"),
                              ("one ends early, common columns", "common"))]  # fmt: skip
    return (
        f"{found['stacks']['cases']} cases of each. Change: of Dice on the common slices against Dice before the "
        "slices were taken out. Where every slice is alike nothing changes; where slices differ, those that are left "
        "have another Dice of their own, which is no error.\n\n"
        + table(head, rows)
        + f"\n\nThickness of a wavy layer of {_LAYER_MM:g} mm across its surface's axis, of which one boundary ends at "
        f"half the length ({percent(layer['excluded'])} of the columns hold one boundary alone):\n\n"
        + table(["", "thickness (mm)", "bias (mm)"], bias)
    )


def verdict(found: dict) -> list[str]:
    layer = found["layer"]
    return [
        f"Dice on common slices after 30 % of one mask's slices are gone (bar: ± 0.001): changes by at most "
        f"{number(found['stacks']['largest_change'], 4)} where slices are alike, and by "
        f"{number(found['organs']['largest_change'], 4)} on lumps, whose slices differ.",
        f"Thickness where one boundary ends early: bias {number(layer['naive'] - layer['both'], 3, True)} mm with all "
        f"points, {number(layer['common'] - layer['both'], 3, True)} mm on common columns.",
    ]
