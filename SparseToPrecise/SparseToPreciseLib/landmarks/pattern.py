"""A reference's structure as points that count in a comparison, and those points turned every way."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from ..core.resampling import on_grid
from ..core.volume import Grid
from .reference import Reference
from .rotations import rotation_grid
from .working_grid import Surroundings, cube_around

ROTATIONS = 2000
"""Of the search: neighbours are some 15 degrees apart."""

_STEP = 1 / 14
"""Between the points of a pattern, in diameters of the structure."""
_NEAR = 0.12
"""Of the structure, in diameters: what counts. Farther surroundings differ between individuals, and they are most of a
ball around the structure."""
_COARSE_STEP, _COARSE_NEAR = 1 / 10, 0.15
_SMOOTHING, _COARSE_SMOOTHING = 0.7, 0.4
_CLASSES = 4


@dataclass(frozen=True)
class Sampled:
    """How an image is read for a comparison: the voxel's size in mm, and the smoothing in voxels."""

    step_mm: float
    sigma: float

    def cube(self, image: Surroundings, centre: np.ndarray, reach: int) -> tuple[np.ndarray, Grid]:
        """(K, J, I) values on a cube of 2 * reach + 1 voxels around a RAS point, and its grid."""
        grid = cube_around(centre, 2 * reach + 1, self.step_mm)
        return ndimage.gaussian_filter(image.on(grid), self.sigma), grid


@dataclass(frozen=True)
class Pattern:
    """Points in and close to the structure.

    Attributes
    ----------
    centre
        RAS in the reference, mm: the structure's own.
    points
        (N, 3) RAS relative to the centre, mm.
    values
        (N,) of the reference, in units of its surroundings.
    reach
        Voxels from the centre to the farthest point.
    sampled
        How the reference was read; a target is to be read in the same way.
    """

    centre: np.ndarray
    points: np.ndarray
    values: np.ndarray
    reach: int
    sampled: Sampled

    @staticmethod
    def of(reference: Reference, seen: Surroundings, diameter_mm: float) -> Pattern:
        """The pattern of a reference for the comparison of poses."""
        sampled = Sampled(_STEP * diameter_mm, _SMOOTHING)
        values, near, reach = _around(reference, seen, diameter_mm, sampled, _NEAR)
        points = (np.argwhere(near)[:, ::-1] - (near.shape[0] - 1) / 2) * sampled.step_mm
        return Pattern(reference.centre, points, values[near], reach, sampled)


@dataclass(frozen=True)
class TurnedPatterns:
    """A pattern under many rotations, all on one set of voxels, so that a matrix product compares them all.

    Attributes
    ----------
    rotations
        3x3 each, RAS.
    offsets
        (N, 3) voxels K, J, I relative to the centre.
    reach
        The largest of them.
    weights
        (classes, rotations, N) how much a voxel belongs to a class of the reference's intensities; their sum is 1 for
        each rotation, and voxels that do not count have none.
    values
        (rotations, N) what is multiplied with a target's values: weighted, without mean, of unit weighted variance.
    centre, sampled
        As in `Pattern`.
    """

    rotations: list[np.ndarray]
    offsets: np.ndarray
    reach: int
    weights: np.ndarray
    values: np.ndarray
    centre: np.ndarray
    sampled: Sampled

    @staticmethod
    def of(reference: Reference, seen: Surroundings, diameter_mm: float, count: int = ROTATIONS) -> TurnedPatterns:
        """The structure of a reference under the rotations of `rotation_grid`."""
        sampled = Sampled(_COARSE_STEP * diameter_mm, _COARSE_SMOOTHING)
        values, near, reach = _around(reference, seen, diameter_mm, sampled, _COARSE_NEAR)
        axis = np.arange(-reach, reach + 1)
        offsets = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
        offsets = offsets[np.linalg.norm(offsets, axis=1) <= reach]
        rotations = rotation_grid(count)
        limits = np.quantile(values[near], np.linspace(0, 1, _CLASSES + 1)[1:-1])
        classes = np.searchsorted(limits, values)
        layers = [(near & (classes == one)).astype(np.float32) for one in range(_CLASSES)]
        weights = np.empty((_CLASSES, len(rotations), len(offsets)), np.float32)
        turned = np.empty((len(rotations), len(offsets)), np.float32)
        middle = (near.shape[0] - 1) / 2
        for number, rotation in enumerate(rotations):
            place = (offsets[:, ::-1] @ rotation)[:, ::-1].T + middle  # from the target's axes to the reference's
            turned[number] = ndimage.map_coordinates(values, place, order=1, mode="nearest")
            for layer, out in zip(layers, weights, strict=True):
                out[number] = ndimage.map_coordinates(layer, place, order=1)
        total = weights.sum(axis=0)
        weights /= total.sum(axis=1)[:, None]
        total /= total.sum(axis=1, keepdims=True)
        turned -= (total * turned).sum(axis=1, keepdims=True)
        turned /= np.maximum(np.sqrt((total * turned**2).sum(axis=1, keepdims=True)), 1e-6)
        return TurnedPatterns(rotations, offsets, reach, weights, total * turned, reference.centre, sampled)

    @cached_property
    def all_weights(self) -> np.ndarray:
        """(rotations, N) of all classes together."""
        return self.weights.sum(axis=0)


def structure_on(reference: Reference, grid: Grid) -> np.ndarray:
    """(K, J, I) float32 on an isotropic grid, above 0.5 in the structure.

    What is thinner than a voxel, like the bone of a small skull, fills less than half of any; then the fullest voxels
    count, as many as make up the structure's volume.
    """
    soi = reference.soi.with_array((reference.soi.array != 0).astype(np.float32))
    share = np.nan_to_num(on_grid(soi, grid), nan=0.0)
    count = int(np.count_nonzero(soi.array) * soi.grid.voxel_volume_mm3 / grid.voxel_volume_mm3)
    if not 0 < count < share.size:
        return share
    fullest = float(np.partition(share, share.size - count, axis=None)[share.size - count])
    return share / max(2 * fullest, 1e-3) if fullest < 0.5 else share


def distance_to_structure(reference: Reference, grid: Grid, marks: bool = False) -> np.ndarray:
    """(K, J, I) mm on an isotropic grid from the reference's structure, or with `marks` from its landmarks, too."""
    seeds = structure_on(reference, grid) >= 0.5
    points = list(reference.landmarks.values()) if marks else []
    if not seeds.any():
        points.append(reference.centre)
    for point in points:
        i, j, k = np.clip(np.round(grid.to_ijk(point)), 0, np.array(grid.shape[::-1]) - 1).astype(int)
        seeds[k, j, i] = True
    return ndimage.distance_transform_edt(~seeds, sampling=float(grid.spacing[0]))


def _around(
    reference: Reference, seen: Surroundings, diameter_mm: float, sampled: Sampled, near: float
) -> tuple[np.ndarray, np.ndarray, int]:
    """Values on a cube around the structure, which of them count, and how many voxels those reach from the centre."""
    reach = int(np.ceil((0.5 + 1.5 * near) * reference.diameter_mm / sampled.step_mm))
    values, grid = sampled.cube(seen, reference.centre, reach + 1)
    counts = distance_to_structure(reference, grid) <= near * diameter_mm
    return values, counts, reach
