"""Rigid alignment of the reference's patch with the target, from several starts, at several resolutions."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..core.itk_images import FLIP, matrix_of, moved, point_to_lps, to_itk
from ..core.progress import Progress
from ..core.volume import Grid, Volume
from .inputs import Surroundings
from .pose import Candidate
from .similarity import correlation, visible_similarity

_SHRINK = (4, 2, 1)
_SAME_MODALITY = 0.3
"""Correlation above which intensities are compared with each other, below by their mutual information."""
_SCALES = 1.3
_CLOSE = 0.1
"""Candidates whose score comes so close to the best one's are aligned at full resolution, too."""
_MOST_FINE = 3


@dataclass(frozen=True)
class RigidResult:
    """An alignment.

    Attributes
    ----------
    matrix
        4x4, reference to target, RAS; a rotation, a shift and, if it was asked for, one scale.
    score
        `visible_similarity` of the patch and the target under it.
    start
        The candidate that it began with.
    metric
        correlation or mutual information.
    """

    matrix: np.ndarray
    score: float
    start: Candidate
    metric: str


class PatchAligner:
    """Aligns a patch of the reference with a target.

    Parameters
    ----------
    reference, target
        The images.
    patch
        Grid along RAS around the reference's structure; what lies on it is compared.
    mask
        (K, J, I) above 0 where the patch counts.
    """

    def __init__(self, reference: Surroundings, target: Surroundings, patch: Grid, mask: np.ndarray) -> None:
        self.patch = patch
        self.target = target
        self.fixed = Volume(reference.seen_on(patch), patch.ijk_to_ras)
        self.inside = (mask > 0) & np.isfinite(self.fixed.array)

    def score(self, matrix: np.ndarray) -> float:
        """`visible_similarity` of the patch and the target under a 4x4 matrix, where the patch counts."""
        return visible_similarity(self.fixed.array[self.inside], self.seen(matrix)[self.inside])

    def seen(self, matrix: np.ndarray) -> np.ndarray:
        """(K, J, I) the target under a 4x4 matrix from reference to target, on the patch's grid; NaN beyond it."""
        there = Grid(self.patch.shape, matrix @ self.patch.ijk_to_ras)
        return self.target.seen_on(there)

    def align(self, start: Candidate, *, scaling: bool = True, levels: Sequence[int] = _SHRINK) -> RigidResult:
        """Improve a pose.

        Parameters
        ----------
        start
            Pose to begin with.
        scaling
            Whether one scale may change, too, at the finest level.
        levels
            Shrink factors of the patch, coarse to fine.
        """
        import SimpleITK as sitk

        moving = self._around(start.matrix)
        # The optimiser adds up turns and shifts, so shifts are counted in voxels of the patch, however long these are.
        unit = float(self.patch.spacing[0])
        same = correlation(self.fixed.array, self.seen(start.matrix)) > _SAME_MODALITY
        fixed, moving = (_in_units(one, unit) for one in (self.fixed, moving))
        fixed_image, moving_image = (to_itk(one.with_array(np.nan_to_num(one.array))) for one in (fixed, moving))
        mask = sitk.Cast(to_itk(fixed.with_array(self.inside)), sitk.sitkUInt8)
        seen = np.isfinite(moving.array)
        transform: sitk.Transform = sitk.Euler3DTransform()
        transform.SetCenter(point_to_lps(start.about / unit))
        transform.SetMatrix((FLIP @ start.rotation @ FLIP).ravel().tolist(), 1e-6)
        transform.SetTranslation((FLIP @ (start.centre - start.about) / unit).tolist())
        kept = [level for level in levels if min(self.patch.shape) / level >= 10] or [1]
        for number, level in enumerate(kept):
            if scaling and number == len(kept) - 1:
                transform = _with_scale(transform)
            method = sitk.ImageRegistrationMethod()
            if same:
                method.SetMetricAsCorrelation()
            else:
                method.SetMetricAsMattesMutualInformation(32)
            method.SetMetricFixedMask(mask)
            if not seen.all():
                method.SetMetricMovingMask(sitk.Cast(to_itk(moving.with_array(seen)), sitk.sitkUInt8))
            # Every n-th voxel; SimpleITK moves each of them a little at random, seeded by the clock unless told
            # otherwise.
            method.SetMetricSamplingStrategy(method.REGULAR)
            share = min(1.0, 30_000 / (np.prod(self.patch.shape) / level**3))
            method.SetMetricSamplingPercentage(share, seed=1)
            method.SetInterpolator(sitk.sitkLinear)
            method.SetOptimizerAsRegularStepGradientDescent(
                learningRate=float(level),
                minStep=0.01,
                numberOfIterations=60,
                relaxationFactor=0.6,
                gradientMagnitudeTolerance=1e-6,
            )
            method.SetOptimizerScalesFromPhysicalShift()
            method.SetShrinkFactorsPerLevel([level])
            method.SetSmoothingSigmasPerLevel([0.5 * level if level > 1 else 0.0])
            method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOff()
            method.SetInitialTransform(transform, inPlace=True)
            try:
                with _one_thread():
                    method.Execute(fixed_image, moving_image)
            except RuntimeError:  # too little of the patch lies within the target: the start is what there is
                return RigidResult(start.matrix, self.score(start.matrix), start, "none")
        matrix = matrix_of(transform)
        matrix[:3, 3] *= unit
        size = np.cbrt(abs(np.linalg.det(matrix[:3, :3])))
        score = self.score(matrix)
        metric = "correlation" if same else "mutual information"
        if not 1 / _SCALES < size < _SCALES or score < self.score(start.matrix) - 0.02:
            return RigidResult(start.matrix, self.score(start.matrix), start, "none")
        return RigidResult(matrix, score, start, metric)

    def _around(self, matrix: np.ndarray) -> Volume:
        """The target on a grid along RAS as fine as the patch's, around where the patch comes to lie."""
        ends = [(0, size - 1) for size in self.patch.shape[::-1]]
        corners = np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1).reshape(-1, 3)
        spacing = float(self.patch.spacing[0])
        reach = 0.15 * spacing * max(self.patch.shape)
        grid = Grid.around(moved(matrix, self.patch.to_ras(corners)), reach, spacing)
        return Volume(self.target.seen_on(grid), grid.ijk_to_ras)


def best_alignment(
    aligner: PatchAligner, candidates: Sequence[Candidate], progress: Progress | None = None
) -> list[RigidResult]:
    """Every candidate aligned at coarse resolution, the best ones at all of them; best first."""
    progress = progress or Progress()
    coarse = []
    for number, candidate in enumerate(candidates):
        progress(0.6 * number / len(candidates), "aligning")
        coarse.append(aligner.align(candidate, scaling=False, levels=_SHRINK[:1]))
    coarse.sort(key=lambda one: -one.score)
    promising = [one for one in coarse if one.score > coarse[0].score - _CLOSE][:_MOST_FINE]
    fine = []
    for number, one in enumerate(promising):
        progress(0.6 + 0.4 * number / len(promising), "aligning at full resolution")
        resumed = replace(one.start, rotation=one.matrix[:3, :3], centre=moved(one.matrix, one.start.about))
        final = aligner.align(resumed, levels=_SHRINK[1:])
        fine.append(final if final.score >= one.score - 0.02 else one)
    return sorted([*fine, *coarse[len(promising) :]], key=lambda one: -one.score)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Threads add up in any order, and the same images are to give the same answer; the metric's and the filters'
    numbers of threads cannot be set apart from each other."""
    import SimpleITK as sitk

    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)


def _in_units(volume: Volume, unit_mm: float) -> Volume:
    """A volume whose world counts in a unit of length instead of mm."""
    return Volume(volume.array, np.diag([1 / unit_mm] * 3 + [1.0]) @ volume.ijk_to_ras)


def _with_scale(transform):
    import SimpleITK as sitk

    scaled = sitk.Similarity3DTransform()
    scaled.SetCenter(transform.GetCenter())
    scaled.SetMatrix(transform.GetMatrix(), 1e-6)
    scaled.SetTranslation(transform.GetTranslation())
    return scaled
