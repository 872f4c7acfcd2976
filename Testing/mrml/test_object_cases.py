"""One segment of a segmentation, or a box, as a training case."""

from __future__ import annotations

import numpy as np
import pytest
from box_cases import GRID, LOOSE, image_on, mask_on

from known_shape import matrix
from SparseToPreciseLib.core.errors import InputError

pytest.importorskip("slicer")

from SparseToPreciseLib.mrml.box_training import box_as_segmentation, extent_cases, mask_cases, read_box_case
from SparseToPreciseLib.mrml.boxes_nodes import SLICES_ID, segmentation_of
from SparseToPreciseLib.mrml.labelmaps import segmentation_from_labelmap
from SparseToPreciseLib.mrml.object_cases import read_object
from SparseToPreciseLib.mrml.rois import roi_from_box
from SparseToPreciseLib.mrml.segmentations import new_segment, volume_to_segment
from SparseToPreciseLib.mrml.volumes import volume_to_node


@pytest.fixture
def image(scene):
    return volume_to_node(image_on(GRID), "CT")


@pytest.fixture
def organs(image):
    labels = mask_on(GRID).array.astype(np.uint8)
    labels[0, 0, 0] = 2
    node = segmentation_from_labelmap(mask_on(GRID).with_array(labels), "Organs")
    node.GetSegmentation().GetSegment("Segment_1").SetName("Liver")
    return node


def test_the_named_segment_alone(image, organs) -> None:
    case = read_object(organs, image, "Liver")
    assert np.array_equal(case.labels.array, mask_on(GRID).array)
    assert np.array_equal(case.image.array, image_on(GRID).array)


def test_the_only_one_that_is_not_empty(image, organs) -> None:
    organs.GetSegmentation().RemoveSegment("Segment_2")
    organs.GetSegmentation().AddEmptySegment("New", "New")
    assert np.array_equal(read_object(organs, image).labels.array, mask_on(GRID).array)


def test_transforms_are_applied(image, organs, linear) -> None:
    rigid = matrix((10, 40, -25), origin=(3, -20, 8))
    organs.SetAndObserveTransformNodeID(linear(rigid).GetID())
    np.testing.assert_allclose(read_object(organs, image, "Liver").labels.ijk_to_ras, rigid @ GRID.ijk_to_ras)


def test_refusals(scene, image, organs) -> None:
    with pytest.raises(InputError, match="must have one segment, not Liver, Segment_2; write the name"):
        read_object(organs, image)
    with pytest.raises(InputError, match="has not one segment called Spleen, but Liver, Segment_2"):
        read_object(organs, image, "Spleen")
    with pytest.raises(InputError, match="Organs has no image to train with"):
        read_object(organs, None, "Liver")
    scene.RemoveNode(image)
    with pytest.raises(InputError, match="was removed; choose the cases again"):
        read_object(organs, image, "Liver")


def test_a_box_as_a_case(image) -> None:
    node = box_as_segmentation(image, roi_from_box(LOOSE, "Liver"))
    assert node.GetName() == "CT Liver box"
    case = read_object(node, image)
    assert np.array_equal(case.labels.array != 0, LOOSE.mask_on(GRID))
    segment_id = node.GetSegmentation().GetNthSegmentID(0)
    assert node.GetSegmentation().GetSegment(segment_id).GetName() == "Liver"


def with_slices(node) -> None:
    """Add what tightening adds; here half of the object."""
    slices = mask_on(GRID).array.copy()
    slices[: len(slices) // 2] = 0
    volume_to_segment(mask_on(GRID).with_array(slices), node, new_segment(node, "Liver slices", None, SLICES_ID))


def test_boxes_are_no_masks_and_boxes_of_slices_are_neither(image) -> None:
    masks, slices = (segmentation_of(image, name) for name in ("masks", "slices"))
    volume_to_segment(mask_on(GRID), masks, new_segment(masks, "Liver"))
    for node in (masks, slices):
        with_slices(node)
    boxes = box_as_segmentation(image, roi_from_box(LOOSE, "Liver"))
    assert mask_cases() == [(masks, image)]
    assert extent_cases() == [(masks, image), (boxes, image)]


def test_boxes_of_slices_count_only_by_name(image) -> None:
    node = segmentation_of(image, "masks")
    volume_to_segment(mask_on(GRID), node, new_segment(node, "Liver"))
    with_slices(node)
    assert np.array_equal(read_box_case(node, image).labels.array, mask_on(GRID).array)
    assert read_box_case(node, image, "Liver slices").labels.array.sum() < mask_on(GRID).array.sum()
    with pytest.raises(InputError, match="must have one segment, not Liver, Liver slices"):
        read_object(node, image)
