"""Planes through a stroke or a box, and how a radiologist is used to seeing them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.volume import Grid
from ..editing.guidance import densify

SNAP_DEGREES = 5.0
"""A stroke's plane that is nearer than this to one of the image's is taken for it: no resampling in the picture."""

_STRAIGHT = 0.05
_ENDS = {(0, 1): "R", (0, -1): "L", (1, 1): "A", (1, -1): "P", (2, 1): "S", (2, -1): "I"}
# For a plane whose normal is nearest to R, A or S: what points right and up on the screen.
_VIEWS = (
    ("sagittal", (0, -1, 0), (0, 0, 1)),
    ("coronal", (-1, 0, 0), (0, 0, 1)),
    ("axial", (-1, 0, 0), (0, 1, 0)),
)


@dataclass(frozen=True)
class Plane:
    """A plane in RAS with its screen axes.

    Attributes
    ----------
    name
        axial, coronal or sagittal, "oblique" in front where it is tilted.
    centre
        RAS, mm.
    right, up, normal
        Unit vectors in RAS.
    """

    name: str
    centre: np.ndarray
    right: np.ndarray
    up: np.ndarray
    normal: np.ndarray

    def grid(self, half_size_mm: float, pixels: int) -> Grid:
        """One slice of pixels x pixels on the plane; rows run down the screen."""
        pixel = 2 * half_size_mm / pixels
        matrix = np.eye(4)
        matrix[:3, :3] = np.stack([self.right, -self.up, self.normal], axis=1) * pixel
        matrix[:3, 3] = self.centre + (pixel / 2 - half_size_mm) * (self.right - self.up)
        return Grid((1, pixels, pixels), matrix)

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N, 2) screen coordinates (mm right and up of the centre) of RAS points, and (N,) mm in front of it."""
        shifted = points - self.centre
        return np.stack([shifted @ self.right, shifted @ self.up], axis=1), shifted @ self.normal

    @property
    def letters(self) -> tuple[str, str, str, str]:
        """Anatomical directions at the left, right, upper and lower edge."""
        return _letter(-self.right), _letter(self.right), _letter(self.up), _letter(-self.up)


def planes_through(stroke: np.ndarray, image: Grid) -> list[Plane]:
    """The plane of a stroke and the two orthogonal ones through its middle.

    Parameters
    ----------
    stroke
        (N, 3) RAS points in mm, N >= 2.
    image
        Its axes are preferred where the stroke does not say otherwise.
    """
    points = densify(stroke, max(float(np.linalg.norm(np.diff(stroke, axis=0), axis=1).sum()) / 200, 1e-6))
    lengths = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    middle = points[np.searchsorted(lengths, lengths[-1] / 2)]
    axes = (image.ijk_to_ras[:3, :3] / image.spacing).T
    normal = _normal(points - points.mean(axis=0), axes, image.spacing)
    # The image axis that lies best in the plane, then the one at right angles to both.
    second = axes[np.abs(axes @ normal).argmin()]
    second = _unit(second - (second @ normal) * normal)
    return [plane_at(middle, direction) for direction in (normal, second, np.cross(normal, second))]


def _normal(centred: np.ndarray, axes: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    if sizes[1] > _STRAIGHT * sizes[0]:
        normal = directions[2]
        nearest = axes[np.abs(axes @ normal).argmax()]
        return nearest if abs(nearest @ normal) > np.cos(np.radians(SNAP_DEGREES)) else normal
    # A straight stroke lies in many planes: the image's slices are what it was most likely drawn on.
    along = np.abs(axes @ directions[0]).round(2)
    chosen = axes[np.lexsort((-spacing, along))[0]]
    return _unit(chosen - (chosen @ directions[0]) * directions[0])


def plane_at(centre: np.ndarray, normal: np.ndarray) -> Plane:
    """The plane through a RAS point at right angles to a unit vector, turned as a radiologist sees it."""
    axis = int(np.abs(normal).argmax())
    name, right, up = _VIEWS[axis]
    up = _unit(up - (np.array(up) @ normal) * normal)
    across = np.cross(up, normal)
    right = across if across @ right > 0 else -across
    tilted = np.abs(normal[axis]) < np.cos(np.radians(SNAP_DEGREES))
    return Plane(f"oblique {name}" if tilted else name, centre, right, up, normal)


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def _letter(direction: np.ndarray) -> str:
    axis = int(np.abs(direction).argmax())
    return _ENDS[axis, 1 if direction[axis] > 0 else -1]
