"""The numbers by which a synthetic CT is judged: known errors give known numbers."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from edit_cases import grid_around
from scipy import ndimage
from synthesis_cases import CENTRE, GRID, GRIDS, ball_on, ct_on, depth

from SparseToPreciseLib.core.errors import Cancelled, InputError
from SparseToPreciseLib.core.masks import dice
from SparseToPreciseLib.core.progress import Progress
from SparseToPreciseLib.core.volume import Volume
from SparseToPreciseLib.synthesis.bands import split_bands
from SparseToPreciseLib.synthesis.hu import HuWindow
from SparseToPreciseLib.synthesis.metrics import Evaluation, evaluate, spectrum_ratio, ssim

REFERENCE = ct_on(GRID, "truth")
BODY = ball_on(GRID).array > 0


def changed(array: np.ndarray, name: str = "made") -> Volume:
    return Volume(array.astype(np.float32), GRID.ijk_to_ras, name)


def test_a_ct_against_itself_is_without_error():
    found = evaluate(REFERENCE, REFERENCE)
    assert (found.mae, found.bias, found.air, found.soft, found.bone, found.bone_edge) == (0,) * 6
    assert found.high_frequency == 0 and found.bone_dice == 1 and found.ssim == pytest.approx(1)
    assert math.isinf(found.psnr) and found.as_json()["psnr"] is None
    assert all(ratio == pytest.approx(1) for _, _, ratio in found.spectrum)
    assert not found.error.array.any() and found.notes == []


def test_a_constant_error_is_the_mae_everywhere_and_the_bias():
    found = evaluate(changed(REFERENCE.array + 30), REFERENCE)
    for value in (found.mae, found.bias, found.soft, found.bone, found.bone_edge):
        assert value == pytest.approx(30, abs=1e-3)
    assert found.psnr == pytest.approx(20 * np.log10(4024 / 30), abs=1e-3)
    # The low band takes what is constant far from the skin; at the skin the body ends, and so does the error.
    assert found.high_frequency < 20
    assert evaluate(changed(REFERENCE.array - 30), REFERENCE).bias == pytest.approx(-30, abs=0.5)


def test_errors_are_counted_by_the_references_classes():
    wrong = REFERENCE.array.copy()
    bone = (REFERENCE.array > 250) & BODY
    air = (REFERENCE.array < -400) & BODY
    wrong[bone] += 100
    wrong[air] += 40
    found = evaluate(changed(wrong), REFERENCE, ball_on(GRID))
    assert found.bone == pytest.approx(100, abs=1e-3) and found.air == pytest.approx(40, abs=1e-3) and found.soft == 0
    assert found.voxels == {"mask": BODY.sum(), "air": air.sum(), "bone": bone.sum()}
    assert found.mae == pytest.approx((100 * bone.sum() + 40 * air.sum()) / BODY.sum(), rel=1e-4)


def test_the_bone_edge_reaches_half_its_width_to_either_side():
    points = GRID.points_ras()
    flat = np.where(points[..., 0] < CENTRE[0], 900.0, 0.0)  # one plane of bone edge, at a voxel's face
    everywhere = Volume(np.ones(GRID.shape, np.uint8), GRID.ijk_to_ras)
    distance = np.abs(points[..., 0] - points[..., 0][flat > 250].max() - 1.0)
    # Voxel centres lie 1, 3, 5 ... mm from the face.
    for width, edge in ((0.5, True), (2.0, False)):
        wrong = flat + 50.0 * ((distance > width) & (distance < width + 2))
        found = evaluate(changed(wrong), changed(flat, "truth"), everywhere)
        assert (found.bone_edge > 0) is edge


def test_bone_dice_counts_what_is_above_the_threshold():
    shrunk_bone = np.where((REFERENCE.array > 250) & (GRID.points_ras()[..., 0] > CENTRE[0]), 0, REFERENCE.array)
    found = evaluate(changed(shrunk_bone), REFERENCE, ball_on(GRID))
    bone = (REFERENCE.array > 250) & BODY
    kept = (shrunk_bone > 250) & BODY
    assert found.bone_dice == pytest.approx(2 * kept.sum() / (kept.sum() + bone.sum()))


def test_the_high_band_of_the_error_is_that_of_both_images():
    rng = np.random.default_rng(0)
    made = np.where(BODY, REFERENCE.array + ndimage.gaussian_filter(rng.normal(0, 400, GRID.shape), 2), -1024)
    for sigma in (2.0, 15.0):
        found = evaluate(changed(made), REFERENCE, ball_on(GRID), sigma_mm=sigma)
        bands = [
            split_bands(changed(np.where(BODY, array, -1024)), sigma)[1].array for array in (made, REFERENCE.array)
        ]
        assert found.high_frequency == pytest.approx(np.abs(bands[0] - bands[1])[BODY].mean(), rel=0.03)


def test_a_smoother_ct_has_less_power_and_noise_has_more():
    inner = Volume((depth(GRID.points_ras()) > -2).astype(np.uint8), GRID.ijk_to_ras)
    smooth = evaluate(changed(ndimage.gaussian_filter(REFERENCE.array, 1.5)), REFERENCE, inner).spectrum
    ratios = [ratio for _, _, ratio in smooth]
    assert ratios == sorted(ratios, reverse=True) and ratios[-1] < 0.2 < ratios[0]
    noise = np.random.default_rng(0).normal(0, 60, GRID.shape)
    noisy = evaluate(changed(REFERENCE.array + noise), REFERENCE, inner).spectrum
    assert noisy[-1][2] > 1.2 and noisy[0][2] == pytest.approx(1, abs=0.05)
    # Voxels of 2 mm hold nothing shorter than 4 mm.
    assert noisy[-1][:2] == (8.0, 4.0)


def test_a_wave_is_found_in_its_band():
    points = GRID.points_ras()
    where = np.ones(GRID.shape, bool)
    other = np.sin(2 * np.pi * points[..., 2] / 11.0)
    found = {(a, b): ratio for a, b, ratio in spectrum_ratio(3 * other, other, where, [2.0, 2.0, 2.0])}
    assert found[16.0, 8.0] == pytest.approx(9, rel=1e-3)


def test_ssim_is_scikit_images_whatever_the_planes_at_once(monkeypatch: pytest.MonkeyPatch):
    from skimage.metrics import structural_similarity

    from SparseToPreciseLib.synthesis import metrics

    rng = np.random.default_rng(0)
    one = REFERENCE.array + rng.normal(0, 80, GRID.shape).astype(np.float32)
    _, whole = structural_similarity(one, REFERENCE.array, win_size=7, data_range=4024, full=True)
    for planes in (24, 5, 1):
        monkeypatch.setattr(metrics, "_PLANES_AT_ONCE", planes)
        assert ssim(one, REFERENCE.array, BODY, 4024) == pytest.approx(whole[BODY].mean(), abs=1e-4)
    thin = (slice(20, 23), slice(None), slice(None))
    assert ssim(one[thin], one[thin], BODY[thin], 4024) == pytest.approx(1)


@pytest.mark.parametrize("name", GRIDS)
def test_the_reference_may_lie_on_another_grid(name: str):
    found = evaluate(REFERENCE, ct_on(GRIDS[name], "truth"))
    # Interpolation of sharp edges remains; a shift of one voxel would be far more.
    assert found.mae < 45 and found.bone_dice > 0.9
    shifted = ct_on(GRIDS[name]).ijk_to_ras.copy()
    shifted[:3, 3] += [4, 0, 0]
    assert evaluate(REFERENCE, Volume(ct_on(GRIDS[name]).array, shifted)).mae > 1.5 * found.mae
    assert found.error.grid.same_as(GRID) and found.error.array.dtype == np.float32


def test_what_lies_beyond_the_reference_is_left_out_and_said():
    part = REFERENCE.cropped((slice(0, 30), slice(None), slice(None)))
    found = evaluate(changed(REFERENCE.array), Volume(part.array, part.ijk_to_ras, "part"), ball_on(GRID))
    assert found.mae == 0 and not found.mask.array[31:].any()
    assert "beyond part" in found.notes[0]


def test_the_mask_may_lie_on_another_grid_and_bounds_everything():
    found = evaluate(changed(REFERENCE.array + 10), REFERENCE, ball_on(GRIDS["oblique"]))
    assert found.error.array[depth(GRID.points_ras()) < -3].max() == 0
    inside = found.mask.array > 0
    assert np.allclose(found.error.array[inside], 10, atol=1e-3) and not found.error.array[~inside].any()
    assert dice(inside, BODY) > 0.95


def test_without_a_mask_the_table_and_the_air_do_not_count():
    points = GRID.points_ras()
    table = np.abs(points[..., 1] - (CENTRE[1] - 48)) < 2
    found = evaluate(changed(np.where(table, 300.0, REFERENCE.array)), REFERENCE)
    assert found.mae < 1 and not found.mask.array[depth(points) < -5].any()


def test_both_are_clipped_to_the_window():
    made = changed(np.where(BODY, REFERENCE.array, -3024))
    metal = changed(np.where(REFERENCE.array > 250, 9000, REFERENCE.array), "truth")
    found = evaluate(made, metal, window=HuWindow(-1000, 1000))
    assert found.error.array.max() <= 2000 and found.error.array.min() >= -2000
    assert any("2000 HU" in one for one in found.definitions)


def test_there_is_no_error_of_a_class_that_is_not_there():
    soft = changed(np.where(BODY, 40.0, -1000.0), "truth")
    found = evaluate(soft, soft)
    assert math.isnan(found.bone) and math.isnan(found.bone_edge) and math.isnan(found.bone_dice)
    assert found.as_json()["bone"] is None and "MAE in bone: none" in found.as_text()


def test_the_numbers_as_text_and_json_are_the_same_and_say_what_they_mean():
    found = evaluate(changed(REFERENCE.array + 30), REFERENCE)
    content = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert content["mae"] == pytest.approx(30, abs=1e-3) and content["spectrum"][0]["longest_mm"] == 64
    text = found.as_text()
    assert "MAE: 30.00 HU" in text and "uniform window of 7 voxels" in text and "4024 HU" in text
    assert isinstance(found, Evaluation) and len(found.rows) == 10 + len(found.spectrum)


def test_bad_input_is_refused_in_one_sentence():
    empty = ball_on(GRID, "nothing")
    with pytest.raises(InputError, match="The mask nothing is empty"):
        evaluate(REFERENCE, REFERENCE, empty.with_array(np.zeros_like(empty.array)))
    with pytest.raises(InputError, match="truth has NaN"):
        evaluate(changed(REFERENCE.array), Volume(np.where(BODY, np.nan, REFERENCE.array), GRID.ijk_to_ras, "truth"))
    away = GRID.ijk_to_ras.copy()
    away[:3, 3] += 1000
    with pytest.raises(InputError, match="no place in common"):
        evaluate(changed(REFERENCE.array), Volume(REFERENCE.array, away, "truth"))
    with pytest.raises(InputError, match="The mask body lies outside"):
        evaluate(REFERENCE, REFERENCE, Volume(BODY.astype(np.uint8), away, "body"))
    with pytest.raises(InputError, match="one value everywhere|No body"):
        evaluate(changed(REFERENCE.array), changed(np.zeros(GRID.shape), "truth"))


def test_an_image_that_is_not_in_hu_is_doubted():
    found = evaluate(changed(REFERENCE.array + 1024, "shifted"), REFERENCE)
    assert found.notes and "shifted has no air" in found.notes[0]


def test_a_cancel_ends_it():
    with pytest.raises(Cancelled):
        evaluate(REFERENCE, REFERENCE, progress=Progress(None, lambda: True))


def test_thick_slices_are_compared_in_mm():
    grid = grid_around((1.5, 1.5, 5.0), half_mm=50)
    found = evaluate(ct_on(grid), ct_on(grid))
    assert found.mae == 0 and found.spectrum[-1][1] >= 10 - 1e-6
