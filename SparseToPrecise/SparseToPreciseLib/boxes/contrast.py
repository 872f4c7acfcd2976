"""Whether what was found in a box differs from what surrounds it: of noise alone, nothing does."""

from __future__ import annotations

import numpy as np

from ..core.volume import Grid, Volume
from .corrector.inputs import in_image
from .frame import sampled

LEAST_CONTRAST = 0.1
"""Less is no object. With the default models, boxes around organs in CT and MR have 0.2 and more, those of white noise
less than 0.08."""
NO_CONTRAST = "what was found looks like all that surrounds it"
_BINS = 32


def contrast(image: Volume, chances: np.ndarray, grid: Grid) -> float:
    """How differently intensities are distributed where the object was found and elsewhere, between 0 and 1.

    The total variation distance of two histograms of the voxels of a grid that lie in the image, one weighted with
    the chances of object and one with those of none.

    Parameters
    ----------
    chances
        (K, J, I) on the grid, between 0 and 1.
    """
    there = np.broadcast_to(in_image(image.grid, grid) > 0, grid.shape)
    values, found = sampled(image, grid)[there], chances[there]
    edges = np.unique(np.quantile(values, np.arange(1, _BINS) / _BINS))
    bins = np.searchsorted(edges, values)
    shares = []
    for weight in (found, 1 - found):
        counts = np.bincount(bins, weight, len(edges) + 1)
        shares.append(counts / max(counts.sum(), 1e-9))
    return float(np.abs(shares[0] - shares[1]).sum() / 2)
