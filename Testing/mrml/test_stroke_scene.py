"""Strokes that are markups correct segments of the scene: in place with undo, or as a new segment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import vtk
from edit_cases import CENTRE, INFLUENCE, RADIUS, Case, arc, case_on, distance_to_polyline, grid_around, rotation

from SparseToPreciseLib.core.errors import Cancelled, InputError
from SparseToPreciseLib.core.progress import Progress
from SparseToPreciseLib.core.volume import Grid, Volume
from SparseToPreciseLib.editing.edit import edit
from SparseToPreciseLib.mrml.edit_histories import EditHistories
from SparseToPreciseLib.mrml.labelmaps import segmentation_from_labelmap
from SparseToPreciseLib.mrml.markups import curves_of_scene, stroke_from_node, stroke_to_node
from SparseToPreciseLib.mrml.segment_undo import SegmentUndo
from SparseToPreciseLib.mrml.segmentations import new_segment, segment_to_volume, volume_to_segment
from SparseToPreciseLib.mrml.stroke_editing import Options, Outcome, apply, prepare
from SparseToPreciseLib.mrml.stroke_targets import SceneSegment
from SparseToPreciseLib.mrml.volumes import volume_from_node, volume_to_node

BALL = "Segment_1"
SPACING = (1.5, 1.5, 1.5)
WARP = Options(INFLUENCE, model="image-aware-warp")
GRIDS = {
    "axis-aligned": grid_around(SPACING, half_mm=27),
    "oblique": grid_around(SPACING, rotation((1, 2, 3), 35), half_mm=27),
    "flipped LAS": grid_around(SPACING, np.diag([-1.0, 1.0, 1.0]), half_mm=27),
    "anisotropic": grid_around((1.0, 1.5, 3.0), half_mm=27),
}


@dataclass
class Bench:
    """Nodes, histories and undo, as the module has them."""

    case: Case
    image: Any
    segmentation: Any
    histories: EditHistories = field(default_factory=EditHistories)
    undo: SegmentUndo = field(default_factory=SegmentUndo)

    def mask(self, segment_id: str = BALL) -> np.ndarray:
        return segment_to_volume(self.segmentation, segment_id).array.astype(bool)

    def job(self, *strokes, options: Options = WARP, segment_id: str = BALL):
        self.target = SceneSegment(self.image, self.segmentation, segment_id, self.undo)
        return prepare(self.target, strokes, options, self.histories)

    def draw(self, *strokes, options: Options = WARP) -> Outcome:
        job = self.job(*strokes, options=options)
        return apply(self.target, job, job.run(), self.histories)

    def expected(self, stroke) -> np.ndarray:
        """What the library makes of the whole volumes, read from the nodes."""
        whole = segment_to_volume(self.segmentation, BALL)
        result = edit(volume_from_node(self.image), whole, stroke_from_node(stroke), INFLUENCE)
        return result.segmentation.array.astype(bool)


def bench_on(grid: Grid, segmentation_grid: Grid | None = None) -> Bench:
    case = case_on(grid, segmentation_grid)
    return Bench(case, volume_to_node(case.image, "image"), segmentation_from_labelmap(case.before, "Organs"))


@pytest.fixture
def bench(scene) -> Bench:
    return bench_on(GRIDS["axis-aligned"])


@pytest.fixture
def stroke(bench):
    return stroke_to_node(bench.case.stroke, "Stroke")


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
def test_in_place_is_what_the_library_gives(scene, grid: Grid) -> None:
    bench = bench_on(grid)
    stroke = stroke_to_node(bench.case.stroke, "Stroke")
    before, expected = bench.mask(), bench.expected(stroke)
    outcome = bench.draw(stroke)
    np.testing.assert_array_equal(bench.mask(), expected)
    assert outcome.segment_id == BALL and outcome.changed == np.count_nonzero(before != expected) > 0
    (row,) = outcome.rows
    assert (row.name, row.changed_near, row.changed_far) == ("Stroke", outcome.changed, 0)
    voxel = grid.voxel_volume_mm3
    assert row.volume_before_mm3 == pytest.approx(before.sum() * voxel)
    assert row.volume_after_mm3 == pytest.approx(expected.sum() * voxel)
    places = grid.points_ras()[before != expected]
    assert distance_to_polyline(places, bench.case.stroke).max() < INFLUENCE


def test_undo_and_redo(bench: Bench, stroke) -> None:
    before = bench.mask()
    assert not bench.undo.can_undo(bench.segmentation)
    bench.draw(stroke)
    after = bench.mask()
    assert bench.undo.can_undo(bench.segmentation) and not bench.undo.can_redo(bench.segmentation)
    bench.undo.undo(bench.segmentation)
    np.testing.assert_array_equal(bench.mask(), before)
    assert not bench.undo.can_undo(bench.segmentation) and bench.undo.can_redo(bench.segmentation)
    bench.undo.redo(bench.segmentation)
    np.testing.assert_array_equal(bench.mask(), after)
    with pytest.raises(InputError, match="nothing to redo"):
        bench.undo.redo(bench.segmentation)


def test_one_step_of_undo_for_each_apply(bench: Bench, stroke) -> None:
    other = stroke_to_node(CENTRE + (stroke_from_node(stroke) - CENTRE) * [-1, 1, 1] * 1.1, "Other side")
    states = [bench.mask()]
    for one in (stroke, other):
        bench.draw(one)
        states.append(bench.mask())
    assert not np.array_equal(states[1], states[2])
    for state in (states[1], states[0]):
        bench.undo.undo(bench.segmentation)
        np.testing.assert_array_equal(bench.mask(), state)
    for state in (states[1], states[2]):
        bench.undo.redo(bench.segmentation)
        np.testing.assert_array_equal(bench.mask(), state)


def paint(bench: Bench, segment_id: str) -> Volume:
    """What another tool does meanwhile."""
    painted = segment_to_volume(bench.segmentation, segment_id, bench.case.image.grid)
    painted.array[:3, :3, :3] = 1
    volume_to_segment(painted, bench.segmentation, segment_id)
    return painted


@pytest.mark.parametrize("where", ["same segment", "other segment", "new segment"])
def test_undo_never_takes_away_what_another_tool_did(bench: Bench, stroke, where: str) -> None:
    other = new_segment(bench.segmentation, "other")
    bench.draw(stroke)
    paint(bench, BALL if where == "same segment" else other if where == "other segment" else painted_new(bench))
    now = bench.mask()
    with pytest.raises(InputError, match="another tool"):
        bench.undo.undo(bench.segmentation)
    np.testing.assert_array_equal(bench.mask(), now)
    # The next apply can be undone, and no further.
    bench.draw(stroke_to_node(CENTRE + (bench.case.stroke - CENTRE) * [-1, 1, 1] * 1.1))
    bench.undo.undo(bench.segmentation)
    np.testing.assert_array_equal(bench.mask(), now)
    assert not bench.undo.can_undo(bench.segmentation)


def painted_new(bench: Bench) -> str:
    return new_segment(bench.segmentation, "newer")


def test_undo_forgets_a_removed_segmentation(bench: Bench, stroke, scene) -> None:
    bench.draw(stroke)
    scene.RemoveNode(bench.segmentation)
    assert not bench.undo.can_undo(bench.segmentation) and not bench.undo.can_undo(None)


def test_a_new_segment_beside_the_old_one(bench: Bench, stroke) -> None:
    segment = bench.segmentation.GetSegmentation().GetSegment(BALL)
    segment.SetName("kidney")
    segment.SetTag(segment.GetTerminologyEntryTagName(), "a~terminology~of~seven~parts~|~|")
    before, expected = bench.mask(), bench.expected(stroke)
    options = Options(INFLUENCE, model="image-aware-warp", new_segment=True)
    first, second = bench.draw(stroke, options=options), bench.draw(stroke, options=options)
    np.testing.assert_array_equal(bench.mask(), before)
    np.testing.assert_array_equal(bench.mask(first.segment_id), expected)
    named = [bench.segmentation.GetSegmentation().GetSegment(one.segment_id) for one in (first, second)]
    assert [one.GetName() for one in named] == ["kidney edited", "kidney edited 2"]
    entry = vtk.reference("")
    assert named[0].GetTag(segment.GetTerminologyEntryTagName(), entry) and str(entry).startswith("a~terminology")
    assert named[0].GetColor() != segment.GetColor()
    bench.undo.undo(bench.segmentation)
    bench.undo.undo(bench.segmentation)
    assert list(bench.segmentation.GetSegmentation().GetSegmentIDs()) == [BALL]
    np.testing.assert_array_equal(bench.mask(), before)


@pytest.mark.parametrize("new", [False, True])
@pytest.mark.parametrize("label", [300, 70000])
def test_a_label_value_above_255(bench: Bench, stroke, label: int, new: bool) -> None:
    labels = bench.case.before.array.astype(np.int32) * label
    bench.segmentation = segmentation_from_labelmap(bench.case.before.with_array(labels), "Organs")
    name = f"Segment_{label}"
    whole = segment_to_volume(bench.segmentation, name)
    expected = edit(volume_from_node(bench.image), whole, stroke_from_node(stroke), INFLUENCE).segmentation
    job = bench.job(stroke, options=Options(INFLUENCE, model=WARP.model, new_segment=new), segment_id=name)
    outcome = apply(bench.target, job, job.run(), bench.histories)
    np.testing.assert_array_equal(bench.mask(outcome.segment_id), expected.array)


def test_a_finer_segment_stays_as_fine_in_its_copy(scene) -> None:
    """The segmentation's geometry is the coarse image's, the segment was drawn on half the voxel size."""
    coarse, fine = GRIDS["axis-aligned"], grid_around((0.75,) * 3, half_mm=27)
    bench = bench_on(coarse, fine)
    bench.segmentation.SetReferenceImageGeometryParameterFromVolumeNode(bench.image)
    stroke = stroke_to_node(bench.case.stroke)
    before = bench.mask()
    expected = bench.expected(stroke)
    outcome = bench.draw(stroke, options=Options(INFLUENCE, model="image-aware-warp", new_segment=True))
    np.testing.assert_array_equal(bench.mask(), before)
    after = segment_to_volume(bench.segmentation, outcome.segment_id)
    assert after.spacing == pytest.approx([0.75] * 3)
    np.testing.assert_array_equal(after.array.astype(bool), expected)


def test_other_segments_stay(bench: Bench, stroke) -> None:
    other = new_segment(bench.segmentation, "other")
    around = segment_to_volume(bench.segmentation, other, bench.case.image.grid)
    around.array[~bench.mask()] = 1
    volume_to_segment(around, bench.segmentation, other)
    before, ball = bench.mask(other), bench.mask()
    outcome = bench.draw(stroke)
    assert outcome.changed > 0
    np.testing.assert_array_equal(bench.mask(other), before)
    (met,) = outcome.others
    added = np.count_nonzero(bench.mask() & ~ball)
    assert (met.name, met.before, met.changed, met.overlapped) == ("other", before.sum(), 0, added)


@pytest.mark.parametrize("protect", ["all", "other"])
@pytest.mark.parametrize("new", [False, True])
def test_a_protected_segment_is_not_grown_into(bench: Bench, stroke, protect: str, new: bool) -> None:
    """Half of what the stroke asks for belongs to another segment."""
    expected, ball = bench.expected(stroke), bench.mask()
    other = new_segment(bench.segmentation, "other")
    half = segment_to_volume(bench.segmentation, other, bench.case.image.grid)
    half.array[: half.shape[0] // 2] = ~ball[: half.shape[0] // 2]
    volume_to_segment(half, bench.segmentation, other)
    options = Options(INFLUENCE, model=WARP.model, new_segment=new, protect=[protect])
    outcome = bench.draw(stroke, options=options)
    held = bench.mask(other)
    np.testing.assert_array_equal(held, half.array != 0)
    np.testing.assert_array_equal(bench.mask(outcome.segment_id), np.where(held, ball, expected))
    assert "because they are protected" in " ".join(outcome.rows[0].notes) and outcome.changed > 0
    assert all(one.segment_id != other for one in outcome.others)


def test_the_edited_segment_cannot_be_protected(bench: Bench, stroke) -> None:
    with pytest.raises(InputError, match="is the segment to correct and cannot be protected"):
        bench.job(stroke, options=Options(INFLUENCE, protect=[BALL]))


@pytest.mark.parametrize("moved", ["image", "segmentation", "stroke", "all", "apart"])
def test_linear_transforms_on_any_node(bench: Bench, stroke, linear, moved: str) -> None:
    """The nodes are shifted in their own coordinates and back by their transforms: the world stays as it was."""
    expected = bench.expected(stroke)
    turn = np.eye(4)
    turn[:3, :3] = rotation((2, -1, 1), 40)
    turn[:3, 3] = (12, -7, 30)
    nodes = {"image": bench.image, "segmentation": bench.segmentation, "stroke": stroke}
    for number, (name, node) in enumerate(nodes.items()):
        if moved in (name, "all", "apart"):
            matrix = turn if moved != "apart" else np.linalg.matrix_power(turn, number + 1)
            node.ApplyTransformMatrix(linear(np.linalg.inv(matrix)).GetMatrixTransformToParent())
            node.SetAndObserveTransformNodeID(linear(matrix).GetID())
    assert bench.draw(stroke).changed > 0
    assert np.count_nonzero(bench.mask() != expected) <= 0.001 * expected.sum()


@pytest.mark.parametrize("which", ["image", "segmentation"])
def test_a_non_linear_transform_is_refused(bench: Bench, stroke, bent, which: str) -> None:
    getattr(bench, which).SetAndObserveTransformNodeID(bent.GetID())
    with pytest.raises(InputError, match="non-linear transform Bent"):
        bench.job(stroke)


def test_a_stroke_under_any_transform_lies_where_it_is_shown(bench: Bench, stroke, bent) -> None:
    stroke.SetAndObserveTransformNodeID(bent.GetID())
    np.testing.assert_allclose(bench.job(stroke).strokes[0].points, stroke_from_node(stroke))


def test_a_cropped_segment_grows_beyond_its_extent(scene) -> None:
    grid = GRIDS["axis-aligned"]
    case = case_on(grid)
    box = [np.flatnonzero(case.before.array.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    tight = case.before.cropped(tuple(slice(int(b[0]), int(b[-1]) + 1) for b in box))
    bench = Bench(case, volume_to_node(case.image, "image"), segmentation_from_labelmap(tight, "Organs"))
    stroke = stroke_to_node(CENTRE + (arc() - CENTRE) * (RADIUS + 3) / RADIUS)
    whole = edit(case.image, case.before, stroke_from_node(stroke), INFLUENCE).segmentation
    beyond = [~np.isin(np.arange(size), used) for size, used in zip(grid.shape, box, strict=True)]
    assert whole.array[:, :, beyond[2]].any()
    bench.draw(stroke)
    np.testing.assert_array_equal(segment_to_volume(bench.segmentation, BALL, grid).array, whole.array)


def test_the_radius_is_chosen_where_none_is_given(bench: Bench, stroke) -> None:
    (row,) = bench.draw(stroke, options=Options(None, model="image-aware-warp")).rows
    assert row.influence_radius_mm > 3 and row.changed_near > 0


def test_a_series_in_order_and_a_bad_stroke_loses_no_other(bench: Bench, stroke, scene) -> None:
    lonely = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Lonely")
    lonely.AddControlPoint(*CENTRE)
    far = stroke_to_node(bench.case.stroke + 500, "Far")
    plane = scene.AddNewNodeByClass("vtkMRMLMarkupsPlaneNode", "Plane")
    other = stroke_to_node(CENTRE + (bench.case.stroke - CENTRE) * [-1, 1, 1] * 1.1, "Other side")
    outcome = bench.draw(plane, lonely, stroke, far, other)
    assert [row.name for row in outcome.rows] == ["Plane", "Lonely", "Stroke", "Far", "Other side"]
    assert [row.refused for row in outcome.rows] == [True, True, False, True, False]
    said = [row.notes[0] for row in outcome.rows if row.refused]
    assert ["markup of type" in said[0], "1 point" in said[1], "outside the image" in said[2]] == [True] * 3
    after = bench.mask()
    bench.undo.undo(bench.segmentation)
    for one in (stroke, other):  # one by one gives the same
        bench.draw(one)
    np.testing.assert_array_equal(bench.mask(), after)


def test_nothing_is_written_when_all_strokes_are_refused(bench: Bench) -> None:
    before = bench.mask()
    outcome = bench.draw(stroke_to_node(bench.case.stroke + 500))
    assert outcome.changed == 0 and outcome.rows[0].refused
    assert not bench.undo.can_undo(bench.segmentation)
    np.testing.assert_array_equal(bench.mask(), before)


def test_an_earlier_apply_is_kept_and_forgotten_after_undo(bench: Bench, stroke) -> None:
    bench.draw(stroke)
    assert len(bench.job(stroke).earlier_strokes) == 1
    np.testing.assert_allclose(bench.job(stroke).earlier_strokes[0], stroke_from_node(stroke), atol=1e-6)
    free = Options(INFLUENCE, keep_earlier_edits=False, model="image-aware-warp")
    assert bench.job(stroke, options=free).earlier_strokes == []
    bench.undo.undo(bench.segmentation)
    assert bench.job(stroke).earlier_strokes == []
    bench.undo.redo(bench.segmentation)
    assert len(bench.job(stroke).earlier_strokes) == 1


def test_an_earlier_apply_is_protected(bench: Bench, stroke) -> None:
    """A second stroke that dents the ball beside the first one gives up what the first protects."""
    bench.draw(stroke)
    beside = stroke_to_node(CENTRE + (arc(10, 50) - CENTRE) * 0.75)
    mended = bench.mask()
    kept = bench.draw(beside)
    bench.undo.undo(bench.segmentation)
    free = bench.draw(beside, options=Options(INFLUENCE, keep_earlier_edits=False, model="image-aware-warp"))
    near = distance_to_polyline(bench.case.image.grid.points_ras().reshape(-1, 3), bench.case.stroke) < 2
    lost_free = np.count_nonzero((mended != bench.mask()).ravel() & near)
    assert kept.changed < free.changed and lost_free > 0


@pytest.mark.parametrize("what", ["painted", "moved", "segment removed", "node removed"])
def test_a_change_meanwhile_is_refused(bench: Bench, stroke, linear, scene, what: str) -> None:
    job = bench.job(stroke)
    series = job.run()
    if what == "painted":
        paint(bench, BALL)
    elif what == "moved":
        bench.segmentation.SetAndObserveTransformNodeID(linear(np.diag([1, 1, 1.1, 1])).GetID())
    elif what == "segment removed":
        bench.segmentation.GetSegmentation().RemoveSegment(BALL)
    else:
        scene.RemoveNode(bench.segmentation)
    with pytest.raises(InputError, match="nothing was changed"):
        apply(bench.target, job, series, bench.histories)
    assert not bench.undo.can_undo(bench.segmentation)


def test_the_copy_does_not_see_later_changes(bench: Bench, stroke) -> None:
    expected = bench.expected(stroke)
    job = bench.job(stroke)
    volume_from_node(bench.image, copy=False).array[:] = 0
    stroke.RemoveAllControlPoints()
    np.testing.assert_array_equal(job.run().after.array.astype(bool), expected)


def test_cancel(bench: Bench, stroke) -> None:
    job = bench.job(stroke)
    with pytest.raises(Cancelled):
        job.run(Progress(cancelled=lambda: True))


def test_what_is_missing_is_said(bench: Bench, stroke) -> None:
    empty = new_segment(bench.segmentation, "empty")
    for change, said in (
        ({"image": None}, "No image"),
        ({"segmentation": None}, "No segmentation"),
        ({"strokes": ()}, "no stroke"),
        ({"segment": empty}, "is empty"),
        ({"segment": "gone"}, "has no segment gone"),
    ):
        given = {"image": bench.image, "segmentation": bench.segmentation, "segment": BALL, "strokes": (stroke,)}
        given |= change
        strokes = given.pop("strokes")
        with pytest.raises(InputError, match=said):
            prepare(SceneSegment(**given, undo=bench.undo), strokes, WARP, bench.histories)


def test_the_curves_of_the_scene_in_order_without_the_hidden(scene) -> None:
    names = ["b", "a", "hidden", "closed", "not for editors", "points"]
    classes = ["Curve", "Curve", "Curve", "ClosedCurve", "Curve", "Fiducial"]
    nodes = [scene.AddNewNodeByClass(f"vtkMRMLMarkups{c}Node", n) for c, n in zip(classes, names, strict=True)]
    for node in nodes:
        node.CreateDefaultDisplayNodes()
    nodes[2].SetDisplayVisibility(False)
    nodes[4].SetHideFromEditors(True)
    assert [node.GetName() for node in curves_of_scene()] == ["b", "a", "closed"]
