"""Input channels of the corrector: intensities as the box's own content defines them, and positions in the box."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...core.errors import InputError
from ...core.resampling import sampled
from ...core.volume import Volume
from ..intensities import Appearance
from ..slices import Frame, in_image

CHANNELS = 9
NEAR, SIMILARITY, RANK, EVIDENCE = range(4)
POSITIONS = slice(4, 7)
"""Channels of a cell's position along the columns (u), the rows (v) and the planes."""
IN_IMAGE, SIZE = 7, 8


def cell_channels(image: Volume, frame: Frame, appearance: Appearance, typical_mm: float | None = None) -> np.ndarray:
    """(CHANNELS, planes, rows, columns) float32 of the cells of a box.

    In order: intensity around the median of the box's middle; similarity to that median; rank of the intensity in the
    box; evidence; distance from the middle of the box along u, v and the axis (1 at its faces); 1 in the image and -1
    beyond; log-ratio of the box's length and `typical_mm` (within -1 and 1; 0 where None).

    Raises
    ------
    InputError
        The image has values that are no numbers there.
    """
    grid = frame.cells(0, frame.planes)
    values = sampled(image, grid)
    if not np.isfinite(values).all():
        raise InputError(f"{image.name or 'The image'} has values that are no numbers in or near the box; mend it.")
    result = np.empty((CHANNELS, *values.shape), np.float32)
    scaled = (values - appearance.middle) / appearance.spread
    result[NEAR] = np.tanh(scaled / 2.5)
    # Normalisation within the network shifts what it is given; similarity stays the highest value wherever that is.
    result[SIMILARITY] = np.exp(-0.5 * (scaled / 1.5) ** 2)
    result[RANK] = appearance.rank(values)
    result[EVIDENCE] = appearance.evidence(values)
    half = frame.box.size / 2
    u, v = (
        np.minimum(np.abs(at) / half[axis], 1.5) for at, axis in zip(frame.cell_centres(), frame.plane, strict=True)
    )
    along = np.minimum(np.abs(frame.plane_positions()) / half[frame.axis], 1.5)
    result[POSITIONS] = np.stack(np.broadcast_arrays(u, v[:, None], along[:, None, None]))
    result[IN_IMAGE] = in_image(image.grid, grid)
    result[SIZE] = 0.0 if typical_mm is None else np.tanh(np.log(np.cbrt(frame.box.volume_mm3) / typical_mm))
    return result


def reordered(cells: np.ndarray, axes: Sequence[int]) -> np.ndarray:
    """(CHANNELS, planes, rows, columns) with these axes (0 to 2) first to third; the channels of positions follow."""
    cells = cells.transpose(0, *(axis + 1 for axis in axes))
    # Positions are told along the last axis, the middle one and the first, in that order.
    order = np.arange(len(cells))
    order[POSITIONS] = [POSITIONS.stop - 1 - axes[axis] for axis in (2, 1, 0)]
    return cells[order]
