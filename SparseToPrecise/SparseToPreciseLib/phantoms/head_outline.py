"""The large surfaces of a head phantom: the cranial cavity, the skull's thickness, the skin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .head_canvas import Canvas, Shape, common, ellipsoid, joined, tube

SIDES = (-1, 1)


@dataclass(frozen=True)
class Outline:
    """Depths (mm) and thicknesses (mm) on the whole grid, (K, J, I).

    Attributes
    ----------
    cavity
        Inside the inner table of the skull.
    skull
        Inside the outer table of the vault and the plate of the base.
    thickness
        Of that shell.
    body
        Inside the skin.
    """

    cavity: np.ndarray
    skull: np.ndarray
    thickness: np.ndarray
    body: np.ndarray


def outline(canvas: Canvas, rng: np.random.Generator) -> Outline:
    """Draw the proportions of one head."""
    points = canvas.points
    cavity = _cavity(points, rng)
    thickness = _thickness(canvas, rng)
    skull = cavity + thickness
    scalp = rng.uniform(4.0, 10.5) + rng.uniform(0.3, 1.2) * canvas.noise(45.0)
    x, y, z = points
    # thicker over the temples and the nape, thin on top of the forehead
    temple = np.exp(-(((np.abs(x) - 66) / 16) ** 2 + ((y - 8) / 34) ** 2 + ((z + 14) / 30) ** 2))
    nape = np.exp(-(((y + 98) / 26) ** 2 + ((z + 48) / 26) ** 2))
    scalp += rng.uniform(4, 9) * temple + rng.uniform(3, 9) * nape
    scalp = np.maximum(scalp, 2.5)
    return Outline(cavity, skull, thickness, _body(points, skull + scalp, rng))


def _cavity(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    def about(value: float, share: float = 0.04) -> float:
        return value * (1 + share * rng.uniform(-1, 1))

    z = points[2]
    cerebrum = ellipsoid((0, -18, 5), (about(69), about(87), about(75)), rng.uniform(2.0, 2.25))(points)
    front = np.clip((points[1] - 10) / 40, 0, 1)
    floor = z + 29 - front * about(8, 0.3) + 0.06 * np.maximum(np.abs(points[0]) - 20, 0) * front
    cavity = common(cerebrum, floor, 8)
    for side in SIDES:
        lobe = ellipsoid((side * 42, -8, -27), (about(24.5), about(40), about(23)))(points)
        cavity = joined(cavity, lobe, 7)
    fossa = ellipsoid((0, -57, -31), (about(52), about(40), about(32)), 2.1)(points)
    canal = tube([(0, -30, -25), (0, -38, -62), (0, -43, -85), (0, -42, -160)], (14, 14, 9, 8))(points)
    return joined(joined(cavity, fossa, 8), canal, 5)


def _thickness(canvas: Canvas, rng: np.random.Generator) -> np.ndarray:
    x, y, z = canvas.points
    mean = rng.uniform(3.5, 6.6)
    varying = mean + rng.uniform(0.4, 1.3) * canvas.noise(38.0) + rng.uniform(0.1, 0.5) * canvas.noise(16.0)
    squama = np.exp(-(((np.abs(x) - 68) / 14) ** 2 + ((y + 5) / 36) ** 2 + ((z + 18) / 26) ** 2))
    occiput = np.exp(-((x / 16) ** 2 + ((y + 106) / 16) ** 2 + ((z + 16) / 16) ** 2))
    below = np.clip((-8 - z) / 26, 0, 1) * np.clip((62 - np.abs(y + 20)) / 20, 0, 1)
    varying *= 1 - rng.uniform(0.35, 0.6) * squama
    varying += rng.uniform(0, 6) * occiput - rng.uniform(0.25, 0.45) * mean * below
    return np.clip(varying, 1.8, 11).astype(np.float32)


def _body(points: np.ndarray, vault: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Vault with scalp, face, jaw, nose, ears and neck in one skin."""

    def about(value: float, share: float = 0.07) -> float:
        return value * (1 + share * rng.uniform(-1, 1))

    stout = rng.uniform(0.9, 1.1)
    spine = [(0, -28, -36), (0, -36, -78), (0, -34, -125), (0, -34, -200)]
    # The base of the skull is no part of the outline: from there the face and the neck go on.
    vault = common(vault, points[2] + 58, 10)
    body = joined(vault, ellipsoid((0, 34, -58), (about(64) * stout, about(54), about(62)), 2.5)(points), 12)
    parts: list[tuple[Shape, float]] = [
        (ellipsoid((0, 38, -112), (about(46) * stout, about(46), about(28)), 2.4), 14),
        (tube(spine, np.array([68, 69, 60, 61]) * stout * about(1)), 14),
        (ellipsoid((0, -62, -64), (about(60), about(48), about(46))), 12),
        (ellipsoid((0, 48, -84), (about(38), about(40), about(24))), 10),
    ]
    tip = about(22, 0.35)
    parts.append((tube([(0, 80, -22), (0, 80 + 0.75 * tip, -54), (0, 78 + tip, -62)], (5, 8, about(9))), 7))
    parts.append((ellipsoid((0, 82, -66), (about(17), 10, 8)), 6))
    for side in SIDES:
        parts.append((ellipsoid((side * 52, 0, -68), (about(24) * stout, about(34), about(40))), 14))
        parts.append((ellipsoid((side * 38, 56, -52), (about(24), about(20), about(18))), 10))
    for shape, smoothness in parts:
        body = joined(body, shape(points), smoothness)
    for side in SIDES:
        if rng.random() < 0.06:
            continue  # folded away or cut
        base = np.array([side * about(78, 0.03), -26, -40])
        out = base + [side * about(12, 0.3), -about(14, 0.3), 8]
        ear = tube([base, out], (9, 15), (0.22, 1.0, 1.6))(points)
        body = joined(body, ear, 4)
    return body
