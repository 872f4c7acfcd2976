"""What the segmenter sees: three neighbouring planes of a box's cells at a time, along any of the three axes."""

from __future__ import annotations

import numpy as np

from .channels import CHANNELS

SEEN = CHANNELS + 2
NEAR = 0
"""The channel of the plane itself, in units of the spread of intensities in the middle of the box."""

WIDE = 1
"""The same in units of the range of intensities in the box, within -2 and 2."""
POSITIONS = slice(3, 6)
"""How far from the middle of the box along the columns, the rows and the planes, 1 at its faces."""


def plane_channels(cells: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """(N, SEEN, J, I): planes by number of (CHANNELS, K, J, I) cells, with the intensities of both neighbours.

    Beyond the first and the last plane those are repeated.
    """
    last = cells.shape[1] - 1
    sides = [cells[NEAR][np.clip(numbers + step, 0, last)] for step in (-1, 1)]
    return np.concatenate([cells[:, numbers].swapaxes(0, 1), np.stack(sides, axis=1)], axis=1)


def turned(cells: np.ndarray, times: int) -> np.ndarray:
    """(CHANNELS, K, J, I) cells as they are when cut along another axis: K, J, I become J, I, K, so many times."""
    for _ in range(times):
        cells = cells.transpose(0, 2, 3, 1)
        # Along the columns, the rows and the planes, in that order.
        cells = np.concatenate([cells[:3], cells[[5, 3, 4]], cells[6:]])
    return cells
