"""Masks: connected components, bounds, size and overlap. A mask is a bool array, (K, J, I) where it has three axes."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .errors import InputError


def largest_component(mask: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """The component of voxels joined by faces that has the most voxels, or the greatest sum of a weight.

    Parameters
    ----------
    mask
        Of any number of axes.
    weight
        What is summed over each component, of the mask's shape; None: its voxels.

    Returns
    -------
    bool, as the mask
        Of two that are as large, the first in the array's order; nothing where the mask is empty.

    Examples
    --------
    >>> largest_component(np.array([True, True, False, True])).tolist()
    [True, True, False, False]
    """
    labels, count = ndimage.label(mask)
    if not count:
        return np.zeros(mask.shape, bool)
    if weight is None:
        sizes = np.bincount(labels.ravel())[1:]
    else:
        sizes = ndimage.sum_labels(weight, labels, np.arange(1, count + 1))
    return labels == 1 + int(np.argmax(sizes))


def components_with(mask: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """The components of voxels joined by faces that hold a seed.

    Parameters
    ----------
    seeds
        bool, of the mask's shape; those outside the mask do not count.

    Examples
    --------
    >>> components_with(np.array([True, True, False, True]), np.array([False, True, True, False])).tolist()
    [True, True, False, False]
    """
    labels, count = ndimage.label(mask)
    kept = np.zeros(count + 1, bool)
    kept[labels[seeds]] = True
    kept[0] = False
    return kept[labels]


def bounding_slices(mask: np.ndarray, margin: int = 0) -> tuple[slice, ...] | None:
    """Slices of the smallest part that holds a mask and a margin, within the array; None of an empty mask.

    Parameters
    ----------
    mask
        Of any type; all but 0 counts.
    margin
        Voxels on every side.

    Examples
    --------
    >>> bounding_slices(np.array([False, True, True, False]))
    (slice(1, 3, None),)
    """
    slices = []
    for axis, size in enumerate(mask.shape):
        there = np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
        if not there.size:
            return None
        slices.append(slice(max(int(there[0]) - margin, 0), min(int(there[-1]) + 1 + margin, size)))
    return tuple(slices)


def dice(first: np.ndarray, second: np.ndarray) -> float:
    """Dice overlap of two masks; two empty ones agree, so that they have 1, and one empty one of two gives 0.

    Raises
    ------
    InputError
        They have different shapes.

    Examples
    --------
    >>> dice(np.array([True, True]), np.array([True, False]))
    0.6666666666666666
    >>> dice(np.zeros(2, bool), np.zeros(2, bool))
    1.0
    """
    first, second = on_one_grid(first, second)
    total = np.count_nonzero(first) + np.count_nonzero(second)
    return 2.0 * float(np.count_nonzero(first & second)) / float(total) if total else 1.0


def on_one_grid(*masks: np.ndarray) -> list[np.ndarray]:
    """Masks as bool.

    Raises
    ------
    InputError
        They have different shapes.
    """
    arrays = [np.asarray(mask, bool) for mask in masks]
    for array in arrays[1:]:
        if array.shape != arrays[0].shape:
            raise InputError(
                f"Masks of shapes {arrays[0].shape} and {array.shape} cannot be compared; bring them to one grid first."
            )
    return arrays


def mean_diameter(mask: np.ndarray, spacing_kji: np.ndarray) -> float:
    """Geometric mean (mm) of the three diameters of the ellipsoid that has the second moments of a mask.

    The diameter of a ball. Unlike the sides of a box it does not change when the object is turned, and a thin spur
    hardly counts.

    Parameters
    ----------
    mask
        (K, J, I), not empty.
    spacing_kji
        (3,) size of a voxel, mm.
    """
    points = np.argwhere(mask) * spacing_kji
    # The voxels have an extent of their own, so that one slice or one voxel has a diameter, too.
    moments = np.cov(points.T, bias=True) + np.diag(np.square(spacing_kji) / 12)
    return float(2 * np.sqrt(5) * np.linalg.det(moments) ** (1 / 6))
