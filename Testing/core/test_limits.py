"""Constants that decide: what happens just on either side of each."""

from __future__ import annotations

import numpy as np
import pytest

from SparseToPreciseLib.boxes.corrector.postprocessing import CleanMap, cleaned, slice_bounds, smoothed_shares
from SparseToPreciseLib.boxes.metrics import coverage
from SparseToPreciseLib.boxes.slices import Frame
from SparseToPreciseLib.core.box import Box
from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.volume import Volume
from SparseToPreciseLib.editing.simulated_user import draw_stroke, influence_radius_for
from SparseToPreciseLib.landmarks.metrics import landmark_errors
from SparseToPreciseLib.synthesis.confidence import out_of_domain, refuse_other_unit
from SparseToPreciseLib.synthesis.inputs import NetworkInput

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


def test_a_gap_beside_the_last_slice_is_filled():
    shares = np.zeros((4, 12, 12), np.float32)
    shares[:, 4:8, 4:8] = 0.9
    shares[2] = 0
    kept = shares > 0.3
    clean = CleanMap(FRAME, 16, shares, 0.3, kept)
    bounds = slice_bounds(clean)
    assert np.allclose(bounds[2], (bounds[1] + bounds[3]) / 2) and np.isfinite(bounds).all()
    assert clean.patch_mm == 16 * FRAME.spacing


def test_shares_are_smoothed_over_the_slices_by_an_eighth_of_a_patch():
    frame = Frame.cut(Box.from_bounds(((0, 96), (0, 96), (0, 80))), 2, 2.0)
    shares = np.zeros((frame.slices, 14, 14), np.float32)
    shares[20, 6, 6] = 1
    found = smoothed_shares(shares, frame, 16)[:, 6, 6]
    sigma = 16 * frame.spacing / 8 / frame.step  # slices
    assert found[21] / found[20] == pytest.approx(np.exp(-0.5 / sigma**2), rel=1e-4) and found[21] == found[19]


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


# ------------------------------------------------------------------------------------------------ out of domain


def mr_of(mask: np.ndarray) -> tuple[Volume, NetworkInput]:
    """An MR with voxels of 1 mm and a body in it, as given and as a network sees it."""
    mr = Volume(mask.astype(np.float32), np.eye(4), "scan")
    return mr, NetworkInput(mr.array, mask, mr.grid, 0.0, 1.0)


@pytest.mark.parametrize(("coarsest", "noted"), [(2.28, False), (2.32, True)])
def test_voxels_may_be_15_percent_coarser_than_those_seen(coarsest: float, noted: bool):
    _, given = mr_of(np.ones((4, 4, 4), bool))
    mr = Volume(given.z, np.diag([1.0, 1.0, coarsest, 1.0]))
    assert bool(out_of_domain(mr, given, {"spacing_mm": [1.0, 2.0]})) == noted


@pytest.mark.parametrize(("length", "noted"), [(84, True), (86, False), (114, False), (116, True)])
def test_a_body_may_be_15_percent_smaller_or_larger_than_those_seen(length: int, noted: bool):
    given = mr_of(np.ones((length, 2, 3), bool))
    seen = {"extent_mm": [[3, 3], [2, 2], [100, 100]]}
    assert bool(out_of_domain(*given, seen)) == noted


@pytest.mark.parametrize(("width", "noted"), [(104, False), (107, True)])
def test_a_body_a_twentieth_wider_than_deep_is_said_to_be_turned(width: int, noted: bool):
    mask = np.zeros((6, 120, 120), bool)
    mask[1:-1, 10:110, 5 : 5 + width] = True
    notes = out_of_domain(*mr_of(mask), {"extent_mm": [[90, 120], [100, 120], [3, 6]]})
    assert [("its orientation may be wrong" in note) for note in notes] == [True] * noted


@pytest.mark.parametrize(
    ("above", "below", "noted"), [(26, 5, True), (24, 5, False), (26, 9, True), (26, 11, False), (26, 26, False)]
)
def test_a_body_that_the_upper_end_alone_cuts_is_said_to_be_upside_down(above: int, below: int, noted: bool):
    mask = np.ones((10, 10, 10), bool)
    for end, voxels in ((slice(-2, None), above), (slice(0, 2), below)):  # of 100 of the largest section
        mask[end] = np.arange(100).reshape(10, 10) < voxels
    notes = out_of_domain(*mr_of(mask), {"extent_mm": [[9, 10], [10, 11], [10, 10]]})
    assert [("upside down" in note) for note in notes] == [True] * noted


def test_an_image_shorter_than_a_quarter_of_the_bodies_seen_is_in_another_unit():
    seen = {"extent_mm": [[80, 90], [80, 100], [80, 90]]}
    refuse_other_unit(Volume(np.zeros((26, 3, 3)), np.eye(4)), seen)
    with pytest.raises(InputError, match="check its spacing"):
        refuse_other_unit(Volume(np.zeros((24, 3, 3)), np.eye(4)), seen)
