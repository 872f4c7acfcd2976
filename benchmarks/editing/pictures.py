"""Before, stroke and after of real cases on the stroke's plane."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from SparseToPreciseLib.core.masks import dice
from SparseToPreciseLib.core.volume import Grid, Volume
from SparseToPreciseLib.pictures.editing import planes_through
from SparseToPreciseLib.pictures.slices import Plane

from ..tables import number
from .answers import Answerer, Tools, zone_of
from .cases import SEGMENTER_STEPS, Case, on_fine, simulated_real_cases
from .context import Context

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TITLE = "Pictures"
PICTURE = "editing-real-cases.png"
SHOWN = ((0, "ambiguous"), (2, "segmenter"), (3, "geometric"), (8, "ambiguous"))
"""Number of the structure and kind of error."""

TRUTH, BEFORE, AFTER, STROKE, ZONE = "#b6ff3d", "#ffb000", "#2fd3ff", "#ff3d9a", "#ffffff"
_PIXELS = 320


def run(context: Context) -> dict:
    keys = list(dict.fromkeys(["image-aware-warp", context.tools.default]))
    if len(keys) == 1:
        keys.insert(0, "signed-distance-warp")
    rows = [_row(context, structure, kind, keys) for structure, kind in SHOWN[: context.size.pictures]]
    rows = [row for row in rows if row]
    if rows:
        _draw([row["drawing"] for row in rows], context.tools, keys, context.images / PICTURE)
    return {"editors": keys, "cases": [row["numbers"] for row in rows], "records": []}


def _row(context: Context, structure: int, kind: str, keys: list[str]) -> dict | None:
    tried = len(SEGMENTER_STEPS) if kind == "segmenter" else 1
    case = next(simulated_real_cases(tried, context.seed + 4, kind, (structure,)), None)
    drawn = case and case.stroke(np.random.default_rng([context.seed, 7, structure]))
    if drawn is None:
        return None
    answerer = Answerer(context.tools, case, *drawn)
    answers = {row.key: answerer(row)[0] for row in context.tools.rows(*keys)}
    numbers = {"name": case.name, "kind": kind, "before": dice(case.truth.array, case.current.array)}
    numbers |= {key: dice(case.truth.array, answer) for key, answer in answers.items()}
    return {"drawing": (case, drawn, answers, numbers), "numbers": numbers}


def _draw(rows: list[tuple], tools: Tools, keys: list[str], path: Path) -> None:
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    side = 2.9
    columns = 2 + len(keys)
    figure = Figure(figsize=(side * columns, side * len(rows) + 0.5), facecolor="black", layout="constrained")
    grid = figure.subplots(len(rows), columns, squeeze=False)
    labels = {row.key: row.label.replace("**", "") for row in tools.rows(*keys)}
    for axes, (case, (stroke, radius), answers, numbers) in zip(grid, rows, strict=True):
        plane = planes_through(stroke, case.image.grid)[0]
        half = float(np.ptp(stroke, axis=0).max() / 2 + 2.2 * radius)
        section = plane.grid(half, _PIXELS)
        window = _window(case, stroke, radius)
        for place in axes:
            _background(place, case, section, half, window)
        _outline(axes[0], case, case.current, section, half, BEFORE)
        _outline(axes[1], case, case.current, section, half, BEFORE)
        _zone_and_stroke(axes[1], case, stroke, radius, plane, section, half)
        for place, key in zip(axes[2:], keys, strict=True):
            _outline(place, case, case.truth.with_array(answers[key]), section, half, AFTER)
        for place in (axes[0], *axes[2:]):
            _outline(place, case, case.truth, section, half, TRUTH, linestyles="dotted")
        words = [f"{case.name}, {case.kind}: Dice {number(numbers['before'], 3)}", f"stroke, radius {radius:.0f} mm"]
        words += [f"{labels[key]}: {number(numbers[key], 3)}" for key in keys]
        for place, text in zip(axes, words, strict=True):
            place.set_title(text, color="white", fontsize=8, pad=3)
    entries = {"before": BEFORE, "after": AFTER, "truth": TRUTH, "stroke": STROKE, "influence radius": ZONE}
    styles = {"truth": ":", "influence radius": "--"}
    lines = [Line2D([], [], color=color, linestyle=styles.get(name, "-")) for name, color in entries.items()]
    figure.legend(lines, entries, loc="outside lower center", ncols=5, frameon=False, labelcolor="white", fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100, facecolor="black")


def _window(case: Case, stroke: np.ndarray, radius: float) -> tuple[float, float]:
    """Lowest and highest intensity shown: what lies in the influence zone, and a good deal more."""
    low, high = np.percentile(case.image.array[zone_of(case.image.grid, stroke, radius)], (10, 97))
    return float(low - 0.5 * (high - low)), float(high + 0.5 * (high - low))


def _background(axes: Axes, case: Case, section: Grid, half: float, window: tuple[float, float]) -> None:
    image = case.image.resampled_to(section, fill=np.nan).array[0]
    low, high = window
    axes.imshow(image, cmap="gray", vmin=low, vmax=high, extent=(-half, half, -half, half), interpolation="bilinear")
    axes.set(facecolor="black", xlim=(-half, half), ylim=(-half, half), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def _outline(axes: Axes, case: Case, mask: Volume, section: Grid, half: float, color: str, **style) -> None:
    """The boundary of a mask, smooth through its signed distance."""
    distance = Volume(on_fine(mask, case.fine), case.fine.ijk_to_ras)
    _contour(axes, distance.resampled_to(section).array[0], half, color, **style)


def _contour(axes: Axes, values: np.ndarray, half: float, color: str, **style) -> None:
    if values.min() < 0 < values.max():
        middle = half - half / _PIXELS  # pixel centres
        options = {"linewidths": 1.4, **style}
        axes.contour(values, [0.0], colors=[color], extent=(-middle, middle, middle, -middle), origin=None, **options)


def _zone_and_stroke(
    axes: Axes, case: Case, stroke: np.ndarray, radius: float, plane: Plane, section: Grid, half: float
) -> None:
    inside = zone_of(section, stroke, radius)[0].astype(np.float32) - 0.5
    _contour(axes, inside, half, ZONE, linewidths=0.9, linestyles="dashed")
    flat, _ = plane.project(stroke)
    axes.plot(*flat.T, color=STROKE, linewidth=2.2, solid_capstyle="round")


def render(found: dict) -> str:
    if not found["cases"]:
        return "No pictures in this run."
    return (
        f"![Before, stroke and after of real cases on the stroke's plane](../images/{PICTURE})\n\n"
        "Slices of the test reference images of TotalSegmentator (github.com/wasserth/TotalSegmentator, Apache-2.0)."
    )
