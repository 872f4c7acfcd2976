"""An annotated image: the structure of interest in it, named landmarks, and the checks of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from ..core.errors import InputError, in_digits
from ..core.resampling import on_grid
from ..core.volume import Grid, Volume
from .moments import ALIKE, Moments

_FEWEST_VOXELS = 4
_FARTHEST = 1.0
"""A landmark may lie this many diameters of the structure away from it."""
_MOST_BEYOND = 0.5
"""Share of the structure that may lie outside the image."""


@dataclass(frozen=True)
class Reference:
    """An annotated image, checked.

    Attributes
    ----------
    image
        Any modality, unit and grid.
    soi
        Mask of the structure of interest (SOI), 0 or not, on its own grid.
    landmarks
        Name to (3,) RAS position in mm.
    centre, diameter_mm
        The SOI's centroid in RAS, and twice the distance within which all but a hundredth of it lies.
    moments
        Moments of the SOI's mask.
    cut
        Whether the border of the image cuts or touches the SOI.

    Raises
    ------
    InputError
        No landmarks, one outside the image or far from the SOI; an SOI that is empty or everything, lies outside the
        image by more than a half, or is only a few voxels long.
    """

    image: Volume
    soi: Volume
    landmarks: Mapping[str, np.ndarray]
    centre: np.ndarray = field(init=False)
    diameter_mm: float = field(init=False)
    moments: Moments = field(init=False)
    cut: bool = field(init=False)

    def __post_init__(self) -> None:
        named = {str(name): np.asarray(point, dtype=np.float64) for name, point in self.landmarks.items()}
        object.__setattr__(self, "landmarks", named)
        image, soi = self.image.name or "the image", self.soi.name or "the structure of interest"
        if not named:
            raise InputError("There are no landmarks; place at least one point.")
        for name, point in named.items():
            if point.shape != (3,) or not np.isfinite(point).all():
                raise InputError(f"Landmark {name} has the position {point.tolist()}; place it again.")
            if not self.image.grid.contains(point):
                raise InputError(f"Landmark {name} at {_listed(point)} (RAS, mm) lies outside {image}; move it.")
        inside = self.soi.array != 0
        if not inside.any():
            raise InputError(f"The segment {soi} is empty; paint the structure of interest.")
        if inside.all():
            raise InputError(f"The segment {soi} fills its image; paint the structure of interest alone.")
        object.__setattr__(self, "moments", Moments.of(inside.astype(np.float32), self.soi.grid))
        object.__setattr__(self, "centre", self.moments.centre)
        points = self.soi.grid.to_ras(np.argwhere(inside)[:, ::-1])
        away = np.linalg.norm(points - self.centre, axis=1)
        object.__setattr__(self, "diameter_mm", 2 * float(np.percentile(away, 99)) + float(self.soi.spacing.min()))
        object.__setattr__(self, "cut", self._cut(points, image, soi))
        self._check_near(points, soi)
        self._check_detail(points, soi)

    def _cut(self, points: np.ndarray, image: str, soi: str) -> bool:
        """Whether the border of the image cuts or touches the SOI."""
        ijk = self.image.grid.to_ijk(points)
        last = np.array(self.image.shape[::-1]) - 1
        beyond = float(((ijk < -0.5) | (ijk > last + 0.5)).any(axis=1).mean())
        if beyond > _MOST_BEYOND:
            raise InputError(
                f"{beyond:.0%} of the segment {soi} lies outside {image}; use an image that shows the structure."
            )
        return bool((ijk < 0.5).any() or (ijk > last - 0.5).any())

    def _check_near(self, points: np.ndarray, soi: str) -> None:
        for name, point in self.landmarks.items():
            away = float(np.linalg.norm(points - point, axis=1).min())
            if away > _FARTHEST * self.diameter_mm:
                raise InputError(
                    f"Landmark {name} is {in_digits(away, 1)} mm from {soi}, which is "
                    f"{in_digits(self.diameter_mm, 1)} mm long; landmarks must lie in or near the structure of "
                    "interest."
                )

    def _check_detail(self, points: np.ndarray, soi: str) -> None:
        voxels = self.diameter_mm / float(self.image.spacing.max())
        if voxels < _FEWEST_VOXELS:
            raise InputError(
                f"The segment {soi} is {in_digits(self.diameter_mm, 1)} mm long where a voxel of the image is up to "
                f"{in_digits(self.image.spacing.max(), 1)} mm; use an image with thinner slices."
            )

    @property
    def warnings(self) -> list[str]:
        """Sentences for the user."""
        found = []
        if self.cut:
            found.append(
                "The structure of interest touches the border of its image, so what lies beyond is not known, and "
                "landmarks there are less certain; an image that shows its surroundings, too, is better."
            )
        ratios = self.moments.ratios
        if min(ratios) < ALIKE:
            found.append(
                f"The structure of interest is nearly symmetric (its moments of inertia relate as {ratios[0]:.2f} and "
                f"{ratios[1]:.2f} to 1), so its orientation may be mistaken; a less symmetric segment is better."
            )
        return found


def structure_on(reference: Reference, grid: Grid) -> np.ndarray:
    """(K, J, I) float32 on an isotropic grid, above 0.5 in the structure.

    What is thinner than a voxel, like the bone of a small skull, fills less than half of any; then the fullest voxels
    count, as many as make up the structure's volume.
    """
    soi = reference.soi.with_array((reference.soi.array != 0).astype(np.float32))
    share = np.nan_to_num(on_grid(soi, grid), nan=0.0)
    count = int(np.count_nonzero(soi.array) * soi.grid.voxel_volume_mm3 / grid.voxel_volume_mm3)
    if not 0 < count < share.size:
        return share
    fullest = float(np.partition(share, share.size - count, axis=None)[share.size - count])
    return share / max(2 * fullest, 1e-3) if fullest < 0.5 else share


def distance_to_structure(reference: Reference, grid: Grid, marks: bool = False) -> np.ndarray:
    """(K, J, I) mm on an isotropic grid from the reference's structure, or with `marks` from its landmarks, too."""
    seeds = structure_on(reference, grid) >= 0.5
    points = list(reference.landmarks.values()) if marks else []
    if not seeds.any():
        points.append(reference.centre)
    for point in points:
        i, j, k = np.clip(np.round(grid.to_ijk(point)), 0, np.array(grid.shape[::-1]) - 1).astype(int)
        seeds[k, j, i] = True
    return ndimage.distance_transform_edt(~seeds, sampling=float(grid.spacing[0]))


def _listed(point: np.ndarray) -> str:
    return "(" + ", ".join(in_digits(value, 2) for value in point) + ")"
