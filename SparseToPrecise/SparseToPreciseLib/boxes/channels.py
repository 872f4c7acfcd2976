"""What the corrector sees: intensities as the box's own content defines them, and where in the box they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.errors import InputError
from ..core.volume import Grid, Volume
from .frame import Frame, sampled

CHANNELS = 7
BINS = 40
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
    flat
        The box has the same value everywhere.
    """

    low: float
    high: float
    middle: float
    spread: float
    log_ratio: np.ndarray
    flat: bool = False

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
        flat = high <= low
        if flat:
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
        return Appearance(low, high, float(quartiles[1]), spread, ratio.astype(np.float32), flat)

    def evidence(self, values: np.ndarray) -> np.ndarray:
        """Log-ratio of each value, within -1 and 1."""
        return self.log_ratio[_bins(values, self.low, self.high)]


def cell_channels(image: Volume, frame: Frame, appearance: Appearance, first: int, stop: int) -> np.ndarray:
    """(CHANNELS, stop - first, rows, columns) float32 of the planes first .. stop - 1 of cells.

    In order: intensity around the median of the box's middle; intensity in the box's own range; evidence; how far from
    the middle of the box along u, v and the axis (1 at its faces); whether the cell lies in the image.

    Raises
    ------
    InputError
        The image has values that are no numbers there.
    """
    grid = frame.cells(first, stop)
    values = sampled(image, grid)
    if not np.isfinite(values).all():
        raise InputError(f"{image.name or 'The image'} has values that are no numbers in or near the box; mend it.")
    result = np.empty((CHANNELS, *values.shape), np.float32)
    result[0] = np.tanh((values - appearance.middle) / (2.5 * appearance.spread))
    wide = (values - appearance.low) / (appearance.high - appearance.low)
    result[1] = np.clip(wide, -0.5, 1.5) * 2 - 1
    result[2] = appearance.evidence(values)
    half = frame.box.size / 2
    u, v = (np.minimum(np.abs(at) / half[one], 1.5) for at, one in zip(frame.cell_centres(), frame.plane, strict=True))
    result[3], result[4] = u, v[:, None]
    along = np.abs(frame.plane_positions()[first:stop]) / half[frame.axis]
    result[5] = np.minimum(along, 1.5)[:, None, None]
    result[6] = in_image(image.grid, grid)
    return result


def in_image(image: Grid, grid: Grid) -> np.ndarray | float:
    """1 where a voxel of a grid lies in the image, -1 elsewhere."""
    ends = [(0, size - 1) for size in grid.shape[::-1]]
    corners = grid.to_ras(np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1).reshape(-1, 3))
    if image.contains(corners).all():
        return 1.0
    inside = np.empty(grid.shape, np.float32)
    for k in range(grid.shape[0]):  # plane by plane: the positions of all voxels would take much memory
        plane = grid.cropped((slice(k, k + 1), slice(None), slice(None)))
        inside[k] = image.contains(plane.points_ras())[0]
    return 2 * inside - 1


def _bins(values: np.ndarray, low: float, high: float) -> np.ndarray:
    scaled = (values - low) * np.float32(BINS / (high - low))
    return np.clip(np.nan_to_num(scaled), 0, BINS - 1).astype(np.intp)


def _smoothed(histogram: np.ndarray) -> np.ndarray:
    kernel = np.exp(-0.5 * (np.arange(-4, 5) / 1.5) ** 2)
    return np.convolve(histogram, kernel / kernel.sum(), "same")
