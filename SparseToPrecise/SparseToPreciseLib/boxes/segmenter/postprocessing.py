"""From the probabilities of a box's cells to one object on the image's own grid."""

from __future__ import annotations

import numpy as np

from ...core.box import Box
from ...core.masks import largest_component
from ...core.volume import Grid, Volume

PLANES_AT_ONCE = 16
"""Planes of the image to whose grid probabilities are brought at a time: bounds the memory."""


def main_component(probabilities: Volume, allowed: np.ndarray, level: float) -> Volume:
    """Probabilities without those components, of what is allowed to be object, that have not the largest sum of them.

    Parameters
    ----------
    allowed
        (K, J, I) bool on the probabilities' grid.
    level
        A voxel of a probability from here on may be object.
    """
    there = (probabilities.array >= level) & allowed
    others = there & ~largest_component(there, probabilities.array)
    return probabilities.with_array(np.where(others, np.float32(0), probabilities.array))


def mask_on(probabilities: Volume, grid: Grid, box: Box, level: float) -> np.ndarray:
    """(K, J, I) uint8 on a grid: 1 where interpolated probabilities reach a level within a box.

    The memory follows the box, not the grid.
    """
    result = np.zeros(grid.shape, np.uint8)
    part = grid.slices_around(box.corners(), 0.0)
    for start in range(part[0].start, part[0].stop, PLANES_AT_ONCE):
        slab = (slice(start, min(start + PLANES_AT_ONCE, part[0].stop)), *part[1:])
        there = grid.cropped(slab)
        result[slab] = (probabilities.resampled_to(there).array >= level) & box.mask_on(there)
    return result
