"""Constants that decide: what happens just on either side of each."""

from __future__ import annotations

import numpy as np
import pytest

from SparseToPreciseLib.boxes.corrector.postprocessing import cleaned
from SparseToPreciseLib.boxes.metrics import coverage
from SparseToPreciseLib.boxes.slices import Frame
from SparseToPreciseLib.core.box import Box
from SparseToPreciseLib.editing.simulated_user import draw_stroke, influence_radius_for
from SparseToPreciseLib.landmarks.metrics import landmark_errors

FRAME = Frame.cut(Box.from_bounds(((0, 96), (0, 96), (0, 8))), 2, 2.0)


@pytest.mark.parametrize(("share", "small_is_object"), [(0.49, False), (0.51, True)])
def test_a_component_counts_as_object_from_a_patch_of_one_half_on(share: float, small_is_object: bool):
    shares = np.zeros((4, 12, 12), np.float32)
    shares[:, 1:3, 1:3] = share
    shares[0, 7, 7] = 0.9  # surest, but small
    clean = cleaned(shares, FRAME, 16, 0.3)
    assert clean.kept[0, 1, 1] == small_is_object and clean.kept[0, 7, 7] != small_is_object


def test_where_no_patch_is_sure_nearly_the_surest_will_do():
    shares = np.zeros((4, 12, 12), np.float32)
    shares[0, 7, 7] = 0.40
    for share, larger_is_object in ((0.31, False), (0.33, True)):  # 0.8 of 0.40 is 0.32
        shares[:, 1:3, 1:3] = share
        clean = cleaned(shares, FRAME, 16, 0.3)
        assert clean.kept[0, 1, 1] == larger_is_object


def test_all_of_no_object_is_covered():
    nothing = np.zeros((2, 3, 3), bool)
    assert coverage(nothing, nothing) == 1.0
    assert coverage(~nothing, nothing) == 1.0
    assert coverage(nothing, ~nothing) == 0.0


@pytest.mark.parametrize(("error", "within"), [(2.0, 1.0), (2.0 + 1e-9, 0.0)])
def test_an_error_of_exactly_the_limit_is_within_it(error: float, within: float):
    found = landmark_errors({"A": np.array([error, 0.0, 0.0])}, {"A": np.zeros(3)})
    assert found["within_2_mm"] == within
    assert found["within_4_mm"] == 1.0 and found["within_1_mm"] == 0.0


def test_the_simulated_user_s_radius_is_a_fifth_more_than_the_depth_of_the_error():
    truth, current = np.zeros((16, 64, 64), bool), np.zeros((16, 64, 64), bool)
    truth[:, :, :40] = True
    current[:, :, :30] = True  # ten columns of error, 30 to 39
    stroke = draw_stroke(truth, current, None, axis=0)
    depth = stroke.points[:, 2].mean() - 30
    assert 9 <= depth <= 10
    assert influence_radius_for(truth, current, stroke) == pytest.approx(1.2 * depth, rel=0.01)
