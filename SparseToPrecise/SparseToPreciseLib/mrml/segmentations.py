"""Segments as binary `Volume`s and back, without losing what lies outside a grid or in other segments.

A segmentation stores its segments on one lattice: the reference image's matrix and integer extents that may be
cropped around a segment, shared by several segments, or larger than the reference image. Everything here works on
that lattice. Slicer's own array helper applies a relative transform twice (`updateSegmentBinaryLabelmapFromArray`
with different parent transforms); these functions place voxels with one composed matrix instead.
"""

from __future__ import annotations

import numpy as np
import slicer
import vtk

from ..core.errors import InputError
from ..core.lattice import grown_to_hold, lattice_offset, onto_grid
from ..core.masks import bounding_slices
from ..core.volume import Grid, Volume
from .segment_lattice import (
    IndexBox,
    Lattice,
    lattice_on,
    refuse_other_sources,
    replace_segment,
    stored_labelmap,
)
from .volumes import parent_to_world


def segmentation_grid(node: slicer.vtkMRMLSegmentationNode) -> Grid:
    """The grid of a segmentation in the world: its reference image's, else the union of its segments.

    Raises
    ------
    InputError
        The segmentation has neither, or is under a non-linear transform.
    """
    local = _local_grid(node)
    return Grid(local.shape, parent_to_world(node) @ local.ijk_to_ras)


def segment_to_volume(
    node: slicer.vtkMRMLSegmentationNode, segment_id: str, reference_grid: Grid | None = None
) -> Volume:
    """One segment as a binary volume in the world.

    Parameters
    ----------
    node
        The segmentation.
    segment_id
        ID of the segment, see `lookup.find_segment`.
    reference_grid
        World grid wanted, any orientation (nearest voxel); what lies outside it is left out. None: the
        segmentation's own grid, grown by whole voxels where the segment reaches beyond it.

    Returns
    -------
    Volume
        uint8, 0 and 1, named after the segment; all 0 for an empty segment.

    Raises
    ------
    InputError
        The segment has no binary labelmap, the segmentation has no grid, or is under a non-linear transform.
    """
    to_world = parent_to_world(node)
    stored = stored_segment(node, segment_id)
    name = node.GetSegmentation().GetSegment(segment_id).GetName() or segment_id
    if reference_grid is None:
        local = _local_grid(node, segment_id)
        if stored is not None:
            local = grown_to_hold(local, stored)
        world = to_world @ local.ijk_to_ras
    else:
        local = Grid(reference_grid.shape, np.linalg.inv(to_world) @ reference_grid.ijk_to_ras)
        world = reference_grid.ijk_to_ras
    array = np.zeros(local.shape, np.uint8) if stored is None else onto_grid(stored, local)
    return Volume(array, world, name)


def volume_to_segment(volume: Volume, node: slicer.vtkMRMLSegmentationNode, segment_id: str) -> None:
    """Make a segment what the volume says inside the volume's grid; outside it the segment stays as it is.

    Name, colour, tags and terminology stay, and so do all other segments: where the segment now overlaps one with
    which it shared a labelmap, Slicer moves it to a layer of its own.

    Parameters
    ----------
    volume
        Non-zero voxels belong to the segment. On another lattice than the segmentation's, the nearest voxel counts.
        A segmentation without a reference geometry gets one: the extent of its segments, else the volume's grid.
    node
        The segmentation, whose source representation is a binary labelmap.
    segment_id
        ID of the segment.

    Raises
    ------
    InputError
        The segmentation's source is not a binary labelmap, or it is under a non-linear transform.
    """
    refuse_other_sources(node)
    local = Volume(
        (volume.array != 0).astype(np.uint8), np.linalg.inv(parent_to_world(node)) @ volume.ijk_to_ras, volume.name
    )
    if reference_grid(node) is None:
        # Slicer keeps and writes no more than what is left of the segments where nothing else says how large they are.
        set_reference_grid(node, _union_grid(node) or local.grid)
    stored = stored_segment(node, segment_id)
    grid = grown_to_hold(_local_grid(node, segment_id), local)
    if stored is not None:
        grid = grown_to_hold(grid, stored)
    array = onto_grid(local, grid)
    if stored is not None:
        inside = onto_grid(local.with_array(np.ones(local.shape, np.uint8)), grid).astype(bool)
        array = np.where(inside, array, onto_grid(stored, grid))
    _write(node, segment_id, array, grid)


def new_segment(
    node: slicer.vtkMRMLSegmentationNode,
    name: str,
    color: tuple[float, float, float] | None = None,
    segment_id: str = "",
) -> str:
    """Add an empty segment and return its ID; `color` is RGB from 0 to 1, None takes Slicer's next one."""
    segmentation = node.GetSegmentation()
    added = segmentation.AddEmptySegment(segment_id, name)
    if color is not None:
        # Given to AddEmptySegment it is ignored by some builds.
        segmentation.GetSegment(added).SetColor(*color)
    return added


def reference_grid(node: slicer.vtkMRMLSegmentationNode) -> Grid | None:
    """The reference geometry in the segmentation's own coordinates (before its parent transforms); None without one."""
    parameter = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    return _parsed(node.GetSegmentation().GetConversionParameter(parameter))


def set_reference_grid(node: slicer.vtkMRMLSegmentationNode, grid: Grid) -> None:
    """Make a grid, in the segmentation's own coordinates (before its parent transforms), its reference geometry."""
    converter = slicer.vtkSegmentationConverter
    lattice = lattice_on(grid.ijk_to_ras, IndexBox.sized((0, 0, 0), grid.shape))
    geometry = converter.SerializeImageGeometry(lattice.image)
    node.GetSegmentation().SetConversionParameter(converter.GetReferenceImageGeometryParameterName(), geometry)


def keep_extent(node: slicer.vtkMRMLSegmentationNode, extent: IndexBox) -> None:
    """Make an extent the reference geometry of a segmentation that has none.

    Parameters
    ----------
    node
        The segmentation; where nothing is stored in it there is no lattice, and nothing happens.
    extent
        Voxels on the lattice of its segments, e.g. those of the file that it was read from; one that does not hold
        what is stored is not what it is said to be, and nothing happens.
    """
    images = (stored_labelmap(node, one) for one in node.GetSegmentation().GetSegmentIDs())
    stored = next((Lattice(image) for image in images if image is not None and not image.IsEmpty()), None)
    if stored is None or reference_grid(node) is not None or stored.stored.union(extent) != extent:
        return
    set_reference_grid(node, stored.grid(extent))


def stored_segment(node: slicer.vtkMRMLSegmentationNode, segment_id: str) -> Volume | None:
    """A segment's voxels as they are stored: cropped, in the segmentation's own coordinates; None when empty.

    Raises
    ------
    InputError
        The segment has no binary labelmap.
    """
    segment = node.GetSegmentation().GetSegment(segment_id)
    image = stored_labelmap(node, segment_id)
    if image is None:
        raise InputError(
            f"Segment {segment.GetName()} of {node.GetName()} has no binary labelmap; "
            "create that representation in the Segmentations module."
        )
    return Lattice(image, segment.GetLabelValue()).volume(segment.GetName() or segment_id)


def _local_grid(node: slicer.vtkMRMLSegmentationNode, segment_id: str | None = None) -> Grid:
    """The segmentation's grid before its parent transforms, as fine as the segment (or the finest one) is stored."""
    segmentation = node.GetSegmentation()
    reference = reference_grid(node)
    if reference is None:
        union = _union_grid(node)
        if union is None:
            raise InputError(
                f"{node.GetName()} has no reference image and only empty segments, so it has no grid; "
                "choose the image as its source volume in the Segment Editor."
            )
        return union
    ids = vtk.vtkStringArray()
    for wanted in [segment_id] if segment_id is not None else segmentation.GetSegmentIDs():
        ids.InsertNextValue(wanted)
    finest = _parsed(segmentation.DetermineCommonLabelmapGeometry(segmentation.EXTENT_REFERENCE_GEOMETRY, ids))
    return finest or reference


def _union_grid(node: slicer.vtkMRMLSegmentationNode) -> Grid | None:
    segmentation = node.GetSegmentation()
    ids = vtk.vtkStringArray()
    for segment_id in segmentation.GetSegmentIDs():
        ids.InsertNextValue(segment_id)
    return _parsed(segmentation.DetermineCommonLabelmapGeometry(segmentation.EXTENT_UNION_OF_SEGMENTS, ids))


def _parsed(geometry: str) -> Grid | None:
    image = slicer.vtkOrientedImageData()
    if not geometry or not slicer.vtkSegmentationConverter.DeserializeImageGeometry(geometry, image, False):
        return None
    lattice = Lattice(image)
    return None if lattice.stored.empty else lattice.grid(lattice.stored)


def _write(node: slicer.vtkMRMLSegmentationNode, segment_id: str, array: np.ndarray, grid: Grid) -> None:
    """Make a segment the non-zero part of an array, on the reference geometry's own lattice where the grid is of it."""
    reference = reference_grid(node)
    offset = lattice_offset(grid, reference)
    if offset is None:
        offset, reference = np.zeros(3, int), grid
    slices = bounding_slices(array) or (slice(0, 1),) * 3
    whole = IndexBox.sized(offset[::-1], grid.shape)
    replace_segment(node, segment_id, lattice_on(reference.ijk_to_ras, whole), whole.part(slices), array[slices] != 0)
