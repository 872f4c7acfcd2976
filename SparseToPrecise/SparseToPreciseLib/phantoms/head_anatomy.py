"""Anatomy of a head phantom: bones, brain and fluid, hollows, soft tissue outside the skull."""

from __future__ import annotations

import numpy as np

from .head_canvas import Canvas, Shape, Window, ellipsoid, sheets, tube
from .head_outline import SIDES, Outline
from .head_tissues import (
    AIR,
    BLOOD,
    CARTILAGE,
    COMPACT,
    CSF,
    DIPLOE,
    DURA,
    FAT,
    GLAND,
    GREY,
    LENS,
    LESION,
    MUCOSA,
    MUSCLE,
    OEDEMA,
    PETROUS,
    SKIN,
    SPONGY,
    TOOTH,
    VITREOUS,
    WHITE,
)

_LOWEST = -58.0
"""Below this height (mm) the shell of the cavity is no skull but soft tissue."""


def paint_face(canvas: Canvas, rng: np.random.Generator) -> None:
    """Paint spine, face, jaw and teeth; what is hollow in them comes after (`head_sinuses`)."""
    _spine(canvas, rng)
    _facial_bones(canvas, rng)
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


def _facial_bones(canvas: Canvas, rng: np.random.Generator) -> None:
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
