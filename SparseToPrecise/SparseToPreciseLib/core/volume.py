"""Grids and volumes in physical space.

Arrays are K,J,I (numpy order); world is RAS in millimetres; `ijk_to_ras` maps voxel *centres* (I,J,K) to RAS.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import permutations

import numpy as np
from scipy import ndimage

from .errors import InputError


@dataclass(frozen=True)
class Grid:
    """Where voxels lie.

    Parameters
    ----------
    shape
        (K, J, I) number of voxels.
    ijk_to_ras
        4x4 affine matrix, voxel index (I, J, K, 1) to RAS in mm.
    """

    shape: tuple[int, int, int]
    ijk_to_ras: np.ndarray = field(repr=False)

    def __post_init__(self) -> None:
        matrix = np.array(self.ijk_to_ras, dtype=np.float64)
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or not np.allclose(matrix[3], (0, 0, 0, 1)):
            raise InputError(f"The voxel-to-world matrix must be a finite 4x4 affine matrix, not {matrix.tolist()}.")
        # Relative to the voxel, which may be a micrometre or a centimetre.
        sizes = np.linalg.norm(matrix[:3, :3], axis=0)
        if not sizes.all() or abs(np.linalg.det(matrix[:3, :3] / sizes)) < 1e-9:
            raise InputError("The voxel-to-world matrix is singular: two image axes coincide or a spacing is zero.")
        shape = tuple(int(size) for size in self.shape)
        if len(shape) != 3 or min(shape) < 1:
            raise InputError(f"A volume needs three axes with at least one voxel each, not the shape {shape}.")
        matrix.setflags(write=False)
        object.__setattr__(self, "ijk_to_ras", matrix)
        object.__setattr__(self, "shape", shape)

    @property
    def spacing(self) -> np.ndarray:
        """Voxel size (I, J, K) in mm."""
        return np.linalg.norm(self.ijk_to_ras[:3, :3], axis=0)

    @property
    def spacing_kji(self) -> np.ndarray:
        """Voxel size in array order (K, J, I), mm."""
        return self.spacing[::-1].copy()

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of a voxel, mm^3; right for sheared grids too."""
        return float(abs(np.linalg.det(self.ijk_to_ras[:3, :3])))

    @property
    def ras_to_ijk(self) -> np.ndarray:
        """4x4 affine matrix, RAS in mm to fractional voxel index (I, J, K, 1)."""
        return np.linalg.inv(self.ijk_to_ras)

    def to_ras(self, ijk: np.ndarray) -> np.ndarray:
        """(..., 3) voxel coordinates (I, J, K; may be fractional) to RAS in mm."""
        return np.asarray(ijk, dtype=np.float64) @ self.ijk_to_ras[:3, :3].T + self.ijk_to_ras[:3, 3]

    def to_ijk(self, ras: np.ndarray) -> np.ndarray:
        """(..., 3) RAS points in mm to fractional voxel coordinates (I, J, K)."""
        inverse = self.ras_to_ijk
        return np.asarray(ras, dtype=np.float64) @ inverse[:3, :3].T + inverse[:3, 3]

    def nearest_ras_axes(self) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        """For each of R, A and S the index axis (0: I, 1: J, 2: K) that runs most nearly along it, and 1 or -1: which
        way. Every index axis is taken once."""
        directions = self.ijk_to_ras[:3, :3] / self.spacing
        axes = max(permutations(range(3)), key=lambda order: np.abs(directions[range(3), order]).sum())
        return axes, tuple(-1 if directions[ras, axis] < 0 else 1 for ras, axis in enumerate(axes))

    def contains(self, ras: np.ndarray) -> np.ndarray:
        """Which of the (..., 3) RAS points lie inside a voxel of the grid."""
        ijk = self.to_ijk(ras)
        upper = np.array(self.shape[::-1]) - 0.5
        return ((ijk >= -0.5) & (ijk <= upper)).all(axis=-1)

    def same_as(self, other: Grid, tolerance_mm: float | None = None) -> bool:
        """Whether both grids have the same shape and no corner differs by more than the tolerance.

        None is a micrometre, or a hundredth of a voxel where that is less.
        """
        if self.shape != other.shape:
            return False
        if tolerance_mm is None:
            tolerance_mm = min(1e-3, 1e-2 * float(self.spacing.min()))
        corners = _corners(self.shape)
        return bool(np.abs(self.to_ras(corners) - other.to_ras(corners)).max() <= tolerance_mm)

    def cropped(self, slices: tuple[slice, slice, slice]) -> Grid:
        """The part of the grid that the K,J,I slices (step 1) select."""
        bounds = [part.indices(size) for part, size in zip(slices, self.shape, strict=True)]
        matrix = self.ijk_to_ras.copy()
        matrix[:3, 3] = self.to_ras([bounds[2][0], bounds[1][0], bounds[0][0]])
        return Grid(tuple(stop - start for start, stop, _ in bounds), matrix)

    def grown_to_hold(self, ras: np.ndarray, margin_mm: float = 0.0) -> Grid:
        """The same lattice with whole voxels added where (N, 3) RAS points and a margin reach beyond it."""
        ijk = self.to_ijk(np.atleast_2d(ras))
        reach = margin_mm * np.linalg.norm(self.ras_to_ijk[:3, :3], axis=1)
        low = np.minimum(np.round(ijk.min(axis=0) - reach), 0).astype(int)
        high = np.maximum(np.round(ijk.max(axis=0) + reach), np.array(self.shape[::-1]) - 1).astype(int)
        matrix = self.ijk_to_ras.copy()
        matrix[:3, 3] = self.to_ras(low)
        return Grid(tuple((high - low + 1)[::-1]), matrix)

    def slices_around(self, ras: np.ndarray, margin_mm: float) -> tuple[slice, slice, slice]:
        """K,J,I slices of the smallest part that holds every (N, 3) RAS point and a margin; empty when outside."""
        ijk = self.to_ijk(np.atleast_2d(ras))
        # A ball of radius m around a point reaches m times the norm of each row of RAS->IJK along that index.
        reach = margin_mm * np.linalg.norm(self.ras_to_ijk[:3, :3], axis=1)
        size = np.array(self.shape[::-1])
        low = np.clip(np.floor(ijk.min(axis=0) - reach), 0, size).astype(int)
        high = np.clip(np.ceil(ijk.max(axis=0) + reach) + 1, low, size).astype(int)
        return tuple(slice(int(a), int(b)) for a, b in zip(low[::-1], high[::-1], strict=True))

    def points_ras(self) -> np.ndarray:
        """(K, J, I, 3) float64 RAS position of every voxel centre; only for small grids."""
        k, j, i = np.meshgrid(*(np.arange(size) for size in self.shape), indexing="ij")
        return self.to_ras(np.stack([i, j, k], axis=-1))

    @staticmethod
    def around(ras: np.ndarray, margin_mm: float, spacing_mm: float, multiple: int = 1) -> Grid:
        """An isotropic grid along the RAS axes that holds (N, 3) RAS points and a margin around them.

        Its centre is the centre of the points' bounding box, so the same anatomy gets the same grid
        however the image is stored; each side is rounded up to a multiple of `multiple` voxels.
        """
        points = np.atleast_2d(np.asarray(ras, dtype=np.float64))
        low, high = points.min(axis=0), points.max(axis=0)
        steps = np.ceil((high - low + 2 * margin_mm) / spacing_mm / multiple - 1e-6).astype(int)
        size = np.maximum(steps, 1) * multiple
        matrix = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
        matrix[:3, 3] = (low + high) / 2 - (size - 1) / 2 * spacing_mm
        return Grid(tuple(int(s) for s in size[::-1]), matrix)


@dataclass(frozen=True)
class Volume:
    """An image or a labelmap in physical space.

    Parameters
    ----------
    array
        (K, J, I) numpy array, any scalar type; not copied.
    ijk_to_ras
        4x4 affine matrix, voxel index (I, J, K, 1) to RAS in mm.
    name
        What the user knows it by; results are named after it.
    """

    array: np.ndarray = field(repr=False)
    ijk_to_ras: np.ndarray = field(repr=False)
    name: str = ""

    def __post_init__(self) -> None:
        array = np.asarray(self.array)
        if array.ndim != 3:
            raise InputError(
                f"{self.name or 'The image'} must be a 3D volume with one value per voxel, "
                f"not an array of shape {array.shape}."
            )
        object.__setattr__(self, "array", array)
        object.__setattr__(self, "ijk_to_ras", Grid(array.shape, self.ijk_to_ras).ijk_to_ras)

    @property
    def grid(self) -> Grid:
        """Where the voxels lie."""
        return Grid(self.array.shape, self.ijk_to_ras)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(K, J, I) number of voxels."""
        return self.array.shape

    @property
    def spacing(self) -> np.ndarray:
        """Voxel size (I, J, K) in mm."""
        return self.grid.spacing

    def with_array(self, array: np.ndarray, name: str | None = None) -> Volume:
        """The same place in the world with other values."""
        return replace(self, array=array, name=self.name if name is None else name)

    def cropped(self, slices: tuple[slice, slice, slice]) -> Volume:
        """The part that the K,J,I slices select (a view)."""
        return Volume(self.array[slices], self.grid.cropped(slices).ijk_to_ras, self.name)

    def cropped_to_box(self, bounds_ras: np.ndarray, margin_mm: float = 0.0) -> Volume:
        """The smallest part that holds a box in the world.

        Parameters
        ----------
        bounds_ras
            (3, 2) lower and upper bound along R, A, S in mm.
        margin_mm
            Added on every side.

        Raises
        ------
        InputError
            The box lies outside the volume.
        """
        bounds = np.asarray(bounds_ras, dtype=np.float64)
        corners = np.stack(np.meshgrid(*bounds, indexing="ij"), axis=-1).reshape(-1, 3)
        slices = self.grid.slices_around(corners, margin_mm)
        if any(part.start >= part.stop for part in slices):
            raise InputError(f"The box {bounds.tolist()} (RAS, mm) lies outside {self.name or 'the volume'}.")
        return self.cropped(slices)

    def resampled_to(self, grid: Grid, interpolation: str = "linear", fill: float | None = None) -> Volume:
        """Values at the voxel centres of another grid.

        Parameters
        ----------
        grid
            The target grid; any orientation.
        interpolation
            "linear" (result float32) or "nearest" (result keeps the type).
        fill
            Value outside this volume; None repeats the edge.
        """
        if interpolation not in ("linear", "nearest"):
            raise InputError(f"Interpolation must be linear or nearest, not {interpolation!r}.")
        if grid.same_as(self.grid, 1e-6):
            values = self.array if interpolation == "nearest" else self.array.astype(np.float32)
            return Volume(values, grid.ijk_to_ras, self.name)
        array = self.array
        to_source = self.grid.ras_to_ijk @ grid.ijk_to_ras
        matrix, offset = to_source[2::-1, 2::-1], to_source[2::-1, 3]  # in array order K, J, I
        # Only what the target touches is read: the cost follows the target, not the source.
        reach = _corners(grid.shape)[:, ::-1] @ matrix.T + offset
        size = np.array(array.shape)
        low = np.clip(np.floor(reach.min(axis=0)) - 1, 0, size - 1).astype(int)
        high = np.clip(np.ceil(reach.max(axis=0)) + 2, low + 1, size).astype(int)
        array = array[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        values = _affine(
            array,
            matrix,
            offset - low,
            grid.shape,
            order=1 if interpolation == "linear" else 0,
            fill=fill,
        )
        return Volume(values, grid.ijk_to_ras, self.name)


def _affine(
    array: np.ndarray, matrix: np.ndarray, offset: np.ndarray, shape: tuple[int, ...], order: int, fill: float | None
) -> np.ndarray:
    """`scipy.ndimage.affine_transform`; where the matrix only permutes and scales, axis by axis, five times faster."""
    was_bool = array.dtype == bool
    if was_bool or (order and array.dtype == np.float16):
        array = array.astype(np.uint8 if was_bool else np.float32)
    axes = np.abs(matrix).argmax(axis=1)
    rest = matrix.copy()
    rest[np.arange(3), axes] = 0
    if fill is None and len(set(axes)) == 3 and np.abs(rest).max() < 1e-9 * np.abs(matrix).max():
        # Array axis a follows target axis axes[a].
        back = np.argsort(axes)
        out = array.transpose(back)
        for axis, (scale, shift) in enumerate(zip(matrix[np.arange(3), axes][back], offset[back], strict=True)):
            out = _along_axis(out, axis, shift + scale * np.arange(shape[axis]), order)
    else:
        # Not "constant": it drops voxels whose centres lie on the very border up to rounding.
        mode, constant = ("nearest", 0.0) if fill is None else ("grid-constant", fill)
        out = np.empty(shape, dtype=np.float32 if order else array.dtype)
        ndimage.affine_transform(
            array, matrix, offset, shape, output=out, order=order, mode=mode, cval=constant, prefilter=False
        )
    return out.astype(bool) if was_bool and not order else out


def _along_axis(array: np.ndarray, axis: int, positions: np.ndarray, order: int) -> np.ndarray:
    """Values at fractional positions along one axis; the edge is repeated outside."""
    positions = np.clip(positions, 0, array.shape[axis] - 1)
    if not order:
        return array.take(np.floor(positions + 0.5).astype(np.intp), axis=axis)
    lower = np.minimum(positions.astype(np.intp), max(array.shape[axis] - 2, 0))
    upper = np.minimum(lower + 1, array.shape[axis] - 1)
    weight = (positions - lower).astype(np.float32).reshape([-1 if other == axis else 1 for other in range(3)])
    below, above = (array.take(index, axis=axis).astype(np.float32, copy=False) for index in (lower, upper))
    return below + (above - below) * weight


def _corners(shape: tuple[int, int, int]) -> np.ndarray:
    """(8, 3) voxel indices I,J,K of the corners of a grid of shape K,J,I."""
    ends = [(0, size - 1) for size in shape[::-1]]
    return np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1).reshape(-1, 3).astype(np.float64)
