"""`make_cochlea`: an inner ear in a temporal bone, with landmarks that are known exactly.

The cochlea is a tube along a conical logarithmic spiral of two and a half turns that leaves a vestibule; three
semicircular canals hang on the vestibule. It has no symmetry, like the real one. Around it are textured bone, air
cells, soft tissue, and *distractors*: spirals of another pitch and blobs with the same contents. All is made of balls
along curves, so that a landmark is a point of a curve, whatever the pose, the deformation or the voxels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..core.errors import InputError
from ..core.volume import Grid, Volume
from .fields import UNITS_PER_CUBE, smooth_field

LANDMARKS = ("centre", "apex", "window")

FIRST_SEED = {"train": 0, "test": 100_000, "demo": 200_000, "benchmark": 300_000, "calibration": 400_000}
"""Where the seeds of each use begin; numbers below `SEEDS_PER_USE` are added, so no case serves two uses."""

SEEDS_PER_USE = 100_000

_TURNS = 2.5
_FLUID, _CAPSULE, _BONE, _AIR, _SOFT = 60.0, 1900.0, 1150.0, -950.0, 45.0  # HU
_CAPSULE_MM = 1.3


@dataclass(frozen=True)
class Cochlea:
    """One case.

    Attributes
    ----------
    image
        Hounsfield units (unless the contrast was changed), int16.
    soi
        Mask of cochlea and vestibule on the same grid, uint8.
    landmarks
        Name to RAS position in mm; exact, not rounded to voxels.
    to_world
        4x4, from the ear's own coordinates (axis of the spiral along +S, mm) to RAS, deformation not counted.
    seed
        What it was made from.
    """

    image: Volume
    soi: Volume
    landmarks: dict[str, np.ndarray]
    to_world: np.ndarray
    seed: int


def make_cochlea(
    number: int,
    use: str = "test",
    *,
    spacing_mm: float | Sequence[float] = 0.45,
    field_mm: float = 60.0,
    rotation_deg: float = 30.0,
    offset_mm: float = 15.0,
    variation: float = 1.0,
    mirror: bool = False,
    contrast: str = "ct",
    with_ear: bool = True,
) -> Cochlea:
    """Make case `number` of a use; the same arguments always give the same case.

    Parameters
    ----------
    number
        From 0 to `SEEDS_PER_USE` - 1.
    use
        A key of `FIRST_SEED`.
    spacing_mm
        Of a voxel: one length, or three along I, J, K.
    field_mm
        Side of the cubic field of view.
    rotation_deg
        The ear is turned about a random axis by an angle drawn between 0 and this.
    offset_mm
        Length of the longest random shift from the middle of the field of view; drawn uniformly in that ball.
    variation
        How much size, pitch and shape differ between cases; 0: always the same ear.
    mirror
        The other ear.
    contrast
        "ct"; "cbct" (shifted, scaled, noisier); "mr" (fluid bright, bone and air dark).
    with_ear
        False: the same surroundings and distractors without the ear; the landmarks are then where it would be.

    Raises
    ------
    InputError
        An unknown use or contrast, or a number out of range.
    """
    if use not in FIRST_SEED or not 0 <= number < SEEDS_PER_USE:
        raise InputError(f"There is no cochlea {number} for {use!r}; uses are {', '.join(FIRST_SEED)}.")
    if contrast not in ("ct", "cbct", "mr"):
        raise InputError(f"There is no contrast {contrast!r}; choose ct, cbct or mr.")
    seed = FIRST_SEED[use] + number
    rng = np.random.default_rng([seed, 77])
    to_world = _pose(rng, rotation_deg, offset_mm, mirror)
    bend = _Bend(rng, 0.25 * variation)
    ear = _Ear(rng, variation)

    def placed(points: np.ndarray) -> np.ndarray:
        return bend(points) @ to_world[:3, :3].T + to_world[:3, 3]

    grid = _grid(spacing_mm, field_mm)
    labyrinth = [(placed(points), radii) for points, radii in ear.soi]
    canals = [(placed(points), radii) for points, radii in ear.canals]
    shown = [*labyrinth, *canals] if with_ear else []
    middle = placed(np.zeros((1, 3)))[0]
    others = _distractors(rng, middle, field_mm)
    inner = _Depths(grid, [*shown, *others])
    image, noise = _bone(rng, grid, field_mm, middle)
    softness = 0.5 * float(np.mean(grid.spacing)) + rng.uniform(0.05, 0.15)  # partial volume and kernel
    fluid, capsule = _FLUID + rng.uniform(-30, 30), _CAPSULE + rng.uniform(-150, 150)
    depth = inner.values
    near = image[inner.slices]
    shell = 1 / (1 + np.exp(-np.clip((depth + _CAPSULE_MM) / softness, -30, 30)))
    near += shell * (capsule - near)
    near += (fluid - near) / (1 + np.exp(-np.clip(depth / softness, -30, 30)))
    image = _contrasted(image, contrast, rng, grid, field_mm) + noise * {"ct": 1.0, "cbct": 2.0, "mr": 1.0}[contrast]
    soi = np.zeros(grid.shape, np.uint8)
    own = _Depths(grid, labyrinth)
    soi[own.slices] = own.values > 0
    return Cochlea(
        Volume(np.clip(np.round(image), -1024, 32000).astype(np.int16), grid.ijk_to_ras, f"cochlea {use} {number}"),
        Volume(soi, grid.ijk_to_ras, "cochlea"),
        {name: placed(point[None])[0] for name, point in ear.landmarks.items()},
        to_world,
        seed,
    )


class _Ear:
    """Curves of balls in the ear's own coordinates (mm): (points (N, 3), radii (N,)) each."""

    def __init__(self, rng: np.random.Generator, variation: float) -> None:
        def about(value: float, share: float) -> float:
            return value * (1 + share * variation * rng.uniform(-1, 1))

        size = about(1.0, 0.08)
        turns = _TURNS + 0.08 * variation * rng.uniform(-1, 1)
        height, radius, decay = about(3.4, 0.10) * size, about(3.2, 0.06) * size, about(0.115, 0.08)
        spiral, tube = _spiral(turns, radius, decay, height, about(0.95, 0.08) * size)
        base = spiral[0]
        vestibule = base + [about(0.6, 0.2), -about(2.8, 0.1) * size, -about(0.6, 0.2)]
        neck = np.linspace(base, vestibule, 12)
        self.soi = [(spiral, tube), (neck, np.linspace(tube[0], about(1.6, 0.08) * size, 12))]
        directions = np.array([[0.9, -0.3, 0.3], [0.1, -0.6, 0.8], [-0.5, -0.8, -0.2]])
        self.canals = [self._canal(vestibule, direction, about(2.9, 0.08) * size) for direction in directions]
        middle = np.array([0.0, 0.0, 0.42 * height])
        # The round window: on the wall of the basal turn, below its beginning.
        window = base + [0.55 * tube[0], 0.25 * tube[0], -0.8 * tube[0]]
        self.landmarks = {"centre": middle, "apex": spiral[-1] + [0, 0, 0.4 * tube[-1]], "window": window}

    @staticmethod
    def _canal(vestibule: np.ndarray, direction: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
        """Most of a circle that begins and ends at the vestibule."""
        out = direction / np.linalg.norm(direction)
        across = np.cross(out, [0.3, 0.9, -0.4])
        across /= np.linalg.norm(across)
        angle = np.linspace(-2.6, 2.6, 60)[:, None]
        points = vestibule + radius * (out * (1.1 + np.cos(angle)) + across * np.sin(angle))
        return points, np.full(60, 0.5)


def _spiral(turns: float, radius: float, decay: float, height: float, tube: float) -> tuple[np.ndarray, np.ndarray]:
    """A conical logarithmic spiral about the third axis that begins at +X, and the radius of its tube."""
    angle = np.linspace(0, 2 * np.pi * turns, 220)
    share = angle / angle[-1]
    away = radius * np.exp(-decay * angle)
    points = np.stack([away * np.cos(angle), away * np.sin(angle), height * share**1.1], axis=1)
    return points, tube * (1 - 0.45 * share)


class _Bend:
    """A smooth displacement of up to `amplitude` mm per wave, the same for curves and landmarks."""

    def __init__(self, rng: np.random.Generator, amplitude: float) -> None:
        self.waves = rng.normal(size=(3, 3)) * 0.28  # radians per mm
        self.phases = rng.uniform(0, 2 * np.pi, 3)
        self.shifts = rng.normal(size=(3, 3)) * amplitude / np.sqrt(3)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        return points + np.sin(points @ self.waves.T + self.phases) @ self.shifts


class _Depths:
    """Depth inside the union of some curves of balls (mm, positive inside), in the part of a grid around them."""

    def __init__(self, grid: Grid, curves: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
        from scipy.spatial import cKDTree

        self.slices = (slice(0, 0),) * 3
        self.values = np.zeros((0, 0, 0), np.float32)
        if not curves:
            return
        points = np.concatenate([points for points, _ in curves])
        radii = np.concatenate([radii for _, radii in curves])
        self.slices = tuple(slice(0, size) for size in grid.shape)
        self.values = np.full(grid.shape, -1e3, np.float32)
        reach = radii + _CAPSULE_MM + 1.5
        near = np.zeros(grid.shape, bool)
        ijk = grid.to_ijk(points)
        for centre, far in zip(ijk, reach, strict=True):
            low = np.maximum(np.floor(centre - far / grid.spacing), 0).astype(int)
            high = np.maximum(np.ceil(centre + far / grid.spacing) + 1, 0).astype(int)
            near[tuple(slice(a, b) for a, b in zip(low[::-1], high[::-1], strict=True))] = True
        voxels = np.argwhere(near)
        world = grid.to_ras(voxels[:, ::-1])
        # Tubes taper slowly, so the deepest of the nearest few balls is the deepest of all.
        distance, index = cKDTree(points).query(world, k=min(4, len(points)))
        self.values[near] = (radii[index] - distance).reshape(len(world), -1).max(axis=1)


def _pose(rng: np.random.Generator, rotation_deg: float, offset_mm: float, mirror: bool) -> np.ndarray:
    axis = rng.normal(size=3)
    x, y, z = axis / np.linalg.norm(axis)
    angle = np.radians(rotation_deg * rng.uniform(0, 1))
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    pose = np.eye(4)
    pose[:3, :3] = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    direction = rng.normal(size=3)
    pose[:3, 3] = offset_mm * rng.uniform() ** (1 / 3) * direction / np.linalg.norm(direction)
    return np.diag([-1.0, 1, 1, 1]) @ pose if mirror else pose


def _grid(spacing_mm: float | Sequence[float], field_mm: float) -> Grid:
    spacing = np.broadcast_to(np.asarray(spacing_mm, dtype=np.float64), 3)
    size = np.maximum(np.round(field_mm / spacing), 8).astype(int)
    matrix = np.diag([*spacing, 1.0])
    matrix[:3, 3] = -(size - 1) / 2 * spacing
    return Grid(tuple(int(s) for s in size[::-1]), matrix)


def _distractors(rng: np.random.Generator, middle: np.ndarray, field_mm: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Spirals of another pitch or number of turns, and blobs, away from the ear."""
    found: list[tuple[np.ndarray, np.ndarray]] = []
    centres = [middle]
    for kind in ("spiral", "spiral", "spiral", "blob", "blob", "blob", "blob"):
        for _ in range(50):
            centre = rng.uniform(-0.45, 0.45, 3) * field_mm
            if min(np.linalg.norm(centre - other) for other in centres) > 13:
                break
        else:
            continue
        centres.append(centre)
        if kind == "spiral":
            turns, height = rng.choice([0.8, 1.2, 4.0]), rng.choice([-6.5, 0.8, 7.0])
            points, radii = _spiral(turns, rng.uniform(2.4, 3.8), rng.uniform(0.03, 0.2), height, rng.uniform(0.5, 1.0))
            turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
            points = points @ turn.T
        else:
            points = rng.normal(size=(rng.integers(1, 5), 3)) * 1.2
            radii = rng.uniform(0.8, 2.0, len(points))
        found.append((points + centre, radii))
    return found


def _bone(rng: np.random.Generator, grid: Grid, field_mm: float, middle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bone with marrow texture, soft tissue, air and air cells; and the noise that comes on top."""
    per_mm = UNITS_PER_CUBE / field_mm
    texture, cells = (smooth_field(rng, grid.shape, period * per_mm) for period in (3.0, 2.2))
    regions = smooth_field(rng, grid.shape, 22.0 * per_mm, channels=2)
    image = _BONE + 260.0 * texture
    # The inner ear lies within bone: soft tissue, air cells and canals of air keep away from it.
    away = _distance_field(grid, middle)
    image[(regions[0] < -0.95) & (away > 9)] = _SOFT
    image[(cells > 0.9) & (regions[1] > 0.15) & (away > 9)] = _AIR
    image[(regions[1] < -1.5) & (away > 14)] = _AIR
    noise = rng.standard_normal(grid.shape, dtype=np.float32) * rng.uniform(25, 70)
    return image.astype(np.float32), noise


def _distance_field(grid: Grid, middle: np.ndarray) -> np.ndarray:
    """Distances (mm) of all voxels of a grid along the world's axes to a point."""
    i, j, k = (
        (grid.ijk_to_ras[axis, 3] + grid.spacing[axis] * np.arange(grid.shape[2 - axis]) - middle[axis]) ** 2
        for axis in range(3)
    )
    return np.sqrt(k[:, None, None] + j[:, None] + i).astype(np.float32)


def _contrasted(image: np.ndarray, contrast: str, rng: np.random.Generator, grid: Grid, field_mm: float) -> np.ndarray:
    if contrast == "ct":
        return image
    if contrast == "cbct":
        shade = 1 + 0.08 * smooth_field(rng, grid.shape, 25.0 * UNITS_PER_CUBE / field_mm)
        return (image * 0.75 + rng.uniform(50, 250)) * shade
    # Fluid bright, soft tissue in between, bone and air dark.
    bright = np.interp(image, [-900, -200, 0, 60, 300, 900, 2000], [20, 60, 500, 900, 320, 90, 40])
    return bright.astype(np.float32)
