"""Slices of a box in its own frame: where they lie, and the values of an image or a mask on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..core.box import Box
from ..core.errors import InputError, in_digits
from ..core.resampling import sampled, world_corners
from ..core.volume import Grid, Volume

AXES = ("I", "J", "K")
CONTEXT = 12
"""Pixels beyond the box on every side of a slice: the object does not reach there, which shows what it is not."""
MULTIPLE = 16
"""Sides of slices are multiples of this, pixels."""
CELL = 2
"""Pixels along a cell, which is as long along the axis, so that the lattice of cells is isotropic."""
LARGEST_SIDE = 384
"""Pixels; a larger box gets larger ones than the model's own spacing, which bounds the memory."""


@dataclass(frozen=True)
class Frame:
    """Parallel slices of a box. In-plane coordinates are box coordinates (mm from the centre of the box).

    Attributes
    ----------
    box
        The box that is cut.
    axis
        The box's axis (0, 1, 2) along which the slices are cut.
    spacing
        Size of a pixel along both in-plane axes, mm.
    step
        Distance of two slices, mm; the slices fill the box exactly.
    slices
        Number of slices.
    """

    box: Box
    axis: int
    spacing: float
    step: float
    slices: int

    @staticmethod
    def cut(box: Box, axis: int, step_mm: float, spacing_mm: float | None = None, side: int = 72) -> Frame:
        """Slices about `step_mm` apart.

        Parameters
        ----------
        spacing_mm
            Size of a pixel; None lets it follow the box, so that a cube as large as the box has sides of `side` pixels.
        """
        longest = float(box.size.max())
        if spacing_mm is None:
            # Not finer than the longest side allows: a slender box would become a very long image.
            spacing_mm = max(float(np.cbrt(box.size.prod())), longest / 1.75) / side
        spacing_mm = max(spacing_mm, longest / LARGEST_SIDE)
        slices = max(1, round(box.size[axis] / step_mm))
        return Frame(box, axis, float(spacing_mm), float(box.size[axis] / slices), slices)

    def part(self, low: np.ndarray, high: np.ndarray, side: int) -> Frame:
        """The slices of this one that a smaller box meets, whose own pixels follow that box.

        Parameters
        ----------
        low, high
            (3,) corners of the smaller box in box coordinates; along the axis it is grown to whole slices.
        side
            As in `cut`.
        """
        half = self.box.size[self.axis] / 2
        low, high = np.array(low, dtype=np.float64), np.array(high, dtype=np.float64)
        first = max(int(np.floor((low[self.axis] + half) / self.step + 1e-6)), 0)
        stop = min(int(np.ceil((high[self.axis] + half) / self.step - 1e-6)), self.slices)
        low[self.axis], high[self.axis] = first * self.step - half, stop * self.step - half
        return Frame.cut(self.box.within(low, high), self.axis, self.step, None, side)

    @property
    def plane(self) -> tuple[int, int]:
        """The box's axes along the columns (u) and rows (v) of a slice."""
        return in_plane_axes(self.axis)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of a slice, context included."""
        u, v = (int(np.ceil(self.box.size[axis] / self.spacing - 1e-6)) + 2 * CONTEXT for axis in self.plane)
        return (-(-v // MULTIPLE) * MULTIPLE, -(-u // MULTIPLE) * MULTIPLE)

    def positions(self, numbers: Sequence[int] | np.ndarray | None = None) -> np.ndarray:
        """Positions of slices along the axis, mm from the centre of the box; numbers may lie beyond the box."""
        numbers = np.arange(self.slices) if numbers is None else np.asarray(numbers)
        return (numbers + 0.5) * self.step - self.box.size[self.axis] / 2

    def pixels(self) -> tuple[np.ndarray, np.ndarray]:
        """In-plane coordinates of the columns (u) and of the rows (v), mm."""
        rows, columns = self.shape
        return tuple(
            (np.arange(count) - CONTEXT + 0.5) * self.spacing - self.box.size[axis] / 2
            for count, axis in zip((columns, rows), self.plane, strict=True)
        )

    def grid(self, first: int, stop: int) -> Grid:
        """The pixels of slices first .. stop - 1 as a grid: I along u, J along v, K along the axis."""
        (u, v), (rows, columns) = self.pixels(), self.shape
        start = u[0], v[0], self.positions([first])[0]
        return self.lattice(start, self.spacing, self.step, (stop - first, rows, columns))

    @property
    def cell(self) -> float:
        """Side of a cell, mm."""
        return CELL * self.spacing

    @property
    def planes(self) -> int:
        """Number of planes of cells along the axis, context included."""
        count = int(np.ceil(self.box.size[self.axis] / self.cell - 1e-6)) + 2 * CONTEXT // CELL
        return -(-count * CELL // MULTIPLE) * MULTIPLE // CELL

    def plane_positions(self) -> np.ndarray:
        """Positions of the planes of cells along the axis, mm from the centre of the box."""
        return (np.arange(self.planes) + 0.5) * self.cell - CONTEXT * self.spacing - self.box.size[self.axis] / 2

    def cell_centres(self) -> tuple[np.ndarray, np.ndarray]:
        """In-plane coordinates of the columns (u) and of the rows (v) of cells, mm."""
        return tuple(at.reshape(-1, CELL).mean(axis=1) for at in self.pixels())

    def cells(self, first: int, stop: int) -> Grid:
        """The planes first .. stop - 1 of cells as an isotropic grid: I along u, J along v, K along the axis."""
        u, v = self.cell_centres()
        origin = u[0], v[0], self.plane_positions()[first]
        return self.lattice(origin, self.cell, self.cell, (stop - first, len(v), len(u)))

    def lattice(self, first: Sequence[float], spacing: float, step: float, shape: tuple[int, int, int]) -> Grid:
        """A grid whose first voxel is centred at (u, v, along the axis)."""
        order = [*self.plane, self.axis]
        origin = np.zeros(3)
        origin[order] = first
        matrix = np.eye(4)
        matrix[:3, :3] = self.box.axes[:, order] * (spacing, spacing, step)
        matrix[:3, 3] = self.box.from_box(origin)
        return Grid(shape, matrix)

    def sample(self, volume: Volume, first: int, stop: int) -> np.ndarray:
        """(stop - first, rows, columns) float32: a volume on the slices; beyond its edge the edge is repeated."""
        return sampled(volume, self.grid(first, stop))


def in_plane_axes(axis: int) -> tuple[int, int]:
    """The two other axes, in cyclic order: along the columns and along the rows."""
    return (axis + 1) % 3, (axis + 2) % 3


def axis_of(name: str, image: Grid, box: Box) -> int:
    """The axis of the box to slice along.

    Parameters
    ----------
    name
        "I", "J" or "K": the box's own first, second or third axis; "auto": the one nearest to the image's axis of the
        thickest voxels (the last of those that are as thick).
    """
    if name in AXES:
        return AXES.index(name)
    if name != "auto":
        raise InputError(f"The axis must be auto, I, J or K, not {name!r}.")
    spacing = image.spacing
    thickest = int(np.flatnonzero(spacing >= spacing.max() * (1 - 1e-3))[-1])
    return int(np.abs(box.axes.T @ image.ijk_to_ras[:3, thickest]).argmax())


def slice_step(image: Grid, box: Box, axis: int) -> float:
    """Distance (mm) of the image's own planes along the image axis that is nearest to an axis of the box."""
    along = np.abs(image.ijk_to_ras[:3, :3].T @ box.axes[:, axis]) / image.spacing
    return float(image.spacing[int(along.argmax())])


def check_within(box: Box, image: Grid) -> None:
    """Refuse a box that the image does not hold.

    Raises
    ------
    InputError
        The box lies outside or partly outside the image, or is thinner than a voxel.
    """
    ijk = image.to_ijk(box.corners())
    size = np.array(image.shape[::-1])
    low, high = ijk.min(axis=0), ijk.max(axis=0)
    if (high < -0.5).any() or (low > size - 0.5).any():
        centre = ", ".join(in_digits(value, 1) for value in box.center)
        raise InputError(f"The box around RAS [{centre}] lies outside the image; move it to the object.")
    # Half a voxel is forgiven: a user who draws along the border of the image means the border.
    beyond = np.maximum(-1.0 - low, high - size) * image.spacing
    if (beyond > 0).any():
        worst = int(beyond.argmax())
        what = "is larger than the image" if ((high - low) > size + 1).any() else "reaches beyond the image"
        raise InputError(
            f"The box {what} along the image's axis {AXES[worst]} (by {in_digits(beyond[worst], 1)} mm and more); "
            "shrink or move it until all of it lies in the image."
        )
    for axis in range(3):
        step = slice_step(image, box, axis)
        if box.size[axis] < step * (1 - 1e-3):
            raise InputError(
                f"The box is {in_digits(box.size[axis], 2)} mm thin along its axis {AXES[axis]}, less than one voxel "
                f"({in_digits(step, 2)} mm); draw it larger."
            )


def within_field_of_view(box: Box, grid: Grid) -> Box:
    """The part of a box within a grid; a box that is turned against the grid stays as it is."""
    edges = grid.ijk_to_ras[:3, :3] / grid.spacing
    nearest = np.abs(box.axes.T @ edges).argmax(axis=1)
    if np.abs(box.axes.T @ edges).max(axis=1).min() < 1 - 1e-6 or len(set(nearest)) < 3:
        return box
    size = np.array(grid.shape[::-1])
    ends = box.to_box(grid.to_ras(np.array([[-0.5] * 3, size - 0.5])))
    low = np.maximum(ends.min(axis=0), -box.size / 2)
    high = np.minimum(ends.max(axis=0), box.size / 2)
    return box.within(low, high) if (high > low).all() else box


def in_image(image: Grid, grid: Grid) -> np.ndarray | float:
    """1 where a voxel of a grid lies in the image, -1 elsewhere."""
    if image.contains(world_corners(grid)).all():
        return 1.0
    # The position along an axis of the image is a sum of one term for each of K, J and I.
    matrix = image.ras_to_ijk @ grid.ijk_to_ras
    k, j, i = np.meshgrid(*(np.arange(size) for size in grid.shape), indexing="ij", sparse=True)
    inside = np.ones(grid.shape, bool)
    for (by_i, by_j, by_k, origin), size in zip(matrix[:3], image.shape[::-1], strict=True):
        at = by_k * k + by_j * j + (by_i * i + origin)
        inside &= (at >= -0.5) & (at <= size - 0.5)
    return np.where(inside, np.float32(1), np.float32(-1))
