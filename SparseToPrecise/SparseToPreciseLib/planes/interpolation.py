"""Between planes: a signed distance in 3D that takes on what is known on every plane.

The variational implicit surface of Turk and O'Brien (1999): a radial function of the kernel -r, a biharmonic spline in
3D, through some samples of the planes. What it misses of the planes themselves, since samples are few, is added near
each of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import linalg, ndimage

from .section import SegmentSection

SAMPLES = 480
"""At most so many, on all planes together."""
NEAR = 0.5
"""Samples are denser near the boundary: within this share of the segment's extent."""
_BACKGROUND_SHARE = 0.02
_SMOOTHING = 1e-4
_REACH = 0.15
"""Standard deviation of the distance over which what is added near a plane fades, in extents of the segment."""
_CORRECTED_WITHIN = 0.6
"""Extents of the segment from its boundary, on the plane."""
_MOST_CORRECTED = 12000
"""Pixels of all planes together; of more, every second, third, ... is taken."""
_AT_ONCE = 1 << 14


class ShapeInterpolant:
    """A signed distance to a segment's boundary, mm, positive inside, at any RAS point.

    Parameters
    ----------
    sections
        The segment on each plane.
    extent
        About how long the segment is, mm: distances beyond it say no more, and the scale of all that is near.
    outside
        (N, 3) RAS points that are supposed to lie outside; where the segment ends is seldom on a plane.
    exact
        Add what is missed on the planes; without it the function is smoother and twice as fast.
    seed
        Of the samples.

    Attributes
    ----------
    extent
        As given.
    """

    def __init__(
        self,
        sections: Sequence[SegmentSection],
        extent: float,
        outside: np.ndarray,
        *,
        exact: bool = True,
        seed: int = 0,
    ) -> None:
        self.extent = extent
        self._sections = sections
        points, values = self._samples(np.random.default_rng(seed))
        if len(outside):
            known = np.zeros(len(outside), bool)
            points = np.concatenate([points, outside])
            values = np.concatenate([values, self._signed(outside, known)])
        # Relative to the points, so that micrometres and a far origin make no difference.
        self._centre = points.mean(axis=0)
        self._points = (points - self._centre) / extent
        count = len(points)
        matrix = np.zeros((count + 1, count + 1))
        matrix[:count, :count] = _kernel(self._points, self._points) - _SMOOTHING * np.eye(count)
        matrix[count, :count] = matrix[:count, count] = 1
        self._weights = linalg.solve(matrix, np.append(values / extent, 0), assume_a="sym", check_finite=False)
        self._stride, self._missed = 1, []
        if exact:
            near = [self._near(section) for section in sections]
            self._stride = max(1, math.ceil(math.sqrt(sum(map(np.count_nonzero, near)) / _MOST_CORRECTED)))
            self._missed = [self._missed_on(*pair) for pair in zip(sections, near, strict=True)]

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """(N,) signed distances at (N, 3) RAS points, mm."""
        values = self.smooth(points)
        if self._missed:
            values = values + self.correction(points)
        return values

    def smooth(self, points: np.ndarray) -> np.ndarray:
        """(N,) the radial function alone."""
        values = np.empty(len(points))
        for start in range(0, len(points), _AT_ONCE):
            part = (points[start : start + _AT_ONCE] - self._centre) / self.extent
            values[start : start + _AT_ONCE] = _kernel(part, self._points) @ self._weights[:-1] + self._weights[-1]
        return values * self.extent

    def correction(self, points: np.ndarray) -> np.ndarray:
        """(N,) what is added near the planes, mm."""
        total, weights = np.zeros(len(points)), np.full(len(points), 1e-30)
        for section, missed in zip(self._sections, self._missed, strict=True):
            distance = section.section.plane.distance(points)
            weight = (section.section.step / (distance + 1e-3 * section.section.step)) ** 2
            weights += weight
            near = np.flatnonzero(distance < 3 * _REACH * self.extent)
            if len(near):
                pixel = section.section.pixel_of(points[near]).T / self._stride
                fading = np.exp(-0.5 * (distance[near] / (_REACH * self.extent)) ** 2)
                added = ndimage.map_coordinates(missed, pixel, order=1, mode="nearest")
                total[near] += weight[near] * fading * added
        return total / weights

    def _samples(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        points, inside = [], []
        each = max(SAMPLES // len(self._sections), 1)
        for section in self._sections:
            weight = np.exp(-np.abs(section.signed) / (NEAR * self.extent)) + _BACKGROUND_SHARE
            weight = (weight * section.section.known).ravel()
            count = min(each, np.count_nonzero(weight))
            chosen = np.zeros(weight.shape, bool)
            chosen[rng.choice(len(weight), count, replace=False, p=weight / weight.sum())] = True
            chosen = chosen.reshape(section.inside.shape)
            points.append(section.section.points(chosen))
            inside.append(section.inside[chosen])
        points, inside = np.concatenate(points), np.concatenate(inside)
        return points, self._signed(points, inside)

    def _signed(self, points: np.ndarray, inside: np.ndarray) -> np.ndarray:
        """(N,) signed distance of points whose side is known to the nearest place, on any plane, of the other side."""
        nearest = np.full(len(points), self.extent)
        for section in self._sections:
            half = section.section.step / 2
            nearest = np.minimum(nearest, np.maximum(section.to_other_side(points, inside) - half, half / 10))
        return np.where(inside, nearest, -nearest)

    def _near(self, section: SegmentSection) -> np.ndarray:
        return section.section.known & (np.abs(section.signed) < _CORRECTED_WITHIN * self.extent)

    def _missed_on(self, section: SegmentSection, near: np.ndarray) -> np.ndarray:
        """Lack of the radial function at every so many pixels of a plane near the segment's boundary, mm."""
        on_stride = np.zeros(near.shape, bool)
        on_stride[:: self._stride, :: self._stride] = near[:: self._stride, :: self._stride]
        missed = np.zeros(near.shape)
        if on_stride.any():
            points = section.section.points(on_stride)
            missed[on_stride] = self._signed(points, section.inside[on_stride]) - self.smooth(points)
        return missed[:: self._stride, :: self._stride]


def _kernel(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N, M) distances; with a constant, and for weights that sum to 0, their negative is positive definite."""
    square = (points**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * points @ others.T
    return np.sqrt(np.maximum(square, 0))
