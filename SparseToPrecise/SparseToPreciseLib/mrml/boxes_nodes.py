"""Tightening and segmenting with the scene's nodes: read on the main thread, shown there when the work is done.

What a box has led to hangs on its ROI node by node references, so that it is saved with the scene: the ROI as it was
before it was tightened, the table of its slices, and the segmentation with the boxes of slices and what was found.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import slicer

from ..boxes.slices import check_within
from ..core.box import Box
from ..core.errors import InputError
from ..core.models import opened
from ..core.progress import Progress
from ..core.volume import Volume
from .box_table import row_centre, show_table, slice_table, verdict
from .headless import scene
from .rois import box_from_roi, copy_roi, place_roi
from .segmentations import new_segment, volume_to_segment
from .volumes import matrix_to_array, volume_from_node

if TYPE_CHECKING:
    from ..boxes.corrector.tighten import TightenResult
    from ..boxes.segmenter.segment import SegmentResult

SLICES_ID = "BoxesOfSlices"
_LOOSE, _SEGMENTATION = "SparseToPrecise.LooseBox", "SparseToPrecise.BoxSegmentation"
_TIGHT = "SparseToPrecise.TightenedTo"
_SLICES_COLOR = (1.0, 0.24, 0.6)


@dataclass(frozen=True)
class BoxInputs:
    """Inputs of tightening and segmenting, without the scene.

    Attributes
    ----------
    image
        A copy, where the node shows it.
    box
        To work on, in the world.
    image_id, roi_id
        The nodes.
    placed
        Place of the ROI itself: another box than that to work on where it is tightened anew.
    """

    image: Volume
    box: Box
    image_id: str
    roi_id: str
    placed: Box

    @property
    def image_node(self) -> slicer.vtkMRMLScalarVolumeNode:
        return _node(self.image_id, "image")

    @property
    def roi_node(self) -> slicer.vtkMRMLMarkupsROINode:
        """The ROI, which must still be where it was read."""
        node = _node(self.roi_id, "ROI")
        if not is_box(node, self.placed):
            raise InputError(f"{node.GetName()} was changed while it was being worked on; start again.")
        return node


def is_box(roi: slicer.vtkMRMLMarkupsROINode, box: Box) -> bool:
    """Whether an ROI still lies where a box does."""
    here = box_from_roi(roi)
    near = min(1e-4, 1e-4 * float(box.size.min()))  # mm; of an object of a few micrometres, 1e-4 would be much
    lengths = ((here.center, box.center), (here.size, box.size))
    return np.allclose(here.axes, box.axes, atol=1e-4) and all(np.allclose(*pair, atol=near) for pair in lengths)


def read_inputs(
    image: slicer.vtkMRMLScalarVolumeNode, roi: slicer.vtkMRMLMarkupsROINode, *, to_tighten: bool = False
) -> BoxInputs:
    """An image and a box, with the parent transforms of both.

    Parameters
    ----------
    to_tighten
        Where the ROI is still what its last tightening has made of it, work on the loose one: a model is calibrated
        for loose boxes, and a box that is tightened twice would shrink twice.

    Raises
    ------
    InputError
        One of them is not there or not as it should be, or the box does not lie in the image.
    """
    if image is None or roi is None:
        raise InputError(f"There is no {'image' if image is None else 'ROI'}; choose one.")
    volume, placed = volume_from_node(image), box_from_roi(roi)
    box = box_from_roi(loose_roi(roi)) if to_tighten and _as_tightened(roi) else placed
    try:
        check_within(box, volume.grid)
    except InputError as error:
        raise InputError(f"{roi.GetName()}: {error}") from error
    return BoxInputs(volume, box, image.GetID(), roi.GetID(), placed)


def show_tightened(inputs: BoxInputs, result: TightenResult) -> None:
    """Shrink the ROI and show the boxes of its slices.

    The ROI as it was stays, hidden, as "<name> loose", see `undo_tightening`. Where the result is not safe the ROI
    has the size that it had before any tightening, and only the table is shown.

    Raises
    ------
    InputError
        The image or the ROI is gone or was changed meanwhile; nothing has been changed.
    """
    roi, image = inputs.roi_node, inputs.image_node
    if inputs.box is not inputs.placed:
        _restore(roi, inputs.box)
    show_table(roi, inputs.box, result)
    _remove_slices(roi)
    if not result.safe:
        return
    _keep_loose(roi)
    place_roi(roi, result.box)
    roi.SetAttribute(_TIGHT, _place(roi))
    node = _segmentation(roi, image)
    new_segment(node, f"{roi.GetName()} slices", _SLICES_COLOR, SLICES_ID)
    volume_to_segment(result.slices_as_volume(inputs.image.grid), node, SLICES_ID)
    display = node.GetDisplayNode()
    display.SetSegmentOpacity2DFill(SLICES_ID, 0.25)  # seen beside the ROI, whose own fill lies over it
    display.SetSegmentOpacity2DOutline(SLICES_ID, 1.0)
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
    if loose_roi(roi) is None:
        raise InputError(f"{roi.GetName()} was not tightened, so there is nothing to undo.")
    _restore(roi)
    _remove_slices(roi)
    table = slice_table(roi)
    if table is not None:
        scene().RemoveNode(table)


def slice_centre(roi: slicer.vtkMRMLMarkupsROINode, row: int) -> np.ndarray:
    """(3,) RAS: where the box of a slice in the ROI's table has its middle, or the slice where it has no box."""
    loose = loose_roi(roi) if verdict(roi).safe else None
    return row_centre(slice_table(roi), row, box_from_roi(loose or roi))


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


def _place(roi: slicer.vtkMRMLMarkupsROINode) -> str:
    """The place of an ROI before its transforms, for an attribute of the node."""
    return json.dumps([*matrix_to_array(roi.GetObjectToNodeMatrix()).ravel().tolist(), *roi.GetSize()])


def _as_tightened(roi: slicer.vtkMRMLMarkupsROINode) -> bool:
    """Whether an ROI is still what its last tightening has made of it, and the loose one is there."""
    loose, then = loose_roi(roi), roi.GetAttribute(_TIGHT)
    if loose is None or not then or loose.GetTransformNodeID() != roi.GetTransformNodeID():
        return False
    # Files round, by less than a thousandth of a box of a millimetre.
    near = min(1e-3, 1e-3 * min(roi.GetSize()))
    return np.allclose(json.loads(then), json.loads(_place(roi)), atol=near)


def _restore(roi: slicer.vtkMRMLMarkupsROINode, box: Box | None = None) -> None:
    """Put the loose ROI back, which is no longer kept; the box where somebody has removed it meanwhile."""
    roi.RemoveAttribute(_TIGHT)
    loose = loose_roi(roi)
    if loose is None:
        place_roi(roi, box)
        return
    copy_roi(loose, roi)
    roi.SetNodeReferenceID(_LOOSE, loose.GetNodeReferenceID(_LOOSE))
    scene().RemoveNode(loose)


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
    on_it = node is not None and node.GetNodeReferenceID(role) == image.GetID()
    if on_it and node.GetTransformNodeID() == image.GetTransformNodeID():
        return node
    node = segmentation_of(image, f"{image.GetName()} {roi.GetName()}")
    roi.SetNodeReferenceID(_SEGMENTATION, node.GetID())
    return node


def segmentation_of(image: slicer.vtkMRMLScalarVolumeNode, name: str) -> slicer.vtkMRMLSegmentationNode:
    """A new segmentation on an image's grid and under its transform."""
    node = scene().AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.SetAndObserveTransformNodeID(image.GetTransformNodeID())
    node.SetReferenceImageGeometryParameterFromVolumeNode(image)
    return node


def _remove_slices(roi: slicer.vtkMRMLMarkupsROINode) -> None:
    node = roi.GetNodeReference(_SEGMENTATION)
    if node is not None and node.GetSegmentation().GetSegment(SLICES_ID) is not None:
        node.GetSegmentation().RemoveSegment(SLICES_ID)


def tighten_inputs(
    inputs: BoxInputs,
    *,
    model: str | None = None,
    device: str = "auto",
    axis: str = "auto",
    margin_mm: float = 0.0,
    coverage: float = 0.99,
    progress: Progress | None = None,
) -> TightenResult:
    """Tighten a box, on any thread; the model stays loaded. Options and errors as of `boxes.corrector.tighten`."""
    from ..boxes.corrector.model import CORRECTOR_FAMILY
    from ..boxes.corrector.tighten import tighten

    (progress or Progress())(0.0, "loading the model")
    corrector = opened(CORRECTOR_FAMILY, model, device)
    options = {"axis": axis, "margin_mm": margin_mm, "coverage": coverage, "progress": progress}
    return tighten(inputs.image, inputs.box, corrector, **options)


def segment_inputs(
    inputs: BoxInputs,
    *,
    model: str | None = None,
    device: str = "auto",
    slices: TightenResult | None = None,
    progress: Progress | None = None,
) -> SegmentResult:
    """Segment the object in a box, on any thread; the model stays loaded. Errors as of `boxes.segmenter.segment`."""
    from ..boxes.segmenter.model import SEGMENTER_FAMILY
    from ..boxes.segmenter.segment import segment

    (progress or Progress())(0.0, "loading the model")
    return segment(inputs.image, inputs.box, opened(SEGMENTER_FAMILY, model, device), slices=slices, progress=progress)
