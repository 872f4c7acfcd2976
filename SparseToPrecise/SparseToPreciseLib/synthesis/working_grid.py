"""An MR as a network sees it: on a lattice of the world, in units of its own body.

The lattice's points are whole multiples of its spacing along R, A and S. The same head so gives the same voxels however
it is stored: oblique, flipped, cropped or with thick slices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..core.errors import InputError
from ..core.progress import Progress
from ..core.resampling import shrunk, world_corners
from ..core.volume import Grid, Volume
from .body import body_mask, standardised
from .padding import unpadded

MARGIN_MM = 8.0
"""Air that a network sees around the body."""
MOST_VOXELS = 400_000_000
"""Of the lattice; more means a wrong spacing, or an image of many metres."""
_LEAST_VOXELS = 4
_ROUGH = 4  # so many voxels of the lattice along a side of those on which the body is looked for first
_ROUGH_MARGIN_MM = 24.0


@dataclass(frozen=True)
class WorkingMR:
    """What a network sees of an MR.

    Attributes
    ----------
    z
        (K, J, I) float32 standardised intensities on `grid`, `body.BACKGROUND` outside the body.
    mask
        (K, J, I) bool, the body.
    grid
        Isotropic, along RAS, around the body with a margin.
    location, scale
        z = (MR - location) / scale.
    """

    z: np.ndarray
    mask: np.ndarray
    grid: Grid
    location: float
    scale: float


def lattice(low_ras: np.ndarray, high_ras: np.ndarray, spacing_mm: float) -> Grid:
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
            f"The image is too large for voxels of {spacing_mm:g} mm ({np.prod(size):.2g} voxels of at most "
            f"{MOST_VOXELS:.2g}); check its spacing, or crop it."
        )
    matrix = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    matrix[:3, 3] = low * spacing_mm
    return Grid(tuple(int(length) for length in size[::-1]), matrix)


def onto_lattice(volume: Volume, grid: Grid) -> np.ndarray:
    """Values of an image on a lattice: averaged where the image is finer, a cubic spline between its voxels elsewhere.

    Linear interpolation would blur an oblique image more than the same one along the lattice.

    Returns
    -------
    (K, J, I) float32
        NaN beyond the image; its outermost voxels reach half a voxel of the lattice further than their faces.
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


def working_mr(
    mr: Volume, spacing_mm: float, body: Volume | None = None, progress: Progress | None = None
) -> WorkingMR:
    """Bring an MR onto the lattice and standardise it.

    Parameters
    ----------
    mr
        Any unit and grid, finite values; padding around it may have a value of its own.
    spacing_mm
        Of the lattice.
    body
        Mask of the body on any grid, non-zero is inside; None: `body.body_mask` finds it.
    progress
        Told about the stages; may cancel.

    Raises
    ------
    InputError
        See `body_mask` and `standardised`; the MR is smaller than a few voxels of the lattice; the given mask is empty
        or lies elsewhere.
    """
    progress = progress or Progress()
    progress(0.0, "finding the body")
    corners = _outer_corners(mr.grid)
    sides = np.ptp(corners, axis=0)
    if sides.max() < _LEAST_VOXELS * spacing_mm:
        raise InputError(
            f"{mr.name or 'The MR'} is only {' x '.join(f'{side:.2g}' for side in sides)} mm large; check its spacing."
        )
    mr = mr.with_array(unpadded(mr.array))
    grid = lattice(corners.min(axis=0), corners.max(axis=0), spacing_mm)
    near = grid.slices_around(_rough_body(mr, spacing_mm, body), _ROUGH_MARGIN_MM)
    if all(part.start < part.stop for part in near):  # a given mask may lie elsewhere, which is said below
        grid = grid.cropped(near)
    progress(0.1, "to the model's voxels")
    values = Volume(onto_lattice(mr, grid), grid.ijk_to_ras, mr.name)
    progress(0.4, "finding the body")
    if body is None:
        mask = body_mask(values).array > 0
    else:
        mask = mask_on(body, grid) & np.isfinite(values.array)
        if not mask.any():
            state = "is empty" if not body.array.any() else f"lies outside {mr.name or 'the MR'}"
            raise InputError(f"The body mask {body.name} {state}; choose another one or none.")
    progress(0.9, "measuring its intensities")
    slices = box_around(mask, round(MARGIN_MM / spacing_mm))
    # Only air near the body counts: farther away there may be padding.
    mask = np.ascontiguousarray(mask[slices])
    z, (location, scale) = standardised(values.array[slices], mask)
    return WorkingMR(z, mask, grid.cropped(slices), location, scale)


def mask_on(mask: Volume, grid: Grid) -> np.ndarray:
    """(K, J, I) bool: a mask (non-zero is inside) on another grid, its boundary interpolated."""
    inside = mask.with_array((mask.array != 0).astype(np.uint8))
    if grid.same_as(mask.grid):
        return inside.array > 0
    small = shrunk(inside, float(grid.spacing.min()))
    return small.resampled_to(grid, fill=0.0).array >= 0.5


def _phased(volume: Volume, target: float) -> Volume:
    """Without the first voxels, so that the blocks of `shrunk` lie on the lattice as nearly as they can.

    Else a flip or a crop by one voxel would put other voxels together.
    """
    slices = []
    for axis, step in enumerate(volume.grid.spacing_kji):
        factor = min(max(1, int(target / step * 1.001)), volume.shape[axis])
        direction = volume.ijk_to_ras[:3, 2 - axis]
        world = int(np.abs(direction).argmax())

        def off_lattice(first: int, axis=axis, factor=factor, world=world) -> tuple[float, bool]:
            ijk = np.zeros(3)
            ijk[2 - axis] = first + (factor - 1) / 2
            along = volume.grid.to_ras(ijk)[world] / target
            rest = round(float(along - np.round(along)), 3)
            return abs(rest), rest < 0

        slices.append(slice(min(range(factor), key=off_lattice), None))
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


def _rough_body(mr: Volume, spacing_mm: float, body: Volume | None) -> np.ndarray:
    """(8, 3) RAS corners of a box about the body, found on few voxels: what is far from it costs next to nothing.

    Oblique images, and those of a large field of view, have most of their lattice in the air.
    """
    outer = _outer_corners(mr.grid)
    if body is None:
        coarse = lattice(outer.min(axis=0), outer.max(axis=0), _ROUGH * spacing_mm)
        try:
            body = body_mask(Volume(onto_lattice(mr, coarse), coarse.ijk_to_ras))
        except InputError:  # too few voxels to tell; what is wrong is found out on the lattice
            return outer
    if not body.array.any():
        return outer
    slices = box_around(body.array != 0, 0)
    box = np.array([[part.start, part.stop - 1] for part in slices[::-1]], dtype=np.float64)
    return body.grid.to_ras(np.stack(np.meshgrid(*box, indexing="ij"), axis=-1).reshape(-1, 3))


def _outer_corners(grid: Grid) -> np.ndarray:
    """(8, 3) RAS corners of a grid's outermost voxels, not of their centres."""
    matrix = grid.ijk_to_ras.copy()
    matrix[:3, 3] = grid.to_ras([-0.5, -0.5, -0.5])
    return world_corners(Grid(tuple(size + 1 for size in grid.shape), matrix))


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


def box_around(mask: np.ndarray, margin: int) -> tuple[slice, slice, slice]:
    """K,J,I slices of the smallest box with a mask and a margin, within the array."""
    slices = []
    for axis in range(3):
        used = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        slices.append(slice(max(int(used[0]) - margin, 0), min(int(used[-1]) + margin + 1, mask.shape[axis])))
    return tuple(slices)
