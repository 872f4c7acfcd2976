"""Known deformations of real images: where every landmark lies afterwards is known to rounding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from SparseToPreciseLib.core.volume import Grid, Volume

_WAVES = 5
_SOLVING = 60


@dataclass(frozen=True)
class KnownWarp:
    """From a reference to a target: stretched, bent by waves, turned about a point and shifted.

    Attributes
    ----------
    about
        (3,) RAS point of the reference that the turn leaves in place.
    centre
        (3,) RAS point of the target where it comes to lie, but for the bend there.
    rotation
        (3, 3), reference to target, RAS.
    stretch
        (3,) factors along RAS.
    waves, phases, shifts
        (N, 3) radians per mm, (N,) radians and (N, 3) mm: the bend is the sum of shifts * sin(waves . p + phase).
    """

    about: np.ndarray
    centre: np.ndarray
    rotation: np.ndarray
    stretch: np.ndarray
    waves: np.ndarray
    phases: np.ndarray
    shifts: np.ndarray

    @staticmethod
    def random(
        rng: np.random.Generator,
        about: np.ndarray,
        centre: np.ndarray,
        angle_deg: float,
        size_mm: float,
        bend: float,
        stretch: float,
    ) -> KnownWarp:
        """A turn by an angle about a random axis, and a bend of about `bend` of a structure's size."""
        axis = rng.normal(size=3)
        directions = rng.normal(size=(_WAVES, 3))
        lengths = rng.uniform(0.5, 1.2, (_WAVES, 1)) * size_mm
        waves = directions / np.linalg.norm(directions, axis=1, keepdims=True) * 2 * np.pi / lengths
        return KnownWarp(
            np.asarray(about, float),
            np.asarray(centre, float),
            Rotation.from_rotvec(axis / np.linalg.norm(axis) * angle_deg, degrees=True).as_matrix(),
            1 + rng.uniform(-stretch, stretch, 3),
            waves,
            rng.uniform(0, 2 * np.pi, _WAVES),
            rng.normal(size=(_WAVES, 3)) * bend * size_mm / np.sqrt(3 * _WAVES),
        )

    def back(self, points: np.ndarray) -> np.ndarray:
        """(..., 3) RAS points of the target in the reference."""
        own = (points - self.centre) @ self.rotation
        return self.about + own * self.stretch + np.sin(own @ self.waves.T + self.phases) @ self.shifts

    def there(self, points: np.ndarray) -> np.ndarray:
        """(..., 3) RAS points of the reference in the target; `back` solved for them."""
        wanted = np.asarray(points, float) - self.about
        own = wanted / self.stretch
        for _ in range(_SOLVING):
            own = (wanted - np.sin(own @ self.waves.T + self.phases) @ self.shifts) / self.stretch
        found = own @ self.rotation.T + self.centre
        worst = float(np.abs(self.back(found) - points).max())
        if worst > 0.01 * float(np.abs(self.shifts).max() + 1e-6):
            raise ValueError(f"The bend folds the image: a point is missed by {worst:.3g} mm.")
        return found

    def image(self, reference: Volume, grid: Grid, fill: float, order: int = 1) -> Volume:
        """The reference's values on a grid of the target; `fill` beyond it."""
        result = np.empty(grid.shape, np.float32)
        values = reference.array.astype(np.float32)
        for k in range(grid.shape[0]):
            plane = Grid((1, *grid.shape[1:]), grid.cropped((slice(k, k + 1), slice(None), slice(None))).ijk_to_ras)
            ijk = reference.grid.to_ijk(self.back(plane.points_ras()[0].astype(np.float64)))
            result[k] = ndimage.map_coordinates(values, np.moveaxis(ijk[..., ::-1], -1, 0), order=order, cval=fill)
        return Volume(result, grid.ijk_to_ras, reference.name)


def covering(centre: np.ndarray, side_mm: float, spacing_mm: np.ndarray, tilt: np.ndarray | None = None) -> Grid:
    """A box of a side around a RAS point, its axes along those of `tilt` (3, 3) or of the world."""
    spacing = np.broadcast_to(np.asarray(spacing_mm, float), 3)
    size = np.ceil(side_mm / spacing).astype(int)
    matrix = np.eye(4)
    matrix[:3, :3] = (np.eye(3) if tilt is None else tilt) * spacing
    matrix[:3, 3] = np.asarray(centre, float) - matrix[:3, :3] @ ((size - 1) / 2)
    return Grid(tuple(int(one) for one in size[::-1]), matrix)


def other_contrast(values: np.ndarray, kind: str, rng: np.random.Generator, noise: float) -> np.ndarray:
    """Intensities as another scanner or sequence would give them, plus noise in shares of their range.

    same; gamma: dark tones lifted, and shading along one axis; inverted: what is bright in the object becomes dark,
    while the air stays dark.
    """
    low, high = np.percentile(values, (1, 99.5))
    unit = np.clip((values - low) / (high - low), 0, 1)
    if kind == "gamma":
        shade = np.linspace(0.85, 1.15, unit.shape[1], dtype=np.float32)[None, :, None]
        unit = np.sqrt(unit) * shade
    elif kind == "inverted":
        unit = np.where(unit > 0.1, 1.1 - unit, unit)
    elif kind != "same":
        raise ValueError(f"There is no contrast {kind!r}.")
    return (1000 * (unit + noise * rng.standard_normal(unit.shape, dtype=np.float32))).astype(np.float32)
