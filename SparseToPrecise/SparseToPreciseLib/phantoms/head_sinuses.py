"""The air within a head phantom: sinuses, nose, ears, mastoid cells; each with its lining, some of them filled."""

from __future__ import annotations

import numpy as np

from .head_canvas import Canvas, Shape, ellipsoid, tube
from .head_outline import SIDES, Outline
from .head_tissues import AIR, CARTILAGE, COMPACT, MUCOSA


def paint_hollows(canvas: Canvas, head: Outline, rng: np.random.Generator) -> None:
    """Paint all hollows of the face and the base, after the bones."""
    _nose(canvas, rng)
    _sinuses(canvas, rng, np.minimum(-head.cavity, head.body - 5))
    for side in SIDES:
        _ear(canvas, rng, side)


def _hollow(canvas: Canvas, rng: np.random.Generator, shape: Shape, within: np.ndarray, bone: float) -> None:
    """Walls of bone, a lining, air; now and then swollen or full."""
    canvas.fill(shape, COMPACT, grow=bone, within=within)
    within = within - bone
    canvas.fill(shape, MUCOSA, within=within)
    lining = rng.uniform(0.2, 1.0) if rng.random() < 0.8 else rng.uniform(1.0, 6.0)
    if rng.random() < 0.96:
        canvas.fill(shape, AIR, grow=-lining, within=within - lining)


def _nose(canvas: Canvas, rng: np.random.Generator) -> None:
    def about(value: float, share: float = 0.15) -> float:
        return value * (1 + share * rng.uniform(-1, 1))

    cavity = ellipsoid((0, 50, -58), (about(12), about(33), about(17)))
    canvas.fill(cavity, MUCOSA, grow=1.0)
    canvas.fill(cavity, AIR)
    for side in SIDES:
        canvas.fill(tube([(side * 8, 96, -72), (side * 6, 78, -62)], (4.0, 5.0)), AIR)
        for height, radius in ((-69, 5.5), (-58, 4.6), (-48, 3.5)):
            path = [(side * 8, 70, height), (side * 7.5, 26, height)]
            canvas.fill(tube(path, about(radius, 0.4), (0.8, 1, 1.2)), MUCOSA)
    bow = rng.normal(0, 2)
    septum = tube([(0, 86, -52), (bow, 54, -54), (0, 24, -56)], 1.3, (1, 1, 13))
    canvas.fill(septum, MUCOSA)
    canvas.fill(tube([(bow, 60, -44), (0, 26, -52)], 0.6, (1, 1, 14)), COMPACT)


def _sinuses(canvas: Canvas, rng: np.random.Generator, within: np.ndarray) -> None:
    def about(value: float, share: float = 0.18) -> float:
        return value * (1 + share * rng.uniform(-1, 1))

    for side in SIDES:
        maxillary = ellipsoid((side * 30, 44, -65), (about(13), about(16), about(15)), 2.4)
        _hollow(canvas, rng, maxillary, within, rng.uniform(0.4, 1.1))
        sphenoid = ellipsoid((side * about(8), 12, -39), (about(8), about(12), about(8)))
        _hollow(canvas, rng, sphenoid, within, 1.0)
        if rng.random() < 0.88:
            frontal = ellipsoid((side * about(13), 76, -12), (about(13, 0.4), about(5.5, 0.3), about(13, 0.4)))
            _hollow(canvas, rng, frontal, within, rng.uniform(1.5, 2.8))
        for y in (28, 37, 46, 55):  # ethmoid cells
            for z in (-30, -39, -47):
                centre = (side * about(8, 0.2), y + rng.normal(0, 1), z + rng.normal(0, 1))
                cell = ellipsoid(centre, (about(4.6), 4.6, 4.6))
                canvas.fill(cell, COMPACT, grow=0.5, within=within)
                if rng.random() < 0.93:
                    canvas.fill(cell, AIR, grow=-0.1, within=within - 0.6)
                else:
                    canvas.fill(cell, MUCOSA, within=within - 0.6)


def _ear(canvas: Canvas, rng: np.random.Generator, side: int) -> None:
    def about(value: float, share: float = 0.15) -> float:
        return value * (1 + share * rng.uniform(-1, 1))

    canal = [(side * 92, -27, -40), (side * 70, -25, -43), (side * 48, -22, -42)]
    canvas.fill(tube([(side * 66, -25, -43), canal[2]], about(3.4)), COMPACT, grow=2.0)
    canvas.fill(tube(canal[:2], 3.0), CARTILAGE, grow=1.5)
    canvas.fill(tube(canal, (about(5), about(3.2), about(3))), AIR)
    canvas.fill(ellipsoid((side * 46, -22, -41), (about(3), about(5), about(6))), AIR)
    if rng.random() < 0.1:
        return  # a mastoid without cells
    spread = ellipsoid((side * 54, -39, -50), (about(10, 0.25), about(14, 0.25), about(18, 0.25)), turn=0.2)
    where, points = canvas.around(spread.points, spread.reach)
    if points.size:
        cells = canvas.noise(rng.uniform(3.2, 4.8))[where]
        open_ = np.minimum(spread(points) - 1.5, (cells - rng.uniform(-0.5, 0.6)) * 1.5)
        canvas.paint(canvas.share(open_), AIR if rng.random() < 0.93 else MUCOSA, where)
