"""From a stroke to the attention around it (paper section 2.2), in millimetres."""

from __future__ import annotations

import math

import numpy as np

# A voxel's attention exceeds 0.5 within sqrt(2 ln 2) sigmas of the stroke; that distance is the influence radius,
# because it is where the optimum of the editing loss stops following the truth and keeps the old segmentation.
RADIUS_PER_SIGMA = math.sqrt(2.0 * math.log(2.0))

_PAIRS_AT_ONCE = 1 << 22
"""Products of points and stroke points, 4 bytes each, that are looked at together."""


def densify(stroke: np.ndarray, step: float) -> np.ndarray:
    """Points along a polyline, at most `step` apart.

    Parameters
    ----------
    stroke
        (N, 3) points, N >= 1, in any unit.
    step
        Greatest distance between neighbours in the result, same unit.

    Returns
    -------
    ndarray
        (M, 3) float64; every given point is kept.
    """
    stroke = np.asarray(stroke, dtype=np.float64)
    pieces = [stroke[:1]]
    for start, stop in zip(stroke[:-1], stroke[1:], strict=True):
        count = max(1, math.ceil(np.linalg.norm(stop - start) / step))
        pieces.append(start + (stop - start) * (np.arange(1, count + 1) / count)[:, None])
    return np.concatenate(pieces)


def nearest_on_stroke(points: np.ndarray, stroke: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance to the nearest stroke point and which one it is.

    Parameters
    ----------
    points
        (M, 3) positions.
    stroke
        (N, 3) stroke points (see `densify`), same unit and frame.

    Returns
    -------
    distance, index
        (M,) float32 distances and (M,) indices into `stroke`.
    """
    # Relative to the stroke's centre, so that float32 holds also where the scanner's origin is far away.
    centre = stroke.mean(axis=0)
    targets = (stroke - centre).astype(np.float32)
    half_norms = 0.5 * (targets**2).sum(axis=1)
    distance = np.empty(len(points), dtype=np.float32)
    index = np.empty(len(points), dtype=np.intp)
    rows = max(1, _PAIRS_AT_ONCE // len(targets))
    for start in range(0, len(points), rows):
        part = (points[start : start + rows] - centre).astype(np.float32)
        # argmin |p - q|^2 = argmin |q|^2/2 - p.q : one matrix product instead of all the differences
        nearest = (half_norms - part @ targets.T).argmin(axis=1)
        index[start : start + rows] = nearest
        distance[start : start + rows] = np.sqrt(((part - targets[nearest]) ** 2).sum(axis=1))
    return distance, index


def attention(distance: np.ndarray, sigma: float) -> np.ndarray:
    """A = exp(-d^2 / 2 sigma^2): 1 on the stroke, 0.5 at the influence radius.

    The maximum of a Gaussian per stroke point, not their sum: with a normalised sum the ends of a long stroke
    would be half ignored. The paper's u is the same map.
    """
    return np.exp(-0.5 * np.square(distance / np.float32(sigma), dtype=np.float32))
