"""How long an object is, however it lies in its grid."""

from __future__ import annotations

import numpy as np


def mean_length(mask: np.ndarray, spacing_kji: np.ndarray) -> float:
    """How large a mask is across, mm: the geometric mean of the diameters of the ellipsoid of the same second moments.

    Of a ball it is the diameter. Unlike the sides of a box it does not change when the object is turned, and a thin
    spur hardly counts.

    Parameters
    ----------
    mask
        (K, J, I) bool, not empty.
    spacing_kji
        (3,) of its voxels, mm.
    """
    points = np.argwhere(mask) * spacing_kji
    # The voxels have an extent of their own, so that one slice or one voxel has a length, too.
    moments = np.cov(points.T, bias=True) + np.diag(np.square(spacing_kji) / 12)
    return float(2 * np.sqrt(5) * np.linalg.det(moments) ** (1 / 6))
