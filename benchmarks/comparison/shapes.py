"""Shapes with known surfaces: the exact distance of any point, points all over the surface, and the mask on a grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from SparseToPreciseLib.core.volume import Grid, Volume

_POINTS = 20000


@dataclass(frozen=True)
class Ball:
    radius: float
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def depth(self, points: np.ndarray) -> np.ndarray:
        """mm inside (above 0) or outside."""
        return self.radius - np.linalg.norm(points - self.centre, axis=-1)

    def surface(self) -> tuple[np.ndarray, np.ndarray]:
        """(N, 3) points and the areas that they stand for."""
        directions = _directions(_POINTS)
        return self.centre + self.radius * directions, np.full(_POINTS, 4 * np.pi * self.radius**2 / _POINTS)


@dataclass(frozen=True)
class Shell:
    """Between two balls of one centre."""

    inner: float
    outer: float

    def depth(self, points: np.ndarray) -> np.ndarray:
        radius = np.linalg.norm(points, axis=-1)
        return np.minimum(radius - self.inner, self.outer - radius)

    def surface(self) -> tuple[np.ndarray, np.ndarray]:
        parts = [Ball(radius).surface() for radius in (self.inner, self.outer)]
        return tuple(np.concatenate(both) for both in zip(*parts, strict=True))


@dataclass(frozen=True)
class Tube:
    """Around a line along z, with round ends."""

    radius: float
    half: float

    def depth(self, points: np.ndarray) -> np.ndarray:
        along = np.abs(points[..., 2]) - self.half
        return self.radius - np.hypot(np.hypot(points[..., 0], points[..., 1]), np.maximum(along, 0))

    def surface(self) -> tuple[np.ndarray, np.ndarray]:
        ends = self.radius * _directions(_POINTS)
        ends[:, 2] += np.sign(ends[:, 2]) * self.half
        turns = (np.arange(_POINTS) * 0.6180339887) % 1 * 2 * np.pi
        height = ((np.arange(_POINTS) + 0.5) / _POINTS * 2 - 1) * self.half
        wall = np.stack([self.radius * np.cos(turns), self.radius * np.sin(turns), height], axis=1)
        areas = (4 * np.pi * self.radius**2 / _POINTS, 4 * np.pi * self.radius * self.half / _POINTS)
        return np.concatenate([ends, wall]), np.repeat(areas, _POINTS)


@dataclass(frozen=True)
class Cuboid:
    sides: tuple[float, float, float]
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def depth(self, points: np.ndarray) -> np.ndarray:
        beyond = np.abs(points - self.centre) - np.array(self.sides) / 2
        outside = np.linalg.norm(np.maximum(beyond, 0), axis=-1)
        return np.where(outside > 0, -outside, -beyond.max(axis=-1))

    def surface(self) -> tuple[np.ndarray, np.ndarray]:
        steps = (np.arange(100) + 0.5) / 100 - 0.5
        one, other = (axis.ravel() for axis in np.meshgrid(steps, steps))
        points, areas = [], []
        for axis in range(3):
            rest = [direction for direction in range(3) if direction != axis]
            for end in (-0.5, 0.5):
                face = np.zeros((len(one), 3))
                face[:, axis], face[:, rest[0]], face[:, rest[1]] = end, one, other
                points.append(face * self.sides + self.centre)
                areas.append(np.full(len(one), self.sides[rest[0]] * self.sides[rest[1]] / len(one)))
        return np.concatenate(points), np.concatenate(areas)


PAIRS = {
    "balls of one centre, 20 and 23 mm": (Ball(20), Ball(23)),
    "balls of 20 mm, 4 mm apart": (Ball(20), Ball(20, (4 / np.sqrt(3),) * 3)),
    "cubes, one face moved by 6 mm": (Cuboid((36, 36, 36)), Cuboid((36, 36, 42), (0, 0, 3))),
    "shells, 12 to 20 and 12 to 23 mm": (Shell(12, 20), Shell(12, 23)),
    "tubes of 6 and 8 mm": (Tube(6, 18), Tube(8, 18)),
}


def truth(a, b) -> dict[str, float]:
    """Mean distance and HD95 of two shapes by their exact distances, by area."""
    found = []
    for one, other in ((a, b), (b, a)):
        points, areas = one.surface()
        found.append((np.abs(other.depth(points)), areas))
    total = sum((distances * areas).sum() for distances, areas in found) / sum(areas.sum() for _, areas in found)
    return {"mean": float(total), "hd95": max(_percentile(*one) for one in found)}


def grid_of(ratio: float, turn: int, half: float = 30.0) -> Grid:
    """A grid of 1 x 1 x ratio mm around the origin; turn 0 along the axes, others oblique.

    Along the axes, faces of voxels lie where the cubes' faces are, so that a mask can be exact.
    """
    rotation = np.eye(3) if turn == 0 else Rotation.random(random_state=turn).as_matrix()
    spacing = np.array([1, 1, ratio])
    size = 2 * np.ceil(half / spacing).astype(int)
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * spacing
    matrix[:3, 3] = -matrix[:3, :3] @ ((size - 1) / 2)
    return Grid(tuple(int(one) for one in size[::-1]), matrix)


def mask_of(shape, grid: Grid) -> Volume:
    return Volume(shape.depth(grid.points_ras()) >= 0, grid.ijk_to_ras)


def _directions(count: int) -> np.ndarray:
    """Unit vectors all over the sphere: Fibonacci's."""
    steps = np.arange(count) + 0.5
    height, turns = 1 - 2 * steps / count, np.pi * (1 + np.sqrt(5)) * steps
    radius = np.sqrt(1 - height**2)
    return np.stack([radius * np.cos(turns), radius * np.sin(turns), height], axis=1)


def _percentile(distances: np.ndarray, areas: np.ndarray) -> float:
    order = np.argsort(distances)
    reached = np.cumsum(areas[order])
    return float(distances[order[np.searchsorted(reached, 0.95 * reached[-1])]])
