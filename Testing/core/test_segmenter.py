"""The segmentation network that is stopped too early."""

from __future__ import annotations

import numpy as np

from SparseToPreciseLib.core.masks import dice
from SparseToPreciseLib.editing.undertrained import hint, undertrained_segmenters

AWAY = np.sqrt(((np.indices((30, 32, 34)) - 16) ** 2).sum(0))
TRUTH = AWAY < 9
IMAGE = (0.2 + 0.6 * TRUTH + np.random.default_rng(0).normal(0, 0.1, TRUTH.shape)).astype(np.float32)


def test_more_steps_make_fewer_mistakes_and_the_seed_decides() -> None:
    early, late = (made(IMAGE, TRUTH) for made in undertrained_segmenters([(IMAGE, TRUTH)], (4, 60), seed=3, crop=24))
    assert early.shape == late.shape == TRUTH.shape and late.dtype == bool
    assert dice(late, TRUTH) > dice(early, TRUTH)
    assert 0.6 < dice(late, TRUTH) < 1.0
    again = undertrained_segmenters([(IMAGE, TRUTH)], (4,), seed=3, crop=24)[0](IMAGE, TRUTH)
    assert np.array_equal(again, early)


def test_parts_that_share_nothing_with_the_object_are_left_out() -> None:
    twin = IMAGE.copy()
    twin[24:30, 24:32, 24:34] = 0.8  # looks like the object, is not
    segment = undertrained_segmenters([(IMAGE, TRUTH)], (60,), seed=3, crop=24)[0]
    assert not segment(twin, TRUTH)[28:, 29:, 31:].any()


def test_the_hint_does_not_give_the_outline_away() -> None:
    given = hint(TRUTH)
    steepest = max(np.abs(np.diff(given, axis=axis)).max() for axis in range(3))
    assert steepest < 0.06
