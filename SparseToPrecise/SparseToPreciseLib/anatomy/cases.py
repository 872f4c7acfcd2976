"""Cubes of real anatomy: one structure in its neighbourhood, deformed, with a real image or a random look."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from scipy import ndimage

from ..core.errors import InputError
from ..core.images import read_image, read_labelmap
from ..core.resampling import block_means
from ..core.volume import Grid, Volume
from .deformation import Deformation, placed_cube
from .looks import augmented_intensities, random_look
from .table import TableRow, read_table, with_role

_POINTS_KEPT = 2000
_FEWEST_VOXELS = 30
_LARGEST_PART_OUTSIDE = 0.6
"""Share of a cube that may lie beyond a real image; its border's values go on there, as in an edit."""
_OPENED = 512
"""Sources that are kept in memory."""


@dataclass(frozen=True)
class Structure:
    """One value of a label map.

    Attributes
    ----------
    label
        The value.
    size_mm
        Radius of the ball of its volume.
    points
        (N, 3) RAS points on its boundary, mm.
    """

    label: int
    size_mm: float
    points: np.ndarray = field(repr=False)

    @property
    def length_mm(self) -> float:
        """Longest side of its bounding box along R, A and S."""
        return float(np.ptp(self.points, axis=0).max())


@dataclass(frozen=True)
class Variation:
    """How cubes differ from their sources; part of a recipe.

    Attributes
    ----------
    look_share
        Share of random looks where there is a real image.
    union_share
        Share of the cubes whose object is a structure together with one that touches it.
    turn_of_images
        As `Deformation.turn`, for real images: they are edited along the RAS axes.
    """

    look_share: float = 0.25
    union_share: float = 0.2
    turn_of_images: float = 20.0


@dataclass(frozen=True)
class Cube:
    """One case.

    Attributes
    ----------
    image
        (K, J, I) float32, in units of its own.
    truth
        (K, J, I) bool, the object.
    other
        (K, J, I) bool, the same as another rater drew it; None where there is none.
    steps
        Voxel size with which truth and image were made, along K, J, I, in voxels of the cube.
    voxel_mm
        Size of the cube's voxels.
    case
        Name in the table.
    label
        Value of the structure.
    real
        Whether the image is real.
    """

    image: np.ndarray
    truth: np.ndarray
    other: np.ndarray | None
    steps: np.ndarray
    voxel_mm: float
    case: str
    label: int
    real: bool


class AnatomyCubes:
    """Draws cubes from the cases of one role in a folder.

    A source is drawn as often as the root of the number of its structures says, so that a hundred crops of one
    structure do not drown what is seen twenty times only; within a source, each case and each structure of it alike.

    Parameters
    ----------
    folder
        See `table`.
    role
        train, validate or test; validation and test cases are not deformed, and have their real images where there are.
    variation
        How training cases differ.

    Raises
    ------
    InputError
        The folder's table is refused, or it has no case of that role.
    """

    def __init__(self, folder: str | os.PathLike[str], role: str = "train", variation: Variation | None = None) -> None:
        self.folder = Path(folder)
        self.role = role
        self.variation = variation or Variation()
        self.rows = with_role(read_table(folder), role)
        if not self.rows:
            raise InputError(f"{self.folder} has no case with the role {role!r}; see the column role of its table.")

    @cached_property
    def digest(self) -> str:
        """Hash of the table's rows and the sizes of the files: other cases have another one."""
        digest = hashlib.sha256()
        for row in self.rows:
            files = [path for path in (row.image, row.label, row.other_label) if path is not None]
            digest.update(repr([row.name, row.role, [path.stat().st_size for path in files]]).encode())
        return digest.hexdigest()

    @property
    def sources(self) -> list[dict[str, str | int]]:
        """`sources_of` its cases."""
        return sources_of(self.rows)

    def draw(
        self,
        rng: np.random.Generator,
        size: int,
        voxel_mm: Callable[[np.random.Generator, Structure, Grid], float],
        whole: bool = False,
    ) -> Cube | None:
        """One cube around a random point of a random structure's boundary.

        Parameters
        ----------
        rng
            Decides everything.
        size
            Voxels along each side.
        voxel_mm
            Chooses their size for a structure on its source's grid.
        whole
            Around the structure's middle instead; one that reaches the cube's border is not taken.

        Returns
        -------
        Cube or None
            None where chance led to nothing with a boundary.
        """
        row = self._row(rng)
        source = _opened(row)
        if not source.structures:
            return None
        structure = source.structures[rng.integers(len(source.structures))]
        training = self.role == "train"
        look = row.image is None or (training and rng.random() < self.variation.look_share)
        deformation = None
        if training:
            deformation = Deformation() if look else Deformation(turn=self.variation.turn_of_images)
        grid = source.labels.grid
        voxel = voxel_mm(rng, structure, grid)
        points = structure.points
        centre = (points.min(axis=0) + points.max(axis=0)) / 2 if whole else points[rng.integers(len(points))]
        where, steps = placed_cube(rng, grid, centre, size, voxel, 2 * structure.size_mm, deformation)
        labels = nearest_values(source.labels.array, where)
        chosen = [structure.label]
        if training and rng.random() < self.variation.union_share:
            chosen += _touching(labels, structure.label)[:1]
        other = None if source.other is None else nearest_values(source.other.array, where)
        other = None if other is None else _among(other, chosen)
        if look:
            image, truth, steps = random_look(rng, labels, _among(labels, chosen), steps)
        else:
            if _share_outside(where, grid.shape) > _LARGEST_PART_OUTSIDE:
                return None
            image = linear_values(source.image, where, grid, voxel)
            image = augmented_intensities(rng, image) if training else image
            own = source.labels.with_array(_among(source.labels.array, chosen))
            truth = linear_values(own, where, grid, 0) > 0.5
        if not np.isfinite(image).all() or np.count_nonzero(truth) < _FEWEST_VOXELS or truth.all():
            return None
        if whole and np.count_nonzero(truth) != np.count_nonzero(truth[1:-1, 1:-1, 1:-1]):
            return None
        return Cube(image, truth, other, steps, voxel, row.name, structure.label, not look)

    def _row(self, rng: np.random.Generator) -> TableRow:
        names = sorted({row.source for row in self.rows})
        counts = np.array([self._structures_of(name) for name in names], float)
        weights = np.sqrt(np.maximum(counts, 1))
        name = names[rng.choice(len(names), p=weights / weights.sum())]
        rows = [row for row in self.rows if row.source == name]
        return rows[rng.integers(len(rows))]

    def _structures_of(self, source: str) -> int:
        """Structures in all cases of a source, as many in each as in its first one."""
        rows = [row for row in self.rows if row.source == source]
        return len(rows) * len(_opened(rows[0]).structures)


@dataclass(frozen=True)
class _Source:
    """A case in memory, on the grid of its label map."""

    labels: Volume
    image: Volume | None
    other: Volume | None
    structures: Sequence[Structure]


@lru_cache(maxsize=_OPENED)
def _opened(row: TableRow) -> _Source:
    labels = _small(read_labelmap(row.label))
    image = None if row.image is None else read_image(row.image)
    if image is not None and not image.grid.same_as(labels.grid, 0.1 * float(labels.spacing.min())):
        labels = labels.resampled_to(image.grid, "nearest", fill=0)
    other = None if row.other_label is None else _small(read_labelmap(row.other_label))
    if other is not None:
        other = other.resampled_to(labels.grid, "nearest", fill=0)
    return _Source(labels, image, other, structures_of(labels))


def _small(labels: Volume) -> Volume:
    array = labels.array
    return labels.with_array(array.astype(np.uint8 if array.max(initial=0) < 256 else np.uint16))


def structures_of(labels: Volume) -> list[Structure]:
    """The structures of a label map that have a boundary within it."""
    structures = []
    for label, box in enumerate(ndimage.find_objects(labels.array), 1):
        if box is None:
            continue
        mask = np.pad(labels.array[box] == label, 1)
        edge = mask & ~ndimage.binary_erosion(mask)
        ijk = (np.argwhere(edge) - 1 + [part.start for part in box])[:, ::-1]
        # Where the array cuts the structure, no boundary can be learnt.
        ijk = ijk[((ijk > 0) & (ijk < np.array(labels.shape[::-1]) - 1)).all(axis=1)]
        count = np.count_nonzero(mask)
        if len(ijk) and count >= _FEWEST_VOXELS:
            size = float(np.cbrt(count * labels.grid.voxel_volume_mm3 * 3 / (4 * np.pi)))
            kept = ijk[np.linspace(0, len(ijk) - 1, min(len(ijk), _POINTS_KEPT)).astype(int)]
            structures.append(Structure(label, size, labels.grid.to_ras(kept)))
    return structures


def _among(labels: np.ndarray, chosen: Sequence[int]) -> np.ndarray:
    """Which voxels have one of the chosen values; `numpy.isin` sorts, which takes longer."""
    table = np.zeros(np.iinfo(labels.dtype).max + 1, bool)
    table[list(chosen)] = True
    return table[labels]


def _touching(labels: np.ndarray, label: int) -> list[int]:
    """Structures that touch another one, that with the longest border first."""
    mask = labels == label
    around = ndimage.binary_dilation(mask) & ~mask & (labels > 0)
    values, counts = np.unique(labels[around], return_counts=True)
    return [int(value) for value in values[np.argsort(-counts)]]


def nearest_values(array: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Values of an array at (3, ...) coordinates, each of the nearest voxel; 0 beyond it."""
    index = np.floor(where + np.float32(0.5)).astype(np.int32)
    beyond = np.zeros(where.shape[1:], bool)
    for axis, size in enumerate(array.shape):
        if index[axis].min() < 0 or index[axis].max() >= size:
            beyond |= (index[axis] < 0) | (index[axis] >= size)
            np.clip(index[axis], 0, size - 1, out=index[axis])
    flat = (index[0] * array.shape[1] + index[1]) * array.shape[2] + index[2]
    values = np.ascontiguousarray(array).reshape(-1).take(flat)
    values[beyond] = 0
    return values


def linear_values(volume: Volume, where: np.ndarray, grid: Grid, voxel_mm: float) -> np.ndarray:
    """Values of a volume, interpolated linearly, float32; its border's go on beyond it.

    Parameters
    ----------
    where
        (3, ...) coordinates K, J, I on `grid`, which is the volume's.
    voxel_mm
        Where the volume is much finer than that, means of its blocks are sampled.
    """
    size = np.array(grid.shape)
    flat = where.reshape(3, -1)
    low = np.clip(np.floor(flat.min(axis=1)) - 1, 0, size - 1).astype(int)
    high = np.clip(np.ceil(flat.max(axis=1)) + 2, low + 1, size).astype(int)
    part = volume.cropped(tuple(slice(a, b) for a, b in zip(low, high, strict=True)))
    factors = np.maximum(np.floor(voxel_mm / grid.spacing_kji + 1e-6).astype(int), 1)
    factors = np.minimum(factors, part.shape)
    array = part.array if (factors == 1).all() else block_means(part, [int(factor) for factor in factors]).array
    # From voxels to -1 .. 1 between the centres of the outermost ones, in the order I, J, K, as PyTorch wants it.
    first = low + (factors - 1) / 2
    last = first + (np.array(array.shape) - 1) * factors
    span = np.maximum(last - first, 1e-6).astype(np.float32)
    points = np.stack(
        [(2 * where[axis] - np.float32(first[axis] + last[axis])) / span[axis] for axis in (2, 1, 0)], axis=-1
    )
    return sampled(array, points)


def sampled(array: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Linear interpolation at (K, J, I, 3) points between -1 and 1, faster than scipy's."""
    import torch

    given = torch.from_numpy(np.ascontiguousarray(array, np.float32))[None, None]
    values = torch.nn.functional.grid_sample(
        given, torch.from_numpy(points)[None], padding_mode="border", align_corners=True
    )
    return values[0, 0].numpy()


def _share_outside(where: np.ndarray, shape: tuple[int, int, int]) -> float:
    outside = np.zeros(where.shape[1:], bool)
    for axis, size in enumerate(shape):
        outside |= (where[axis] < -0.5) | (where[axis] > size - 0.5)
    return float(outside.mean())


def sources_of(rows: Sequence[TableRow]) -> list[dict[str, str | int]]:
    """Name, licences and number of cases of every source, for the metadata of what was trained."""
    return [
        {
            "source": name,
            "licence": "; ".join(sorted({row.licence for row in rows if row.source == name})),
            "cases": sum(row.source == name for row in rows),
        }
        for name in sorted({row.source for row in rows})
    ]


def described_sources(sources: Sequence[Mapping[str, str | int]]) -> str:
    """One line for a model's card about `AnatomyCubes.sources`."""
    licences = [one["licence"] or "licence not stated" for one in sources]
    named = zip(sources, licences, strict=True)
    return "; ".join(f"{one['source']} ({one['cases']} cases, {licence})" for one, licence in named)


def trained_on(sources: Sequence[Mapping[str, str | int]]) -> str:
    """Data of a training on phantoms, and on real anatomy where there are sources of it, in a few words."""
    return "real anatomy and phantoms" if sources else "phantoms"
