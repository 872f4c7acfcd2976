"""Volumes on other grids without aliasing: values that interpolation would skip are averaged.

`on_grid` and `sampled` differ on purpose. The first averages as many voxels along every axis of the volume as the
finest spacing of the grid allows, and is NaN beyond the volume: for the isotropic grids along RAS of whole heads and
organs. The second averages along each axis by itself and repeats the edge: for the slices of boxes, whose steps are
unequal and which may reach beyond the field of view. Models have been trained on each.

Families go on from `block_means` and `shrunk` where they need more than either: `editing.working_grid.around` keeps the
voxels that are left, since a segmentation goes back to them, and `synthesis.working_grid.onto_working_grid` takes a
cubic spline, with blocks that do not depend on how the image is cropped or flipped.
"""

from __future__ import annotations

from collections.abc import Sequence

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
    return block_means(volume, factors)


def block_means(volume: Volume, factors: Sequence[int]) -> Volume:
    """Means of whole blocks of so many voxels along K, J, I, float32; what fills no block at the upper ends is dropped.

    At least one block must fit: no factor is larger than the array.
    """
    array = volume.array
    kept = tuple(slice(0, size // factor * factor) for size, factor in zip(array.shape, factors, strict=True))
    array = array[kept]
    # Slice by slice, axis by axis: several times faster than the mean of an array reshaped to blocks, and no copy of
    # the whole array in another type.
    for axis, factor in enumerate(factors):
        if factor > 1:
            first, *others = (array[(slice(None),) * axis + (slice(one, None, factor),)] for one in range(factor))
            array = first.astype(np.float32)
            for other in others:
                array += other
    array = array.astype(np.float32, copy=False)
    if np.prod(factors) > 1:
        array /= np.float32(np.prod(factors))
    steps = np.array(factors[::-1])
    matrix = volume.ijk_to_ras.copy()
    matrix[:3, 3] = volume.grid.to_ras((steps - 1) / 2)  # the centre of the first block
    matrix[:3, :3] = matrix[:3, :3] * steps
    return Volume(array, matrix, volume.name)


def on_grid(image: Volume, grid: Grid) -> np.ndarray:
    """(K, J, I) float32 values on a grid with no more detail than it can hold; NaN beyond the image."""
    near = image.grid.slices_around(world_corners(grid), 2 * float(grid.spacing.max()))
    if any(part.start >= part.stop for part in near):
        return np.full(grid.shape, np.nan, np.float32)
    return shrunk(image.cropped(near), float(grid.spacing.min())).resampled_to(grid, fill=np.nan).array


def sampled(volume: Volume, grid: Grid) -> np.ndarray:
    """(K, J, I) float32 values of a volume on a grid, averaged along each axis where the volume is finer.

    Beyond the volume its edge is repeated.
    """
    return _reduced(volume, grid).resampled_to(grid).array


def _reduced(volume: Volume, grid: Grid) -> Volume:
    """The part of a volume around a grid, as block means where its voxels are much finer than the grid's."""
    steps = np.abs(volume.grid.ras_to_ijk[:3, :3] @ grid.ijk_to_ras[:3, :3]).max(axis=1)
    factors = np.maximum(np.floor(steps + 1e-6), 1).astype(int)
    if (factors == 1).all():
        return volume
    ijk = volume.grid.to_ijk(world_corners(grid))
    low = np.clip(np.floor(ijk.min(axis=0)) - factors, 0, None).astype(int)
    high = np.minimum(np.ceil(ijk.max(axis=0)) + factors + 1, volume.shape[::-1]).astype(int)
    low = np.minimum(low, np.array(volume.shape[::-1]) - 1)
    # Whole blocks only, but never none.
    factors = np.minimum(factors, np.maximum(high - low, 1))
    high = low + np.maximum((high - low) // factors, 1) * factors
    part = volume.cropped(tuple(slice(int(a), int(b)) for a, b in zip(low[::-1], high[::-1], strict=True)))
    return block_means(part, [int(factor) for factor in factors[::-1]])
