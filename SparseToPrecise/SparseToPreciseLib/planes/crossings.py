"""Where two planes were painted differently along the line in which they cross."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import numpy as np
from scipy import ndimage

from .section import Section

_FEWEST = 4
"""Pixels of the line; fewer are a slip of the brush."""
_LEAST_SHARE = 0.25
"""Share of the line's pixels on which, or beside which, there is paint."""
_BESIDE = 2.0
"""Pixels from the line at which the plane is asked what it says."""
_LEAST_ANGLE = 0.2
"""Sine of the angle between two planes that cross; flatter ones overlap."""


def contradictions(sections: Sequence[Section]) -> list[str]:
    """Sentences on pairs of planes that contradict each other.

    A voxel has one label. So where two planes cross, that of the plane painted last is left, and on the other plane it
    is a line that agrees with neither of its sides.
    """
    found = []
    told: set[frozenset[int]] = set()
    for one, other in permutations(range(len(sections)), 2):
        pair = frozenset((one, other))
        if pair in told:
            continue
        points, line = _odd_pixels(sections[one], sections[other])
        if len(points) >= _FEWEST and len(points) > _LEAST_SHARE * max(line, 1):
            told.add(pair)
            names = " and ".join(sections[number].plane.name or f"plane {number + 1}" for number in sorted(pair))
            middle = points[len(points) // 2].round(1).tolist()
            found.append(
                f"{names} contradict each other where they cross, as at {middle} (RAS, mm); the voxels there were kept "
                "as they were painted last."
            )
    return found


def _odd_pixels(section: Section, other: Section) -> tuple[np.ndarray, int]:
    """(N, 3) RAS points of a plane's pixels on another plane that agree with neither side, mm, and how many pixels of
    that line have paint on them or beside them."""
    slope = other.plane.normal @ section.plane.axes[:, :2]
    steepness = float(np.linalg.norm(slope))
    if steepness < _LEAST_ANGLE:
        return np.zeros((0, 3)), 0
    offset = other.plane.normal @ (section.plane.center - other.plane.center)
    u, v = (section.origin[axis] + section.step * np.arange(section.known.shape[axis]) for axis in range(2))
    away = np.abs(slope[0] * u[:, None] + slope[1] * v + offset) / steepness
    line = section.known & (away < section.step / 2)
    pixels = np.argwhere(line)
    across = _BESIDE * slope / steepness
    sides = [
        ndimage.map_coordinates(section.labels, (pixels + sign * across).T, order=0, mode="constant", cval=0)
        for sign in (1, -1)
    ]
    own = section.labels[line]
    odd = np.zeros(line.shape, bool)
    odd[line] = (sides[0] == sides[1]) & (own != sides[0])
    painted = np.count_nonzero((sides[0] != 0) | (sides[1] != 0) | (own != 0))
    return section.points(odd), painted
