"""The picture of an edit: before, stroke and after, on the stroke's plane and the two orthogonal ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..core.volume import Volume
from ..editing.edit_series import Series
from ..editing.guidance import densify, nearest_on_stroke
from .drawing import PIXELS, draw_contour, draw_directions, draw_slice, intensity_window, soft_mask
from .planes import Plane, planes_through

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BEFORE, AFTER, STROKE, ZONE, TRUTH = "#ffb000", "#2fd3ff", "#ff3d9a", "#ffffff", "#b6ff3d"
_CONTEXT_RADII = 2.2


@dataclass(frozen=True)
class _Section:
    """Everything on one plane; arrays (rows, columns), NaN where the image ends."""

    plane: Plane
    half: float
    thickness: float  # of the image's thickest slices, mm
    image: np.ndarray
    before: np.ndarray
    after: np.ndarray
    truth: np.ndarray | None
    outside_zone: np.ndarray  # distance to the nearest stroke minus its influence radius, mm


def draw_edit(path: Path, image: Volume, series: Series, truth: Volume | None = None) -> None:
    """Draw an edit as PNG.

    Parameters
    ----------
    path
        The file.
    image
        What was segmented.
    series
        The planes are those of the stroke that changed most.
    truth
        Drawn as a dotted line where it is known.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    leading = max(series.strokes, key=lambda stroke: stroke.result.changed_inside)
    planes = planes_through(leading.points, image.grid)
    extent = np.ptp(leading.points, axis=0).max() / 2
    half = float(extent + _CONTEXT_RADII * leading.influence_radius_mm)
    sections = [_section(plane, half, image, series, truth) for plane in planes]
    window = intensity_window([section.image for section in sections])

    side, gap, head, foot = 2.9, 0.03, 0.3, 0.4  # inches
    width, height = 3 * side + 4 * gap, 3 * side + 2 * gap + head + foot
    figure = Figure(figsize=(width, height), facecolor="black")
    for row, section in enumerate(sections):
        for column, (title, draw) in enumerate((("before", _before), ("stroke", _stroke), ("after", _after))):
            corner = (gap + column * (side + gap)) / width, (foot + (2 - row) * (side + gap)) / height
            axes = figure.add_axes((*corner, side / width, side / height))
            draw_slice(axes, section.image, section.half, window)
            draw(axes, section, series)
            if row == 0:
                axes.set_title(title, color="white", fontsize=11, pad=4)
            if column == 0:
                draw_directions(axes, section.plane, section.half)
    entries = [
        ("before", BEFORE, "-"),
        ("stroke", STROKE, "-"),
        ("influence radius", ZONE, "--"),
        ("after", AFTER, "-"),
    ]
    entries += [("truth", TRUTH, ":")] if truth is not None else []
    lines = [Line2D([], [], color=color, linestyle=style, linewidth=2) for _, color, style in entries]
    labels = [label for label, _, _ in entries]
    figure.legend(lines, labels, loc="lower center", ncols=5, frameon=False, labelcolor="white", fontsize=10)
    figure.savefig(path, format="png", dpi=120, facecolor="black")


def _section(plane: Plane, half: float, image: Volume, series: Series, truth: Volume | None) -> _Section:
    grid = plane.grid(half, PIXELS)
    points = grid.points_ras().reshape(-1, 3)
    outside = np.full(len(points), np.inf)
    for stroke in series.strokes:
        dense = densify(stroke.points, stroke.influence_radius_mm / 20)
        outside = np.minimum(outside, nearest_on_stroke(points, dense)[0] - stroke.influence_radius_mm)
    masks = [None if mask is None else soft_mask(mask, grid) for mask in (series.before, series.after, truth)]
    shown = image.resampled_to(grid, fill=np.nan).array[0]
    return _Section(plane, half, float(image.spacing.max()), shown, *masks, outside.reshape(PIXELS, PIXELS))


def _filled(axes: Axes, section: _Section, where: np.ndarray, color: str) -> None:
    from matplotlib.colors import ListedColormap

    half = section.half
    shown = np.ma.masked_where(~where, np.ones(where.shape))
    colors = ListedColormap([color])
    axes.imshow(shown, cmap=colors, alpha=0.35, extent=(-half, half, -half, half), origin="upper")


def _before(axes: Axes, section: _Section, series: Series) -> None:
    draw_contour(axes, section.before, section.half, 0.5, BEFORE, linewidths=1.6)
    _truth(axes, section)


def _stroke(axes: Axes, section: _Section, series: Series) -> None:
    draw_contour(axes, section.before, section.half, 0.5, BEFORE, linewidths=1.2)
    draw_contour(axes, section.outside_zone, section.half, 0.0, ZONE, linewidths=1.0, linestyles="dashed")
    thick = section.thickness / 2
    for stroke in series.strokes:
        # In its own plane the stroke is a line; elsewhere it is seen where it passes through the slice.
        flat, depth = section.plane.project(densify(stroke.points, section.half / PIXELS))
        on = np.abs(depth) <= thick
        axes.plot(*np.where(on[:, None], flat, np.nan).T, color=STROKE, linewidth=2.2, solid_capstyle="round")
        if on.any() and np.ptp(flat[on], axis=0).max() < section.half / 20:
            axes.plot(*flat[on].mean(axis=0), "o", color=STROKE, markersize=5)


def _after(axes: Axes, section: _Section, series: Series) -> None:
    _filled(axes, section, (section.after > 0.5) & (section.before <= 0.5), AFTER)
    _filled(axes, section, (section.after <= 0.5) & (section.before > 0.5), BEFORE)
    draw_contour(axes, section.after, section.half, 0.5, AFTER, linewidths=1.6)
    _truth(axes, section)


def _truth(axes: Axes, section: _Section) -> None:
    if section.truth is not None:
        draw_contour(axes, section.truth, section.half, 0.5, TRUTH, linewidths=1.2, linestyles="dotted")
