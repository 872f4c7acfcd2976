"""The picture of an edit: before, stroke and after, on the stroke's plane and the two orthogonal ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..core.volume import Grid, Volume
from ..editing.edit_series import Series
from ..editing.guidance import densify, nearest_on_stroke
from .slices import (
    PIXELS,
    SNAP_DEGREES,
    Plane,
    Sheet,
    draw_contour,
    draw_directions,
    draw_slice,
    intensity_window,
    plane_at,
    soft_mask,
    unit,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BEFORE, AFTER, STROKE, ZONE, TRUTH = "#ffb000", "#2fd3ff", "#ff3d9a", "#ffffff", "#b6ff3d"
_CONTEXT_RADII = 2.2
_STRAIGHT = 0.05
"""Share of a stroke's length: a stroke that strays less from a line has no plane of its own."""


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
    leading = max(series.strokes, key=lambda stroke: stroke.result.changed_inside)
    planes = planes_through(leading.points, image.grid)
    extent = np.ptp(leading.points, axis=0).max() / 2
    half = float(extent + _CONTEXT_RADII * leading.influence_radius_mm)
    sections = [_section(plane, half, image, series, truth) for plane in planes]
    window = intensity_window([section.image for section in sections])

    sheet = Sheet(3, 3, 2.9, head=0.3, foot=0.4)
    for row, section in enumerate(sections):
        for column, (title, draw) in enumerate((("before", _before), ("stroke", _stroke), ("after", _after))):
            axes = sheet.cell(row, column)
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
    sheet.legend(entries + ([("truth", TRUTH, ":")] if truth is not None else []))
    sheet.save(path, dpi=120)


def planes_through(stroke: np.ndarray, image: Grid) -> list[Plane]:
    """The plane of a stroke and the two orthogonal ones through its middle.

    Parameters
    ----------
    stroke
        (N, 3) RAS points in mm, N >= 2.
    image
        Its axes are preferred where the stroke does not say otherwise.
    """
    points = densify(stroke, max(float(np.linalg.norm(np.diff(stroke, axis=0), axis=1).sum()) / 200, 1e-6))
    lengths = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    middle = points[np.searchsorted(lengths, lengths[-1] / 2)]
    axes = (image.ijk_to_ras[:3, :3] / image.spacing).T
    normal = _normal(points - points.mean(axis=0), axes, image.spacing)
    # The image axis that lies best in the plane, then the one at right angles to both.
    second = axes[np.abs(axes @ normal).argmin()]
    second = unit(second - (second @ normal) * normal)
    return [plane_at(middle, direction) for direction in (normal, second, np.cross(normal, second))]


def _normal(centred: np.ndarray, axes: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    if sizes[1] > _STRAIGHT * sizes[0]:
        normal = directions[2]
        nearest = axes[np.abs(axes @ normal).argmax()]
        return nearest if abs(nearest @ normal) > np.cos(np.radians(SNAP_DEGREES)) else normal
    # A straight stroke lies in many planes: the image's slices are what it was most likely drawn on.
    along = np.abs(axes @ directions[0]).round(2)
    chosen = axes[np.lexsort((-spacing, along))[0]]
    return unit(chosen - (chosen @ directions[0]) * directions[0])


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
