"""Tightening and segmenting with the scene's nodes: read on the main thread, shown there when the work is done.

What a box has led to hangs on its ROI node by node references, so that it is saved with the scene: the ROI as it was
before it was tightened, the table of its slices, and the segmentation with the boxes of slices and what was found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import slicer
import vtk

from ..boxes.frame import check_within
from ..boxes.slice_table import slice_columns, slice_rows
from ..core.box import Box
from ..core.errors import InputError
from ..core.volume import Volume
from .headless import scene
from .rois import box_from_roi, copy_roi, place_roi
from .segmentations import new_segment, volume_to_segment
from .volumes import volume_from_node

if TYPE_CHECKING:
    from ..boxes.segment import SegmentResult
    from ..boxes.tighten import TightenResult

SLICES_ID = "BoxesOfSlices"
_LOOSE, _TABLE, _SEGMENTATION = (f"SparseToPrecise.{role}" for role in ("LooseBox", "SliceTable", "BoxSegmentation"))
_SLICES_COLOR = (1.0, 0.24, 0.6)


@dataclass(frozen=True)
class BoxInputs:
    """What tightening and segmenting work on, without the scene.

    Attributes
    ----------
    image
        A copy, where the node shows it.
    box
        Of the ROI, in the world.
    image_id, roi_id
        The nodes.
    """

    image: Volume
    box: Box
    image_id: str
    roi_id: str

    @property
    def image_node(self) -> slicer.vtkMRMLScalarVolumeNode:
        return _node(self.image_id, "image")

    @property
    def roi_node(self) -> slicer.vtkMRMLMarkupsROINode:
        """The ROI, which must still be where it was read."""
        node = _node(self.roi_id, "ROI")
        if not is_box(node, self.box):
            raise InputError(f"{node.GetName()} was changed while it was being worked on; start again.")
        return node


def is_box(roi: slicer.vtkMRMLMarkupsROINode, box: Box) -> bool:
    """Whether an ROI still lies where a box does."""
    here = box_from_roi(roi)
    pairs = ((here.center, box.center), (here.axes, box.axes), (here.size, box.size))
    return all(np.allclose(*pair, atol=1e-4) for pair in pairs)


def read_inputs(image: slicer.vtkMRMLScalarVolumeNode, roi: slicer.vtkMRMLMarkupsROINode) -> BoxInputs:
    """An image and a box, with the parent transforms of both.

    Raises
    ------
    InputError
        One of them is not there or not as it should be, or the box does not lie in the image.
    """
    if image is None or roi is None:
        raise InputError(f"There is no {'image' if image is None else 'ROI'}; choose one.")
    volume, box = volume_from_node(image), box_from_roi(roi)
    try:
        check_within(box, volume.grid)
    except InputError as error:
        raise InputError(f"{roi.GetName()}: {error}") from error
    return BoxInputs(volume, box, image.GetID(), roi.GetID())


def show_tightened(inputs: BoxInputs, result: TightenResult) -> None:
    """Shrink the ROI and show the boxes of its slices.

    The ROI as it was stays, hidden, as "<name> loose", see `undo_tightening`. Where the result is not safe the ROI
    keeps its size and only the table is shown.

    Raises
    ------
    InputError
        The image or the ROI is gone or was changed meanwhile; nothing has been changed.
    """
    roi, image = inputs.roi_node, inputs.image_node
    _show_table(roi, inputs.box, result)
    if not result.safe:
        return
    _keep_loose(roi)
    place_roi(roi, result.box)
    node = _segmentation(roi, image)
    _remove_slices(roi)
    new_segment(node, f"{roi.GetName()} slices", _SLICES_COLOR, SLICES_ID)
    volume_to_segment(result.slices_as_volume(inputs.image.grid), node, SLICES_ID)
    display = node.GetDisplayNode()
    display.SetSegmentOpacity2DFill(SLICES_ID, 0.15)
    display.SetSegmentOpacity2DOutline(SLICES_ID, 0.6)
    display.SetSegmentOpacity3D(SLICES_ID, 0.3)


def loose_roi(roi: slicer.vtkMRMLMarkupsROINode | None) -> slicer.vtkMRMLMarkupsROINode | None:
    """The ROI as it was before it was tightened last; None when it was not."""
    return None if roi is None else roi.GetNodeReference(_LOOSE)


def undo_tightening(roi: slicer.vtkMRMLMarkupsROINode) -> None:
    """Give an ROI back the size that it had before it was tightened last; its slices' boxes go.

    Raises
    ------
    InputError
        It was not tightened, or the ROI that was kept is gone.
    """
    loose = loose_roi(roi)
    if loose is None:
        raise InputError(f"{roi.GetName()} was not tightened, so there is nothing to undo.")
    copy_roi(loose, roi)
    roi.SetNodeReferenceID(_LOOSE, loose.GetNodeReferenceID(_LOOSE))
    scene().RemoveNode(loose)
    _remove_slices(roi)
    table = slice_table(roi)
    if table is not None:
        scene().RemoveNode(table)


def slice_table(roi: slicer.vtkMRMLMarkupsROINode | None) -> slicer.vtkMRMLTableNode | None:
    """The table of the slices of the last tightening."""
    return None if roi is None else roi.GetNodeReference(_TABLE)


def show_segmented(inputs: BoxInputs, result: SegmentResult) -> tuple[slicer.vtkMRMLSegmentationNode, str]:
    """Add what was found as a new segment, named after the ROI, to the segmentation of the image and the ROI.

    Returns
    -------
    tuple
        The segmentation node and the ID of the segment.

    Raises
    ------
    InputError
        The image or the ROI is gone; nothing has been changed.
    """
    roi, image = _node(inputs.roi_id, "ROI"), inputs.image_node
    node = _segmentation(roi, image)
    segmentation = node.GetSegmentation()
    names = {segmentation.GetSegment(one).GetName() for one in segmentation.GetSegmentIDs()}
    number, name = 1, roi.GetName()
    while name in names:
        number += 1
        name = f"{roi.GetName()} {number}"
    segment_id = new_segment(node, name, roi.GetDisplayNode().GetSelectedColor() if number == 1 else None)
    volume_to_segment(result.segmentation, node, segment_id)
    return node, segment_id


def box_as_segmentation(
    image: slicer.vtkMRMLScalarVolumeNode, roi: slicer.vtkMRMLMarkupsROINode
) -> slicer.vtkMRMLSegmentationNode:
    """A new segmentation of an image with a box as its one segment, to train on boxes.

    Raises
    ------
    InputError
        As `read_inputs`.
    """
    inputs = read_inputs(image, roi)
    node = _new_segmentation(image, f"{image.GetName()} {roi.GetName()} box")
    mask = inputs.image.with_array(inputs.box.mask_on(inputs.image.grid))
    volume_to_segment(mask, node, new_segment(node, "box", roi.GetDisplayNode().GetSelectedColor()))
    return node


def crop_parameters(
    image: slicer.vtkMRMLScalarVolumeNode, roi: slicer.vtkMRMLMarkupsROINode
) -> slicer.vtkMRMLCropVolumeParametersNode:
    """The parameter node of the module Crop Volume with this image and ROI; the scene's first, or a new one.

    Voxels are taken as they are where the box lies along the image's axes, else interpolated.
    """
    node = scene().GetFirstNodeByClass("vtkMRMLCropVolumeParametersNode")
    if node is None:
        node = scene().AddNode(slicer.vtkMRMLCropVolumeParametersNode())
    node.SetInputVolumeNodeID(image.GetID())
    node.SetROINodeID(roi.GetID())
    node.SetOutputVolumeNodeID(None)  # else the next Apply would overwrite the last result
    along = np.abs(box_from_roi(roi).axes.T @ _directions(volume_from_node(image, copy=False)))
    node.SetVoxelBased(bool((along.max(axis=0) > 1 - 1e-6).all()))
    return node


def _directions(image: Volume) -> np.ndarray:
    return image.ijk_to_ras[:3, :3] / image.spacing


def _node(node_id: str, what: str) -> slicer.vtkMRMLNode:
    node = scene().GetNodeByID(node_id)
    if node is None:
        raise InputError(f"The {what} was removed while it was being worked on; choose another one and start again.")
    return node


def _keep_loose(roi: slicer.vtkMRMLMarkupsROINode) -> None:
    """Put a hidden copy of an ROI behind it; the copy has the copy before it."""
    loose = scene().AddNewNodeByClass("vtkMRMLMarkupsROINode", f"{roi.GetName()} loose")
    copy_roi(roi, loose)
    loose.SetAndObserveTransformNodeID(roi.GetTransformNodeID())
    loose.SetNodeReferenceID(_LOOSE, roi.GetNodeReferenceID(_LOOSE))
    loose.CreateDefaultDisplayNodes()
    loose.SetDisplayVisibility(False)
    loose.SetLocked(True)
    roi.SetNodeReferenceID(_LOOSE, loose.GetID())


def _segmentation(
    roi: slicer.vtkMRMLMarkupsROINode, image: slicer.vtkMRMLScalarVolumeNode
) -> slicer.vtkMRMLSegmentationNode:
    """The segmentation of an image and an ROI, on the image's grid and under its transform."""
    node = roi.GetNodeReference(_SEGMENTATION)
    role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    if node is not None and node.GetNodeReferenceID(role) == image.GetID():
        return node
    node = _new_segmentation(image, f"{image.GetName()} {roi.GetName()}")
    roi.SetNodeReferenceID(_SEGMENTATION, node.GetID())
    return node


def _new_segmentation(image: slicer.vtkMRMLScalarVolumeNode, name: str) -> slicer.vtkMRMLSegmentationNode:
    node = scene().AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.SetAndObserveTransformNodeID(image.GetTransformNodeID())
    node.SetReferenceImageGeometryParameterFromVolumeNode(image)
    return node


def _remove_slices(roi: slicer.vtkMRMLMarkupsROINode) -> None:
    node = roi.GetNodeReference(_SEGMENTATION)
    if node is not None and node.GetSegmentation().GetSegment(SLICES_ID) is not None:
        node.GetSegmentation().RemoveSegment(SLICES_ID)


def _show_table(roi: slicer.vtkMRMLMarkupsROINode, given: Box, result: TightenResult) -> None:
    node = slice_table(roi)
    if node is None:
        node = scene().AddNewNodeByClass("vtkMRMLTableNode", f"{roi.GetName()} slices")
        roi.SetNodeReferenceID(_TABLE, node.GetID())
    table = vtk.vtkTable()
    columns = [vtk.vtkStringArray() for _ in slice_columns(result.axis)]
    for column, name in zip(columns, slice_columns(result.axis), strict=True):
        column.SetName(name)
        table.AddColumn(column)
    for row in slice_rows(given, result):
        for column, cell in zip(columns, row, strict=True):
            shown = "" if cell is None else f"{cell:.2f}" if isinstance(cell, float) else str(cell)
            column.InsertNextValue(shown)
    node.SetAndObserveTable(table)
    node.SetLocked(True)
