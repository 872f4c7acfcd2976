"""Exact values of the editing metrics on simple shapes."""

from __future__ import annotations

import numpy as np
import pytest

from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.masks import dice, largest_component
from SparseToPreciseLib.editing import metrics


def cube(start: int, stop: int, shape: tuple[int, int, int] = (24, 24, 24)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[start:stop, 6:18, 6:18] = True
    return mask


NOTHING = np.zeros((24, 24, 24), bool)


def test_dice_of_half_a_cube():
    assert dice(cube(6, 18), cube(6, 12)) == pytest.approx(2 / 3)
    assert dice(cube(6, 18), cube(6, 18)) == 1
    assert dice(cube(6, 18), NOTHING) == 0
    assert dice(NOTHING, NOTHING) == 1


def test_contour_is_the_inner_boundary_but_not_the_edge_of_the_array():
    mask = np.ones((5, 5, 5), bool)
    mask[0] = False
    assert np.array_equal(np.argwhere(metrics.contour(mask))[:, 0], np.ones(25))
    assert metrics.contour(cube(6, 18)).sum() == 12**3 - 10**3


def test_surface_distance_of_parallel_plates_is_the_gap_in_mm():
    plate = np.zeros((20, 8, 8), bool)
    near, far = plate.copy(), plate.copy()
    near[4], far[9] = True, True
    assert metrics.average_surface_distance(near, far, (0.5, 1, 1)) == pytest.approx(2.5)
    assert metrics.average_surface_distance(near, far, 2.0) == pytest.approx(10)
    assert metrics.average_surface_distance(near, near, 1.0) == 0


def test_surface_distance_is_symmetric_and_agrees_with_monai():
    torch = pytest.importorskip("torch")
    monai = pytest.importorskip("monai.metrics")
    rng = np.random.default_rng(3)
    a = cube(5, 15)
    b = cube(8, 17)
    b[rng.integers(8, 17, 5), 18:20, rng.integers(6, 18, 5)] = True
    spacing = (2.0, 0.5, 1.0)
    ours = metrics.average_surface_distance(a, b, spacing)
    assert ours == pytest.approx(metrics.average_surface_distance(b, a, spacing))
    theirs = monai.compute_average_surface_distance(
        torch.tensor(a[None, None]),
        torch.tensor(b[None, None]),
        symmetric=True,
        include_background=True,
        spacing=spacing,
    )
    assert ours == pytest.approx(float(theirs), abs=1e-4)


def test_surface_distance_of_empty_masks():
    assert metrics.average_surface_distance(NOTHING, NOTHING, 1.0) == 0
    assert metrics.average_surface_distance(NOTHING, cube(6, 18), 1.0) == float("inf")


def test_no_edit_has_no_far_error_and_the_whole_error_near():
    truth, initial = cube(6, 18), cube(6, 15)
    attention = np.zeros(truth.shape)
    attention[12:] = 1
    result = metrics.editing_distance(truth, initial, initial, attention)
    assert result["far_mean"] == result["far_p95"] == 0
    assert result["near_p95"] == 3  # the true cap lies three voxels above the old one
    assert 0 < result["mean"] < result["near_mean"]


def test_the_truth_as_answer_is_right_near_and_wrong_far():
    truth, initial = cube(6, 18), cube(6, 15)
    attention = np.zeros(truth.shape)
    attention[:10] = 1
    result = metrics.editing_distance(truth, initial, truth, attention, spacing_mm=2.0)
    assert result["near_mean"] == 0
    assert result["far_p95"] == 6
    zone = metrics.editing_distance(truth, initial, truth, attention > 0.5, spacing_mm=2.0)
    assert zone == result


def test_manhattan_distance_is_counted_along_the_axes():
    truth, edited = NOTHING.copy(), NOTHING.copy()
    truth[10, 10, 10], edited[12, 13, 11] = True, True
    result = metrics.editing_distance(truth, truth, edited, np.ones(truth.shape))
    assert result["near_mean"] == 2 + 3 + 1
    assert np.isnan(result["far_mean"])


def test_an_edit_that_removes_everything_is_infinitely_wrong():
    truth = cube(6, 18)
    result = metrics.editing_distance(truth, truth, NOTHING, np.ones(truth.shape))
    assert result["near_mean"] == result["p95"] == float("inf")
    assert metrics.near_error(truth, NOTHING, truth, 1.0) == (float("inf"), float("inf"))


def test_near_error_counts_only_the_zone():
    truth, edited = cube(6, 18), cube(6, 15)
    top, bottom = np.zeros_like(truth), np.zeros_like(truth)
    top[17], bottom[6] = True, True
    assert metrics.near_error(truth, edited, bottom, 1.0) == (0, 0)
    mean, p95 = metrics.near_error(truth, edited, top, (0.5, 1, 1))
    assert mean == pytest.approx(1.5) and p95 == pytest.approx(1.5)
    assert np.isnan(metrics.near_error(truth, edited, NOTHING, 1.0)).all()


def test_off_target_change_is_a_volume_outside_the_zone():
    before, after = cube(6, 18), cube(6, 16)
    zone = np.zeros_like(before)
    zone[17] = True
    assert metrics.off_target_change_mm3(before, after, zone, (0.5, 2, 3)) == 12 * 12 * 3
    assert metrics.off_target_change_mm3(before, after, ~NOTHING, 1.0) == 0


def test_share_of_the_error_removed():
    truth, before = cube(6, 18), cube(6, 14)
    zone = np.zeros_like(truth)
    zone[12:] = True
    assert metrics.in_zone_error_removed(truth, before, before, zone) == 0
    assert metrics.in_zone_error_removed(truth, before, truth, zone) == 1
    assert metrics.in_zone_error_removed(truth, before, cube(6, 17), zone) == pytest.approx(0.75)
    assert metrics.in_zone_error_removed(truth, before, cube(6, 12), zone) == pytest.approx(-0.5)
    assert np.isnan(metrics.in_zone_error_removed(truth, truth, before, zone))


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(InputError, match="bring them to one grid"):
        dice(NOTHING, np.zeros((3, 3, 3), bool))
    with pytest.raises(InputError, match="-1"):
        metrics.average_surface_distance(cube(6, 18), cube(6, 15), -1)
    with pytest.raises(InputError, match="attention"):
        metrics.editing_distance(NOTHING, NOTHING, NOTHING, np.zeros((2, 2, 2)))


def test_the_largest_component_may_be_any_of_them() -> None:
    mask = np.array([True, False, True, True, False, True])
    assert largest_component(mask).tolist() == [False, False, True, True, False, False]
    heaviest_last = largest_component(mask, np.array([1.0, 0, 1, 1, 0, 9]))
    assert heaviest_last.tolist() == [False] * 5 + [True]
    assert not largest_component(np.zeros(3, bool)).any()
