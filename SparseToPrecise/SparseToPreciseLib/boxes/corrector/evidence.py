"""What a network says of an image, sharpened by the intensities that this very image has there and elsewhere.

The network was trained on many looks and knows shapes and places; which intensities the object of this image has is
seen once the object is roughly found. The idea is GrabCut's (Rother et al., 2004), with the network's answer in place
of a user's strokes.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

BINS = 64
ROUNDS = 3
_FAINT = 2e-3
_SMOOTH = 1.0
"""Cells over which the evidence of intensities is averaged, against noise."""
MOST = 4.0
"""Log-ratio that intensities can reach: where the network is surer than this, it has the last word."""
_SURE = 1e-3


def sharpened(
    chances: np.ndarray, near: np.ndarray, inside: np.ndarray, there: np.ndarray, most: float = MOST
) -> np.ndarray:
    """The chance of object by the network and by the intensities of what it found, together.

    Log-odds of the network plus the log-ratio of two histograms, of what is found and of what is not, each weighted
    with the chances; then the histograms once more, `ROUNDS` times.

    Parameters
    ----------
    chances
        (K, J, I) by the network.
    near
        (K, J, I) intensities within -1 and 1, most finely resolved around those of the object.
    inside, there
        (K, J, I) bool: the cells of the box that lie in the image; all cells in the image, which is where the
        background is learnt from.
    most
        As `MOST`.

    Returns
    -------
    (K, J, I) float32
    """
    bins = np.clip((near + 1) * (BINS / 2), 0, BINS - 1).astype(np.intp)
    sure = np.clip(chances, _SURE, 1 - _SURE)
    of_network = np.log(sure / (1 - sure))
    result = chances
    for _ in range(ROUNDS):
        shares = []
        found = result * inside
        for weight in (found, (1 - found) * there):
            counts = ndimage.gaussian_filter1d(np.bincount(bins.ravel(), weight.ravel(), BINS), 1.5)
            shares.append(counts / max(counts.sum(), 1e-9) + _FAINT)
        ratio = np.clip(np.log(shares[0] / shares[1]), -most, most).astype(np.float32)[bins]
        odds = of_network + ndimage.gaussian_filter(ratio, _SMOOTH)
        result = (1 / (1 + np.exp(-odds))).astype(np.float32)
    return result
