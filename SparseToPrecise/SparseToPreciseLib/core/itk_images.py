"""Between volumes (RAS) and SimpleITK's images and transforms (LPS)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .volume import Grid, Volume

if TYPE_CHECKING:
    import SimpleITK

FLIP = np.diag([-1.0, -1.0, 1.0])
"""RAS to LPS and back."""


def to_itk(volume: Volume, dtype: np.dtype | type = np.float32) -> SimpleITK.Image:
    """An image of some type where the volume lies."""
    import SimpleITK

    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(volume.array, dtype=dtype))
    spacing = volume.spacing
    image.SetSpacing(spacing.tolist())
    image.SetDirection((FLIP @ volume.ijk_to_ras[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin((FLIP @ volume.ijk_to_ras[:3, 3]).tolist())
    return image


def grid_of(image: SimpleITK.Image | SimpleITK.ImageFileReader) -> Grid:
    """Where a 3D image, or the one that a reader knows, lies."""
    matrix = np.eye(4)
    matrix[:3, :3] = FLIP @ (np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing())
    matrix[:3, 3] = FLIP @ np.array(image.GetOrigin())
    return Grid(tuple(image.GetSize()[::-1]), matrix)


def point_to_lps(point: np.ndarray) -> list[float]:
    """(3,) RAS to LPS, or back."""
    return (FLIP @ np.asarray(point, dtype=np.float64)).tolist()


def matrix_of(transform: SimpleITK.Transform) -> np.ndarray:
    """The 4x4 RAS matrix of a linear transform."""
    inner = transform.Downcast() if hasattr(transform, "Downcast") else transform
    linear = np.reshape(inner.GetMatrix(), (3, 3))
    centre = np.array(inner.GetCenter())
    matrix = np.eye(4)
    matrix[:3, :3] = FLIP @ linear @ FLIP
    matrix[:3, 3] = FLIP @ (np.array(inner.GetTranslation()) + centre - linear @ centre)
    return matrix


def moved(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(..., 3) points through a 4x4 matrix."""
    return np.asarray(points) @ matrix[:3, :3].T + matrix[:3, 3]
