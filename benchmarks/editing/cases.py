"""Cases for the editing benchmark: an image, the truth, a wrong segmentation, and a user who draws strokes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import SimpleITK as sitk

from SparseToPreciseLib.anatomy.cases import Structure
from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.masks import dice
from SparseToPreciseLib.core.volume import Grid, Volume
from SparseToPreciseLib.editing.guidance import densify, nearest_on_stroke
from SparseToPreciseLib.editing.influence import default_influence_radius
from SparseToPreciseLib.editing.simulated_user import draw_stroke
from SparseToPreciseLib.editing.simulation import AMBIGUOUS_KINDS, GEOMETRIC_KINDS, corrupt
from SparseToPreciseLib.editing.undertrained import undertrained_segmenters
from SparseToPreciseLib.editing.working_grid import normalised, signed_distance

from ..harness import DATA

CT, MR, TUMOUR = "abdomen_ct_3mm", "abdomen_mr_slab_3mm", "brain_tumor1"
# (file, label, name); the labels of the CT and the MR are TotalSegmentator's, each with numbers of its own
STRUCTURES = (
    (CT, 2, "CT right kidney"),
    (CT, 3, "CT left kidney"),
    (CT, 4, "CT gallbladder"),
    (CT, 28, "CT vertebra"),
    (CT, 30, "CT vertebra, upper"),
    (CT, 1, "CT spleen"),
    (CT, 5, "CT liver"),
    (MR, 2, "MR right kidney"),
    (MR, 5, "MR liver"),
    (MR, 1, "MR spleen"),
    (TUMOUR, 1, "MR brain tumour, 6.5 mm slices"),
)
MARGIN_MM = 20.0
LEAST_DICE = 0.6
SEGMENTER_STEPS = (30, 45, 70, 100, 150)
FINEST_MM = 2.0
MOST_VOXELS = 160
"""Along each side of a `fine_grid`."""


@dataclass(frozen=True)
class Case:
    """One wrong segmentation.

    Attributes
    ----------
    name, kind
        Structure or phantom family; what kind of error.
    image, truth, current
        Volumes on one grid; truth and current are bool.
    fine
        Isotropic grid on which errors and strokes are simulated.
    fine_truth
        The truth there, (K, J, I) bool.
    """

    name: str
    kind: str
    image: Volume
    truth: Volume
    current: Volume
    fine: Grid
    fine_truth: np.ndarray

    def stroke(
        self, rng: np.random.Generator | None, done: Sequence[tuple[np.ndarray, float]] = (), **options
    ) -> tuple[np.ndarray, float] | None:
        """What the user draws on the current segmentation: stroke (N, 3) RAS and influence radius, both mm.

        Errors within half an influence radius of the strokes that are `done` are left alone while there are others.
        """
        truth, current = self.fine_truth, on_fine(self.current, self.fine) > 0
        sample = None
        if done:
            left = current.copy()
            for points, radius in done:
                part = self.fine.slices_around(points, radius / 2)
                grid = self.fine.cropped(part)
                near = nearest_on_stroke(grid.points_ras().reshape(-1, 3), densify(points, radius / 8))[0]
                left[part] = np.where(near.reshape(grid.shape) < radius / 2, truth[part], left[part])
            sample = draw_stroke(truth, left, rng, **options)
        if sample is None:
            sample = draw_stroke(truth, current, rng, **options)
        if sample is None or len(sample.points) < 2:
            return None
        # A plane can pass half a voxel outside the coarser image.
        points = self.fine.to_ras(sample.points[:, ::-1])
        points = points[self.image.grid.contains(points)]
        if len(points) < 2:
            return None
        # The user leaves the radius to the tool, which does not know the truth, and draws no stroke that it refuses.
        try:
            return points, default_influence_radius(self.current, points)
        except InputError:
            return None

    def with_current(self, current: Volume) -> Case:
        return replace(self, current=current.with_array(current.array > 0))


def on_fine(mask: Volume, fine: Grid) -> np.ndarray:
    """Signed distance (mm) of a mask on the fine grid."""
    bounds = np.sort(fine.to_ras([[0, 0, 0], np.array(fine.shape[::-1]) - 1]).T, axis=1)
    part = mask.cropped_to_box(bounds, margin_mm=2 * float(mask.spacing.max()))
    distance = part.with_array(signed_distance(part.array > 0, part.grid.spacing_kji))
    return distance.resampled_to(fine).array


@lru_cache(maxsize=4)
def _read(name: str) -> Volume:
    image = sitk.ReadImage(str(DATA / name))
    to_lps = np.eye(4)
    to_lps[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    to_lps[:3, 3] = image.GetOrigin()
    return Volume(sitk.GetArrayFromImage(image), np.diag([-1.0, -1.0, 1.0, 1.0]) @ to_lps, name)


def structure(file: str, label: int, name: str) -> tuple[Volume, Volume, Grid]:
    """Image, truth and the fine grid (around the structure, with a margin) of a real structure."""
    if file == TUMOUR:
        image, labels = _read(f"{file}_t1gd.nrrd"), _read(f"{file}_label.nrrd")
    else:
        image, labels = _read(f"{file}.nii.gz"), _read(f"{file}_labels.nii.gz")
    inside = labels.array == label
    ijk = np.argwhere(inside)[:, ::-1]
    fine = Grid.around(labels.grid.to_ras(ijk), MARGIN_MM, min(FINEST_MM, float(labels.spacing.min())))
    return image, Volume(inside, labels.ijk_to_ras, name), fine


def equivalent_radius(truth: Volume) -> float:
    """Radius (mm) of the ball with the same volume."""
    return float((np.count_nonzero(truth.array) * truth.grid.voxel_volume_mm3 * 3 / (4 * np.pi)) ** (1 / 3))


def simulated_real_cases(
    repeats: int, seed: int = 0, kind: str = "geometric", numbers: Sequence[int] | None = None
) -> Iterator[Case]:
    """Wrong versions of every real structure (or of those of the given numbers in `STRUCTURES`); see `wrong_versions`.

    The size of a simulated error is about half the structure's own radius, between 6 and 25 mm.
    """
    for number, (file, label, name) in enumerate(STRUCTURES):
        if numbers is None or number in numbers:
            image, truth, fine = structure(file, label, name)
            yield from wrong_versions(name, image, truth, fine, repeats, [seed, number], kind, (6.0, 25.0))


def fine_grid(truth: Volume, structure: Structure) -> Grid:
    """The fine grid around a structure of another scale than a patient's organs."""
    margin = 1.5 * structure.size_mm
    spacing = max(float(truth.spacing.min()), (structure.length_mm + 2 * margin) / MOST_VOXELS)
    return Grid.around(structure.points, margin, spacing)


def wrong_versions(
    name: str,
    image: Volume,
    truth: Volume,
    fine: Grid,
    repeats: int,
    seeds: Sequence[int],
    kind: str,
    limits_mm: tuple[float, float] | None = None,
) -> Iterator[Case]:
    """Wrong versions of a structure.

    kind "geometric" or "ambiguous": simulated errors whose size is about half the structure's own radius, within the
    limits; without them at least three voxels of the fine grid. kind "segmenter": what a network makes of it that was
    trained on the structure itself for too short.
    """
    kinds = GEOMETRIC_KINDS if kind == "geometric" else AMBIGUOUS_KINDS
    low, high = limits_mm or (3 * float(fine.spacing[0]), np.inf)
    fine_truth = on_fine(truth, fine) > 0
    fine_image = normalised(image.resampled_to(fine).array)
    if kind == "segmenter":
        segmenters = undertrained_segmenters([(fine_image, fine_truth)], SEGMENTER_STEPS[:repeats], sum(seeds))
    for repeat in range(repeats):
        if kind == "segmenter":
            wrong = segmenters[repeat](fine_image, fine_truth)
        else:
            rng = np.random.default_rng([*seeds, repeat, kind == "geometric"])
            radius = np.clip(0.5 * equivalent_radius(truth) * rng.uniform(0.6, 1.4), low, high)
            wrong, _ = corrupt(fine_truth, rng, radius / fine.spacing[0], fine_image, kinds)
        if dice(wrong, fine_truth) < LEAST_DICE:
            continue  # to be segmented again, not edited
        # Beyond the fine grid lies nothing; its edge must not be repeated there.
        distance = Volume(signed_distance(wrong, np.ones(3)), fine.ijk_to_ras).resampled_to(truth.grid, fill=-1.0).array
        # Where the finer grid's error is none, the coarser mask is the truth itself, not its resampled copy.
        same = Volume(signed_distance(fine_truth, np.ones(3)), fine.ijk_to_ras)
        same = same.resampled_to(truth.grid, fill=-1.0).array > 0
        current = np.where((distance > 0) != same, distance > 0, truth.array)
        if np.array_equal(current, truth.array):
            continue
        yield Case(name, kind, image, truth, truth.with_array(current), fine, fine_truth)


__all__ = ["Case", "InputError", "STRUCTURES", "simulated_real_cases", "structure"]
