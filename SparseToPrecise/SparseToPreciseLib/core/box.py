"""A box in the world, possibly rotated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .errors import InputError
from .volume import Grid, Volume

Numbers = np.ndarray | Sequence[float]
DIAMETER_MARGIN = 0.1
"""Share of a longest diameter."""


@dataclass(frozen=True)
class Box:
    """A 3D box in RAS, mm.

    *Box coordinates* are mm from the centre along the box's own axes.

    Parameters
    ----------
    center
        (3,) RAS, mm.
    axes
        (3, 3), columns are the unit directions of the box's own axes in RAS. They are turned round where needed, so
        that the first two point to the R, A or S that is nearest to them, and the frame is right-handed: the same box
        always has the same frame, however a file or an image stores it.
    size
        (3,) full lengths along these axes, mm.

    Raises
    ------
    InputError
        The axes are not at right angles, or a length is not positive.
    """

    center: np.ndarray
    axes: np.ndarray = field(repr=False)
    size: np.ndarray

    def __post_init__(self) -> None:
        center, axes, size = (np.array(value, dtype=np.float64) for value in (self.center, self.axes, self.size))
        if center.shape != (3,) or not np.isfinite(center).all():
            raise InputError(f"A box needs a centre of three finite coordinates (mm), not {center.round(4).tolist()}.")
        if size.shape != (3,) or not np.isfinite(size).all() or not (size > 0).all():
            given = size.round(4).tolist()
            raise InputError(f"A box needs three positive lengths (mm), not {given}; draw it with a volume.")
        if axes.shape != (3, 3) or not np.allclose(axes.T @ axes, np.eye(3), atol=1e-4):
            raise InputError(
                f"The axes of the box are not at right angles (directions {np.round(axes, 4).tolist()}); "
                "harden or remove the transform that shears it."
            )
        # The nearest exact rotation, so that rounding in a file does not add up.
        left, _, right = np.linalg.svd(axes)
        axes = left @ right
        axes = axes * np.where(axes[np.abs(axes).argmax(axis=0), range(3)] < 0, -1, 1)
        if np.linalg.det(axes) < 0:
            axes = axes * (1, 1, -1)
        for name, value in (("center", center), ("axes", axes), ("size", size)):
            value.setflags(write=False)
            object.__setattr__(self, name, value)

    @staticmethod
    def from_bounds(bounds_ras: Numbers) -> Box:
        """The box along the RAS axes with (3, 2) lower and upper bounds in mm."""
        bounds = np.asarray(bounds_ras, dtype=np.float64)
        if bounds.shape != (3, 2):
            raise InputError(f"The bounds of a box are three pairs (mm along R, A, S), not {bounds.tolist()}.")
        return Box(bounds.mean(axis=1), np.eye(3), bounds[:, 1] - bounds[:, 0])

    @staticmethod
    def from_matrix(matrix: np.ndarray, size: Numbers) -> Box:
        """The box that a 4x4 matrix to RAS makes of a box of (3,) lengths around the origin.

        Raises
        ------
        InputError
            The matrix shears, so that no box comes out, or it is singular.
        """
        matrix = np.asarray(matrix, dtype=np.float64)
        scale = np.linalg.norm(matrix[:3, :3], axis=0)
        if not np.isfinite(matrix).all() or not (scale > 0).all():
            raise InputError(f"The box's matrix {matrix.tolist()} is singular or not finite; draw the box again.")
        return Box(matrix[:3, 3], matrix[:3, :3] / scale, np.asarray(size, dtype=np.float64) * scale)

    @staticmethod
    def around_diameter(ends: Numbers, grid: Grid) -> Box:
        """The cube around an object of which only the longest diameter was drawn, as for RECIST.

        Parameters
        ----------
        ends
            (2, 3) of the diameter, RAS, mm.
        grid
            Whose axes the cube has.

        Returns
        -------
        Box
            Its sides are longer than the diameter by `DIAMETER_MARGIN` at both ends: across the plane in which it was
            measured the object may be longer.
        """
        ends = np.asarray(ends, dtype=np.float64)
        length = float(np.linalg.norm(ends[1] - ends[0]))
        return Box(ends.mean(axis=0), _right_angled(grid), np.full(3, (1 + 2 * DIAMETER_MARGIN) * length))

    @staticmethod
    def bounding(mask: Volume, axes: np.ndarray | None = None) -> Box:
        """The tight box of what is not 0 in a volume, whole voxels included.

        Parameters
        ----------
        axes
            (3, 3) directions of the box; None: the volume's own (the nearest right-angled ones of a sheared grid).

        Raises
        ------
        InputError
            The volume is empty.
        """
        filled = mask.array != 0
        rows = filled.any(axis=2)
        if not rows.any():
            raise InputError(f"{mask.name or 'The mask'} is empty, so that it has no bounding box.")
        # Only the ends of each row of voxels can be extreme in any direction.
        k, j = np.nonzero(rows)
        lines = filled[k, j]
        first, last = lines.argmax(axis=1), filled.shape[2] - 1 - lines[:, ::-1].argmax(axis=1)
        ends = np.concatenate([np.stack([i, j, k], axis=1) for i in (first, last)])
        edges = mask.ijk_to_ras[:3, :3]
        if axes is None:
            axes = _right_angled(mask.grid)
        axes = Box(np.zeros(3), axes, np.ones(3)).axes
        along = mask.grid.to_ras(ends) @ axes
        half_voxel = np.abs(axes.T @ edges).sum(axis=1) / 2
        low, high = along.min(axis=0) - half_voxel, along.max(axis=0) + half_voxel
        return Box(axes @ ((low + high) / 2), axes, high - low)

    @property
    def volume_mm3(self) -> float:
        return float(self.size.prod())

    @property
    def bounds_ras(self) -> np.ndarray:
        """(3, 2) bounds of the corners along R, A, S in mm."""
        corners = self.corners()
        return np.stack([corners.min(axis=0), corners.max(axis=0)], axis=1)

    def corners(self) -> np.ndarray:
        """(8, 3) RAS, mm."""
        signs = np.stack(np.meshgrid(*[(-0.5, 0.5)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
        return self.from_box(signs * self.size)

    def to_box(self, points: np.ndarray) -> np.ndarray:
        """(..., 3) RAS points to box coordinates."""
        return (np.asarray(points, dtype=np.float64) - self.center) @ self.axes

    def from_box(self, points: np.ndarray) -> np.ndarray:
        """(..., 3) box coordinates to RAS."""
        return np.asarray(points, dtype=np.float64) @ self.axes.T + self.center

    def contains(self, points: np.ndarray, tolerance_mm: float = 1e-6) -> np.ndarray:
        """Which of the (..., 3) RAS points lie in the box or on its faces."""
        return (np.abs(self.to_box(points)) <= self.size / 2 + tolerance_mm).all(axis=-1)

    def within(self, low: Numbers, high: Numbers) -> Box:
        """The box of the same axes between two corners (3,) in this one's box coordinates."""
        low, high = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
        return Box(self.from_box((low + high) / 2), self.axes, high - low)

    def grown(self, low_mm: Numbers | float, high_mm: Numbers | float) -> Box:
        """Larger by so much at the lower and upper side of each axis; negative lengths shrink."""
        return self.within(-self.size / 2 - np.asarray(low_mm), self.size / 2 + np.asarray(high_mm))

    def shrunk(self, low_mm: Numbers | float, high_mm: Numbers | float) -> Box:
        """Smaller by so much at the lower and upper side of each axis."""
        return self.grown(-np.asarray(low_mm, dtype=np.float64), -np.asarray(high_mm, dtype=np.float64))

    def grid(self, spacing_mm: Numbers | float, margin_steps: int | Sequence[int] = 0) -> Grid:
        """A grid along the box's axes (I, J, K) whose voxels fill the box exactly.

        Parameters
        ----------
        spacing_mm
            Wanted voxel size along the axes, or one for all; made smaller so that whole voxels fill the box.
        margin_steps
            Voxels added outside on every side, or on both sides of each axis (3,).
        """
        spacing = np.broadcast_to(np.asarray(spacing_mm, dtype=np.float64), 3)
        if not (spacing > 0).all():
            raise InputError(f"A grid needs positive voxel sizes (mm), not {spacing.tolist()}.")
        steps = np.maximum(np.ceil(self.size / spacing - 1e-6), 1).astype(int)
        spacing = self.size / steps
        count = steps + 2 * np.broadcast_to(np.asarray(margin_steps, dtype=int), 3)
        matrix = np.eye(4)
        matrix[:3, :3] = self.axes * spacing
        matrix[:3, 3] = self.from_box(-(count - 1) / 2 * spacing)
        return Grid(tuple(int(number) for number in count[::-1]), matrix)

    def mask_on(self, grid: Grid) -> np.ndarray:
        """(K, J, I) bool: which voxel centres of a grid lie in the box; memory follows the box, not the grid."""
        inside = np.zeros(grid.shape, dtype=bool)
        slices = grid.slices_around(self.corners(), 0.0)
        part = grid.cropped(slices) if all(one.start < one.stop for one in slices) else None
        if part is not None:
            for number, k in enumerate(range(slices[0].start, slices[0].stop)):
                plane = part.cropped((slice(number, number + 1), slice(None), slice(None)))
                inside[k, slices[1], slices[2]] = self.contains(plane.points_ras())[0]
        return inside


def _right_angled(grid: Grid) -> np.ndarray:
    """(3, 3) directions of a grid's axes; of a sheared one the nearest at right angles."""
    edges = grid.ijk_to_ras[:3, :3]
    left, _, right = np.linalg.svd(edges / np.linalg.norm(edges, axis=0))
    return left @ right
