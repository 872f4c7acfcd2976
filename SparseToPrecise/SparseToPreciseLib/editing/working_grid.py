"""The cube in which an edit happens: sigma is always the same number of voxels there.

A 5 mm repair of a vessel and a 30 mm repair of a ventricle are so the same problem, and the cost of an edit does
not depend on the size of the image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..core.errors import InputError
from ..core.resampling import block_means, world_corners
from ..core.volume import Grid, Volume
from .guidance import RADIUS_PER_SIGMA, nearest_on_stroke

SIGMA_VOXELS = 10.0
"""Sigma of the attention on the working grid, in voxels (the paper: 20 on 128^3)."""

MARGIN_SIGMAS = 3.0
"""The working grid reaches at least this many sigmas beyond the stroke."""


@dataclass(frozen=True)
class WorkingCase:
    """Input of an editor: arrays (K, J, I) on one isotropic grid, lengths in voxels.

    Attributes
    ----------
    image
        float32, 1st percentile at 0 and 99th at 1.
    signed_distance
        float32, of the old segmentation; positive inside, zero on its boundary, voxels.
    distance
        float32, to the nearest stroke point, voxels.
    nearest
        Index of that point in `stroke`.
    stroke
        (N, 3) voxel coordinates K, J, I; neighbours along the stroke are at most one voxel apart.
    sigma
        Sigma of the attention, voxels.
    grid
        Where the arrays lie; None in training, whose cases lie nowhere.
    """

    image: np.ndarray
    signed_distance: np.ndarray
    distance: np.ndarray
    nearest: np.ndarray
    stroke: np.ndarray
    sigma: float = SIGMA_VOXELS
    grid: Grid | None = None

    @property
    def radius(self) -> float:
        """Influence radius, voxels."""
        return self.sigma * RADIUS_PER_SIGMA


def working_grid(stroke_ras: np.ndarray, influence_radius_mm: float, multiple: int = 16) -> Grid:
    """The isotropic grid along RAS around a stroke on which sigma is `SIGMA_VOXELS` voxels."""
    sigma_mm = influence_radius_mm / RADIUS_PER_SIGMA
    return Grid.around(stroke_ras, MARGIN_SIGMAS * sigma_mm, sigma_mm / SIGMA_VOXELS, multiple)


def signed_distance(mask: np.ndarray, spacing_kji: np.ndarray) -> np.ndarray:
    """Signed Euclidean distance to the boundary of a mask, positive inside.

    Parameters
    ----------
    mask
        (K, J, I) bool.
    spacing_kji
        Voxel size along K, J, I; the result has its unit.

    Returns
    -------
    ndarray
        (K, J, I) float32; zero half-way between an inner and an outer voxel. A mask without boundary gives
        plus or minus the length of the array's diagonal.
    """
    far = float(np.linalg.norm(np.array(mask.shape) * spacing_kji))
    if not mask.any() or mask.all():
        return np.full(mask.shape, far if mask.any() else -far, dtype=np.float32)
    # Maurer's map measures to the centres of the object's border voxels, half a voxel inside the border.
    inner = _maurer(mask, spacing_kji)
    if np.ptp(spacing_kji) < 1e-3 * np.max(spacing_kji):
        return inner + np.float32(0.5 * np.mean(spacing_kji))
    # What half a voxel is depends on the direction here. The mean with the complement's map is antisymmetric, and so
    # has its zero on the border whatever the direction, for twice the time.
    outer = _maurer(~mask, spacing_kji)
    return (inner - outer) * np.float32(0.5)


def _maurer(mask: np.ndarray, spacing_kji: np.ndarray) -> np.ndarray:
    image = sitk.GetImageFromArray(np.ascontiguousarray(mask, dtype=np.uint8))
    image.SetSpacing([float(size) for size in spacing_kji[::-1]])
    return sitk.GetArrayFromImage(
        sitk.SignedMaurerDistanceMap(image, insideIsPositive=True, squaredDistance=False, useImageSpacing=True)
    )


def around(volume: Volume, grid: Grid, image: Grid | None = None) -> Volume:
    """The part of a volume that a grid covers, block-averaged where it is much finer than the grid (no aliasing).

    Parameters
    ----------
    volume
        An image or a segmentation.
    grid
        Along RAS.
    image
        For a segmentation the grid of its image, up to whose border it is background where it ends. None: nothing is
        known beyond the volume.

    Raises
    ------
    InputError
        The grid lies outside the volume.
    """
    bounds = np.sort(grid.to_ras([[0, 0, 0], np.array(grid.shape[::-1]) - 1]).T, axis=1)
    margin = 2 * float(grid.spacing.max())
    if image is None:
        part = volume.cropped_to_box(bounds, margin)
    else:
        room = volume.grid.grown_to_hold(world_corners(image))
        ends = np.stack(np.meshgrid(*bounds, indexing="ij"), axis=-1).reshape(-1, 3)
        part = with_background(volume, room, room.slices_around(ends, margin))
    factors = np.maximum(np.floor(grid.spacing.min() / part.grid.spacing_kji + 1e-6).astype(int), 1)
    factors = np.minimum(factors, part.shape)
    return part if (factors == 1).all() else block_means(part, [int(factor) for factor in factors])


def room_within(grid: Grid, ras: np.ndarray, margin_mm: float, image: Grid) -> Grid:
    """A segmentation's grid with voxels added around points, as far as the image reaches.

    Segmentations are often stored cropped. Beyond their grid is background, which a correction must be able to reach;
    what lies outside the image cannot be edited.

    Parameters
    ----------
    grid
        The segmentation's.
    ras
        (N, 3) RAS points, mm.
    margin_mm
        Around the points; around the segmentation's grid it is one voxel.
    image
        The image's grid.

    Returns
    -------
    Grid
        On the same lattice. Where the points are farther away than the segmentation is large, its grid as it is.
    """
    reach = margin_mm + float(np.linalg.norm(grid.spacing * np.array(grid.shape[::-1])))
    if any(part.start >= part.stop for part in grid.slices_around(ras, reach)):
        return grid
    pads = np.maximum(_pads(grid, grid.grown_to_hold(ras, margin_mm)), 1)
    pads = np.minimum(pads, _pads(grid, grid.grown_to_hold(world_corners(image))))
    matrix = grid.ijk_to_ras.copy()
    matrix[:3, 3] = grid.to_ras(-pads[::-1, 0])
    return Grid(tuple(np.array(grid.shape) + pads.sum(axis=1)), matrix)


def with_background(segmentation: Volume, room: Grid, slices: tuple[slice, slice, slice] | None = None) -> Volume:
    """A segmentation on another grid of its lattice, 0 where it has no voxel.

    Parameters
    ----------
    segmentation
        Binary, or the share of each voxel.
    room
        A grid that differs from the segmentation's by whole voxels.
    slices
        K,J,I part of the room that is wanted; None for all of it.

    Returns
    -------
    Volume
        A view where nothing has to be added.
    """
    first = np.round(room.to_ijk(segmentation.grid.to_ras([0, 0, 0])))[::-1].astype(int)
    whole = [(0, size) for size in room.shape]
    start, stop = np.transpose(whole if slices is None else [(part.start, part.stop) for part in slices]) - first
    low, high = (np.clip(ends, 0, segmentation.shape) for ends in (start, stop))
    inner = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    if (low == start).all() and (high == stop).all():
        return segmentation.cropped(inner)
    array = np.zeros(stop - start, segmentation.array.dtype)
    if (low < high).all():
        array[tuple(slice(a, b) for a, b in zip(low - start, high - start, strict=True))] = segmentation.array[inner]
    matrix = segmentation.ijk_to_ras.copy()
    matrix[:3, 3] = segmentation.grid.to_ras(start[::-1])
    return Volume(array, matrix, segmentation.name)


def _pads(grid: Grid, grown: Grid) -> np.ndarray:
    """(3, 2) voxels added before and behind along K, J, I."""
    first = -np.round(grid.to_ijk(grown.to_ras([0, 0, 0]))).astype(int)[::-1]
    return np.stack([first, np.array(grown.shape) - grid.shape - first], axis=1)


def normalised(image: np.ndarray) -> np.ndarray:
    """Intensities scaled so that the 1st percentile is 0 and the 99th is 1, clipped to -0.5 .. 1.5; float32."""
    sample = image if image.size <= 200_000 else image[::2, ::2, ::2]
    low, high = np.percentile(sample, (1, 99))
    scaled = (image - np.float32(low)) / np.float32(max(high - low, 1e-6))
    return np.clip(scaled, -0.5, 1.5, out=scaled)


def working_case(
    image: Volume, segmentation_distance: Volume, stroke_ras: np.ndarray, grid: Grid, sigma: float = SIGMA_VOXELS
) -> WorkingCase:
    """Bring an image, the old segmentation's signed distance (mm) and a stroke (RAS, mm) onto the working grid.

    The stroke's points are at most one working voxel apart along it (`densify`), and are not joined here: where a long
    stroke leaves the grid and comes back, nothing was drawn between.

    Raises
    ------
    InputError
        The image has a NaN or an infinite value there, or lies elsewhere.
    """
    voxel = float(grid.spacing[0])
    part = around(image, grid)
    if not np.isfinite(part.array).all():
        raise InputError(
            f"{image.name or 'The image'} has NaN or infinite values near the stroke; "
            "replace them (for example with a threshold) before editing there."
        )
    stroke = grid.to_ijk(stroke_ras)[:, ::-1]
    distance, nearest = distances_on(grid.shape, stroke)
    return WorkingCase(
        image=normalised(part.resampled_to(grid).array),
        signed_distance=segmentation_distance.resampled_to(grid).array / np.float32(voxel),
        distance=distance,
        nearest=nearest,
        stroke=stroke,
        sigma=sigma,
        grid=grid,
    )


EXACT_WITHIN = 8
"""Distances up to this many voxels are exact; a warp is sensitive to them only near the stroke."""


def distances_on(shape: tuple[int, int, int], stroke: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance (voxels) and nearest stroke point for every voxel of an array; see `nearest_on_stroke`.

    Far from the stroke, which point is nearest is found for blocks of 2x2x2 voxels: a fifth of the time of an exact
    search. The promise to change nothing outside the zone does not rest on this map.
    """
    blocks = tuple(-(-size // 2) for size in shape)
    centres = np.indices(blocks, dtype=np.float32).reshape(3, -1).T * 2 + 0.5
    nearest = nearest_on_stroke(centres, stroke)[1].astype(np.int32).reshape(blocks)
    for axis in range(3):
        nearest = nearest.repeat(2, axis=axis)
    nearest = np.ascontiguousarray(nearest[tuple(slice(0, size) for size in shape)])
    low = np.clip(np.floor(stroke.min(axis=0)) - EXACT_WITHIN, 0, shape).astype(int)
    high = np.clip(np.ceil(stroke.max(axis=0)) + EXACT_WITHIN + 1, low, shape).astype(int)
    box = tuple(slice(start, stop) for start, stop in zip(low, high, strict=True))
    points = np.indices(high - low, dtype=np.float32).reshape(3, -1).T + low
    if len(points):
        nearest[box] = nearest_on_stroke(points, stroke)[1].reshape(high - low)
    squared = np.zeros(shape, dtype=np.float32)
    for axis, size in enumerate(shape):
        along = np.arange(size, dtype=np.float32).reshape([-1 if other == axis else 1 for other in range(3)])
        squared += np.square(along - stroke[:, axis].astype(np.float32)[nearest])
    return np.sqrt(squared), nearest


def sampled(array: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Linear interpolation of an array at (N, 3) voxel coordinates K, J, I; the edge is repeated outside."""
    return ndimage.map_coordinates(array, points.T, order=1, mode="nearest")
