"""Edits of a segment, followed through undo, redo, other tools and reverting one of them; a set of voxels is enough."""

from __future__ import annotations

import numpy as np
import pytest

from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.editing.edit_history import EditHistory

STROKE = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])


class Segment:
    """Voxels in a row, all of them with index J = 3 and K = -2."""

    def __init__(self, inside=()) -> None:
        self.inside = set(inside)

    def values(self, voxels: np.ndarray) -> np.ndarray:
        assert ((voxels[:, 1:] == (3, -2)).all(axis=1)).all()
        return np.array([int(i) in self.inside for i in voxels[:, 0]], dtype=bool)

    def flip(self, voxels) -> None:
        self.inside ^= set(voxels)

    def edit(self, history: EditHistory, voxels, stroke=STROKE):
        voxels = list(voxels)
        before = np.array([i in self.inside for i in voxels])
        self.flip(voxels)
        return history.add(stroke, 5.0, [(i, 3, -2) for i in voxels], before, float(len(voxels)), self.values)

    def revert(self, history: EditHistory, number: int) -> None:
        voxels, inside = history.revert(number, self.values)
        for (i, _, _), wanted in zip(voxels, inside, strict=True):
            assert (int(i) in self.inside) != wanted
        self.flip(int(i) for i in voxels[:, 0])
        history.add_reversal(number, voxels, ~inside, self.values)


@pytest.fixture
def history() -> EditHistory:
    return EditHistory()


@pytest.fixture
def segment() -> Segment:
    return Segment(range(10, 20))


def numbers(history, segment):
    return [edit.number for edit in history.in_effect(segment.values)]


def test_edits_are_in_effect_while_their_voxels_hold(history, segment) -> None:
    segment.edit(history, range(20, 25))
    segment.edit(history, range(5, 10))
    assert numbers(history, segment) == [1, 2]
    segment.flip(range(5, 10))  # undo
    assert numbers(history, segment) == [1]
    segment.flip(range(5, 10))  # redo
    assert numbers(history, segment) == [1, 2]


def test_another_tool_may_take_a_corner_but_not_most(history, segment) -> None:
    segment.edit(history, range(20, 30))
    segment.flip([20, 21])
    assert numbers(history, segment) == [1]
    segment.flip(range(22, 27))
    assert numbers(history, segment) == []


def test_an_edit_that_was_drawn_over_completely_is_not_in_effect(history, segment) -> None:
    segment.edit(history, range(20, 25))
    segment.edit(history, range(20, 26))
    assert numbers(history, segment) == [2]
    segment.revert(history, 2)
    assert numbers(history, segment) == [1]
    assert segment.inside == set(range(10, 25))


def test_strokes_come_oldest_first_and_follow_undo(history, segment) -> None:
    segment.edit(history, [20], STROKE)
    segment.edit(history, [21], STROKE + 1)
    assert [s[0, 0] for s in history.strokes(segment.values)] == [0.0, 1.0]
    segment.flip([21])
    assert [s[0, 0] for s in history.strokes(segment.values)] == [0.0]


def test_reverting_leaves_later_edits_and_other_tools_alone(history, segment) -> None:
    segment.edit(history, range(20, 30))
    segment.edit(history, range(28, 32))  # takes 28, 29 away again and adds 30, 31
    segment.flip([20])  # painted away
    segment.revert(history, 1)
    assert segment.inside == set(range(10, 20)) | {30, 31}
    assert numbers(history, segment) == [2]


def test_reverting_after_reverting_does_not_bring_the_first_one_back(history, segment) -> None:
    before = set(segment.inside)
    segment.edit(history, range(20, 30))
    segment.edit(history, range(28, 32))
    segment.revert(history, 1)
    segment.revert(history, 2)
    # 28 and 29 were in the segment before edit 2 only because of edit 1.
    assert segment.inside == before


def test_reverting_in_the_other_order_ends_in_the_same_place(history, segment) -> None:
    before = set(segment.inside)
    segment.edit(history, range(20, 30))
    segment.edit(history, range(28, 40))
    segment.edit(history, range(25, 35))
    for number in (2, 3, 1):
        segment.revert(history, number)
    assert segment.inside == before


def test_every_order_of_reverting_ends_where_it_began() -> None:
    from itertools import permutations

    rng = np.random.default_rng(4)
    tried = 0
    for _ in range(20):
        ranges = [range(a, a + n) for a, n in zip(rng.integers(0, 20, 3), rng.integers(3, 12, 3), strict=True)]
        for order in permutations((1, 2, 3)):
            history, segment = EditHistory(), Segment(range(10, 20))
            for voxels in ranges:
                segment.edit(history, voxels)
            for number in order:
                if number in numbers(history, segment):
                    segment.revert(history, number)
            # What is drawn over shows again once what covers it is gone.
            for number in numbers(history, segment):
                segment.revert(history, number)
            if not numbers(history, segment):
                tried += 1
                assert segment.inside == set(range(10, 20)), (ranges, order)
    assert tried > 60


def test_undoing_a_reversal_brings_the_edit_back(history, segment) -> None:
    segment.edit(history, range(20, 30))
    segment.revert(history, 1)
    assert numbers(history, segment) == []
    segment.flip(range(20, 30))  # undo
    assert numbers(history, segment) == [1]
    segment.flip(range(20, 30))  # redo
    assert numbers(history, segment) == []


def test_paint_between_two_edits_survives_reverting(history, segment) -> None:
    segment.edit(history, range(20, 24))
    segment.flip(range(20, 24))  # undone
    segment.flip([20, 21])  # painted
    segment.edit(history, range(20, 24))  # takes the paint away, adds 22, 23
    segment.revert(history, 2)
    assert segment.inside == set(range(10, 20)) | {20, 21}


def test_what_is_not_shown_cannot_be_reverted(history, segment) -> None:
    segment.edit(history, range(20, 25))
    segment.flip(range(20, 25))
    with pytest.raises(InputError, match="Edit 1 cannot be reverted"):
        history.revert(1, segment.values)
    with pytest.raises(InputError, match="Edit 7"):
        history.revert(7, segment.values)


def test_memory_is_bounded_and_numbers_are_not_given_twice(segment) -> None:
    history = EditHistory(most_voxels=10)
    for start in range(20, 60, 4):
        segment.edit(history, range(start, start + 4))
    assert numbers(history, segment) == [9, 10]
    assert segment.edit(history, range(100, 200)).number == 11
    assert numbers(history, segment) == [11]


def test_what_was_given_is_not_kept_by_reference(history, segment) -> None:
    stroke = STROKE.copy()
    segment.edit(history, [20], stroke)
    stroke += 100
    assert history.strokes(segment.values)[0].max() == 1.0
