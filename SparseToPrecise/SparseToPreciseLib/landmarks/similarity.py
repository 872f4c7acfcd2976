"""Similarity of two sets of intensities, in one modality or in two; what was not seen (NaN) counts for neither."""

from __future__ import annotations

import numpy as np

from ..core.volume import Volume

_BINS = 24
_OTHER_MODALITY = 0.85
"""A relation between intensities that is not their equality counts less: it also holds by chance more often."""
_LOCAL = 0.2
"""Radius of the neighbourhood of a landmark that is compared, in diameters of the structure."""
_LEAST_LOCAL = 27
_LEAST_SEEN = 0.3
"""Share of a structure that must be seen."""


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Normalised cross-correlation of two arrays of values, -1..1; 0 when one is constant or nothing was seen."""
    a, b = _both_seen(first, second)
    if not len(a):
        return 0.0
    a, b = a - a.mean(), b - b.mean()
    norm = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / norm) if norm > 1e-12 else 0.0


def dependence(first: np.ndarray, second: np.ndarray) -> float:
    """Root of the correlation ratio, 0..1: how well the first set's intensities foretell the second's."""
    a, b = _both_seen(first, second)
    if len(a) <= 2 * _BINS:
        return 0.0
    spread = b.var()
    if spread < 1e-12:
        return 0.0
    starts = np.linspace(0, len(a), _BINS, endpoint=False).astype(int)
    sums = np.add.reduceat(b[np.argsort(a, kind="stable")] - b.mean(), starts)
    within = spread - (sums**2 / np.diff([*starts, len(a)])).sum() / len(a)
    # By chance, as many means as bins explain this much.
    explained = 1 - within / spread * (len(b) - 1) / (len(b) - _BINS)
    return float(np.sqrt(max(explained, 0.0)))


def similarity(first: np.ndarray, second: np.ndarray) -> float:
    """The correlation, or where it is better a discounted dependence: -1..1."""
    return max(correlation(first, second), _OTHER_MODALITY * dependence(first, second))


def visible_similarity(first: np.ndarray, second: np.ndarray) -> float:
    """The similarity by which poses compete: less where less of the structure was seen."""
    return similarity(first, second) * float(visibility(np.isfinite(first + second).mean()))


def visibility(share: np.ndarray) -> np.ndarray:
    """Factors 0..1 for shares of a structure that were seen: a part resembles something by chance more often."""
    return np.where(share < _LEAST_SEEN, 0.0, np.power(np.clip(share, 0, 1), 0.25))


def local_similarity(fixed: Volume, other: np.ndarray, point: np.ndarray, diameter_mm: float) -> float:
    """The similarity of two patches on one grid in a ball around a RAS point; 0 where hardly anything was seen."""
    near = fixed.grid.slices_around(point, _LOCAL * diameter_mm)
    if any(part.start >= part.stop for part in near):
        return 0.0
    part = fixed.cropped(near)
    inside = np.linalg.norm(part.grid.points_ras() - point, axis=-1) <= _LOCAL * diameter_mm
    inside &= np.isfinite(part.array + other[near])
    if inside.sum() < _LEAST_LOCAL:
        return 0.0
    return similarity(part.array[inside], other[near][inside])


def _both_seen(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flat float64 values at the places that both have."""
    a, b = (np.asarray(values, dtype=np.float64).ravel() for values in (first, second))
    if len(a) and np.isfinite(a @ b):
        return a, b
    seen = np.isfinite(a) & np.isfinite(b)
    return a[seen], b[seen]
