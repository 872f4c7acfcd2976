"""Planes and painted segments as nodes: under transforms, in files, and back into the segmentation."""

from __future__ import annotations

import numpy as np
import pytest
from edit_cases import case_on, grid_around, rotation

pytest.importorskip("slicer")

from known_shape import matrix
from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.markups import read_plane
from SparseToPreciseLib.core.masks import dice
from SparseToPreciseLib.core.plane import Plane
from SparseToPreciseLib.core.volume import Volume
from SparseToPreciseLib.mrml.labelmaps import segmentation_from_labelmap
from SparseToPreciseLib.mrml.planes import plane_from_node, plane_to_node, write_plane
from SparseToPreciseLib.mrml.planes_nodes import read_painted, show_filled
from SparseToPreciseLib.mrml.segmentations import new_segment, segment_to_volume, volume_to_segment
from SparseToPreciseLib.planes.fill import fill

TURNED = Plane(np.array([3.0, -4.0, 5.0]), rotation((1, 2, -1), 50), np.array([-20.0, 20.0, -15.0, 15.0]), "P")
GRID = grid_around((2.0, 2.0, 2.5), rotation((0, 1, 1), 25), half_mm=27)


def same(plane: Plane, other: Plane) -> None:
    np.testing.assert_allclose(plane.center, other.center, atol=1e-6)
    np.testing.assert_allclose(plane.axes, other.axes, atol=1e-6)
    np.testing.assert_allclose(plane.bounds, other.bounds, atol=1e-6)


def painted_on(grid) -> tuple[Volume, Volume, np.ndarray]:
    """Image, paint on three slices, and the truth."""
    case = case_on(grid)
    truth = case.truth.array
    paint = np.zeros_like(truth)
    for k in np.linspace(0, truth.shape[0] - 1, 9).round().astype(int)[[3, 4, 5]]:
        paint[k] = truth[k]
    return case.image, Volume(paint, grid.ijk_to_ras, "painted"), truth


class TestPlaneNodes:
    def test_there_and_back(self, scene) -> None:
        node = plane_to_node(TURNED)
        assert node.GetName() == "P"
        same(plane_from_node(node), TURNED)

    def test_its_transform_counts(self, scene, linear) -> None:
        node = plane_to_node(TURNED)
        place = matrix((10, 40, -25), spacing=(2, 2, 2), origin=(3, -20, 8))
        node.SetAndObserveTransformNodeID(linear(place).GetID())
        found = plane_from_node(node)
        np.testing.assert_allclose(found.center, place[:3, :3] @ TURNED.center + place[:3, 3], atol=1e-5)
        np.testing.assert_allclose(found.normal, place[:3, :3] @ TURNED.normal / 2, atol=1e-6)
        np.testing.assert_allclose(found.bounds, 2 * TURNED.bounds, atol=1e-5)

    def test_in_a_file(self, scene, tmp_path) -> None:
        write_plane(plane_to_node(TURNED), tmp_path / "cut.mrk.json")
        found = read_plane(tmp_path / "cut.mrk.json")
        same(found, TURNED)
        assert found.name == "cut"

    def test_one_without_end_needs_a_size(self, scene) -> None:
        endless = Plane.across([0, 0, 1], [0, 0, 5], "endless")
        with pytest.raises(InputError, match="endless has no end"):
            plane_to_node(endless)
        found = plane_from_node(plane_to_node(endless, (30.0, 40.0)))
        assert found.bounds.round(6).tolist() == [-15, 15, -20, 20]

    def test_one_that_is_not_placed_and_another_markup(self, scene) -> None:
        node = scene.AddNewNodeByClass("vtkMRMLMarkupsPlaneNode", "empty")
        with pytest.raises(InputError, match="empty has not been placed yet"):
            plane_from_node(node)
        with pytest.raises(InputError, match="draw it as a plane"):
            plane_from_node(scene.AddNewNodeByClass("vtkMRMLMarkupsLineNode", "line"))


class TestPaintedSegments:
    def test_filled_where_its_transform_shows_it(self, scene, linear) -> None:
        image, paint, truth = painted_on(GRID)
        place = matrix((5, 10, -20), origin=(3, -20, 8))
        node = segmentation_from_labelmap(paint)
        node.SetAndObserveTransformNodeID(linear(place).GetID())
        painted = read_painted(node)
        found = fill(Volume(image.array, place @ image.ijk_to_ras), painted.labels)
        show_filled(found, painted, node)
        after = segment_to_volume(node, painted.segment_ids[0])
        assert after.grid.same_as(painted.labels.grid, 1e-3)
        assert np.array_equal(after.array[found.annotated], paint.array[found.annotated])
        assert dice(after.array, truth) > 0.9

    def test_a_segment_that_is_not_wanted_keeps_its_voxels(self, scene) -> None:
        image, paint, _ = painted_on(GRID)
        labels = paint.array.copy()
        labels[:3, :5, :5] = 2
        node = segmentation_from_labelmap(paint.with_array(labels))
        painted = read_painted(node, ["Segment_1"])
        assert painted.wanted == (1,) and painted.name_of(2) == "Segment_2"
        show_filled(fill(image, painted.labels, labels=painted.wanted), painted, node)
        assert np.array_equal(segment_to_volume(node, "Segment_2", GRID).array, labels == 2)

    def test_two_segments_in_one_voxel(self, scene) -> None:
        _, paint, _ = painted_on(GRID)
        node = segmentation_from_labelmap(paint)
        other = new_segment(node, "Other")
        volume_to_segment(paint, node, other)
        with pytest.raises(InputError, match=r"Segment_1 and Other share \d+ voxels, as at \["):
            read_painted(node)

    def test_nothing_to_read(self, scene, segmentation) -> None:
        with pytest.raises(InputError, match="There is no segmentation"):
            read_painted(None)
        with pytest.raises(InputError, match="Organs has no segments"):
            read_painted(segmentation)
