"""A shape without symmetry, known analytically in the world, and a template that learnt it in seconds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import numpy as np
from edit_cases import rotation

from SparseToPreciseLib.core.bundles import Bundle
from SparseToPreciseLib.core.volume import Grid, Volume
from SparseToPreciseLib.landmarks.cases import Augmentation
from SparseToPreciseLib.landmarks.inputs import Surroundings
from SparseToPreciseLib.landmarks.reference import Reference
from SparseToPreciseLib.landmarks.search import TurnedPatterns

# Centre (mm from the shape's own origin) and radius of its balls.
BALLS = (((0.0, 0.0, 0.0), 7.0), ((9.0, 2.0, 0.0), 5.0), ((14.0, 6.0, -6.0), 3.5), ((-2.0, 7.0, 6.0), 4.0))
POINTS = {"big": (-4.5, -5.0, -2.0), "tip": (17.0, 7.0, -7.0), "horn": (-3.0, 10.0, 8.0)}
ORIGIN = np.array([4.0, -6.0, 11.0])
"""Where the reference has it, RAS."""


def depth(points: np.ndarray, turn: np.ndarray, origin: np.ndarray, size: float = 1.0) -> np.ndarray:
    """Depth of (..., 3) RAS points inside the shape, mm."""
    own = (points - origin) @ turn / size
    parts = [radius - np.linalg.norm(own - np.array(centre), axis=-1) for centre, radius in BALLS]
    return size * np.max(parts, axis=0)


def image_on(
    grid: Grid, turn: np.ndarray | None = None, origin: np.ndarray = ORIGIN, size: float = 1.0, noise: float = 4.0
) -> Volume:
    """The shape, bright on an uneven background."""
    turn = np.eye(3) if turn is None else turn
    points = grid.points_ras()
    wave = np.sin(points @ (0.31, 0.22, -0.1) / size) + np.cos(points @ (-0.12, 0.3, 0.27) / size)
    values = 90 / (1 + np.exp(-2 * depth(points, turn, origin, size) / size)) + 3 * wave
    values += noise * np.random.default_rng(5).normal(size=grid.shape)
    return Volume((100 + values).astype(np.float32), grid.ijk_to_ras, "shape")


def landmarks(turn: np.ndarray | None = None, origin: np.ndarray = ORIGIN, size: float = 1.0) -> dict[str, np.ndarray]:
    """Where the landmarks are."""
    turn = np.eye(3) if turn is None else turn
    return {name: origin + size * turn @ np.array(point) for name, point in POINTS.items()}


def grid_around(
    centre: np.ndarray = ORIGIN,
    spacing: tuple[float, float, float] = (1.2, 1.2, 1.2),
    axes: np.ndarray | None = None,
    half_mm: float = 30.0,
) -> Grid:
    """A grid around a point; `axes` has the directions of I, J and K as columns."""
    size = np.ceil(2 * half_mm / np.array(spacing)).astype(int)
    matrix = np.eye(4)
    matrix[:3, :3] = (np.eye(3) if axes is None else axes) * spacing
    matrix[:3, 3] = np.asarray(centre) - matrix[:3, :3] @ (size - 1) / 2
    return Grid(tuple(int(count) for count in size[::-1]), matrix)


def reference(grid: Grid | None = None) -> Reference:
    """The annotated image."""
    grid = grid or grid_around()
    inside = (depth(grid.points_ras(), np.eye(3), ORIGIN) > 0).astype(np.uint8)
    return Reference(image_on(grid), Volume(inside, grid.ijk_to_ras, "shape"), landmarks())


TURN = rotation((1, 2, -1), 55)
MOVED = np.array([-9.0, 5.0, 4.0])
"""Pose of the shape in targets."""

GRIDS = {
    "axis-aligned": grid_around(MOVED),
    "oblique": grid_around(MOVED, axes=rotation((2, -1, 1), 35)),
    "LAS": grid_around(MOVED, axes=np.diag([-1.0, 1, 1])),
    "anisotropic": grid_around(MOVED, (0.9, 1.1, 2.4)),
    "shifted field of view": grid_around(MOVED + [8, -7, 6]),
}
"""On which the same target is stored."""


def quick_template(folder: Path, **options) -> Bundle:
    """Train for some seconds on the reference, with a network of a quarter of the widths of the smallest that ships."""
    from SparseToPreciseLib.landmarks.network import NETWORKS
    from SparseToPreciseLib.landmarks.recipe import train_template

    given = {"steps": 120, "batch_size": 12, "learning_rate": 6e-3, "augmentation": Augmentation(elsewhere=0.3)}
    arguments = {**NETWORKS["small"]["arguments"], "features": [8, 8, 16, 16, 16, 8]}
    NETWORKS["quick"] = {"name": "BasicUNet", "arguments": arguments}
    try:
        return train_template(folder, [reference()], network="quick", device="cpu", **{**given, **options})
    finally:
        del NETWORKS["quick"]


@contextmanager
def turned_once() -> Iterator[None]:
    """A reference is turned once for all templates that hold it, which takes each of them four seconds otherwise."""
    of, found = TurnedPatterns.of, {}

    def turned(reference: Reference, seen: Surroundings, *given: float) -> TurnedPatterns:
        volumes = (reference.soi, seen.image, seen.mean, seen.deviation)
        key = (*given, *(part.tobytes() for one in volumes for part in (one.array, one.ijk_to_ras)))
        if key not in found:
            found[key] = of(reference, seen, *given)
        return found[key]

    with mock.patch.object(TurnedPatterns, "of", turned):
        yield
