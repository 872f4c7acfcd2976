"""Segments in and out: positions in the world, grids, and everything that must stay as it was."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk

from known_shape import GRIDS, matrix, shape_on, world_shape
from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.volume import Grid, Volume
from SparseToPreciseLib.mrml.lookup import find_segment, keep_label_values, label_values
from SparseToPreciseLib.mrml.segmentations import (
    new_segment,
    segment_to_volume,
    segmentation_grid,
    set_reference_grid,
    volume_to_segment,
)
from SparseToPreciseLib.mrml.volumes import array_to_matrix, fill_image, volume_from_node, volume_to_node

MOVED = matrix((0, 0, 25), origin=(6, -4, 3))
TILTED = matrix((12, 0, 0), origin=(-3, 2, 1))
COARSE = Grid((16, 20, 22), matrix((8, 4, 0), (2.4, 2.1, 2.6), (-16, -28, -8)))
TERMINOLOGY = (
    "Segmentation category and type - 3D Slicer General Anatomy list~SCT^123037004^Anatomical Structure"
    "~SCT^10200004^Liver~^^~Anatomic codes - DICOM master list~^^~^^"
)


@pytest.fixture
def shape_segment(segmentation, grid):
    """A segmentation on a grid, with the shape as its only segment."""
    set_reference_grid(segmentation, grid)
    segment_id = new_segment(segmentation, "shape")
    volume_to_segment(shape_on(grid), segmentation, segment_id)
    return segmentation, segment_id


def agreement(volume: Volume, shift=(0, 0, 0)) -> float:
    """Dice between a volume and the analytic shape on the same grid."""
    truth = world_shape(volume.grid.points_ras(), shift)
    return 2 * np.count_nonzero(truth & (volume.array != 0)) / (truth.sum() + np.count_nonzero(volume.array))


def test_a_segment_comes_back_on_the_reference_grid(shape_segment, grid):
    segmentation, segment_id = shape_segment
    stored = segmentation.GetSegmentation().GetSegment(segment_id).GetRepresentation("Binary labelmap")
    assert stored.GetNumberOfPoints() < np.prod(grid.shape), "Slicer stores it cropped, else this test shows nothing"
    back = segment_to_volume(segmentation, segment_id)
    assert back.grid.same_as(grid, 1e-9) and back.array.dtype == np.uint8 and back.name == "shape"
    assert np.array_equal(back.array, shape_on(grid).array) and agreement(back) == 1


def test_it_lies_where_slicers_own_export_puts_it(shape_segment, grid):
    segmentation, segment_id = shape_segment
    image = volume_to_node(shape_on(grid))
    exported = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    ids = vtk.vtkStringArray()
    ids.InsertNextValue(segment_id)
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    assert logic.ExportSegmentsToLabelmapNode(segmentation, ids, exported, image)
    assert np.array_equal(volume_from_node(exported).array, segment_to_volume(segmentation, segment_id).array)


@pytest.mark.parametrize("on_volume", [None, MOVED])
@pytest.mark.parametrize("on_segmentation", [None, MOVED, TILTED])
def test_every_combination_of_parent_transforms(segmentation, grid, linear, on_volume, on_segmentation):
    """The trap: Slicer's array helper applies the relative transform twice when the two differ."""
    world = Grid(grid.shape, grid.ijk_to_ras if on_volume is None else on_volume @ grid.ijk_to_ras)
    node = volume_to_node(shape_on(grid), "mask")
    if on_volume is not None:
        node.SetAndObserveTransformNodeID(linear(on_volume).GetID())
    if on_segmentation is not None:
        segmentation.SetAndObserveTransformNodeID(linear(on_segmentation).GetID())
    mask = volume_from_node(node)
    assert mask.grid.same_as(world, 1e-9)
    volume_to_segment(mask, segmentation, new_segment(segmentation, "shape"))
    back = segment_to_volume(segmentation, find_segment(segmentation))
    assert back.grid.same_as(world, 1e-6)
    assert np.array_equal(back.array, mask.array)
    # and where Slicer shows it: the centre of the closed surface's bounds, after its transforms
    segmentation.CreateClosedSurfaceRepresentation()
    bounds = [0.0] * 6
    segmentation.GetRASBounds(bounds)
    marked = mask.grid.to_ras(np.argwhere(mask.array)[:, ::-1])
    middle = (marked.min(axis=0) + marked.max(axis=0)) / 2
    assert np.abs((np.array(bounds[::2]) + bounds[1::2]) / 2 - middle).max() < 2 * mask.spacing.max()


def test_writing_through_a_transform_onto_an_existing_grid(segmentation, linear):
    set_reference_grid(segmentation, COARSE)
    segmentation.SetAndObserveTransformNodeID(linear(MOVED).GetID())
    fine = Grid((50, 56, 60), matrix(spacing=(0.8, 0.8, 0.8), origin=(-14, -24, -6)))
    segment_id = new_segment(segmentation, "shape")
    volume_to_segment(shape_on(fine), segmentation, segment_id)
    back = segment_to_volume(segmentation, segment_id)
    assert np.allclose(back.ijk_to_ras[:3, :3], (MOVED @ COARSE.ijk_to_ras)[:3, :3])
    assert agreement(back) > 0.95
    # the double application would be off by this much
    assert agreement(back, shift=(6, -4, 3)) < 0.8


@pytest.mark.parametrize("name", GRIDS)
def test_on_any_grid_asked_for(shape_segment, name, linear):
    segmentation, segment_id = shape_segment
    segmentation.SetAndObserveTransformNodeID(linear(matrix(origin=(3, -2, 5))).GetID())
    wanted = Grid((44, 40, 46), matrix((0, 0, 10), (1, 1, 1), (-14, -18, 0)) if name == "oblique" else GRIDS[name])
    back = segment_to_volume(segmentation, segment_id, wanted)
    assert back.grid.same_as(wanted, 1e-9)
    assert agreement(back, shift=(3, -2, 5)) > 0.9


@pytest.mark.parametrize("shift", [0.0, 0.4, -0.4])
def test_a_segment_up_to_the_border_is_not_worn_down(segmentation, grid, shift):
    """A full grid, seen on a larger one: every voxel whose centre lies in a full voxel counts."""
    full = Volume(np.ones(grid.shape, np.uint8), grid.ijk_to_ras)
    segment_id = new_segment(segmentation, "full")
    volume_to_segment(full, segmentation, segment_id)
    matrix_around = grid.ijk_to_ras.copy()
    matrix_around[:3, 3] = grid.to_ras(np.array([-2, -2, -2]) + shift)
    around = Grid(tuple(size + 4 for size in grid.shape), matrix_around)
    back = segment_to_volume(segmentation, segment_id, around)
    assert np.count_nonzero(back.array) == full.array.size
    assert np.array_equal(back.array.astype(bool), grid.contains(around.points_ras() + 1e-9))


def test_a_segmentation_without_a_reference_geometry_does_not_shrink(segmentation, grid):
    """Slicer crops what it stores to what is left."""
    segment_id = new_segment(segmentation, "shape")
    segment = segmentation.GetSegmentation().GetSegment(segment_id)
    whole = labelmap_on(grid)
    segment.AddRepresentation("Binary labelmap", whole)
    before = segmentation_grid(segmentation)
    assert before.same_as(grid, 1e-9)
    part = segment_to_volume(segmentation, segment_id)
    part.array[: grid.shape[0] // 2] = 0
    volume_to_segment(part, segmentation, segment_id)
    assert segmentation_grid(segmentation).same_as(before, 1e-6)


def labelmap_on(grid: Grid):
    image = slicer.vtkOrientedImageData()
    image.SetGeometryFromImageToWorldMatrix(array_to_matrix(grid.ijk_to_ras))
    fill_image(image, shape_on(grid).array)
    return image


def test_a_sheared_transform_is_linear_too(shape_segment, grid, linear):
    segmentation, segment_id = shape_segment
    sheared = matrix(shear=0.3, origin=(1, 2, 3))
    segmentation.SetAndObserveTransformNodeID(linear(sheared).GetID())
    back = segment_to_volume(segmentation, segment_id)
    assert np.allclose(back.ijk_to_ras, sheared @ grid.ijk_to_ras)
    changed = back.with_array(np.roll(back.array, 2, axis=2))
    volume_to_segment(changed, segmentation, segment_id)
    assert np.array_equal(segment_to_volume(segmentation, segment_id).array, changed.array)


def test_a_non_linear_transform_is_refused(shape_segment, grid, bent):
    segmentation, segment_id = shape_segment
    segmentation.SetAndObserveTransformNodeID(bent.GetID())
    with pytest.raises(InputError, match="Organs is under the non-linear transform Bent"):
        segment_to_volume(segmentation, segment_id)
    with pytest.raises(InputError, match="Bent"):
        volume_to_segment(shape_on(grid), segmentation, segment_id)


def test_an_empty_segment_is_all_zero_on_the_reference_grid(segmentation, grid):
    set_reference_grid(segmentation, grid)
    empty = segment_to_volume(segmentation, new_segment(segmentation, "nothing yet"))
    assert empty.grid.same_as(grid, 1e-9) and not empty.array.any()


def test_a_segment_can_be_emptied(shape_segment, grid):
    segmentation, segment_id = shape_segment
    volume_to_segment(shape_on(grid).with_array(np.zeros(grid.shape, np.uint8)), segmentation, segment_id)
    back = segment_to_volume(segmentation, segment_id)
    assert back.grid.same_as(grid, 1e-9) and not back.array.any()


def test_without_any_grid_the_first_volume_gives_it(segmentation, grid):
    segment_id = new_segment(segmentation, "shape")
    with pytest.raises(InputError, match="Organs has no reference image and only empty segments"):
        segment_to_volume(segmentation, segment_id)
    volume_to_segment(shape_on(grid), segmentation, segment_id)
    assert segmentation_grid(segmentation).same_as(grid, 1e-9)


def test_without_a_reference_image_the_union_of_the_segments_is_the_grid(segmentation, grid):
    set_reference_grid(segmentation, grid)
    for name, part in (("low", slice(0, 12)), ("high", slice(10, 26))):
        array = np.zeros(grid.shape, np.uint8)
        array[part] = shape_on(grid).array[part]
        volume_to_segment(Volume(array, grid.ijk_to_ras), segmentation, new_segment(segmentation, name))
    segmentation.GetSegmentation().SetConversionParameter("Reference image geometry", "")
    union = segment_to_volume(segmentation, find_segment(segmentation, "low"))
    assert union.grid.same_as(segment_to_volume(segmentation, find_segment(segmentation, "high")).grid, 1e-9)
    assert union.shape < grid.shape
    whole = union.array | segment_to_volume(segmentation, find_segment(segmentation, "high")).array
    assert np.array_equal(whole.astype(bool), world_shape(union.grid.points_ras()))


def test_what_lies_outside_the_volume_or_the_reference_grid_is_kept(segmentation):
    whole = Grid((26, 30, 34), GRIDS["oblique"])
    part = (slice(4, 16), slice(6, 24), slice(9, 27))
    segment_id = new_segment(segmentation, "shape")
    volume_to_segment(shape_on(whole), segmentation, segment_id)
    set_reference_grid(segmentation, whole.cropped(part))
    back = segment_to_volume(segmentation, segment_id)
    assert np.count_nonzero(back.array) == np.count_nonzero(shape_on(whole).array)
    # an edit on the image's smaller grid replaces what lies on it and nothing else
    volume_to_segment(shape_on(whole.cropped(part)).with_array(np.zeros((12, 18, 18))), segmentation, segment_id)
    expected = shape_on(whole).array.copy()
    expected[part] = 0
    assert np.array_equal(segment_to_volume(segmentation, segment_id, whole).array, expected)


def test_a_grid_beyond_a_cropped_segmentation(segmentation):
    whole = Grid((26, 30, 34), GRIDS["flipped LAS"])
    part = (slice(4, 20), slice(6, 26), slice(4, 30))
    set_reference_grid(segmentation, whole.cropped(part))
    segment_id = new_segment(segmentation, "shape")
    volume_to_segment(shape_on(whole), segmentation, segment_id)
    assert np.array_equal(segment_to_volume(segmentation, segment_id, whole).array, shape_on(whole).array)


def described(segmentation, segment_id):
    segment = segmentation.GetSegmentation().GetSegment(segment_id)
    tag = vtk.reference("")
    segment.GetTag("TerminologyEntry", tag)
    return segment.GetName(), segment.GetColor(), str(tag), segment_to_volume(segmentation, segment_id).array.tobytes()


def test_an_edit_leaves_the_others_and_every_name_colour_and_tag(segmentation, grid):
    """Segments that share a labelmap, touch, and overlap after the edit."""
    set_reference_grid(segmentation, grid)
    shape = shape_on(grid).array
    ids = {}
    for index, (name, part) in enumerate(
        {"left": slice(0, 14), "middle": slice(14, 20), "right": slice(20, 34)}.items()
    ):
        array = np.zeros(grid.shape, np.uint8)
        array[..., part] = shape[..., part]
        ids[name] = new_segment(segmentation, name, (0.1 * index, 0.5, 1 - 0.1 * index))
        volume_to_segment(Volume(array, grid.ijk_to_ras), segmentation, ids[name])
        segmentation.GetSegmentation().GetSegment(ids[name]).SetTag("TerminologyEntry", TERMINOLOGY + name)
    segmentation.GetSegmentation().CollapseBinaryLabelmaps(True)
    assert segmentation.GetSegmentation().GetNumberOfLayers() == 1
    before = {name: described(segmentation, segment_id) for name, segment_id in ids.items()}
    for value in (shape, np.zeros_like(shape), np.roll(shape, 3, axis=0)):  # overlaps, empties, moves
        volume_to_segment(Volume(value, grid.ijk_to_ras), segmentation, ids["middle"])
        after = {name: described(segmentation, segment_id) for name, segment_id in ids.items()}
        assert after["left"] == before["left"] and after["right"] == before["right"]
        assert after["middle"] == (*before["middle"][:3], value.tobytes())


def test_a_segmentation_stored_as_surface_says_what_to_do(segmentation):
    sphere = vtk.vtkSphereSource()
    sphere.Update()
    segmentation.AddSegmentFromClosedSurfaceRepresentation(sphere.GetOutput(), "Ball", [1, 0, 0], "ball")
    segmentation.GetSegmentation().SetSourceRepresentationName("Closed surface")
    with pytest.raises(InputError, match="Ball of Organs has no binary labelmap"):
        segment_to_volume(segmentation, "ball", COARSE)
    with pytest.raises(InputError, match="Organs is stored as closed surface"):
        volume_to_segment(shape_on(COARSE), segmentation, "ball")


@pytest.fixture
def organs(segmentation):
    for name, label in (("liver", 5), ("kidney", 2), ("kidney", 3), ("7", 8)):
        segment = segmentation.GetSegmentation().GetSegment(new_segment(segmentation, name))
        segment.SetLabelValue(label)
    return segmentation


@pytest.mark.parametrize(("wanted", "index"), [("liver", 0), ("5", 0), (5, 0), ("3", 2), ("7", 3), (8, 3)])
def test_find_by_id_name_and_label(organs, wanted, index):
    ids = organs.GetSegmentation().GetSegmentIDs()
    assert find_segment(organs, wanted) == ids[index]
    assert find_segment(organs, ids[index]) == ids[index]


def test_what_cannot_be_found_is_answered_with_what_is_there(organs, scene):
    with pytest.raises(InputError, match=r"Organs has no segment spleen; it has .*\(liver, label 5\)"):
        find_segment(organs, "spleen")
    with pytest.raises(InputError, match="has no segment 7; it has"):
        find_segment(organs, 7)
    with pytest.raises(InputError, match="2 segments of Organs have the name kidney; give the ID of one of them"):
        find_segment(organs, "kidney")
    with pytest.raises(InputError, match="Organs has 4 segments; name one of them"):
        find_segment(organs)
    with pytest.raises(InputError, match="New has no segments"):
        find_segment(scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "New"), "1")


def test_the_only_segment_needs_no_name(segmentation):
    segment_id = new_segment(segmentation, "it")
    assert find_segment(segmentation) == find_segment(segmentation, "") == segment_id


def test_a_label_value_keeps_its_meaning_after_edits(segmentation, grid):
    set_reference_grid(segmentation, grid)
    for label in (4, 6):
        segment_id = new_segment(segmentation, f"s{label}")
        segmentation.GetSegmentation().GetSegment(segment_id).SetLabelValue(label)
    keep_label_values(segmentation)
    for segment_id in segmentation.GetSegmentation().GetSegmentIDs():
        volume_to_segment(shape_on(grid), segmentation, segment_id)
        segmentation.GetSegmentation().GetSegment(segment_id).SetLabelValue(1)
    assert list(label_values(segmentation).values()) == [4, 6]
    assert find_segment(segmentation, 6) == segmentation.GetSegmentation().GetSegmentIDs()[1]


def test_the_reference_grid_takes_any_matrix(segmentation, grid):
    set_reference_grid(segmentation, grid)
    assert segmentation_grid(segmentation).same_as(grid, 1e-12)
    image = slicer.vtkOrientedImageData()
    parameter = segmentation.GetSegmentation().GetConversionParameter("Reference image geometry")
    assert slicer.vtkSegmentationConverter.DeserializeImageGeometry(parameter, image, False)
    assert image.GetDimensions() == grid.shape[::-1]
