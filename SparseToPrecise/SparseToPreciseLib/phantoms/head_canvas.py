"""Where a head phantom is painted: a grid in the head's own coordinates, shapes on it, and partial volume.

The head's own coordinates are millimetres along R, A, S of a typical head whose origin lies in the middle of the brain;
a pose and a smooth deformation bring them to the world. A shape is its *depth*: millimetres inside its surface,
negative outside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..core.volume import Grid
from .fields import separable, spline_matrix

Window = tuple[slice, slice, slice]


class Canvas:
    """Images of one head on one grid, painted tissue by tissue from the outside to the inside.

    Parameters
    ----------
    grid
        Along the world's axes.
    to_head
        4x4, RAS to the head's own coordinates.
    rng
        For the deformation.
    bend_mm
        Standard deviation of the deformation.
    ct_values, mr_values
        (tissues,) what each tissue looks like.
    """

    def __init__(
        self,
        grid: Grid,
        to_head: np.ndarray,
        rng: np.random.Generator,
        bend_mm: float,
        ct_values: np.ndarray,
        mr_values: np.ndarray,
    ) -> None:
        self.grid = grid
        self.rng = rng
        self.to_head = to_head
        self.softness = float(np.mean(grid.spacing))
        self.values = (ct_values.astype(np.float32), mr_values.astype(np.float32))
        self.images = tuple(np.full(grid.shape, values[0], np.float32) for values in self.values)
        self.labels = np.zeros(grid.shape, np.uint8)
        shift = bend_mm * self.noise(55.0, 3) + 0.3 * bend_mm * self.noise(24.0, 3)
        shift = np.clip(shift, -3 * bend_mm, 3 * bend_mm)
        self._reach = 3 * bend_mm + 2 * self.softness
        matrix = (to_head @ grid.ijk_to_ras).astype(np.float32)
        k, j, i = (np.arange(size, dtype=np.float32) for size in grid.shape)
        for axis in range(3):
            row = matrix[axis]
            shift[axis] += (row[3] + row[2] * k)[:, None, None] + (row[1] * j)[:, None] + row[0] * i
        self.points = shift
        """(3, K, J, I) the head's own coordinates of every voxel."""

    def noise(self, period_mm: float | Sequence[float], channels: int | None = None) -> np.ndarray:
        """Smooth random field with standard deviation near 1 whose waves are about two periods (R, A, S) long."""
        periods = np.broadcast_to(np.asarray(period_mm, np.float64), 3)[::-1]
        extent = np.array(self.grid.shape) * self.grid.spacing_kji
        knots = [max(1, round(length / period)) for length, period in zip(extent, periods, strict=True)]
        lattice = self.rng.standard_normal((channels or 1, *(count + 3 for count in knots)), dtype=np.float32)
        # 3: the spline averages neighbouring knots, which shrinks the standard deviation to a third
        basis = tuple(spline_matrix(size, count) for size, count in zip(self.grid.shape, knots, strict=True))
        field = separable(3.0 * lattice, basis)
        return field if channels else field[0]

    def window(self, low: Sequence[float], high: Sequence[float]) -> Window:
        """The part of the grid that holds a box of the head's own coordinates; may be empty."""
        corners = np.stack(np.meshgrid(*zip(low, high, strict=True), indexing="ij"), axis=-1).reshape(-1, 3)
        back = np.linalg.inv(self.to_head)
        return self.grid.slices_around(corners @ back[:3, :3].T + back[:3, 3], self._reach)

    def around(self, points: np.ndarray | Sequence[Sequence[float]], reach: float) -> tuple[Window, np.ndarray]:
        """The window around some points, and the coordinates (3, k, j, i) within it."""
        points = np.atleast_2d(np.asarray(points, np.float64))
        where = self.window(points.min(axis=0) - reach, points.max(axis=0) + reach)
        return where, self.points[(slice(None), *where)]

    def share(self, depth: np.ndarray) -> np.ndarray:
        """Which part of a voxel lies inside a surface at this depth: the partial volume."""
        return np.clip(0.5 + depth / np.float32(self.softness), 0, 1)

    def layer(self, depth: np.ndarray, thickness: np.ndarray | float) -> np.ndarray:
        """The share of a voxel between a surface and the one that lies `thickness` deeper."""
        return np.maximum(self.share(depth) - self.share(depth - thickness), 0)

    def paint(self, share: np.ndarray, tissue: int, where: Window | None = None) -> None:
        """Cover a share (k, j, i) of every voxel of a window with a tissue."""
        where = where or (slice(None),) * 3
        if share.size == 0:
            return
        for image, values in zip(self.images, self.values, strict=True):
            part = image[where]
            part += share * (values[tissue] - part)
        self.labels[where][share > 0.5] = tissue

    def fill(self, shape: Shape, tissue: int, grow: float = 0.0, within: np.ndarray | None = None) -> None:
        """Paint the inside of a local shape, all of it `grow` mm larger, where the depth `within` (K, J, I) allows."""
        where, points = self.around(shape.points, shape.reach + grow)
        if points.size:
            depth = shape(points) + np.float32(grow)
            self.paint(self.share(depth if within is None else np.minimum(depth, within[where])), tissue, where)


class Shape:
    """A local shape: a function of coordinates (3, ...) that gives the depth, and where it lies.

    `points` and `reach`: every point inside is within `reach` mm of the box around the `points`, along every axis.
    """

    def __init__(
        self, depth: Callable[[np.ndarray], np.ndarray], points: np.ndarray | Sequence, reach: float
    ) -> None:
        self.depth = depth
        self.points = np.atleast_2d(np.asarray(points, np.float64))
        self.reach = float(reach)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        return self.depth(points)


def ellipsoid(centre: Sequence[float], radii: Sequence[float], exponent: float = 2.0, turn: float = 0.0) -> Shape:
    """(Super)ellipsoid along the axes, turned about the left-right axis by `turn` radians (front up)."""
    middle, size = np.asarray(centre, np.float32), np.asarray(radii, np.float32)
    cosine, sine = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    least = np.float32(0.25 / size.max())

    def depth(points: np.ndarray) -> np.ndarray:
        x, y, z = (points[axis] - middle[axis] for axis in range(3))
        if turn:
            y, z = cosine * y + sine * z, cosine * z - sine * y
        u, v, w = x / size[0], y / size[1], z / size[2]
        if exponent == 2.0:
            a, b, c = u * u, v * v, w * w
            radius = np.sqrt(a + b + c)
        else:
            a, b, c = (np.abs(one) ** np.float32(exponent) for one in (u, v, w))
            radius = (a + b + c) ** np.float32(1 / exponent)
            a, b, c = u * u, v * v, w * w
        # Dividing by the gradient's length makes it a first-order distance.
        slope = np.sqrt(a / size[0] ** 2 + b / size[1] ** 2 + c / size[2] ** 2) / np.maximum(radius, 1e-3)
        return (1 - radius) / np.maximum(slope, least)

    return Shape(depth, middle, float(size.max()))


def tube(path: Sequence[Sequence[float]], radii: Sequence[float] | float, flat: Sequence[float] = (1, 1, 1)) -> Shape:
    """Tube around a polyline (N, 3); `flat` widens its cross-section along the axes."""
    line = np.asarray(path, np.float32)
    sizes = np.broadcast_to(np.asarray(radii, np.float32), len(line))
    wide = np.asarray(flat, np.float32).reshape(3, *[1] * 3)

    def depth(points: np.ndarray) -> np.ndarray:
        best = None
        for a, b, ra, rb in zip(line[:-1], line[1:], sizes[:-1], sizes[1:], strict=True):
            axis = b - a
            rel = [points[one] - a[one] for one in range(3)]
            t = (rel[0] * axis[0] + rel[1] * axis[1] + rel[2] * axis[2]) / max(float(axis @ axis), 1e-6)
            np.clip(t, 0, 1, out=t)
            away = sum(((rel[one] - axis[one] * t) / wide[one]) ** 2 for one in range(3))
            value = (ra + (rb - ra) * t) - np.sqrt(away)
            best = value if best is None else np.maximum(best, value)
        return best

    return Shape(depth, line, float(sizes.max() * wide.max()))


def joined(first: np.ndarray, second: np.ndarray, smoothness: float) -> np.ndarray:
    """Depth of the union of two shapes, the crease rounded over `smoothness` mm."""
    overlap = np.maximum(np.float32(smoothness) - np.abs(first - second), 0)
    return np.maximum(first, second) + overlap * overlap / np.float32(4 * smoothness)


def common(first: np.ndarray, second: np.ndarray, smoothness: float) -> np.ndarray:
    """Depth of what two shapes have in common, the edge rounded over `smoothness` mm."""
    return -joined(-first, -second, smoothness)


def sheets(field: np.ndarray, spacing: float) -> np.ndarray:
    """Distance in mm to the surfaces on which a smooth field is zero: the way folds and partitions meander."""
    slopes = np.gradient(field, np.float32(spacing))
    steep = np.sqrt(sum(slope * slope for slope in slopes))
    return np.abs(field) / np.maximum(steep, 0.25 * float(steep.mean()) + 1e-6)
