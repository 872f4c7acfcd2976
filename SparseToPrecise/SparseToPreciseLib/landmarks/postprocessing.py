"""The structure in the network's likelihood: one component, and its moments."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..core.volume import Grid
from .moments import Moments

LEVEL = 0.125
"""Likelihood above which a voxel is of a component: half in each of the three orientations."""


def main_component(likelihood: np.ndarray, grid: Grid) -> tuple[np.ndarray, Moments] | None:
    """The component above `LEVEL` with the greatest sum of probabilities, 0 elsewhere, and its moments."""
    labels, count = ndimage.label(likelihood > LEVEL)
    if not count:
        return None
    sums = ndimage.sum_labels(likelihood, labels, np.arange(1, count + 1))
    kept = np.where(labels == 1 + int(np.argmax(sums)), likelihood, 0)
    return kept, Moments.of(kept, grid)
