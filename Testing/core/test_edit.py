"""`edit`: what it does, what it refuses, what it keeps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from edit_cases import CENTRE, DENT, INFLUENCE, RADIUS, Case, arc, case_on, distance_to_polyline, grid_around, rotation

from SparseToPreciseLib.core.errors import Cancelled, InputError
from SparseToPreciseLib.core.masks import dice
from SparseToPreciseLib.core.progress import Progress
from SparseToPreciseLib.core.volume import Grid, Volume
from SparseToPreciseLib.editing.edit import edit
from SparseToPreciseLib.editing.editors import IMAGE_AWARE_WARP, WARPS, Warp
from SparseToPreciseLib.editing.influence import default_influence_radius
from SparseToPreciseLib.editing.working_grid import signed_distance
from SparseToPreciseLib.editing.zone import PROTECTED_SHARE

EVERYTHING = Warp("everything", lambda case: np.full_like(case.image, 1e6))
NOTHING = Warp("nothing", lambda case: np.full_like(case.image, -1e6))


@pytest.fixture(scope="module")
def case() -> Case:
    return case_on(grid_around())


def distances(volume: Volume, stroke: np.ndarray) -> np.ndarray:
    return distance_to_polyline(volume.grid.points_ras().reshape(-1, 3), stroke).reshape(volume.shape)


@pytest.mark.parametrize("name", WARPS)
def test_the_dent_is_mended_and_the_counts_are_right(case: Case, name: str) -> None:
    result = edit(case.image, case.before, case.stroke, INFLUENCE, editor=WARPS[name])
    before, after, truth = (volume.array != 0 for volume in (case.before, result.segmentation, case.truth))
    wrong_before, wrong_after = np.count_nonzero(before != truth), np.count_nonzero(after != truth)
    assert wrong_after < (0.2 if name == "image-aware-warp" else 0.7) * wrong_before
    changed = before != after
    assert result.changed_inside == np.count_nonzero(changed) > 0
    assert result.changed_outside == 0
    assert not changed[distances(case.before, case.stroke) > INFLUENCE].any()
    voxel = case.before.grid.voxel_volume_mm3
    assert result.changed_mm3 == pytest.approx(result.changed_inside * voxel)
    assert result.volume_before_mm3 == pytest.approx(np.count_nonzero(before) * voxel)
    assert result.volume_after_mm3 == pytest.approx(np.count_nonzero(after) * voxel)
    region = np.zeros(before.shape, dtype=bool)
    region[result.region] = True
    assert not changed[~region].any()
    assert result.segmentation.array.dtype == np.uint8 and set(np.unique(result.segmentation.array)) == {0, 1}
    assert result.segmentation.grid.same_as(case.before.grid) and result.segmentation.name == "ball"
    assert (result.editor, result.device, result.notes) == (name, "cpu", [])
    assert set(result.timings) == {"prepare", "editor", "apply"} and all(t > 0 for t in result.timings.values())


def test_the_inputs_are_not_changed(case: Case) -> None:
    arrays = [volume.array.copy() for volume in (case.image, case.before)]
    stroke = case.stroke.copy()
    edit(case.image, case.before, case.stroke, INFLUENCE)
    assert np.array_equal(arrays[0], case.image.array) and np.array_equal(arrays[1], case.before.array)
    assert np.array_equal(stroke, case.stroke)


def test_a_boundary_that_runs_along_the_stroke_already_stays_and_says_so(case: Case) -> None:
    result = edit(case.image, case.truth, arc(90, 130), 6.0, editor=WARPS["signed-distance-warp"])
    zone = distances(case.truth, arc(90, 130)) < 6.0
    changed = np.count_nonzero(result.segmentation.array != case.truth.array)
    assert changed < 0.02 * np.count_nonzero(zone)  # half a voxel of the stroke's chord
    same = Warp("same", lambda case: case.signed_distance)
    assert edit(case.image, case.truth, case.stroke, 6.0, editor=same).notes == [
        "No voxel changed: the boundary already runs along the stroke, or the influence radius is small."
    ]


@pytest.mark.parametrize("spacing", [(1, 1, 1), (0.4, 0.4, 0.4), (0.6, 0.6, 3.0), (2.5, 2.5, 2.5)])
def test_an_editor_that_changes_nothing_changes_no_voxel(spacing) -> None:
    """The old boundary survives the way to the working grid and back, coarser or finer."""
    case = case_on(grid_around(spacing, rotation((1, 2, 0), 20), half_mm=30))
    same = Warp("same", lambda case: case.signed_distance)
    result = edit(case.image, case.before, case.stroke, INFLUENCE, editor=same)
    assert np.array_equal(result.segmentation.array, case.before.array)


@pytest.mark.parametrize("editor", [EVERYTHING, NOTHING], ids=lambda editor: editor.name)
def test_within_the_radius_every_voxel_can_change_and_beyond_none(case: Case, editor: Warp) -> None:
    result = edit(case.image, case.before, case.stroke, INFLUENCE, editor=editor)
    away = distances(case.before, case.stroke)
    after = result.segmentation.array
    assert (after[away < INFLUENCE - 0.1] == (editor is EVERYTHING)).all()
    assert np.array_equal(after[away > INFLUENCE], case.before.array[away > INFLUENCE])


def test_new_islands_and_holes_that_hang_on_nothing_are_undone(case: Case) -> None:
    """An editor that also fills a far corner of the zone and empties a spot within the object."""

    def speckled(working) -> np.ndarray:
        phi = IMAGE_AWARE_WARP(working).copy()
        ring = (working.distance > 0.7 * working.radius) & (working.distance < 0.85 * working.radius)
        for sign in (1, -1):
            deep = np.argwhere(ring & (sign * phi > 4) & (sign * working.signed_distance > 4))
            k, j, i = deep[len(deep) // 2]
            phi[k - 1 : k + 2, j - 1 : j + 2, i - 1 : i + 2] = -20.0 * sign
        return phi

    plain = edit(case.image, case.before, case.stroke, INFLUENCE)
    spotted = edit(case.image, case.before, case.stroke, INFLUENCE, editor=Warp("speckled", speckled))
    assert np.array_equal(spotted.segmentation.array, plain.segmentation.array)


def test_a_long_stroke_is_worked_on_in_pieces_with_one_result(case: Case) -> None:
    seen: list[tuple[int, ...]] = []

    def remembering(working):
        seen.append(working.image.shape)
        return IMAGE_AWARE_WARP(working)

    stroke = arc(-120, 120, 40)
    result = edit(case.image, case.truth, stroke, 5.0, editor=Warp("remembering", remembering))
    assert len(seen) >= 3
    assert max(max(shape) for shape in seen) <= 160
    assert dice(result.segmentation.array, case.truth.array) > 0.99
    assert not (result.segmentation.array != case.truth.array)[distances(case.truth, stroke) > 5.0].any()


class TestStorage:
    """The same anatomy and stroke on other grids give the same answer."""

    REFERENCE = case_on(grid_around())
    OBLIQUE = rotation((1, 2, 3), 33)

    @pytest.fixture(scope="class")
    @classmethod
    def expected(cls) -> Volume:
        case = cls.REFERENCE
        return edit(case.image, case.before, case.stroke, INFLUENCE).segmentation

    @classmethod
    def compared(cls, there: Volume, expected: Volume) -> tuple[float, float]:
        """Dice of the whole, and of what fills the dent, on the reference's grid."""
        # Through the signed distance: what a mask says between its voxel centres.
        distance = there.with_array(signed_distance(there.array != 0, there.grid.spacing_kji))
        there_mask = distance.resampled_to(expected.grid).array > 0
        dent = (cls.REFERENCE.truth.array != 0) & (cls.REFERENCE.before.array == 0)
        return dice(there_mask, expected.array), dice(there_mask & dent, (expected.array != 0) & dent)

    @pytest.mark.parametrize(
        "grid",
        [
            grid_around(axes=OBLIQUE),
            grid_around(axes=np.diag([-1.0, -1.0, 1.0])),
            grid_around(axes=np.eye(3)[[2, 0, 1]]),
            grid_around((0.5, 0.5, 0.5)),
            grid_around((0.5, 0.5, 2.5)),
            grid_around((0.5, 0.5, 2.5), OBLIQUE),
        ],
        ids=["oblique", "flipped", "permuted", "fine", "1:1:5", "oblique 1:1:5"],
    )
    def test_on_other_grids(self, expected: Volume, grid: Grid) -> None:
        case = case_on(grid)
        answer = edit(case.image, case.before, case.stroke, INFLUENCE).segmentation
        whole, dent = self.compared(answer, expected)
        assert whole >= 0.98
        assert dent >= 0.95

    def test_on_slices_that_are_too_thick_for_the_object(self, expected: Volume) -> None:
        """5 mm slices show the dent in three of them: the masks themselves agree with the reference no better."""
        case = case_on(grid_around((1.0, 1.0, 5.0)))
        answer = edit(case.image, case.before, case.stroke, INFLUENCE).segmentation
        whole, dent = self.compared(answer, expected)
        limit, _ = self.compared(case.truth, self.REFERENCE.truth)
        assert whole >= limit - 0.01
        assert dent >= 0.9

    def test_with_a_cropped_segmentation(self, expected: Volume) -> None:
        case = self.REFERENCE
        box = np.stack([CENTRE - [8, 14, 14], CENTRE + [27, 14, 14]], axis=1)
        cropped = case.before.cropped_to_box(box, margin_mm=2)
        answer = edit(case.image, cropped, case.stroke, INFLUENCE).segmentation
        there = expected.cropped_to_box(box, margin_mm=2)
        assert answer.grid.same_as(cropped.grid)
        assert dice(answer.array, there.array) >= 0.995

    def test_with_a_segmentation_on_another_grid_than_the_image(self, expected: Volume) -> None:
        case = case_on(grid_around((1.2, 1.2, 1.5), self.OBLIQUE), grid_around((0.8, 0.8, 1.0)))
        answer = edit(case.image, case.before, case.stroke, INFLUENCE).segmentation
        assert answer.grid.same_as(case.before.grid)
        whole, dent = self.compared(answer, expected)
        assert whole >= 0.98 and dent >= 0.95

    def test_a_cropped_image_changes_nothing(self, expected: Volume) -> None:
        case = self.REFERENCE
        box = np.stack([DENT - 30, DENT + 30], axis=1)
        answer = edit(case.image.cropped_to_box(box), case.before, case.stroke, INFLUENCE).segmentation
        assert dice(answer.array, expected.array) >= 0.98


class TestRetention:
    EARLIER = arc(-60, -30)
    LATER = arc(-10, 24)
    PROTECTED = PROTECTED_SHARE * INFLUENCE

    @pytest.mark.parametrize("editor", [EVERYTHING, NOTHING], ids=lambda editor: editor.name)
    def test_what_lies_nearer_to_an_earlier_stroke_and_close_to_it_keeps_its_value(self, case, editor) -> None:
        first = edit(case.image, case.before, self.EARLIER, INFLUENCE).segmentation
        kept = edit(case.image, first, self.LATER, INFLUENCE, editor=editor, earlier_strokes=[self.EARLIER])
        to_earlier, to_later = distances(first, self.EARLIER), distances(first, self.LATER)
        # Where the earlier stroke comes near the later one, it counts as replaced; this is clear of that.
        ends_apart = distance_to_polyline(self.EARLIER, self.LATER)
        far_part = distances(first, self.EARLIER[ends_apart > self.PROTECTED])
        protected = (far_part < self.PROTECTED - 0.5) & (far_part < to_later - 0.5)
        assert np.count_nonzero(protected) > 50
        same = kept.segmentation.array == first.array
        assert same[protected].all()
        # Elsewhere in the zone the later stroke is free.
        free = (to_later < INFLUENCE - 0.5) & ((to_earlier > self.PROTECTED + 0.5) | (to_later < to_earlier - 0.5))
        assert (kept.segmentation.array[free] == (editor is EVERYTHING)).all()

    def test_it_can_be_switched_off(self, case: Case) -> None:
        strokes = {"earlier_strokes": [self.EARLIER]}
        plain = edit(case.image, case.before, self.LATER, INFLUENCE)
        off = edit(case.image, case.before, self.LATER, INFLUENCE, **strokes, keep_earlier_edits=False)
        on = edit(case.image, case.before, self.LATER, INFLUENCE, **strokes)
        assert np.array_equal(plain.segmentation.array, off.segmentation.array)
        assert not np.array_equal(plain.segmentation.array, on.segmentation.array)

    def test_a_stroke_over_an_earlier_one_replaces_it(self, case: Case) -> None:
        shifted = self.LATER + [1.5, 0, 0]
        plain = edit(case.image, case.before, shifted, INFLUENCE)
        over = edit(case.image, case.before, shifted, INFLUENCE, earlier_strokes=[self.LATER])
        assert plain.changed_inside > 0
        assert np.array_equal(plain.segmentation.array, over.segmentation.array)

    def test_earlier_strokes_far_away_do_not_matter(self, case: Case) -> None:
        plain = edit(case.image, case.before, case.stroke, INFLUENCE)
        other = edit(case.image, case.before, case.stroke, INFLUENCE, earlier_strokes=[arc(150, 210), arc() + 500])
        assert np.array_equal(plain.segmentation.array, other.segmentation.array)


class TestBadInput:
    @pytest.mark.parametrize("radius", [0.0, -3.0, float("nan"), float("inf")])
    def test_radius_that_is_not_positive(self, case: Case, radius: float) -> None:
        with pytest.raises(InputError, match=f"must be a positive number of millimetres, not {radius:g}"):
            edit(case.image, case.before, case.stroke, radius)

    @pytest.mark.parametrize("radius", [1e-300, 1e-5])
    def test_radius_far_below_a_voxel(self, case: Case, radius: float) -> None:
        with pytest.raises(InputError, match=f"{radius:g} mm is far smaller than a voxel"):
            edit(case.image, case.before, case.stroke, radius)

    def test_a_stroke_that_stays_at_one_place(self, case: Case) -> None:
        with pytest.raises(InputError, match="All 4 points of the stroke are at one place"):
            edit(case.image, case.before, np.repeat(case.stroke[:1], 4, axis=0), 12.0)

    def test_radius_larger_than_the_image(self, case: Case) -> None:
        with pytest.raises(InputError, match=r"500 mm is larger than the image \(64 x 64 x 64 mm\)"):
            edit(case.image, case.before, case.stroke, 500.0)

    @pytest.mark.parametrize(
        ("stroke", "words"),
        [
            (np.zeros((0, 3)), r"has 0 point\(s\)"),
            (arc()[:1], r"has 1 point\(s\)"),
            (np.zeros((4, 2)), r"shape \(4, 2\)"),
            (np.where(np.arange(9)[:, None] == 3, np.nan, arc()), r"1 point\(s\) that are NaN"),
            (arc() + [500, 0, 0], "9 of the stroke's 9 points lie outside the image image"),
            (np.concatenate([arc(), [[500, 0, 0]]]), "1 of the stroke's 10 points lie outside"),
        ],
        ids=["no point", "one point", "two coordinates", "NaN", "outside", "partly outside"],
    )
    def test_strokes(self, case: Case, stroke: np.ndarray, words: str) -> None:
        with pytest.raises(InputError, match=words):
            edit(case.image, case.before, stroke, INFLUENCE)

    def test_an_empty_segment(self, case: Case) -> None:
        empty = case.before.with_array(np.zeros_like(case.before.array))
        with pytest.raises(InputError, match="The segment ball is empty"):
            edit(case.image, empty, case.stroke, INFLUENCE)

    def test_a_stroke_too_far_from_the_boundary(self, case: Case) -> None:
        with pytest.raises(InputError, match="farther from the boundary of ball than the influence radius"):
            edit(case.image, case.before, CENTRE + [[0, 0, 0], [1.0, 0, 0]], 2.0)

    def test_a_segmentation_elsewhere(self, case: Case) -> None:
        matrix = case.before.ijk_to_ras.copy()
        matrix[0, 3] += 500
        with pytest.raises(InputError, match="ball does not reach the stroke"):
            edit(case.image, replace(case.before, ijk_to_ras=matrix), case.stroke, INFLUENCE)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_values_that_are_no_numbers(self, case: Case, value: float) -> None:
        array = case.image.array.copy()
        array[:, :, 0] = value  # 54 mm from the stroke, outside the working grid
        far = edit(case.image.with_array(array), case.before, case.stroke, 6.0)
        plain = edit(case.image, case.before, case.stroke, 6.0)
        assert np.array_equal(far.segmentation.array, plain.segmentation.array)
        k, j, i = np.round(case.image.grid.to_ijk(DENT)).astype(int)[::-1]
        array[k, j, i] = value
        with pytest.raises(InputError, match="image has NaN or infinite values near the stroke"):
            edit(case.image.with_array(array), case.before, case.stroke, 6.0)

    def test_one_slice_is_edited(self) -> None:
        case = case_on(grid_around())
        k = int(round(case.image.grid.to_ijk(CENTRE)[2]))
        image, before, truth = (v.cropped((slice(k, k + 1),) * 1 + (slice(None),) * 2) for v in _volumes(case))
        result = edit(image, before, case.stroke, INFLUENCE)
        wrong = np.count_nonzero(before.array != truth.array)
        assert np.count_nonzero(result.segmentation.array != truth.array) < 0.3 * wrong


def _volumes(case: Case) -> tuple[Volume, Volume, Volume]:
    return case.image, case.before, case.truth


def test_cancelling_ends_the_edit(case: Case) -> None:
    asked: list[int] = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > 2

    with pytest.raises(Cancelled):
        edit(case.image, case.before, case.stroke, INFLUENCE, progress=Progress(cancelled=cancelled))


def test_progress_ends_at_one(case: Case) -> None:
    seen: list[float] = []
    edit(case.image, case.before, case.stroke, INFLUENCE, progress=Progress(lambda fraction, _: seen.append(fraction)))
    assert seen == sorted(seen) and seen[-1] == 1.0


def test_an_answer_that_is_no_number_is_refused(case: Case) -> None:
    diverged = Warp("diverged", lambda working: np.where(working.distance < 1, np.nan, working.signed_distance))
    with pytest.raises(InputError, match="The editor diverged answered with values that are not numbers"):
        edit(case.image, case.before, case.stroke, INFLUENCE, editor=diverged)


def test_the_part_of_a_long_stroke_that_is_out_of_reach_is_left_out_with_a_note(case: Case) -> None:
    """A stroke that leaves the boundary at a right angle, much longer than its influence radius."""
    outward = case.stroke[0] - CENTRE
    outward /= np.linalg.norm(outward)
    along = np.linspace(0.0, 13.0, 14)
    leaving = case.stroke[0] + outward * along[:, None]
    result = edit(case.image, case.before, leaving, 2.0)
    assert result.notes[0] == "A part of the stroke is too far from the segment's boundary and was left out."
    with pytest.raises(InputError, match="farther from the boundary of ball"):
        edit(case.image, case.before, leaving[11:], 2.0)


def test_the_pieces_of_a_bent_stroke_are_not_joined_across_what_was_not_drawn(case: Case) -> None:
    """A U whose legs run side by side: the cube of one leg also holds parts of the other, and no line between them."""
    down, up = np.linspace(14.0, -14.0, 60), np.linspace(-14.0, 14.0, 60)
    leg = np.stack([np.full(60, RADIUS - 3.0), down, np.zeros(60)], axis=1)
    back = np.stack([np.full(60, RADIUS + 3.0), up, np.zeros(60)], axis=1)
    stroke = CENTRE + np.concatenate([leg, back])
    seen: list[float] = []

    def looking(working) -> np.ndarray:
        gaps = np.linalg.norm(np.diff(working.stroke, axis=0), axis=1)
        seen.append(float(gaps.max()))
        return working.signed_distance

    edit(case.image, case.before, stroke, 3.0, editor=Warp("looking", looking))
    assert len(seen) > 2
    assert max(seen) > 2.0  # voxels: where the stroke leaves a cube and comes back, there is a gap


@pytest.mark.parametrize("scale", [1e-3, 10.0])
def test_voxels_of_a_micrometre_and_a_centimetre_are_edited_as_those_of_a_millimetre(case: Case, scale: float) -> None:
    """Which voxels change depends on nothing but the shape of the case."""

    def scaled(volume: Volume) -> Volume:
        matrix = volume.ijk_to_ras.copy()
        matrix[:3] *= scale
        return Volume(volume.array, matrix, volume.name)

    radius = default_influence_radius(case.before, case.stroke)
    small = default_influence_radius(scaled(case.before), case.stroke * scale)
    assert small == pytest.approx(radius * scale, rel=0.01)
    one = edit(case.image, case.before, case.stroke, radius)
    other = edit(scaled(case.image), scaled(case.before), case.stroke * scale, radius * scale)
    differ = np.count_nonzero(one.segmentation.array != other.segmentation.array)
    assert one.changed_inside > 500 and differ < 0.01 * one.changed_inside  # rounding
    assert other.changed_mm3 == pytest.approx(one.changed_mm3 * scale**3, rel=0.01)


def test_sizes_in_sentences_have_digits_that_count(case: Case) -> None:
    matrix = case.image.ijk_to_ras.copy()
    matrix[:3] *= 1e-3
    with pytest.raises(InputError, match=r"1 mm is larger than the image \(0.0\d\d x 0.0\d\d x 0.0\d\d mm\)"):
        edit(Volume(case.image.array, matrix), Volume(case.before.array, matrix), case.stroke * 1e-3, 1.0)
