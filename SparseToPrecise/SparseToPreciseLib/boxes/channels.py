"""What the corrector sees of a slice: intensities as the box's own content defines them, and where in the box it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.errors import InputError
from ..core.volume import Volume
from .frame import Frame

NEIGHBOURS = (-2, -1, 0, 1, 2)
"""Slices seen besides the one that is judged, in steps of `neighbour_step`."""
CHANNELS = len(NEIGHBOURS) + 6
BINS = 40
_LEAST_STEP = 4.0
_SAMPLES = 40
_LOG_RATIO = 3.0


@dataclass(frozen=True)
class Appearance:
    """What is typical of the box's middle and of its surroundings; from the image alone.

    Attributes
    ----------
    low, high
        Percentiles 0.5 and 99.5 inside the box.
    middle, spread
        Median of the inner part of the box, and how far its quartiles lie from it.
    log_ratio
        (BINS,) smoothed log-ratio of the histograms of the box's middle and of what lies near or beyond its faces,
        between low and high, within -1 and 1.
    """

    low: float
    high: float
    middle: float
    spread: float
    log_ratio: np.ndarray

    @staticmethod
    def of(image: Volume, frame: Frame) -> Appearance:
        """Measured on a coarse lattice in and around the box.

        Raises
        ------
        InputError
            The image has no numbers there.
        """
        box = frame.box
        # The lattice reaches a sixth of the box beyond it: what lies there is surely not the object.
        grid = box.grid(box.size / _SAMPLES, margin_steps=_SAMPLES // 6)
        k, j, i = (np.abs(np.arange(n) - (n - 1) / 2) / (_SAMPLES / 2) for n in grid.shape)
        far = np.maximum(np.maximum(k[:, None, None], j[:, None]), i)
        radius = np.sqrt(k[:, None, None] ** 2 + j[:, None] ** 2 + i**2)
        values = image.resampled_to(grid, "nearest").array.astype(np.float32)
        within = image.grid.contains(grid.points_ras())
        if not np.isfinite(values[within]).all():
            raise InputError(f"{image.name or 'The image'} has values that are no numbers inside the box; mend it.")
        inside = values[within & (far <= 1)]
        low, high = (float(one) for one in np.percentile(inside, (0.5, 99.5)))
        if high <= low:
            high = low + 1.0
        core = values[within & (radius <= 0.45)]
        core = core if core.size else inside
        quartiles = np.percentile(core, (25, 50, 75))
        spread = max(float(quartiles[2] - quartiles[0]) / 1.35, 0.02 * (high - low))
        bins = _bins(values, low, high)
        core_weight = np.exp(-0.5 * (radius / 0.35) ** 2) * within
        rim_weight = np.clip((far - 0.8) / 0.4, 0, 1) * within
        histograms = [
            _smoothed(np.bincount(bins.ravel(), weight.ravel(), BINS)) for weight in (core_weight, rim_weight)
        ]
        shares = [histogram / max(histogram.sum(), 1e-9) + 2e-3 for histogram in histograms]
        ratio = np.clip(np.log(shares[0] / shares[1]), -_LOG_RATIO, _LOG_RATIO) / _LOG_RATIO
        return Appearance(low, high, float(quartiles[1]), spread, ratio.astype(np.float32))

    def evidence(self, values: np.ndarray) -> np.ndarray:
        """Log-ratio of each value, within -1 and 1."""
        return self.log_ratio[_bins(values, self.low, self.high)]


def neighbour_step(frame: Frame) -> int:
    """Slices between two neighbours that are seen: some four pixels apart, whatever the slices' distance."""
    return max(1, round(_LEAST_STEP * frame.spacing / frame.step))


def slice_channels(image: Volume, frame: Frame, appearance: Appearance, first: int, stop: int) -> np.ndarray:
    """(stop - first, CHANNELS, rows, columns) float32 of neighbouring slices; sampled once for all of them."""
    reach = neighbour_step(frame) * max(NEIGHBOURS)
    values = frame.sample(image, first - reach, stop + reach)
    return channels_from(values, frame, appearance, np.arange(first, stop), first - reach, image)


def channels_from(
    values: np.ndarray, frame: Frame, appearance: Appearance, numbers: np.ndarray, start: int, image: Volume
) -> np.ndarray:
    """The channels of slices by number, from sampled slices of which the first has the number `start`."""
    step = neighbour_step(frame)
    rows, columns = frame.shape
    result = np.empty((len(numbers), CHANNELS, rows, columns), np.float32)
    near = np.tanh((values - appearance.middle) / (2.5 * appearance.spread))
    for channel, offset in enumerate(NEIGHBOURS):
        result[:, channel] = near[numbers - start + offset * step]
    here = values[numbers - start]
    wide = (here - appearance.low) / (appearance.high - appearance.low)
    channel = len(NEIGHBOURS)
    result[:, channel] = np.clip(wide, -0.5, 1.5) * 2 - 1
    result[:, channel + 1] = appearance.evidence(here)
    # The slice's own frame: 1 at the faces of the box.
    half = frame.box.size / 2
    u, v = (np.minimum(np.abs(at) / half[one], 1.5) for at, one in zip(frame.pixels(), frame.plane, strict=True))
    result[:, channel + 2] = u
    result[:, channel + 3] = v[:, None]
    result[:, channel + 4] = (np.abs(frame.positions(numbers)) / half[frame.axis])[:, None, None]
    result[:, channel + 5] = -1.0
    for row, number in enumerate(numbers):
        result[row, channel + 5] += 2.0 * _seen(frame, image, int(number))
    return result


def _seen(frame: Frame, image: Volume, number: int) -> np.ndarray | float:
    """Where a slice lies in the image: 1 for all of it, or (rows, columns)."""
    grid = frame.grid(number, number + 1)
    corners = grid.to_ras(np.array([[i, j, 0] for i in (0, grid.shape[2] - 1) for j in (0, grid.shape[1] - 1)]))
    if image.grid.contains(corners).all():
        return 1.0
    return image.grid.contains(grid.points_ras())[0].astype(np.float32)


def _bins(values: np.ndarray, low: float, high: float) -> np.ndarray:
    scaled = (values - low) * np.float32(BINS / (high - low))
    return np.clip(np.nan_to_num(scaled), 0, BINS - 1).astype(np.intp)


def _smoothed(histogram: np.ndarray) -> np.ndarray:
    kernel = np.exp(-0.5 * (np.arange(-4, 5) / 1.5) ** 2)
    return np.convolve(histogram, kernel / kernel.sum(), "same")
