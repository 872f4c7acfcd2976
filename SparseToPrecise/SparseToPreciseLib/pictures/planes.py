"""The picture of filled planes: some planes as they were painted, and the volume across them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..core.masks import bounding_slices
from ..core.volume import Volume
from ..planes.fill import FillResult
from .slices import (
    PIXELS,
    Plane,
    Sheet,
    draw_contour,
    draw_directions,
    draw_slice,
    intensity_window,
    plane_at,
    soft_mask,
)

PAINTED, FILLED, PLANE = "#ffb000", "#2fd3ff", "#ff3d9a"
COLUMNS = 3
_NORMALS = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
_ROOM = 1.2


def draw_filled(path: Path, image: Volume, painted: Volume, result: FillResult) -> None:
    """Draw three of the planes with the paint, then axial, coronal and sagittal slices with the planes, as PNG.

    Parameters
    ----------
    path
        The file.
    image
        Below the contours.
    painted
        (K, J, I) labels before.
    result
        What `fill` gave.
    """
    labels = list(result.weights)
    paint = painted.with_array(np.isin(painted.array, labels) & result.annotated)
    filled = result.segmentation.with_array(np.isin(result.segmentation.array, labels))
    box = bounding_slices(filled.array) or tuple(slice(0, size) for size in filled.shape)
    part = filled.grid.cropped(box)
    middle = part.to_ras((np.array(part.shape[::-1]) - 1) / 2)
    half = float(np.linalg.norm(np.array(part.shape) * part.spacing_kji)) / 2 * _ROOM
    met = [plane for plane in result.planes if _shows(plane, paint)]
    shown = [met[index] for index in np.unique(np.linspace(0, len(met) - 1, COLUMNS).round().astype(int))]
    views = [(plane_at(_nearest(plane, middle), plane.normal), plane.name) for plane in shown]
    views += [(plane_at(middle, np.array(normal)), "") for normal in _NORMALS]
    grids = [view.grid(half, PIXELS) for view, _ in views]
    slices = [image.resampled_to(grid, fill=np.nan).array[0] for grid in grids]
    window = intensity_window(slices)
    sheet = Sheet(2, COLUMNS, 2.8, foot=0.4)
    for number, ((view, title), grid, values) in enumerate(zip(views, grids, slices, strict=True)):
        row, column = (0, number) if number < len(shown) else (1, number - len(shown))
        axes = sheet.cell(row, column)
        draw_slice(axes, values, half, window)
        if row:
            for plane in result.planes:
                _draw_trace(axes, view, plane, half)
        draw_contour(axes, soft_mask(filled, grid), half, 0.5, FILLED, linewidths=1.6)
        if not row:
            draw_contour(axes, _on_plane(painted, labels, grid), half, 0.5, PAINTED, linewidths=1.2, linestyles="--")
        draw_directions(axes, view, half, title)
    sheet.legend([("painted", PAINTED, "--"), ("filled", FILLED, "-"), ("painted planes", PLANE, "-")])
    sheet.save(path)


def _shows(plane, paint: Volume) -> bool:
    i, j, k = plane.voxels(paint.grid).T
    return bool(paint.array[k, j, i].any())


def _nearest(plane, point: np.ndarray) -> np.ndarray:
    """The point of a plane that is nearest to another one."""
    return point - ((point - plane.center) @ plane.normal) * plane.normal


def _on_plane(painted: Volume, labels: list[int], grid) -> np.ndarray:
    """Paint on a plane, each pixel as the voxel that it lies in."""
    found = painted.with_array(np.isin(painted.array, labels).astype(np.uint8)).resampled_to(grid, "nearest", fill=0)
    return found.array[0].astype(np.float32)


def _draw_trace(axes, view: Plane, plane, half: float) -> None:
    """The line in which a painted plane cuts a view."""
    slope = np.array([plane.normal @ view.right, plane.normal @ view.up])
    length = np.linalg.norm(slope)
    if length < 1e-3:
        return
    direction = np.array([-slope[1], slope[0]]) / length
    foot = slope / length**2 * (plane.normal @ (plane.center - view.centre))
    ends = np.stack([foot - 3 * half * direction, foot + 3 * half * direction])
    axes.plot(*ends.T, color=PLANE, linewidth=0.8, alpha=0.8)
