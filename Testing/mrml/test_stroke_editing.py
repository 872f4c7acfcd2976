"""A stroke through the real segment editor logic: masks, overwriting, undo, reverting, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from edit_cases import CENTRE, INFLUENCE, RADIUS, arc, case_on, grid_around

from SparseToPreciseLib.core.errors import Cancelled, InputError
from SparseToPreciseLib.core.progress import Progress
from SparseToPreciseLib.core.volume import Volume
from SparseToPreciseLib.editing.model import ready_editor
from SparseToPreciseLib.mrml.segmentations import new_segment, volume_to_segment
from SparseToPreciseLib.mrml.stroke_editing import Options, apply, prepare, proposed, revert
from SparseToPreciseLib.mrml.volumes import array_to_matrix
from stroke_cases import BALL, WARP, Bench, bench

GRID = grid_around((1.5, 1.5, 1.5))
ELSEWHERE = arc(120, 168)
NODE = slicer.vtkMRMLSegmentationNode
EDITOR = slicer.vtkMRMLSegmentEditorNode


@pytest.fixture
def place(scene) -> Bench:
    return bench(scene, GRID)


@pytest.fixture
def two(scene) -> Bench:
    """Ball and a shell around it, sharing one labelmap; the dent belongs to the shell."""
    case = case_on(GRID)
    distance = np.linalg.norm(GRID.points_ras() - CENTRE, axis=-1)
    labels = np.where(case.before.array != 0, 1, np.where(distance < RADIUS + 4, 2, 0)).astype(np.uint8)
    return bench(scene, GRID, labels=Volume(labels, GRID.ijk_to_ras))


SHELL = "Segment_2"


def outward() -> np.ndarray:
    """A stroke that makes the ball grow at the dent and shrink beside it."""
    stroke = arc(-40, 40, 17)
    inward = np.linspace(0, 1, 17)[:, None] * (CENTRE - stroke) * 0.2
    return stroke + inward


class TestUndo:
    def test_one_step_takes_an_edit_back_and_one_brings_it_again(self, place) -> None:
        before = place.mask()
        place.draw()
        after = place.mask()
        place.effect.undo()
        np.testing.assert_array_equal(place.mask(), before)
        assert place.in_effect() == []
        place.effect.redo()
        np.testing.assert_array_equal(place.mask(), after)
        assert place.in_effect() == [1]

    def test_growing_and_shrinking_in_one_stroke_is_one_step(self, place) -> None:
        before = place.mask()
        place.draw(outward())
        after = place.mask()
        assert (after & ~before).any() and (before & ~after).any()
        place.effect.undo()
        np.testing.assert_array_equal(place.mask(), before)

    def test_an_edit_that_changes_nothing_leaves_no_step(self, place) -> None:
        volume_to_segment(place.case.truth, place.segmentation, BALL)
        tiny = arc(100, 103, 3)
        first = place.draw(tiny, Options(2.0, model=WARP.model))
        place.effect.logic.ClearUndoState()
        again = place.draw(tiny, Options(2.0, model=WARP.model))
        assert again.changed == 0 or first.changed == 0
        assert not place.effect.logic.CanUndo() or again.changed


class TestReverting:
    def test_one_of_two_edits(self, place) -> None:
        place.draw()
        only_first = place.mask()
        place.effect.undo()
        before = place.mask()
        bulge = ELSEWHERE + (ELSEWHERE - CENTRE) * 0.15
        place.draw(bulge)
        only_second = place.mask()
        assert (only_second != before).any()
        place.draw()
        assert place.in_effect() == [2, 3]
        reverted = revert(place.target, 2, place.histories)
        np.testing.assert_array_equal(place.mask(), only_first)
        assert reverted.changed == np.count_nonzero(only_second != before)
        assert place.in_effect() == [3]

    def test_reverting_can_be_undone_and_redone(self, place) -> None:
        before = place.mask()
        place.draw()
        after = place.mask()
        revert(place.target, 1, place.histories)
        np.testing.assert_array_equal(place.mask(), before)
        assert place.in_effect() == []
        place.effect.undo()
        np.testing.assert_array_equal(place.mask(), after)
        assert place.in_effect() == [1]
        place.effect.redo()
        np.testing.assert_array_equal(place.mask(), before)
        assert place.in_effect() == []

    def test_overlapping_edits_reverted_in_the_wrong_order_end_at_the_beginning(self, place) -> None:
        before = place.mask()
        place.draw()
        place.draw(place.case.stroke + [-3.0, 0, 0], Options(INFLUENCE, keep_earlier_edits=False, model=WARP.model))
        assert place.in_effect() == [1, 2]
        revert(place.target, 1, place.histories)
        revert(place.target, 2, place.histories)
        np.testing.assert_array_equal(place.mask(), before)

    def test_an_edit_that_is_not_shown(self, place) -> None:
        with pytest.raises(InputError, match="no edit 1"):
            revert(place.target, 1, place.histories)
        place.draw()
        place.effect.undo()
        with pytest.raises(InputError, match="Edit 1 cannot be reverted"):
            revert(place.target, 1, place.histories)

    def test_another_tool_inside_an_edit_is_kept(self, place) -> None:
        before = place.mask()
        place.draw()
        hole = np.argwhere(place.mask() & ~before)[:5]
        painted = place.mask()
        painted[tuple(hole.T)] = False
        volume_to_segment(Volume(painted, GRID.ijk_to_ras), place.segmentation, BALL)
        revert(place.target, 1, place.histories)
        np.testing.assert_array_equal(place.mask(), before)


class TestKeepingEarlierEdits:
    def test_earlier_strokes_reach_the_edit_unless_switched_off_or_undone(self, place) -> None:
        place.draw()
        near = place.case.stroke + [-2.0, 0, 2.0]
        kept = prepare(place.target, [near], WARP, place.histories)
        assert len(kept.earlier_strokes) == 1
        np.testing.assert_allclose(kept.earlier_strokes[0], place.case.stroke)
        off = Options(INFLUENCE, keep_earlier_edits=False, model=WARP.model)
        assert prepare(place.target, [near], off, place.histories).earlier_strokes == []
        place.effect.undo()
        assert prepare(place.target, [near], WARP, place.histories).earlier_strokes == []

    def test_they_change_the_result(self, place) -> None:
        place.draw()
        near = place.case.stroke + [-6.0, 0, 4.0]
        with_them = prepare(place.target, [near], WARP, place.histories).run().after.array
        off = Options(INFLUENCE, keep_earlier_edits=False, model=WARP.model)
        without = prepare(place.target, [near], off, place.histories).run().after.array
        assert (with_them != without).any()


class TestMasks:
    def only_above(self, place) -> tuple[str, np.ndarray]:
        """A segment above the ball's centre, inside which alone may be edited."""
        mask_id = new_segment(place.segmentation, "allowed")
        allowed = GRID.points_ras()[..., 2] > CENTRE[2]
        volume_to_segment(Volume(allowed, GRID.ijk_to_ras), place.segmentation, mask_id)
        place.parameters.SetOverwriteMode(EDITOR.OverwriteNone)
        place.parameters.SetMaskMode(NODE.EditAllowedInsideSingleSegment)
        place.parameters.SetMaskSegmentID(mask_id)
        return mask_id, allowed

    def test_only_inside_another_segment(self, place) -> None:
        """Nothing outside that segment changes, in neither direction."""
        mask_id, allowed = self.only_above(place)
        before, free = place.mask(), place.expected(outward())
        job = prepare(place.target, [outward()], WARP, place.histories)
        result = job.run()
        shown = proposed(place.target, job, result)
        applied = apply(place.target, job, result, place.histories)
        after = place.mask()
        np.testing.assert_array_equal(after, np.where(allowed, free, before))
        np.testing.assert_array_equal(shown, place.mask()[np.ix_(*_indices(job))])
        np.testing.assert_array_equal(place.mask(mask_id), allowed)
        assert applied.withheld == np.count_nonzero((free != before) & ~allowed)
        assert applied.changed == np.count_nonzero(after != before)

    def test_outside_all_other_segments(self, two) -> None:
        two.parameters.SetMaskMode(NODE.EditAllowedOutsideAllSegments)
        before, shell = two.mask(), two.mask(SHELL)
        applied = two.draw()
        np.testing.assert_array_equal(two.mask(SHELL), shell)
        np.testing.assert_array_equal(two.mask() & shell, np.zeros_like(shell))
        assert applied.withheld > 0
        assert applied.changed == np.count_nonzero(two.mask() != before)

    @pytest.mark.parametrize("masked_too", [False, True])
    def test_editable_intensity_range(self, place, masked_too) -> None:
        place.parameters.SetSourceVolumeIntensityMask(True)
        place.parameters.SetSourceVolumeIntensityMaskRange(90, 1000)
        allowed = (place.case.image.array >= 90) & (place.case.image.array <= 1000)
        if masked_too:
            allowed &= self.only_above(place)[1]
        before, free = place.mask(), place.expected(outward())
        applied = place.draw(outward())
        np.testing.assert_array_equal(place.mask(), np.where(allowed, free, before))
        assert applied.changed and applied.withheld

    def test_a_range_that_allows_nothing_changes_nothing_and_leaves_no_undo_step(self, place) -> None:
        place.parameters.SetSourceVolumeIntensityMask(True)
        place.parameters.SetSourceVolumeIntensityMaskRange(5000, 6000)
        before = place.mask()
        applied = place.draw()
        np.testing.assert_array_equal(place.mask(), before)
        assert applied.changed == 0 and applied.withheld > 0
        assert not place.effect.logic.CanUndo()
        assert place.in_effect() == []


class TestOtherSegments:
    def test_overwriting_takes_from_others_what_was_added_and_no_more(self, two) -> None:
        two.parameters.SetOverwriteMode(EDITOR.OverwriteAllSegments)
        ball, shell = two.mask(), two.mask(SHELL)
        outcome = two.draw()
        added = two.mask() & ~ball
        assert (added & shell).any()
        np.testing.assert_array_equal(two.mask(SHELL), shell & ~added)
        (met,) = outcome.others
        assert (met.before, met.changed, met.overlapped) == (shell.sum(), np.count_nonzero(added & shell), 0)

    def test_overwriting_none_lets_them_overlap(self, two) -> None:
        two.parameters.SetOverwriteMode(EDITOR.OverwriteNone)
        shell, expected = two.mask(SHELL), two.expected()
        (met,) = two.draw().others
        np.testing.assert_array_equal(two.mask(SHELL), shell)
        np.testing.assert_array_equal(two.mask(), expected)
        assert (met.changed, met.overlapped) == (0, np.count_nonzero(expected & shell))

    @pytest.mark.parametrize("visible", [True, False])
    def test_hidden_segments_are_not_touched_where_only_visible_ones_may_be(self, two, visible) -> None:
        two.parameters.SetOverwriteMode(EDITOR.OverwriteVisibleSegments)
        two.segmentation.GetDisplayNode().SetSegmentVisibility(SHELL, visible)
        ball, shell = two.mask(), two.mask(SHELL)
        two.draw()
        added = two.mask() & ~ball
        np.testing.assert_array_equal(two.mask(SHELL), shell & ~added if visible else shell)

    def test_a_later_edit_does_not_erase_others_under_old_voxels(self, two) -> None:
        """An overlap that was there before the edit stays, even with overwriting on."""
        two.parameters.SetOverwriteMode(EDITOR.OverwriteNone)
        two.draw()
        two.parameters.SetOverwriteMode(EDITOR.OverwriteAllSegments)
        ball, shell = two.mask(), two.mask(SHELL)
        assert (ball & shell).any()
        two.draw(ELSEWHERE + (ELSEWHERE - CENTRE) * 0.1)
        added = two.mask() & ~ball
        assert added.any()
        np.testing.assert_array_equal(two.mask(SHELL), shell & ~added)

    @pytest.mark.parametrize("mode", [EDITOR.OverwriteAllSegments, EDITOR.OverwriteNone])
    @pytest.mark.parametrize("labels", [(300, 2), (70000, 300), (5, 70000)])
    def test_label_values_above_255(self, scene, labels, mode) -> None:
        case = case_on(GRID)
        shell = np.linalg.norm(GRID.points_ras() - CENTRE, axis=-1) < RADIUS + 4
        array = np.where(case.before.array != 0, labels[0], shell * labels[1]).astype(np.int32)
        place = bench(scene, GRID, labels=Volume(array, GRID.ijk_to_ras))
        ball, other = (f"Segment_{label}" for label in labels)
        place.effect.select(place.segmentation, ball, place.volume)
        place.parameters.SetOverwriteMode(mode)
        expected = place.expected(segment=Volume((array == labels[0]).astype(np.uint8), GRID.ijk_to_ras))
        place.draw()
        np.testing.assert_array_equal(place.mask(ball), expected)
        taken = expected if mode == EDITOR.OverwriteAllSegments else np.zeros_like(expected)
        np.testing.assert_array_equal(place.mask(other), (array == labels[1]) & ~taken)

    def test_undo_gives_back_what_was_taken(self, two) -> None:
        shell = two.mask(SHELL)
        two.draw()
        assert (two.mask(SHELL) != shell).any()
        two.effect.undo()
        np.testing.assert_array_equal(two.mask(SHELL), shell)


class TestRefusals:
    def refused(self, place, match: str, stroke=None, options=WARP) -> None:
        with pytest.raises(InputError, match=match) as error:
            place.draw(stroke, options)
        assert "\n" not in str(error.value)
        assert not place.effect.logic.CanUndo()

    def test_nothing_selected(self, place) -> None:
        place.parameters.SetSelectedSegmentID("")
        self.refused(place, "No segment is selected")
        place.parameters.SetAndObserveSegmentationNode(None)
        self.refused(place, "No segmentation is selected")

    def test_no_source_volume(self, place) -> None:
        place.parameters.SetAndObserveSourceVolumeNode(None)
        self.refused(place, "No source volume")

    def test_a_hidden_segment(self, place) -> None:
        display = place.segmentation.GetDisplayNode()
        display.SetSegmentVisibility(BALL, False)
        self.refused(place, "Segment_1 is hidden|is hidden")
        display.SetSegmentVisibility(BALL, True)
        display.SetVisibility(False)
        self.refused(place, "is hidden")

    def test_an_empty_segment(self, place) -> None:
        place.parameters.SetSelectedSegmentID(new_segment(place.segmentation, "nothing yet"))
        self.refused(place, "nothing yet is empty; .*paint")

    def test_an_empty_segment_that_shares_a_labelmap(self, two) -> None:
        two.effect.select(two.segmentation, SHELL, two.volume)
        two.segmentation.GetSegmentation().ClearSegment(SHELL)
        self.refused(two, "empty")

    def test_a_boundary_out_of_reach(self, place) -> None:
        far = CENTRE + [[0, 0, z] for z in (-0.5, 0.5)]
        self.refused(place, "farther from the boundary", far, Options(2.0, model=WARP.model))

    def test_a_stroke_outside_the_image(self, place) -> None:
        self.refused(place, "outside the image", place.case.stroke + 500)

    def test_a_stroke_of_one_point(self, place) -> None:
        self.refused(place, "at least two", place.case.stroke[:1])

    def test_a_click(self, place) -> None:
        self.refused(place, "at least two", place.case.stroke[:1].repeat(4, axis=0))

    def test_a_bad_radius(self, place) -> None:
        self.refused(place, "positive number", options=Options(0.0))

    @pytest.mark.parametrize("which", ["volume", "segmentation"])
    def test_non_linear_transforms(self, place, bent, which) -> None:
        getattr(place, which).SetAndObserveTransformNodeID(bent.GetID())
        self.refused(place, "non-linear transform Bent")

    def test_not_a_number_near_the_stroke(self, place) -> None:
        slicer.util.arrayFromVolume(place.volume)[:] = np.nan
        self.refused(place, "NaN")

    def test_a_closed_surface_as_source(self, place) -> None:
        segmentation = place.segmentation.GetSegmentation()
        surface = slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()
        assert segmentation.CreateRepresentation(surface)
        segmentation.SetSourceRepresentationName(surface)
        self.refused(place, "binary labelmap the source representation")

    def test_an_unknown_model(self, place) -> None:
        self.refused(place, "no-such-model", options=Options(INFLUENCE, model="no-such-model"))


class TestWhatHappensMeanwhile:
    """Between the stroke and its answer the user may do anything; an answer out of date changes nothing."""

    @pytest.fixture
    def pending(self, place):
        job = prepare(place.target, [place.case.stroke], WARP, place.histories)
        return job, job.run()

    def late(self, place, pending, match: str) -> None:
        with pytest.raises(InputError, match=match):
            apply(place.target, *pending, place.histories)
        assert len(place.histories) == 0

    def test_the_node_is_removed(self, scene, place, pending) -> None:
        scene.RemoveNode(place.segmentation)
        self.late(place, pending, "was removed")

    def test_the_scene_is_closed(self, scene, place, pending) -> None:
        scene.Clear(False)
        self.late(place, pending, "was removed")

    def test_the_segment_is_removed(self, place, pending) -> None:
        place.segmentation.GetSegmentation().RemoveSegment(BALL)
        self.late(place, pending, "was removed")

    def test_another_segment_is_selected(self, two) -> None:
        job = prepare(two.target, [two.case.stroke], WARP, two.histories)
        before = two.mask(), two.mask(SHELL)
        two.effect.logic.SetCurrentSegmentID(SHELL)
        self.late(two, (job, job.run()), "Another segment")
        assert all((a == b).all() for a, b in zip(before, (two.mask(), two.mask(SHELL)), strict=True))

    def test_the_segment_is_painted_near_the_stroke(self, place, pending) -> None:
        painted = place.mask()
        k, j, i = np.round(GRID.to_ijk(place.case.stroke[4])).astype(int)[::-1]
        painted[k, j, i] ^= True
        volume_to_segment(Volume(painted, GRID.ijk_to_ras), place.segmentation, BALL)
        self.late(place, pending, "was changed")
        np.testing.assert_array_equal(place.mask(), painted)

    def test_painting_elsewhere_does_no_harm(self, scene) -> None:
        place = bench(scene, grid_around((1.5, 1.5, 1.5), half_mm=60))
        job = prepare(place.target, [place.case.stroke], WARP, place.histories)
        painted = place.mask()
        painted[:3, :3, :3] = True
        grid = place.case.before.grid
        volume_to_segment(Volume(painted, grid.ijk_to_ras), place.segmentation, BALL)
        assert apply(place.target, job, job.run(), place.histories).changed
        assert place.mask(grid=grid)[:3, :3, :3].all()

    def test_the_segmentation_is_moved(self, place, pending, linear) -> None:
        shift = np.eye(4)
        shift[0, 3] = 3
        place.segmentation.SetAndObserveTransformNodeID(linear(shift).GetID())
        self.late(place, pending, "was changed")

    def test_the_volume_goes_or_moves_after_the_copy(self, scene, place) -> None:
        """The stroke was drawn on the image as it was, and the answer is to that stroke."""
        expected = place.expected()
        job = prepare(place.target, [place.case.stroke], WARP, place.histories)
        slicer.util.arrayFromVolume(place.volume)[:] = 0
        place.volume.SetIJKToRASMatrix(array_to_matrix(np.eye(4)))
        result = job.run()
        scene.RemoveNode(place.volume)
        apply(place.target, job, result, place.histories)
        np.testing.assert_array_equal(place.mask(), expected)

    def test_cancelling_changes_nothing(self, place) -> None:
        before = place.mask()
        job = prepare(place.target, [place.case.stroke], WARP, place.histories)
        with pytest.raises(Cancelled):
            job.run(Progress(cancelled=lambda: True))
        np.testing.assert_array_equal(place.mask(), before)


class TestHistories:
    def test_they_go_with_segment_and_node(self, scene, two) -> None:
        two.draw()
        two.effect.logic.SetCurrentSegmentID(SHELL)
        two.draw(arc(60, 100) + 0.2 * (arc(60, 100) - CENTRE))
        assert len(two.histories) == 2
        two.segmentation.GetSegmentation().RemoveSegment(SHELL)
        two.histories.forget_what_is_gone()
        assert len(two.histories) == 1
        scene.RemoveNode(two.segmentation)
        two.histories.forget_what_is_gone()
        assert len(two.histories) == 0

    def test_a_new_node_of_the_same_id_has_none(self, scene, place) -> None:
        place.draw()
        old = place.segmentation.GetID()
        scene.Clear(False)
        fresh = bench(scene, GRID)
        assert fresh.segmentation.GetID() == old
        assert place.histories.in_effect(fresh.segmentation, BALL) == []

    def test_a_resampled_segment_begins_anew(self, scene, place) -> None:
        place.draw()
        coarse = grid_around((2.0, 2.0, 2.0))
        place.segmentation.GetSegmentation().ClearSegment(BALL)
        place.segmentation.GetSegmentation().SetConversionParameter(
            slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName(), ""
        )
        volume_to_segment(case_on(coarse).before, place.segmentation, BALL)
        assert place.in_effect() == []
        place.draw()
        assert place.in_effect() == [1]


def test_the_default_model_is_loaded_once() -> None:
    pytest.importorskip("torch")
    first = ready_editor("", "cpu")
    assert first.name == "editing" and ready_editor("", "cpu") is first
    assert ready_editor("editing", "cpu") is first, "by name it is the same"


def test_a_warp_that_stands_in_is_not_kept(monkeypatch) -> None:
    from SparseToPreciseLib.editing import model

    monkeypatch.setattr(model, "find_spec", lambda package: None)
    assert ready_editor("").name == "image-aware-warp"
    monkeypatch.undo()
    assert ready_editor("").name == "editing"


def _indices(job):
    """Indices of a job's box on the case's own grid, K, J, I."""
    return [np.arange(a, b) for a, b in zip(job.box.start[::-1], job.box.stop[::-1], strict=True)]
