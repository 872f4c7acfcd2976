"""Input channels of the segmenter: the cells of a box, three neighbouring planes of them at a time."""

from __future__ import annotations

import numpy as np

from ...core.errors import InputError
from ...core.resampling import sampled
from ...core.volume import Volume
from ..intensities import object_probabilities
from ..slices import Frame, in_image

NEAR, RANK = 0, 1
POSITIONS = slice(3, 6)
IN_IMAGE = 6
CHANNEL_NAMES = (
    "intensity around the median of the box's middle",
    "rank of the intensity in the box",
    "chance by the intensities of the middle and beyond the faces",
    "distance from the middle along the columns",
    "distance from the middle along the rows",
    "distance from the middle along the planes",
    "in the image",
    "intensity of the plane before",
    "intensity of the plane after",
)
SEEN = len(CHANNEL_NAMES)
_CELL_CHANNELS = SEEN - 2
_QUANTILES = 64
_CORE, _RIM = 0.45, 0.9
"""Shares of the way from the middle to the faces: within the first is object, beyond the second hardly any."""
_FAINT = 0.01


def box_cells(image: Volume, frame: Frame) -> np.ndarray:
    """(7, K, J, I) float32 of the cells of a box and some around it, on the grid frame.cells(0, frame.planes).

    In the order of `CHANNEL_NAMES`, without the last two; distances are 1 at the faces of the box.

    Raises
    ------
    InputError
        The image has values that are no numbers there.
    """
    grid = frame.cells(0, frame.planes)
    values = sampled(image, grid)
    if not np.isfinite(values).all():
        raise InputError(f"{image.name or 'The image'} has values that are no numbers in or near the box; mend it.")
    half = frame.box.size / 2
    u, v = (np.abs(at) / half[axis] for at, axis in zip(frame.cell_centres(), frame.plane, strict=True))
    w = np.abs(frame.plane_positions()) / half[frame.axis]
    far = np.maximum(np.maximum(w[:, None, None], v[:, None]), u)
    core = w[:, None, None] ** 2 + v[:, None] ** 2 + u**2 <= _CORE**2
    there = in_image(image.grid, grid)
    result = np.empty((_CELL_CHANNELS, *values.shape), np.float32)
    edges = np.quantile(values[far <= 1], np.linspace(0, 1, _QUANTILES))
    low, middle, high = np.percentile(values[core] if core.any() else values[far <= 1], (25, 50, 75))
    spread = max((high - low) / 1.35, _FAINT * (edges[-2] - edges[1]), 1e-6)
    result[NEAR] = np.tanh((values - middle) / (2.5 * spread))
    result[RANK] = np.interp(values, edges, np.linspace(-1, 1, _QUANTILES))
    result[2] = object_probabilities(result[RANK], core, (far >= _RIM) & (there > 0))
    result[POSITIONS.start] = np.minimum(u, 1.5)
    result[POSITIONS.start + 1] = np.minimum(v, 1.5)[:, None]
    result[POSITIONS.start + 2] = np.minimum(w, 1.5)[:, None, None]
    result[IN_IMAGE] = there
    return result


def plane_channels(cells: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """(N, SEEN, J, I): planes by number of (7, K, J, I) cells, with the intensities of both neighbours.

    Beyond the first and the last plane those are repeated.
    """
    last = cells.shape[1] - 1
    sides = [cells[NEAR][np.clip(numbers + step, 0, last)] for step in (-1, 1)]
    return np.concatenate([cells[:, numbers].swapaxes(0, 1), np.stack(sides, axis=1)], axis=1)


def turned(cells: np.ndarray, times: int) -> np.ndarray:
    """(7, K, J, I) cells as they are when cut along another axis: K, J, I become J, I, K, so many times."""
    for _ in range(times):
        cells = cells.transpose(0, 2, 3, 1)
        # Along the columns, the rows and the planes, in that order.
        cells = np.concatenate([cells[:3], cells[[5, 3, 4]], cells[6:]])
    return cells
