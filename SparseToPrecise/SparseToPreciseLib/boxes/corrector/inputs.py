"""What the corrector sees: intensities as the box's own content defines them, and where in the box they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...core.errors import InputError
from ...core.resampling import world_corners
from ...core.volume import Grid, Volume
from ..frame import Frame, sampled

CHANNELS = 9
NEAR, LIKENESS, RANK, EVIDENCE = range(4)
POSITIONS = slice(4, 7)
"""Of the channels that tell where a cell is: along the columns (u), the rows (v) and the planes."""
IN_IMAGE, SIZE = 7, 8
BINS = 64
"""Of the histograms; each holds as many values of the box, so that soft tissue is resolved beside air and bone."""
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
    edges
        (BINS - 1,) values between the bins: quantiles of what is in the box.
    log_ratio
        (BINS,) smoothed log-ratio of the histograms of the box's middle and of what lies near or beyond its faces,
        within -1 and 1.
    flat
        The box has the same value everywhere.
    """

    low: float
    high: float
    middle: float
    spread: float
    edges: np.ndarray
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
        edges = np.quantile(inside, np.arange(1, BINS) / BINS)
        bins = np.searchsorted(edges, values)
        core_weight = np.exp(-0.5 * (radius / 0.35) ** 2) * within
        rim_weight = np.clip((far - 0.8) / 0.4, 0, 1) * within
        histograms = [
            _smoothed(np.bincount(bins.ravel(), weight.ravel(), BINS)) for weight in (core_weight, rim_weight)
        ]
        shares = [histogram / max(histogram.sum(), 1e-9) + 2e-3 for histogram in histograms]
        ratio = np.clip(np.log(shares[0] / shares[1]), -_LOG_RATIO, _LOG_RATIO) / _LOG_RATIO
        return Appearance(low, high, float(quartiles[1]), spread, edges, ratio.astype(np.float32), flat)

    def evidence(self, values: np.ndarray) -> np.ndarray:
        """Log-ratio of each value, within -1 and 1."""
        return self.log_ratio[np.searchsorted(self.edges, values)]

    def rank(self, values: np.ndarray) -> np.ndarray:
        """Share of the box's values that are lower, -1 for the lowest and 1 for the highest."""
        return np.interp(values, self.edges, np.linspace(-1, 1, BINS - 1)).astype(np.float32)


def cell_channels(
    image: Volume, frame: Frame, appearance: Appearance, typical_mm: float | None = None
) -> np.ndarray:
    """(CHANNELS, planes, rows, columns) float32 of the cells of a box.

    In order: intensity around the median of the box's middle; likeness to that median; rank of the intensity in the
    box; evidence; how far from the middle of the box along u, v and the axis (1 at its faces); whether the cell lies
    in the image; how much longer the box is than `typical_mm` (log-ratio, within -1 and 1; 0 where None).

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
    # Normalisation within the network shifts what it is given; likeness stays the highest value wherever that is.
    result[LIKENESS] = np.exp(-0.5 * (scaled / 1.5) ** 2)
    result[RANK] = appearance.rank(values)
    result[EVIDENCE] = appearance.evidence(values)
    half = frame.box.size / 2
    u, v = (np.minimum(np.abs(at) / half[one], 1.5) for at, one in zip(frame.cell_centres(), frame.plane, strict=True))
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


def in_image(image: Grid, grid: Grid) -> np.ndarray | float:
    """1 where a voxel of a grid lies in the image, -1 elsewhere."""
    if image.contains(world_corners(grid)).all():
        return 1.0
    # Where a voxel lies along an axis of the image is a sum of what its K, J and I say.
    matrix = image.ras_to_ijk @ grid.ijk_to_ras
    k, j, i = np.meshgrid(*(np.arange(size) for size in grid.shape), indexing="ij", sparse=True)
    inside = np.ones(grid.shape, bool)
    for (by_i, by_j, by_k, origin), size in zip(matrix[:3], image.shape[::-1], strict=True):
        at = by_k * k + by_j * j + (by_i * i + origin)
        inside &= (at >= -0.5) & (at <= size - 0.5)
    return np.where(inside, np.float32(1), np.float32(-1))


def _smoothed(histogram: np.ndarray) -> np.ndarray:
    kernel = np.exp(-0.5 * (np.arange(-4, 5) / 1.5) ** 2)
    return np.convolve(histogram, kernel / kernel.sum(), "same")
