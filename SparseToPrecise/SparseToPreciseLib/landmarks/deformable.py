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
_LEAST_CHANGE = 0.02
"""Root mean square of an iteration's update, in voxels of the patch, below which a level ends. The filter's own limit
is as many mm, so that structures of a few micrometres would get one iteration."""
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
        back. They are registered apart, so their disagreement measures both. None: no level was better than none.
    before, after
        Correlations by which levels are judged, see `deform`, without a deformation and with `forward`.
    kept
        Shrink factors of the levels that `forward` comes from.
    """

    forward: SimpleITK.DisplacementFieldTransform | None
    backward: SimpleITK.DisplacementFieldTransform | None
    before: float
    after: float
    kept: Sequence[int] = ()

    def there(self, points: np.ndarray) -> np.ndarray:
        """(N, 3) RAS points of the reference, in the rigidly aligned target."""
        return _through(self.forward, points)

    def back(self, points: np.ndarray) -> np.ndarray:
        """(N, 3) RAS points of the rigidly aligned target, in the reference."""
        return _through(self.backward, points)


def deform(
    fixed: Volume,
    moving: np.ndarray,
    inside: np.ndarray | None = None,
    iterations: Sequence[int] = ITERATIONS,
    progress: Progress | None = None,
) -> DeformableResult:
    """Register two patches on one grid.

    Parameters
    ----------
    fixed
        The reference's patch; NaN where nothing was seen.
    moving
        (K, J, I) the target on the same grid, rigidly aligned; NaN where nothing was seen.
    inside
        (K, J, I) where a level is judged; None: everywhere.
    iterations
        Iterations of demons at a quarter, half and full resolution.
    progress
        Asked between the levels whether to go on.

    Notes
    -----
    Fixed is the reference and moving the target, so the transform takes a landmark of the reference to the target, and
    nothing is inverted. `itk::DiffeomorphicDemonsRegistrationFilter` has one level and smooths in voxels; the pyramid
    is around it. The coarse levels may drift along a structure, so each level is judged by the correlation that it
    reaches and dropped when the best so far, or no deformation at all, was better. Where one of the two was not seen,
    both have the same values, so that nothing pulls there.
    """
    progress = progress or Progress()
    seen = np.isfinite(fixed.array) & np.isfinite(moving)
    counted = seen if inside is None else seen & inside
    still = fixed.with_array(np.nan_to_num(fixed.array))
    other = np.array(still.array)
    other[seen] = translated(moving[seen], fixed.array[seen])
    target = fixed.with_array(other)
    forward, kept, before, after = _pyramid(still, target, counted, iterations, progress.part(0.0, 0.5))
    backward, *_ = _pyramid(target, still, counted, iterations, progress.part(0.5, 1.0))
    return DeformableResult(forward, backward, before, after, kept)


def translated(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Intensities of one set of voxels in terms of another's at the same places, so that their difference means
    something.

    Histogram matching in one modality; else the other set's mean where the values lie in the same bin, which
    also serves inverted contrast.
    """
    if correlation(values, like) > _LIKE:
        import SimpleITK as sitk

        source, reference = (sitk.GetImageFromArray(np.float32(v).reshape(1, 1, -1)) for v in (values, like))
        matched = sitk.HistogramMatching(source, reference, 128, 12, True)
        return sitk.GetArrayFromImage(matched).reshape(values.shape)
    edges = np.quantile(values, np.linspace(0, 1, _BINS + 1))
    place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, _BINS - 1)
    count = np.maximum(np.bincount(place.ravel(), minlength=_BINS), 1)
    mean = np.bincount(place.ravel(), like.ravel(), _BINS) / count
    return mean[place].astype(np.float32)


def warped_patch(result: DeformableResult, fixed: Volume, moving: np.ndarray) -> np.ndarray:
    """(K, J, I) the target on the patch after the deformation; NaN where nothing was seen."""
    if result.forward is None:
        return moving
    return _warped(to_itk(fixed.with_array(moving)), result.forward)


def _pyramid(
    fixed: Volume, moving: Volume, counted: np.ndarray, iterations: Sequence[int], progress: Progress
) -> tuple[SimpleITK.DisplacementFieldTransform | None, list[int], float, float]:
    """The displacement of the best levels, their shrink factors, and the correlation without and with it."""
    import SimpleITK as sitk

    fixed_image, moving_image = to_itk(fixed), to_itk(moving)
    best, kept = None, []
    before = after = correlation(fixed.array[counted], moving.array[counted])
    for number, (shrink, count) in enumerate(zip(_SHRINK, iterations, strict=True)):
        progress(number / len(_SHRINK), "deforming")
        if not count or (shrink > 1 and min(fixed.shape) / shrink < _SMALLEST):
            continue
        images = [fixed_image, moving_image]
        if shrink > 1:
            sigma = 0.5 * shrink * float(fixed.spacing[0])
            images = [sitk.Shrink(sitk.SmoothingRecursiveGaussian(image, sigma), [shrink] * 3) for image in images]
        demons = sitk.DiffeomorphicDemonsRegistrationFilter()
        demons.SetNumberOfIterations(count)
        demons.SetMaximumRMSError(_LEAST_CHANGE * float(fixed.spacing[0]))
        demons.SetSmoothDisplacementField(True)
        demons.SetStandardDeviations(_FIELD_SIGMA)
        demons.SetSmoothUpdateField(True)
        demons.SetUpdateFieldStandardDeviations(_UPDATE_SIGMA)
        start = _field(images[0]) if best is None else _resampled(best, images[0])
        field = _resampled(demons.Execute(*images, start), fixed_image)
        warped = _warped(moving_image, sitk.DisplacementFieldTransform(sitk.Image(field)))
        judged = correlation(fixed.array[counted], warped[counted])
        if judged > after:
            best, after, kept = field, judged, [*kept, shrink]
    return None if best is None else sitk.DisplacementFieldTransform(best), kept, before, after


def _field(like: SimpleITK.Image) -> SimpleITK.Image:
    """No displacement, on the grid of an image."""
    import SimpleITK as sitk

    field = sitk.Image(like.GetSize(), sitk.sitkVectorFloat64, 3)
    field.CopyInformation(like)
    return field


def _resampled(field: SimpleITK.Image, like: SimpleITK.Image) -> SimpleITK.Image:
    """A displacement on the grid of an image; at the patch's rim its own edge is repeated."""
    import SimpleITK as sitk

    kind = sitk.sitkVectorFloat64
    return sitk.Resample(field, like, sitk.Transform(), sitk.sitkLinear, 0.0, kind, True)


def _warped(image: SimpleITK.Image, transform: SimpleITK.Transform) -> np.ndarray:
    import SimpleITK as sitk

    # Beyond the patch its edge is repeated; a value of its own there would count as a difference.
    kind = sitk.sitkFloat32
    return sitk.GetArrayFromImage(sitk.Resample(image, image, transform, sitk.sitkLinear, 0.0, kind, True))


def _through(transform: SimpleITK.Transform | None, points: np.ndarray) -> np.ndarray:
    if transform is None:
        return np.array(points, dtype=np.float64)
    found = [transform.TransformPoint(point_to_lps(point)) for point in np.atleast_2d(points)]
    return np.array(found) @ FLIP
