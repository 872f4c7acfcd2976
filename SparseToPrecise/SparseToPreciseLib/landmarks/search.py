"""A search over all rotations and nearby places at once: which pose makes the reference's structure look like it."""

from __future__ import annotations

import numpy as np

from .pattern import TurnedPatterns
from .rotations import angle_between
from .working_grid import Surroundings

SHIFT = 0.55
"""Of the structure from the place where it is looked for, in diameters."""

_LEAST_VARIANCE = 1e-3
_APART_DEG = 25.0


def search(
    patterns: TurnedPatterns,
    target: Surroundings,
    centre: np.ndarray,
    diameter_mm: float,
    count: int,
    *,
    classes: bool = False,
) -> list[tuple[float, np.ndarray, np.ndarray]]:
    """The likeliest poses around a place, best first.

    Parameters
    ----------
    patterns
        Of the reference.
    target
        The image.
    centre
        RAS, mm; the structure's centre is looked for within `SHIFT` diameters of it.
    diameter_mm
        Of the structure.
    count
        How many poses, any two of them some 25 degrees apart.
    classes
        Whether the target is taken to have another contrast: then inverted intensities count, and how well the
        reference's classes of intensity foretell the target's intensities (the correlation ratio).

    Returns
    -------
    list of (score, rotation, centre)
        Scores up to 1, 3x3 rotations, and where the structure's centre comes to lie (RAS, mm).

    Notes
    -----
    Every rotation of the pattern is compared with the target's values under every shift by matrix products, which
    takes tenths of a second where the evaluation one by one takes a minute.
    """
    step = patterns.sampled.step_mm
    far = int(np.ceil(SHIFT * diameter_mm / step))
    values, grid = patterns.sampled.cube(target, centre, patterns.reach + far)
    side = values.shape[0]
    axis = np.arange(-far, far + 1)
    shifts = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    shifts = shifts[np.linalg.norm(shifts, axis=1) * step <= SHIFT * diameter_mm]
    strides = np.array([side * side, side, 1])
    index = ((patterns.offsets + patterns.reach + far) @ strides)[:, None] + (shifts @ strides)[None]
    seen = values.ravel()[index]
    if classes:
        scores = _by_classes(patterns, seen)
    else:
        mean = patterns.all_weights @ seen
        variance = patterns.all_weights @ seen**2 - mean**2
        scores = patterns.values @ seen / np.sqrt(np.maximum(variance, _LEAST_VARIANCE))
    best = scores.argmax(axis=1)
    reached = scores[np.arange(len(best)), best]
    found: list[tuple[float, np.ndarray, np.ndarray]] = []
    for number in np.argsort(-reached, kind="stable"):
        rotation = patterns.rotations[number]
        if all(angle_between(rotation, other) > _APART_DEG for _, other, _ in found):
            where = grid.to_ras(shifts[best[number]][::-1] + patterns.reach + far)
            found.append((float(reached[number]), rotation, where))
        if len(found) == count:
            break
    return found


def _by_classes(patterns: TurnedPatterns, seen: np.ndarray) -> np.ndarray:
    """(rotations, shifts) the correlation with inverted intensities, or where it is better the root of the correlation
    ratio."""
    mean = patterns.all_weights @ seen
    variance = np.maximum(patterns.all_weights @ seen**2 - mean**2, _LEAST_VARIANCE)
    between = np.zeros_like(mean)
    for weights in patterns.weights:
        share = weights.sum(axis=1, keepdims=True)
        between += (weights @ seen - share * mean) ** 2 / np.maximum(share, 1e-6)
    inverted = -(patterns.values @ seen) / np.sqrt(variance)
    return np.maximum(inverted, np.sqrt(np.clip(between / variance, 0, 1)))
