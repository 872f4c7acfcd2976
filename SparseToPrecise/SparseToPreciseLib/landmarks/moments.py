"""Mass, centre and axes of inertia of a probability map, and the rotations that align two of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations, product
from typing import Any

import numpy as np

from ..core.errors import InputError
from ..core.volume import Grid

ALIKE = 1.1
"""Axes whose moments differ by less than this ratio may be exchanged."""


@dataclass(frozen=True)
class Moments:
    """Moments of a probability map.

    Attributes
    ----------
    mass
        Sum of probabilities times the voxel's volume, mm^3.
    centre
        (3,) RAS, mm.
    values
        (3,) variances along the axes, mm^2, largest first.
    axes
        (3, 3) unit axes as columns, RAS.
    skewness
        (3,) third central moments along the axes over the 3/2th power of the variance: what tells an axis' ends apart.
    """

    mass: float
    centre: np.ndarray
    values: np.ndarray
    axes: np.ndarray
    skewness: np.ndarray

    @staticmethod
    def of(weights: np.ndarray, grid: Grid) -> Moments:
        """Moments of (K, J, I) weights on a grid.

        Raises
        ------
        InputError
            There is no weight anywhere.
        """
        found = np.argwhere(weights > 0)
        if not len(found):
            raise InputError("There is no structure here whose moments could be measured.")
        weight = weights[tuple(found.T)].astype(np.float64)
        points = grid.to_ras(found[:, ::-1])
        total = weight.sum()
        centre = weight @ points / total
        away = points - centre
        # A voxel has an extent of its own; without it a flat structure would have a moment of zero.
        own = np.diag((grid.ijk_to_ras[:3, :3] ** 2).sum(axis=1)) / 12
        values, axes = np.linalg.eigh((away * weight[:, None]).T @ away / total + own)
        values, axes = values[::-1], axes[:, ::-1]
        third = weight @ (away @ axes) ** 3 / total
        return Moments(total * grid.voxel_volume_mm3, centre, values, axes, third / values**1.5)

    @property
    def ratios(self) -> tuple[float, float]:
        """Largest to middle and middle to smallest moment; near 1 the axes are ill-defined."""
        return float(self.values[0] / self.values[1]), float(self.values[1] / self.values[2])

    def rotations_from(self, reference: Moments, alike: float = ALIKE) -> list[np.ndarray]:
        """The proper rotations (3x3, RAS) that bring the reference's axes onto these; likeliest ends first.

        An axis has no direction, so four rotations remain; where two moments are alike, their axes may be exchanged,
        and all 24 are given. The paper (section 2.3) takes one of them for granted.
        """
        orders = [(0, 1, 2)]
        if min(*self.ratios, *reference.ratios) < alike:
            orders = list(permutations(range(3)))
        found = []
        for order in orders:
            axes, skewness = self.axes[:, order], self.skewness[list(order)]
            for signs in product((1.0, -1.0), repeat=3):
                rotation = (axes * signs) @ reference.axes.T
                if np.linalg.det(rotation) > 0:
                    found.append((float(np.abs(skewness * signs - reference.skewness).sum()), rotation))
        return [rotation for _, rotation in sorted(found, key=lambda pair: pair[0])]

    def as_parameters(self) -> dict[str, Any]:
        """Plain numbers, for a bundle."""
        return {name: np.asarray(value).tolist() for name, value in vars(self).items()}

    @staticmethod
    def from_parameters(given: dict[str, Any]) -> Moments:
        """The moments that `as_parameters` wrote; raises KeyError, TypeError or ValueError otherwise."""
        arrays = {name: np.array(given[name], dtype=np.float64) for name in ("centre", "values", "axes", "skewness")}
        if [array.shape for array in arrays.values()] != [(3,), (3,), (3, 3), (3,)]:
            raise ValueError("moments of a wrong shape")
        return Moments(mass=float(given["mass"]), **arrays)
