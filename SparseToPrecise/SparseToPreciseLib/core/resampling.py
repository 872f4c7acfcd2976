"""Volumes on coarser grids without aliasing: what interpolation would skip is averaged."""

from __future__ import annotations

import numpy as np

from .volume import Grid, Volume


def world_corners(grid: Grid) -> np.ndarray:
    """(8, 3) RAS positions of a grid's outermost voxel centres, mm."""
    ends = [(0, size - 1) for size in grid.shape[::-1]]
    return grid.to_ras(np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1).reshape(-1, 3))


def shrunk(volume: Volume, spacing_mm: float) -> Volume:
    """Means of whole blocks of voxels, so that none is left that is finer than half of `spacing_mm`; float32.

    What interpolation at `spacing_mm` would skip would be noise in the result.
    """
    # A thousandth more, because a matrix in a file is rounded: two voxels of 0.50001 mm make one of 1 mm.
    factors = [max(1, int(spacing_mm / step * 1.001)) for step in volume.grid.spacing_kji]
    factors = [min(factor, size) for factor, size in zip(factors, volume.shape, strict=True)]
    array = volume.array
    if any(factor > 1 for factor in factors):
        kept = tuple(slice(0, size // factor * factor) for size, factor in zip(array.shape, factors, strict=True))
        array = array[kept]
        for axis, factor in enumerate(factors):
            if factor > 1:
                shape = (*array.shape[:axis], array.shape[axis] // factor, factor, *array.shape[axis + 1 :])
                array = array.reshape(shape).mean(axis=axis + 1, dtype=np.float32)
    matrix = volume.ijk_to_ras.copy()
    matrix[:3, 3] = volume.grid.to_ras([(factor - 1) / 2 for factor in factors[::-1]])
    matrix[:3, :3] = matrix[:3, :3] * factors[::-1]
    return Volume(array.astype(np.float32, copy=False), matrix, volume.name)


def on_grid(image: Volume, grid: Grid) -> np.ndarray:
    """Values on a grid with no more detail than it can hold; NaN beyond the image."""
    near = image.grid.slices_around(world_corners(grid), 2 * float(grid.spacing.max()))
    if any(part.start >= part.stop for part in near):
        return np.full(grid.shape, np.nan, np.float32)
    return shrunk(image.cropped(near), float(grid.spacing.min())).resampled_to(grid, fill=np.nan).array
