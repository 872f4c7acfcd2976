"""Propagation from a reference to the target of more than landmarks: the structure, and the transform itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..core.itk_images import FLIP, moved, to_itk
from ..core.resampling import on_grid
from ..core.volume import Grid, Volume
from .detect import Detection, flip_of
from .model import Template

if TYPE_CHECKING:
    import SimpleITK


@dataclass(frozen=True)
class ReferenceTransform:
    """The transform from a reference to the target: first the displacement, then the matrix.

    Attributes
    ----------
    reference
        Its number in the template.
    matrix
        4x4, RAS.
    displacement
        (K, J, I, 3) mm along R, A and S, on `grid` in the reference; None: none was found that is better than none.
    grid
        Grid on which it is defined.
    """

    reference: int
    matrix: np.ndarray
    displacement: np.ndarray | None
    grid: Grid


def reference_transform(detection: Detection) -> ReferenceTransform | None:
    """The transform of the reference that the target resembles most; None: nothing was found."""
    if not detection.registered:
        return None
    number = _best(detection)
    one = detection.registered[number]
    forward = None if one.deformation is None else one.deformation.forward
    displacement = None if forward is None else _displacement(forward, one.patch)
    return ReferenceTransform(number, flip_of(detection.mirrored) @ one.matrix, displacement, one.patch)


def propagated_structure(template: Template, detection: Detection, target: Grid) -> Volume | None:
    """A reference's structure of interest on the target.

    Parameters
    ----------
    template, detection
        The template and what was found by it; the reference is that of `reference_transform`.
    target
        The target's grid.

    Returns
    -------
    Volume
        uint8, 0 and 1, on the part of the grid that it reaches; None: nothing was found, or it lies beyond the grid.
    """
    if not detection.registered:
        return None
    number = _best(detection)
    one, reference = detection.registered[number], template.references[number]
    soi = reference.soi.with_array((reference.soi.array != 0).astype(np.float32))
    there = Volume(np.nan_to_num(on_grid(soi, one.patch), nan=0.0), one.patch.ijk_to_ras)
    if one.deformation is not None and one.deformation.backward is not None:
        there = there.with_array(_through(there, one.deformation.backward))
    inside = np.argwhere(there.array > 0.5)[:, ::-1]
    if not len(inside):
        return None
    matrix = flip_of(detection.mirrored) @ one.matrix
    reached = moved(matrix, there.grid.to_ras(inside))
    slices = target.slices_around(reached, float(there.spacing.max()))
    if any(part.stop <= part.start for part in slices):
        return None
    found = Volume(there.array, matrix @ there.ijk_to_ras).resampled_to(target.cropped(slices), "linear", fill=0.0)
    if not (found.array > 0.5).any():
        return None
    return found.with_array((found.array > 0.5).astype(np.uint8), reference.soi.name)


def _best(detection: Detection) -> int:
    return int(np.argmax([one.score for one in detection.registered]))


def _displacement(transform: SimpleITK.DisplacementFieldTransform, grid: Grid) -> np.ndarray:
    import SimpleITK as sitk

    field = sitk.GetArrayFromImage(transform.GetDisplacementField())
    assert field.shape == (*grid.shape, 3)  # as `deformable` defines it: on the patch
    return field @ FLIP


def _through(volume: Volume, transform: SimpleITK.Transform) -> np.ndarray:
    import SimpleITK as sitk

    image = to_itk(volume)
    return sitk.GetArrayFromImage(sitk.Resample(image, image, transform, sitk.sitkLinear, 0.0, sitk.sitkFloat32))
