"""One simulated error of each kind at one boundary point; `simulation.corrupt` chooses and combines them.

A kind is a function of a `Site` that returns the spoilt mask on the site's crop. Arrays are (K, J, I), lengths voxels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from .working_grid import signed_distance


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
