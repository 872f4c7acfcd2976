"""The influence radius to take when the user gives none."""

from __future__ import annotations

import numpy as np

from ..core.volume import Volume
from .guidance import densify
from .working_grid import sampled, signed_distance

DEPTH_FACTOR = 1.5
"""Of the greatest distance from the stroke to the boundary as it is; the stroke runs where it should be."""

LENGTH_SHARE = 1 / 3
"""Of the stroke's length; an error is about as wide as the stroke that was drawn for it."""

SIZE_SHARE = 1 / 2
"""Of the radius of the ball with the segment's volume; a stroke all around a segment is no reason for more."""

SMALLEST_VOXELS = 3.0
"""Below this many voxels (of the mean size) a zone holds too few of them to tell a shape."""

_FIRST_REACH_VOXELS = 16.0


def default_influence_radius(segmentation: Volume, stroke_ras: np.ndarray) -> float:
    """An influence radius (mm) that reaches what the stroke corrects.

    The greatest of: `DEPTH_FACTOR` times the greatest distance from the stroke to the boundary; `LENGTH_SHARE` of the
    stroke's length, limited to `SIZE_SHARE` of the segment's size; `SMALLEST_VOXELS` voxels.

    Parameters
    ----------
    segmentation
        Binary (non-zero is inside).
    stroke_ras
        (N, 3) finite RAS points in mm, N >= 1.

    Returns
    -------
    float
        mm, rounded to a tenth. Without any boundary, the smallest radius.
    """
    grid = segmentation.grid
    voxel = float(np.cbrt(grid.voxel_volume_mm3))
    stroke = densify(stroke_ras, voxel)
    smallest = SMALLEST_VOXELS * voxel
    reach = _FIRST_REACH_VOXELS * voxel
    longest = float(np.linalg.norm(grid.spacing * np.array(grid.shape[::-1])))
    while True:
        # A neighbourhood that grows until it shows how far the boundary is; the whole of a large volume is costly.
        depth = _greatest_distance(segmentation, grid.slices_around(stroke, reach), stroke)
        if depth <= reach or reach > longest:
            break
        reach *= 2
    if not np.isfinite(depth):
        return round(smallest, 1)
    length = float(np.linalg.norm(np.diff(stroke, axis=0), axis=1).sum())
    size = np.cbrt(np.count_nonzero(segmentation.array) * grid.voxel_volume_mm3 * 3 / (4 * np.pi))
    return round(max(DEPTH_FACTOR * depth, min(LENGTH_SHARE * length, SIZE_SHARE * size), smallest), 1)


def _greatest_distance(segmentation: Volume, slices: tuple[slice, slice, slice], stroke: np.ndarray) -> float:
    """Greatest distance (mm) from the stroke to the boundary within a part of the segmentation; infinite if none."""
    mask = segmentation.array[slices] != 0
    if mask.size == 0 or mask.all() or not mask.any():
        return float("inf")
    grid = segmentation.grid.cropped(slices)
    return float(np.abs(sampled(signed_distance(mask, grid.spacing_kji), grid.to_ijk(stroke)[:, ::-1])).max())
