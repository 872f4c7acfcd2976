"""The label map: a target inside an anatomical neighbourhood."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import shapes
from .families import Anatomy
from .fields import UNITS_PER_CUBE, coordinates, enlarged, smooth_field

FIRST_TARGET_LABEL = 40


@dataclass
class LabelMap:
    """Regions of one case.

    Attributes
    ----------
    labels : (K, J, I) uint8
        0 .. 39 are neighbours, from 40 on the parts of the target.
    target : (K, J, I) bool
    bone : set of int
        Labels that are thin cortical shells (bright in CT, dark in MR).
    """

    labels: np.ndarray
    target: np.ndarray
    bone: set[int]


def _place(rng: np.random.Generator, anatomy: Anatomy) -> np.ndarray:
    """Point of the construction, near its surface, that goes to the cube's centre (edits happen at boundaries)."""
    if rng.random() < 0.12:
        return rng.normal(0, 4, 3).astype(np.float32)
    points = rng.normal(0, 1, (3, 3000)).astype(np.float32) * np.linspace(10, 50, 3000, dtype=np.float32)
    near = np.abs(anatomy.target(points))
    for lumen in anatomy.beside:
        near = np.where(lumen(points) > 0, near, 99)
    candidates = points[:, near < max(1.5, np.partition(near, 20)[20])]
    chosen = candidates[:, rng.integers(candidates.shape[1])]
    return chosen + rng.normal(0, 3, 3).astype(np.float32)


def _as_distance(values: np.ndarray, step: float) -> np.ndarray:
    """Divide an implicit function by its gradient's length: a first-order distance in units."""
    slopes = np.gradient(values, step)
    return values / np.clip(np.sqrt(sum(s * s for s in slopes)), 0.3, 3.0)


def _distractor(rng: np.random.Generator) -> shapes.Shape:
    """A random neighbour: a tube (vessel, rib, gut) or a warped ellipsoid (node, cyst, organ)."""
    centre = rng.uniform(-34, 34, 3)
    if rng.random() < 0.55:
        path = shapes.smooth_path(rng, rng.uniform(30, 90), rng.uniform(0.2, 2.0), 5) + centre
        return shapes.tube(path, np.full(5, np.exp(rng.uniform(np.log(1.5), np.log(9)))))
    radii = np.exp(rng.uniform(np.log(4), np.log(20), 3))
    return shapes.moved(shapes.superellipsoid(radii), shapes.random_rotation(rng), centre)


def largest(heights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of several fields (n, K, J, I) is the largest, and by how much; numpy's own are slow along axis 0."""
    labels = np.zeros(heights.shape[1:], np.uint8)
    best, second = heights[0], np.full(heights.shape[1:], -np.inf, heights.dtype)
    for number, height in enumerate(heights[1:], start=1):
        labels[height > best] = number
        second = np.maximum(second, np.minimum(best, height))
        best = np.maximum(best, height)
    return labels, best - second


def build_label_map(
    rng: np.random.Generator,
    anatomy: Anatomy,
    shape: tuple[int, int, int],
    centre: np.ndarray | None = None,
    twins: bool = False,
) -> LabelMap:
    """Draw the anatomy and its neighbours on a cube of `shape` voxels.

    Parameters
    ----------
    centre : (3,), optional
        Point of the construction that goes to the cube's centre; None takes one near the target's surface.
    twins
        Draw the anatomy's twins as well: they look like the target and are not it.
    """
    coarse_shape = tuple(max(8, -(-size // max(1, round(size / 32)))) for size in shape)
    step = UNITS_PER_CUBE / coarse_shape[0]
    points = coordinates(coarse_shape)
    period = rng.uniform(14, 32)
    warp = smooth_field(rng, coarse_shape, period, 3) * period * rng.uniform(0.01, 0.14)
    centre = _place(rng, anatomy) if centre is None else np.asarray(centre, np.float32)
    warped = points + warp + centre.reshape(3, 1, 1, 1)

    # background: a few tissues by the largest of smooth fields, or the construction's own territory
    count = int(rng.integers(3, 8))
    heights = smooth_field(rng, shape, rng.uniform(14, 36), count) + rng.normal(0, 0.6, (count, 1, 1, 1))
    labels, lead = largest(heights)
    if rng.random() < 0.5:  # a thin layer (fat, fascia) between neighbours that meet
        labels[lead < rng.uniform(0.08, 0.5)] = count
        count += 1
    if anatomy.territory is not None:
        own = anatomy.territory(warped)
        own = np.stack([own == region for region in range(int(own.max()) + 1)]).astype(np.float32)
        regions = largest(enlarged(own, shape))[0]
        if len(own) > 2:
            labels, count = regions, len(own)
        else:  # a wall around a lumen
            labels[regions == 0] = count
            count += 1
    bone: set[int] = set()
    if rng.random() < 0.3:  # the body's surface: outside air, then a layer of fat
        normal = shapes.random_rotation(rng)[0]
        depth = np.tensordot(normal, points, 1) + warp[0] * 0.7 - rng.uniform(4, 30)
        depth = enlarged(depth, shape)
        labels[depth > -rng.uniform(2, 12)] = count
        labels[depth > 0] = count + 1
        count += 2
    for _ in range(rng.integers(1, 7)):
        values = enlarged(_distractor(rng)(points + 0.6 * warp), shape)
        labels[values < 0] = count
        if rng.random() < 0.4:
            bone.add(count)
            count += 1
            labels[values < -rng.uniform(1.2, 3.5)] = count
        count += 1

    distance = _as_distance(anatomy.target(warped), step)
    lumens = [enlarged(lumen(warped), shape) for lumen in anatomy.beside]
    distance = enlarged(distance, shape)
    rough = rng.uniform(0, 0.6)
    distance = distance + rough * smooth_field(rng, shape, rng.uniform(4, 9))
    if rng.random() < 0.5:  # fat, capsule or fluid hugging part of the surface
        thickness = np.exp(rng.uniform(np.log(1.0), np.log(9)))
        patchy = smooth_field(rng, shape, rng.uniform(14, 30)) * rng.uniform(0, 1) + rng.uniform(0, 1.5)
        labels[(distance < thickness * np.clip(patchy, 0, 1.5)) & (distance > 0)] = count
        count += 1
    for values in lumens:
        labels[(values < 0) & (distance < 1)] = count
    count += bool(lumens)
    target = distance < 0
    for values in lumens:
        target &= values > 0
    if twins:
        _draw_twins(labels, anatomy, warped)
    labels[target] = FIRST_TARGET_LABEL
    inside = [enlarged(part(warped), shape) for part in anatomy.inside]
    if not inside and rng.random() < 0.25:  # a rim that differs: cortex, capsule, enhancing wall
        inside = [distance + np.exp(rng.uniform(np.log(1.2), np.log(4)))]
        if rng.random() < 0.5:
            bone.add(FIRST_TARGET_LABEL)
    for number, values in enumerate(inside, start=1):
        labels[target & (values < 0)] = FIRST_TARGET_LABEL + number
    return LabelMap(labels, target, bone)


def _draw_twins(labels: np.ndarray, anatomy: Anatomy, warped: np.ndarray) -> None:
    """Copies of the target with the target's own labels."""
    for shift in anatomy.twins:
        there = warped - np.asarray(shift, np.float32).reshape(3, 1, 1, 1)
        twin = enlarged(anatomy.target(there), labels.shape) < 0
        labels[twin] = FIRST_TARGET_LABEL
        for number, part in enumerate(anatomy.inside, start=1):
            labels[twin & (enlarged(part(there), labels.shape) < 0)] = FIRST_TARGET_LABEL + number
