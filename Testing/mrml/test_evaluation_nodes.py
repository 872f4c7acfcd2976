"""Two CTs compared with the scene's nodes; maps in their colours; pairs of the scene to train on."""

from __future__ import annotations

import numpy as np
import pytest
from synthesis_cases import CENTRE, GRID, GRIDS, ball_on, ct_on, mr_on

from known_shape import matrix
from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.volume import Volume

pytest.importorskip("slicer")
pytest.importorskip("skimage")

from SparseToPreciseLib.mrml import evaluation_nodes as nodes
from SparseToPreciseLib.mrml import overlays
from SparseToPreciseLib.mrml.derived_volumes import new_like
from SparseToPreciseLib.mrml.segmentations import new_segment, volume_to_segment
from SparseToPreciseLib.mrml.training_pairs import pairs_of_scene, read_pair
from SparseToPreciseLib.mrml.volumes import volume_from_node, volume_to_node
from SparseToPreciseLib.synthesis.metrics import evaluate

RIGID = matrix((10, 40, -25), origin=(3, -20, 8))


def off_by(volume: Volume, hu: float) -> Volume:
    """A CT that is wrong by so much within the head, and right outside it."""
    head = ball_on(volume.grid).array > 0
    return volume.with_array(np.where(head, np.maximum(volume.array + hu, -1024), volume.array))


def compared(ct, reference, mask=None):
    inputs = nodes.read_inputs(ct, reference, mask)
    found = evaluate(inputs.ct, inputs.reference, inputs.mask)
    return nodes.show_evaluation(inputs, found, nodes.histograms(inputs.ct, found)), found


def cells(table) -> dict[str, str]:
    return {table.GetCellText(row, 0): table.GetCellText(row, 1) for row in range(table.GetNumberOfRows())}


class TestEvaluation:
    @pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
    def test_both_are_compared_where_they_lie_in_the_world(self, scene, linear, grid) -> None:
        """The CT under a transform, the reference on another grid in the place where the transform puts the CT."""
        made = off_by(ct_on(GRID), 50)
        ct = volume_to_node(made.with_array(made.array.astype(np.int16)), "Made")
        ct.SetAndObserveTransformNodeID(linear(RIGID).GetID())
        there = Volume(ct_on(grid).array, RIGID @ grid.ijk_to_ras)
        reference = volume_to_node(there, "True")
        table, found = compared(ct, reference)
        assert found.bias == pytest.approx(50, abs=12) and found.bone_dice > 0.6  # slices of 4 mm blur the skull
        error = nodes.error_of(table)
        assert error.GetTransformNodeID() == ct.GetTransformNodeID()
        shown = volume_from_node(error)
        assert shown.grid.same_as(volume_from_node(ct).grid) and np.array_equal(shown.array, found.error.array)
        middle = np.round(shown.grid.to_ijk(RIGID[:3, :3] @ CENTRE + RIGID[:3, 3])).astype(int)[::-1]
        assert shown.array[tuple(middle)] == pytest.approx(50, abs=10)

    def test_the_table_has_every_number(self, scene) -> None:
        ct, reference = volume_to_node(off_by(ct_on(GRID), 50), "Made"), volume_to_node(ct_on(GRID), "True")
        table, found = compared(ct, reference)
        assert table.GetName() == "Made against True" and table.GetLocked()
        told = cells(table)
        assert list(told) == [f"{name}, {unit}" if unit else name for name, _, unit in found.rows]
        assert float(told["MAE, HU"]) == pytest.approx(found.mae, abs=0.06)
        assert float(told["bone Dice"]) == pytest.approx(found.bone_dice, abs=0.001)
        assert "SSIM" in table.GetDescription() and nodes.compared(table) == (ct, reference)

    def test_within_a_segment_under_a_transform(self, scene, linear, segmentation) -> None:
        ct, reference = volume_to_node(off_by(ct_on(GRID), 50), "Made"), volume_to_node(ct_on(GRID), "True")
        half = ball_on(GRID)
        half.array[:, :, GRID.shape[2] // 2 :] = 0
        inverse = np.linalg.inv(RIGID)
        moved = Volume(half.array, inverse @ GRID.ijk_to_ras, "half")
        segment = new_segment(segmentation, "half")
        volume_to_segment(moved, segmentation, segment)
        segmentation.SetAndObserveTransformNodeID(linear(RIGID).GetID())
        table, found = compared(ct, reference, (segmentation, segment))
        assert found.voxels["mask"] == pytest.approx(half.array.sum(), rel=0.02)

    def test_the_histograms_are_those_of_the_compared_voxels(self, scene) -> None:
        ct, reference = volume_to_node(off_by(ct_on(GRID), 50), "Made"), volume_to_node(ct_on(GRID), "True")
        inputs = nodes.read_inputs(ct, reference)
        found = evaluate(inputs.ct, inputs.reference)
        shares = nodes.histograms(inputs.ct, found)
        assert shares.ct.sum() == pytest.approx(100) and shares.reference.sum() == pytest.approx(100)
        # The brain has 35 HU in truth, and is moved by two bins.
        assert shares.middles[shares.reference.argmax()] == pytest.approx(35, abs=nodes.BIN_HU)
        assert shares.ct.argmax() - shares.reference.argmax() == 2
        table, _ = compared(ct, reference)
        chart = nodes.chart_of(table)
        names = [chart.GetNthPlotSeriesNode(index).GetName() for index in range(2)]
        assert names == ["Made", "True"] and chart.GetYAxisLogScale()
        columns = chart.GetNthPlotSeriesNode(0).GetTableNode().GetTable()
        heights = [columns.GetValueByName(row, "ct").ToDouble() for row in range(columns.GetNumberOfRows())]
        assert min(heights) > 0 and sum(heights) == pytest.approx(100, abs=0.5)

    def test_the_error_is_shown_symmetrically_and_nothing_where_they_agree(self, scene) -> None:
        ct, reference = volume_to_node(off_by(ct_on(GRID), 120), "Made"), volume_to_node(ct_on(GRID), "True")
        table, _ = compared(ct, reference)
        display = nodes.error_of(table).GetDisplayNode()
        assert display.GetWindowLevelMin() == -display.GetWindowLevelMax() == -150
        lookup = display.GetColorNode().GetLookupTable()
        count = display.GetColorNode().GetNumberOfColors()
        (blue, middle, red) = (lookup.GetTableValue(index) for index in (0, count // 2, count - 1))
        assert blue[2] > blue[0] and red[0] > red[2]
        assert (blue[3], middle[3], red[3]) == (1, 0, 1)
        overlays.show_difference(nodes.error_of(table), 80)
        assert display.GetWindowLevelMax() == 80
        assert scene.GetNodesByName("Difference (blue to red)").GetNumberOfItems() == 1

    def test_refusals(self, scene, bent) -> None:
        ct, reference = volume_to_node(ct_on(GRID), "Made"), volume_to_node(ct_on(GRID), "True")
        wrong = ((None, reference, "no synthetic CT"), (ct, None, "no reference"), (ct, ct, "itself"))
        for one, other, sentence in wrong:
            with pytest.raises(InputError, match=sentence):
                nodes.read_inputs(one, other)
        inputs = nodes.read_inputs(ct, reference)
        found = evaluate(inputs.ct, inputs.reference)
        shares = nodes.histograms(inputs.ct, found)
        scene.RemoveNode(reference)
        before = scene.GetNumberOfNodes()
        with pytest.raises(InputError, match="removed"):
            nodes.show_evaluation(inputs, found, shares)
        assert scene.GetNumberOfNodes() == before
        ct.SetAndObserveTransformNodeID(bent.GetID())
        with pytest.raises(InputError, match="non-linear"):
            nodes.read_inputs(ct, volume_to_node(ct_on(GRID), "True"))


class TestUncertainty:
    def test_means_by_class_whatever_the_grids(self, scene, linear) -> None:
        transform = linear(RIGID)
        # On another grid the voxels of the skin and of the sinus' wall fall into either class.
        for grid, tolerance in ((GRID, 0.01), (GRIDS["oblique"], 12)):
            true = ct_on(GRID).array
            ct = volume_to_node(ct_on(GRID).with_array(np.where(ball_on(GRID).array > 0, true, -1024)), "CT")
            points = ct_on(grid).array
            values = np.select([points < -400, points > 250], [100.0, 60.0], 20.0).astype(np.float32)
            node = volume_to_node(Volume(values, grid.ijk_to_ras), "map")
            for one in (ct, node):
                one.SetAndObserveTransformNodeID(transform.GetID())
            means = overlays.means_by_class(node, ct)
            assert list(means) == ["air", "soft tissue", "bone"]
            assert [means["soft tissue"], means["bone"]] == pytest.approx([20, 60], abs=tolerance)
            assert means["air"] == pytest.approx(100, abs=3 * tolerance)
        empty = volume_to_node(ct_on(GRID).with_array(np.full(GRID.shape, -1024, np.int16)), "nothing")
        assert overlays.means_by_class(node, empty) == {}

    def test_how_it_is_shown(self, scene) -> None:
        node = volume_to_node(ct_on(GRID), "map")
        overlays.show_uncertainty(node, 150, 30, "Ocean")
        display = node.GetDisplayNode()
        assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (0, 150)
        assert display.GetApplyThreshold() and display.GetLowerThreshold() == 30
        assert display.GetColorNode().GetName() == "Ocean"
        overlays.show_uncertainty(node, 150, 0, "no such colours")
        assert display.GetColorNode().GetName() in overlays.UNCERTAINTY_COLORS
        assert 0 < display.GetLowerThreshold() < 1e-30

    def test_a_round_limit(self) -> None:
        assert overlays.round_limit(np.array([])) == 50
        assert overlays.round_limit(np.zeros(9)) == 50
        assert overlays.round_limit(np.linspace(-130, 130, 999)) == 150


class TestPairs:
    def test_mrs_get_the_ct_whose_name_begins_like_theirs(self, scene) -> None:
        first, second = (volume_to_node(mr_on(GRID), name) for name in ("Anna T1", "Bert T1"))
        one, two = (volume_to_node(ct_on(GRID), name) for name in ("Bert CT", "Anna CT"))
        assert pairs_of_scene() == [(first, two), (second, one)]

    def test_what_was_made_here_and_labelmaps_are_no_pairs(self, scene) -> None:
        mr, ct = volume_to_node(mr_on(GRID), "MR"), volume_to_node(ct_on(GRID), "CT")
        new_like(mr, ct_on(GRID).array, "MR CT")
        volume_to_node(ball_on(GRID), "labels", labelmap=True)
        scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
        assert pairs_of_scene() == [(mr, ct)]

    def test_no_ct_no_pairs_and_two_alike_leave_the_choice(self, scene) -> None:
        mr = volume_to_node(mr_on(GRID), "MR")
        assert pairs_of_scene() == []
        for name in ("one", "two"):
            volume_to_node(ct_on(GRID), name)
        assert pairs_of_scene() == [(mr, None)]

    def test_a_pair_is_read_in_the_world(self, scene, linear) -> None:
        mr, ct = volume_to_node(mr_on(GRID), "MR"), volume_to_node(ct_on(GRIDS["LAS"]), "CT")
        ct.SetAndObserveTransformNodeID(linear(RIGID).GetID())
        pair = read_pair(mr, ct)
        assert pair.image.grid.same_as(GRID)
        assert np.allclose(pair.labels.ijk_to_ras, RIGID @ GRIDS["LAS"].ijk_to_ras)

    def test_refusals(self, scene) -> None:
        mr, other = volume_to_node(mr_on(GRID), "MR"), volume_to_node(mr_on(GRID), "Other")
        for ct, sentence in ((None, "MR has no CT"), (other, "Other is no CT")):
            with pytest.raises(InputError, match=sentence):
                read_pair(mr, ct)
        scene.RemoveNode(other)
        with pytest.raises(InputError, match="removed"):
            read_pair(mr, other)
