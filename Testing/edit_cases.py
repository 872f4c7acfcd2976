"""A small case with known truth that can be stored on any grid: everything is a function of the place in the world."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from SparseToPreciseLib.core.volume import Grid, Volume

CENTRE = np.array([5.0, -8.0, 12.0])  # RAS, mm
RADIUS = 18.0
DENT = CENTRE + [RADIUS, 0.0, 0.0]
DENT_RADIUS = 8.0
INFLUENCE = 12.0


@dataclass(frozen=True)
class Case:
    """A ball with a dent, and the stroke that mends it."""

    image: Volume
    before: Volume
    truth: Volume
    stroke: np.ndarray


def grid_around(
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0), axes: np.ndarray | None = None, half_mm: float = 32.0
) -> Grid:
    """A grid around the case; `axes` has the directions of I, J and K as columns."""
    axes = np.eye(3) if axes is None else np.asarray(axes, dtype=np.float64)
    shape_ijk = np.ceil(2 * half_mm / np.array(spacing)).astype(int)
    matrix = np.eye(4)
    matrix[:3, :3] = axes * spacing
    matrix[:3, 3] = CENTRE - matrix[:3, :3] @ (shape_ijk - 1) / 2
    return Grid(tuple(int(size) for size in shape_ijk[::-1]), matrix)


def rotation(axis: tuple[float, float, float], degrees: float) -> np.ndarray:
    """Rodrigues' formula."""
    x, y, z = np.asarray(axis, dtype=np.float64) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(degrees)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def case_on(grid: Grid, segmentation_grid: Grid | None = None) -> Case:
    """The case on a grid; the segmentation may have its own."""
    points = grid.points_ras()
    image = 100.0 / (1.0 + np.exp(-_depth(points))) + 4.0 * np.sin(points @ (0.9, 0.5, 0.0)) * np.cos(points[..., 2])
    points = points if segmentation_grid is None else segmentation_grid.points_ras()
    matrix = (segmentation_grid or grid).ijk_to_ras
    truth = _depth(points) > 0
    before = truth & (np.linalg.norm(points - DENT, axis=-1) > DENT_RADIUS)
    return Case(
        Volume(image.astype(np.float32), grid.ijk_to_ras, "image"),
        Volume(before.astype(np.uint8), matrix, "ball"),
        Volume(truth.astype(np.uint8), matrix, "truth"),
        arc(),
    )


def arc(first: float = -24.0, last: float = 24.0, count: int = 9) -> np.ndarray:
    """(N, 3) RAS points on the ball's equator, in degrees from the dent."""
    angles = np.radians(np.linspace(first, last, count))
    return CENTRE + RADIUS * np.stack([np.cos(angles), np.sin(angles), np.zeros(count)], axis=1)


def distance_to_polyline(points: np.ndarray, line: np.ndarray) -> np.ndarray:
    """Exact distances of (N, 3) points to the segments of a polyline, without the library's help."""
    nearest = np.linalg.norm(points - line[0], axis=1)
    for start, stop in zip(line[:-1], line[1:], strict=True):
        along = stop - start
        squared = along @ along
        share = np.clip((points - start) @ along / squared, 0, 1) if squared > 0 else np.zeros(len(points))
        nearest = np.minimum(nearest, np.linalg.norm(points - start - share[:, None] * along, axis=1))
    return nearest


def _depth(points: np.ndarray) -> np.ndarray:
    return RADIUS - np.linalg.norm(points - CENTRE, axis=-1)


def resized(volume: Volume, factor: float) -> Volume:
    """The same voxels so many times as large, in a world that has grown with them."""
    return Volume(volume.array, np.diag([factor, factor, factor, 1.0]) @ volume.ijk_to_ras, volume.name)
