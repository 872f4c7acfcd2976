"""Labelmaps as segmentations and back."""

from __future__ import annotations

import numpy as np
import pytest

from known_shape import GRIDS, shape_on
from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.volume import Grid, Volume
from SparseToPreciseLib.mrml.labelmaps import labelmap_from_segmentation, segmentation_from_labelmap
from SparseToPreciseLib.mrml.lookup import find_segment, keep_label_values, label_values, unique_label_values
from SparseToPreciseLib.mrml.segmentations import (
    new_segment,
    segment_to_volume,
    segmentation_grid,
    volume_to_segment,
)


def labelmap(grid: Grid, labels=(2, 9, 40), kind="uint8") -> Volume:
    """The shape cut along I into parts with the labels."""
    array = shape_on(grid).array.astype(kind)
    used = np.flatnonzero(array.any(axis=(0, 1)))
    for part, label in zip(np.array_split(used, len(labels)), labels, strict=True):
        array[..., part] *= np.array(label).astype(kind)
    return Volume(array, grid.ijk_to_ras, "labels")


def test_every_label_becomes_a_segment_and_comes_back(scene, grid):
    volume = labelmap(grid)
    node = segmentation_from_labelmap(volume)
    assert node.GetName() == "labels" and list(label_values(node).values()) == [2, 9, 40]
    for label in (2, 9, 40):
        segment = segment_to_volume(node, find_segment(node, label))
        assert segment.name == f"Segment_{label}" and np.array_equal(segment.array, volume.array == label)
    assert segmentation_grid(node).same_as(grid, 1e-9)
    back = labelmap_from_segmentation(node)
    assert np.array_equal(back.array, volume.array) and back.array.dtype == volume.array.dtype
    assert back.grid.same_as(grid, 1e-9)


@pytest.mark.parametrize(
    ("kind", "labels"),
    [
        ("uint8", (1, 255)),
        ("int8", (1, 127)),
        ("int16", (3, 300)),
        ("uint16", (1, 65535)),
        ("int32", (1, 70000)),
        ("uint32", (1, 2147483647)),
        ("int64", (3, 70001)),
        ("uint64", (3, 4)),
        ("float32", (1, 300)),
        ("float64", (1, 2147483647)),
        ("bool", (1,)),
    ],
)
def test_scalar_types_and_label_ranges(scene, kind, labels):
    volume = labelmap(Grid((26, 30, 34), GRIDS["oblique"]), labels, kind)
    node = segmentation_from_labelmap(volume)
    assert list(label_values(node).values()) == list(labels)
    volume_to_segment(segment_to_volume(node, find_segment(node, labels[0])), node, find_segment(node, labels[0]))
    back = labelmap_from_segmentation(node)
    assert np.array_equal(back.array, volume.array) and back.array.dtype == kind


@pytest.mark.parametrize("label", [255, 256, 300, 65535, 65536, 2147483647])
def test_the_only_segment_of_any_label_value_can_be_changed(scene, grid, label):
    """Nothing else shares its labelmap then, and Slicer takes the type of what it is given."""
    node = segmentation_from_labelmap(labelmap(grid, (label,), "int64"))
    segment_id = find_segment(node, label)
    larger = segment_to_volume(node, segment_id)
    larger.array[0, 0, :3] = 1
    volume_to_segment(larger, node, segment_id)
    assert np.array_equal(segment_to_volume(node, segment_id).array, larger.array)
    assert np.array_equal(labelmap_from_segmentation(node).array, larger.array.astype(np.int64) * label)


@pytest.mark.parametrize("label", [300, 70000])
def test_a_segment_without_voxels_may_have_a_value_beyond_the_type_of_its_layer(scene, grid, label):
    node = segmentation_from_labelmap(labelmap(grid, (2, 9)))
    empty = node.GetSegmentation().GetSegment(new_segment(node, "empty"))
    empty.SetLabelValue(label)
    assert np.array_equal(labelmap_from_segmentation(node).array, labelmap(grid, (2, 9)).array)


def test_the_edited_segment_wins_where_it_is_wanted_on_top(scene, grid):
    volume = labelmap(grid)
    node = segmentation_from_labelmap(volume)
    edited = find_segment(node, 2)
    volume_to_segment(shape_on(grid), node, edited)  # now covers the others
    below = labelmap_from_segmentation(node).array
    above = labelmap_from_segmentation(node, on_top=[edited]).array
    assert set(np.unique(above)) == {0, 2} and np.array_equal(above != 0, volume.array != 0)
    assert np.array_equal(below != 0, volume.array != 0)
    # the others are as they were beneath
    assert np.array_equal(segment_to_volume(node, find_segment(node, 9)).array, volume.array == 9)


def test_an_edit_of_one_label_changes_no_voxel_of_another(scene, grid):
    volume = labelmap(grid)
    node = segmentation_from_labelmap(volume)
    edited = find_segment(node, 9)
    smaller = segment_to_volume(node, edited)
    half = smaller.array.copy()
    half[: grid.shape[0] // 2] = 0
    volume_to_segment(smaller.with_array(half), node, edited)
    expected = np.where((volume.array == 9) & (half == 0), 0, volume.array)
    assert np.array_equal(labelmap_from_segmentation(node, on_top=[edited]).array, expected)


def test_a_new_segment_gets_a_label_beside_those_of_the_file(scene, grid):
    node = segmentation_from_labelmap(labelmap(grid, (2, 9)))
    segment_id = new_segment(node, "lesion")
    node.GetSegmentation().GetSegment(segment_id).SetLabelValue(17)
    corner = np.zeros(grid.shape, np.uint8)
    corner[0, 0, 0] = 1
    volume_to_segment(Volume(corner, grid.ijk_to_ras), node, segment_id)
    assert set(np.unique(labelmap_from_segmentation(node).array)) == {0, 2, 9, 17}


def test_a_new_segment_never_takes_a_label_of_the_file(scene, grid):
    node = segmentation_from_labelmap(labelmap(grid, (1, 9)))
    corner = np.zeros(grid.shape, np.uint8)
    corner[0, 0, 0] = 1
    volume_to_segment(Volume(corner, grid.ijk_to_ras), node, new_segment(node, "lesion"))
    back = labelmap_from_segmentation(node).array
    assert back[0, 0, 0] not in (0, 1, 9)
    back[0, 0, 0] = 0
    assert np.array_equal(back, labelmap(grid, (1, 9)).array)


def test_the_files_labels_come_first_and_a_taken_one_gives_way(segmentation):
    for label in (3, 0, 3):
        segmentation.GetSegmentation().GetSegment(new_segment(segmentation, "s")).SetLabelValue(label)
    assert list(unique_label_values(segmentation).values()) == [3, 4, 5]
    keep_label_values(segmentation)
    added = new_segment(segmentation, "added")
    segmentation.GetSegmentation().GetSegment(added).SetLabelValue(3)
    segmentation.GetSegmentation().SetSegmentIndex(added, 0)
    assert unique_label_values(segmentation)[added] == 6


def test_segments_with_equal_labels_are_told_apart(scene, grid):
    node = segmentation_from_labelmap(labelmap(grid, (5,)))
    volume_to_segment(shape_on(grid), node, new_segment(node, "same place"))
    for segment_id in node.GetSegmentation().GetSegmentIDs():
        node.GetSegmentation().GetSegment(segment_id).SetLabelValue(1)
    node.RemoveAttribute("SparseToPrecise.LabelValues")
    back = labelmap_from_segmentation(node)
    assert set(np.unique(back.array)) == {0, 2}


def test_an_empty_labelmap_has_a_grid_and_no_segments(scene, grid):
    volume = Volume(np.zeros(grid.shape, np.int16), grid.ijk_to_ras, "blank")
    node = segmentation_from_labelmap(volume)
    with pytest.raises(InputError, match="blank has no segments"):
        find_segment(node, 1)
    assert segmentation_grid(node).same_as(grid, 1e-9)
    back = labelmap_from_segmentation(node)
    assert back.array.shape == grid.shape and not back.array.any() and back.array.dtype == np.int16
    volume_to_segment(shape_on(grid), node, new_segment(node, "first"))
    assert np.array_equal(labelmap_from_segmentation(node).array, shape_on(grid).array)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (-2, "has the value -2; a labelmap holds whole numbers from 0"),
        (0.5, "has the value 0.5; a labelmap holds whole numbers"),
        (np.nan, "has the value nan"),
        (3e10, r"has the value 3e\+10"),
    ],
)
def test_what_is_no_labelmap_is_refused(scene, value, words):
    array = np.zeros((3, 4, 5))
    array[1, 1, 1] = value
    with pytest.raises(InputError, match=words):
        segmentation_from_labelmap(Volume(array, np.eye(4), "odd"))


def test_more_than_a_thousand_labels(scene):
    """Parcellations and cells; 1300 cubes of 27 voxels."""
    cubes = np.arange(1, 1301).reshape(10, 10, 13)
    array = cubes.repeat(3, axis=0).repeat(3, axis=1).repeat(3, axis=2).astype(np.uint16)
    node = segmentation_from_labelmap(Volume(array, np.eye(4), "cells"))
    assert node.GetSegmentation().GetNumberOfSegments() == 1300
    assert np.array_equal(labelmap_from_segmentation(node).array, array)


def test_an_image_given_as_labelmap_is_refused(scene):
    image = np.random.default_rng(0).integers(-1000, 2000, (20, 20, 20))
    with pytest.raises(InputError, match="CT has more than 1000 different values; it looks like an image"):
        segmentation_from_labelmap(Volume(image, np.eye(4), "CT"))
