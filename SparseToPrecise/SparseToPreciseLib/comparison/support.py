"""Common support: the slices or columns on which both of two masks have something.

An annotator who stopped early, or drew every third slice, is not to be punished for what he never looked at. After
Marzola, Meiburger, Salvi, *Innovative temporal loss function for segmentation of fine structures in ultrasound images*
(IUS 2023), whose mask M in Eq. 3 is positive in the image's columns where both have at least one pixel; in 3D the same
with whole slices, or with the lines of voxels along one axis.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy import ndimage

from ..core.errors import InputError
from ..core.volume import Volume


@dataclass(frozen=True)
class Support:
    """Where two masks are compared.

    Attributes
    ----------
    axis
        0, 1 or 2 for I, J or K: slices across it, or columns along it.
    kept
        bool, of the masks' shape with 1 along what a slice or a column extends over.
    spacing_kji
        Size of a voxel, mm.
    used
        Slices or columns on which both have something.
    either
        Those on which at least one has.
    """

    axis: int
    kept: np.ndarray
    spacing_kji: np.ndarray
    used: int
    either: int

    @property
    def excluded_share(self) -> float:
        """Share of the slices or columns with something that is left out; 0 where nothing is there."""
        return 1 - self.used / self.either if self.either else 0.0

    def restricted(self, array: np.ndarray) -> np.ndarray:
        """A mask without what is left out."""
        return array & self.kept

    def extended(self, array: np.ndarray) -> np.ndarray:
        """A mask whose slices or columns that are left out are copies of the nearest kept ones.

        A surface made of it has no faces where the support ends, which nobody has drawn.
        """
        if not self.used or self.kept.all():
            return array & self.kept
        nearest = ndimage.distance_transform_edt(
            ~self.kept, self.spacing_kji, return_distances=False, return_indices=True
        )
        whole = [np.arange(size).reshape([-1 if one == axis else 1 for one in range(3)])
                 for axis, size in enumerate(array.shape)]  # fmt: skip
        return array[tuple(n if size > 1 else w for n, size, w in zip(nearest, self.kept.shape, whole, strict=True))]

    def share(self, ijk: np.ndarray) -> np.ndarray:
        """How much of the surface around (N, 3) voxel coordinates I, J, K (fractional) lies on what is kept, 0 to 1.

        A point between two voxels, of which one is kept, has a half.
        """
        limits = np.array(self.kept.shape) - 1
        # Quarter voxels to either side: vertices lie between voxels.
        steps = [(-0.25, 0.25) if size > 1 else (0.0,) for size in self.kept.shape]
        shifts = list(product(*steps))
        found = np.zeros(len(ijk))
        for shift in shifts:
            voxels = np.clip(np.floor(ijk[:, ::-1] + shift + 0.5).astype(int), 0, limits)
            found += self.kept[tuple(voxels.T)]
        return found / len(shifts)


def common_slices(a: Volume, b: Volume, axis: int) -> Support:
    """The slices across an index axis (0: I, 1: J, 2: K) on which both masks have at least one voxel.

    Parameters
    ----------
    a, b
        On one grid, not 0 inside.

    Raises
    ------
    InputError
        The axis is none of the three.

    Examples
    --------
    >>> a = Volume(np.array([1, 1, 1, 0]).reshape(4, 1, 1), np.eye(4))
    >>> b = Volume(np.array([0, 1, 0, 1]).reshape(4, 1, 1), np.eye(4))
    >>> support = common_slices(a, b, axis=2)
    >>> support.used, support.either, support.excluded_share
    (1, 4, 0.75)
    """
    return _support(a, b, axis, columns=False)


def common_columns(a: Volume, b: Volume, axis: int) -> Support:
    """The columns of voxels along an index axis (0: I, 1: J, 2: K) in which both masks have at least one; Eq. 3's M.

    Parameters and errors as `common_slices`.

    Examples
    --------
    >>> a = Volume(np.array([[[1, 1, 0], [1, 0, 0]]]), np.eye(4))
    >>> b = Volume(np.array([[[0, 0, 0], [1, 0, 1]]]), np.eye(4))
    >>> common_columns(a, b, axis=1).kept.tolist()
    [[[True, False, False]]]
    """
    return _support(a, b, axis, columns=True)


def slice_axis(volume: Volume) -> int:
    """The axis (0: I, 1: J, 2: K) of the thickest voxels, across which slices are drawn; of equal ones the last.

    >>> slice_axis(Volume(np.zeros((2, 2, 2)), np.diag([1, 3, 1, 1])))
    1
    """
    spacing = volume.spacing
    return int(np.flatnonzero(spacing >= spacing.max() * (1 - 1e-3))[-1])


def _support(a: Volume, b: Volume, axis: int, columns: bool) -> Support:
    if axis not in (0, 1, 2):
        raise InputError(f"There is no axis {axis}; give 0, 1 or 2 for I, J or K.")
    along = 2 - axis
    over = (along,) if columns else tuple(one for one in range(3) if one != along)
    there = [(volume.array != 0).any(axis=over, keepdims=True) for volume in (a, b)]
    kept = there[0] & there[1]
    return Support(axis, kept, a.grid.spacing_kji, int(kept.sum()), int((there[0] | there[1]).sum()))
