"""Rules without training that the corrector is compared with."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from SparseToPreciseLib.boxes.intensities import Appearance
from SparseToPreciseLib.boxes.slices import Frame
from SparseToPreciseLib.core.intensities import log_ratio
from SparseToPreciseLib.core.masks import largest_component
from SparseToPreciseLib.core.volume import Volume

_ROUNDS = 3


def otsu_mask(image: Volume, frame: Frame) -> np.ndarray:
    """(slices, rows, columns) bool: the side of Otsu's threshold that the middle of the box is on, one component."""
    from skimage.filters import threshold_otsu

    values, inside, radius = in_box(image, frame)
    level = threshold_otsu(values[inside])
    bright = np.median(values[inside & (radius < 0.3)]) > level
    return _largest(((values > level) == bright) & inside)


def histogram_mask(image: Volume, frame: Frame) -> np.ndarray:
    """(slices, rows, columns) bool: untrained tightening by the intensities of the middle against the surroundings.

    The log-ratio of two histograms, first of the box's middle and rim, then of what was found and what was not, plus an
    ellipsoid that favours the middle; one component.
    """
    values, inside, radius = in_box(image, frame)
    appearance = Appearance.of(image, frame)
    prior = 1.5 * (0.75 - radius)
    found = inside & (3 * appearance.evidence(values) + prior > 0)
    bins = np.clip((values - appearance.low) / (appearance.high - appearance.low) * 39, 0, 39).astype(int)
    for _ in range(_ROUNDS):
        if not found.any() or found[inside].all():
            break
        ratio = log_ratio(bins, found, ~found, 40)
        found = inside & (ndimage.gaussian_filter(ratio[bins], (0, 2, 2)) + prior > 0)
    return _largest(found)


def shrunk_bounds(frame: Frame, share: float) -> np.ndarray:
    """(slices, 2, 2): the box with the same share taken off every side."""
    bounds = np.full((frame.slices, 2, 2), np.nan)
    kept = np.abs(frame.positions()) <= frame.box.size[frame.axis] * (0.5 - share)
    for one, axis in enumerate(frame.plane):
        half = frame.box.size[axis] * (0.5 - share)
        bounds[kept, one] = -half, half
    return bounds


def in_box(image: Volume, frame: Frame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values on the slices, which pixels lie in the box, and how far from its middle (1 at the faces)."""
    values = frame.sample(image, 0, frame.slices)
    half = frame.box.size / 2
    u, v = (np.abs(at) / half[one] for at, one in zip(frame.pixels(), frame.plane, strict=True))
    w = np.abs(frame.positions()) / half[frame.axis]
    inside = np.broadcast_to((u <= 1) & (v <= 1)[:, None], values.shape)
    return values, inside, np.sqrt(u**2 + (v**2)[:, None] + (w**2)[:, None, None])


def _largest(mask: np.ndarray) -> np.ndarray:
    opened = ndimage.binary_opening(mask, np.ones((1, 3, 3)))
    return largest_component(opened) if opened.any() else mask
