"""A search over all rotations and nearby places at once: which pose makes the reference's structure look like it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from ..core.volume import Grid
from .inputs import Surroundings
from .reference import Reference, distance_to_structure
from .similarity import visibility
from .working_grid import cube_around

SHIFT = 0.55
"""Distance from the place where the structure is looked for, in diameters."""
ROTATIONS = 2000
"""Rotations of the search: neighbours are some 15 degrees apart."""

_STEP = 1 / 14
"""Between the points of a pattern, in diameters of the structure."""
_NEAR = 0.12
"""Distance from the structure within which voxels count, in diameters. Farther surroundings differ between
individuals, and they are most of a ball around the structure."""
_COARSE_STEP, _COARSE_NEAR = 1 / 10, 0.15
_SMOOTHING, _COARSE_SMOOTHING = 0.7, 0.4
_CLASSES = 4
_LEAST_VARIANCE = 1e-3
_APART_DEG = 25.0


@dataclass(frozen=True)
class Sampled:
    """The sampling of an image for a comparison: the voxel's size in mm, and the smoothing in voxels."""

    step_mm: float
    sigma: float

    def cube(self, image: Surroundings, centre: np.ndarray, reach: int) -> tuple[np.ndarray, Grid]:
        """(K, J, I) values on a cube of 2 * reach + 1 voxels around a RAS point, and its grid; NaN: was not seen."""
        grid = cube_around(centre, 2 * reach + 1, self.step_mm)
        values = image.seen_on(grid)
        seen = np.isfinite(values)
        smooth = ndimage.gaussian_filter(np.where(seen, values, 0), self.sigma)
        if not seen.all():
            weight = ndimage.gaussian_filter(seen.astype(np.float32), self.sigma)
            smooth = np.where(seen, smooth / np.maximum(weight, 1e-3), np.nan)
        return smooth, grid


@dataclass(frozen=True)
class Pattern:
    """Points in and close to the structure.

    Attributes
    ----------
    centre
        RAS in the reference, mm: the structure's own.
    points
        (N, 3) RAS relative to the centre, mm.
    values
        (N,) of the reference, in units of its surroundings.
    reach
        Voxels from the centre to the farthest point.
    sampled
        Sampling of the reference; a target is to be read in the same way.
    """

    centre: np.ndarray
    points: np.ndarray
    values: np.ndarray
    reach: int
    sampled: Sampled

    @staticmethod
    def of(reference: Reference, seen: Surroundings, diameter_mm: float) -> Pattern:
        """The pattern of a reference for the comparison of poses."""
        sampled = Sampled(_STEP * diameter_mm, _SMOOTHING)
        values, near, reach = _around(reference, seen, diameter_mm, sampled, _NEAR)
        points = (np.argwhere(near)[:, ::-1] - (near.shape[0] - 1) / 2) * sampled.step_mm
        return Pattern(reference.centre, points, values[near], reach, sampled)


@dataclass(frozen=True)
class TurnedPatterns:
    """A pattern under many rotations, all on one set of voxels, so that a matrix product compares them all.

    Attributes
    ----------
    rotations
        (rotations, 3, 3), RAS.
    offsets
        (N, 3) voxels K, J, I relative to the centre.
    reach
        The largest of them.
    weights
        (classes, rotations, N) how much a voxel belongs to a class of the reference's intensities; their sum is 1 for
        each rotation, and voxels that do not count have none.
    values
        (rotations, N) what is multiplied with a target's values: weighted, without mean, of unit weighted variance.
    centre, sampled
        Centre and sampling, see `Pattern`.
    """

    rotations: np.ndarray
    offsets: np.ndarray
    reach: int
    weights: np.ndarray
    values: np.ndarray
    centre: np.ndarray
    sampled: Sampled

    @staticmethod
    def of(reference: Reference, seen: Surroundings, diameter_mm: float, count: int = ROTATIONS) -> TurnedPatterns:
        """The structure of a reference under the rotations of `rotation_grid`."""
        sampled = Sampled(_COARSE_STEP * diameter_mm, _COARSE_SMOOTHING)
        values, near, reach = _around(reference, seen, diameter_mm, sampled, _COARSE_NEAR)
        axis = np.arange(-reach, reach + 1)
        offsets = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
        offsets = offsets[np.linalg.norm(offsets, axis=1) <= reach]
        rotations = rotation_grid(count)
        limits = np.quantile(values[near], np.linspace(0, 1, _CLASSES + 1)[1:-1])
        classes = np.searchsorted(limits, values)
        layers = [(near & (classes == one)).astype(np.float32) for one in range(_CLASSES)]
        weights = np.empty((_CLASSES, len(rotations), len(offsets)), np.float32)
        turned = np.empty((len(rotations), len(offsets)), np.float32)
        middle = (near.shape[0] - 1) / 2
        for number, rotation in enumerate(rotations):
            place = (offsets[:, ::-1] @ rotation)[:, ::-1].T + middle  # from the target's axes to the reference's
            turned[number] = ndimage.map_coordinates(values, place, order=1, mode="nearest")
            for layer, out in zip(layers, weights, strict=True):
                out[number] = ndimage.map_coordinates(layer, place, order=1)
        total = weights.sum(axis=0)
        weights /= total.sum(axis=1)[:, None]
        total /= total.sum(axis=1, keepdims=True)
        turned -= (total * turned).sum(axis=1, keepdims=True)
        turned /= np.maximum(np.sqrt((total * turned**2).sum(axis=1, keepdims=True)), 1e-6)
        return TurnedPatterns(rotations, offsets, reach, weights, total * turned, reference.centre, sampled)

    @cached_property
    def all_weights(self) -> np.ndarray:
        """(rotations, N) weights of all classes together."""
        return self.weights.sum(axis=0)

    @cached_property
    def squares(self) -> np.ndarray:
        """(rotations, N) weighted squares of the pattern's values, whose sum is 1 for each rotation."""
        return self.values**2 / np.maximum(self.all_weights, 1e-12)


def rotation_grid(count: int) -> np.ndarray:
    """(count + 1, 3, 3) the identity, then rotations spread evenly over all of them.

    The super-Fibonacci spiral of Alexa (CVPR 2022).
    """
    phi, psi = np.sqrt(2.0), 1.533751168755204288118041
    share = (np.arange(count) + 0.5) / count
    angle, other = 2 * np.pi * (np.arange(count) + 0.5) / phi, 2 * np.pi * (np.arange(count) + 0.5) / psi
    low, high = np.sqrt(share), np.sqrt(1 - share)
    quaternions = [low * np.sin(angle), low * np.cos(angle), high * np.sin(other), high * np.cos(other)]
    return np.concatenate([np.eye(3)[None], Rotation.from_quat(np.stack(quaternions, axis=-1)).as_matrix()])


def angle_between(first: np.ndarray, second: np.ndarray) -> float:
    """Angle of the rotation from one rotation to another, degrees."""
    return float(np.degrees(np.arccos(np.clip((np.trace(first.T @ second) - 1) / 2, -1, 1))))


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
        The reference's structure under all rotations.
    target
        The image.
    centre
        RAS, mm; the structure's centre is looked for within `SHIFT` diameters of it.
    diameter_mm
        Length of the structure.
    count
        Number of poses, any two of them some 25 degrees apart.
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
    scores = _of_what_is_seen(patterns, seen, classes) if np.isnan(seen).any() else _of_all(patterns, seen, classes)
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


def _of_all(patterns: TurnedPatterns, seen: np.ndarray, classes: bool) -> np.ndarray:
    """(rotations, shifts) the correlation; with `classes` that with inverted intensities, or where it is better the
    root of the correlation ratio."""
    mean = patterns.all_weights @ seen
    variance = np.maximum(patterns.all_weights @ seen**2 - mean**2, _LEAST_VARIANCE)
    correlation = patterns.values @ seen / np.sqrt(variance)
    if not classes:
        return correlation
    between = np.zeros_like(mean)
    for weights in patterns.weights:
        share = weights.sum(axis=1, keepdims=True)
        between += (weights @ seen - share * mean) ** 2 / np.maximum(share, 1e-6)
    return np.maximum(-correlation, np.sqrt(np.clip(between / variance, 0, 1)))


def _of_what_is_seen(patterns: TurnedPatterns, values: np.ndarray, classes: bool) -> np.ndarray:
    """The values of `_of_all` where some of the target's values are NaN: means and variances of both are those of the
    rest, and poses of which less is seen score less."""
    known = np.isfinite(values).astype(np.float32)
    seen = np.nan_to_num(values, nan=0.0)
    share = patterns.all_weights @ known
    total = np.maximum(share, 1e-3)
    mean = patterns.all_weights @ seen / total
    variance = np.maximum(patterns.all_weights @ seen**2 / total - mean**2, _LEAST_VARIANCE)
    own_mean = patterns.values @ known / total
    own_variance = np.maximum(patterns.squares @ known / total - own_mean**2, _LEAST_VARIANCE)
    correlation = (patterns.values @ seen / total - own_mean * mean) / np.sqrt(variance * own_variance)
    if classes:
        between = np.zeros_like(mean)
        for weights in patterns.weights:
            part = weights @ known
            between += (weights @ seen - part * mean) ** 2 / np.maximum(part, 1e-6)
        correlation = np.maximum(-correlation, np.sqrt(np.clip(between / total / variance, 0, 1)))
    return correlation * visibility(share)


def _around(
    reference: Reference, seen: Surroundings, diameter_mm: float, sampled: Sampled, near: float
) -> tuple[np.ndarray, np.ndarray, int]:
    """Values on a cube around the structure, which of them count, and how many voxels those reach from the centre."""
    reach = int(np.ceil((0.5 + 1.5 * near) * reference.diameter_mm / sampled.step_mm))
    values, grid = sampled.cube(seen, reference.centre, reach + 1)
    counts = (distance_to_structure(reference, grid) <= near * diameter_mm) & np.isfinite(values)
    return np.nan_to_num(values, nan=0.0), counts, reach
