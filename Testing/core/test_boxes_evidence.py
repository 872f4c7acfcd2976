"""Where an object can be by its boxes, and what an image's own intensities add to a network's answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from SparseToPreciseLib.boxes.hull import box_hull
from SparseToPreciseLib.boxes.intensities import refined
from SparseToPreciseLib.core.masks import dice

SHAPE = (30, 34, 38)
FROM_MIDDLE = [(np.arange(n) - (n - 1) / 2)[:, None, None] for n in SHAPE]
K, J, I = (at.transpose(*np.roll((0, 1, 2), axis)) for axis, at in enumerate(FROM_MIDDLE))  # noqa: E741
BALL = K**2 + J**2 + I**2 <= 10**2


def hull_in_loops(mask: np.ndarray) -> np.ndarray:
    result = np.ones(mask.shape, bool)
    for axis in range(3):
        for number in range(mask.shape[axis]):
            plane = (*[slice(None)] * axis, number)
            rows, columns = np.nonzero(mask[plane])
            filled = np.zeros(mask[plane].shape, bool)
            if rows.size:
                filled[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = True
            result[plane] &= filled
    return result


@settings(max_examples=40, deadline=None)
@given(arrays(bool, array_shapes(min_dims=3, max_dims=3, max_side=5), elements=st.booleans()))
def test_the_hull_is_what_plain_loops_say_and_its_own_hull(mask: np.ndarray):
    hull = box_hull(mask)
    assert np.array_equal(hull, hull_in_loops(mask))
    assert (hull >= mask).all() and np.array_equal(box_hull(hull), hull)


def test_a_ball_fills_more_of_its_hull_than_of_its_box():
    assert BALL.sum() / box_hull(BALL).sum() == pytest.approx(0.89, abs=0.04)
    box = np.zeros(SHAPE, bool)
    box[3:9, 4:20, 5:7] = True
    assert np.array_equal(box_hull(box), box) and not box_hull(np.zeros(SHAPE, bool)).any()


def guess(mask: np.ndarray, object_: float, elsewhere: float) -> np.ndarray:
    return np.where(mask, object_, elsewhere).astype(np.float32)


def test_intensities_mend_a_network_that_is_roughly_right():
    rng = np.random.default_rng(2)
    near = np.clip(np.where(BALL, 0.1, -0.7) + 0.1 * rng.standard_normal(SHAPE), -1, 1).astype(np.float32)
    inside = (abs(K) < 13) & (abs(J) < 13) & (abs(I) < 13)
    everywhere = np.ones(SHAPE, bool)
    rough = guess((K - 4) ** 2 + J**2 + I**2 <= 8**2, 0.7, 0.2)
    before, after = (dice((one > 0.5) & inside, BALL) for one in (rough, refined(rough, near, inside, everywhere)))
    assert after > 0.87 and after > before + 0.15


def test_the_background_is_learnt_from_what_the_image_shows_alone():
    """Beyond the image its edge is repeated: were that counted, an object at the edge would be background."""
    there = np.broadcast_to(I < 4, SHAPE)
    near = guess(BALL, 0.1, -0.7)
    near[:, :, I.ravel() >= 4] = 0.1
    inside = (abs(K) < 13) & (abs(J) < 13) & (abs(I) < 13) & there
    found = refined(guess(BALL, 0.6, 0.3), near, inside, there)
    assert dice((found > 0.5) & inside, BALL & there) > 0.97


@pytest.mark.parametrize(("chance", "found"), [(1.0, True), (0.0, False)])
def test_a_sure_network_has_the_last_word(chance: float, found: bool):
    near = np.random.default_rng(3).uniform(-1, 1, SHAPE).astype(np.float32)
    inside = np.broadcast_to(abs(K) < 9, SHAPE)
    answer = refined(np.full(SHAPE, chance, np.float32), near, inside, np.ones(SHAPE, bool))
    assert answer.dtype == np.float32 and ((answer > 0.5) == found).all()
