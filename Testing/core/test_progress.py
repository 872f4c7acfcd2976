"""Progress and cancel."""

from __future__ import annotations

import pytest

from SparseToPreciseLib.core.errors import Cancelled
from SparseToPreciseLib.core.progress import Progress


def test_parts_map_into_the_whole_and_stay_within_their_bounds() -> None:
    seen: list[tuple[float, str]] = []
    progress = Progress(lambda fraction, message: seen.append((fraction, message)))
    inner = progress.part(0.5, 1.0).part(0.0, 0.5)
    progress(-1.0, "begin")
    inner(0.5, "middle")
    inner(2.0)
    assert seen == [(0.0, "begin"), (pytest.approx(0.625), "middle"), (pytest.approx(0.75), "")]


def test_without_a_listener_nothing_happens() -> None:
    Progress()(0.3, "unheard")
    Progress().check()


def test_cancelling_stops_the_whole_and_its_parts_before_anything_is_reported() -> None:
    seen: list[float] = []
    state = {"cancelled": False}
    progress = Progress(lambda fraction, _: seen.append(fraction), lambda: state["cancelled"])
    progress(0.1)
    state["cancelled"] = True
    for act in (lambda: progress(0.2), progress.check, lambda: progress.part(0, 1)(0.5), progress.part(0, 1).check):
        with pytest.raises(Cancelled):
            act()
    assert seen == [0.1]


@pytest.mark.parametrize("which", ["first", "second"])
@pytest.mark.parametrize("first", [True, False])
def test_a_second_question_cancels_as_well_as_the_first(which: str, first: bool) -> None:
    seen: list[float] = []
    asked: set[str] = set()
    outer = Progress(lambda fraction, _: seen.append(fraction), (lambda: "first" in asked) if first else None)
    both = outer.also(lambda: "second" in asked)
    both(0.1)
    asked.add(which)
    if which == "first" and not first:
        both(0.2)
        assert seen == [0.1, 0.2]
        return
    for act in (lambda: both(0.2), both.check, both.part(0, 1).check):
        with pytest.raises(Cancelled):
            act()
    assert seen == [0.1]
