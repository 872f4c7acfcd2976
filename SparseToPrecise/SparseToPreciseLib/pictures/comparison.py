"""The picture of a comparison: the largest differences of each structure; of a batch, all numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..comparison.compare import Comparison
from ..core.volume import Volume
from .slices import (
    PIXELS,
    Sheet,
    draw_contour,
    draw_directions,
    draw_slice,
    intensity_window,
    plane_at,
    soft_mask,
)

A, B, PLACE = "#ffb000", "#2fd3ff", "#ff3d9a"
ROWS = 4
"""At most so many structures are drawn: those that differ most."""
_NORMALS = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
_ROOM = 1.1


def draw_comparison(path: Path, comparisons: Sequence[Comparison], image: Volume | None = None) -> None:
    """Draw axial, coronal and sagittal slices through the largest difference of structures as PNG.

    Parameters
    ----------
    path
        The file.
    comparisons
        A row each, the largest HD95 first; those after the fourth are left out.
    image
        Drawn below the contours; None: black.
    """
    worst = sorted(comparisons, key=lambda one: -one.distances.hd95)[:ROWS]
    sheet = Sheet(len(worst), len(_NORMALS), 2.8, foot=0.4)
    for row, comparison in enumerate(worst):
        masks = (comparison.a, comparison.b)
        points = np.concatenate([comparison.a_surface.points, comparison.b_surface.points])
        place = comparison.places[0].position if comparison.places else points[0]
        middle = (points.min(axis=0) + points.max(axis=0)) / 2
        half = float(np.ptp(points, axis=0).max()) / 2 * _ROOM
        # The whole structure in view, cut where the difference is.
        planes = [plane_at(np.where(np.array(normal) > 0, place, middle), np.array(normal)) for normal in _NORMALS]
        grids = [plane.grid(half, PIXELS) for plane in planes]
        slices = [np.full((PIXELS, PIXELS), np.nan) for _ in grids]
        if image is not None:
            slices = [image.resampled_to(grid, fill=np.nan).array[0] for grid in grids]
        window = intensity_window(slices)
        for column, (plane, grid, values) in enumerate(zip(planes, grids, slices, strict=True)):
            axes = sheet.cell(row, column)
            draw_slice(axes, values, half, window)
            for mask, color in zip(masks, (A, B), strict=True):
                draw_contour(axes, soft_mask(mask, grid), half, 0.5, color, linewidths=1.6)
            if comparison.places:
                axes.plot(*plane.project(place[None])[0].T, "o", mfc="none", mec=PLACE, markersize=16, mew=1.4)
            title = f"{comparison.name}: Dice {comparison.overlap.dice:.2f}" if column == 0 else plane.name
            draw_directions(axes, plane, half, title)
    sheet.legend([("A", A, "-"), ("B", B, "-"), ("largest difference", PLACE, "-")])
    sheet.save(path)


def draw_batch(path: Path, rows: Sequence[tuple[Any, dict[str, Any]]]) -> None:
    """Draw Dice and HD95 of every structure of a batch as PNG, a line each with a dot for each pair.

    Parameters
    ----------
    path
        The file.
    rows
        A pair and the numbers of a structure, of `tasks.compare`.
    """
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(row["segment"] for _, row in rows))
    figure = Figure(figsize=(8, 1.2 + 0.32 * len(names)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, key, title in ((left, "dice", "Dice"), (right, "hd95_mm", "HD95 (mm)")):
        for line, name in enumerate(names):
            values = [row[key] for _, row in rows if row["segment"] == name and math.isfinite(row[key])]
            axes.plot(values, [line] * len(values), "o", color="#27567b", alpha=0.5, markersize=5)
            if values:
                axes.plot(np.median(values), line, "|", color="#d1005b", markersize=14, markeredgewidth=2)
        axes.set(title=title, yticks=range(len(names)), yticklabels=names)
        axes.grid(axis="x", alpha=0.3)
    left.set_xlim(0, 1)
    right.set_xlim(left=0)
    left.invert_yaxis()
    figure.savefig(path, format="png", dpi=110)
