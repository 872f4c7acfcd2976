"""What a user has without this tool, each as its authors made it or as the textbook says."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from scipy import ndimage

from SparseToPreciseLib.core.volume import Volume

from ..editing.rivals import grown

_BETA = 130.0
"""The random walker's default."""


def nearest_plane(image: Volume, paint: Volume, on_planes: np.ndarray, axis: int | None) -> np.ndarray:
    """Every voxel as the nearest one of a plane."""
    index = ndimage.distance_transform_edt(
        ~on_planes, sampling=paint.grid.spacing_kji, return_distances=False, return_indices=True
    )
    return paint.array[tuple(index)] != 0


def between_slices(image: Volume, paint: Volume, on_planes: np.ndarray, axis: int | None) -> np.ndarray | None:
    """Shape-based interpolation (Raya and Udupa 1990): signed distances, linear from slice to slice."""
    if axis is None:
        return None
    masks = np.moveaxis(paint.array != 0, 2 - axis, 0)
    known = np.flatnonzero(np.moveaxis(on_planes, 2 - axis, 0).any(axis=(1, 2)))
    spacing = np.delete(paint.grid.spacing_kji, 2 - axis)
    distances = [_signed(masks[index], spacing) for index in known]
    filled = np.zeros(masks.shape, bool)
    for number, (low, high) in enumerate(zip(known, known[1:], strict=False)):
        for index in range(low, high + 1):
            weight = (index - low) / (high - low)
            filled[index] = (1 - weight) * distances[number] + weight * distances[number + 1] > 0
    for index in known:
        filled[index] = masks[index]
    return np.moveaxis(filled, 0, 2 - axis)


def _signed(mask: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    if not mask.any():
        return np.full(mask.shape, -np.linalg.norm(np.array(mask.shape) * spacing))
    inside, outside = (ndimage.distance_transform_edt(one, sampling=spacing) for one in (mask, ~mask))
    return inside - outside


def random_walker(image: Volume, paint: Volume, on_planes: np.ndarray, axis: int | None) -> np.ndarray:
    """Grady's random walker of scikit-image, with every voxel of the planes as a seed."""
    from skimage.segmentation import random_walker as walk

    spacing = paint.grid.spacing_kji / paint.grid.spacing_kji.min()
    values = image.array.astype(float)
    values = (values - values.mean()) / max(values.std(), 1e-9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a probability leaves 0 to 1 by the tolerance
        return walk(values, _seeds(paint, on_planes), beta=_BETA, mode="cg_j", tol=1e-3, spacing=spacing) == 1


def grow_from_seeds(image: Volume, paint: Volume, on_planes: np.ndarray, axis: int | None) -> np.ndarray:
    """Slicer's grow-from-seeds (`vtkImageGrowCutSegment`), with every voxel of the planes as a seed."""
    return grown(image.array, _seeds(paint, on_planes).astype(np.uint8), 0.0) == 1


def _seeds(paint: Volume, on_planes: np.ndarray) -> np.ndarray:
    return np.where(on_planes, np.where(paint.array != 0, 1, 2), 0)


Rival = Callable[[Volume, Volume, np.ndarray, "int | None"], "np.ndarray | None"]
RIVALS: dict[str, Rival] = {
    "nearest plane": nearest_plane,
    "between slices, distances": between_slices,
    "grow from seeds": grow_from_seeds,
    "random walker": random_walker,
}
