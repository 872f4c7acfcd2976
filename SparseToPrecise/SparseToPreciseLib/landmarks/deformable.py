"""Diffeomorphic demons (Vercauteren et al., 2009) on the patch, coarse to fine, there and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..core.itk_images import FLIP, point_to_lps, to_itk
from ..core.progress import Progress
from ..core.volume import Volume
from .similarity import correlation

if TYPE_CHECKING:
    import SimpleITK

ITERATIONS = (40, 30, 15)
_SHRINK = (4, 2, 1)
_SMALLEST = 10
_FIELD_SIGMA = 1.5
_UPDATE_SIGMA = 0.7
_LIKE = 0.3
"""Correlation above which histograms are matched; below, intensities are translated by their joint distribution."""
_BINS = 32


@dataclass(frozen=True)
class DeformableResult:
    """A deformation of the patch.

    Attributes
    ----------
    forward, backward
        Displacement in mm (LPS) on the patch's grid: from the reference's patch to the target as it lies on it, and
        back. They are registered apart, so their disagreement measures both.
    before, after
        Correlation of the patch with the target.
    """

    forward: SimpleITK.DisplacementFieldTransform
    backward: SimpleITK.DisplacementFieldTransform
    before: float
    after: float

    def there(self, points: np.ndarray) -> np.ndarray:
        """(N, 3) RAS points of the reference, in the rigidly aligned target."""
        return _through(self.forward, points)

    def back(self, points: np.ndarray) -> np.ndarray:
        """(N, 3) RAS points of the rigidly aligned target, in the reference."""
        return _through(self.backward, points)


def deform(
    fixed: Volume, moving: np.ndarray, iterations: Sequence[int] = ITERATIONS, progress: Progress | None = None
) -> DeformableResult:
    """Register two patches on one grid.

    Parameters
    ----------
    fixed
        The reference's patch.
    moving
        (K, J, I) the target on the same grid, rigidly aligned.
    iterations
        Of demons, at a quarter, half and full resolution.
    progress
        Asked between the levels whether to go on.

    Notes
    -----
    Fixed is the reference and moving the target, so the transform takes a landmark of the reference to the target, and
    nothing is inverted. `itk::DiffeomorphicDemonsRegistrationFilter` has one level and smooths in voxels; the pyramid
    is around it.
    """
    progress = progress or Progress()
    other = fixed.with_array(translated(moving, fixed.array))
    forward = _pyramid(fixed, other, iterations, progress.part(0.0, 0.5))
    backward = _pyramid(other, fixed, iterations, progress.part(0.5, 1.0))
    before = correlation(fixed.array, other.array)
    return DeformableResult(forward, backward, before, correlation(fixed.array, _warped(fixed, other, forward)))


def translated(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Intensities of one patch in terms of another's, so that their difference means something.

    Histogram matching in one modality; else the other patch's mean where the values lie in the same bin, which
    also serves inverted contrast.
    """
    if correlation(values, like) > _LIKE:
        import SimpleITK as sitk

        source, reference = (sitk.GetImageFromArray(np.ascontiguousarray(v, dtype=np.float32)) for v in (values, like))
        return sitk.GetArrayFromImage(sitk.HistogramMatching(source, reference, 128, 12, True))
    edges = np.quantile(values, np.linspace(0, 1, _BINS + 1))
    place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, _BINS - 1)
    count = np.maximum(np.bincount(place.ravel(), minlength=_BINS), 1)
    mean = np.bincount(place.ravel(), like.ravel(), _BINS) / count
    return mean[place].astype(np.float32)


def warped_patch(result: DeformableResult, fixed: Volume, moving: np.ndarray) -> np.ndarray:
    """(K, J, I) the target on the patch after the deformation."""
    return _warped(fixed, fixed.with_array(moving), result.forward)


def _pyramid(
    fixed: Volume, moving: Volume, iterations: Sequence[int], progress: Progress
) -> SimpleITK.DisplacementFieldTransform:
    import SimpleITK as sitk

    fixed_image, moving_image = to_itk(fixed), to_itk(moving)
    field = None
    for number, (shrink, count) in enumerate(zip(_SHRINK, iterations, strict=True)):
        progress(number / len(_SHRINK), "deforming")
        if shrink > 1 and min(fixed.shape) / shrink < _SMALLEST:
            continue
        images = [fixed_image, moving_image]
        if shrink > 1:
            sigma = 0.5 * shrink * float(fixed.spacing[0])
            images = [sitk.Shrink(sitk.SmoothingRecursiveGaussian(image, sigma), [shrink] * 3) for image in images]
        if field is None:
            field = sitk.Image(images[0].GetSize(), sitk.sitkVectorFloat64, 3)
            field.CopyInformation(images[0])
        else:
            field = sitk.Resample(field, images[0], sitk.Transform(), sitk.sitkLinear, 0.0, sitk.sitkVectorFloat64)
        demons = sitk.DiffeomorphicDemonsRegistrationFilter()
        demons.SetNumberOfIterations(count)
        demons.SetSmoothDisplacementField(True)
        demons.SetStandardDeviations(_FIELD_SIGMA)
        demons.SetSmoothUpdateField(True)
        demons.SetUpdateFieldStandardDeviations(_UPDATE_SIGMA)
        field = demons.Execute(*images, field)
    if field is None:
        field = sitk.Image(fixed_image.GetSize(), sitk.sitkVectorFloat64, 3)
        field.CopyInformation(fixed_image)
    return sitk.DisplacementFieldTransform(sitk.Cast(field, sitk.sitkVectorFloat64))


def _warped(fixed: Volume, moving: Volume, transform: SimpleITK.Transform) -> np.ndarray:
    import SimpleITK as sitk

    # Beyond the patch its edge is repeated; a value of its own there would count as a difference.
    kind = sitk.sitkFloat32
    result = sitk.Resample(to_itk(moving), to_itk(fixed), transform, sitk.sitkLinear, 0.0, kind, True)
    return sitk.GetArrayFromImage(result)


def _through(transform: SimpleITK.Transform, points: np.ndarray) -> np.ndarray:
    found = [transform.TransformPoint(point_to_lps(point)) for point in np.atleast_2d(points)]
    return np.array(found) @ FLIP
