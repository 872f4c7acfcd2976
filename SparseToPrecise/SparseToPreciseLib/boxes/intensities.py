"""Evidence of intensities: which voxels of a box are object, by what is frequent inside and outside.

The idea is GrabCut's (Rother et al., 2004) and DeepCut's (Rajchl et al., 2017): a box holds a mixture of the object and
of what also lies outside; and which intensities the object of this very image has is known once it is roughly located,
here by a network in place of a user's strokes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..core.errors import InputError
from ..core.intensities import LEAST_SHARE, distance, log_ratio
from ..core.resampling import sampled
from ..core.volume import Grid, Volume
from .slices import Frame, in_image

FILLED_SHARE = 0.7
"""Share of a box that its object is supposed to fill: the middle of what `losses.SIZE_SHARE` allows."""
MOST_CERTAIN = 0.98
"""No probability by intensities alone is nearer to 0 or 1 than this leaves."""
LARGEST_LOG_RATIO = 4.0
"""Bound of the log-ratio of intensities: a network that is more certain than this has the last word."""
LEAST_CONTRAST = 0.1
"""Less is no object. With the default models, boxes around organs in CT and MR have 0.2 and more, those of white noise
less than 0.08."""
NO_CONTRAST = "what was found looks like all that surrounds it"
_BOX_BINS = 64
"""Bins of `Appearance`; each holds as many values of the box, so that soft tissue is resolved beside air and bone."""
_LATTICE = 40
_LARGEST_LOG_RATIO_OF_BOX = 3.0
_RANK_BINS = 48
_NEAR_BINS = 64
_CONTRAST_BINS = 32
_ROUNDS = 3
_SMOOTHING_CELLS = 1.0
"""Standard deviation over which the evidence of intensities is averaged, against noise."""
_MOST_CERTAIN_NETWORK = 1e-3


@dataclass(frozen=True)
class Appearance:
    """Intensities of the box's middle and of its surroundings; from the image alone.

    Attributes
    ----------
    low, high
        Percentiles 0.5 and 99.5 inside the box.
    middle, spread
        Median of the inner part of the box, and the width of its quartiles as a standard deviation.
    edges
        (63,) values between the bins: quantiles of what is in the box.
    log_ratio
        (64,) smoothed log-ratio of the histograms of the box's middle and of what lies near or beyond its faces,
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
        """The intensities of a box, measured on a coarse lattice in and around it.

        Raises
        ------
        InputError
            The image has no numbers there.
        """
        box = frame.box
        # The lattice reaches a sixth of the box beyond it: what lies there is not the object.
        grid = box.grid(box.size / _LATTICE, margin_steps=_LATTICE // 6)
        k, j, i = (np.abs(np.arange(n) - (n - 1) / 2) / (_LATTICE / 2) for n in grid.shape)
        far = np.maximum(np.maximum(k[:, None, None], j[:, None]), i)
        radius = np.sqrt(k[:, None, None] ** 2 + j[:, None] ** 2 + i**2)
        values = image.resampled_to(grid, "nearest").array.astype(np.float32)
        within = image.grid.contains(grid.points_ras())
        if not np.isfinite(values[within]).all():
            raise InputError(f"{image.name or 'The image'} has values that are no numbers in or near the box; mend it.")
        inside = values[within & (far <= 1)]
        low, high = (float(value) for value in np.percentile(inside, (0.5, 99.5)))
        flat = high <= low
        if flat:
            high = low + 1.0
        core = values[within & (radius <= 0.45)]
        core = core if core.size else inside
        quartiles = np.percentile(core, (25, 50, 75))
        spread = max(float(quartiles[2] - quartiles[0]) / 1.35, 0.02 * (high - low))
        edges = np.quantile(inside, np.arange(1, _BOX_BINS) / _BOX_BINS)
        bins = np.searchsorted(edges, values)
        core_weight = np.exp(-0.5 * (radius / 0.35) ** 2) * within
        rim_weight = np.clip((far - 0.8) / 0.4, 0, 1) * within
        histograms = [
            _smoothed(np.bincount(bins.ravel(), weight.ravel(), _BOX_BINS)) for weight in (core_weight, rim_weight)
        ]
        shares = [histogram / max(histogram.sum(), 1e-9) + LEAST_SHARE for histogram in histograms]
        most = _LARGEST_LOG_RATIO_OF_BOX
        ratio = np.clip(np.log(shares[0] / shares[1]), -most, most) / most
        return Appearance(low, high, float(quartiles[1]), spread, edges, ratio.astype(np.float32), flat)

    def evidence(self, values: np.ndarray) -> np.ndarray:
        """Log-ratio of each value, within -1 and 1."""
        return self.log_ratio[np.searchsorted(self.edges, values)]

    def rank(self, values: np.ndarray) -> np.ndarray:
        """Share of the box's values that are lower, -1 for the lowest and 1 for the highest."""
        return np.interp(values, self.edges, np.linspace(-1, 1, _BOX_BINS - 1)).astype(np.float32)


def object_probabilities(values: np.ndarray, inside: np.ndarray, outside: np.ndarray | None = None) -> np.ndarray:
    """Probability of every voxel to be object, were it within a box, by its intensity alone.

    With h the histograms within and outside the boxes and f = `FILLED_SHARE`, h_in = f h_object + (1 - f) h_out, so
    that the probability of an intensity is 1 - (1 - f) h_out / h_in; log-ratios are averaged over 3 x 3 x 3 voxels
    against noise.

    Parameters
    ----------
    values
        (K, J, I) intensities as ranks, within -1 and 1, so that soft tissue is resolved beside air and bone.
    inside
        (K, J, I) bool: within the box of its plane.
    outside
        (K, J, I) bool; None: all that is not inside.

    Returns
    -------
    (K, J, I) float32
        `FILLED_SHARE` everywhere when nothing lies inside or nothing outside.
    """
    outside = ~inside if outside is None else outside
    if not inside.any() or not outside.any():
        return np.full(values.shape, FILLED_SHARE, np.float32)
    bins = _bins(values, _RANK_BINS)
    ratio = log_ratio(bins, inside, outside, _RANK_BINS).astype(np.float32)[bins]
    ratio = ndimage.uniform_filter(ratio, 3)
    return np.clip(1 - (1 - FILLED_SHARE) * np.exp(-ratio), 1 - MOST_CERTAIN, MOST_CERTAIN)


def refined(
    probabilities: np.ndarray,
    near: np.ndarray,
    inside: np.ndarray,
    there: np.ndarray,
    largest_log_ratio: float = LARGEST_LOG_RATIO,
) -> np.ndarray:
    """Probability of object by a network and by the intensities of what it says is object, together.

    Log-odds of the network plus the log-ratio of two histograms, of object and of background, each weighted with the
    probabilities; then the histograms once more, three times in all.

    Parameters
    ----------
    probabilities
        (K, J, I) by the network.
    near
        (K, J, I) intensities within -1 and 1, most finely resolved around those of the object.
    inside, there
        (K, J, I) bool: the cells of the box that lie in the image; all cells in the image, which is where the
        background is learnt from.
    largest_log_ratio
        As `LARGEST_LOG_RATIO`.

    Returns
    -------
    (K, J, I) float32
    """
    bins = _bins(near, _NEAR_BINS)
    bounded = np.clip(probabilities, _MOST_CERTAIN_NETWORK, 1 - _MOST_CERTAIN_NETWORK)
    of_network = np.log(bounded / (1 - bounded))
    result = probabilities
    for _ in range(_ROUNDS):
        weight = result * inside
        ratio = log_ratio(bins, weight, (1 - weight) * there, _NEAR_BINS)
        ratio = np.clip(ratio, -largest_log_ratio, largest_log_ratio).astype(np.float32)[bins]
        odds = of_network + ndimage.gaussian_filter(ratio, _SMOOTHING_CELLS)
        result = (1 / (1 + np.exp(-odds))).astype(np.float32)
    return result


def contrast(image: Volume, probabilities: np.ndarray, grid: Grid) -> float:
    """Difference of the intensities in the object and elsewhere, between 0 and 1; that of noise alone is near 0.

    The total variation distance of two histograms of the voxels of a grid that lie in the image, one weighted with
    the probabilities of object and one with those of background.

    Parameters
    ----------
    probabilities
        (K, J, I) on the grid, between 0 and 1.
    """
    there = np.broadcast_to(in_image(image.grid, grid) > 0, grid.shape)
    values, weight = sampled(image, grid)[there], probabilities[there]
    edges = np.unique(np.quantile(values, np.arange(1, _CONTRAST_BINS) / _CONTRAST_BINS))
    return distance(np.searchsorted(edges, values), weight, 1 - weight, len(edges) + 1)


def _bins(values: np.ndarray, count: int) -> np.ndarray:
    """Numbers of equal bins of values within -1 and 1."""
    return np.clip((values + 1) * (count / 2), 0, count - 1).astype(np.intp)


def _smoothed(histogram: np.ndarray) -> np.ndarray:
    """As `core.intensities.shares`, but with nothing beyond the ends: models have been trained with these channels."""
    kernel = np.exp(-0.5 * (np.arange(-4, 5) / 1.5) ** 2)
    return np.convolve(histogram, kernel / kernel.sum(), "same")
