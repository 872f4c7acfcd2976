"""Overlap of two masks, and how much of one lies in the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.masks import dice, on_one_grid
from ..core.volume import Volume
from .support import Support


@dataclass(frozen=True)
class Overlap:
    """Overlap of masks A and B.

    Attributes
    ----------
    dice
        2·|A∩B| / (|A| + |B|): the harmonic mean of |A∩B|/|A| and |A∩B|/|B| (Dice 1945). Both empty: 1; one: 0.
    iou
        |A∩B| / |A∪B|, which is dice / (2 − dice) (Jaccard 1912). Both empty: 1; one: 0.
    volume_a_mm3, volume_b_mm3
        Voxels times the volume of a voxel.
    only_a_mm3, only_b_mm3
        Volumes of A without B and of B without A.
    """

    dice: float
    iou: float
    volume_a_mm3: float
    volume_b_mm3: float
    only_a_mm3: float
    only_b_mm3: float

    @property
    def difference_mm3(self) -> float:
        """Volume of B less that of A."""
        return self.volume_b_mm3 - self.volume_a_mm3

    @property
    def inclusion_a_in_b(self) -> float:
        """Share of A that lies in B; 1 where A is empty."""
        return _share_in(self.volume_a_mm3, self.only_a_mm3)

    @property
    def inclusion_b_in_a(self) -> float:
        """Share of B that lies in A; 1 where B is empty."""
        return _share_in(self.volume_b_mm3, self.only_b_mm3)


def overlap(a: Volume, b: Volume, support: Support | None = None) -> Overlap:
    """Dice, IoU and volumes.

    Parameters
    ----------
    a, b
        On one grid (`grids.on_common_grid`), not 0 inside.
    support
        Compare only there, see `support`.

    Raises
    ------
    InputError
        They have different shapes.

    Examples
    --------
    >>> a = Volume(np.array([1, 1, 0, 0]).reshape(4, 1, 1), np.diag([1, 1, 2, 1]))
    >>> b = Volume(np.array([0, 1, 1, 1]).reshape(4, 1, 1), np.diag([1, 1, 2, 1]))
    >>> found = overlap(a, b)
    >>> found.dice, found.iou, found.difference_mm3, found.inclusion_a_in_b
    (0.4, 0.25, 2.0, 0.5)
    """
    one, other = on_one_grid(a.array, b.array)
    if support is not None:
        one, other = support.restricted(one), support.restricted(other)
    voxel = a.grid.voxel_volume_mm3
    counts = (np.count_nonzero(part) for part in (one, other, one & ~other, other & ~one))
    found = dice(one, other)
    return Overlap(found, found / (2 - found), *(float(count) * voxel for count in counts))


def inclusion(inner: Volume, outer: Volume) -> float:
    """Share of the inner mask that lies in the outer one, a lesion in an organ say; 1 where the inner one is empty.

    A measure of `max(0, inner − outer)`: unlike the product of both, which is 1 where both are, it does fall where the
    inner one leaves the outer one.

    Parameters and errors as `overlap`.

    Examples
    --------
    >>> lesion = Volume(np.array([1, 1, 1, 1]).reshape(4, 1, 1), np.eye(4))
    >>> organ = Volume(np.array([0, 1, 1, 1]).reshape(4, 1, 1), np.eye(4))
    >>> inclusion(lesion, organ)
    0.75
    """
    return overlap(inner, outer).inclusion_a_in_b


def _share_in(volume: float, outside: float) -> float:
    return 1 - outside / volume if volume else 1.0
