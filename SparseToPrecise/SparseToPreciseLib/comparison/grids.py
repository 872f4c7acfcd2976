"""Two masks on one grid, whatever grids and extents they come with."""

from __future__ import annotations

from itertools import product

import numpy as np

from ..core.errors import InputError, in_mm
from ..core.lattice import grown_to_hold, onto_grid
from ..core.masks import bounding_slices
from ..core.volume import Grid, Volume


def on_common_grid(a: Volume, b: Volume) -> tuple[Volume, Volume]:
    """Two masks on the smallest grid that holds both.

    Its voxels are those of the finer grid (A's where they are as large). Beyond the extent of a mask is background.
    Where one is already on that lattice it is copied exactly, else the nearest voxel counts.

    Parameters
    ----------
    a, b
        Not 0 inside.

    Returns
    -------
    tuple of Volume
        bool, in the order given; one voxel each where both are empty.

    Examples
    --------
    >>> a = Volume(np.ones((2, 3, 4), np.uint8), np.eye(4))
    >>> b = Volume(np.ones((4, 3, 8), np.uint8), np.diag([0.5, 1, 0.5, 1]))
    >>> [one.spacing.tolist() for one in on_common_grid(a, b)]
    [[0.5, 1.0, 0.5], [0.5, 1.0, 0.5]]
    """
    a, b = (one.with_array(one.array != 0) for one in (a, b))
    finer, other = (a, b) if a.grid.voxel_volume_mm3 <= b.grid.voxel_volume_mm3 * (1 + 1e-3) else (b, a)
    grid = grown_to_hold(finer.grid, other)
    arrays = [onto_grid(_filled_part(one), grid) for one in (a, b)]
    part = bounding_slices(arrays[0] | arrays[1]) or (slice(0, 1),) * 3
    return tuple(
        Volume(array, grid.ijk_to_ras, one.name).cropped(part) for array, one in zip(arrays, (a, b), strict=True)
    )


def refuse_apart(a: Grid, b: Grid, a_name: str = "", b_name: str = "") -> None:
    """Raise an `InputError` where two grids have no place in common: of two patients, or one has lost its place."""
    for grid, other in ((a, b), (b, a)):
        ends = np.array(list(product(*((-0.5, size - 0.5) for size in other.shape[::-1]))))
        reach = grid.to_ijk(other.to_ras(ends))
        if (reach.max(axis=0) < -0.5).any() or (reach.min(axis=0) > np.array(grid.shape[::-1]) - 0.5).any():
            apart = np.linalg.norm(_middle(a) - _middle(b))
            raise InputError(
                f"{a_name or 'A'} and {b_name or 'B'} have no place in common, their centres are {in_mm([apart])} "
                "apart; compare segmentations of one patient, in the same coordinates."
            )


def _middle(grid: Grid) -> np.ndarray:
    return grid.to_ras((np.array(grid.shape[::-1]) - 1) / 2)


def _filled_part(mask: Volume) -> Volume:
    """The part that is not empty: what is resampled."""
    return mask.cropped(bounding_slices(mask.array) or (slice(0, 1),) * 3)
