"""Bones of a head phantom: the vault with its tables, the base, the face, jaw, teeth and spine."""

from __future__ import annotations

import numpy as np

from .head_canvas import Canvas, Shape, ellipsoid, tube
from .head_outline import SIDES, Outline
from .head_tissues import (
    AIR,
    CARTILAGE,
    COMPACT,
    DIPLOE,
    MUSCLE,
    PETROUS,
    SPONGY,
    TOOTH,
)

_LOWEST = -58.0
"""Below this height (mm) the shell of the cavity is no skull but soft tissue."""


def paint_face(canvas: Canvas, rng: np.random.Generator) -> None:
    """Paint spine, face, jaw and teeth; what is hollow in them comes after (`head_sinuses`)."""
    _spine(canvas, rng)
    _face(canvas, rng)
    _jaw(canvas, rng)


def _marrowed(canvas: Canvas, shape: Shape, cortex: float, tissue: int = SPONGY) -> None:
    """Compact bone around spongy bone; all compact where it is thin."""
    canvas.fill(shape, COMPACT)
    canvas.fill(shape, tissue, grow=-cortex)


def paint_vault(canvas: Canvas, head: Outline, rng: np.random.Generator) -> None:
    """Paint the shell around the cranial cavity, and the cavity as if it were bone, too."""
    x, y, z = canvas.points
    skull, thickness = head.skull, head.thickness
    # Nothing around the spinal canal, and holes for what passes through the base.
    there = np.minimum(skull, np.maximum(z - _LOWEST, 62 - np.hypot(x, y + 200) * 0.5))
    hole = np.hypot(x, (y + 40) / 1.2) - 15.5
    there = np.where(z < -50, np.minimum(there, hole), there)
    canvas.paint(canvas.share(there), COMPACT)
    outer = np.maximum(rng.uniform(0.9, 2.0) + 0.25 * canvas.noise(25.0), 0.6)
    inner = np.maximum(rng.uniform(0.7, 1.6) + 0.2 * canvas.noise(25.0), 0.5)
    # Where the bone is thin the tables touch.
    diploe = canvas.share(there - outer) - canvas.share(there - np.maximum(thickness - inner, outer))
    canvas.paint(np.maximum(diploe, 0), DIPLOE)


def paint_base(canvas: Canvas, rng: np.random.Generator) -> None:
    """Paint the massive bones of the base, parts of which rise into the cavity."""

    def about(value: float, share: float = 0.12) -> float:
        return value * (1 + share * rng.uniform(-1, 1))

    clivus = tube([(0, -6, -36), (0, -16, -48), (0, -24, -62)], (about(8), about(7), about(5)), (1.5, 0.7, 1))
    _marrowed(canvas, clivus, 1.5)
    _marrowed(canvas, ellipsoid((0, 9, -38), (about(19), about(19), about(13))), 1.5)
    for side in SIDES:
        petrous = tube(
            [(side * 60, -34, -44), (side * 40, -28, -40), (side * 12, -14, -38)],
            (about(13), about(9), about(6)),
            (1, 1, 0.85),
        )
        _marrowed(canvas, petrous, rng.uniform(1.5, 4.0))
        canvas.fill(ellipsoid((side * 40, -27, -41), (about(9), about(7), about(7))), PETROUS)
        mastoid = ellipsoid((side * 54, -38, -55), (about(11), about(14), about(19)), turn=0.2)
        _marrowed(canvas, mastoid, rng.uniform(1.5, 3.0))
        canvas.fill(tube([(side * 18, -36, -66), (side * 16, -30, -70)], about(6)), COMPACT)  # condyle
        canvas.fill(tube([(side * 14, 16, -52), (side * 16, 14, -80)], about(1.8), (1, 2.5, 1)), COMPACT)  # pterygoid
        if rng.random() < 0.7:
            canvas.fill(tube([(side * 42, -14, -62), (side * 38, -4, -84)], 1.3), COMPACT)  # styloid


def _face(canvas: Canvas, rng: np.random.Generator) -> None:
    def about(value: float, share: float = 0.12) -> float:
        return value * (1 + share * rng.uniform(-1, 1))

    wall = rng.uniform(0.4, 1.1)
    for side in SIDES:
        # Walls of the orbit; its contents come later.
        orbit = tube([(side * 32, 62, -36), (side * 13, 20, -34)], (17.5, 5))
        where, points = canvas.around(orbit.points, orbit.reach + 3)
        if points.size:
            shell = np.minimum(orbit(points) + wall, 64 - points[1] - 0.25 * np.abs(points[0]))
            canvas.paint(canvas.share(shell), COMPACT, where)
        rim = [(0, 17.5), (13, 12), (17, 0), (13, -13), (0, -17), (-12, -12), (-16, 0), (-12, 12), (0, 17.5)]
        ring = [(side * (33 + out), 66 - 0.55 * max(out, 0), -36 + up) for out, up in rim]
        _marrowed(canvas, tube(ring, about(3.4)), 1.4)
        arch = [(side * 66, -12, -44), (side * 67, 12, -47), (side * 59, 36, -50), (side * 47, 54, -53)]
        _marrowed(canvas, tube(arch, (2.6, 2.6, about(4), about(6)), (0.8, 1, 1.3)), 1.5)
        cheek = ellipsoid((side * 30, 46, -64), (about(16), about(18), about(18)))
        canvas.fill(cheek, COMPACT, grow=wall)  # around the maxillary sinus
        _marrowed(canvas, tube([(side * 22, 62, -72), (side * 15, 68, -50), (side * 8, 78, -30)], about(4)), 1.2)
    _marrowed(canvas, tube([(0, 78, -26), (0, 89, -42)], (about(5), about(3)), (1.3, 1, 1)), 1.3)  # nasal bone
    canvas.fill(ellipsoid((0, 44, -78), (about(25), about(29), 3.2)), COMPACT)  # palate
    half = [(27, 20), (26, 36), (19, 54), (9, 64)]
    arch = [(-x, y, -84.0) for x, y in half] + [(x, y, -84.0) for x, y in half[::-1]]
    _marrowed(canvas, tube(arch, about(5.5), (1, 1, 1.3)), 1.2)  # the upper jaw, which holds the teeth


def _jaw(canvas: Canvas, rng: np.random.Generator) -> None:
    opening = rng.uniform(0, 6)
    body = [(46, -4, -108), (40, 24, -113), (26, 52, -117), (11, 66, -119)]
    line = [(-x, y, z - opening) for x, y, z in body] + [(x, y, z - opening) for x, y, z in body[::-1]]
    _marrowed(canvas, tube(line, rng.uniform(5.5, 7.0), (0.8, 0.8, 1.5)), 2.0)
    for side in SIDES:
        up = [(side * 46, -3, -108 - opening), (side * 50, -4, -80), (side * 52, -12, -53)]
        ramus = tube(up, (8, 8, 5), (0.4, 1, 1))
        _marrowed(canvas, ramus, 1.6)
        canvas.fill(ellipsoid((side * 52, -12, -52), (8, 4.5, 4)), COMPACT)
    if rng.random() < 0.92:
        _teeth(canvas, rng, opening)


def _teeth(canvas: Canvas, rng: np.random.Generator, opening: float) -> None:
    angles = np.linspace(-1.25, 1.25, 14)
    missing = rng.uniform(0, 0.35) if rng.random() < 0.4 else 0.0
    for top in (True, False):
        for angle in angles:
            if rng.random() < missing:
                continue
            x, y = 28 * np.sin(angle), 34 + 31 * (np.cos(angle) - 0.32) / 0.68 * 0.95 - 14
            x, y = (x, y) if top else (0.94 * x, 0.95 * y + 1)
            root, crown = ((-84, -97) if top else (-112 - opening, -99 - opening))
            canvas.fill(tube([(x, y, root), (x, y, crown)], (1.6, rng.uniform(2.6, 3.4))), TOOTH)


def _spine(canvas: Canvas, rng: np.random.Generator) -> None:
    """Atlas, axis and the vertebrae below, around the spinal canal."""
    lean = rng.uniform(-0.08, 0.12)
    for number in range(6):
        height = -78.0 - 17 * number
        front = -42 + 20 + lean * 17 * number
        if canvas.points[2].min() > height + 20:
            break
        width = 10.5 if number else 7.0
        _marrowed(canvas, ellipsoid((0, front, height), (width, 9, 8.2 if number else 12), 3.0), 1.3)
        half = [(12, 8), (15, 0), (12, -10), (0, -15)]
        ring = [(-x, y) for x, y in half] + [(x, y) for x, y in half[-2::-1]]
        ring = [(x, y - 42 + lean * 17 * number, height - 2) for x, y in ring]
        _marrowed(canvas, tube(ring, rng.uniform(3.0, 4.2), (1, 1, 1.4)), 1.3)
        if number:
            spine = [(0, -56 + lean * 17 * number, height - 3), (0, -74 + lean * 17 * number, height - 8)]
            _marrowed(canvas, tube(spine, (4, 3)), 1.2)
            canvas.fill(ellipsoid((0, front, height + 8.5), (10, 8, 2.0)), CARTILAGE)
        for side in SIDES:
            wing = [(side * 12, -36, height), (side * (34 if number == 0 else 24), -34, height)]
            _marrowed(canvas, tube(wing, 4.5), 1.2)
            canvas.fill(ellipsoid((side * 22, -58, height), (9, 9, 9)), MUSCLE)
    if rng.random() < 0.05:  # a pouch beside the throat
        canvas.fill(ellipsoid((0, 10, -140), (6, 6, 10)), AIR)
