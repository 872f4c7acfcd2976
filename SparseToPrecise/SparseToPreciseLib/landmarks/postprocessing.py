"""The structure in the network's likelihood: one component, and its moments."""

from __future__ import annotations

import numpy as np

from ..core.masks import largest_component
from ..core.volume import Grid
from .moments import Moments

LEVEL = 0.125
"""Likelihood above which a voxel is of a component: half in each of the three orientations."""


def main_component(likelihood: np.ndarray, grid: Grid) -> tuple[np.ndarray, Moments] | None:
    """The component above `LEVEL` with the greatest sum of probabilities, 0 elsewhere, and its moments."""
    component = largest_component(likelihood > LEVEL, likelihood)
    if not component.any():
        return None
    kept = np.where(component, likelihood, 0)
    return kept, Moments.of(kept, grid)
