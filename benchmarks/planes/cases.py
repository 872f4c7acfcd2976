"""Structures, and planes through them: slices evenly spaced, or planes of random direction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from SparseToPreciseLib.core.images import read_image, read_labelmap
from SparseToPreciseLib.core.masks import bounding_slices
from SparseToPreciseLib.core.plane import Plane
from SparseToPreciseLib.core.resampling import block_means
from SparseToPreciseLib.core.volume import Volume
from SparseToPreciseLib.phantoms import FAMILIES, make_phantom

from ..harness import ANATOMY, DATA
from ..sources import sources_for_tests, structures_of_source
from .context import Context

KINDS = ("slices", "oblique")
MARGIN = 0.5
"""Of the structure's sides: so far beyond it the image is kept."""
LONGEST = 72
"""Voxels along a side; longer ones are joined to blocks, so that every row can be run."""
_THICKER = 1.05
_MIDDLE = 0.9
_ORGANS = (
    ("abdomen_ct_3mm", 2, "CT right kidney"),
    ("abdomen_ct_3mm", 5, "CT liver"),
    ("abdomen_ct_3mm", 28, "CT vertebra"),
    ("abdomen_ct_3mm", 1, "CT spleen"),
    ("abdomen_mr_slab_3mm", 2, "MR right kidney"),
    ("abdomen_mr_slab_3mm", 5, "MR liver"),
    ("abdomen_mr_slab_3mm", 1, "MR spleen"),
)


@dataclass(frozen=True)
class Case:
    """A structure, cut out.

    Attributes
    ----------
    name, source
        As they are told.
    image
        float32.
    truth
        bool, on the image's grid.
    """

    name: str
    source: str
    image: Volume
    truth: Volume

    def painted(self, planes: list[Plane]) -> tuple[Volume, np.ndarray]:
        """Paint on planes, uint8, and (K, J, I) bool: the planes' voxels."""
        on_planes = np.zeros(self.truth.shape, bool)
        for plane in planes:
            i, j, k = plane.voxels(self.truth.grid).T
            on_planes[k, j, i] = True
        return self.truth.with_array((self.truth.array & on_planes).astype(np.uint8), self.name), on_planes

    def planes(self, kind: str, count: int, rng: np.random.Generator) -> list[Plane]:
        """Planes that meet the structure."""
        grid, mask = self.truth.grid, self.truth.array
        if kind == "slices":
            axis = slice_axis(self.truth)
            there = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != 2 - axis)))
            low, high = there[0], there[-1] + 1
            indices = sorted({int(low + (step + 0.5) / count * (high - low)) for step in range(count)})
            return [Plane.of_slice(grid, axis, index) for index in indices]
        points = grid.to_ras(np.argwhere(mask)[:, ::-1])
        found: list[Plane] = []
        while len(found) < count:
            normal = rng.normal(size=3)
            normal /= np.linalg.norm(normal)
            along = points @ normal
            middle, half = (along.max() + along.min()) / 2, np.ptp(along) / 2 * _MIDDLE
            plane = Plane.across(normal, normal * rng.uniform(middle - half, middle + half), f"plane {len(found) + 1}")
            if self.painted([plane])[0].array.any():
                found.append(plane)
        return found


def slice_axis(volume: Volume) -> int:
    """The axis (0: I, 1: J, 2: K) across which somebody would paint slices: the thickest voxels, else K."""
    spacing = volume.spacing
    return int(np.argmax(spacing)) if spacing.max() > _THICKER * spacing.min() else 2


def cut_out(name: str, source: str, image: Volume, truth: Volume) -> Case:
    """A structure with its surroundings, of at most `LONGEST` voxels along each side."""
    box = bounding_slices(truth.array)
    more = [int(MARGIN * (part.stop - part.start)) + 3 for part in box]
    box = tuple(slice(max(part.start - extra, 0), part.stop + extra) for part, extra in zip(box, more, strict=True))
    mask = truth.cropped(box)
    same = image.grid.same_as(truth.grid, 0.1 * float(truth.spacing.min()))
    values = image.cropped(box) if same else image.resampled_to(mask.grid)
    factors = [max(1, round(size / LONGEST)) for size in mask.shape]
    if max(factors) > 1:
        means = block_means(mask, factors)
        mask, values = means.with_array(means.array >= 0.5), block_means(values, factors)
    values = Volume(values.array.astype(np.float32), mask.ijk_to_ras, "image")
    return Case(name, source, values, mask.with_array(mask.array.astype(bool), name))


def real_cases(context: Context) -> list[Case]:
    """Structures of whole sources that nothing was chosen by, and of the CT and the MR slab; empty without them."""
    found = []
    for source in sources_for_tests(ANATOMY) if ANATOMY.is_dir() else []:
        several = structures_of_source(ANATOMY, source, 4 * context.per_source)
        for index in np.unique(np.linspace(0, len(several) - 1, context.per_source).round().astype(int)):
            image, truth, _ = several[index]
            found.append(cut_out(truth.name, source, image, truth))
    for file, label, name in _ORGANS[: context.organs]:
        path = DATA / f"{file}.nii.gz"
        if path.is_file():
            labels = read_labelmap(DATA / f"{file}_labels.nii.gz")
            truth = labels.with_array(labels.array == label)
            found.append(cut_out(name, "CT and MR of the abdomen", read_image(path), truth))
    return found


def phantom_cases(context: Context) -> list[Case]:
    """Some of every family, on isotropic voxels."""
    found = []
    for family in FAMILIES:
        for seed in range(context.phantoms):
            phantom = make_phantom(family, 1000 + 100 * context.seed + seed)
            image, truth = (Volume(one, np.eye(4)) for one in (phantom.image, phantom.target))
            found.append(Case(f"{family} {seed}", "phantoms", image, truth))
    return found
