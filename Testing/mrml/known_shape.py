"""An asymmetric shape, known analytically in the world, and the awkward grids on which it is sampled."""

from __future__ import annotations

import numpy as np

from SparseToPreciseLib.core.volume import Grid, Volume

# A shape without any symmetry: three balls (RAS centre in mm, radius in mm).
BALLS = (((4.0, -7.0, 12.0), 9.0), ((15.0, -2.0, 14.0), 6.0), ((6.0, 5.0, 20.0), 5.0))
SHAPE_KJI = (26, 30, 34)


def matrix(rotation_deg=(0, 0, 0), spacing=(1, 1, 1), origin=(0, 0, 0), flip=(1, 1, 1), shear=0.0) -> np.ndarray:
    """4x4 IJK to RAS: rotations about R, A, S, then placed at the origin (mm)."""
    out = np.eye(4)
    for axis, angle in enumerate(np.deg2rad(rotation_deg)):
        turn = np.eye(4)
        a, b = [other for other in range(3) if other != axis]
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        out = turn @ out
    sheared = np.eye(4)
    sheared[0, 1] = shear
    out = out @ sheared @ np.diag([*(np.array(spacing) * flip), 1.0])
    out[:3, 3] = origin
    return out


GRIDS = {
    "axis-aligned": matrix(spacing=(1.5, 1.5, 1.5), origin=(-18, -25, -5)),
    "oblique": matrix((20, -15, 35), (1.5, 1.5, 1.5), (-2, -32, -5)),
    "flipped LAS": matrix(spacing=(1.5, 1.5, 1.5), origin=(30, -25, -5), flip=(-1, 1, 1)),
    "flipped LPS": matrix(spacing=(1.5, 1.5, 1.5), origin=(30, 20, -5), flip=(-1, -1, 1)),
    "anisotropic": matrix((0, 0, 10), (0.9, 1.5, 2.5), (-8, -25, -14)),
}


def world_shape(points_ras: np.ndarray, shift=(0.0, 0.0, 0.0)) -> np.ndarray:
    """Which (..., 3) RAS points lie in the shape, moved by a vector in mm."""
    inside = np.zeros(points_ras.shape[:-1], bool)
    for centre, radius in BALLS:
        inside |= np.linalg.norm(points_ras - np.add(centre, shift), axis=-1) < radius
    return inside


def shape_on(grid: Grid, shift=(0.0, 0.0, 0.0), name: str = "shape") -> Volume:
    """The shape sampled at the voxel centres of a grid, analytically."""
    return Volume(world_shape(grid.points_ras(), shift).astype(np.uint8), grid.ijk_to_ras, name)
