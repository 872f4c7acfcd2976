"""Loose boxes, as a user draws them around an object."""

from __future__ import annotations

import numpy as np

from ..core.box import Box
from ..core.masks import bounding_slices
from ..core.volume import Volume
from .slices import within_field_of_view

TIGHT_SHARE = 0.25
"""Share of boxes without any margin among those that a segmenter is trained in."""


def loose_box(
    mask: Volume,
    margin: float,
    rng: np.random.Generator,
    asymmetric: bool = True,
    axes: np.ndarray | None = None,
) -> Box:
    """A box around the object in a mask, too large by a share of its size.

    Parameters
    ----------
    mask
        Not 0 inside the object.
    margin
        Mean margin of a side as a share of the object's length along that axis: 1.0 makes the box three times as long.
    asymmetric
        Share the margin unevenly (25 to 75 %) between the two sides of each axis, so that the box is off-centre.
    axes
        Directions of the box; None: the mask's own.

    Returns
    -------
    Box
        Within the field of view, where that is possible: a user cannot draw beyond it.
    """
    tight = Box.bounding(mask, axes)
    share = rng.uniform(0.25, 0.75, 3) if asymmetric else np.full(3, 0.5)
    total = 2 * margin * tight.size
    return within_field_of_view(tight.grown(total * share, total * (1 - share)), mask.grid)


def cut_by_field_of_view(image: Volume, mask: Volume, rng: np.random.Generator) -> tuple[Volume, Volume]:
    """An image that ends somewhere within the object in a mask, and the mask; 50 to 90 % of its length remain."""
    axis = int(rng.integers(3))
    there = bounding_slices(mask.array)[axis]
    kept = max(round((there.stop - there.start) * rng.uniform(0.5, 0.9)), 1)
    slices = [slice(None)] * 3
    slices[axis] = slice(0, there.start + kept) if rng.random() < 0.5 else slice(there.stop - kept, None)
    return image.cropped(tuple(slices)), mask.cropped(tuple(slices))
