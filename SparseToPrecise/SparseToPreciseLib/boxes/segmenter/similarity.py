"""Which voxels of a box look like its object: from the intensities within and outside the boxes of its planes.

The idea is GrabCut's (Rother et al., 2004) and DeepCut's (Rajchl et al., 2017): what lies in a box is a mixture of the
object and of what also lies outside.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

BINS = 48
SHARE = 0.7
"""Of a box that its object is supposed to fill: the middle of what `losses.SIZE_SHARE` allows."""
SURE = 0.98
"""No chance is nearer to 0 or 1 than this leaves."""
_FAINT = 2e-3


def object_chances(values: np.ndarray, inside: np.ndarray, outside: np.ndarray | None = None) -> np.ndarray:
    """The chance of every voxel to be object, were it within a box.

    With h the histograms within and outside the boxes, h_in = SHARE h_object + (1 - SHARE) h_out, so that the chance of
    an intensity is 1 - (1 - SHARE) h_out / h_in; log-ratios are averaged over 3 x 3 x 3 voxels against noise.

    Parameters
    ----------
    values
        (K, J, I) intensities as ranks, within -1 and 1, so that soft tissue is resolved beside air and bone.
    inside
        (K, J, I) bool: within the box of its plane.
    outside
        (K, J, I) bool; None: all that is not inside.

    Returns
    -------
    (K, J, I) float32
        SHARE everywhere when nothing lies inside or nothing outside.
    """
    outside = ~inside if outside is None else outside
    if not inside.any() or not outside.any():
        return np.full(values.shape, SHARE, np.float32)
    bins = np.clip((values + 1) * (BINS / 2), 0, BINS - 1).astype(np.intp)
    shares = []
    for part in (inside, outside):
        counts = ndimage.gaussian_filter1d(np.bincount(bins[part], minlength=BINS).astype(np.float64), 1.5)
        shares.append(counts / counts.sum() + _FAINT)
    ratio = np.log(shares[0] / shares[1]).astype(np.float32)[bins]
    ratio = ndimage.uniform_filter(ratio, 3)
    return np.clip(1 - (1 - SHARE) * np.exp(-ratio), 1 - SURE, SURE)
