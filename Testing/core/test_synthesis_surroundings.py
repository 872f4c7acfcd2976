"""What lies around a body: masks and padding of CTs and MRs, NaN, bright noise, shading, and which way up it lies."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from edit_cases import grid_around, resized
from scipy import ndimage
from synthesis_cases import GRID, ball_on, ct_on, mr_on, tiny_model

from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.volume import Volume
from SparseToPreciseLib.phantoms.head import HeadCase, head_case
from SparseToPreciseLib.synthesis.body import body_mask, grown
from SparseToPreciseLib.synthesis.cases import TrainingCase, check_ct, check_pair, prepared
from SparseToPreciseLib.synthesis.confidence import out_of_domain, refuse_other_unit
from SparseToPreciseLib.synthesis.hu import AIR_BELOW, OUTSIDE, HuWindow
from SparseToPreciseLib.synthesis.inputs import NetworkInput, check_mr, network_input
from SparseToPreciseLib.synthesis.metrics import evaluate
from SparseToPreciseLib.synthesis.modality import looks_like_ct, looks_like_offset_ct, may_be_ct, surroundings

SEEN = {"extent_mm": [[117, 208], [150, 255], [127, 255]]}
"""Of a model that knows heads."""


@cache
def head(number: int = 0, contrast: str = "T1", kind: str = "head", spacing_mm: float = 4.0) -> HeadCase:
    given = {"kind": kind, "contrast": contrast, "misregistration_mm": 0, "thick_slices": False}
    return head_case(number, "test", spacing_mm=spacing_mm, whole=True, **given)


@cache
def learnt_from() -> TrainingCase:
    """What is learnt from `head()` as it is."""
    return prepared(head().mr, head().ct, 4.0, HuWindow(), 15.0)


@cache
def ct_body() -> np.ndarray:
    return body_mask(head().ct, AIR_BELOW).array > 0


def masked(array: np.ndarray, body: np.ndarray, dilated: int, outside: float) -> np.ndarray:
    kept = ndimage.binary_dilation(body, iterations=dilated) if dilated else body
    return np.where(kept, array, outside).astype(np.float32)


# ------------------------------------------------------------------------------------------------ masks


@pytest.mark.parametrize("outside", [-1000, -1024, -2000, -3024])
@pytest.mark.parametrize("dilated", [0, 1, 3, 10])
def test_a_masked_ct_is_a_ct(outside: float, dilated: int):
    case = head()
    ct = case.ct.with_array(masked(case.ct.array, ct_body(), dilated, outside), "CT")
    assert looks_like_ct(ct.array)
    with pytest.raises(InputError, match="CT looks like a CT"):
        check_mr(ct)
    made, plain = prepared(case.mr, ct, 4.0, HuWindow(), 15.0), learnt_from()
    # What is darker than air was not blurred into the skin: that a mask cuts it sharply costs 18 HU here, as with air.
    assert np.abs(made.ct.astype(float) - plain.ct)[plain.mask].mean() * 4024 < 22


@cache
def thigh() -> tuple[Volume, np.ndarray]:
    """A low-dose CT of a thigh, half of it fat, 2 % bone, and its body."""
    k, j, i = np.indices((20, 60, 60))
    r = np.hypot(j - 30 + np.sin(k), i - 30)
    ct = np.select([r < 4, r < 5, r < 17, r < 25], [40.0, 900.0, 55.0, -100.0], -1000.0)
    noise = np.random.default_rng(0).normal(0, 30, ct.shape)
    return Volume(np.maximum(ct + noise, -1024).astype(np.float32), np.diag([2.0, 2.0, 3.0, 1.0]), "CT"), r < 25


@pytest.mark.parametrize("offset", [1024, 1000])
@pytest.mark.parametrize("dilated", [None, 0, 3, 10])
def test_a_ct_stored_without_a_sign_is_one(offset: float, dilated: int | None):
    limb, limbs_body = thigh()
    case = head()
    for ct, body in ((limb, limbs_body), (case.ct, ct_body())):
        stored = ct.with_array(np.maximum(ct.array + offset, 0), "CT")
        if dilated is not None:
            stored = stored.with_array(masked(stored.array, body, dilated, 0))
        assert looks_like_offset_ct(stored.array) and not looks_like_ct(stored.array)
        with pytest.raises(InputError, match="CT looks like a CT stored with an offset of 1024"):
            check_mr(stored)
        with pytest.raises(InputError, match=r"CT looks like a CT .* near 1050\); subtract 1024 from it first"):
            check_ct(stored)


@pytest.mark.parametrize("dilated", [0, 3, 10])
def test_a_ct_of_a_limb_that_is_masked_is_one(dilated: int):
    ct, body = thigh()
    for outside in (-1024, -2000, -3024):
        given = ct.with_array(masked(ct.array, body, dilated, outside))
        check_ct(given)
        with pytest.raises(InputError, match="CT looks like a CT"):
            check_mr(given)


@pytest.mark.parametrize("dilated", [0, 3, 10])
def test_a_ct_with_tissue_around_its_mask_is_refused(dilated: int):
    limb, limbs_body = thigh()
    case = head()
    for ct, body in ((limb, limbs_body), (case.ct, ct_body())):
        given = ct.with_array(masked(ct.array, body, dilated, 0), "CT")
        with pytest.raises(InputError, match="CT looks like a CT"):
            check_mr(given)
        with pytest.raises(InputError, match=r"CT has the value 0 around its mask, .*; give it -1024 there"):
            check_ct(given)
        check_ct(ct)


@pytest.mark.parametrize("name", ["STS_002", "STS_008", "STS_024"])
def test_real_limbs_are_told_apart_however_they_are_masked_and_stored(shared_data, name: str):
    from SparseToPreciseLib.core.images import read_image

    folder = shared_data / "real" / "mr_ct_pairs_limb"
    mr, ct = (read_image(folder / f"{name}_{kind}_img.nii.gz").array.astype(np.float32) for kind in ("mr", "ct"))
    body = body_mask(read_image(folder / f"{name}_ct_img.nii.gz"), AIR_BELOW).array > 0
    for dilated in (0, 2, 5):
        assert looks_like_ct(masked(ct, body, dilated, -1024))
        assert looks_like_offset_ct(masked(ct + 1024, body, dilated, 0))
    assert looks_like_ct(ct) and looks_like_offset_ct(ct + 1024)
    for top in (100, 400, 1200, 1600, 2000, 3000, 5000):
        given = mr * (top / np.percentile(mr, 99.5))
        for array in (given, masked(given, body, 0, 0)):
            assert not looks_like_ct(array) and not looks_like_offset_ct(array)


def test_a_brain_without_skull_may_be_a_ct_where_it_is_said_to_be_one():
    brain = head(1, kind="stripped")
    ct = masked(brain.ct.array, brain.body.array > 0, 0, -2000)
    assert may_be_ct(ct) and not looks_like_ct(np.clip(ct, -2000, 80))
    mr = brain.mr.array / np.percentile(brain.mr.array, 99) * 1000
    assert not may_be_ct(masked(mr, brain.body.array > 0, 0, -2000))


@pytest.mark.parametrize("value", [-1000, -2000])
def test_a_padded_mr_of_any_unit_is_no_ct(value: float):
    for mr in (head().mr.array, head(1, kind="stripped").mr.array):
        for top in (100, 255, 600, 1000, 4000):
            given = mr * (top / np.percentile(mr, 99.5))
            assert not looks_like_ct(np.pad(given, 8, constant_values=value))
            assert not looks_like_ct(ndimage.rotate(given, 20, axes=(1, 2), order=1, cval=value))


@cache
def fat_saturated(level: float) -> tuple[Volume, np.ndarray]:
    """A noisy head whose outer 8 mm have hardly a signal, and its body."""
    case = head(4)
    body = case.body.array > 0
    bright, rng = np.percentile(case.mr.array[body], 98), np.random.default_rng(0)
    array = case.mr.array.copy()
    skin = body & ~grown(body, -8.0, case.mr.grid.spacing_kji)
    array[skin] = level * bright * (1 + 0.1 * rng.normal(size=np.count_nonzero(skin)))
    noisy = np.hypot(array, np.random.default_rng(1).normal(0, 0.01 * np.percentile(array, 98), array.shape))
    return case.mr.with_array(noisy.astype(np.float32), "MR"), body


@cache
def voxels_of_fat_saturated(level: float) -> NetworkInput:
    return network_input(fat_saturated(level)[0], 4.0)


@pytest.mark.parametrize("dilated", [0, 2, 10])
@pytest.mark.parametrize("level", [0.05, 0.12])
def test_a_masked_fat_saturated_head_loses_nothing_without_a_word(level: float, dilated: int):
    mr, body = fat_saturated(level)
    given = network_input(mr.with_array(masked(mr.array, body, dilated, 0)), 4.0)
    unmasked = voxels_of_fat_saturated(level)
    lost, before = (
        np.count_nonzero(body & (there == 0)) / np.count_nonzero(body)
        for there in (
            Volume(one.mask.astype(np.uint8), one.grid.ijk_to_ras).resampled_to(mr.grid, "nearest", fill=0).array
            for one in (given, unmasked)
        )
    )
    noted = any("taken for air" in note for note in given.notes)
    assert lost < 0.1 or noted or (dilated == 10 and lost < before + 0.02)


def test_padding_and_masks_of_an_mr_are_told_apart():
    mr, body = head().mr, head().body.array > 0
    air = np.hypot(mr.array, np.random.default_rng(0).normal(0, 0.02 * mr.array.max(), mr.shape))
    assert surroundings(air) is None
    assert surroundings(masked(air, body, 0, 0)).is_mask
    padding = surroundings(ndimage.rotate(air, 25, axes=(1, 2), order=0, cval=-500.0))
    assert not padding.is_mask and padding.value == -500 and padding.air > -1


def test_a_mask_is_neither_mr_nor_ct():
    mask = head().body.with_array(head().body.array, "p1/mask.nii.gz")
    with pytest.raises(InputError, match=r"p1/mask\.nii\.gz has only the values 0 and 1, so it is a mask and no MR"):
        check_mr(mask)
    with pytest.raises(InputError, match=r"p1/mask\.nii\.gz .* it is a mask and no CT; give the CT"):
        check_pair(head().mr, mask)


# ------------------------------------------------------------------------------------------------ NaN


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory):
    from SparseToPreciseLib.synthesis.model import load_model

    return load_model(tiny_model(tmp_path_factory.mktemp("models") / "tiny"), "cpu")


def test_nan_beyond_the_field_of_view_is_left_out_with_a_note(model):
    from SparseToPreciseLib.synthesis.synthesize import synthesize

    mr = mr_on(GRID)
    beyond = np.zeros(GRID.shape, bool)
    beyond[:, :, :14] = True
    whole = synthesize(mr, model)
    part = synthesize(mr.with_array(np.where(beyond, np.nan, mr.array)), model)
    assert (part.ct.array[beyond] == OUTSIDE).all() and not part.body.array[beyond].any()
    assert any("26.9% of MR is NaN at its border" in note for note in part.warnings)
    inside = (whole.body.array > 0) & ~ndimage.binary_dilation(beyond, iterations=3)
    assert np.abs(part.ct.array.astype(float) - whole.ct.array)[inside].mean() < 30
    given = synthesize(mr.with_array(np.where(beyond, np.nan, mr.array)), model, ball_on(GRID))
    assert (given.ct.array[beyond] == OUTSIDE).all()


def test_nan_within_an_image_is_refused_everywhere():
    case = head()
    hole = np.zeros(case.mr.shape, bool)
    hole[20:22, 20:22, 20] = True
    mr, ct = (one.with_array(np.where(hole, np.nan, one.array), "scan") for one in (case.mr, case.ct))
    refused = "scan has NaN at 4 voxels within the image"
    with pytest.raises(InputError, match=refused):
        check_mr(mr)
    for pair in ((mr, case.ct), (case.mr, ct)):
        with pytest.raises(InputError, match=refused):
            prepared(*pair, 4.0, HuWindow(), 15.0)
    for images in ((ct, case.ct), (case.ct, ct)):
        with pytest.raises(InputError, match=refused):
            evaluate(*images)
    with pytest.raises(InputError, match="scan has infinite values"):
        check_mr(mr.with_array(np.where(hole, np.inf, case.mr.array)))


def test_nan_of_a_reference_or_a_ct_is_left_out_of_a_comparison():
    ct = ct_on(GRID, "CT")
    array = ct.array.copy()
    array[:, :, :20] = np.nan
    plain = evaluate(ct.with_array(ct.array + 10), ct)
    for made, true in ((ct.with_array(array + 10), ct), (ct.with_array(ct.array + 10), ct.with_array(array))):
        found = evaluate(made, true)
        assert found.mae == pytest.approx(plain.mae, abs=0.2) and found.voxels["mask"] < 0.8 * plain.voxels["mask"]
        assert any("CT is NaN at its border" in note for note in found.notes)


# ------------------------------------------------------------------------------------------------ noise and shading


def test_a_background_as_bright_as_tissue_is_told_by_its_texture():
    mr = mr_on(grid_around((1.0, 1.0, 1.0), half_mm=60), "UNI")
    body = ball_on(mr.grid).array > 0
    noise = np.random.default_rng(0).uniform(0, 1000, mr.shape)
    given = network_input(mr.with_array(np.where(body, mr.array, noise).astype(np.float32)), 2.0)
    truth = ball_on(given.grid).array > 0
    both = np.count_nonzero(given.mask & truth)
    assert 2 * both / (np.count_nonzero(given.mask) + np.count_nonzero(truth)) > 0.9
    assert given.notes and "noise as bright as tissue" in given.notes[0] and "give a mask" in given.notes[0]


def test_a_body_that_fills_its_image_is_warned_of():
    mr = mr_on(GRID, "crop")
    crop = mr.cropped((slice(18, 38), slice(18, 38), slice(18, 38)))
    notes = network_input(crop, 2.0).notes
    assert len(notes) == 1 and "The body in crop fills the image (it reaches 5 of its 6 sides)" in notes[0]
    assert network_input(crop, 2.0, ball_on(GRID)).notes == () and network_input(mr, 2.0).notes == ()


@pytest.mark.parametrize("ratio", [4, 7, 13])
@pytest.mark.parametrize("upwards", [True, False])
def test_shading_of_a_coil_cuts_neither_base_nor_vertex(ratio: float, upwards: bool):
    case = head(7, spacing_mm=3.5)
    light = ratio ** -np.linspace(0, 1, case.mr.shape[0])[:: 1 if upwards else -1, None, None]
    noise = np.random.default_rng(0).normal(0, 0.002 * case.mr.array.max(), case.mr.shape)
    found = body_mask(case.mr.with_array(np.hypot(case.mr.array * light, noise))).array > 0
    truth = case.body.array > 0
    assert np.count_nonzero(found & truth) > 0.985 * np.count_nonzero(truth)
    assert np.count_nonzero(found & ~truth) < 0.08 * np.count_nonzero(truth)


# ------------------------------------------------------------------------------------------------ orientation


def notes_of(mr: Volume) -> list[str]:
    return out_of_domain(mr, network_input(mr, 4.0), SEEN)


def test_a_head_as_it_should_be_is_not_warned_of():
    for case in (head(), head(1, "T2"), head(7, spacing_mm=3.5)):
        assert notes_of(case.mr) == []


def test_an_image_that_has_lost_its_orientation_is_warned_of():
    mr = head().mr
    # Stored as a sagittal scan, and read as if its first axis were left to right.
    lost = Volume(mr.array.transpose(1, 2, 0), np.diag([4.0, 4.0, 4.0, 1.0]), "scan")
    wide = [note for note in notes_of(lost) if "its orientation may be wrong" in note]
    assert len(wide) == 1 and "mm wide and" in wide[0] and "have lost" not in wide[0] and "has lost them" in wide[0]


def test_a_head_upside_down_is_warned_of():
    mr = head().mr
    lower = (mr.array.shape[0] * 2) // 5
    cut = mr.cropped((slice(lower, None), slice(None), slice(None)))
    assert not any("upside down" in note for note in notes_of(cut))
    down = Volume(np.ascontiguousarray(cut.array[::-1]), cut.ijk_to_ras, "scan")
    assert any("scan is cut at the upper end" in note and "upside down" in note for note in notes_of(down))


@pytest.mark.parametrize(("factor", "measured"), [(0.1, "19 x 24 x 24 mm"), (1e-3, "0.19 x 0.24 x 0.24 mm")])
def test_a_head_that_is_not_in_millimetres_is_refused(factor: float, measured: str):
    small = resized(head().mr.with_array(head().mr.array, "scan"), factor)
    with pytest.raises(InputError, match=rf"^scan is only {measured} large, and .* up to 255 mm; check its spacing"):
        refuse_other_unit(small, SEEN)
    refuse_other_unit(head().mr, SEEN)
    refuse_other_unit(small, {})
