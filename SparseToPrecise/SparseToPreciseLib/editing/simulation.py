"""Simulated segmentation errors, for training and for the benchmarks.

Two kinds are kept apart. *Geometric* errors ignore the image and so contradict it: dents, bulges, a missing branch, a
leak, an island, a shifted, too smooth or too rough boundary. *Ambiguous* errors sit where the image does not show the
boundary, as the errors of a real segmenter do. All arrays are (K, J, I) with isotropic voxels, all lengths voxels; an
error's size is relative to the influence radius, so that one stroke can cover most of it: a depth of 0.2 to 0.9 radii.

The kinds are in `simulated_errors`. The simulated user is in `simulated_user`; its functions are also available here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from ..core.errors import InputError
from .simulated_errors import AMBIGUOUS, GEOMETRIC, Site
from .simulated_user import StrokeSample, draw_stroke, influence_radius_for

__all__ = [
    "AMBIGUOUS_KINDS",
    "GEOMETRIC_KINDS",
    "StrokeSample",
    "corrupt",
    "draw_stroke",
    "influence_radius_for",
]

GEOMETRIC_KINDS: tuple[str, ...] = tuple(GEOMETRIC)
AMBIGUOUS_KINDS: tuple[str, ...] = tuple(AMBIGUOUS)
_MAKERS = GEOMETRIC | AMBIGUOUS

_ATTEMPTS = 30
# an error below this volume (in cubed radii, and in voxels) is not worth a stroke
_SMALLEST_ERROR, _FEWEST_VOXELS = 0.03, 12
_KEPT_SHARE = 0.3
_FEWEST_SITES = 20
_SITES_COMPARED = 60


def _boundary_points(mask: np.ndarray) -> np.ndarray:
    """Inner boundary voxels (N, 3); where the array's edge cuts the object there is no boundary."""
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    box = tuple(slice(max(0, s.start - 1), s.stop + 1) for s in box)
    part = mask[box]
    edge = part & ~ndimage.binary_erosion(part, border_value=1)
    return np.argwhere(edge) + [s.start for s in box]


def _around(shape: tuple[int, ...], point: np.ndarray, reach: float) -> tuple[slice, ...]:
    return tuple(slice(max(0, int(c - reach)), min(n, int(c + reach) + 1)) for c, n in zip(point, shape, strict=True))


def _low_contrast(
    truth: np.ndarray, image: np.ndarray, points: np.ndarray, radius: float, rng: np.random.Generator
) -> np.ndarray:
    """Of a sample of boundary points (N, 3), those around which object and surroundings look most alike."""
    sample = points[rng.choice(len(points), min(_SITES_COMPARED, len(points)), replace=False)]
    contrast = []
    for point in sample:
        box = _around(truth.shape, point, max(2.0, 0.6 * radius))
        inside, values = truth[box], image[box]
        if inside.all():
            contrast.append(np.inf)
            continue
        a, b = values[inside], values[~inside]
        contrast.append(abs(a.mean() - b.mean()) / (a.std() + b.std() + 1e-6))
    return sample[np.argsort(contrast)[: max(1, len(sample) // 20)]]


def corrupt(
    truth: np.ndarray,
    rng: np.random.Generator,
    radius_voxels: float,
    image: np.ndarray | None = None,
    kinds: Sequence[str] | None = None,
    centre: Sequence[float] | None = None,
) -> tuple[np.ndarray, str]:
    """Spoil a segmentation with one to three local errors.

    Parameters
    ----------
    truth : (K, J, I) bool, isotropic voxels
    rng : numpy.random.Generator
    radius_voxels : float
        Influence radius in voxels, the scale of the errors.
    image : (K, J, I), optional
        Needed by the ambiguous kinds.
    kinds : sequence of str, optional
        Choose from these, e.g. `GEOMETRIC_KINDS` or `AMBIGUOUS_KINDS`; by default from all that the input allows, half
        of them ambiguous.
    centre : 3 numbers, optional
        Voxel (K, J, I) near which (within about one radius) the errors should lie; anywhere on the boundary by default.

    Returns
    -------
    corrupted, kind : (K, J, I) bool and the kinds joined by "+", in the order in which they were applied

    Raises
    ------
    InputError
        The truth is empty or fills the array, a kind is unknown or needs an image, or no error can be made.
    """
    truth = np.asarray(truth, bool)
    if truth.ndim != 3 or not truth.any() or truth.all():
        raise InputError(f"A mask with {truth.sum()} of {truth.size} voxels has no boundary; give a 3D object.")
    if not radius_voxels > 0:
        raise InputError(f"An influence radius of {radius_voxels} voxels is not positive; give a positive number.")
    unknown = [kind for kind in kinds or () if kind not in _MAKERS]
    if unknown:
        raise InputError(f"There is no kind of error {unknown[0]!r}; choose from {', '.join(_MAKERS)}.")
    if image is None and any(kind in AMBIGUOUS for kind in kinds or ()):
        raise InputError(f"The kinds {', '.join(AMBIGUOUS)} need an image; pass one or choose other kinds.")
    points = _boundary_points(truth)
    if centre is not None:
        distance = np.linalg.norm(points - np.asarray(centre, float), axis=1)
        points = points[distance <= max(radius_voxels, np.sort(distance)[:_FEWEST_SITES][-1])]

    wanted = 1 + int(rng.random() < 0.35) + int(rng.random() < 0.12)
    current, done = truth, []
    for _ in range(_ATTEMPTS):
        group = kinds or (AMBIGUOUS_KINDS if image is not None and rng.random() < 0.5 else GEOMETRIC_KINDS)
        kind = str(rng.choice(list(group)))
        changed = _apply(kind, truth, current, points, radius_voxels, image, rng)
        error = np.count_nonzero(changed ^ current)
        kept = np.count_nonzero(changed & truth) >= _KEPT_SHARE * np.count_nonzero(truth)
        if kept and error >= max(_FEWEST_VOXELS, _SMALLEST_ERROR * radius_voxels**3) and (changed ^ truth).any():
            current = changed
            done.append(kind)
            if len(done) == wanted:
                break
    if not done:
        raise InputError(
            f"No error of a size of {radius_voxels} voxels fits an object of {truth.sum()} voxels; "
            "choose another radius or other kinds."
        )
    return current, "+".join(done)


def _apply(
    kind: str,
    truth: np.ndarray,
    current: np.ndarray,
    points: np.ndarray,
    radius: float,
    image: np.ndarray | None,
    rng: np.random.Generator,
) -> np.ndarray:
    """One error of one kind at one place, computed on a crop around it."""
    if kind in AMBIGUOUS:
        points = _low_contrast(truth, image, points, radius, rng)
    point = points[rng.integers(len(points))]
    box = _around(truth.shape, point, 3 * radius + 2)
    mask = current[box]
    if not mask.any() or mask.all():
        return current
    start = np.array([s.start for s in box])
    rel = np.indices(mask.shape, dtype=np.float32) - (point - start).astype(np.float32)[:, None, None, None]
    part = None if image is None else np.asarray(image[box], np.float32)
    site = Site(mask, rel, part, radius, rng)
    changed = current.copy()
    changed[box] = _MAKERS[kind](site)
    return changed
