"""The lattice on which Slicer stores a segment, and reading and writing there.

Slicer keeps a segment as a labelmap whose integer extent is cropped around the segment, and may be shared by several
segments. What is written with the labelmap's own matrix is merged voxel by voxel; with any other matrix Slicer
resamples the whole segment, and voxels change that nobody edited.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import slicer
import vtk

from ..core.errors import InputError
from ..core.volume import Grid, Volume
from .volumes import array_to_matrix, fill_image, image_array, matrix_to_array

_STORED_TYPES = (np.uint8, np.uint16, np.int32)


@dataclass(frozen=True)
class IndexBox:
    """A range of voxel indices I, J, K; `stop` is not part of it."""

    start: tuple[int, int, int]
    stop: tuple[int, int, int]

    @classmethod
    def sized(cls, start: np.ndarray | tuple[int, int, int], shape: tuple[int, int, int]) -> IndexBox:
        """The box of a (K, J, I) array whose first voxel has an index I, J, K."""
        first = tuple(int(index) for index in start)
        return cls(first, tuple(index + size for index, size in zip(first, shape[::-1], strict=True)))

    @property
    def shape(self) -> tuple[int, int, int]:
        """(K, J, I) number of voxels."""
        return tuple(max(b - a, 0) for a, b in zip(self.start, self.stop, strict=True))[::-1]

    @property
    def empty(self) -> bool:
        """Whether it has no voxel."""
        return 0 in self.shape

    def intersection(self, other: IndexBox) -> IndexBox:
        """The common part."""
        return IndexBox(tuple(map(max, self.start, other.start)), tuple(map(min, self.stop, other.stop)))

    def union(self, other: IndexBox) -> IndexBox:
        """The smallest box that holds both; an empty one counts for nothing."""
        if self.empty or other.empty:
            return other if self.empty else self
        return IndexBox(tuple(map(min, self.start, other.start)), tuple(map(max, self.stop, other.stop)))

    def part(self, slices: tuple[slice, slice, slice]) -> IndexBox:
        """The part that K,J,I slices select in this box's array."""
        start = tuple(first + one.start for first, one in zip(self.start, slices[::-1], strict=True))
        return IndexBox(start, tuple(first + one.stop for first, one in zip(self.start, slices[::-1], strict=True)))

    def slices_in(self, outer: IndexBox) -> tuple[slice, slice, slice]:
        """K,J,I slices of this box in the array of an outer one."""
        return tuple(
            slice(a - first, b - first) for a, b, first in zip(self.start, self.stop, outer.start, strict=True)
        )[::-1]


@dataclass(frozen=True)
class Lattice:
    """A segment's labelmap, seen as an endless lattice of voxels of which some are set.

    Attributes
    ----------
    image
        The labelmap, shared or not.
    label
        The segment's value in it.
    """

    image: slicer.vtkOrientedImageData
    label: int = 1

    @property
    def matrix(self) -> np.ndarray:
        """4x4 matrix from the voxel index (I, J, K) to the segmentation's own coordinates, mm."""
        matrix = vtk.vtkMatrix4x4()
        self.image.GetImageToWorldMatrix(matrix)
        return matrix_to_array(matrix)

    @property
    def stored(self) -> IndexBox:
        """The voxels for which there is memory."""
        extent = self.image.GetExtent()
        return IndexBox(tuple(extent[::2]), tuple(last + 1 for last in extent[1::2]))

    @property
    def count(self) -> int:
        """Number of voxels in the segment."""
        return 0 if self.image.IsEmpty() else int(np.count_nonzero(image_array(self.image) == self.label))

    def grid(self, box: IndexBox) -> Grid:
        """A box of voxels as a grid in the segmentation's own coordinates."""
        matrix = self.matrix
        matrix[:, 3] = matrix @ (*box.start, 1.0)
        return Grid(box.shape, matrix)

    def box_of(self, grid: Grid) -> IndexBox:
        """The voxels that a grid covers, up to rounding."""
        corners = list(product(*((-0.49, size - 0.51) for size in grid.shape[::-1])))
        ijk = Grid((1, 1, 1), self.matrix).to_ijk(grid.to_ras(corners))
        return IndexBox(
            tuple(int(a) for a in np.floor(ijk.min(axis=0) + 0.5)),
            tuple(int(b) for b in np.floor(ijk.max(axis=0) + 0.5) + 1),
        )

    def array(self, box: IndexBox) -> np.ndarray:
        """(K, J, I) label values of a box, a copy; 0 where nothing is stored."""
        common = box.intersection(self.stored)
        if common.empty:
            return np.zeros(box.shape, dtype=np.uint8)
        values = image_array(self.image)[common.slices_in(self.stored)]
        out = np.zeros(box.shape, dtype=values.dtype)
        out[common.slices_in(box)] = values
        return out

    def part(self, box: IndexBox) -> np.ndarray:
        """(K, J, I) bool array of a box: which voxels are in the segment."""
        out = np.zeros(box.shape, dtype=bool)
        common = box.intersection(self.stored)
        if not common.empty:
            out[common.slices_in(box)] = image_array(self.image)[common.slices_in(self.stored)] == self.label
        return out

    def values(self, voxels: np.ndarray) -> np.ndarray:
        """(N,) bool: which of the (N, 3) voxel indices I, J, K are in the segment."""
        stored = self.stored
        inside = ((voxels >= stored.start) & (voxels < stored.stop)).all(axis=1)
        out = np.zeros(len(voxels), dtype=bool)
        if inside.any():
            i, j, k = (voxels[inside] - stored.start).T
            out[inside] = image_array(self.image)[k, j, i] == self.label
        return out

    def volume(self, name: str = "") -> Volume | None:
        """The stored part of the segment, uint8 0/1, in the segmentation's own coordinates; None without memory."""
        if self.image.IsEmpty():
            return None
        return Volume(self.part(self.stored).view(np.uint8), self.grid(self.stored).ijk_to_ras, name)

    def labelmap(self, box: IndexBox, array: np.ndarray, label: int = 1) -> slicer.vtkOrientedImageData:
        """A labelmap on this lattice that holds a (K, J, I) bool array at a box, in a type that holds the label."""
        image = slicer.vtkOrientedImageData()
        image.SetSpacing(self.image.GetSpacing())
        image.SetOrigin(self.image.GetOrigin())
        image.CopyDirections(self.image)
        fill_image(image, array.astype(stored_type(label)), box.start)
        return image

    def same_place(self, image: slicer.vtkOrientedImageData) -> bool:
        """Whether another image's voxels lie on this lattice, in Slicer's own opinion."""
        return bool(slicer.vtkOrientedImageDataResample.DoGeometriesMatch(self.image, image))


def stored_labelmap(node: slicer.vtkMRMLSegmentationNode, segment_id: str) -> slicer.vtkOrientedImageData | None:
    """The binary labelmap of a segment, None where it has none."""
    return node.GetSegmentation().GetSegment(segment_id).GetRepresentation(binary_labelmap())


def lattice_of(node: slicer.vtkMRMLSegmentationNode, segment_id: str) -> Lattice:
    """The lattice of a segment, for reading and writing.

    Raises
    ------
    InputError
        The segmentation's source is not a binary labelmap.
    """
    refuse_other_sources(node)
    return Lattice(
        stored_labelmap(node, segment_id), node.GetSegmentation().GetSegment(segment_id).GetLabelValue()
    )


def layers_of(node: slicer.vtkMRMLSegmentationNode) -> list[tuple[Lattice, dict[int, str]]]:
    """The labelmaps of a segmentation in which something is stored, with the segment IDs by their label values."""
    segmentation = node.GetSegmentation()
    found = []
    for index in range(segmentation.GetNumberOfLayers(binary_labelmap())):
        ids = segmentation.GetSegmentIDsForLayer(index, binary_labelmap())
        image = stored_labelmap(node, ids[0])
        if image is not None and not image.IsEmpty():
            found.append((Lattice(image), {segmentation.GetSegment(one).GetLabelValue(): one for one in ids}))
    return found


def refuse_other_sources(node: slicer.vtkMRMLSegmentationNode) -> None:
    """Raise an `InputError` where a segmentation's source is not a binary labelmap: what is written would be lost."""
    source = node.GetSegmentation().GetSourceRepresentationName()
    if source != binary_labelmap():
        raise InputError(
            f"{node.GetName()} is stored as {source.lower()}; "
            "make its binary labelmap the source representation in the Segmentations module."
        )


def binary_labelmap() -> str:
    """Slicer's name of the representation."""
    return slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()


def lattice_on(matrix: np.ndarray, box: IndexBox) -> Lattice:
    """A lattice by its 4x4 matrix, index I, J, K to the segmentation's own coordinates; nothing is stored on it."""
    image = slicer.vtkOrientedImageData()
    image.SetGeometryFromImageToWorldMatrix(array_to_matrix(matrix))
    image.SetExtent(*(bound for a, b in zip(box.start, box.stop, strict=True) for bound in (a, b - 1)))
    return Lattice(image)


def replace_segment(
    node: slicer.vtkMRMLSegmentationNode, segment_id: str, lattice: Lattice, box: IndexBox, array: np.ndarray
) -> None:
    """Make a segment a (K, J, I) bool array at a box of a lattice, and nothing beyond it.

    Other segments stay: where the segment shares a labelmap with them and now overlaps one, Slicer moves it to another
    layer.
    """
    # Slicer writes the label value in the type of what it is given; one that does not hold it empties the segment.
    label = node.GetSegmentation().GetSegment(segment_id).GetLabelValue()
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    logic.SetBinaryLabelmapToSegment(lattice.labelmap(box, array, label), node, segment_id, logic.MODE_REPLACE)


def stored_type(label: int) -> type[np.integer]:
    """The smallest type in which Slicer stores labelmaps and that holds a label value."""
    return next(kind for kind in _STORED_TYPES if label <= np.iinfo(kind).max)
