"""Implicit shapes: functions of points that are negative inside and close to a distance (in units) near the surface.

Every shape is a callable taking points (3, ...) float32 and returning values (...). They combine with `union`,
`cut`, `moved` and are evaluated by the families on a coarse grid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

Shape = Callable[[np.ndarray], np.ndarray]


def random_rotation(rng: np.random.Generator) -> np.ndarray:
    """Uniform random rotation matrix (3, 3), float32."""
    q, r = np.linalg.qr(rng.standard_normal((3, 3)))
    q = q * np.sign(np.diag(r))
    if np.linalg.det(q) < 0:
        q[:, 0] = -q[:, 0]
    return q.astype(np.float32)


def superellipsoid(radii: Sequence[float], exponent: float = 2.0, taper: float = 0.0) -> Shape:
    """Superellipsoid |x/a|^p + |y/b|^p + |z/c|^p = 1 along the axes, thinner towards +z when `taper` is not 0."""
    scale = np.asarray(radii, np.float32)

    def shape(points: np.ndarray) -> np.ndarray:
        q = points / scale.reshape(3, *([1] * (points.ndim - 1)))
        if taper:
            q = np.concatenate([q[:2] / (1 - taper * np.clip(q[2:], -1, 1)), q[2:]])
        radius = np.sqrt((q * q).sum(0)) if exponent == 2.0 else (np.abs(q) ** exponent).sum(0) ** (1 / exponent)
        # dividing by the gradient's length makes the value a first-order distance also for flat shapes
        norm = np.sqrt((points * points).sum(0)) + 1e-3
        stretch = radius / norm
        return (radius - 1) / np.maximum(
            np.sqrt(((q / scale.reshape(3, *([1] * (points.ndim - 1)))) ** 2).sum(0)) / np.maximum(radius, 1e-3),
            0.5 * stretch,
        )

    return shape


def tube(path: np.ndarray, radii: np.ndarray, flatness: float = 1.0) -> Shape:
    """Tube around a polyline `path` (N, 3) whose radius (N,) varies linearly between the points.

    `flatness` > 1 widens the cross-section along the first coordinate, before the shape is turned.
    """
    path = np.asarray(path, np.float32)
    radii = np.asarray(radii, np.float32)

    def shape(points: np.ndarray) -> np.ndarray:
        best = None
        extra = (1,) * (points.ndim - 1)
        for a, b, ra, rb in zip(path[:-1], path[1:], radii[:-1], radii[1:], strict=True):
            axis = b - a
            rel = points - a.reshape(3, *extra)
            t = np.clip(np.tensordot(axis, rel, 1) / max(float(axis @ axis), 1e-6), 0, 1)
            rel = rel - axis.reshape(3, *extra) * t
            if flatness != 1.0:
                rel = np.concatenate([rel[:1] / flatness, rel[1:]])
            value = np.sqrt((rel * rel).sum(0)) - (ra + (rb - ra) * t)
            best = value if best is None else np.minimum(best, value)
        return best

    return shape


def union(shapes: Sequence[Shape], smoothness: float = 0.0) -> Shape:
    """Union of shapes; with `smoothness` (units) the creases are rounded (log-sum-exp)."""

    def shape(points: np.ndarray) -> np.ndarray:
        values = np.stack([one(points) for one in shapes])
        lowest = values.min(0)
        if smoothness <= 0:
            return lowest
        return lowest - smoothness * np.log(np.exp((lowest - values) / smoothness).sum(0))

    return shape


def cut(shape_: Shape, tool: Shape, smoothness: float = 1.0) -> Shape:
    """`shape_` without the inside of `tool`, with an edge rounded over `smoothness` units."""
    negative = union([lambda points: -shape_(points), tool], smoothness)
    return lambda points: -negative(points)


def moved(shape_: Shape, rotation: np.ndarray, centre: Sequence[float]) -> Shape:
    """The shape turned by `rotation` (3, 3) and moved to `centre`."""
    offset = np.asarray(centre, np.float32)

    def shape(points: np.ndarray) -> np.ndarray:
        rel = points - offset.reshape(3, *([1] * (points.ndim - 1)))
        return shape_(np.tensordot(rotation.T, rel, 1))

    return shape


def smooth_path(rng: np.random.Generator, length: float, bend: float, points: int = 9) -> np.ndarray:
    """Curved polyline (points, 3) around the origin, starting along a random direction and turning by about `bend`
    radians over its `length` (units)."""
    direction = random_rotation(rng)[0]
    turn = rng.standard_normal(3)
    turn = (turn - direction * (turn @ direction)) * bend / points
    steps = []
    for _ in range(points - 1):
        steps.append(direction * length / (points - 1))
        turn = turn + rng.standard_normal(3) * 0.25 * bend / points
        direction = direction + turn
        direction = direction / np.linalg.norm(direction)
    path = np.vstack([np.zeros(3), np.cumsum(steps, axis=0)])
    return (path - path.mean(0)).astype(np.float32)
