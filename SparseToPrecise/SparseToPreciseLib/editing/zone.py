"""The part of a segmentation that an edit may change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..core.errors import InputError
from ..core.volume import Grid, Volume
from .guidance import densify, nearest_on_stroke

PROTECTED_SHARE = 0.5
"""An earlier stroke protects its surroundings up to this share of the influence radius."""


@dataclass(frozen=True)
class Zone:
    """Where an edit may change a segmentation.

    Attributes
    ----------
    slices, grid
        K,J,I slices of the segmentation's grid that hold the zone and one voxel more, and the grid there.
    distance
        (K, J, I) to the stroke, mm.
    nearest
        (K, J, I) index of the nearest stroke point.
    free
        (K, J, I) bool: within the influence radius, and not an earlier stroke's.
    """

    slices: tuple[slice, slice, slice]
    grid: Grid
    distance: np.ndarray
    nearest: np.ndarray
    free: np.ndarray


def zone_around(
    segmentation: Volume, stroke: np.ndarray, influence_radius_mm: float, earlier_strokes: Sequence[np.ndarray]
) -> Zone:
    """The zone of a stroke (dense (N, 3) RAS points, mm) on a segmentation's grid.

    Points of an earlier stroke within the protected distance of the new one count as replaced by it.

    Raises
    ------
    InputError
        The segmentation does not reach the stroke.
    """
    # One voxel more than the zone: what touches the zone from outside shows there.
    reach = influence_radius_mm + float(segmentation.spacing.max())
    slices = segmentation.grid.slices_around(stroke, reach)
    if any(part.start >= part.stop for part in slices):
        raise InputError(f"The segmentation {segmentation.name} does not reach the stroke, so nothing can be edited.")
    grid = segmentation.grid.cropped(slices)
    distance, nearest = _nearest(grid, stroke)
    free = distance < influence_radius_mm
    _protect(free, grid, distance, stroke, earlier_strokes, PROTECTED_SHARE * influence_radius_mm)
    return Zone(slices, grid, distance, nearest, free)


def _nearest(grid: Grid, stroke: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(K, J, I) distance (mm, float32) of a grid's voxels to a stroke, and index (int32) of its nearest point."""
    distance, nearest = np.empty(grid.shape, np.float32), np.empty(grid.shape, np.int32)
    for number in range(grid.shape[0]):  # plane by plane: positions take 24 bytes per voxel
        plane = grid.cropped((slice(number, number + 1), slice(None), slice(None)))
        found = nearest_on_stroke(plane.points_ras().reshape(-1, 3), stroke)
        distance[number], nearest[number] = (values.reshape(plane.shape[1:]) for values in found)
    return distance, nearest


def _protect(
    free: np.ndarray,
    grid: Grid,
    distance: np.ndarray,
    stroke: np.ndarray,
    earlier_strokes: Sequence[np.ndarray],
    protected_mm: float,
) -> None:
    """Take out of the zone (in place) what belongs to earlier strokes."""
    for earlier in earlier_strokes:
        points = densify(np.asarray(earlier, dtype=np.float64), protected_mm / 4)
        points = points[nearest_on_stroke(points, stroke)[0] > protected_mm]
        if len(points) == 0:
            continue
        part = grid.slices_around(points, protected_mm)
        if any(side.start >= side.stop for side in part):
            continue
        ours = grid.cropped(part)
        theirs, _ = _nearest(ours, points)
        free[part] &= ~((theirs < protected_mm) & (theirs < distance[part]))
