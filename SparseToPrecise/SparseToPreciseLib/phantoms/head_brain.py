"""Contents of the cranial cavity of a head phantom: fluid, folded cortex, nuclei, ventricles, vessels, lesions."""

from __future__ import annotations

import numpy as np

from .head_canvas import Canvas, Window, ellipsoid, sheets, tube
from .head_outline import SIDES, Outline
from .head_tissues import BLOOD, CSF, DURA, GREY, LESION, OEDEMA, WHITE

_CORTEX_MM = 3.0


def paint_brain(canvas: Canvas, head: Outline, rng: np.random.Generator) -> None:
    """Paint everything within the inner table of the skull."""
    where = canvas.window((-80, -118, -80), (80, 85, 90))
    points = canvas.points[(slice(None), *where)]
    if not points.size:
        return
    x, y, z = points
    cavity = head.cavity[where]
    canvas.paint(canvas.share(cavity), DURA if rng.random() < 0.5 else CSF, where)
    canvas.paint(canvas.share(cavity - rng.uniform(0.3, 1.0)), CSF, where)
    gap = np.maximum(rng.uniform(1.2, 3.5) + rng.uniform(0.2, 0.9) * canvas.noise(30.0)[where], 0.6)
    # The canal below the foramen magnum holds a cord, painted below, and the base has its cisterns.
    gap += 6 * np.clip(1 - np.hypot(x / 22, (y + 8) / 20), 0, 1) * (z < -15) + 40 * np.clip((-64 - z) / 8, 0, 1)
    depth = cavity - gap
    inner = canvas.share(depth)
    canvas.paint(inner, GREY, where)

    fold = canvas.noise((6.5, 7.5, 7.0))[where] + 0.3 * canvas.noise(16.0)[where]
    across = sheets(fold, canvas.softness)
    reach = rng.uniform(11, 17)
    gyri = np.sqrt(across**2 + np.maximum(depth - reach, 0) ** 2)
    half = np.maximum(rng.uniform(0.2, 0.9) + 0.3 * canvas.noise(35.0)[where], 0.1)
    fissure = _fissures(x, y, z + 2.5 * canvas.noise(14.0)[where])
    tent = 2 - 0.5 * np.abs(x) - 0.38 * np.maximum(-45 - y, 0)
    room = ellipsoid((0, -62, -34), (56, 33, 40))
    below = np.minimum(tent - z, room(points))  # depth within the cerebellum
    gyri = np.where(below > -1, np.maximum(gyri, 6), np.minimum(gyri, fissure))
    white = np.minimum(depth - _CORTEX_MM, gyri - half - _CORTEX_MM)
    canvas.paint(canvas.share(white) * inner, WHITE, where)
    canvas.paint(np.maximum(canvas.share(half - gyri) * inner, 0), CSF, where)
    _cerebellum(canvas, where, depth, below, rng)
    _middle(canvas, rng)
    _membranes(canvas, where, x, y, z, cavity, below, rng)
    if rng.random() < 0.2:
        _lesion(canvas, rng)


def _fissures(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Distance to the clefts between the hemispheres and above the temporal lobes."""
    centre = np.hypot((y + 18) / 44, (z - 6) / 24)
    long = np.sqrt((x - 0.8 * np.sin(y / 19)) ** 2 + np.maximum(1.02 - centre, 0) ** 2 * 900)
    height = z + 9 - 0.5 * np.clip(12 - y, 0, 50)
    side = np.maximum(34 - np.abs(x), 0) ** 2 + np.maximum(y - 22, 0) ** 2 + np.maximum(-38 - y, 0) ** 2
    return np.minimum(long - 0.6, np.sqrt(height**2 + side) - 0.8)


def _cerebellum(
    canvas: Canvas, where: Window, depth: np.ndarray, below: np.ndarray, rng: np.random.Generator
) -> None:
    folia = canvas.noise((16.0, 13.0, 4.5))[where]
    across = sheets(folia, canvas.softness)
    room = np.minimum(depth, below - 1.0)
    canvas.paint(canvas.share(np.minimum(room - 2.0, np.maximum(across - 1.9, room - 15))), WHITE, where)
    thin = rng.uniform(0.1, 0.5)
    canvas.paint(canvas.share(np.minimum(room, np.minimum(thin - across, 9 - room))), CSF, where)


def _middle(canvas: Canvas, rng: np.random.Generator) -> None:
    """Nuclei, brain stem and ventricles."""

    def about(value: float, share: float = 0.12) -> float:
        return value * (1 + share * rng.uniform(-1, 1))

    canvas.fill(tube([(0, -16, -6), (0, -22, -28)], (13, 14), (1.15, 0.8, 1)), WHITE)
    canvas.fill(tube([(0, -22, -28), (0, -36, -58), (0, -42, -80), (0, -41, -160)], (13, 8, 5, 4.5)), WHITE)
    wide = float(np.exp(rng.normal(0.0, 0.32)))
    for side in SIDES:
        canvas.fill(ellipsoid((side * 12, -19, 7), (about(9), about(14), about(9))), GREY)
        canvas.fill(ellipsoid((side * 26, 3, 1), (about(6), about(17), about(10))), GREY)
        canvas.fill(ellipsoid((side * 14, 14, 8), (about(5), about(12), about(8))), GREY)
        path = [(7, 30, 5), (8, 20, 13), (9, 0, 20), (13, -22, 21), (21, -40, 13), (26, -38, 0), (32, -16, -14)]
        path = np.array(path) * (side, 1, 1)
        canvas.fill(tube(path, np.array([3.2, 4.2, 4.0, 4.6, 6.0, 3.0, 1.5]) * wide), CSF)
        if rng.random() < 0.4:
            canvas.fill(tube([(side * 21, -70, 4), path[4]], np.array([1.0, 4.0]) * wide), CSF)
    canvas.fill(ellipsoid((0, -14, 0), (2.2 * wide, 13, 10)), CSF)
    canvas.fill(ellipsoid((0, -42, -32), (6 * wide, 5, 11)), CSF)
    canvas.fill(ellipsoid((0, 3, -18), (9, 7, 6)), CSF)


def _membranes(
    canvas: Canvas,
    where: Window,
    x: np.ndarray,
    y: np.ndarray,
    z: np.ndarray,
    cavity: np.ndarray,
    below: np.ndarray,
    rng: np.random.Generator,
) -> None:
    thick = rng.uniform(0.3, 0.9)
    falx = np.minimum(thick - np.abs(x - 0.8 * np.sin(y / 19)), np.minimum(cavity, 22 - cavity))
    falx = np.minimum(falx, z + 14)
    tent = np.minimum(thick - np.abs(below), np.minimum(cavity, 24 - cavity))
    canvas.paint(canvas.share(np.maximum(falx, np.minimum(tent, -30 - y)) - 0.5 * thick), DURA, where)
    radius = rng.uniform(2.5, 4.5)
    sinus = radius - np.hypot(x, np.maximum(cavity - 1.5, 0) - radius * 0.6)
    canvas.paint(canvas.share(np.minimum(np.minimum(sinus, cavity), np.maximum(z - 20, -40 - y))), BLOOD, where)
    for side in SIDES:
        path = [(0, -98, -18), (side * 30, -90, -24), (side * 50, -62, -30), (side * 50, -44, -44)]
        canvas.fill(tube(path, rng.uniform(2.0, 4.0)), BLOOD)


def _lesion(canvas: Canvas, rng: np.random.Generator) -> None:
    """A tumour with oedema, or a fluid-filled defect."""
    centre = np.array([rng.uniform(-42, 42), rng.uniform(-75, 45), rng.uniform(-10, 50)])
    size = rng.uniform(6, 20)
    ring = ellipsoid(centre, size * rng.uniform(1.0, 2.0, 3))
    where, points = canvas.around(ring.points, ring.reach)
    if not points.size:
        return
    ragged = ring(points) + 2.5 * canvas.noise(9.0)[where]
    within = ellipsoid((0, -17, 9), (62, 82, 62))(points)
    canvas.paint(canvas.share(np.minimum(ragged, within)) * rng.uniform(0.5, 1.0), OEDEMA, where)
    core = ellipsoid(centre, size * rng.uniform(0.6, 1.0, 3))(points) + 1.5 * canvas.noise(7.0)[where]
    canvas.paint(canvas.share(np.minimum(core, within)), LESION if rng.random() < 0.8 else CSF, where)
    if rng.random() < 0.5:
        canvas.paint(canvas.share(np.minimum(core - 0.4 * size, within)), CSF, where)
