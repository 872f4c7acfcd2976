"""Where a cube's voxels come from in a source: rotated, mirrored, stretched and bent at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from ..core.volume import Grid
from ..phantoms.fields import smooth_field


@dataclass(frozen=True)
class Deformation:
    """How much a source may be changed.

    Attributes
    ----------
    stretch
        Largest share by which a length changes.
    bend
        Standard deviation of the smooth displacement, as a share of the structure's size.
    turn
        Largest angle of a turn about a random axis, degrees; quarter turns and mirror images come on top.
    """

    stretch: float = 0.2
    bend: float = 0.08
    turn: float = 180.0


def placed_cube(
    rng: np.random.Generator,
    source: Grid,
    centre_ras: np.ndarray,
    size: int,
    voxel_mm: float,
    structure_mm: float,
    deformation: Deformation | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Source voxels of a cube around a point.

    Parameters
    ----------
    source
        Of the image or label map.
    centre_ras
        Goes to the cube's centre; RAS, mm.
    size, voxel_mm
        Voxels along the cube's sides and their size.
    structure_mm
        Size of the structure, for its bending.
    deformation
        None: the cube lies along the RAS axes, and nothing is changed.

    Returns
    -------
    coordinates, steps
        (3, K, J, I) float32 coordinates K, J, I in the source; and how many voxels of the cube a voxel of the source
        is long along each of the cube's axes K, J, I.
    """
    # Columns: the step along R, A, S for one voxel along the cube's K, J, I.
    matrix = np.eye(3)[:, ::-1] * voxel_mm
    if deformation is not None:
        matrix = _random_linear(rng, deformation) @ matrix
    to_source = source.ras_to_ijk[2::-1, :3]
    linear = (to_source @ matrix).astype(np.float32)
    start = (to_source @ centre_ras + source.ras_to_ijk[2::-1, 3]).astype(np.float32)
    along = np.arange(size, dtype=np.float32) - np.float32((size - 1) / 2)
    coordinates = (
        start[:, None, None, None]
        + linear[:, 0, None, None, None] * along[:, None, None]
        + linear[:, 1, None, None, None] * along[:, None]
        + linear[:, 2, None, None, None] * along
    )
    if deformation is not None and deformation.bend:
        amount = rng.uniform(0, 2 * deformation.bend) * structure_mm
        # Waves as long as the structure: shorter ones would fold it.
        period = max(12.0, 64 * structure_mm / (size * voxel_mm))
        bend = smooth_field(rng, (size,) * 3, period, 3) * np.float32(amount)
        # The centre stays where it was asked for.
        bend -= bend[:, size // 2, size // 2, size // 2, None, None, None]
        coordinates += np.tensordot(to_source.astype(np.float32), bend, 1)
    # A voxel of the source seen along each axis of the cube.
    steps = 1 / np.maximum(np.abs(linear).max(axis=0), 1e-6)
    return coordinates, steps


def _random_linear(rng: np.random.Generator, deformation: Deformation) -> np.ndarray:
    """(3, 3) turn, mirror image and stretch."""
    axis = rng.normal(size=3)
    turn = Rotation.from_rotvec(axis / np.linalg.norm(axis) * np.radians(rng.uniform(0, deformation.turn)))
    quarter = np.eye(3)[rng.permutation(3)] * rng.choice([-1, 1], size=3)[:, None]
    along = Rotation.random(random_state=int(rng.integers(2**31))).as_matrix()
    stretch = along.T @ np.diag(1 + rng.uniform(-deformation.stretch, deformation.stretch, 3)) @ along
    return turn.as_matrix() @ quarter @ stretch
