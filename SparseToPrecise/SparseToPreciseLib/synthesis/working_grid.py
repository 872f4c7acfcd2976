"""The working grid: points on whole multiples of the model's spacing along R, A and S, and the way back.

The same head so gives the same voxels however it is stored: oblique, flipped, cropped or with thick slices.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from scipy import ndimage

from ..core.errors import InputError, in_mm
from ..core.progress import Progress
from ..core.resampling import shrunk, world_corners
from ..core.volume import Grid, Volume

MOST_VOXELS = 400_000_000
"""Largest working grid; more means a wrong spacing, or an image of many metres."""
PLANES_AT_ONCE = 16


def working_grid_around(low_ras: np.ndarray, high_ras: np.ndarray, spacing_mm: float) -> Grid:
    """The isotropic grid along RAS on whole multiples of its spacing that holds a box of the world.

    Raises
    ------
    InputError
        It would have too many voxels.
    """
    low = np.floor(np.asarray(low_ras) / spacing_mm + 1e-6)
    high = np.ceil(np.asarray(high_ras) / spacing_mm - 1e-6)
    size = np.maximum(high - low, 0) + 1
    if np.prod(size) > MOST_VOXELS:
        raise InputError(
            f"The image of {in_mm(np.subtract(high_ras, low_ras))} is too large for voxels of {spacing_mm:g} mm "
            f"({np.prod(size):.2g} voxels of at most {MOST_VOXELS:.2g}); check its spacing, or crop it."
        )
    matrix = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    matrix[:3, 3] = low * spacing_mm
    return Grid(tuple(int(length) for length in size[::-1]), matrix)


def onto_working_grid(volume: Volume, grid: Grid) -> np.ndarray:
    """Values of an image on a working grid: averaged where the image is finer, elsewhere a cubic spline.

    Linear interpolation would blur an oblique image more than the same one along the working grid.

    Returns
    -------
    (K, J, I) float32
        NaN beyond the image; its outermost voxels reach half a voxel of the working grid further than their faces.
    """
    target = float(grid.spacing[0])
    source = shrunk(_phased(volume, target), target)
    steps = source.grid.spacing_kji
    # Voxels between a half and the whole of the target are smoothed to what the target's own box would average.
    sigmas = [np.sqrt((target**2 - step**2) / 12) / step if step < 0.97 * target else 0.0 for step in steps]
    if any(sigmas):
        source = source.with_array(ndimage.gaussian_filter(source.array, sigmas, mode="nearest", truncate=3.0))
    values = _spline(source, grid)
    values[~_covered(volume.grid, grid, target / 2)] = np.nan
    return values


def _phased(volume: Volume, target: float) -> Volume:
    """Without the first voxels, so that the blocks of `shrunk` lie on the working grid as nearly as they can.

    Else a flip or a crop by one voxel would put other voxels together.
    """
    slices = []
    for axis, step in enumerate(volume.grid.spacing_kji):
        factor = min(max(1, int(target / step * 1.001)), volume.shape[axis])
        direction = volume.ijk_to_ras[:3, 2 - axis]
        world = int(np.abs(direction).argmax())

        def off_grid(first: int, axis=axis, factor=factor, world=world) -> tuple[float, bool]:
            ijk = np.zeros(3)
            ijk[2 - axis] = first + (factor - 1) / 2
            along = volume.grid.to_ras(ijk)[world] / target
            rest = round(float(along - np.round(along)), 3)
            return abs(rest), rest < 0

        slices.append(slice(min(range(factor), key=off_grid), None))
    return volume.cropped(tuple(slices))


def _spline(source: Volume, grid: Grid) -> np.ndarray:
    """Cubic B-spline at the points of a grid, float32; the edge is repeated outside, and nothing overshoots."""
    array = source.array.astype(np.float32, copy=False)
    if grid.same_as(source.grid, 1e-6):
        return array.copy()
    to_source = source.grid.ras_to_ijk @ grid.ijk_to_ras
    coefficients = ndimage.spline_filter(array, 3, output=np.float32, mode="nearest")
    values = np.empty(grid.shape, np.float32)
    ndimage.affine_transform(
        coefficients, to_source[2::-1, 2::-1], to_source[2::-1, 3], grid.shape, values, 3, "nearest", prefilter=False
    )
    return np.clip(values, array.min(), array.max(), out=values)


def _covered(image: Grid, grid: Grid, margin_mm: float) -> np.ndarray:
    """(K, J, I) bool: which points of `grid` lie in a voxel of `image`, or nearer than a margin to one."""
    to_image = image.ras_to_ijk @ grid.ijk_to_ras
    margins = margin_mm * np.linalg.norm(image.ras_to_ijk[:3, :3], axis=1) + 1e-6
    k, j, i = (np.arange(size, dtype=np.float64) for size in grid.shape)
    inside = np.ones(grid.shape, dtype=bool)
    for axis, size in enumerate(image.shape[::-1]):
        a, b, c, shift = to_image[axis]
        along = (c * k + shift)[:, None, None] + (b * j)[:, None] + a * i
        inside &= (along >= -0.5 - margins[axis]) & (along <= size - 0.5 + margins[axis])
    return inside


def outer_corners(grid: Grid) -> np.ndarray:
    """(8, 3) RAS corners of a grid's outermost voxels, not of their centres."""
    matrix = grid.ijk_to_ras.copy()
    matrix[:3, 3] = grid.to_ras([-0.5, -0.5, -0.5])
    return world_corners(Grid(tuple(size + 1 for size in grid.shape), matrix))


class WayBack:
    """The way from the working grid to the MR's own grid, a few planes at a time, so that memory follows the result.

    Parameters
    ----------
    mr_grid
        The grid of the MR.
    found
        Mask of the body on the working grid.
    given
        The mask that a user gave, on any grid; None takes the one that was found.
    known
        (K, J, I) bool on the grid of the MR, where it has values; None: everywhere.
    """

    def __init__(
        self, mr_grid: Grid, found: Volume, given: Volume | None = None, known: np.ndarray | None = None
    ) -> None:
        self.grid = mr_grid
        self._known = known
        # On the MR's own grid a mask is taken as it is, voxel by voxel.
        self._exact = given if given is not None and given.grid.same_as(mr_grid) else None
        if self._exact is None:
            mask = found if given is None else given.with_array((given.array != 0).astype(np.uint8))
            small = shrunk(mask, float(mr_grid.spacing.min()))
            # A border of zeros instead of a fill value: repeating the edge is several times faster.
            matrix = small.ijk_to_ras.copy()
            matrix[:3, 3] = small.grid.to_ras([-1, -1, -1])
            self._body = Volume(np.pad(small.array, 1), matrix)

    def planes(
        self, sources: Mapping[str, Volume], progress: Progress
    ) -> Iterator[tuple[tuple[slice, slice, slice], np.ndarray, dict[str, np.ndarray]]]:
        """Slabs of the MR's grid that hold body.

        Parameters
        ----------
        sources
            Name to values on the working grid.
        progress
            Hears of every slab; may cancel.

        Yields
        ------
        tuple
            K,J,I slices of the slab; (K, J, I) bool, the body there; name to values there.
        """
        part = self._around_the_body()
        count = part[0].stop - part[0].start
        for start in range(part[0].start, part[0].stop, PLANES_AT_ONCE):
            progress((start - part[0].start) / count, "to the MR's grid")
            slab = (slice(start, min(start + PLANES_AT_ONCE, part[0].stop)), *part[1:])
            grid = self.grid.cropped(slab)
            if self._exact is not None:
                inside = self._exact.array[slab] != 0
            else:
                inside = self._body.resampled_to(grid).array >= 0.5
            if self._known is not None:
                inside = inside & self._known[slab]
            if inside.any():
                yield slab, inside, {name: source.resampled_to(grid).array for name, source in sources.items()}

    def _around_the_body(self) -> tuple[slice, slice, slice]:
        if self._exact is not None:
            return tuple(slice(0, size) for size in self.grid.shape)
        corners = world_corners(self._body.grid)
        return self.grid.slices_around(corners, float(self._body.spacing.max()))
