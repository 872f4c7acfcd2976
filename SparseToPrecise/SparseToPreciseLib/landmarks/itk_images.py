"""Volumes as SimpleITK's images: `core.itk_images`, which synthesis uses, too."""

from ..core.itk_images import FLIP, matrix_of, moved, point_to_lps, to_itk

__all__ = ["FLIP", "matrix_of", "moved", "point_to_lps", "to_itk"]
