"""Boxes: markups ROIs in nodes and files, and segments, as `Box` and back."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import numpy as np
import slicer

from ..boxes.slices import within_field_of_view
from ..core.box import Box
from ..core.errors import InputError
from ..core.files import known_extension, readable_file
from ..core.markups import ROI_EXTENSION, Markup, read_markup
from ..core.volume import Grid
from .files import SEGMENTATION_EXTENSIONS, read_segmentation
from .headless import scene as current_scene
from .lookup import find_segment
from .markups import check_written, show_as
from .segmentations import segment_to_volume
from .storage import write_node
from .volumes import array_to_matrix, matrix_to_array, parent_to_world

_ROI = "vtkMRMLMarkupsROINode"


def box_from_roi(node: slicer.vtkMRMLMarkupsROINode) -> Box:
    """The box of an ROI of either type, with the node's linear parent transforms applied.

    Slicer draws an ROI under a shearing transform as the right-angled box nearest to what it has become; here that
    is refused, because the box would not be the one that was drawn.

    Raises
    ------
    InputError
        Another kind of markup, an ROI that is not placed yet or has no volume, a non-linear or shearing transform.
    """
    name = node.GetName() or "The ROI"
    if not node.IsA(_ROI):
        raise InputError(f"{name} is a markup of type {node.GetMarkupType()}; draw the box as an ROI.")
    if node.GetROIType() not in (node.ROITypeBox, node.ROITypeBoundingBox):
        raise InputError(f"{name} is an ROI of a type that is not known; draw it as Box or Bounding Box.")
    if not node.GetNumberOfDefinedControlPoints():
        raise InputError(f"{name} has not been placed yet; draw it around the object.")
    matrix = parent_to_world(node) @ matrix_to_array(node.GetObjectToNodeMatrix())
    try:
        return Box.from_matrix(matrix, np.array(node.GetSize()))
    except InputError as error:
        raise InputError(f"{name}: {error}") from error


def read_roi(
    path: str | os.PathLike[str], segment: str | None = None, image: Grid | None = None
) -> slicer.vtkMRMLMarkupsROINode:
    """Read a box into a new ROI node, which is checked to be one.

    Parameters
    ----------
    path
        An ROI as .mrk.json, or a segmentation or labelmap: the ROI is then the bounding box of one segment along the
        axes of the voxels, with the segment's name and colour.
    segment
        ID, name or label value of that segment; needed when there are several.
    image
        Where a line or a list of two points will do, too, the object's longest diameter: `Box.around_diameter` along
        the axes of this image and within it.

    Raises
    ------
    InputError
        Missing, empty, unreadable or damaged file, another kind of markup, an ROI without volume or right angles,
        no such segment, or an empty one.
    """
    path, extension = readable_file(path, (ROI_EXTENSION, *SEGMENTATION_EXTENSIONS), "a box")
    if extension != ROI_EXTENSION:
        return _bounding_roi(path, segment)
    if segment is not None:
        raise InputError(f"{path} is an ROI and has no segment {segment}; leave the segment out.")
    markup = read_markup(path, "an ROI")
    box = markup.box
    if box is None and image is not None:
        box = _around_line(markup, path, image)
    if box is None:
        raise InputError(f"{path} holds a markup of type {markup.kind}; draw the box as an ROI.")
    node = roi_from_box(box, path.name[: -len(extension)])
    if markup.box is None:
        return node
    for index, point in enumerate(markup.points[: node.GetNumberOfControlPoints()]):
        node.SetNthControlPointLabel(index, point.label)
        node.SetNthControlPointDescription(index, point.description)
    node.SetInsideOut(markup.inside_out)
    show_as(node, markup.display)
    return node


def _around_line(markup: Markup, path: Path, image: Grid) -> Box | None:
    """The box around a longest diameter; None where the markup is none."""
    ends = [point.position for point in markup.points if point.position is not None]
    if markup.kind not in ("Line", "Fiducial"):
        return None
    if len(ends) != 2 or not np.isfinite(ends).all():
        raise InputError(
            f"{path} has {len(ends)} placed point(s); a box is made of two, the ends of the longest diameter."
        )
    if np.array_equal(*ends):
        raise InputError(f"Both points of {path} lie at the same place; draw them at the ends of the longest diameter.")
    return within_field_of_view(Box.around_diameter(ends, image), image)


def write_roi(node: slicer.vtkMRMLMarkupsROINode, path: str | os.PathLike[str]) -> Path:
    """Write an ROI in its own coordinates, without its parent transforms, as Slicer does.

    Raises
    ------
    InputError
        Another format, or the file cannot be written; an old file survives and nothing partial is left.
    """
    path, _ = known_extension(path, (ROI_EXTENSION,), "an ROI")
    # The storage node of other markups would leave out the size and the directions without a word.
    return write_node(path, slicer.vtkMRMLMarkupsROIJsonStorageNode, node, partial(check_written, node=node))


def box_from_segment(node: slicer.vtkMRMLSegmentationNode, segment_id: str) -> Box:
    """The tight box of a segment along the axes of the image that it was drawn on, whole voxels included.

    Raises
    ------
    InputError
        As `segmentations.segment_to_volume`, or the segment is empty.
    """
    return Box.bounding(segment_to_volume(node, segment_id))


def roi_from_box(
    box: Box,
    name: str = "ROI",
    *,
    color: tuple[float, float, float] | None = None,
    parent_transform: slicer.vtkMRMLTransformNode | None = None,
    scene: slicer.vtkMRMLScene | None = None,
) -> slicer.vtkMRMLMarkupsROINode:
    """A new ROI node where the box lies in the world.

    Parameters
    ----------
    color
        RGB from 0 to 1; None leaves Slicer's.
    parent_transform
        A transform to put the node under, which must keep right angles.
    scene
        None: the current scene.

    Raises
    ------
    InputError
        As `place_roi`.
    """
    node = (scene or current_scene()).AddNewNodeByClass(_ROI, name)
    node.CreateDefaultDisplayNodes()
    if color is not None:
        for paint in (node.GetDisplayNode().SetColor, node.GetDisplayNode().SetSelectedColor):
            paint(*color)
    try:
        if parent_transform is not None:
            node.SetAndObserveTransformNodeID(parent_transform.GetID())
        place_roi(node, box)
    except InputError:
        node.GetScene().RemoveNode(node)
        raise
    return node


def place_roi(node: slicer.vtkMRMLMarkupsROINode, box: Box) -> None:
    """Move an ROI to a box in the world; it stays under its transform and becomes one of the type Box.

    Raises
    ------
    InputError
        The node is under a transform under which the box would have no right angles, or which is not linear.
    """
    try:
        local = Box.from_matrix(np.linalg.inv(parent_to_world(node)) @ _object_matrix(box), box.size)
    except InputError as error:
        raise InputError(f"{node.GetName()}: {error}") from error
    modifying = node.StartModify()
    try:
        if node.GetROIType() != node.ROITypeBox:
            node.SetROIType(node.ROITypeBox)
        node.SetAndObserveObjectToNodeMatrix(array_to_matrix(_object_matrix(local)))
        node.SetSize(*local.size)
    finally:
        node.EndModify(modifying)


def copy_roi(source: slicer.vtkMRMLMarkupsROINode, target: slicer.vtkMRMLMarkupsROINode) -> None:
    """Give an ROI the type, points, directions and size of another, before the transforms of each.

    Slicer's CopyContent loses the points of ROIs of the type Bounding Box.
    """
    # Not between StartModify and EndModify, which would delay what follows the type and add a point without a place.
    target.SetROIType(source.GetROIType())
    target.RemoveAllControlPoints()
    target.SetAndObserveObjectToNodeMatrix(array_to_matrix(matrix_to_array(source.GetObjectToNodeMatrix())))
    if source.GetROIType() == source.ROITypeBox:
        target.SetSize(*source.GetSize())
    else:
        for index in range(source.GetNumberOfControlPoints()):
            target.AddControlPoint(*source.GetNthControlPointPosition(index))


def _object_matrix(box: Box) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = box.axes
    matrix[:3, 3] = box.center
    return matrix


def _bounding_roi(path: Path, segment: str | None) -> slicer.vtkMRMLMarkupsROINode:
    node = read_segmentation(path)
    try:
        segment_id = find_segment(node, segment)
        box = box_from_segment(node, segment_id)
        found = node.GetSegmentation().GetSegment(segment_id)
        return roi_from_box(box, found.GetName(), color=found.GetColor())
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    finally:
        current_scene().RemoveNode(node)
