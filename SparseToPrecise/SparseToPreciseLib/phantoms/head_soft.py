"""Soft tissue of a head phantom outside the skull: skin, fat, muscle, glands, throat, eyes."""

from __future__ import annotations

import numpy as np

from .head_canvas import Canvas, ellipsoid, sheets, tube
from .head_outline import SIDES, Outline
from .head_tissues import AIR, BLOOD, CARTILAGE, FAT, GLAND, LENS, MUCOSA, MUSCLE, SKIN, VITREOUS, WHITE


def paint_soft(canvas: Canvas, head: Outline, rng: np.random.Generator) -> None:
    """Paint skin, fat and muscle of scalp, face and neck, as if no bone were there."""
    body, z = head.body, canvas.points[2]
    skin = np.maximum(rng.uniform(1.2, 2.4) + 0.3 * canvas.noise(20.0), 0.8)
    canvas.paint(canvas.share(body), SKIN)
    inner = canvas.share(body - skin)
    canvas.paint(inner, FAT)
    fat = rng.uniform(0.5, 7.0) + rng.uniform(0.5, 2.5) * canvas.noise(30.0)
    fat = np.maximum(fat, 0.3) + skin
    # The scalp: fat down to a thin layer of muscle and fascia on the bone.
    galea = head.skull + rng.uniform(0.3, 2.0)
    partitions = sheets(canvas.noise(rng.uniform(9, 15)), canvas.softness)
    thin = np.maximum(rng.uniform(-0.6, 0.9) + 0.7 * canvas.noise(28.0), -1.0)
    flesh = np.minimum(body - fat, partitions - thin)
    scalp = np.clip((z + 20) / 16, 0, 1)
    flesh = flesh * (1 - scalp) + scalp * np.minimum(np.minimum(galea, body - skin), 3.0)
    canvas.paint(canvas.share(flesh) * inner, MUSCLE)
    _temples(canvas, head, rng)
    _face(canvas, rng)


def _temples(canvas: Canvas, head: Outline, rng: np.random.Generator) -> None:
    """The muscle that fills the temples from the skull to the fat below the skin."""
    cover = rng.uniform(3.0, 5.5)
    for side in SIDES:
        shape = ellipsoid((side * 66, 4, -20), (22, 40, 44))
        where, points = canvas.around(shape.points, shape.reach)
        if points.size:
            muscle = np.minimum(shape(points), head.body[where] - cover)
            canvas.paint(canvas.share(muscle), MUSCLE, where)


def _face(canvas: Canvas, rng: np.random.Generator) -> None:
    def about(value: float, share: float = 0.15) -> float:
        return value * (1 + share * rng.uniform(-1, 1))

    for side in SIDES:
        canvas.fill(ellipsoid((side * 44, 34, -70), (about(12), about(16), about(16))), FAT)  # cheek
        canvas.fill(ellipsoid((side * 54, 12, -88), (about(7), about(17), about(24))), MUSCLE)  # masseter
        canvas.fill(ellipsoid((side * 58, -8, -78), (about(9), about(14), about(22))), GLAND)  # parotid
        canvas.fill(ellipsoid((side * 26, 16, -112), (about(9), about(14), about(9))), GLAND)
        canvas.fill(ellipsoid((side * 30, 10, -72), (about(9), about(15), about(17))), MUSCLE)  # pterygoid
        canvas.fill(tube([(side * 24, -10, -60), (side * 26, -4, -160)], about(3.2)), BLOOD)
        canvas.fill(tube([(side * 30, -18, -58), (side * 34, -12, -160)], about(4.5)), BLOOD)
        canvas.fill(tube([(side * 8, 98, -62), (side * 12, 90, -64)], 6), CARTILAGE)
    canvas.fill(ellipsoid((0, 36, -98), (about(22), about(30), about(15))), MUSCLE)  # tongue
    if rng.random() < 0.5:
        canvas.fill(ellipsoid((0, 36, -84), (about(20), about(24), rng.uniform(1.0, 4.0))), AIR)
    throat = [(0, 16, -58), (0, 4, -78), (0, 2, -100), (0, 8, -125), (0, 8, -180)]
    radii = np.array([about(8), about(7), about(7), about(8), about(8)])
    canvas.fill(tube(throat, radii, (1.5, 0.9, 1)), MUCOSA, grow=2.5)
    canvas.fill(tube(throat, radii, (1.5, 0.9, 1)), AIR)


def paint_eyes(canvas: Canvas, head: Outline, rng: np.random.Generator) -> None:
    """Orbits' contents: fat, globes, lenses, nerves and muscles. After the bones of the face."""
    below = -rng.uniform(1.0, 2.5) - head.cavity
    size = rng.uniform(11.2, 12.8)
    for side in SIDES:
        centre = np.array([side * rng.uniform(30, 34), rng.uniform(56, 63), -36 + rng.uniform(-2, 2)])
        apex = np.array([side * 13.0, 20.0, -34.0])
        canvas.fill(tube([centre + [0, 5, 0], apex], (size + 4.5, 5)), FAT, within=np.minimum(below, head.body - 2))
        for up, out in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            on = centre + np.array([out * (size + 1), 0, up * (size + 1)])
            canvas.fill(tube([on, apex], (1.6, 1.4)), MUSCLE)
        canvas.fill(tube([centre + [0, -size, 0], apex], 1.9), WHITE)
        canvas.fill(ellipsoid(centre, (size,) * 3), MUSCLE, grow=0.8)
        canvas.fill(ellipsoid(centre, (size,) * 3), VITREOUS)
        canvas.fill(ellipsoid(centre + [0, size - 3.5, 0], (4.6, 2.2, 4.6)), LENS)
        canvas.fill(ellipsoid(centre + [side * 15, 4, 9], (5, 8, 5)), GLAND)
