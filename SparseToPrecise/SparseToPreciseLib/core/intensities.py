"""Intensities inside a region against those outside: two histograms, and how they differ."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

SMOOTHING = 1.5
"""Standard deviation, in bins."""
LEAST_SHARE = 2e-3
"""Added to every bin, so that an intensity that one of the two never has is no proof."""


def shares(bins: np.ndarray, weight: np.ndarray, count: int, smoothing: float = SMOOTHING) -> np.ndarray:
    """(count,) histogram of the bins of voxels, smoothed over its neighbours; sums to 1, or is 0 without any weight.

    Parameters
    ----------
    bins
        Number of each voxel's bin, below `count`.
    weight
        What each voxel counts, of the same shape; bool: those that are True count 1.
    smoothing
        As `SMOOTHING`; 0 leaves the histogram as it is.
    """
    counts = np.bincount(bins.ravel(), weight.ravel(), count)
    if smoothing:
        counts = ndimage.gaussian_filter1d(counts, smoothing)
    return counts / max(counts.sum(), 1e-9)


def log_ratio(bins: np.ndarray, inside: np.ndarray, outside: np.ndarray, count: int) -> np.ndarray:
    """(count,) natural logarithm of how much more frequent each bin is inside than outside.

    Parameters
    ----------
    bins, inside, outside
        As `shares` takes bins and their weight.

    Examples
    --------
    >>> bins = np.repeat([0, 9], 4)
    >>> ratio = log_ratio(bins, bins == 0, bins == 9, 10)
    >>> bool(ratio[0] > 5), bool(abs(ratio[0] + ratio[9]) < 1e-9)
    (True, True)
    """
    first, second = (shares(bins, weight, count) + LEAST_SHARE for weight in (inside, outside))
    return np.log(first / second)


def distance(bins: np.ndarray, inside: np.ndarray, outside: np.ndarray, count: int) -> float:
    """Total variation distance of both histograms, not smoothed: 0 where they are equal, 1 where no bin is in both.

    Parameters
    ----------
    bins, inside, outside
        As `shares` takes bins and their weight.

    Examples
    --------
    >>> bins = np.array([0, 0, 1, 1])
    >>> distance(bins, bins == 0, bins == 1, 2), distance(bins, np.array([1, 0, 1, 0]), np.array([0, 1, 0, 1]), 2)
    (1.0, 0.0)
    """
    first, second = (shares(bins, weight, count, 0.0) for weight in (inside, outside))
    return float(np.abs(first - second).sum() / 2)
