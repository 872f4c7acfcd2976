"""A plane in the world, bounded or not, and the voxels that it passes through."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from .errors import InputError
from .volume import Grid

_IN_PLANE = ((1, 2), (0, 2), (0, 1))
AXES = ("I", "J", "K")


@dataclass(frozen=True)
class Plane:
    """A plane in RAS, mm.

    *Plane coordinates* are mm from the centre along the plane's own axes: two in the plane, the third one off it.

    Parameters
    ----------
    center
        (3,) RAS, mm.
    axes
        (3, 3), columns are two unit directions in the plane and its normal, at right angles, in RAS.
    bounds
        (4,) lower and upper end along the first and the second axis, mm; None: the plane has no end.
    name
        As the user knows it; for sentences.

    Raises
    ------
    InputError
        The centre is not finite, the axes are not at right angles, or the bounds hold nothing.
    """

    center: np.ndarray
    axes: np.ndarray = field(repr=False)
    bounds: np.ndarray | None = None
    name: str = ""

    def __post_init__(self) -> None:
        title = self.name or "The plane"
        center, axes = (np.array(value, dtype=np.float64) for value in (self.center, self.axes))
        if center.shape != (3,) or not np.isfinite(center).all():
            raise InputError(f"{title} needs a centre of three finite coordinates (mm), not {center.tolist()}.")
        if axes.shape != (3, 3) or not np.allclose(axes.T @ axes, np.eye(3), atol=1e-4):
            raise InputError(f"The axes of {title} are not at right angles ({axes.round(4).tolist()}); draw it again.")
        object.__setattr__(self, "center", center)
        object.__setattr__(self, "axes", axes)
        if self.bounds is not None:
            bounds = np.array(self.bounds, dtype=np.float64)
            if bounds.shape != (4,) or not (bounds[::2] < bounds[1::2]).all():
                raise InputError(f"{title} has the bounds {bounds.tolist()} mm, which hold nothing; draw it larger.")
            object.__setattr__(self, "bounds", bounds)

    @staticmethod
    def across(normal: np.ndarray, center: np.ndarray, name: str = "") -> Plane:
        """The plane without end through a RAS point at right angles to a direction of any length.

        Raises
        ------
        InputError
            The direction has no length.
        """
        normal = np.asarray(normal, dtype=np.float64)
        length = np.linalg.norm(normal)
        if not np.isfinite(length) or not length:
            raise InputError(f"The normal {normal.tolist()} of {name or 'the plane'} has no length; draw it again.")
        normal = normal / length
        first = np.cross(normal, np.eye(3)[np.abs(normal).argmin()])
        first /= np.linalg.norm(first)
        return Plane(center, np.stack([first, np.cross(normal, first), normal], axis=1), None, name)

    @staticmethod
    def of_slice(grid: Grid, axis: int, index: int) -> Plane:
        """The slice of a grid across one of its axes (0: I, 1: J, 2: K).

        Examples
        --------
        >>> Plane.of_slice(Grid((4, 5, 6), np.eye(4)), 2, 3).center.tolist()
        [2.5, 2.0, 3.0]
        """
        middle = (np.array(grid.shape[::-1]) - 1) / 2
        middle[axis] = index
        one, other = (grid.ijk_to_ras[:3, other] for other in _IN_PLANE[axis])
        normal = np.cross(one, other)
        if normal @ grid.ijk_to_ras[:3, axis] < 0:
            normal = -normal
        return Plane.across(normal / np.linalg.norm(normal), grid.to_ras(middle), f"slice {AXES[axis]} {index}")

    @property
    def normal(self) -> np.ndarray:
        """(3,) unit vector, RAS."""
        return self.axes[:, 2]

    def named(self, name: str) -> Plane:
        """The same plane under another name."""
        return replace(self, name=name)

    def to_plane(self, points: np.ndarray) -> np.ndarray:
        """(..., 3) RAS points to plane coordinates."""
        return (np.asarray(points, dtype=np.float64) - self.center) @ self.axes

    def from_plane(self, points: np.ndarray) -> np.ndarray:
        """(..., 3) plane coordinates to RAS."""
        return np.asarray(points, dtype=np.float64) @ self.axes.T + self.center

    def distance(self, points: np.ndarray) -> np.ndarray:
        """(...) distance of (..., 3) RAS points to the plane as if it had no end, mm."""
        return np.abs((np.asarray(points, dtype=np.float64) - self.center) @ self.normal)

    def voxels(self, grid: Grid) -> np.ndarray:
        """(N, 3) I, J, K of the voxels of a grid that the plane passes through, within its bounds.

        One voxel for each column of voxels along the axis that the plane is most across: the one whose centre is within
        half a voxel of the plane along that axis. So a slice of the grid gives that slice.

        Examples
        --------
        >>> Plane.across([0, 0, 1], [0, 0, 1.4]).voxels(Grid((4, 1, 2), np.eye(4))).tolist()
        [[0, 0, 1], [1, 0, 1]]
        """
        axis = self.dominant_axis(grid)
        one, other = _IN_PLANE[axis]
        size = grid.shape[::-1]
        found = np.zeros((size[one] * size[other], 3), np.int64)
        found[:, one], found[:, other] = (index.ravel() for index in np.mgrid[: size[one], : size[other]])
        self.put_on(grid, found)
        found = found[(found[:, axis] >= 0) & (found[:, axis] < size[axis])]
        if self.bounds is not None:
            along = self.to_plane(grid.to_ras(found))
            low, high = self.bounds[::2] - 1e-6, self.bounds[1::2] + 1e-6
            found = found[((along[:, :2] >= low) & (along[:, :2] <= high)).all(axis=1)]
        return found

    def dominant_axis(self, grid: Grid) -> int:
        """The axis of a grid (0: I, 1: J, 2: K) along which one voxel leads farthest from the plane."""
        return int(np.abs(self.normal @ grid.ijk_to_ras[:3, :3]).argmax())

    def put_on(self, grid: Grid, ijk: np.ndarray) -> None:
        """Move (..., 3) voxels I, J, K along the dominant axis to where the plane passes, in place."""
        slope = self.normal @ grid.ijk_to_ras[:3, :3]
        offset = self.normal @ (grid.ijk_to_ras[:3, 3] - self.center)
        axis = self.dominant_axis(grid)
        rest = offset + sum(slope[along] * ijk[..., along] for along in _IN_PLANE[axis])
        # A plane half-way between two slices belongs to the upper one, rounding in its file or not.
        ijk[..., axis] = np.floor(-rest / slope[axis] + 0.5 + 1e-6).astype(ijk.dtype)
