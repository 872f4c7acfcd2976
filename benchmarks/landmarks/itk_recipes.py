"""The usual way to landmarks by registration: moments of the image, affine by mutual information, demons.

No network and no annotated structure: what a user of SimpleITK does with two whole images. Everything is along RAS
throughout, which is a frame like any other to a registration.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk

from SparseToPreciseLib.core.resampling import on_grid
from SparseToPreciseLib.core.volume import Grid, Volume
from SparseToPreciseLib.landmarks.moments import Moments
from SparseToPreciseLib.landmarks.working_grid import covering_grid

LONGEST = 80
"""Voxels along an image's longest side."""
ITERATIONS = {4: 40, 2: 30, 1: 15}
"""Of demons, by shrink factor: as many as the tool's own."""
_COARSE, _FINE = 4, 2


def to_image(array: np.ndarray, grid: Grid) -> sitk.Image:
    """A float32 image on a grid along RAS, its coordinates being RAS."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(array, dtype=np.float32))
    image.SetSpacing(grid.spacing.tolist())
    image.SetOrigin(grid.ijk_to_ras[:3, 3].tolist())
    return image


def working(volume: Volume) -> tuple[Volume, sitk.Image]:
    """An image on an isotropic grid along RAS with at most `LONGEST` voxels along a side."""
    corners = covering_grid(volume.grid, float(volume.spacing.max()))
    longest = float((np.array(corners.shape[::-1]) * corners.spacing).max())
    spacing = max(float(np.prod(volume.spacing)) ** (1 / 3), longest / LONGEST)
    grid = covering_grid(volume.grid, spacing)
    values = on_grid(volume, grid)
    values = np.nan_to_num(values, nan=float(np.nanmin(values)))
    return Volume(values, grid.ijk_to_ras), to_image(values, grid)


def usual_recipe(reference: Volume, target: Volume, points: np.ndarray, signs: Sequence[str]) -> dict[str, np.ndarray]:
    """(N, 3) landmarks in the target, by how the axes' ends were told apart.

    Parameters
    ----------
    reference, target
        Whole images.
    points
        (N, 3) RAS in the reference.
    signs
        third: the pose whose third moments agree best; all: every pose that the axes allow is tried by its mutual
        information, the four best are aligned, and the best of them counts.
    """
    fixed_volume, fixed = working(reference)
    moving_volume, moving = working(target)
    own, other = _moments(fixed_volume), _moments(moving_volume)
    turns = other.rotations_from(own)
    found, done = {}, {}
    for kind in signs:
        chosen = turns[:1]
        if kind == "all":
            chosen = sorted(turns, key=lambda one: _metric(fixed, moving, _start(one, own, other)))[:4]
        aligned = [_affine(fixed, moving, _start(one, own, other), _COARSE) for one in chosen]
        _, best = min(aligned, key=lambda one: one[0])
        _, best = _affine(fixed, moving, best, _FINE)
        key = tuple(np.round(best.GetParameters(), 6))
        if key not in done:
            done[key] = through(demons(fixed, sitk.Resample(moving, fixed, best), ITERATIONS), points)
        found[kind] = np.array([best.TransformPoint(point.tolist()) for point in done[key]])
    return found


def demons(fixed: sitk.Image, moving: sitk.Image, iterations: dict[int, int]) -> sitk.DisplacementFieldTransform:
    """Diffeomorphic demons, coarse to fine by shrink factor; two images on one grid."""
    moving = sitk.HistogramMatching(moving, fixed, 128, 12, True)
    field = None
    for shrink, count in iterations.items():
        images = [fixed, moving]
        if shrink > 1:
            sigma = [0.5 * shrink * step for step in fixed.GetSpacing()]
            images = [sitk.Shrink(sitk.SmoothingRecursiveGaussian(one, sigma), [shrink] * 3) for one in images]
        if field is None:
            field = sitk.Image(images[0].GetSize(), sitk.sitkVectorFloat64, 3)
            field.CopyInformation(images[0])
        else:
            field = sitk.Resample(field, images[0], sitk.Transform(), sitk.sitkLinear, 0.0, sitk.sitkVectorFloat64)
        method = sitk.DiffeomorphicDemonsRegistrationFilter()
        method.SetNumberOfIterations(count)
        method.SetSmoothDisplacementField(True)
        method.SetStandardDeviations(1.5)
        method.SetSmoothUpdateField(True)
        method.SetUpdateFieldStandardDeviations(0.7)
        field = method.Execute(*images, field)
    return sitk.DisplacementFieldTransform(sitk.Cast(field, sitk.sitkVectorFloat64))


def through(transform: sitk.Transform, points: np.ndarray) -> np.ndarray:
    return np.array([transform.TransformPoint(np.asarray(point, float).tolist()) for point in points])


def _moments(volume: Volume) -> Moments:
    """Of what is brighter than Otsu's threshold."""
    from skimage.filters import threshold_otsu

    return Moments.of((volume.array > threshold_otsu(volume.array)).astype(np.float32), volume.grid)


def _start(rotation: np.ndarray, own: Moments, other: Moments) -> sitk.AffineTransform:
    transform = sitk.AffineTransform(3)
    transform.SetCenter(own.centre.tolist())
    transform.SetMatrix(rotation.ravel().tolist())
    transform.SetTranslation((other.centre - own.centre).tolist())
    return transform


def _method(shrink: int) -> sitk.ImageRegistrationMethod:
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(32)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(1.0 if shrink == _COARSE else 0.3)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetShrinkFactorsPerLevel([shrink])
    method.SetSmoothingSigmasPerLevel([0.5 * shrink])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOff()
    return method


def _metric(fixed: sitk.Image, moving: sitk.Image, transform: sitk.Transform) -> float:
    method = _method(_COARSE)
    method.SetShrinkFactorsPerLevel([1])
    method.SetSmoothingSigmasPerLevel([0.0])
    method.SetMetricSamplingPercentage(0.05)
    method.SetInitialTransform(transform)
    try:
        return float(method.MetricEvaluate(fixed, moving))
    except RuntimeError:  # the images do not meet
        return 0.0


def _affine(
    fixed: sitk.Image, moving: sitk.Image, start: sitk.Transform, shrink: int
) -> tuple[float, sitk.AffineTransform]:
    """Mutual information (smaller is better) and the transform at one level."""
    method = _method(shrink)
    step = float(fixed.GetSpacing()[0])
    method.SetOptimizerAsRegularStepGradientDescent(shrink * step, 0.01 * step, 80, 0.6, 1e-6)
    method.SetOptimizerScalesFromPhysicalShift()
    transform = sitk.AffineTransform(start)
    method.SetInitialTransform(transform, inPlace=True)
    try:
        method.Execute(fixed, moving)
    except RuntimeError:
        return 0.0, sitk.AffineTransform(start)
    return float(method.GetMetricValue()), transform
