"""The grids on which this family works: isotropic, along RAS, scaled by the structure's size.

Every grid lies along the world's axes whatever the image's own, so that the same anatomy gives the same numbers
however it is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..core.errors import InputError
from ..core.resampling import world_corners
from ..core.volume import Grid

if TYPE_CHECKING:
    from .reference import Reference

_WINDOW = 0.5
"""Standard deviation of the window of surroundings, in diameters of the structure."""
_MOST_VOXELS = 60_000_000


@dataclass(frozen=True)
class Scale:
    """Lengths that follow from the structure's size; nothing else in this family is a length.

    Attributes
    ----------
    diameter_mm
        Length of the structure of interest.
    spacing_mm
        Size of the network's pixels.
    size
        Pixels along a side of the network's patches.
    """

    diameter_mm: float
    spacing_mm: float
    size: int

    @property
    def window_mm(self) -> float:
        """Standard deviation of the window of surroundings that intensities are measured against."""
        return _WINDOW * self.diameter_mm

    @staticmethod
    def of(references: Sequence[Reference], pixels: int = 20, size: int = 48) -> Scale:
        """The scale on which the references' median diameter is so many pixels long."""
        diameter = float(np.median([reference.diameter_mm for reference in references]))
        return Scale(diameter, diameter / pixels, size)


def covering_grid(grid: Grid, spacing_mm: float) -> Grid:
    """The isotropic grid along RAS that holds a whole grid.

    Raises
    ------
    InputError
        It would have too many voxels.
    """
    corners = world_corners(grid)
    count = float(np.prod((corners.max(axis=0) - corners.min(axis=0)) / spacing_mm + 1))
    if count > _MOST_VOXELS:
        raise InputError(
            f"The image is too large to be searched at {spacing_mm:.3g} mm ({count:.2g} voxels of at most "
            f"{_MOST_VOXELS:.2g}); crop it or give a seed point."
        )
    return Grid.around(corners, spacing_mm / 2, spacing_mm)


def cube_around(centre: np.ndarray, voxels: int, spacing_mm: float) -> Grid:
    """A cube of so many voxels along each side, along RAS, around a RAS point."""
    matrix = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    matrix[:3, 3] = np.asarray(centre) - (voxels - 1) / 2 * spacing_mm
    return Grid((voxels,) * 3, matrix)
