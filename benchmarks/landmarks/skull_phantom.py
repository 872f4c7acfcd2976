"""A skull of a small animal in micro-CT: half a hundred parts, tens of landmarks, no two individuals alike.

Not a sculpture of a species: a braincase, a snout, cheek arches, ear capsules, a lower jaw and teeth, in places and
proportions that make it as hard as a skull. It is hollow, nearly symmetric, longer than wide, and only its ends tell
its front from its back. Every individual is one geometry under a known deformation, so landmarks are exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from SparseToPreciseLib.core.volume import Volume

from .known_warps import KnownWarp, covering

LENGTH_MM = 10.0
SPACING_MM = 0.1
_THICKNESS = 0.22
_FIELD_MM = 14.0
_BONE, _SOFT, _AIR = 170.0, 45.0, 12.0  # of 255


@dataclass(frozen=True)
class Skull:
    """An individual: 8-bit image, mask of the bone, landmarks."""

    image: Volume
    bone: Volume
    landmarks: dict[str, np.ndarray]


def make_skull(number: int, angle_deg: float, variation: float = 1.0) -> Skull:
    """An individual in a pose: turned by an angle about a random axis, off the middle by up to 1 mm."""
    rng = np.random.default_rng([number, 41])
    warp = KnownWarp.random(
        rng, np.zeros(3), rng.uniform(-0.6, 0.6, 3), angle_deg, LENGTH_MM, 0.02 * variation, 0.10 * variation
    )
    grid = covering(np.zeros(3), _FIELD_MM, np.full(3, SPACING_MM))
    thickness = _THICKNESS * (1 + 0.15 * variation * rng.uniform(-1, 1))
    bone = np.empty(grid.shape, np.float32)
    soft = np.empty(grid.shape, np.float32)
    for k in range(grid.shape[0]):
        plane = grid.cropped((slice(k, k + 1), slice(None), slice(None))).points_ras()[0]
        bone[k], soft[k] = _parts(warp.back(plane), thickness)
    texture = ndimage.gaussian_filter(rng.standard_normal(grid.shape, dtype=np.float32), 2.5)
    texture /= texture.std()
    edge = 0.06
    share = 1 / (1 + np.exp(np.clip(bone / edge, -30, 30)))
    flesh = 1 / (1 + np.exp(np.clip(soft / edge, -30, 30)))
    tones = rng.uniform(0.8, 1.15, 2)
    image = _AIR + flesh * (_SOFT * tones[0] - _AIR) + 4 * flesh * texture
    image += share * (_BONE * tones[1] * (1 + 0.08 * texture) - image)
    image += rng.uniform(4, 9) * rng.standard_normal(grid.shape, dtype=np.float32)
    return Skull(
        Volume(np.clip(np.round(image), 0, 255).astype(np.uint8), grid.ijk_to_ras, f"skull {number}"),
        Volume((bone < 0).astype(np.uint8), grid.ijk_to_ras, "bone"),
        {name: warp.there(point) for name, point in LANDMARKS.items()},
    )


def _ellipsoid(p: np.ndarray, centre: tuple, radii: tuple) -> np.ndarray:
    """About the signed distance to an ellipsoid, negative inside."""
    scaled = (p - np.array(centre)) / np.array(radii)
    length = np.linalg.norm(scaled, axis=-1)
    return (length - 1) * min(radii)


def _tube(p: np.ndarray, start: tuple, end: tuple, first: float, last: float) -> np.ndarray:
    """Signed distance to a straight tube that tapers."""
    a, b = np.array(start, float), np.array(end, float)
    along = np.clip((p - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
    away = np.linalg.norm(p - a - along[..., None] * (b - a), axis=-1)
    return away - (first + (last - first) * along)


def _parts(p: np.ndarray, thickness: float) -> tuple[np.ndarray, np.ndarray]:
    """Signed distances (mm, negative inside) to the bone and to all soft tissue; nose along +A, right +R."""
    case = _ellipsoid(p, (0, -2.2, 0.3), (2.3, 2.7, 1.9))
    snout = _tube(p, (0, 0.0, 0.0), (0, 4.3, -0.5), 1.25, 0.62)
    inside = np.minimum(case, snout)
    shell = np.abs(inside + thickness / 2) - thickness / 2
    holes = [_ellipsoid(p, (0, -4.9, -0.3), (0.65, 0.7, 0.6)), _tube(p, (0, 4.0, -0.4), (0, 5.4, -0.6), 0.42, 0.42)]
    for side in (-1, 1):
        holes.append(_ellipsoid(p, (side * 1.55, 0.7, 0.55), (0.7, 0.8, 0.7)))
    for hole in holes:
        shell = np.maximum(shell, -hole)
    bone = shell
    for side in (-1, 1):
        capsule = _ellipsoid(p, (side * 1.5, -2.7, -1.5), (0.75, 0.95, 0.65))
        bone = np.minimum(bone, np.abs(capsule + 0.06) - 0.07)
        corners = [(1.15, 1.5, -0.35), (2.15, 0.8, -0.6), (2.5, -0.5, -0.65), (2.0, -1.6, -0.3)]
        for start, end in zip(corners[:-1], corners[1:], strict=True):
            ends = [(side * one[0], one[1], one[2]) for one in (start, end)]
            bone = np.minimum(bone, _tube(p, *ends, 0.17, 0.15))
        jaw = [(0.25, 4.0, -1.55), (0.9, 1.6, -1.9), (1.55, -0.6, -1.8), (1.75, -1.2, -0.9)]
        for start, end in zip(jaw[:-1], jaw[1:], strict=True):
            ends = [(side * one[0], one[1], one[2]) for one in (start, end)]
            bone = np.minimum(bone, _tube(p, *ends, 0.26, 0.24))
        bone = np.minimum(bone, _tube(p, (side * 0.2, 4.3, -0.9), (side * 0.15, 4.75, -1.5), 0.18, 0.1))
        for step in range(3):
            bone = np.minimum(
                bone, _ellipsoid(p, (side * 0.85, 1.9 - 0.55 * step, -1.25), (0.26 - 0.03 * step, 0.25, 0.3))
            )
    # No animal is the mirror image of itself.
    bone = np.minimum(bone, _ellipsoid(p, (1.0, -3.6, 1.75), (0.45, 0.5, 0.3)))
    soft = np.minimum(inside, np.minimum(_ellipsoid(p, (0, -0.5, -0.9), (2.6, 4.2, 1.6)), bone))
    return bone, soft


def _landmarks() -> dict[str, np.ndarray]:
    """Ends and middles of the parts, on both sides."""
    paired = {
        "orbit front": (1.5, 1.45, 0.5),
        "orbit back": (1.7, -0.1, 0.6),
        "arch root": (1.15, 1.5, -0.35),
        "arch widest": (2.5, -0.5, -0.65),
        "arch end": (2.0, -1.6, -0.3),
        "capsule lowest": (1.5, -2.7, -2.15),
        "capsule back": (1.5, -3.65, -1.5),
        "jaw angle": (1.55, -0.6, -1.8),
        "jaw joint": (1.75, -1.2, -0.9),
        "first molar": (0.85, 1.9, -1.5),
        "incisor tip": (0.15, 4.75, -1.5),
    }
    single = {"crown": (0, -2.2, 2.2), "nape": (0, -4.75, 0.9)}
    found = {name: np.array(point, float) for name, point in single.items()}
    for name, (x, y, z) in paired.items():
        found[f"right {name}"] = np.array([x, y, z])
        found[f"left {name}"] = np.array([-x, y, z])
    return found


LANDMARKS = _landmarks()
