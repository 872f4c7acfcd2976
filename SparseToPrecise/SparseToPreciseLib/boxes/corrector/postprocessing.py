"""From the shares of all patches to one box per slice: largest component, smoothing, gaps and ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..slices import Frame
from .working_grid import patch_centres

SEED = 0.5
"""A component must hold a patch of which so much is object (or nearly as much as the surest patch)."""


@dataclass(frozen=True)
class CleanMap:
    """The one component that is the object.

    Attributes
    ----------
    frame, patch
        The slices that the patches lie on, and their side in pixels.
    shares
        (slices, rows, columns), smoothed over the slices, 0 outside the box.
    threshold
        A patch of a larger share is object.
    kept
        (slices, rows, columns) bool: the component.
    """

    frame: Frame
    patch: int
    shares: np.ndarray
    threshold: float
    kept: np.ndarray

    @property
    def patch_mm(self) -> float:
        """Side of a patch, mm."""
        return self.patch * self.frame.spacing

    @property
    def empty(self) -> bool:
        """Whether no patch is object."""
        return not self.kept.any()


def smoothed_shares(shares: np.ndarray, frame: Frame, patch: int) -> np.ndarray:
    """Smoothed over the slices by an eighth of a patch, and 0 where the middle of a patch lies outside the box."""
    sigma = patch * frame.spacing / 8 / frame.step
    if sigma > 0.2 and len(shares) > 1:
        shares = ndimage.gaussian_filter1d(shares, sigma, axis=0, mode="nearest", truncate=2.5)
    # A quarter of a patch beyond the face: the crossing of the threshold there is still needed.
    beyond = 0.25 * patch * frame.spacing
    u, v = patch_centres(frame, patch)
    half = frame.box.size / 2 + beyond
    inside = (np.abs(v) <= half[frame.plane[1]])[:, None] & (np.abs(u) <= half[frame.plane[0]])
    return shares * inside


def cleaned(shares: np.ndarray, frame: Frame, patch: int, threshold: float) -> CleanMap:
    """The largest component of patches over the threshold (by its sum of shares) that holds a sure patch.

    Parameters
    ----------
    shares
        From `smoothed_shares`.
    """
    labels, count = ndimage.label(shares > threshold, structure=np.ones((3, 3, 3)))
    kept = np.zeros(shares.shape, bool)
    if count:
        numbers = np.arange(1, count + 1)
        masses = ndimage.sum_labels(shares, labels, numbers)
        peaks = ndimage.maximum(shares, labels, numbers)
        sure = peaks >= min(SEED, 0.8 * peaks.max())
        kept = labels == numbers[int(np.where(sure, masses, -1).argmax())]
    return CleanMap(frame, patch, shares, threshold, kept)


def slice_bounds(clean: CleanMap) -> np.ndarray:
    """The box of the component on every slice: (slices, 2, 2) lower and upper bound along u and v, mm, NaN for none.

    Edges lie where the share crosses the threshold, between patches; slices between others are interpolated, and the
    faces of the box end everything.
    """
    bounds = component_bounds(clean, clean.kept)
    there = np.flatnonzero(~np.isnan(bounds[:, 0, 0]))
    if there.size:
        numbers = np.arange(there[0], there[-1] + 1)
        for direction in range(2):
            for side in range(2):
                bounds[numbers, direction, side] = np.interp(numbers, there, bounds[there, direction, side])
    return widened(bounds, clean.frame, 0.0)


def widened(bounds: np.ndarray, frame: Frame, margin_mm: float) -> np.ndarray:
    """Boxes of slices with a margin on every side, along the axis to the nearest whole slice, within the box."""
    bounds = bounds.copy()
    there = np.flatnonzero(~np.isnan(bounds[:, 0, 0]))
    if not there.size:
        return bounds
    first, last = int(there[0]), int(there[-1])
    more = int(np.floor(margin_mm / frame.step + 0.5))
    if more > 0:
        bounds[max(first - more, 0) : first] = bounds[first]
        bounds[last + 1 : last + 1 + more] = bounds[last]
    bounds[:, :, 0] -= margin_mm
    bounds[:, :, 1] += margin_mm
    for direction, axis in enumerate(frame.plane):
        bounds[:, direction] = np.clip(bounds[:, direction], -frame.box.size[axis] / 2, frame.box.size[axis] / 2)
    return bounds


def component_bounds(clean: CleanMap, kept: np.ndarray) -> np.ndarray:
    """(slices, 2, 2) mm bounds where the shares around some patches cross the threshold; NaN where a slice has none."""
    near = ndimage.binary_dilation(kept, np.ones((1, 3, 3)))
    values = np.where(near, clean.shares, 0.0)
    u, v = patch_centres(clean.frame, clean.patch)
    bounds = np.full((len(kept), 2, 2), np.nan)
    there = kept.any(axis=(1, 2))
    for direction, (centres, profile) in enumerate(((u, values.max(axis=1)), (v, values.max(axis=2)))):
        over = profile > clean.threshold
        over &= kept.any(axis=1 if direction == 0 else 2)
        lower = _crossing(profile, over, clean.threshold)
        upper = profile.shape[1] - 1 - _crossing(profile[:, ::-1], over[:, ::-1], clean.threshold)
        stride = centres[1] - centres[0] if len(centres) > 1 else clean.patch_mm / 2
        bounds[there, direction, 0] = centres[0] + lower[there] * stride
        bounds[there, direction, 1] = centres[0] + upper[there] * stride
    return bounds


def parts_of(clean: CleanMap, number: int) -> list[np.ndarray]:
    """The boxes (2, 2) of each component of one slice, largest first."""
    labels, count = ndimage.label(clean.kept[number], structure=np.ones((3, 3)))
    single = CleanMap(clean.frame, clean.patch, clean.shares[number : number + 1], clean.threshold, clean.kept[:1])
    parts = [component_bounds(single, (labels == label)[None])[0] for label in range(1, count + 1)]
    return sorted(parts, key=lambda part: -float(np.prod(part[:, 1] - part[:, 0])))


def _crossing(profile: np.ndarray, over: np.ndarray, threshold: float) -> np.ndarray:
    """(slices,) fractional index at which each row first crosses the threshold."""
    first = over.argmax(axis=1)
    rows = np.arange(len(profile))
    here = profile[rows, first]
    before = np.where(first > 0, profile[rows, np.maximum(first - 1, 0)], 0.0)
    part = (here - threshold) / np.maximum(here - np.minimum(before, threshold), 1e-6)
    return first - np.clip(part, 0, 1)
