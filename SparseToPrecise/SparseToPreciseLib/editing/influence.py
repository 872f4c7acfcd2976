"""The influence radius to take when the user gives none."""

from __future__ import annotations

import math

import numpy as np

from ..core.errors import InputError
from ..core.volume import Grid, Volume
from .guidance import densify
from .working_grid import room_within, sampled, signed_distance, with_background

DEPTH_FACTOR = 1.5
"""Multiple of the greatest distance from the stroke to the boundary as it is; the stroke runs where it should be."""

LENGTH_SHARE = 1 / 3
"""Share of the stroke's length; an error is about as wide as the stroke that was drawn for it."""

SIZE_SHARE = 1 / 2
"""Share of the radius of the ball with the segment's volume; a stroke all around a segment is no reason for more."""

SMALLEST_VOXELS = 3.0
"""Below this many voxels (of the mean size) a zone holds too few of them to tell a shape."""

_FIRST_REACH_VOXELS = 16.0


def default_influence_radius(
    segmentation: Volume, stroke_ras: np.ndarray, image: Grid | None = None, lies_on: str = ""
) -> float:
    """An influence radius (mm) that reaches what the stroke corrects.

    The greatest of: `DEPTH_FACTOR` times the greatest distance from the stroke to the boundary; `LENGTH_SHARE` of the
    stroke's length, limited to `SIZE_SHARE` of the segment's size; `SMALLEST_VOXELS` voxels.

    Parameters
    ----------
    segmentation
        Binary (non-zero is inside).
    stroke_ras
        (N, 3) finite RAS points in mm, N >= 1.
    image
        The image's grid: up to its border there is background where the segmentation ends. None: nothing is known
        there.
    lies_on
        Name of another segment on which the stroke lies; for the sentence.

    Returns
    -------
    float
        mm, rounded to a tenth of a voxel. Without any boundary, the smallest radius.

    Raises
    ------
    InputError
        The stroke is farther from the boundary than it is long and than `SIZE_SHARE` of the segment's size: it was
        hardly meant for this segment, and the radius would take in whatever lies between.
    """
    voxel = float(np.cbrt(segmentation.grid.voxel_volume_mm3))
    stroke = densify(stroke_ras, voxel)
    grid = segmentation.grid
    if image is not None:
        grid = room_within(grid, stroke, float(grid.spacing.max()), image)
    smallest = SMALLEST_VOXELS * voxel
    reach = _FIRST_REACH_VOXELS * voxel
    longest = float(np.linalg.norm(grid.spacing * np.array(grid.shape[::-1])))
    while True:
        # A neighbourhood that grows until it shows how far the boundary is; the whole of a large volume is costly.
        slices = grid.slices_around(stroke, reach)
        empty = any(part.start >= part.stop for part in slices)
        depth = np.inf if empty else _greatest_distance(with_background(segmentation, grid, slices), stroke)
        if depth <= reach or reach > longest:
            break
        reach *= 2
    if not np.isfinite(depth):
        return _rounded(smallest, voxel)
    length = float(np.linalg.norm(np.diff(stroke, axis=0), axis=1).sum())
    size = SIZE_SHARE * np.cbrt(np.count_nonzero(segmentation.array) * grid.voxel_volume_mm3 * 3 / (4 * np.pi))
    if depth > max(length, size, smallest):
        name = segmentation.name or "the segment"
        raise InputError(
            f"The stroke {f'lies on {lies_on} and ' if lies_on else ''}is {depth:.3g} mm from the boundary of {name}, "
            f"farther than it is long ({length:.3g} mm); choose the segment that it was drawn for, or give an "
            "influence radius."
        )
    return _rounded(max(DEPTH_FACTOR * depth, min(LENGTH_SHARE * length, size), smallest), voxel)


def _rounded(radius: float, voxel: float) -> float:
    """A radius in as many digits as a tenth of a voxel has, at least as a tenth of a millimetre has."""
    return round(radius, max(1, math.ceil(1 - math.log10(voxel))))


def _greatest_distance(segmentation: Volume, stroke: np.ndarray) -> float:
    """Greatest distance (mm) from the stroke to the boundary of a segmentation; infinite if it has none."""
    mask = segmentation.array != 0
    if mask.all() or not mask.any():
        return float("inf")
    grid = segmentation.grid
    return float(np.abs(sampled(signed_distance(mask, grid.spacing_kji), grid.to_ijk(stroke)[:, ::-1])).max())
