"""How far the shape between the planes, and how far the image, can be relied on: learnt from planes left out.

Log-odds of the segment = a + b * (signed distance / its uncertainty) + sum of c * (log-ratio of intensities), with the
intensities at several scales. Each plane, or group of planes, is predicted from the others, whose truth is known; so a,
b and c are those of this very image and this very segment: where its intensities say nothing, c is near 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage, optimize

from ..core.intensities import log_ratio
from ..core.volume import Volume
from .section import SegmentSection

SCALES = (0.5, 1.5, 4.0)
"""Standard deviations of the smoothed images, in shortest sides of a voxel."""
UNCERTAINTY = 0.3
"""Uncertainty of the interpolated distance, in distances to the nearest plane; a voxel comes on top."""
PRIOR = (0.0, 1.5, 0.5, 0.5, 0.2)
"""a, b and c before any plane has been left out. Chosen with the rest here on validation cases of real anatomy."""
NEARBY = 0.6
"""Intensities are learnt from what lies within this many extents of the segment, on the planes."""
LARGEST_LOG_RATIO = 4.0
LARGEST_RATIO_OF_DISTANCE = 6.0
FOLDS = 6
_BINS = 48
_STRENGTH = 20.0
"""The prior counts as much as so many pixels."""
_PER_PLANE = 700
_LEAST_SHAPE = 0.3


@dataclass(frozen=True)
class Pixels:
    """Pixels of planes near a segment.

    Attributes
    ----------
    points
        (N, 3) RAS, mm.
    inside
        (N,) bool: the segment.
    values
        (N, S) of the image at each scale.
    """

    points: np.ndarray = field(repr=False)
    inside: np.ndarray = field(repr=False)
    values: np.ndarray = field(repr=False)

    @staticmethod
    def of(section: SegmentSection, images: Sequence[np.ndarray], extent: float) -> Pixels:
        """Those of a plane within `NEARBY` extents of the segment, or all where the plane does not meet it."""
        near = section.section.known & (section.signed > -NEARBY * extent)
        if not section.inside.any():
            near = section.section.known
        values = np.stack([section.section.values(image, near) for image in images], axis=1)
        return Pixels(section.section.points(near), section.inside[near], values)

    def some(self, most: int, rng: np.random.Generator) -> Pixels:
        """At most so many of them, by chance."""
        chosen = rng.permutation(len(self.inside))[:most]
        return Pixels(self.points[chosen], self.inside[chosen], self.values[chosen])

    @staticmethod
    def together(parts: Sequence[Pixels]) -> Pixels:
        """Those of several planes."""
        lists = zip(*((one.points, one.inside, one.values) for one in parts), strict=True)
        return Pixels(*map(np.concatenate, lists))


@dataclass(frozen=True)
class Intensities:
    """Log-ratio of the histograms of a segment and of what lies around it, at each scale.

    Attributes
    ----------
    edges
        (B,) for each scale: values between the bins, quantiles of what is near the segment.
    ratios
        (B + 1,) for each scale.
    """

    edges: list[np.ndarray]
    ratios: list[np.ndarray]

    @staticmethod
    def of(pixels: Pixels, edges: list[np.ndarray]) -> Intensities:
        ratios = []
        for scale, between in enumerate(edges):
            bins = np.searchsorted(between, pixels.values[:, scale])
            ratio = np.zeros(len(between) + 1)
            if pixels.inside.any() and not pixels.inside.all():
                ratio = log_ratio(bins, pixels.inside, ~pixels.inside, len(between) + 1)
            ratios.append(np.clip(ratio, -LARGEST_LOG_RATIO, LARGEST_LOG_RATIO).astype(np.float32))
        return Intensities(edges, ratios)

    def at(self, scale: int, values: np.ndarray) -> np.ndarray:
        """Log-ratio of values of one scale, in their shape."""
        return self.ratios[scale][np.searchsorted(self.edges[scale], values)]


@dataclass(frozen=True)
class Evidence:
    """Weights of shape and intensities, and the intensities.

    Attributes
    ----------
    weights
        (2 + S,) a, b and c of each scale.
    intensities
        Those of all planes.
    learnt
        Whether any plane could be left out; else the weights are `PRIOR`.
    """

    weights: np.ndarray
    intensities: Intensities
    learnt: bool

    def log_odds(self, ratio: np.ndarray, images: Sequence[np.ndarray]) -> np.ndarray:
        """Log-odds of the segment, (K, J, I) float32.

        Parameters
        ----------
        ratio
            (K, J, I) signed distance over its uncertainty, see `over_uncertainty`.
        images
            (K, J, I) at each scale.
        """
        odds = np.float32(self.weights[1]) * ratio + np.float32(self.weights[0])
        for scale, image in enumerate(images):
            if self.weights[2 + scale]:
                found = ndimage.gaussian_filter(self.intensities.at(scale, image), 0.4, truncate=2.5)
                odds += np.float32(self.weights[2 + scale]) * found
        return odds


def over_uncertainty(signed: np.ndarray, to_planes: np.ndarray, voxel: float) -> np.ndarray:
    """Signed distances over how uncertain they are, given the distance to the nearest plane, all mm."""
    ratio = signed / (voxel + UNCERTAINTY * to_planes)
    return np.clip(ratio, -LARGEST_RATIO_OF_DISTANCE, LARGEST_RATIO_OF_DISTANCE)


def scaled(image: Volume) -> list[np.ndarray]:
    """(K, J, I) float32 image at each of `SCALES`."""
    sides = image.grid.spacing_kji / image.spacing.min()
    values = image.array.astype(np.float32, copy=False)
    return [ndimage.gaussian_filter(values, scale / sides, truncate=2.5) for scale in SCALES]


def learn(
    sections: Sequence[SegmentSection],
    images: Sequence[np.ndarray],
    extent: float,
    voxel: float,
    interpolated: Callable[[list[SegmentSection]], Callable[[np.ndarray], np.ndarray]],
    rng: np.random.Generator,
) -> Evidence:
    """Learn the weights by leaving out planes.

    Parameters
    ----------
    sections
        The segment on each plane.
    images
        As `scaled` gives them.
    extent, voxel
        Length of the segment and shortest side of a voxel, mm.
    interpolated
        Gives the signed distance, a function of (N, 3) RAS points, of some of the sections.
    rng
        Chooses pixels.
    """
    pixels = [Pixels.of(section, images, extent) for section in sections]
    every = Pixels.together(pixels)
    inner = np.arange(1, _BINS) / _BINS
    edges = [np.unique(np.quantile(every.values[:, scale], inner)) for scale in range(len(images))]
    prior = np.array(PRIOR)
    groups = [list(range(len(sections)))[start::FOLDS] for start in range(min(FOLDS, len(sections)))]
    rows, truth = [], []
    for group in groups:
        kept = [section for number, section in enumerate(sections) if number not in group]
        left_out = [pixels[number].some(_PER_PLANE, rng) for number in group]
        if not any(section.inside.any() for section in kept) or not any(len(one.inside) for one in left_out):
            continue
        asked = Pixels.together(left_out)
        learnt = Pixels.together([one for number, one in enumerate(pixels) if number not in group])
        intensities = Intensities.of(learnt, edges)
        to_planes = np.min([section.section.plane.distance(asked.points) for section in kept], axis=0)
        ratio = over_uncertainty(interpolated(kept)(asked.points), to_planes, voxel)
        found = [intensities.at(scale, asked.values[:, scale]) for scale in range(len(images))]
        rows.append(np.stack([np.ones_like(ratio), ratio, *found], axis=1))
        truth.append(asked.inside)
    weights = _fitted(np.concatenate(rows), np.concatenate(truth), prior) if rows else prior
    return Evidence(weights, Intensities.of(every, edges), bool(rows))


def _fitted(rows: np.ndarray, truth: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Weights of a logistic regression that are drawn to their prior."""
    sign = np.where(truth, 1.0, -1.0)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (rows @ weights)
        away = weights - prior
        slope = -sign * (1 / (1 + np.exp(np.clip(margin, -50, 50))))
        value = np.logaddexp(0, -margin).sum() + _STRENGTH / 2 * (away @ away)
        return float(value), rows.T @ slope + _STRENGTH * away

    bounds = [(None, None), (_LEAST_SHAPE, None)] + [(None, None)] * (len(prior) - 2)
    return optimize.minimize(loss, prior, jac=True, method="L-BFGS-B", bounds=bounds).x
