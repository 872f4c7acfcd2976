"""Thickness between two boundaries, such as the intima-media thickness of an artery's wall."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.volume import Grid, Volume
from .surface import Surface

_FACING = 0.7
"""Cosine to an axis from which on a triangle belongs to a layer's side: its rim stands across."""


@dataclass(frozen=True)
class Thickness:
    """Thickness between two boundaries.

    Attributes
    ----------
    mean_mm, sd_mm
        Mean and standard deviation by area, over both directions; NaN where nothing is left to measure.
    excluded_share
        Share of the columns with either boundary that lack the other one; they are left out on common support alone.
    """

    mean_mm: float
    sd_mm: float
    excluded_share: float


def sides(layer: Volume, axis: int) -> tuple[Surface, Surface]:
    """The two boundaries of a layer: the parts of its surface that look down and up along an axis, without its rim.

    Parameters
    ----------
    layer
        Not 0 inside.
    axis
        Index axis across the layer, 0: I, 1: J, 2: K; up to 45 degrees off.
    """
    surface = Surface.of(layer)
    direction = layer.ijk_to_ras[:3, axis] / layer.spacing[axis]
    areas = np.maximum(np.linalg.norm(surface.normals, axis=1), np.finfo(float).tiny)
    along = surface.normals @ direction / areas
    return tuple(Surface(surface.points, surface.triangles[where]) for where in (along < -_FACING, along > _FACING))


def thickness(first: Surface, second: Surface, grid: Grid, axis: int, *, common_support: bool = True) -> Thickness:
    """The distance of two boundaries, as intima-media thickness is measured between two profiles.

    The mean over both boundaries, by area, of the distance of each point to the nearest place of the other one: the
    polyline distance of the carotid literature (Meiburger et al., CUBS, 2021), with surfaces in place of polylines.
    Where one boundary goes on beyond the other, its points are far from the other's end: on common support, only points
    in columns that hold both boundaries count (`support`, Eq. 3 of Marzola et al. 2023).

    Parameters
    ----------
    first, second
        The boundaries: surfaces of two masks, or the `sides` of a layer.
    grid, axis
        Columns are the lines of voxels of this grid along this index axis (0: I, 1: J, 2: K).
    common_support
        False: count all points.

    Examples
    --------
    >>> wall = np.zeros((80, 80, 9), np.uint8)
    >>> wall[2:78, 2:78, 3:7] = 1
    >>> layer = Volume(wall, np.diag([0.5, 1, 1, 1]))
    >>> round(thickness(*sides(layer, axis=0), layer.grid, axis=0).mean_mm, 1)  # four voxels of 0.5 mm
    2.0
    """
    others = [one for one in range(3) if one != axis]
    columns = [np.rint(grid.to_ijk(one.points))[:, others].astype(int) for one in (first, second)]
    there = [
        set(map(tuple, column[one.weights > 0].tolist())) for column, one in zip(columns, (first, second), strict=True)
    ]
    both, either = there[0] & there[1], there[0] | there[1]
    distances, weights = [], []
    for one, other, column in zip((first, second), (second, first), columns, strict=True):
        kept = one.weights > 0
        if common_support:
            kept &= np.array([tuple(entry) in both for entry in column.tolist()], bool)
        distances.append(other.nearest(one.points[kept])[0])
        weights.append(one.weights[kept])
    values, areas = np.concatenate(distances), np.concatenate(weights)
    excluded = 1 - len(both) / len(either) if either else 0.0
    if not areas.sum() or not np.isfinite(values).all():
        return Thickness(float("nan"), float("nan"), excluded)
    mean = float(np.average(values, weights=areas))
    return Thickness(mean, float(np.sqrt(np.average(np.square(values - mean), weights=areas))), excluded)
