"""Tightening and segmenting with the scene's nodes, under transforms; undo; what is handed on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from box_cases import CENTRE, GRID, GRIDS, LOOSE, find_nothing, image_on, mask_on

from known_shape import matrix
from SparseToPreciseLib.core.box import Box
from SparseToPreciseLib.core.errors import InputError

pytest.importorskip("slicer")

from SparseToPreciseLib.boxes.corrector.model import load_corrector
from SparseToPreciseLib.boxes.corrector.tighten import tighten
from SparseToPreciseLib.boxes.segmenter.segment import SegmentResult
from SparseToPreciseLib.mrml import boxes_nodes as box_nodes
from SparseToPreciseLib.mrml.box_table import slice_table, verdict
from SparseToPreciseLib.mrml.rois import box_from_roi, place_roi, roi_from_box
from SparseToPreciseLib.mrml.segmentations import segment_to_volume
from SparseToPreciseLib.mrml.volumes import array_to_matrix, volume_to_node

RIGID = matrix((10, 40, -25), origin=(3, -20, 8))


@pytest.fixture(scope="session")
def corrector(box_template: Path):
    return load_corrector(box_template / "corrector", "cpu")


@pytest.fixture
def nodes(scene):
    """An image and a loose ROI."""
    return volume_to_node(image_on(GRID), "CT"), roi_from_box(LOOSE, "Liver")


def tightened(nodes, corrector, **options):
    inputs = box_nodes.read_inputs(*nodes, to_tighten=True)
    result = tighten(inputs.image, inputs.box, corrector, **options)
    box_nodes.show_tightened(inputs, result)
    return result


def same(box: Box, other: Box, atol: float = 1e-4) -> bool:
    distances = np.linalg.norm(box.corners()[:, None] - other.corners()[None], axis=-1)
    return bool(distances.min(axis=0).max() < atol and distances.min(axis=1).max() < atol)


def moved(box: Box, transform: np.ndarray) -> Box:
    turn = transform[:3, :3]
    return Box(turn @ box.center + transform[:3, 3], turn @ box.axes, box.size)


class TestTighten:
    def test_the_roi_shrinks_and_the_old_one_is_kept_hidden(self, nodes, corrector) -> None:
        roi = nodes[1]
        result = tightened(nodes, corrector)
        assert result.safe and same(box_from_roi(roi), result.box)
        loose = box_nodes.loose_roi(roi)
        assert loose.GetName() == "Liver loose" and not loose.GetDisplayVisibility()
        assert same(box_from_roi(loose), LOOSE)
        assert roi.GetName() == "Liver" and roi.GetDisplayVisibility()

    def test_undo_gives_it_back(self, scene, nodes, corrector) -> None:
        roi = nodes[1]
        tightened(nodes, corrector)
        box_nodes.undo_tightening(roi)
        assert same(box_from_roi(roi), LOOSE) and roi.GetName() == "Liver"
        assert box_nodes.loose_roi(roi) is None and slice_table(roi) is None
        assert scene.GetNumberOfNodesByClass("vtkMRMLMarkupsROINode") == 1
        segmentation = scene.GetFirstNodeByClass("vtkMRMLSegmentationNode").GetSegmentation()
        assert segmentation.GetNumberOfSegments() == 0
        with pytest.raises(InputError, match="Liver was not tightened, so there is nothing to undo"):
            box_nodes.undo_tightening(roi)

    def test_undo_goes_back_step_by_step(self, nodes, corrector) -> None:
        roi = nodes[1]
        tightened(nodes, corrector, margin_mm=4.0)
        changed = LOOSE.shrunk(1, 1)
        place_roi(roi, changed)
        tightened(nodes, corrector)
        box_nodes.undo_tightening(roi)
        assert same(box_from_roi(roi), changed)
        box_nodes.undo_tightening(roi)
        assert same(box_from_roi(roi), LOOSE)

    def test_undo_keeps_a_bounding_box_of_points(self, scene, nodes, corrector) -> None:
        roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Points")
        roi.SetROIType(roi.ROITypeBoundingBox)
        for point in LOOSE.bounds_ras.T:
            roi.AddControlPoint(*point)
        roi.CreateDefaultDisplayNodes()
        tightened((nodes[0], roi), corrector)
        assert roi.GetROIType() == roi.ROITypeBox
        box_nodes.undo_tightening(roi)
        assert roi.GetROIType() == roi.ROITypeBoundingBox and roi.GetNumberOfControlPoints() == 2
        assert same(box_from_roi(roi), LOOSE)

    def test_boxes_of_slices_are_a_translucent_segment_on_the_image(self, scene, nodes, corrector) -> None:
        result = tightened(nodes, corrector)
        node = scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
        assert node.GetName() == "CT Liver"
        segment = node.GetSegmentation().GetSegment(box_nodes.SLICES_ID)
        assert segment.GetName() == "Liver slices"
        assert node.GetDisplayNode().GetSegmentOpacity2DFill(box_nodes.SLICES_ID) < 0.5
        shown = segment_to_volume(node, box_nodes.SLICES_ID, GRID)
        assert np.array_equal(shown.array, result.slices_as_volume(GRID).array) and shown.array.any()

    def test_the_table_has_a_row_for_every_slice(self, nodes, corrector) -> None:
        result = tightened(nodes, corrector)
        table = slice_table(nodes[1])
        assert table.GetNumberOfRows() == len(result.slices) == 30
        names = [table.GetColumnName(column) for column in range(table.GetNumberOfColumns())]
        assert names[:4] == ["slice", "axis", "position_mm", "low_I_mm"]
        filled = [row for row in range(30) if table.GetCellText(row, 3)]
        assert len(filled) == sum(one.bounds_mm is not None for one in result.slices)

    def test_again_replaces_table_and_segment(self, scene, nodes, corrector) -> None:
        tightened(nodes, corrector, margin_mm=4.0)
        tightened(nodes, corrector)
        assert scene.GetNumberOfNodesByClass("vtkMRMLTableNode") == 1
        assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 1
        node = scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
        assert list(node.GetSegmentation().GetSegmentIDs()) == [box_nodes.SLICES_ID]

    def test_again_starts_from_the_loose_box_while_the_tight_one_is_untouched(self, scene, nodes, corrector) -> None:
        roi = nodes[1]
        first = tightened(nodes, corrector).box
        wide = tightened(nodes, corrector, margin_mm=2.0).box
        assert wide.volume_mm3 > first.volume_mm3 and same(box_from_roi(roi), wide)
        assert scene.GetNumberOfNodesByClass("vtkMRMLMarkupsROINode") == 2
        assert box_nodes.loose_roi(roi).GetName() == "Liver loose"
        box_nodes.undo_tightening(roi)
        assert same(box_from_roi(roi), LOOSE) and box_nodes.loose_roi(roi) is None
        with pytest.raises(InputError, match="was not tightened"):
            box_nodes.undo_tightening(roi)

    def test_again_starts_from_a_tight_box_that_was_changed(self, nodes, corrector) -> None:
        roi = nodes[1]
        tightened(nodes, corrector)
        changed = LOOSE.shrunk(1, 1)
        place_roi(roi, changed)
        assert same(box_nodes.read_inputs(*nodes, to_tighten=True).box, changed)

    def test_segmenting_takes_the_box_as_it_is(self, nodes, corrector) -> None:
        box = tightened(nodes, corrector).box
        assert same(box_nodes.read_inputs(*nodes).box, box)

    def test_again_after_the_loose_box_was_removed_meanwhile(self, scene, nodes, corrector) -> None:
        first = tightened(nodes, corrector).box
        inputs = box_nodes.read_inputs(*nodes, to_tighten=True)
        scene.RemoveNode(box_nodes.loose_roi(nodes[1]))
        box_nodes.show_tightened(inputs, tighten(inputs.image, inputs.box, corrector))
        assert same(box_from_roi(nodes[1]), first)
        assert same(box_from_roi(box_nodes.loose_roi(nodes[1])), LOOSE)

    def test_again_and_unsure_gives_the_loose_box_back(self, scene, nodes, corrector, box_folder: Path) -> None:
        tightened(nodes, corrector)
        find_nothing(box_folder / "corrector")
        result = tightened(nodes, load_corrector(box_folder / "corrector", "cpu"))
        assert not result.safe and same(box_from_roi(nodes[1]), LOOSE)
        assert scene.GetNumberOfNodesByClass("vtkMRMLMarkupsROINode") == 1
        node = scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
        assert node.GetSegmentation().GetSegment(box_nodes.SLICES_ID) is None

    def test_what_it_said_stays_with_the_roi(self, nodes, corrector, box_folder: Path) -> None:
        roi = nodes[1]
        assert verdict(roi) is None and verdict(None) is None
        result = tightened(nodes, corrector)
        said = verdict(roi)
        assert said.safe and said.notes == result.notes
        np.testing.assert_allclose([said.before_mm3, said.after_mm3], [LOOSE.volume_mm3, result.box.volume_mm3])
        box_nodes.undo_tightening(roi)
        assert verdict(roi) is None
        find_nothing(box_folder / "corrector")
        tightened(nodes, load_corrector(box_folder / "corrector", "cpu"))
        assert not verdict(roi).safe and "kept as it is" in verdict(roi).notes[-1]

    @pytest.mark.parametrize("axis", ["I", "K"])
    def test_rows_of_the_table_know_where_their_slices_are(self, linear, axis: str, corrector) -> None:
        """Also for a turned box under a transform that is moved afterwards."""
        turned = matrix((0, 0, 20), origin=(1, 2, 3))
        image = volume_to_node(image_on(GRIDS["oblique"]), "CT")
        roi = roi_from_box(moved(LOOSE, matrix((0, 0, 5))), "Liver", parent_transform=linear(turned))
        given = box_from_roi(roi)
        result = tightened((image, roi), corrector, axis=axis)
        assert result.safe
        table = slice_table(roi)
        names = [table.GetColumnName(column) for column in range(table.GetNumberOfColumns())]
        assert table.GetUseColumnTitleAsColumnHeader()
        boxes = 0
        for one in result.slices:
            at = box_nodes.slice_centre(roi, one.index)
            assert abs(given.to_box(at)[result.axis] - one.position_mm) < 0.02
            if one.bounds_mm is not None:
                boxes += 1
                told = [float(table.GetCellText(one.index, names.index(f"center_{x}"))) for x in "ras"]
                np.testing.assert_allclose(at, told, atol=0.02)
        assert 0 < boxes < len(result.slices)
        before = box_nodes.slice_centre(roi, 3)
        roi.GetParentTransformNode().SetMatrixTransformToParent(array_to_matrix(matrix(origin=(10, 0, 0)) @ turned))
        np.testing.assert_allclose(box_nodes.slice_centre(roi, 3) - before, [10, 0, 0], atol=1e-3)

    def test_where_it_is_unsure_the_roi_stays(self, scene, nodes, box_folder: Path) -> None:
        find_nothing(box_folder / "corrector")
        result = tightened(nodes, load_corrector(box_folder / "corrector", "cpu"))
        assert not result.safe
        assert same(box_from_roi(nodes[1]), LOOSE) and box_nodes.loose_roi(nodes[1]) is None
        assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0
        assert slice_table(nodes[1]).GetNumberOfRows() == 30

    @pytest.mark.parametrize("name", ["oblique", "LAS"])
    def test_under_transforms_the_answer_is_the_same(self, scene, linear, corrector, name: str) -> None:
        """The image is stored turned away and brought back by its transform; the ROI has another transform."""
        plain = tighten(image_on(GRIDS[name]), LOOSE, corrector).box
        image = image_on(GRIDS[name])
        stored = type(image)(image.array, np.linalg.inv(RIGID) @ image.ijk_to_ras)
        image_node = volume_to_node(stored, "CT")
        image_node.SetAndObserveTransformNodeID(linear(RIGID).GetID())
        other = matrix((0, 0, 70), origin=(50, 0, 0))
        roi = roi_from_box(LOOSE, "Liver", parent_transform=linear(other))
        tightened((image_node, roi), corrector)
        assert same(box_from_roi(roi), plain, 0.05)
        assert roi.GetParentTransformNode() is not None
        node = scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
        mask = mask_on(GRIDS[name])
        inside = segment_to_volume(node, box_nodes.SLICES_ID, mask.grid).array[mask.array != 0]
        assert inside.mean() > 0.98
        box_nodes.undo_tightening(roi)
        assert same(box_from_roi(roi), LOOSE)

    def test_image_and_roi_under_one_transform_move_together(self, linear, nodes, corrector) -> None:
        plain = tighten(image_on(GRID), LOOSE, corrector).box
        parent = linear(RIGID)
        for node in nodes:
            node.SetAndObserveTransformNodeID(parent.GetID())
        tightened(nodes, corrector)
        assert same(box_from_roi(nodes[1]), moved(plain, RIGID), 0.05)


class TestMeanwhile:
    """What happens to the nodes while the work is done elsewhere."""

    def test_the_roi_was_moved(self, scene, nodes, corrector) -> None:
        inputs = box_nodes.read_inputs(*nodes)
        result = tighten(inputs.image, inputs.box, corrector)
        place_roi(nodes[1], LOOSE.shrunk(1, 1))
        with pytest.raises(InputError, match="Liver was changed while it was being worked on"):
            box_nodes.show_tightened(inputs, result)
        assert same(box_from_roi(nodes[1]), LOOSE.shrunk(1, 1))
        assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0

    @pytest.mark.parametrize(("index", "what"), [(0, "image"), (1, "ROI")])
    def test_a_node_was_removed(self, scene, nodes, corrector, index: int, what: str) -> None:
        inputs = box_nodes.read_inputs(*nodes)
        result = tighten(inputs.image, inputs.box, corrector)
        scene.RemoveNode(nodes[index])
        with pytest.raises(InputError, match=f"The {what} was removed while it was being worked on"):
            box_nodes.show_tightened(inputs, result)
        assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0

    def test_the_image_changes_without_harm(self, nodes) -> None:
        inputs = box_nodes.read_inputs(*nodes)
        before = inputs.image.array.copy()
        nodes[0].GetImageData().GetPointData().GetScalars().Fill(0)
        assert np.array_equal(inputs.image.array, before)


class TestSegment:
    def found(self) -> SegmentResult:
        return SegmentResult(mask_on(GRID), 1.0, {}, "cpu", "none")

    def test_a_new_segment_in_a_segmentation_of_image_and_roi(self, nodes) -> None:
        inputs = box_nodes.read_inputs(*nodes)
        node, segment_id = box_nodes.show_segmented(inputs, self.found())
        assert node.GetName() == "CT Liver"
        assert node.GetSegmentation().GetSegment(segment_id).GetName() == "Liver"
        assert np.array_equal(segment_to_volume(node, segment_id, GRID).array, mask_on(GRID).array)
        role = node.GetReferenceImageGeometryReferenceRole()
        assert node.GetNodeReference(role) is nodes[0]

    def test_an_earlier_result_is_not_touched(self, nodes, corrector) -> None:
        inputs = box_nodes.read_inputs(*nodes)
        node, first = box_nodes.show_segmented(inputs, self.found())
        tightened(nodes, corrector)
        again, second = box_nodes.show_segmented(inputs, self.found())
        assert again is node and first != second
        names = [node.GetSegmentation().GetSegment(one).GetName() for one in node.GetSegmentation().GetSegmentIDs()]
        assert sorted(names) == ["Liver", "Liver 2", "Liver slices"]

    def test_under_a_transform(self, linear, nodes) -> None:
        nodes[0].SetAndObserveTransformNodeID(linear(RIGID).GetID())
        roi = roi_from_box(moved(LOOSE, RIGID), "Liver")
        inputs = box_nodes.read_inputs(nodes[0], roi)
        mask = mask_on(GRID)
        there = type(mask)(mask.array, RIGID @ mask.ijk_to_ras)
        node, segment_id = box_nodes.show_segmented(inputs, SegmentResult(there, 1.0, {}, "cpu", "none"))
        assert node.GetParentTransformNode() is nodes[0].GetParentTransformNode()
        assert np.array_equal(segment_to_volume(node, segment_id, there.grid).array, mask.array)


class TestRefusals:
    def test_nothing_chosen(self, nodes) -> None:
        with pytest.raises(InputError, match="There is no image; choose one"):
            box_nodes.read_inputs(None, nodes[1])
        with pytest.raises(InputError, match="There is no ROI; choose one"):
            box_nodes.read_inputs(nodes[0], None)

    def test_outside(self, nodes) -> None:
        roi = roi_from_box(Box(CENTRE + [400, 0, 0], np.eye(3), [20, 20, 20]), "Far")
        with pytest.raises(InputError, match="Far: The box around RAS .* lies outside the image"):
            box_nodes.read_inputs(nodes[0], roi)

    def test_bent(self, nodes, bent) -> None:
        nodes[0].SetAndObserveTransformNodeID(bent.GetID())
        with pytest.raises(InputError, match="CT is under the non-linear transform Bent"):
            box_nodes.read_inputs(*nodes)

    def test_sheared(self, nodes, linear) -> None:
        nodes[1].SetAndObserveTransformNodeID(linear(matrix(shear=0.2)).GetID())
        with pytest.raises(InputError, match="Liver: The axes of the box are not at right angles"):
            box_nodes.read_inputs(*nodes)


class TestCropVolume:
    def test_the_module_s_parameters_have_image_and_roi(self, scene, nodes) -> None:
        node = box_nodes.crop_parameters(*nodes)
        assert node.IsA("vtkMRMLCropVolumeParametersNode")
        assert node.GetInputVolumeNode() is nodes[0] and node.GetROINode() is nodes[1]
        assert node.GetVoxelBased()
        place_roi(nodes[1], Box(CENTRE, matrix((0, 0, 20))[:3, :3], [20, 20, 20]))
        assert box_nodes.crop_parameters(*nodes) is node
        assert not node.GetVoxelBased()


def test_a_roi_of_micrometres_that_moved_by_one_is_elsewhere(scene) -> None:
    small = Box(np.array([0.02, 0.01, 0.0]), np.eye(3), np.full(3, 0.01))
    roi = roi_from_box(small, "Cell")
    assert box_nodes.is_box(roi, small)
    assert not box_nodes.is_box(roi, Box(small.center + [5e-5, 0, 0], small.axes, small.size))


def test_all_of_it_is_saved_with_the_scene(scene, nodes, corrector, tmp_path: Path) -> None:
    tightened(nodes, corrector)
    path = tmp_path / "scene.mrml"
    scene.SetURL(str(path))
    assert scene.Commit()
    text = path.read_text()
    for role in ("LooseBox", "SliceTable", "BoxSegmentation"):
        assert f"SparseToPrecise.{role}:" in text
