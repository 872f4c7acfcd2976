"""Segmentations of the scene that teach tightening, those that teach segmenting in a box, and boxes as cases.

Masks teach both: of them, the second sees the extent on every slice and no more. A box teaches only the second.
"""

from __future__ import annotations

import slicer

from .boxes_nodes import SLICES_ID, read_inputs, segmentation_of
from .object_cases import read_object
from .segmentations import new_segment, volume_to_segment
from .training_cases import Case, segmentations_of_scene

_IS_BOX = "SparseToPrecise.BoxCase"

SegmentationWithImage = tuple[slicer.vtkMRMLSegmentationNode, slicer.vtkMRMLScalarVolumeNode | None]


def mask_cases() -> list[SegmentationWithImage]:
    """Segmentations with masks, each with its image where it says so."""
    return [pair for pair in extent_cases() if pair[0].GetAttribute(_IS_BOX) is None]


def extent_cases() -> list[SegmentationWithImage]:
    """Segmentations of which the extent is worth learning: all but those that have only the boxes of slices."""
    return [pair for pair in segmentations_of_scene() if set(pair[0].GetSegmentation().GetSegmentIDs()) != {SLICES_ID}]


def read_box_case(
    segmentation: slicer.vtkMRMLSegmentationNode, image: slicer.vtkMRMLScalarVolumeNode | None, wanted: str = ""
) -> Case:
    """As `object_cases.read_object`; the boxes of slices count only where they are asked for by name."""
    return read_object(segmentation, image, wanted, ignored=(SLICES_ID,))


def box_as_segmentation(
    image: slicer.vtkMRMLScalarVolumeNode, roi: slicer.vtkMRMLMarkupsROINode
) -> slicer.vtkMRMLSegmentationNode:
    """A new segmentation of an image with a box as its one segment, to train on boxes.

    Raises
    ------
    InputError
        As `box_nodes.read_inputs`.
    """
    inputs = read_inputs(image, roi)
    node = segmentation_of(image, f"{image.GetName()} {roi.GetName()} box")
    node.SetAttribute(_IS_BOX, "1")
    mask = inputs.image.with_array(inputs.box.mask_on(inputs.image.grid))
    volume_to_segment(mask, node, new_segment(node, roi.GetName(), roi.GetDisplayNode().GetSelectedColor()))
    return node
