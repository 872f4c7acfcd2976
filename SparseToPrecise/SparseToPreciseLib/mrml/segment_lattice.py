"""A part of a segment, read and written on the lattice on which Slicer stores it.

Slicer keeps a segment as a labelmap whose integer extent is cropped around the segment, and may be shared by several
segments. What is written with the labelmap's own matrix is merged voxel by voxel; with any other matrix Slicer
resamples the whole segment, and voxels change that nobody edited.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer
import vtk

from ..core.errors import InputError
from ..core.volume import Grid
from .volumes import fill_image, image_array, matrix_to_array

_STORED_TYPES = (np.uint8, np.uint16, np.int32)


@dataclass(frozen=True)
class IndexBox:
    """A range of voxel indices I, J, K; `stop` is not part of it."""

    start: tuple[int, int, int]
    stop: tuple[int, int, int]

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
    label: int

    @property
    def matrix(self) -> np.ndarray:
        """4x4 matrix from the voxel index (I, J, K) to the segmentation's own coordinates, mm."""
        matrix = vtk.vtkMatrix4x4()
        self.image.GetImageToWorldMatrix(matrix)
        return matrix_to_array(matrix)

    @property
    def stored(self) -> IndexBox:
        """The voxels for which there is memory."""
        return extent_box(self.image)

    def part(self, box: IndexBox) -> np.ndarray:
        """(K, J, I) bool array of a box, a copy."""
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


def lattice_of(node: slicer.vtkMRMLSegmentationNode, segment_id: str) -> Lattice:
    """The lattice of a segment.

    Raises
    ------
    InputError
        The segmentation's source is not a binary labelmap.
    """
    segmentation = node.GetSegmentation()
    wanted = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
    source = segmentation.GetSourceRepresentationName()
    segment = segmentation.GetSegment(segment_id)
    image = segment.GetRepresentation(wanted) if source == wanted else None
    if image is None:
        raise InputError(
            f"{node.GetName()} is stored as {source.lower()}; "
            "make its binary labelmap the source representation in the Segmentations module."
        )
    return Lattice(image, segment.GetLabelValue())


def stored_type(label: int) -> type[np.integer]:
    """The smallest type in which Slicer stores labelmaps and that holds a label value."""
    return next(kind for kind in _STORED_TYPES if label <= np.iinfo(kind).max)


def replace_labelmap(
    node: slicer.vtkMRMLSegmentationNode, segment_id: str, labelmap: slicer.vtkOrientedImageData
) -> None:
    """Make a segment what a labelmap says.

    Other segments stay: where it shares a labelmap with them and now overlaps one, Slicer moves it to another layer.
    Slicer writes the segment's label value in the type of the given labelmap, which must hold it.
    """
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    logic.SetBinaryLabelmapToSegment(labelmap, node, segment_id, logic.MODE_REPLACE)


def extent_box(image: slicer.vtkOrientedImageData) -> IndexBox:
    """The voxels of an image, by its extent."""
    extent = image.GetExtent()
    return IndexBox(tuple(extent[::2]), tuple(last + 1 for last in extent[1::2]))


def box_of(grid: Grid, matrix: np.ndarray) -> IndexBox:
    """The voxels of a lattice (4x4 matrix, index to the grid's coordinates) that a grid covers, up to rounding."""
    size = np.array(grid.shape[::-1])
    ends = np.array([-0.49, -0.49, -0.49]), size - 0.51
    corners = np.stack(np.meshgrid(*np.array(ends).T, indexing="ij"), axis=-1).reshape(-1, 3)
    ijk = Grid((1, 1, 1), matrix).to_ijk(grid.to_ras(corners))
    return IndexBox(
        tuple(int(a) for a in np.floor(ijk.min(axis=0) + 0.5)),
        tuple(int(b) for b in np.floor(ijk.max(axis=0) + 0.5) + 1),
    )
