"""Bringing the CT of a patient onto the MR of the same patient, before a network learns from the pair.

What a network learns is no better than this: where the two lie a few millimetres apart it learns to blur.
"""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
from scipy import ndimage

from ..core.errors import InputError
from ..core.itk_images import FLIP, matrix_of, moved, point_to_lps, to_itk
from ..core.progress import Progress
from ..core.resampling import on_grid, world_corners
from ..core.volume import Grid, Volume
from .body import body_mask, field_of_view
from .hu import AIR_BELOW
from .modality import unpadded
from .pair_quality import PairQuality, Side, measured, nearby_agreement

SPACING_MM = 2.5
"""Side of the voxels on which the two are compared."""
MOST_STRETCH = 1.12
"""An affine part that stretches any direction by more than this is not believed: one head has one size."""
LEAST_GAIN = 0.005
"""Least gain in the agreement of the edges for an affine part, else the rigid part stays as it is."""

_BRIGHTEST_HU = 1500.0
_SAMPLES = 60_000
_SEED = 1
"""Seed of the samples of the metric, which are shifted a little at random."""
_REACH_MM = 6.0
_AFFINE_STEP_MM = 0.2  # from where the rigid part left off; a longer one can throw the stretch far away
_BEYOND_HU = -1024.0


def register_pair(
    mr: Volume, ct: Volume, *, affine: bool = True, beyond: float = _BEYOND_HU, progress: Progress | None = None
) -> tuple[Volume, PairQuality]:
    """Bring a CT onto the MR of the same head: rigid, then affine, by mutual information.

    Parameters
    ----------
    mr, ct
        On any grids; the CT in HU. Where they lie in the world is one of the places that are tried to begin with.
    affine
        Whether stretch and shear of a few percent may follow the rigid part: scanners differ in their gradients.
    beyond
        HU where the MR goes on and the CT does not; NaN marks it for `training_cases.prepared`.
    progress
        Hears of the stages; may cancel.

    Returns
    -------
    ct
        float32 HU on the MR's own grid.
    quality
        Agreement of the two, with the transform, a sentence, and whether to use the pair.

    Raises
    ------
    InputError
        One of them has no body, NaN within the image or a single slice.
    """
    progress = progress or Progress()
    progress(0.0, "looking at the pair")
    fixed, moving = _side(mr, "The MR"), _side(ct, "The CT", AIR_BELOW)
    pair = _Pair(fixed, moving)
    middle = fixed.points.mean(axis=0)
    starts = _starts(fixed, moving)
    found = []
    for number, start in enumerate(starts):
        progress(0.1 + 0.4 * number / len(starts), "finding the place")
        found.append(measured(fixed, moving, np.linalg.inv(_rigid(pair, middle, start, 2))))
    progress(0.5, "rigid registration")
    # The metric alone prefers places where little of the two overlaps.
    best = np.linalg.inv(max(found, key=lambda one: one.agreement).ct_to_mr)
    found.append(measured(fixed, moving, np.linalg.inv(_rigid(pair, middle, best, 1))))
    # Two that lie on each other already are not to end farther apart.
    quality = max([measured(fixed, moving, np.eye(4)), *found], key=lambda one: one.agreement)
    best = np.linalg.inv(quality.ct_to_mr)
    if affine:
        progress(0.7, "affine registration")
        stretched = measured(fixed, moving, np.linalg.inv(_affine(pair, middle, best)))
        # Where a head is cut, or bone is blurred, a wrong stretch can raise the information alone.
        if stretched.edges >= quality.edges + LEAST_GAIN and stretched.information_after > quality.information_after:
            quality = stretched
    progress(0.85, "trying the mirror image")
    other = _mirrored(moving)
    pair = _Pair(fixed, other)
    place = _rigid(pair, middle, _rigid(pair, middle, best, 2), 1)
    ct_to_mr, agreement = quality.ct_to_mr, max(quality.agreement, 1e-6)
    mirror = measured(fixed, other, np.linalg.inv(place)).agreement / agreement
    nearby = nearby_agreement(fixed, moving, ct_to_mr) / agreement
    quality = measured(fixed, moving, ct_to_mr, mirror, nearby)
    on_mr = on_grid(Volume(ct.array, ct_to_mr @ ct.ijk_to_ras, ct.name), mr.grid)
    on_mr[np.isnan(on_mr)] = beyond
    progress(1.0, "registered")
    return Volume(on_mr, mr.ijk_to_ras, ct.name), quality


def _side(volume: Volume, what: str, above: float | None = None) -> Side:
    name = volume.name or what
    if min(volume.shape) < 2:
        raise InputError(f"{name} is a single slice; a pair is registered in 3D.")
    known = field_of_view(volume)
    array = volume.array.astype(np.float32)
    if above is None and known is None:
        array = unpadded(array)
    elif above is not None:
        # What is darker than air lies around a mask or a field of view.
        array = np.maximum(array, np.float32(_BEYOND_HU))
    volume = volume.with_array(array)
    array = array if known is None else array[known]
    body = body_mask(volume, above)
    grid = Grid.around(world_corners(volume.grid), 0.0, SPACING_MM)
    values = on_grid(volume, grid)
    there = np.isfinite(values)
    darkest = float(array.min()) if above is None else -1000.0
    brightest = float(np.percentile(array, 99.7)) if above is None else _BRIGHTEST_HU
    values = np.clip(np.where(there, values, darkest), darkest, brightest)
    inside = (on_grid(body, grid) >= 0.5) & there
    if above is not None:  # the table is no part of the pair
        values[~inside] = darkest
    if not inside.any():
        raise InputError(f"{name} shows no body of more than a voxel of {SPACING_MM:g} mm.")
    return Side(Volume(values.astype(np.float32), grid.ijk_to_ras, name), inside, there)


class _Pair:
    """SimpleITK's images of the two, and where they count: near the MR's body, and where there is a CT."""

    def __init__(self, fixed: Side, moving: Side) -> None:
        self.images = to_itk(fixed.image), to_itk(moving.image)
        near = ndimage.binary_dilation(fixed.body, iterations=round(_REACH_MM / SPACING_MM)) & fixed.there
        # A voxel beside the border is interpolated with what lies beyond it.
        known = ndimage.binary_erosion(moving.there, border_value=1)
        self.masks = self._mask(fixed, near), self._mask(moving, known)
        self.voxels = near.size

    @staticmethod
    def _mask(side: Side, where: np.ndarray):
        import SimpleITK as sitk

        return sitk.Cast(to_itk(side.image.with_array(where)) > 0.5, sitk.sitkUInt8)

    def method(self, level: int, first_step_mm: float | None = None):
        """The optimisation on voxels `level` times as long; its first step is as long as a voxel, or given."""
        import SimpleITK as sitk

        method = sitk.ImageRegistrationMethod()
        method.SetMetricAsMattesMutualInformation(32)
        method.SetMetricFixedMask(self.masks[0])
        method.SetMetricMovingMask(self.masks[1])
        # Every n-th voxel, one seed and one thread: the same pair gives nearly the same answer.
        method.SetMetricSamplingStrategy(method.REGULAR)
        method.SetMetricSamplingPercentage(float(min(1.0, _SAMPLES / (self.voxels / level**3))), seed=_SEED)
        method.SetNumberOfThreads(1)
        method.SetInterpolator(sitk.sitkLinear)
        method.SetOptimizerAsRegularStepGradientDescent(
            learningRate=first_step_mm or level * SPACING_MM,
            minStep=0.02,
            numberOfIterations=200,
            # Turning and shifting pull at different speeds: shorter steps would stop long before the optimum.
            relaxationFactor=0.9,
            gradientMagnitudeTolerance=1e-8,
        )
        method.SetOptimizerScalesFromPhysicalShift()
        method.SetShrinkFactorsPerLevel([level])
        method.SetSmoothingSigmasPerLevel([0.5 * level if level > 1 else 0.0])
        method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOff()
        return method


def _starts(fixed: Side, moving: Side) -> list[np.ndarray]:
    """4x4 shifts, MR to CT: as they lie, middle on middle, and top on top, for fields of view that end elsewhere."""
    places = [(fixed.points, moving.points)]
    tops = []
    for points in places[0]:
        highest = np.percentile(points[:, 2], 99.5)
        upper = points[points[:, 2] > highest - 110]
        tops.append(np.array([*np.median(upper[:, :2], axis=0), highest]))
    shifts = [np.zeros(3), places[0][1].mean(axis=0) - places[0][0].mean(axis=0), tops[1] - tops[0]]
    kept: list[np.ndarray] = []
    for shift in shifts:
        if all(np.linalg.norm(shift - other[:3, 3]) > 5 for other in kept):
            start = np.eye(4)
            start[:3, 3] = shift
            kept.append(start)
    return kept


def _mirrored(side: Side) -> Side:
    """Left and right exchanged about the middle of the body; the grid lies along RAS."""
    matrix = side.image.ijk_to_ras.copy()
    middle = float(side.points[:, 0].mean())
    last = float(side.image.grid.to_ras([side.image.shape[2] - 1, 0, 0])[0])
    matrix[0, 3] = 2 * middle - last
    image, body, there = (
        np.ascontiguousarray(array[..., ::-1]) for array in (side.image.array, side.body, side.there)
    )
    return Side(Volume(image, matrix, side.image.name), body, there)


def _rigid(pair: _Pair, middle: np.ndarray, start: np.ndarray, level: int) -> np.ndarray:
    """The improved 4x4 matrix, MR to CT; the start where nothing overlaps."""
    import SimpleITK as sitk

    transform = sitk.Euler3DTransform()
    _set(transform, middle, start)
    method = pair.method(level)
    method.SetInitialTransform(transform, inPlace=True)
    try:
        method.Execute(*pair.images)
    except RuntimeError:  # too little of the MR lies within the CT
        return start
    return matrix_of(transform)


def _affine(pair: _Pair, middle: np.ndarray, start: np.ndarray) -> np.ndarray:
    import SimpleITK as sitk

    transform = sitk.AffineTransform(3)
    _set(transform, middle, start)
    method = pair.method(1, _AFFINE_STEP_MM)
    method.SetInitialTransform(transform, inPlace=True)
    try:
        method.Execute(*pair.images)
    except RuntimeError:
        return start
    matrix = matrix_of(transform)
    stretches = np.linalg.svd(matrix[:3, :3], compute_uv=False)
    believable = stretches.max() < MOST_STRETCH and stretches.min() > 1 / MOST_STRETCH
    return matrix if believable else start


def _set(transform, middle: np.ndarray, matrix: np.ndarray) -> None:
    transform.SetCenter(point_to_lps(middle))
    transform.SetMatrix((FLIP @ matrix[:3, :3] @ FLIP).ravel().tolist())
    transform.SetTranslation((FLIP @ (moved(matrix, middle) - middle)).tolist())


def quality_as_json(quality: PairQuality) -> dict:
    """Plain numbers and the sentence, for a report."""
    return {**asdict(quality), "ct_to_mr": quality.ct_to_mr.tolist()}
