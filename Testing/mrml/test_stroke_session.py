"""Strokes one after another: queue, cancel, preview, list of edits, and what the user does meanwhile; without Qt."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from edit_cases import CENTRE, INFLUENCE, arc, grid_around

from SparseToPreciseLib.core.errors import Cancelled
from SparseToPreciseLib.core.progress import Progress
from SparseToPreciseLib.mrml.segmentations import new_segment, segment_to_volume, volume_to_segment
from SparseToPreciseLib.mrml.stroke_editing import Options
from SparseToPreciseLib.mrml.stroke_session import Session, volume_text
from stroke_cases import BALL, WARP, Bench, bench

GRID = grid_around((1.5, 1.5, 1.5))
ELSEWHERE = arc(120, 168) + 0.15 * (arc(120, 168) - CENTRE)
NODES = "vtkMRMLSegmentationNode"


class PatientWorker:
    """Runs a job when the test says so; its done() is called as the desktop's worker does, with `Cancelled` too."""

    def __init__(self) -> None:
        self.jobs = []

    def submit(self, function, done, stepped=None):
        job = _Job(function, done, stepped)
        self.jobs.append(job)
        return job

    def finish(self) -> None:
        """Run the oldest job and hand over its answer."""
        job = self.jobs.pop(0)
        try:
            result, error = job.function(Progress(job.stepped, lambda: job.cancelled)), None
        except BaseException as caught:
            result, error = None, caught
        if job.cancelled:
            result, error = None, Cancelled("cancelled")
        job.done(result, error)


class _Job:
    def __init__(self, function, done, stepped) -> None:
        self.function, self.done, self.stepped, self.cancelled = function, done, stepped, False

    def cancel(self) -> None:
        self.cancelled = True


class Desk(Bench):
    """A bench with a session on it."""

    def open(self) -> Desk:
        self.worker, self.changes, self.failures = PatientWorker(), [], []
        self.session = Session(self.effect, self.worker, lambda: self.changes.append(1), self.failures.append)
        self.histories = self.session.histories
        return self


@pytest.fixture
def desk(scene) -> Desk:
    return Desk(**vars(bench(scene, GRID))).open()


def numbers(desk) -> list[int]:
    return [edit.number for edit in desk.session.edits()]


def test_a_stroke_is_applied_when_its_answer_comes(desk) -> None:
    before, expected = desk.mask(), desk.expected()
    desk.session.draw(desk.case.stroke, WARP)
    assert desk.session.busy and desk.changes
    np.testing.assert_array_equal(desk.mask(), before)
    desk.worker.finish()
    assert not desk.session.busy
    np.testing.assert_array_equal(desk.mask(), expected)
    assert numbers(desk) == [1]
    changed = np.count_nonzero(before != expected)
    assert f"{changed} voxels changed" in desk.session.message and "Edit 1" in desk.session.message
    assert "mm³" in desk.session.message
    assert not desk.failures


def test_what_other_segments_lost_is_said(desk) -> None:
    other = new_segment(desk.segmentation, "shell")
    around = segment_to_volume(desk.segmentation, other, GRID)
    around.array[~desk.mask()] = 1
    volume_to_segment(around, desk.segmentation, other)
    added = np.count_nonzero(desk.expected() & ~desk.mask())
    desk.session.draw(desk.case.stroke, WARP)
    desk.worker.finish()
    assert f"{added} voxels of shell changed." in desk.session.message


def test_a_second_stroke_waits_and_sees_the_first_ones_result(desk) -> None:
    desk.session.draw(desk.case.stroke, WARP)
    desk.session.draw(ELSEWHERE, WARP)
    assert desk.session.waiting == 1 and len(desk.worker.jobs) == 1
    desk.worker.finish()
    assert desk.session.waiting == 0 and desk.session.busy
    expected = desk.expected(ELSEWHERE)
    desk.worker.finish()
    assert numbers(desk) == [1, 2]
    np.testing.assert_array_equal(desk.mask(), expected)


def test_cancelling_drops_the_running_edit_and_the_queue(desk) -> None:
    before = desk.mask()
    desk.session.draw(desk.case.stroke, WARP)
    desk.session.draw(ELSEWHERE, WARP)
    assert desk.session.cancel()
    assert not desk.session.busy and not desk.session.waiting
    assert "nothing was changed" in desk.session.message
    desk.worker.finish()
    np.testing.assert_array_equal(desk.mask(), before)
    assert not desk.worker.jobs and not desk.effect.logic.CanUndo()
    assert not desk.session.cancel()  # nothing left


def test_a_stroke_after_a_cancelled_one_is_not_disturbed_by_its_late_answer(desk) -> None:
    expected = desk.expected(ELSEWHERE)
    desk.session.draw(desk.case.stroke, WARP)
    desk.session.cancel()
    desk.session.draw(ELSEWHERE, WARP)
    desk.worker.finish()  # the cancelled one
    assert desk.session.busy
    desk.worker.finish()
    np.testing.assert_array_equal(desk.mask(), expected)
    assert not desk.session.busy


def test_a_bad_stroke_says_why_and_the_next_one_follows(desk) -> None:
    desk.session.draw(desk.case.stroke, WARP)
    desk.session.draw(desk.case.stroke + 500, WARP)
    desk.session.draw(ELSEWHERE, WARP)
    desk.worker.finish()
    assert desk.session.busy and desk.session.waiting == 0
    desk.worker.finish()
    assert numbers(desk) == [1, 2]
    desk.session.draw(desk.case.stroke + 500, WARP)
    assert "outside the image" in desk.session.message and not desk.session.busy
    assert not desk.failures


def test_an_error_while_computing_is_told_and_the_next_stroke_follows(desk) -> None:
    slicer.util.arrayFromVolume(desk.volume)[:, :, -8:] = np.nan  # near the stroke
    desk.session.draw(desk.case.stroke, WARP)
    desk.session.draw(ELSEWHERE, Options(4.0, model=WARP.model))
    desk.worker.finish()
    assert "NaN" in desk.session.message or desk.session.busy
    desk.worker.finish()
    assert numbers(desk) == [1]


def test_what_should_not_happen_is_reported_once_and_the_session_goes_on(desk, monkeypatch) -> None:
    before = desk.mask()
    desk.session.draw(desk.case.stroke, WARP)
    desk.worker.jobs[0].function = lambda progress: 1 / 0
    desk.worker.finish()
    assert [type(error) for error in desk.failures] == [ZeroDivisionError]
    assert "failed" in desk.session.message and not desk.session.busy
    np.testing.assert_array_equal(desk.mask(), before)
    desk.session.draw(desk.case.stroke, WARP)
    desk.worker.finish()
    assert numbers(desk) == [1]


def test_no_node_is_held_by_the_work_on_the_other_thread(desk) -> None:
    """The last reference to a removed node may go where the work ends; nodes must end on the main thread."""
    desk.session.draw(desk.case.stroke, WARP)
    function = desk.worker.jobs[0].function
    held = [*function.args, *(value for part in function.args for value in getattr(part, "__dict__", {}).values())]
    assert function.func.__closure__ is None
    assert not any(isinstance(one, slicer.vtkMRMLNode) for one in held)


def test_volumes_are_written_without_exponents() -> None:
    assert [volume_text(x) for x in (0.034, 3.456, 12.6, 1030.0, 1234567.0)] == [
        "0.034 mm³",
        "3.5 mm³",
        "13 mm³",
        "1030 mm³",
        "1234567 mm³",
    ]


class TestMeanwhile:
    def test_another_segment_is_selected(self, desk) -> None:
        other = new_segment(desk.segmentation, "other")
        before = desk.mask()
        desk.session.follow_selection()
        desk.session.draw(desk.case.stroke, WARP)
        desk.effect.logic.SetCurrentSegmentID(other)
        assert desk.session.follow_selection()
        assert not desk.session.busy and "dropped" in desk.session.message
        assert not desk.session.follow_selection()
        desk.worker.finish()
        np.testing.assert_array_equal(desk.mask(), before)
        assert not desk.mask(other).any()

    def test_another_segment_is_selected_and_nobody_has_told_the_session(self, desk) -> None:
        other = new_segment(desk.segmentation, "other")
        desk.session.draw(desk.case.stroke, WARP)
        desk.effect.logic.SetCurrentSegmentID(other)
        desk.worker.finish()
        assert "Another segment" in desk.session.message
        assert not desk.mask(other).any()

    def test_the_scene_is_closed(self, scene, desk) -> None:
        desk.session.draw(desk.case.stroke, WARP)
        scene.Clear(False)
        desk.worker.finish()
        assert "removed" in desk.session.message
        assert desk.session.edits() == [] and not desk.failures

    def test_undo_is_pressed(self, desk) -> None:
        before = desk.mask()
        desk.session.draw(desk.case.stroke, WARP)
        desk.worker.finish()
        desk.session.draw(desk.case.stroke + [-2.0, 0, 0], WARP)
        desk.effect.undo()
        desk.worker.finish()
        assert "was changed near the stroke" in desk.session.message
        np.testing.assert_array_equal(desk.mask(), before)


class TestPreview:
    def shown(self, scene):
        return [
            scene.GetNthNodeByClass(n, NODES)
            for n in range(scene.GetNumberOfNodesByClass(NODES))
            if scene.GetNthNodeByClass(n, NODES).GetHideFromEditors()
        ]

    def test_it_shows_what_would_be_and_changes_nothing(self, scene, desk, linear) -> None:
        shift = np.eye(4)
        shift[:3, 3] = (5, 6, 7)
        both = linear(shift)
        for node in (desk.volume, desk.segmentation):
            node.SetAndObserveTransformNodeID(both.GetID())
        stroke = desk.case.stroke + [5, 6, 7]
        before, expected = desk.mask(), desk.expected(stroke)
        desk.session.draw(stroke, WARP, preview=True)
        desk.worker.finish()
        np.testing.assert_array_equal(desk.mask(), before)
        (node,) = self.shown(scene)
        assert not node.GetSaveWithScene() and not node.GetDisplayNode().GetSaveWithScene()
        (segment_id,) = node.GetSegmentation().GetSegmentIDs()
        grid = segment_to_volume(desk.segmentation, BALL).grid
        np.testing.assert_array_equal(segment_to_volume(node, segment_id, grid).array != 0, expected)
        assert (
            node.GetSegmentation().GetSegment(segment_id).GetColor()
            != desk.segmentation.GetSegmentation().GetSegment(BALL).GetColor()
        )
        assert desk.session.preview is not None and not desk.effect.logic.CanUndo()

    def test_accepting_and_undoing(self, scene, desk) -> None:
        before, expected = desk.mask(), desk.expected()
        desk.session.draw(desk.case.stroke, WARP, preview=True)
        desk.worker.finish()
        desk.session.accept()
        np.testing.assert_array_equal(desk.mask(), expected)
        assert self.shown(scene) == [] and desk.session.preview is None
        desk.effect.undo()
        np.testing.assert_array_equal(desk.mask(), before)

    @pytest.mark.parametrize("how", ["reject", "cancel"])
    def test_leaving_it(self, scene, desk, how) -> None:
        before = desk.mask()
        desk.session.draw(desk.case.stroke, WARP, preview=True)
        desk.worker.finish()
        getattr(desk.session, how)()
        np.testing.assert_array_equal(desk.mask(), before)
        assert self.shown(scene) == [] and desk.session.preview is None
        desk.session.accept()  # nothing to accept
        np.testing.assert_array_equal(desk.mask(), before)

    def test_a_new_stroke_replaces_it(self, scene, desk) -> None:
        desk.session.draw(desk.case.stroke, WARP, preview=True)
        desk.worker.finish()
        desk.session.draw(ELSEWHERE, WARP, preview=True)
        assert self.shown(scene) == []
        expected = desk.expected(ELSEWHERE)
        desk.worker.finish()
        assert len(self.shown(scene)) == 1
        desk.session.accept()
        np.testing.assert_array_equal(desk.mask(), expected)

    def test_strokes_that_wait_go_on_after_the_decision(self, desk) -> None:
        desk.session.draw(desk.case.stroke, WARP, preview=True)
        desk.session.draw(ELSEWHERE, WARP, preview=True)
        desk.worker.finish()
        assert desk.session.preview is not None and desk.session.waiting == 1 and not desk.session.busy
        desk.session.accept()
        assert desk.session.busy
        desk.worker.finish()
        desk.session.accept()
        assert numbers(desk) == [1, 2]

    def test_the_segment_changes_while_it_is_shown(self, scene, desk) -> None:
        desk.session.draw(desk.case.stroke, WARP, preview=True)
        desk.worker.finish()
        desk.segmentation.GetSegmentation().RemoveSegment(BALL)
        desk.session.accept()
        assert "removed" in desk.session.message and self.shown(scene) == []

    def test_the_scene_is_closed_while_it_is_shown(self, scene, desk) -> None:
        desk.session.draw(desk.case.stroke, WARP, preview=True)
        desk.worker.finish()
        scene.Clear(False)
        desk.session.accept()
        desk.session.cancel()
        assert not desk.failures

    def test_it_is_not_saved(self, scene, desk, tmp_path) -> None:
        desk.session.draw(desk.case.stroke, WARP, preview=True)
        desk.worker.finish()
        scene.SetURL(str(tmp_path / "scene.mrml"))
        scene.Commit()
        assert "preview" not in (tmp_path / "scene.mrml").read_text()


class TestEdits:
    def test_reverting_one(self, desk) -> None:
        before = desk.mask()
        desk.session.draw(desk.case.stroke, WARP)
        desk.worker.finish()
        desk.session.draw(ELSEWHERE, WARP)
        desk.worker.finish()
        desk.session.revert(1)
        assert numbers(desk) == [2] and "Edit 1 was reverted" in desk.session.message
        desk.session.revert(2)
        np.testing.assert_array_equal(desk.mask(), before)
        desk.session.revert(2)
        assert "cannot be reverted" in desk.session.message

    def test_where_an_edit_is(self, desk, linear) -> None:
        desk.session.draw(desk.case.stroke, Options(INFLUENCE, model=WARP.model))
        desk.worker.finish()
        np.testing.assert_allclose(desk.session.place(1), desk.case.stroke[4])
        shift = np.eye(4)
        shift[:3, 3] = (5, 6, 7)
        desk.segmentation.SetAndObserveTransformNodeID(linear(shift).GetID())
        np.testing.assert_allclose(desk.session.place(1), desk.case.stroke[4] + [5, 6, 7])
        assert desk.session.place(2) is None

    def test_none_where_nothing_is_selected(self, desk) -> None:
        desk.effect.parameterSetNode().SetSelectedSegmentID("")
        assert desk.session.edits() == [] and desk.session.place(1) is None
