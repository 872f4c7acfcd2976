"""Labels and masks on other grids: exact copies where both lie on one lattice, nearest voxels elsewhere."""

from __future__ import annotations

from itertools import product

import numpy as np

from .masks import bounding_slices
from .volume import Grid, Volume

# Two grids are one lattice when no voxel is further than this from a voxel of the other: files round matrices
# (NIfTI to float32), and a hundredth of a voxel cannot change which voxel is nearest.
_LATTICE_TOLERANCE_VOXELS = 1e-2


def onto_grid(source: Volume, grid: Grid) -> np.ndarray:
    """The nearest values of a volume on a grid, 0 outside; an exact copy where both are one lattice."""
    out = np.zeros(grid.shape, source.array.dtype)
    offset = lattice_offset(source.grid, grid)
    if offset is None:
        # A border of zeros, so that voxels at the edge count as far as they reach and no further.
        matrix = source.ijk_to_ras.copy()
        matrix[:3, 3] = source.grid.to_ras([-1, -1, -1])
        return Volume(np.pad(source.array, 1), matrix).resampled_to(grid, "nearest", fill=0).array
    start = np.maximum(offset, 0)
    stop = np.minimum(offset + source.shape, grid.shape)
    if (start < stop).all():
        target = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
        part = tuple(slice(a, b) for a, b in zip(start - offset, stop - offset, strict=True))
        out[target] = source.array[part]
    return out


def grown_to_hold(grid: Grid, volume: Volume) -> Grid:
    """The grid with whole voxels added where the volume's non-zero voxels reach beyond it."""
    box = bounding_slices(volume.array)
    if box is None:
        return grid
    # On another lattice, half a voxel more than the centres, so that no part of the border voxels is lost.
    reach = 0.0 if lattice_offset(volume.grid, grid) is not None else 0.5
    ends = [(part.start - reach, part.stop - 1 + reach) for part in box[::-1]]
    return grid.grown_to_hold(volume.grid.to_ras(np.array(list(product(*ends)))))


def lattice_offset(source: Grid, target: Grid) -> np.ndarray | None:
    """(K, J, I) index of the source's first voxel in the target when both are one lattice, else None."""
    last = np.array(source.shape[::-1]) - 1.0
    corners = np.array(list(product((0.0, 1.0), repeat=3))) * last
    ijk = target.to_ijk(source.to_ras(corners))
    offset = np.round(ijk[0])
    if np.abs(ijk - offset - corners).max() > _LATTICE_TOLERANCE_VOXELS:
        return None
    return offset[::-1].astype(int)
