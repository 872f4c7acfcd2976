"""Surfaces with known answers, by us and by others."""

from __future__ import annotations

import numpy as np

from ..tables import number, percent, table
from .context import Context
from .rivals import installed
from .shapes import PAIRS, grid_of, mask_of, truth

TITLE = "Surface distances with known answers"
BAR = 0.1


def run(context: Context) -> dict:
    records = []
    for name, pair in PAIRS.items():
        right = truth(*pair)
        for ratio in context.ratios:
            for turn in range(context.turns):
                masks = [mask_of(shape, grid_of(ratio, turn)) for shape in pair]
                for tool, measure in installed().items():
                    found = measure(*masks)
                    errors = {key: found[key] - right[key] for key in right}
                    records.append({"pair": name, "ratio": ratio, "oblique": turn > 0, "tool": tool, **errors})
    rows: dict[str, dict] = {}
    for tool in dict.fromkeys(record["tool"] for record in records):
        own = [record for record in records if record["tool"] == tool]
        by = {f"{ratio:g}": [one for one in own if one["ratio"] == ratio] for ratio in context.ratios}
        rows[tool] = {ratio: _summary(cases, float(ratio)) for ratio, cases in by.items()}
    pairs = {
        name: {f"{ratio:g}": [[one["mean"], one["hd95"]] for one in records
                              if (one["pair"], one["ratio"], one["tool"]) == (name, ratio, "ours")]
               for ratio in context.ratios}
        for name in PAIRS
    }  # fmt: skip
    return {"rows": rows, "pairs": pairs, "truth": {name: truth(*pair) for name, pair in PAIRS.items()}}


def _summary(cases: list[dict], ratio: float) -> dict:
    found: dict[str, float] = {"cases": len(cases)}
    for key in ("mean", "hd95"):
        errors = np.abs([one[key] for one in cases])
        found |= {
            f"{key}_median": float(np.median(errors)),
            f"{key}_worst": float(errors.max()),
            f"{key}_within_finest": float((errors <= BAR).mean()),
            f"{key}_within_longest": float((errors <= BAR * ratio).mean()),
        }
    return found


def render(found: dict) -> str:
    ratios = list(next(iter(found["rows"].values())))
    parts = []
    for key, title in (("mean", "mean surface distance"), ("hd95", "HD95")):
        lines = [
            [tool, *(f"{number(by[r][f'{key}_median'])} / {number(by[r][f'{key}_worst'])}" for r in ratios),
             percent(_share(by, f"{key}_within_finest")), percent(_share(by, f"{key}_within_longest"))]
            for tool, by in found["rows"].items()
        ]  # fmt: skip
        head = [title, *(f"1:1:{ratio}" for ratio in ratios), "within 0.1 of 1 mm", "within 0.1 of the longest side"]
        parts.append(table(head, lines))
    lines = [
        [name, f"{number(found['truth'][name]['mean'])} / {number(found['truth'][name]['hd95'])}",
         *("; ".join(f"{number(mean, 2, True)} / {number(hd95, 2, True)}" for mean, hd95 in by[r]) for r in ratios)]
        for name, by in found["pairs"].items()
    ]  # fmt: skip
    cases = sum(one["cases"] for one in found["rows"]["ours"].values())
    return (
        f"{cases} pairs of masks: {len(found['pairs'])} pairs of shapes on grids of voxels of 1 × 1 mm and 1, 2, 3 or "
        "6 mm, along the axes and oblique. The truth is that of the shapes themselves, not of their masks, by area. "
        "Median / largest error without its sign, mm; then the share of all pairs that is within a tenth of the finest "
        "and of the longest side of a voxel. Others are as they define themselves.\n\n"
        + "\n\n".join(parts)
        + "\n\nOurs by pair: the true mean / HD95, and the errors of both, mm, along the axes; oblique:\n\n"
        + table(["pair", "truth", *(f"1:1:{ratio}" for ratio in ratios)], lines)
    )


def _share(by: dict, key: str) -> float:
    return sum(one[key] * one["cases"] for one in by.values()) / sum(one["cases"] for one in by.values())


def verdict(found: dict) -> list[str]:
    by = found["rows"]["ours"]
    told = []
    for key, name in (("mean", "Mean surface distance"), ("hd95", "HD95")):
        told.append(
            f"{name} within 0.1 voxel (bar: all): {percent(_share(by, f'{key}_within_longest'))} of the pairs by the "
            f"longest side of a voxel, {percent(_share(by, f'{key}_within_finest'))} by the finest; the largest error "
            f"is {number(max(one[f'{key}_worst'] for one in by.values()))} mm."
        )
    return told
