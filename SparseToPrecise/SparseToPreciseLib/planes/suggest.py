"""Which plane to paint next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..core.errors import InputError
from ..core.plane import Plane
from ..core.progress import Progress
from ..core.volume import Volume
from .fill import FillResult, fill
from .painted import AUTO

LIKELY = 0.1
"""A voxel with less chance of object than this is not what a plane is painted for."""
_POINTS = 6000
_SLICES = 40
"""At most so many of each axis are tried."""
_TURNED = 60
"""Oblique planes that are tried, where they are wanted."""


@dataclass(frozen=True)
class Suggestion:
    """The plane to paint next.

    Attributes
    ----------
    plane
        Without bounds, named after what it is.
    gain
        Share of what is uncertain that lies nearer to it than to any painted plane, each voxel counted as it does.
    gap_mm
        Distance of its nearest point that is likely object to the painted planes, at most.
    result
        What the planes give so far.
    """

    plane: Plane
    gain: float
    gap_mm: float
    result: FillResult


def suggest_plane(
    image: Volume,
    segmentation: Volume,
    planes: Sequence[Plane] | None = None,
    *,
    labels: Sequence[int] | None = None,
    slices: str = AUTO,
    oblique: bool = False,
    result: FillResult | None = None,
    progress: Progress | None = None,
) -> Suggestion:
    """Suggest the plane that would help most: through likely object, far from what is painted, where it is uncertain.

    Each voxel that may be object counts as much as it is uncertain, times the part of its way to the nearest painted
    plane that the new one saves.

    Parameters
    ----------
    image, segmentation, planes, labels, slices
        As `fill.fill` takes them.
    oblique
        Also try planes of any direction; else the slices of the segmentation's grid.
    result
        What `fill` gave for these planes; None: it is asked.
    progress
        Told about the work; may cancel.

    Raises
    ------
    InputError
        As `fill`, or no plane is left that may meet the object.

    Examples
    --------
    >>> k, j, i = np.ogrid[-16:17, -16:17, -16:17]
    >>> ball = k**2 + j**2 + i**2 < 10**2
    >>> paint = np.zeros(ball.shape, np.uint8)
    >>> paint[[8, 10, 12]] = ball[[8, 10, 12]]
    >>> found = suggest_plane(Volume(np.where(ball, 100.0, 20.0), np.eye(4)), Volume(paint, np.eye(4)))
    >>> found.plane.name
    'slice K 19'
    """
    progress = progress or Progress()
    if result is None:
        result = fill(image, segmentation, planes, labels=labels, slices=slices, progress=progress.part(0.0, 0.8))
    grid = segmentation.grid
    rng = np.random.default_rng(0)
    chance = result.chance.array
    unknown = np.flatnonzero((chance > LIKELY) & ~result.annotated)
    if not len(unknown):
        raise InputError("Nothing that may be object lies off the painted planes, so that no plane is worth painting.")
    chosen = np.sort(rng.permutation(unknown)[:_POINTS])
    points = grid.to_ras(np.stack(np.unravel_index(chosen, grid.shape), axis=1)[:, ::-1])
    odds = chance.ravel()[chosen]
    weight = 4 * odds * (1 - odds) + LIKELY
    gaps = np.min([plane.distance(points) for plane in result.planes], axis=0)
    gaps = np.maximum(gaps, 0.5 * float(grid.spacing.min()))
    candidates = _slices(points, segmentation)
    if oblique:
        candidates += _turned(points, rng)
    progress(0.9, "comparing planes")
    gains = [float((weight * np.clip(1 - plane.distance(points) / gaps, 0, 1)).sum()) for plane in candidates]
    best = candidates[int(np.argmax(gains))]
    progress(1.0, "done")
    near = best.distance(points) < float(grid.spacing.max())
    return Suggestion(best, max(gains) / float(weight.sum()), float(gaps[near].max()) if near.any() else 0.0, result)


def _slices(points: np.ndarray, segmentation: Volume) -> list[Plane]:
    """Slices of the grid that meet some of the points, evenly spread."""
    grid = segmentation.grid
    found = []
    ijk = np.round(grid.to_ijk(points)).astype(int)
    for axis in range(3):
        indices = np.unique(ijk[:, axis])
        for index in indices[np.unique(np.linspace(0, len(indices) - 1, _SLICES).astype(int))]:
            found.append(Plane.of_slice(grid, axis, int(index)))
    return found


def _turned(points: np.ndarray, rng: np.random.Generator) -> list[Plane]:
    """Planes of random directions through random ones of the points."""
    normals = rng.normal(size=(_TURNED, 3))
    return [
        Plane.across(normal, points[rng.integers(len(points))], f"oblique plane {number}")
        for number, normal in enumerate(normals, start=1)
    ]
