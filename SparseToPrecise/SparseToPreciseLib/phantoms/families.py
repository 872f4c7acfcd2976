"""The families of target objects, as implicit shapes in units (see `fields`).

A family is a function of a random generator. Whole families are held out for testing: nothing that is trained on
shares its construction with `tree`, `bean` or `vertebra`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from . import shapes
from .shapes import Shape


@dataclass
class Anatomy:
    """One target and what belongs to it.

    Attributes
    ----------
    target : Shape
        Negative inside the target.
    inside : list of Shape
        Sub-structures of the target which look different and count as target (a kidney's pelvis, vessels).
    beside : list of Shape
        Structures cut out of the target (a lumen, the canal of a vertebra).
    territory : callable, optional
        Points (3, ...) -> region numbers (...): neighbours that belong to the construction (a partition of organs).
    twins : list of ndarray
        Where further copies of the whole construction may lie (the vertebrae above and below), in units.
    """

    target: Shape
    inside: list[Shape] = field(default_factory=list)
    beside: list[Shape] = field(default_factory=list)
    territory: Callable[[np.ndarray], np.ndarray] | None = None
    twins: list[np.ndarray] = field(default_factory=list)


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _inner_tubes(rng: np.random.Generator, reach: float, count: int) -> list[Shape]:
    """Vessels that run through an organ of size `reach`."""
    tubes = []
    for _ in range(count):
        path = shapes.smooth_path(rng, 1.8 * reach, 1.5, points=5) + rng.normal(0, 0.3 * reach, 3)
        tubes.append(shapes.tube(path, np.linspace(1, 0.5, 5) * rng.uniform(1, max(1.2, 0.13 * reach))))
    return tubes


def organ(rng: np.random.Generator) -> Anatomy:
    """A warped superellipsoid: spleen, liver, muscle, tumour; often larger than the cube."""
    size = _log_uniform(rng, 7, 55)
    radii = size * np.exp(rng.normal(0, 0.3, 3))
    body = shapes.superellipsoid(radii, rng.uniform(1.7, 3.5), rng.uniform(0, 0.5))
    body = shapes.moved(body, shapes.random_rotation(rng), (0, 0, 0))
    inside = _inner_tubes(rng, size, rng.integers(1, 4)) if rng.random() < 0.4 else []
    if rng.random() < 0.2:
        core = shapes.superellipsoid(radii * rng.uniform(0.3, 0.7))
        inside.append(shapes.moved(core, shapes.random_rotation(rng), rng.normal(0, 0.15 * size, 3)))
    return Anatomy(body, inside)


def lobed(rng: np.random.Generator) -> Anatomy:
    """A smooth union of several lobes with fissures between some of them."""
    size = _log_uniform(rng, 7, 24)
    lobes = []
    for _ in range(rng.integers(3, 7)):
        lobe = shapes.superellipsoid(size * np.exp(rng.normal(-0.2, 0.3, 3)), rng.uniform(1.8, 2.6))
        lobes.append(shapes.moved(lobe, shapes.random_rotation(rng), rng.normal(0, 0.8 * size, 3)))
    body = shapes.union(lobes, rng.uniform(0.05, 0.25) * size)
    if rng.random() < 0.4:
        plate = shapes.superellipsoid((rng.uniform(0.8, 2.5), 2 * size, 1.2 * size))
        body = shapes.cut(body, shapes.moved(plate, shapes.random_rotation(rng), rng.normal(0, 0.8 * size, 3)))
    inside = _inner_tubes(rng, size, rng.integers(1, 3)) if rng.random() < 0.3 else []
    return Anatomy(body, inside)


def cavity(rng: np.random.Generator) -> Anatomy:
    """Nested shells: the target is the lumen, the wall around it, or both together."""
    size = _log_uniform(rng, 9, 35)
    radii = size * np.exp(rng.normal(0, 0.22, 3))
    rotation = shapes.random_rotation(rng)
    exponent = rng.uniform(1.8, 2.6)
    outer = shapes.moved(shapes.superellipsoid(radii, exponent), rotation, (0, 0, 0))
    wall = _log_uniform(rng, 2.0, max(2.5, 0.35 * size))
    shift = rng.normal(0, 0.25 * wall, 3)
    inner = shapes.moved(shapes.superellipsoid(np.maximum(radii - wall, 2), exponent), rotation, shift)
    part = rng.choice(["lumen", "wall", "both"], p=[0.4, 0.4, 0.2])
    if part == "both":
        return Anatomy(outer, [inner])
    if part == "lumen":
        return Anatomy(inner, [], [], lambda points: (outer(points) > 0).astype(np.uint8))
    if rng.random() < 0.5:  # an open cup, such as a ventricle's wall below the valves
        mouth = shapes.moved(shapes.superellipsoid((size, size, size)), rotation, rotation @ (0, 0, 1.4 * radii[2]))
        outer = shapes.cut(outer, mouth)
    return Anatomy(outer, [], [inner])


def partition(rng: np.random.Generator) -> Anatomy:
    """One cell of a weighted Voronoi partition: organs that touch each other along shared faces."""
    count = int(rng.integers(7, 16))
    spacing = rng.uniform(18, 34)
    seeds = np.vstack([rng.normal(0, 2, (1, 3)), rng.normal(0, spacing, (count - 1, 3))])
    weights = rng.normal(0, 4.0 * spacing, count)
    weights[0] = abs(weights[0]) + 3 * spacing  # the target is never crowded out

    def distances(points: np.ndarray) -> np.ndarray:
        square = (points * points).sum(0)
        cross = np.tensordot(seeds.astype(np.float32), points, 1)
        offset = ((seeds**2).sum(1) - weights).astype(np.float32)
        return square - 2 * cross + offset.reshape(-1, *([1] * (points.ndim - 1)))

    def target(points: np.ndarray) -> np.ndarray:
        values = distances(points)
        gaps = 2 * np.linalg.norm(seeds[1:] - seeds[0], axis=1)
        return ((values[0] - values[1:]) / gaps.reshape(-1, *([1] * (points.ndim - 1)))).max(0).astype(np.float32)

    return Anatomy(target, [], [], lambda points: distances(points)[1:].argmin(0).astype(np.uint8))


def sheet(rng: np.random.Generator) -> Anatomy:
    """A thin curved plate: a muscle layer, a valve's leaflet, a flat bone."""
    thickness = _log_uniform(rng, 1.5, 6)
    ball = _log_uniform(rng, 20, 120)
    width = rng.uniform(12, 40)
    rotation = shapes.random_rotation(rng)

    def body(points: np.ndarray) -> np.ndarray:
        extra = (1,) * (points.ndim - 1)
        rel = points - (rotation @ np.asarray((ball, 0, 0), np.float32)).reshape(3, *extra)
        shell = np.abs(np.sqrt((rel * rel).sum(0)) - ball) - thickness
        side = points - rotation[:, :1].reshape(3, *extra) * np.tensordot(rotation[:, 0], points, 1)
        return np.maximum(shell, np.sqrt((side * side).sum(0)) - width)

    return Anatomy(body)


def rod(rng: np.random.Generator) -> Anatomy:
    """One unbranched tube of varying calibre: gut, aorta, rib, a long muscle."""
    radius = _log_uniform(rng, 3, 16)
    points = 9
    path = shapes.smooth_path(rng, rng.uniform(30, 110), rng.uniform(0.2, 2.5), points)
    profile = np.exp(np.cumsum(rng.normal(0, 0.12, points)))
    radii = radius * profile / profile.mean()
    outer = shapes.tube(path, radii, rng.uniform(1, 1.8))
    if radius > 4 and rng.random() < 0.35:
        lumen = shapes.tube(path, radii - rng.uniform(1.5, 0.6 * radius))
        return Anatomy(outer, [lumen]) if rng.random() < 0.6 else Anatomy(outer, [], [lumen])
    return Anatomy(outer)


def tree(rng: np.random.Generator) -> Anatomy:
    """Held out: a branching vessel tree."""
    radius = _log_uniform(rng, 3, 8)
    trunk = shapes.smooth_path(rng, rng.uniform(40, 80), rng.uniform(0.2, 1.0), 6)
    tubes = [shapes.tube(trunk, np.linspace(1.1, 0.8, 6) * radius)]
    paths = [(trunk, 0.8 * radius)]
    for _ in range(rng.integers(3, 7)):
        parent, calibre = paths[rng.integers(len(paths))]
        start = parent[rng.integers(1, len(parent))]
        branch = shapes.smooth_path(rng, rng.uniform(15, 40), 0.8, 5)
        branch = branch - branch[0] + start
        calibre = max(1.5, calibre * rng.uniform(0.6, 0.85))
        tubes.append(shapes.tube(branch, np.linspace(1, 0.75, 5) * calibre))
        paths.append((branch, 0.75 * calibre))
    return Anatomy(shapes.union(tubes, 0.8))


def bean(rng: np.random.Generator) -> Anatomy:
    """Held out: a kidney with cortex, pelvis and a hilum cut into its side."""
    length = rng.uniform(18, 38)
    radii = length * np.array([rng.uniform(0.42, 0.58), rng.uniform(0.45, 0.65), 1.0])
    body = shapes.superellipsoid(radii, rng.uniform(2.0, 2.6))
    notch = shapes.superellipsoid((0.55 * radii[0], 0.5 * radii[1], 0.3 * length))
    notch = shapes.moved(notch, np.eye(3, dtype=np.float32), (1.05 * radii[0], 0, 0))
    body = shapes.cut(body, notch, 2.0)
    medulla = shapes.superellipsoid(0.68 * radii)
    pelvis = shapes.superellipsoid((0.45 * radii[0], 0.25 * radii[1], 0.4 * length))
    pelvis = shapes.moved(pelvis, np.eye(3, dtype=np.float32), (0.35 * radii[0], 0, 0))
    inside = [medulla] * (rng.random() < 0.6) + [pelvis] * (rng.random() < 0.6)
    rotation = shapes.random_rotation(rng)
    return Anatomy(shapes.moved(body, rotation, (0, 0, 0)), [shapes.moved(one, rotation, (0, 0, 0)) for one in inside])


def vertebra(rng: np.random.Generator) -> Anatomy:
    """Held out: a vertebral body with arch, canal, spinous and transverse processes, bright cortex."""
    width = rng.uniform(12, 22)
    height = width * rng.uniform(0.5, 0.8)
    body = shapes.superellipsoid((height, 0.8 * width, width), 3.5)
    canal_at = np.array([0, 1.25 * width, 0])
    angles = np.linspace(-0.25 * np.pi, 1.25 * np.pi, 9)
    arch = canal_at + 0.75 * width * np.stack([0 * angles, np.sin(angles), np.cos(angles)], axis=1)
    slender = rng.uniform(0.2, 0.32) * width
    back = canal_at + (0, 0.7 * width, 0)
    parts = [
        body,
        shapes.tube(arch, np.full(9, slender)),
        shapes.tube(np.stack([back, back + (-0.6 * width, 1.2 * width, 0)]), np.array([1.1, 0.9]) * slender),
    ]
    for side in (-1, 1):
        root = canal_at + (0, 0, side * 0.75 * width)
        tip = root + (rng.normal(0, 2), 0.35 * width, side * width)
        parts.append(shapes.tube(np.stack([root, tip]), np.array([1.1, 0.75]) * slender))
    canal = shapes.superellipsoid((2.5 * width, 0.5 * width, 0.55 * width))
    canal = shapes.moved(canal, np.eye(3, dtype=np.float32), canal_at)
    whole = shapes.cut(shapes.union(parts, 1.0), canal)
    rotation = shapes.random_rotation(rng)
    cortex = rng.uniform(1.5, 3.0)
    centre = rotation @ canal_at * 0.4
    marrow = shapes.moved(lambda points: whole(points) + cortex, rotation, -centre)
    chain = [rotation @ (side * 2.3 * height, 0, 0) for side in (-1, 1)]
    inside = [marrow] if rng.random() < 0.8 else []
    return Anatomy(shapes.moved(whole, rotation, -centre), inside, twins=chain)


BUILDERS: dict[str, Callable[[np.random.Generator], Anatomy]] = {
    one.__name__: one for one in (organ, lobed, cavity, partition, sheet, rod, tree, bean, vertebra)
}
