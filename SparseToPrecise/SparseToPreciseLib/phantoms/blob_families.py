"""Families of whole objects for boxes, beside those of `families`."""

from __future__ import annotations

import numpy as np

from . import shapes
from .families import Anatomy


def liver(rng: np.random.Generator) -> Anatomy:
    """A large lobe that tapers into a tail, lesser lobes, a fissure and a hollow: several components on some slices."""
    size = 24.0
    main = shapes.superellipsoid(size * np.exp(rng.normal((0.1, -0.05, -0.1), 0.15, 3)), rng.uniform(2, 3), 0.3)
    lobes = [main]
    tail = shapes.smooth_path(rng, 2.2 * size, rng.uniform(0.2, 1.2), 6)
    tail = tail - tail[0] + rng.normal(0, 0.2 * size, 3)
    lobes.append(shapes.tube(tail, np.linspace(rng.uniform(0.4, 0.75), rng.uniform(0.08, 0.25), 6) * size, 1.4))
    for _ in range(rng.integers(1, 4)):
        lobe = shapes.superellipsoid(size * np.exp(rng.normal(-0.7, 0.25, 3)))
        lobes.append(shapes.moved(lobe, shapes.random_rotation(rng), rng.normal(0, 0.65 * size, 3)))
    body = shapes.union(lobes, rng.uniform(0.03, 0.12) * size)
    if rng.random() < 0.7:
        plate = shapes.superellipsoid((rng.uniform(1.0, 3.5), 1.6 * size, 0.9 * size))
        body = shapes.cut(body, shapes.moved(plate, shapes.random_rotation(rng), rng.normal(0, 0.6 * size, 3)))
    if rng.random() < 0.7:
        hollow = shapes.superellipsoid(size * np.exp(rng.normal(-0.7, 0.25, 3)))
        towards = shapes.random_rotation(rng)[0] * size * rng.uniform(0.7, 1.1)
        body = shapes.cut(body, shapes.moved(hollow, shapes.random_rotation(rng), towards), 2.0)
    rotation = shapes.random_rotation(rng)
    vessels = []
    for _ in range(rng.integers(0, 4)):
        path = shapes.smooth_path(rng, 1.6 * size, 1.2, 5) + rng.normal(0, 0.25 * size, 3)
        vessels.append(shapes.moved(shapes.tube(path, np.linspace(2.4, 1.0, 5)), rotation, (0, 0, 0)))
    return Anatomy(shapes.moved(body, rotation, (0, 0, 0)), vessels)


def sac(rng: np.random.Generator) -> Anatomy:
    """A smooth pear: gallbladder, bladder, cyst."""
    length = 20.0
    width = length * rng.uniform(0.3, 0.8)
    path = shapes.smooth_path(rng, 2 * (length - width) + 2, rng.uniform(0, 0.8), 5)
    radii = width * np.linspace(1.0, rng.uniform(0.35, 1.0), 5)
    return Anatomy(shapes.tube(path, radii, rng.uniform(1, 1.3)))


def ball(rng: np.random.Generator) -> Anatomy:
    """Nearly a sphere: a node, a tumour, a femoral head; sometimes with another core."""
    body = shapes.superellipsoid(20 * np.exp(rng.normal(0, 0.08, 3)))
    core = shapes.superellipsoid(20 * rng.uniform(0.4, 0.8) * np.exp(rng.normal(0, 0.1, 3)))
    return Anatomy(body, [core] if rng.random() < 0.3 else [])
