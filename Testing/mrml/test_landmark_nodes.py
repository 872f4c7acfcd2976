"""Landmarks in the scene: targets under transforms, what is shown of a detection, and lessons for training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("slicer")
pytest.importorskip("torch")

import slicer
import vtk
from landmark_cases import GRIDS, MOVED, ORIGIN, POINTS, TURN, depth, grid_around, image_on, landmarks, reference

from known_shape import matrix
from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.volume import Grid, Volume
from SparseToPreciseLib.landmarks.detect import Detection, detect
from SparseToPreciseLib.landmarks.fusion import Landmark
from SparseToPreciseLib.landmarks.model import Template, load_template
from SparseToPreciseLib.landmarks.propagation import ReferenceTransform, propagated_structure, reference_transform
from SparseToPreciseLib.mrml import landmark_teaching
from SparseToPreciseLib.mrml import landmarks_nodes as landmark_nodes
from SparseToPreciseLib.mrml.landmark_lists import (
    landmarks_from_node,
    landmarks_to_node,
    read_landmarks,
    write_landmarks,
)
from SparseToPreciseLib.mrml.markups import load_markup
from SparseToPreciseLib.mrml.segmentations import new_segment, segment_to_volume, volume_to_segment
from SparseToPreciseLib.mrml.transforms import transform_to_node
from SparseToPreciseLib.mrml.volumes import matrix_to_array, volume_to_node

TRUTH = landmarks(TURN, MOVED)
RIGID = matrix((10, -20, 30), origin=(30, -12, 8))
TOLERANCE_MM = 1.8


@pytest.fixture(scope="module")
def template(landmark_template: Path) -> Template:
    return load_template(landmark_template, "cpu")


@pytest.fixture(scope="module")
def found(template: Template) -> Detection:
    """On the target as it lies in the world."""
    return detect(template, image_on(GRIDS["axis-aligned"], TURN, MOVED))


def stored_under(grid: Grid, parent: np.ndarray) -> Volume:
    """The target, stored so that a parent transform brings it to where it is in the world."""
    image = image_on(grid, TURN, MOVED)
    return Volume(image.array, np.linalg.inv(parent) @ image.ijk_to_ras, "CT")


def errors(node) -> dict[str, float]:
    placed = landmarks_from_node(node)
    return {name: float(np.linalg.norm(placed[name] - TRUTH[name])) for name in TRUTH}


def put_under(node, transform) -> None:
    node.SetAndObserveTransformNodeID(transform.GetID() if transform else None)


class TestTarget:
    @pytest.mark.parametrize("name", GRIDS)
    def test_landmarks_are_shown_where_the_world_has_them(self, scene, linear, found, name: str) -> None:
        """Stored elsewhere and brought back by a transform, on every kind of grid."""
        image = volume_to_node(stored_under(GRIDS[name], RIGID), "CT")
        put_under(image, linear(RIGID))
        inputs = landmark_nodes.read_target(image)
        np.testing.assert_allclose(inputs.image.ijk_to_ras, GRIDS[name].ijk_to_ras, atol=1e-9)
        node = landmark_nodes.show_landmarks(inputs, found)
        assert node.GetParentTransformNode() is image.GetParentTransformNode()
        assert max(errors(node).values()) < TOLERANCE_MM

    def test_landmarks_are_found_where_the_scene_shows_the_target(self, scene, linear, template) -> None:
        image = volume_to_node(stored_under(GRIDS["oblique"], RIGID), "CT")
        put_under(image, linear(RIGID))
        inputs = landmark_nodes.read_target(image)
        answer = detect(template, inputs.image, stages=("localize", "pose", "rigid"))
        assert max(errors(landmark_nodes.show_landmarks(inputs, answer)).values()) < TOLERANCE_MM

    def test_a_seed_counts_in_the_world(self, scene, linear) -> None:
        image = volume_to_node(image_on(GRIDS["oblique"], TURN, MOVED), "CT")
        seed = landmarks_to_node({"near": MOVED}, "Seed", parent_transform=linear(RIGID))
        np.testing.assert_allclose(landmark_nodes.read_target(image, seed).seed, MOVED, atol=1e-5)

    def test_the_image_is_a_copy(self, scene) -> None:
        image = volume_to_node(image_on(GRIDS["LAS"]), "CT")
        inputs = landmark_nodes.read_target(image)
        before = inputs.image.array.copy()
        image.GetImageData().GetPointData().GetScalars().Fill(0)
        assert np.array_equal(inputs.image.array, before)

    def test_refused(self, scene, bent) -> None:
        with pytest.raises(InputError, match="There is no target; choose"):
            landmark_nodes.read_target(None)
        image = volume_to_node(image_on(GRIDS["LAS"]), "CT")
        empty = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Seed")
        with pytest.raises(InputError, match="Seed has no point yet"):
            landmark_nodes.read_target(image, empty)
        put_under(image, bent)
        with pytest.raises(InputError, match="CT is under the non-linear transform Bent"):
            landmark_nodes.read_target(image)


class TestShown:
    @pytest.fixture
    def image(self, scene):
        return volume_to_node(image_on(GRIDS["axis-aligned"], TURN, MOVED), "CT")

    def test_a_list_named_after_the_target_that_says_how_sure_it_is(self, image, found) -> None:
        parts = [
            Landmark("sure", np.array([1.0, 2, 3]), 0.93),
            Landmark("unsure", np.array([4.0, 5, 6]), 0.41),
            Landmark("gone", None, 0.1, "unsure (0.10): because"),
        ]
        some = Detection(parts, found.place, (), False, {}, {}, "cpu")
        node = landmark_nodes.show_landmarks(landmark_nodes.read_target(image), some, "ears")
        assert node.GetName() == "CT landmarks" and node.GetAttribute(landmark_nodes.TEMPLATE_ATTRIBUTE) == "ears"
        assert landmark_nodes.landmark_rows(node) == [
            ("sure", True, "confidence 0.93"),
            ("unsure", True, "confidence 0.41"),
            ("gone", False, "unplaced: unsure (0.10): because"),
        ]
        assert [bool(node.GetNthControlPointSelected(index)) for index in range(3)] == [True, False, False]
        display = node.GetDisplayNode()
        assert display.GetSelectedColor() != display.GetColor()
        assert node.GetFixedNumberOfControlPoints()

    def test_an_earlier_result_stays(self, scene, image, found) -> None:
        inputs = landmark_nodes.read_target(image)
        first = landmark_nodes.show_landmarks(inputs, found)
        nodes, before = scene.GetNumberOfNodes(), landmarks_from_node(first)
        second = landmark_nodes.show_landmarks(inputs, found)
        assert second.GetName() != first.GetName()
        assert all(np.array_equal(before[name], point) for name, point in landmarks_from_node(first).items())
        landmark_nodes.remove_nodes([second.GetID(), "vtkMRMLNodeThatIsNot"])
        assert first.GetScene() is not None and scene.GetNumberOfNodes() == nodes

    def test_who_moves_the_image_meanwhile_moves_its_landmarks(self, image, linear, found) -> None:
        inputs = landmark_nodes.read_target(image)
        put_under(image, linear(RIGID))
        moved = landmarks_from_node(landmark_nodes.show_landmarks(inputs, found))
        for name, point in found.placed.items():
            np.testing.assert_allclose(moved[name], RIGID[:3, :3] @ point + RIGID[:3, 3], atol=1e-4)

    def test_the_target_was_removed(self, scene, image, template, found) -> None:
        inputs = landmark_nodes.read_target(image)
        structure = propagated_structure(template, found, inputs.image.grid)
        scene.RemoveNode(image)
        nodes = scene.GetNumberOfNodes()
        for show in (
            lambda: landmark_nodes.show_landmarks(inputs, found),
            lambda: landmark_nodes.show_structure(inputs, structure),
            lambda: landmark_nodes.show_transform(inputs, reference_transform(found)),
        ):
            with pytest.raises(InputError, match="The target was removed while it was being searched"):
                show()
        assert scene.GetNumberOfNodes() == nodes

    def test_jumping_to_a_landmark(self, scene, image, found) -> None:
        node = landmark_nodes.show_landmarks(landmark_nodes.read_target(image), found)
        view = slicer.vtkMRMLSliceNode()
        view.SetLayoutName("Red")
        view = scene.AddNode(view)
        assert landmark_nodes.jump_to(node, 1)
        there = matrix_to_array(view.GetSliceToRAS())[:3, 3]
        np.testing.assert_allclose(there, found.placed["tip"], atol=1e-3)
        node.UnsetNthControlPointPosition(1)
        assert not landmark_nodes.jump_to(node, 1)

    def test_all_of_it_is_saved_with_the_scene(self, scene, image, found, tmp_path: Path) -> None:
        """The table of the panel comes from the list alone, so it is there again when the list is."""
        node = landmark_nodes.show_landmarks(landmark_nodes.read_target(image), found, "ears")
        node.SetNthControlPointDescription(1, "unplaced: because")
        rows, path = landmark_nodes.landmark_rows(node), tmp_path / "scene.mrml"
        assert [row[0] for row in rows] == list(POINTS) and "confidence" in rows[0][2]
        assert rows[1][1:] == (True, "placed by hand")
        scene.SetURL(str(path))
        assert scene.Commit() and f"{landmark_nodes.TEMPLATE_ATTRIBUTE}:ears" in path.read_text()
        write_landmarks(node, tmp_path / "list.mrk.json")
        again = load_markup(tmp_path / "list.mrk.json", "a list", "again")
        assert landmark_nodes.landmark_rows(again) == rows


class TestStructure:
    @pytest.mark.parametrize("name", GRIDS)
    def test_it_lies_on_the_structure(self, template, found, name: str) -> None:
        """What was found in the world, asked for on other grids of the same target."""
        grid = GRIDS[name]
        part = propagated_structure(template, found, grid)
        mask = np.zeros(grid.shape, bool)
        start = np.round(grid.to_ijk(part.grid.to_ras([0, 0, 0]))).astype(int)[::-1]
        mask[tuple(slice(a, a + size) for a, size in zip(start, part.shape, strict=True))] = part.array != 0
        truth = depth(grid.points_ras(), TURN, MOVED) > 0
        assert 2 * (mask & truth).sum() / (mask.sum() + truth.sum()) > 0.85

    def test_of_the_other_side(self, template) -> None:
        image = image_on(GRIDS["axis-aligned"], TURN, MOVED)
        flip = np.diag([-1.0, 1, 1, 1])
        target = Volume(image.array, flip @ image.ijk_to_ras, "other side")
        mirrored = detect(template, target, mirror="yes", stages=("localize", "pose", "rigid"))
        part = propagated_structure(template, mirrored, target.grid)
        points = part.grid.to_ras(np.argwhere(part.array)[:, ::-1]) * (-1, 1, 1)
        assert (depth(points, TURN, MOVED) > -1.5).mean() > 0.95
        way = reference_transform(mirrored)
        assert np.linalg.det(way.matrix[:3, :3]) < 0

    def test_nothing_was_found(self, template, found) -> None:
        none = Detection((), found.place, (), False, {}, {}, "cpu")
        assert reference_transform(none) is None and propagated_structure(template, none, GRIDS["LAS"]) is None

    def test_it_lies_beyond_the_grid(self, template, found) -> None:
        assert propagated_structure(template, found, grid_around(MOVED + [300, 0, 0])) is None

    def test_as_a_segment_under_the_target_s_transform(self, scene, linear, template, found) -> None:
        image = volume_to_node(stored_under(GRIDS["oblique"], RIGID), "CT")
        put_under(image, linear(RIGID))
        inputs = landmark_nodes.read_target(image)
        part = propagated_structure(template, found, inputs.image.grid)
        node = landmark_nodes.show_structure(inputs, part, "ears")
        assert node.GetName() == "CT ears" and node.GetParentTransformNode() is image.GetParentTransformNode()
        segment = node.GetSegmentation().GetNthSegmentID(0)
        shown = segment_to_volume(node, segment, inputs.image.grid)
        assert shown.array.sum() == part.array.sum()
        inside = shown.grid.to_ras(np.argwhere(shown.array)[:, ::-1])
        assert (depth(inside, TURN, MOVED) > -1.5).mean() > 0.95
        role = node.GetReferenceImageGeometryReferenceRole()
        assert node.GetNodeReference(role) is image


class TestWay:
    def through(self, node, points: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Where points come to lie that are put under a transform."""
        return landmarks_from_node(self.under(node, points))

    @staticmethod
    def under(node, points):
        made = landmarks_to_node(points)
        put_under(made, node)
        return made

    def test_the_reference_s_landmarks_land_where_they_were_found(self, scene, linear, found, tmp_path) -> None:
        image = volume_to_node(stored_under(GRIDS["LAS"], RIGID), "CT")
        put_under(image, linear(RIGID))
        inputs = landmark_nodes.read_target(image)
        node = landmark_nodes.show_transform(inputs, reference_transform(found), "ears")
        assert node.GetName() == "ears to CT"
        there = self.through(node, landmarks())
        assert found.placed
        for name, point in found.placed.items():
            assert np.linalg.norm(there[name] - point) < 0.3

    def test_without_a_deformation_it_is_linear(self, scene, found) -> None:
        image = volume_to_node(image_on(GRIDS["LAS"], TURN, MOVED), "CT")
        straight = ReferenceTransform(0, reference_transform(found).matrix, None, GRIDS["LAS"])
        node = landmark_nodes.show_transform(landmark_nodes.read_target(image), straight)
        assert node.IsA("vtkMRMLLinearTransformNode")
        there = self.through(node, landmarks())["tip"]
        wanted = straight.matrix[:3, :3] @ landmarks()["tip"] + straight.matrix[:3, 3]
        np.testing.assert_allclose(there, wanted, atol=1e-5)

    def test_displacement_then_matrix_and_back(self, scene) -> None:
        """A displacement that is known, on a grid of any kind; the way back is Slicer's inverse."""
        grid = GRIDS["oblique"]
        points = grid.points_ras()
        r, a = np.sin(points[..., 1] / 9), 0.5 * np.cos(points[..., 2] / 7)
        displacement = np.stack([r, a, np.zeros(grid.shape)], axis=-1)
        node = transform_to_node(RIGID, displacement, grid)
        start = MOVED + [3.0, -4.0, 2.0]
        bent = start + [np.sin(start[1] / 9), 0.5 * np.cos(start[2] / 7), 0]
        there = self.through(node, {"one": start})["one"]
        np.testing.assert_allclose(there, RIGID[:3, :3] @ bent + RIGID[:3, 3], atol=0.02)
        back = [0.0] * 3
        to_world = vtk.vtkGeneralTransform()
        node.GetTransformFromWorld(to_world)
        to_world.TransformPoint(there, back)
        np.testing.assert_allclose(back, start, atol=0.02)

    def test_it_survives_a_file(self, scene, tmp_path: Path, found) -> None:
        way = reference_transform(found)
        node = transform_to_node(way.matrix, way.displacement, way.grid, "way")
        there = self.through(node, landmarks())
        storage = slicer.vtkMRMLTransformStorageNode()
        storage.SetFileName(str(tmp_path / "way.h5"))
        assert storage.WriteData(node)
        again = scene.AddNewNodeByClass("vtkMRMLTransformNode")
        assert storage.ReadData(again)
        for name, point in self.through(again, landmarks()).items():
            np.testing.assert_allclose(point, there[name], atol=0.05)  # what was read is interpolated cubically


class TestLesson:
    @pytest.fixture
    def nodes(self, scene):
        """(image, segmentation, segment, landmarks)"""
        first = reference()
        image = volume_to_node(first.image, "MR")
        segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Parts")
        segmentation.CreateDefaultDisplayNodes()
        segmentation.SetReferenceImageGeometryParameterFromVolumeNode(image)
        segment = new_segment(segmentation, "snail")
        volume_to_segment(first.soi, segmentation, segment)
        return image, segmentation, segment, landmarks_to_node(first.landmarks, "Points")

    def test_files_that_the_command_line_takes(self, nodes, tmp_path: Path) -> None:
        lesson = landmark_teaching.read_lesson(*nodes, *nodes[:3])
        landmark_teaching.write_points(lesson, tmp_path)
        arguments = landmark_teaching.write_images(lesson, tmp_path)
        options = dict(zip(arguments[2::2], arguments[3::2], strict=True))
        assert set(options) == {"--soi", "--validation-image", "--validation-soi"}
        assert all(Path(path).is_file() for path in [*arguments[:2], *options.values()])
        stored = read_landmarks(arguments[1])
        for name, point in landmarks().items():
            np.testing.assert_allclose(stored[name], point, atol=1e-4)
        assert lesson.warnings == []

    def test_every_node_under_its_own_transform(self, nodes, linear, bent) -> None:
        """The image is moved to somewhere else, the segmentation and the list go there by transforms of their own."""
        image, segmentation, segment, points = nodes
        put_under(image, linear(RIGID))
        put_under(segmentation, linear(np.eye(4), linear(RIGID)))
        world = {name: RIGID[:3, :3] @ point + RIGID[:3, 3] for name, point in landmarks().items()}
        other = linear(matrix((5, 0, 70), origin=(9, 9, 9)))
        points = landmarks_to_node(world, "Points", parent_transform=other)
        lesson = landmark_teaching.read_lesson(image, segmentation, segment, points)
        wanted = RIGID[:3, :3] @ reference().centre + RIGID[:3, 3]
        np.testing.assert_allclose(lesson.reference.centre, wanted, atol=0.05)
        for name, point in lesson.reference.landmarks.items():
            np.testing.assert_allclose(point, world[name], atol=1e-4)
        bent_list = landmarks_to_node(world, "Points", parent_transform=bent)
        landmark_teaching.read_lesson(image, segmentation, segment, bent_list)
        put_under(segmentation, bent)
        with pytest.raises(InputError, match="Parts is under the non-linear transform Bent"):
            landmark_teaching.read_lesson(image, segmentation, segment, points)

    def test_without_validation_that_is_said(self, nodes) -> None:
        assert "no validation image" in " ".join(landmark_teaching.read_lesson(*nodes).warnings)

    def test_a_symmetric_structure_is_said(self, nodes) -> None:
        image, segmentation, segment, points = nodes
        first = reference()
        ball = np.linalg.norm(first.soi.grid.points_ras() - ORIGIN, axis=-1) < 9
        volume_to_segment(first.soi.with_array(ball.astype(np.uint8)), segmentation, segment)
        warnings = " ".join(landmark_teaching.read_lesson(*nodes).warnings)
        assert "nearly symmetric" in warnings and "1.0" in warnings

    def test_refused(self, scene, nodes) -> None:
        image, segmentation, segment, points = nodes
        read = landmark_teaching.read_lesson

        def sentence(*given) -> str:
            with pytest.raises(InputError) as error:
                read(*given)
            return str(error.value)

        assert "There is no reference image" in sentence(None, segmentation, segment, points)
        assert "There is no structure of interest" in sentence(image, None, "", points)
        assert "There is no structure of interest" in sentence(image, segmentation, "none", points)
        assert "There are no landmarks; choose" in sentence(image, segmentation, segment, None)
        empty = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "None")
        assert "There are no landmarks; place" in sentence(image, segmentation, segment, empty)
        assert "validation image is missing" in sentence(*nodes, None, segmentation, segment)
        assert "no structure in the validation image" in sentence(*nodes, image, None, "")
        hollow = new_segment(segmentation, "hollow")
        assert "The segment hollow is empty" in sentence(image, segmentation, hollow, points)
        assert "The segment hollow is empty" in sentence(*nodes, image, segmentation, hollow)
        points.SetNthControlPointLabel(1, points.GetNthControlPointLabel(0))
        assert "two landmarks called" in sentence(*nodes)

    def test_nothing_stays_in_the_scene(self, scene, nodes, tmp_path: Path) -> None:
        lesson = landmark_teaching.read_lesson(*nodes)
        before = scene.GetNumberOfNodes()
        landmark_teaching.write_points(lesson, tmp_path)
        assert scene.GetNumberOfNodes() == before
        assert len(json.loads((tmp_path / "landmarks.mrk.json").read_text())["markups"]) == 1
