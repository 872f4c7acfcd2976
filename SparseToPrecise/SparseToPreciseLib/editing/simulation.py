"""Simulated segmentation errors, for training and for the benchmarks.

Two kinds are kept apart. *Geometric* errors ignore the image and so contradict it: dents, bulges, a missing branch, a
leak, an island, a shifted, too smooth or too rough boundary. *Ambiguous* errors sit where the image does not show the
boundary, as the errors of a real segmenter do. All arrays are (K, J, I) with isotropic voxels, all lengths voxels; an
error's size is relative to the influence radius, so that one stroke can cover most of it: a depth of 0.2 to 0.9 radii.

A kind is a function of a `Site` that returns the spoilt mask on the site's crop; `corrupt` chooses and combines them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from ..core.errors import InputError
from .working_grid import signed_distance

_ATTEMPTS = 30
# an error below this volume (in cubed radii, and in voxels) is not worth a stroke
_SMALLEST_ERROR, _FEWEST_VOXELS = 0.03, 12
_KEPT_SHARE = 0.3
_FEWEST_SITES = 20
_SITES_COMPARED = 60


@dataclass
class Site:
    """The neighbourhood of one boundary point, on a crop: the mask, where voxels lie, the image."""

    mask: np.ndarray
    rel: np.ndarray
    image: np.ndarray | None
    radius: float
    rng: np.random.Generator

    @cached_property
    def phi(self) -> np.ndarray:
        """Signed distance to the boundary, positive inside."""
        return signed_distance(self.mask, np.ones(3))

    @cached_property
    def away(self) -> np.ndarray:
        return np.sqrt((self.rel * self.rel).sum(0))

    def outward(self) -> np.ndarray:
        """Unit vector out of the object at the site."""
        weight = np.exp(-0.5 * (self.away / max(1.5, 0.25 * self.radius)) ** 2)
        inward = (weight * (self.mask - 0.5) * self.rel).sum((1, 2, 3))
        return -inward / (np.linalg.norm(inward) + 1e-9)

    def noise(self, period: float) -> np.ndarray:
        """Smooth random field of standard deviation near 1."""
        field = self.rng.standard_normal([max(2, round(n / max(period, 1.0)) + 1) for n in self.mask.shape])
        for axis, size in enumerate(self.mask.shape):
            # linear interpolation as a matrix for each axis, several times faster than ndimage.zoom
            knots = field.shape[axis]
            where = np.linspace(0, knots - 1, size)
            hat = np.clip(1 - np.abs(where[:, None] - np.arange(knots)), 0, None)
            field = np.moveaxis(np.tensordot(hat, field, (1, axis)), 0, axis)
        return (1.7 * field).astype(np.float32)  # interpolation shrinks the standard deviation to about 0.6

    def bump(self, width: float) -> np.ndarray:
        """Smooth irregular bump with value 1 at the site and a half width of about `width`."""
        axes = np.linalg.qr(self.rng.standard_normal((3, 3)))[0] / (width / 1.18 * np.exp(self.rng.normal(0, 0.2, 3)))
        q = np.tensordot(axes.T.astype(np.float32), self.rel, 1)
        return np.exp(-0.5 * (q * q).sum(0)) * np.clip(1 + 0.3 * self.noise(0.6 * width), 0.3, 1.6)

    def depth(self, low: float = 0.2, high: float = 0.9) -> float:
        return max(1.2, self.rng.uniform(low, high) * self.radius)

    def width(self) -> float:
        return self.rng.uniform(0.4, 1.0) * self.radius


def _dent(site: Site) -> np.ndarray:
    return site.phi - site.depth() * site.bump(site.width()) > 0


def _bulge(site: Site) -> np.ndarray:
    return site.phi + site.depth() * site.bump(site.width()) > 0


def _missing(site: Site) -> np.ndarray:
    """Cut off the end of a branch, or the cap of a thick part."""
    local = site.rel[:, site.mask & (site.away < 1.2 * site.radius)]
    values, vectors = np.linalg.eigh(np.cov(local) + 1e-3 * np.eye(3))
    if values[2] > 2.5 * values[1]:  # elongated: a branch
        normal, start = vectors[:, 2] * site.rng.choice([-1, 1]), 0.0
    else:
        normal, start = site.outward(), -site.depth(0.3, 0.9)
    beyond = np.tensordot(normal.astype(np.float32), site.rel, 1) + 0.08 * site.radius * site.noise(0.5 * site.radius)
    return site.mask & ~((beyond > start) & (site.away < site.rng.uniform(0.9, 1.5) * site.radius))


def _leak(site: Site) -> np.ndarray:
    """A neck through the boundary and a pool behind it."""
    way = site.outward() + site.rng.normal(0, 0.3, 3)
    way = (way / np.linalg.norm(way)).astype(np.float32)
    length = site.depth(0.3, 0.8)
    along = np.clip(np.tensordot(way, site.rel, 1), -1, length)
    neck = np.sqrt(((site.rel - way[:, None, None, None] * along) ** 2).sum(0))
    neck = site.rng.uniform(0.15, 0.3) * site.radius - neck
    pool = site.rng.uniform(0.2, 0.45) * site.radius
    pool = pool - np.sqrt(((site.rel - (way * length)[:, None, None, None]) ** 2).sum(0))
    return site.mask | (np.maximum(neck, pool) + 0.06 * site.radius * site.noise(0.3 * site.radius) > 0)


def _island(site: Site) -> np.ndarray:
    """A separate false piece or a hole, beside a dent or bulge: on its own it has no true boundary to draw."""
    first = (_dent if site.rng.random() < 0.5 else _bulge)(site)
    size = site.rng.uniform(0.15, 0.4) * site.radius
    side = site.rng.choice([-1, 1])
    candidates = np.argwhere((side * site.phi > size + 2) & (site.away < 1.6 * site.radius))
    if len(candidates) == 0:
        return first
    centre = site.rel[(slice(None), *candidates[site.rng.integers(len(candidates))])]
    gap = np.sqrt(((site.rel - centre[:, None, None, None]) ** 2).sum(0)) + 0.1 * size * site.noise(size)
    return first & (gap > size) if side > 0 else first | (gap < size)


def _shift(site: Site) -> np.ndarray:
    """The boundary of a region moved sideways."""
    way = site.outward() * site.rng.choice([-1, 1]) + site.rng.normal(0, 0.5, 3)
    way *= site.depth(0.2, 0.7) / np.linalg.norm(way)
    weight = np.exp(-0.5 * (site.away / (site.rng.uniform(0.6, 0.9) * site.radius)) ** 2)
    where = np.indices(site.mask.shape, dtype=np.float32) - way.astype(np.float32)[:, None, None, None] * weight
    return ndimage.map_coordinates(site.phi, where, order=1, mode="nearest") > 0


def _smooth(site: Site) -> np.ndarray:
    """Details lost within a region."""
    blurred = ndimage.gaussian_filter(
        site.mask.astype(np.float32), site.rng.uniform(0.25, 0.6) * site.radius, truncate=2.5, mode="nearest"
    )
    region = site.away + 0.2 * site.radius * site.noise(0.6 * site.radius) < site.rng.uniform(0.8, 1.4) * site.radius
    return np.where(region, blurred > 0.5 + site.rng.uniform(-0.2, 0.2), site.mask)


def _rough(site: Site) -> np.ndarray:
    """A wobbling boundary within a region."""
    weight = np.exp(-0.5 * (site.away / (site.rng.uniform(0.6, 0.9) * site.radius)) ** 2)
    wobble = site.noise(site.rng.uniform(0.35, 0.7) * site.radius)
    return site.phi + site.depth(0.15, 0.35) * weight * wobble > 0


def _faded(site: Site) -> np.ndarray:
    """A dent or bulge; what makes it ambiguous is its place, which `simulation.corrupt` chooses."""
    return (_dent if site.rng.random() < 0.5 else _bulge)(site)


def _spread(site: Site) -> np.ndarray:
    """The boundary drawn to where a noisy classifier of intensities sees the object, within a depth of the truth."""
    near = site.away < 1.6 * site.radius
    inside, outside = site.image[near & (site.phi > 1)], site.image[near & (site.phi < -1)]
    if len(inside) < 20 or len(outside) < 20:
        return site.mask
    scale = 0.1 * (np.std(site.image[near]) + 1e-6)
    # a segmenter's boundary is smooth even in a noisy image
    image = ndimage.gaussian_filter(site.image, max(1.0, site.rng.uniform(0.1, 0.2) * site.radius), truncate=2.0)
    scores = [
        -0.5 * ((image - part.mean()) / (part.std() + scale)) ** 2 - np.log(part.std() + scale)
        for part in (inside, outside)
    ]
    evidence = scores[0] - scores[1] + site.rng.normal(0, 0.7) + 0.7 * site.noise(0.5 * site.radius)
    reach = np.exp(-0.5 * (site.away / (site.rng.uniform(0.6, 1.0) * site.radius)) ** 2)
    moved = site.phi + site.depth(0.4, 0.9) * np.clip(1.4 * reach, 0, 1) * np.tanh(evidence) > 0
    parts, count = ndimage.label(moved)
    if count > 1:  # what the classifier finds apart from the object is not part of a moved boundary
        moved = np.isin(parts, np.unique(parts[moved & site.mask]))
    return moved


GEOMETRIC: dict[str, Callable[[Site], np.ndarray]] = {
    "dent": _dent,
    "bulge": _bulge,
    "missing": _missing,
    "leak": _leak,
    "island": _island,
    "shift": _shift,
    "smooth": _smooth,
    "rough": _rough,
}
AMBIGUOUS: dict[str, Callable[[Site], np.ndarray]] = {"faded": _faded, "spread": _spread}
GEOMETRIC_KINDS: tuple[str, ...] = tuple(GEOMETRIC)
AMBIGUOUS_KINDS: tuple[str, ...] = tuple(AMBIGUOUS)
_MAKERS = GEOMETRIC | AMBIGUOUS


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
    """Those of a sample of boundary points (N, 3) around which object and surroundings look most alike."""
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
