"""Synthesis around its network: CT window, body, lattice, likeness, telling CT from MR, classes, spread."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from edit_cases import grid_around, rotation
from scipy import ndimage
from synthesis_cases import CENTRE, GRID, GRIDS, RADII, ball_on, ct_on, depth, mr_on

from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.resampling import shrunk
from SparseToPreciseLib.core.volume import Grid, Volume
from SparseToPreciseLib.phantoms.head import head_case
from SparseToPreciseLib.synthesis.body import body_mask, grown, mask_on
from SparseToPreciseLib.synthesis.confidence import EDGES, histogram, histogram_distance, out_of_domain, seen_in
from SparseToPreciseLib.synthesis.hu import AIR, BONE, SOFT, HuWindow, classify
from SparseToPreciseLib.synthesis.inference import Spread, flips
from SparseToPreciseLib.synthesis.inputs import BACKGROUND, BRIGHT, HIGHEST, NetworkInput, network_input, standardised
from SparseToPreciseLib.synthesis.modality import looks_like_ct, looks_like_offset_ct, refuse_ct, unpadded
from SparseToPreciseLib.synthesis.working_grid import onto_working_grid, working_grid_around


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))


# ------------------------------------------------------------------------------------------------ CT window


def test_restoring_hu_adds_the_minimum():
    window = HuWindow()
    assert window.to_hu(np.array([0.0, 1.0])).tolist() == [-1024.0, 3000.0]
    assert window.to_unit(np.array([-1024, 3000, 988])).tolist() == [0.0, 1.0, 0.5]
    hu = np.linspace(-1024, 3000, 101)
    assert np.allclose(window.to_hu(window.to_unit(hu)), hu, atol=1e-3)


def test_hu_beyond_the_window_are_clipped_and_rounded_to_16_bits():
    window = HuWindow(-1000, 2000)
    assert window.to_unit(np.array([-3024.0, 9000.0])).tolist() == [0.0, 1.0]
    assert window.to_hu(np.array([-0.2, 1.7])).tolist() == [-1000.0, 2000.0]
    stored = window.as_int16(np.array([-1.6, 0.4, 5000.0]))
    assert stored.dtype == np.int16 and stored.tolist() == [-2, 0, 2000]


@pytest.mark.parametrize("values", [(3000, -1024), (0, 0), (-1024, 90000), (1,), "ab", None, (float("nan"), 5)])
def test_a_window_out_of_order_is_refused(values):
    with pytest.raises(InputError, match="window"):
        HuWindow.from_parameters(values)


# ------------------------------------------------------------------------------------------------ body


@pytest.mark.parametrize("name", [*GRIDS, "straight"])
def test_the_body_is_found_with_its_dark_skull_and_sinus(name: str):
    grid = GRIDS.get(name, GRID)
    rng = np.random.default_rng(0)
    mr = mr_on(grid)
    noisy = mr.with_array(np.hypot(mr.array + rng.normal(0, 15, grid.shape), rng.normal(0, 15, grid.shape)))
    found = body_mask(noisy)
    assert found.array.dtype == np.uint8 and found.grid.same_as(grid)
    assert dice(found.array > 0, ball_on(grid).array > 0) > 0.9
    deep = depth(grid.points_ras()) > 3
    assert found.array[deep].all()


def test_a_head_that_is_cut_keeps_the_skull_at_the_cut():
    mr = mr_on(GRID)
    for cut in (slice(0, 26), slice(26, None)):
        part = mr.cropped((slice(None), slice(None), cut))
        deep = depth(part.grid.points_ras()) > 3
        assert body_mask(part).array[deep].all()


def test_a_second_smaller_object_is_no_body():
    mr = mr_on(GRID)
    rod = np.linalg.norm((GRID.points_ras() - CENTRE)[..., :2] - [46.0, 46.0], axis=-1) < 4
    found = body_mask(mr.with_array(np.where(rod, 900, mr.array)))
    assert not found.array[rod & (depth(GRID.points_ras()) < -6)].any()


def test_a_fine_mr_has_a_body_without_steps():
    fine = Grid((9, 200, 200), np.array([[0.5, 0, 0, -45], [0, 0.5, 0, -58], [0, 0, 0.5, 10], [0, 0, 0, 1.0]]))
    assert dice(body_mask(mr_on(fine)).array > 0, ball_on(fine).array > 0) > 0.93


def test_one_value_everywhere_is_no_body():
    with pytest.raises(InputError, match="one value everywhere"):
        body_mask(Volume(np.full((8, 8, 8), 7.0), np.eye(4), "flat"))


def test_a_body_before_air_without_noise_is_found():
    for air in (0.0, 20.0, 20.0 + 1e-6 * np.random.default_rng(0).random((12, 12, 12))):
        array = np.zeros((12, 12, 12)) + air
        array[3:9, 3:9, 3:9] = 500
        found = body_mask(Volume(array.astype(np.float32), np.diag([4.0, 4, 4, 1])))
        assert np.array_equal(found.array > 0, array == 500)


def test_balls_grow_and_shrink_in_mm_whatever_the_voxels():
    mask = np.zeros((21, 21, 41), bool)
    mask[10, 10, 20] = True
    ball = grown(mask, 4.0, np.array([2.0, 2.0, 1.0]))
    used = [np.ptp(np.flatnonzero(ball.any(axis=tuple(o for o in range(3) if o != axis)))) for axis in range(3)]
    assert used == [4, 4, 8]
    assert np.array_equal(grown(ball, -4.0, np.array([2.0, 2.0, 1.0])), mask)
    assert (
        not grown(np.zeros((3, 3, 3), bool), 1.0, np.ones(3)).any()
        and grown(np.ones((3,) * 3, bool), -1, [1] * 3).all()
    )


# ------------------------------------------------------------------------------------------------ standardisation


def test_air_and_the_brightest_tissue_are_the_units():
    mr, body = mr_on(GRID), ball_on(GRID).array > 0
    z, (location, scale) = standardised(mr.array, body)
    assert z.dtype == np.float32 and z.max() <= HIGHEST and (z[~body] == BACKGROUND).all()
    assert (20 - location) / scale == pytest.approx(BACKGROUND, abs=0.02)
    assert np.percentile(z[body], 98) == pytest.approx(BRIGHT, abs=0.02)
    other, _ = standardised(mr.array * 3.7 - 900, body)
    assert np.allclose(z, other, atol=1e-3)


def test_a_crop_hardly_changes_the_units():
    mr, body = mr_on(GRID), ball_on(GRID).array > 0
    whole = standardised(mr.array, body)[1]
    for part in (np.s_[:26], np.s_[26:], np.s_[:, :26], np.s_[:, :, 30:], np.s_[:, :, 20:34]):
        location, scale = standardised(mr.array[part], body[part])[1]
        assert scale == pytest.approx(whole[1], rel=0.05) and location == pytest.approx(whole[0], abs=0.1 * whole[1])


def test_an_empty_mask_or_a_flat_body_is_refused():
    mr = mr_on(GRID)
    with pytest.raises(InputError, match="empty"):
        standardised(mr.array, np.zeros(GRID.shape, bool))
    with pytest.raises(InputError, match="same value"):
        standardised(np.ones((5, 5, 5)), np.ones((5, 5, 5), bool))


# ------------------------------------------------------------------------------------------------ lattice


def test_the_lattice_lies_on_multiples_of_its_spacing():
    for low, high in (([-31.3, 4.0, 7.7], [12.2, 20.0, 9.1]), ([0, 0, 0], [4, 4, 4])):
        grid = working_grid_around(low, high, 2.0)
        assert np.allclose(grid.ijk_to_ras[:3, 3] % 2, 0) and np.allclose(grid.spacing, 2)
        assert (grid.to_ras([0, 0, 0]) <= low).all()
        assert (grid.to_ras(np.array(grid.shape[::-1]) - 1) >= np.array(high) - 1e-6).all()
    with pytest.raises(InputError, match="too large"):
        working_grid_around([0, 0, 0], [5000, 5000, 5000], 2.0)


@cache
def of_the_head() -> NetworkInput:
    return network_input(mr_on(GRID), 2.0)


@pytest.mark.parametrize("name", GRIDS)
def test_the_same_head_gives_the_same_voxels_however_it_is_stored(name: str):
    straight, other = of_the_head(), network_input(mr_on(GRIDS[name]), 2.0)
    common = Volume(other.z, other.grid.ijk_to_ras).resampled_to(straight.grid, "nearest")
    shift = (other.grid.ijk_to_ras[:3, 3] - straight.grid.ijk_to_ras[:3, 3]) / 2
    assert np.allclose(shift, np.round(shift))
    inside = straight.mask & (depth(straight.grid.points_ras()) > 2)
    assert np.abs(common.array - straight.z)[inside].mean() < 0.1
    assert (
        dice(mask_on(Volume(other.mask.astype(np.uint8), other.grid.ijk_to_ras), straight.grid), straight.mask) > 0.95
    )


def test_a_cropped_head_keeps_its_voxels_where_it_is():
    cropped = mr_on(GRID).cropped((slice(14, None), slice(None), slice(None)))
    whole, part = of_the_head(), network_input(cropped, 2.0)
    again = Volume(part.z, part.grid.ijk_to_ras).resampled_to(whole.grid, "nearest").array
    inside = whole.mask & (whole.grid.points_ras()[..., 2] > part.grid.ijk_to_ras[2, 3] + 8)
    assert np.abs(again - whole.z)[inside].mean() < 0.1


def test_padding_and_air_far_from_the_body_change_nothing():
    mr = mr_on(GRID)
    padded = Volume(np.pad(mr.array, 40), GRID.ijk_to_ras)
    matrix = GRID.ijk_to_ras.copy()
    matrix[:3, 3] = GRID.to_ras([-40, -40, -40])
    one, other = of_the_head(), network_input(Volume(padded.array, matrix), 2.0)
    assert other.scale == pytest.approx(one.scale, rel=0.03)
    there = Volume(other.z, other.grid.ijk_to_ras).resampled_to(one.grid, "nearest").array
    assert np.abs(there - one.z)[one.mask].mean() < 0.05
    assert other.mask.sum() == pytest.approx(one.mask.sum(), rel=0.1)  # not the padding, too


@cache
def noisy_mr() -> Volume:
    rng, mr = np.random.default_rng(0), mr_on(GRID)
    return mr.with_array(np.hypot(mr.array + rng.normal(0, 12, mr.shape), rng.normal(0, 12, mr.shape)))


def turned_in_plane(array: np.ndarray, value: float, order: int) -> np.ndarray:
    return ndimage.rotate(array, 25, axes=(1, 2), order=order, cval=value).astype(np.float32)


@cache
def turned_in_its_air(order: int) -> NetworkInput:
    return network_input(Volume(turned_in_plane(noisy_mr().array, 25, order), GRID.ijk_to_ras), 2.0)


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("value", [-1000, -60, 300, 4095])
def test_padding_of_any_value_around_a_turned_image_changes_nothing(value: float, order: int):
    padded = Volume(turned_in_plane(noisy_mr().array, value, order), GRID.ijk_to_ras)
    one, other = turned_in_its_air(order), network_input(padded, 2.0)
    there = Volume(one.mask.astype(np.uint8), one.grid.ijk_to_ras).resampled_to(other.grid, "nearest", fill=0).array
    assert dice(there > 0, other.mask) > 0.97
    assert other.scale == pytest.approx(one.scale, rel=0.03)
    assert other.location == pytest.approx(one.location, abs=0.1 * one.scale)


def test_a_padded_mr_is_no_ct_and_a_padded_ct_is_one():
    for order in (0, 1):
        assert not looks_like_ct(turned_in_plane(noisy_mr().array, -1000, order))
        assert looks_like_ct(turned_in_plane(ct_like(np.random.default_rng(0)), -3024, order))


def test_what_is_not_padded_stays_as_it_is():
    mr = noisy_mr().array
    brain = head_case(3, "test", spacing_mm=4.0, kind="stripped", contrast="T1").mr.array
    head = np.where(ball_on(GRID).array > 0, mr, 0)  # air that was set to 0
    for array in (mr, np.rint(mr).astype(np.int16), brain, np.rint(brain).astype(np.uint16), head, mr_on(GRID).array):
        assert unpadded(array) is array
    zeros = np.pad(mr, 10)  # so near the air that it does no harm
    assert unpadded(zeros) is zeros
    assert unpadded(np.pad(np.rint(mr).astype(np.int16), 10, constant_values=-500)).dtype == np.int16


def test_flips_and_crops_put_the_same_voxels_together():
    mr = mr_on(grid_around((1.0, 1.0, 1.0), half_mm=56))
    one = network_input(mr, 2.0)
    flipped = mr.ijk_to_ras.copy()
    flipped[:3, 3] = mr.grid.to_ras([mr.shape[2] - 2, 0, 0])
    flipped[:3, 0] *= -1
    other = network_input(Volume(mr.array[:, :, -2::-1], flipped), 2.0)
    assert np.allclose(one.z, other.z, atol=1e-3)
    cropped = network_input(mr.cropped((slice(1, None), slice(3, None), slice(0, -1))), 2.0)
    assert np.allclose(one.z, cropped.z, atol=1e-3)


def test_finer_voxels_are_averaged_and_the_image_ends_where_it_ends():
    rng = np.random.default_rng(0)
    fine = Volume(rng.normal(0, 1, (40, 40, 40)).astype(np.float32), np.diag([0.5, 0.5, 0.5, 1.0]))
    grid = working_grid_around([-6, -6, -6], [26, 26, 26], 2.0)
    values = onto_working_grid(fine, grid)
    assert np.nanstd(values) < 0.25  # 64 voxels make one of unit noise
    there = np.isfinite(values)
    # Voxel faces are at -0.25 and 19.75, and the outermost reach half a voxel of the lattice further.
    assert there[3, 3, 3] and there[12, 12, 12] and not there[1, 3, 3] and not there[14, 3, 3]
    smooth = fine.with_array(np.full(fine.shape, 5, np.int16))
    assert np.nanmax(np.abs(onto_working_grid(smooth, grid) - 5)) < 1e-4


def test_thick_slices_reach_to_their_faces():
    thick = Volume(np.ones((3, 20, 20), np.float32), np.diag([2.0, 2.0, 6.0, 1.0]))
    values = onto_working_grid(thick, working_grid_around([0, 0, -7], [38, 38, 19], 2.0))
    # Faces at -3 and 15 mm, and half a voxel of the lattice beyond: planes at -8 -6 | -4 ... 16 | 18 20 mm.
    assert np.isfinite(values).any(axis=(1, 2)).tolist() == [False] * 2 + [True] * 11 + [False] * 2


def test_a_spline_does_not_blur_an_oblique_image_more():
    turned = grid_around((2.0, 2.0, 2.0), rotation((0, 0, 1), 30), half_mm=60)
    grid = of_the_head().grid
    truth, inside = mr_on(grid).array, depth(grid.points_ras()) > 14
    spline = np.abs(onto_working_grid(mr_on(turned), grid) - truth)[inside].mean()
    linear = np.abs(mr_on(turned).resampled_to(grid).array - truth)[inside].mean()
    assert spline < 0.5 * linear


def test_a_given_mask_may_lie_on_another_grid():
    mr = mr_on(GRID)
    for name in GRIDS:
        working = network_input(mr, 2.0, ball_on(GRIDS[name]))
        assert dice(working.mask, ball_on(working.grid).array > 0) > 0.95
        assert (working.z[~working.mask] == BACKGROUND).all()


def test_a_mask_that_is_empty_or_elsewhere_is_refused():
    mr, ball = mr_on(GRID), ball_on(GRID, "mine")
    with pytest.raises(InputError, match="mine is empty"):
        network_input(mr, 2.0, ball.with_array(np.zeros_like(ball.array)))
    away = ball.ijk_to_ras.copy()
    away[:3, 3] += 500
    with pytest.raises(InputError, match="mine lies outside MR"):
        network_input(mr, 2.0, Volume(ball.array, away, "mine"))


def test_an_image_in_another_unit_than_mm_is_refused():
    mr = mr_on(GRID)
    small, large = "is only 0.10 x 0.10 x 0.10 mm large; check its spacing", "mm is too large"
    for factor, sentence in ((0.001, small), (1000, large)):
        matrix = mr.ijk_to_ras.copy()
        matrix[:3] *= factor
        with pytest.raises(InputError, match=sentence):
            network_input(Volume(mr.array, matrix), 2.0)


def test_blocks_are_counted_right_for_rounded_matrices():
    volume = Volume(np.zeros((4, 4, 4)), np.diag([1.00001, 1.0, 0.99999, 1.0]))
    assert shrunk(volume, 2.0).shape == (2, 2, 2)


# ------------------------------------------------------------------------------------------------ likeness


def test_what_was_seen_is_like_itself_and_other_things_are_not():
    mrs = [mr_on(GRID), mr_on(GRIDS["oblique"]), mr_on(GRIDS["LAS"])]
    seen = seen_in(mrs, 2.0)
    assert seen["spacing_mm"] == [2.0, 2.0] and len(seen["histogram"]["frequencies"]) == len(EDGES) - 1
    assert np.allclose([sum(one) / 2 for one in seen["extent_mm"]], 2 * RADII, atol=8)
    for mr in mrs:
        assert out_of_domain(mr, network_input(mr, 2.0), seen) == []
    thick = mr_on(grid_around((2.0, 2.0, 8.0), half_mm=52), "thick")
    assert any("8 mm" in note for note in out_of_domain(thick, network_input(thick, 2.0), seen))
    half = mrs[0].cropped((slice(26, None), slice(None), slice(None)))
    notes = out_of_domain(half, network_input(half, 2.0), seen)
    assert any("bottom to top" in note for note in notes)
    inverted = mrs[0].with_array(np.where(ball_on(GRID).array > 0, 1000 - mrs[0].array, mrs[0].array))
    body = ball_on(GRID)
    assert any("intensities" in note for note in out_of_domain(inverted, network_input(inverted, 2.0, body), seen))


def test_finer_voxels_than_seen_are_not_unlike():
    seen = seen_in([mr_on(GRID)], 2.0)
    fine = mr_on(grid_around((1.0, 1.0, 1.0), half_mm=50))
    assert not any("voxels" in note for note in out_of_domain(fine, network_input(fine, 2.0), seen))


def test_a_model_that_says_nothing_of_what_it_saw_warns_of_nothing():
    mr = mr_on(GRID)
    assert out_of_domain(mr, network_input(mr, 2.0), {}) == []
    with pytest.raises(InputError, match="no MR"):
        seen_in([], 2.0)


def test_the_distance_of_histograms_is_how_far_intensities_moved():
    mask = np.ones(500, bool)
    z = np.linspace(-1, 1, 500)
    one, other = histogram(z, mask), histogram(z + 1.0, mask)
    assert histogram_distance(one, one) == 0
    assert histogram_distance(one, other) == pytest.approx(1.0, abs=0.1) == histogram_distance(other, one)


# ------------------------------------------------------------------------------------------------ modality


def ct_like(rng: np.random.Generator) -> np.ndarray:
    ct = ct_on(GRID).array
    return ct + rng.normal(0, 25, ct.shape)


def test_cts_are_told_from_mrs():
    rng = np.random.default_rng(0)
    ct = ct_like(rng)
    round_field = np.where(np.linalg.norm((GRID.points_ras() - CENTRE)[..., :2], axis=-1) > 50, -3024, ct)
    outside_body = np.where(ball_on(GRID).array > 0, ct, -1024)
    for array in (ct, ct.astype(np.int16), round_field, outside_body, np.clip(ct, -1000, 3000)):
        assert looks_like_ct(array)
    with pytest.raises(InputError, match="looks like a CT"):
        refuse_ct(Volume(ct, GRID.ijk_to_ras, "wrong"))


def test_mrs_with_negative_values_are_not_taken_for_cts():
    rng = np.random.default_rng(0)
    mr = mr_on(GRID).array + rng.normal(0, 10, GRID.shape)
    z = (mr - mr.mean()) / mr.std()
    others = [
        mr,
        z,
        z * 1000,
        mr - 1024,
        mr - 1000,
        mr * 4 - 1024,
        mr - 32768,
        -mr,
        mr - mr.mean(),
        z * 300 - 900,
        mr * 1.6 - 1000,
    ]
    for number, array in enumerate(others):
        assert not looks_like_ct(array), number
    assert not looks_like_ct(np.zeros((3, 3, 3))) and not looks_like_ct(np.full((3, 3, 3), np.nan))


@pytest.mark.parametrize("offset", [1024, 1000])
def test_cts_stored_without_a_sign_are_told_from_mrs(offset: int):
    case = head_case(1, "test", spacing_mm=4.0, kind="head", contrast="T1")
    ct = np.clip(case.ct.array + np.random.default_rng(0).normal(0, 25, case.ct.shape), -offset, 4095 - offset)
    stored = np.rint(ct + offset).astype(np.uint16)
    assert looks_like_offset_ct(stored) and not looks_like_ct(stored)
    assert not looks_like_offset_ct(ct)
    with pytest.raises(InputError, match="wrong looks like a CT stored with an offset of 1024"):
        refuse_ct(case.ct.with_array(stored, "wrong"))


@pytest.mark.parametrize("kind", ["head", "stripped"])
@pytest.mark.parametrize("contrast", ["T1", "T2", "PD", "FLAIR", "random"])
def test_no_unit_makes_an_mr_a_ct_without_a_sign(kind: str, contrast: str):
    mr = head_case(2, "test", spacing_mm=5.0, kind=kind, contrast=contrast).mr.array
    brightest = np.percentile(mr, 99.5)
    taken = [top for top in np.geomspace(800, 5000, 40) if looks_like_offset_ct(mr * (top / brightest))]
    assert not taken
    assert not looks_like_offset_ct(np.zeros((3, 3, 3))) and not looks_like_offset_ct(np.full((3, 3, 3), 1050.0))


@pytest.mark.parametrize(
    ("name", "ct"),
    [
        ("ct_template_head_2mm_hu.nii.gz", True),
        ("abdomen_ct_3mm.nii.gz", True),
        ("abdomen_mr_slab_3mm.nii.gz", False),  # has values down to -47
        ("mni152_t1_head_2mm.nii.gz", False),
        ("brain_tumor1_t1gd.nrrd", False),
    ],
)
def test_real_images_are_told_apart(shared_data, name: str, ct: bool):
    from SparseToPreciseLib.core.images import read_image

    array = read_image(shared_data / name).array
    assert looks_like_ct(array) is ct
    assert not looks_like_offset_ct(array)
    assert looks_like_offset_ct(array.astype(np.float32) + 1024) is ct


# ------------------------------------------------------------------------------------------------ classes, spread


def test_classes_are_thresholds_within_the_body():
    ct = Volume(np.array([[[-1024, -401, -400, 0, 250, 251, 2000]]], np.int16), np.eye(4), "x")
    assert classify(ct).array.ravel().tolist() == [AIR, AIR, SOFT, SOFT, SOFT, BONE, BONE]
    body = ct.with_array(np.array([[[0, 1, 1, 1, 1, 1, 0]]], np.uint8))
    assert classify(ct, body).array.ravel().tolist() == [0, AIR, SOFT, SOFT, SOFT, BONE, 0]
    with pytest.raises(InputError, match="empty"):
        classify(ct, body.with_array(np.zeros_like(body.array)))


def test_eight_flips_of_three_axes_and_the_image_itself_first():
    assert flips([0, 1, 2])[0] == () and len(set(flips([0, 1, 2]))) == 8
    assert flips([]) == [()] and flips([2]) == [(), (2,)]


def test_the_spread_is_that_of_numpy():
    rng = np.random.default_rng(0)
    arrays = rng.normal(0, 1, (5, 3, 4, 5)).astype(np.float32)
    spread = Spread()
    for array in arrays:
        spread.add(array)
    assert np.allclose(spread.mean, arrays.mean(axis=0), atol=1e-6)
    assert np.allclose(spread.deviation, arrays.std(axis=0, ddof=1), atol=1e-6)
    single = Spread()
    single.add(arrays[0])
    assert not single.deviation.any() and np.array_equal(single.mean, arrays[0])


def test_the_body_does_not_reach_into_the_air():
    # Closing and filling must not make a block of the head.
    found = body_mask(mr_on(GRID)).array > 0
    far = depth(GRID.points_ras()) < -6
    assert not found[far].any() and ndimage.label(found)[1] == 1
