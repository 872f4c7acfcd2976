"""Head phantoms: MR and CT show one anatomy, bone is dark as air in the MR, and no case serves two uses."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.phantoms import head_tissues as tissues
from SparseToPreciseLib.phantoms.head import FIRST_SEED, SEEDS_PER_USE, HeadCase, head_case

COARSE = {"spacing_mm": 3.0}


@cache
def still(number: int, contrast: str = "T1") -> HeadCase:
    return head_case(
        number, "test", kind="head", contrast=contrast, misregistration_mm=0, thick_slices=False, whole=True, **COARSE
    )


def deep(case: HeadCase, *which: int) -> np.ndarray:
    """Voxels that are one of the tissues, and so are their neighbours."""
    return ndimage.binary_erosion(np.isin(case.labels.array, which))


def test_the_same_case_every_time_and_another_for_each_number_and_use() -> None:
    first, again, other, use = (head_case(*which, **COARSE) for which in ((3,), (3,), (4,), (3, "benchmark")))
    for one, two in zip(vars(first).values(), vars(again).values(), strict=True):
        if hasattr(one, "array"):
            np.testing.assert_array_equal(one.array, two.array)
        else:
            assert one == two
    for different in (other, use):
        assert different.ct.shape != first.ct.shape or np.abs(different.ct.array - first.ct.array).max() > 500


def test_uses_share_no_seed() -> None:
    assert min(np.diff(sorted(FIRST_SEED.values()))) >= SEEDS_PER_USE
    assert head_case(7, "validation", **COARSE).seed == FIRST_SEED["validation"] + 7
    for number, use in ((SEEDS_PER_USE, "train"), (-1, "train"), (0, "holiday")):
        with pytest.raises(InputError, match="no head"):
            head_case(number, use)


@pytest.mark.parametrize("wrong", [{"kind": "foot"}, {"contrast": "T9"}, {"spacing_mm": 20.0}])
def test_unknown_wishes_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError):
        head_case(0, **wrong)


@pytest.mark.parametrize("number", range(2))
def test_the_ct_has_the_hounsfield_units_of_its_tissues(number: int) -> None:
    case = still(number)
    ct = case.ct.array
    assert ct.dtype == np.float32 and ct.min() >= -1024 and ct.max() <= 3000
    assert np.median(ct[case.body.array == 0]) == pytest.approx(-1000, abs=15)
    ranges = {tissues.GREY: (25, 50), tissues.WHITE: (20, 45), tissues.MUSCLE: (30, 80), tissues.FAT: (-125, -60)}
    for tissue, (low, high) in ranges.items():
        assert low < np.median(ct[deep(case, tissue)]) < high, tissues.TISSUES[tissue]
    assert np.median(ct[deep(case, *tissues.BONES)]) > 350
    hollow = deep(case, tissues.AIR) & (ndimage.binary_erosion(case.body.array, iterations=3) != 0)
    assert np.median(ct[hollow]) < -700


@pytest.mark.parametrize("contrast", tissues.CONTRASTS)
def test_bone_is_as_dark_as_air_in_every_contrast(contrast: str) -> None:
    case = still(1, contrast)
    mr, body = case.mr.array, case.body.array != 0
    compact = np.isin(case.labels.array, (tissues.COMPACT, tissues.PETROUS)) & (case.ct.array > 900)
    air = deep(case, tissues.AIR) & ~body
    soft = deep(case, tissues.GREY, tissues.WHITE, tissues.MUSCLE, tissues.CSF)
    assert np.median(mr[compact]) < 0.45 * np.percentile(mr[soft], 90)
    assert np.median(mr[air]) < 0.2 * np.percentile(mr[soft], 90)
    assert mr.min() >= 0


def test_a_skull_of_plausible_thickness_closes_the_brain_in() -> None:
    case = still(0)
    labels = case.labels.array
    bone = np.isin(labels, tissues.BONES)
    heights = case.labels.grid.to_ras(np.argwhere(bone)[:, ::-1])[:, 2]
    upper = int((heights.max() - 60 - case.labels.ijk_to_ras[2, 3]) / 3)  # a plane through the vault
    plane = np.isin(labels[upper], (tissues.GREY, tissues.WHITE, tissues.CSF, tissues.DURA, tissues.BLOOD))
    closed = ndimage.binary_fill_holes(bone[upper] | ndimage.binary_dilation(bone[upper]))
    assert plane.sum() > 300 and (plane & ~closed).sum() == 0
    ring = 2 * bone[upper].sum() * 9 / (3 * np.count_nonzero(ndimage.binary_dilation(bone[upper]) ^ bone[upper]))
    assert 2 < ring < 12


def test_contrasts_differ_between_cases() -> None:
    orders = set()
    for number in range(8):
        _, means, _ = tissues.mr_tissues(np.random.default_rng(number))
        orders.add(tuple(np.argsort(means[[tissues.CSF, tissues.GREY, tissues.WHITE, tissues.FAT]])))
        assert means[tissues.AIR] == 0 and means[tissues.COMPACT] < 0.1
    assert len(orders) >= 4


def test_a_skull_stripped_case_has_nothing_but_the_brain() -> None:
    case = head_case(5, "test", kind="stripped", misregistration_mm=0, **COARSE)
    outside = case.body.array == 0
    assert (case.mr.array[outside] == 0).all() and (case.ct.array[outside] == -1000).all()
    assert not np.isin(case.labels.array, tissues.BONES).any()
    assert case.ct.array[~outside].min() >= 0 and case.ct.array.max() < 100
    # what the tool took away within the brain is dark, and fluid
    taken = ~outside & (case.mr.array == 0)
    assert taken.any() and (case.labels.array[taken] == tissues.CSF).all()
    assert 0.6e6 < np.count_nonzero(~outside) * 27 < 2.5e6


def test_misregistration_moves_the_ct_by_about_as_much_and_leaves_the_mr() -> None:
    where = {"kind": "head", "contrast": "T1", "thick_slices": False, **COARSE}
    fixed, moved = (head_case(2, "test", misregistration_mm=distance, **where) for distance in (0.0, 4.0))
    np.testing.assert_array_equal(fixed.mr.array, moved.mr.array)
    np.testing.assert_array_equal(fixed.body.array, moved.body.array)
    assert fixed.misregistration_mm == 0 and moved.misregistration_mm == 4

    def overlap(case: HeadCase) -> float:
        bone = case.ct.array > 400
        return float((bone & np.isin(case.labels.array, tissues.BONES)).sum() / bone.sum())

    assert overlap(moved) < overlap(fixed) - 0.1


def test_thick_slices_blur_the_mr_alone() -> None:
    where = {"kind": "head", "contrast": "T2", "misregistration_mm": 0, **COARSE}
    thin, thick = (head_case(6, "test", thick_slices=given, **where) for given in (False, True))
    np.testing.assert_array_equal(thin.ct.array, thick.ct.array)
    steps = [
        min(np.abs(np.diff(case.mr.array, axis=axis)).mean() / case.mr.array.mean() for axis in range(3))
        for case in (thin, thick)
    ]
    assert steps[1] < 0.9 * steps[0]


def test_fields_of_view_and_kinds_vary() -> None:
    cases = [head_case(number, "train", spacing_mm=6.0) for number in range(16)]
    assert len({case.ct.shape for case in cases}) > 8 and len({case.kind for case in cases}) >= 2
    for case in cases:
        np.testing.assert_allclose(case.ct.spacing, 6.0)
        assert case.mr.grid.same_as(case.ct.grid) and case.labels.grid.same_as(case.body.grid)
        assert 0 <= case.misregistration_mm <= 4 and 0.05 < case.body.array.mean() < 0.9
        assert np.isfinite(case.mr.array).all() and np.isfinite(case.ct.array).all()


def test_one_anatomy_whatever_the_voxels() -> None:
    coarse, fine = (
        head_case(9, "test", kind="head", whole=True, misregistration_mm=0, spacing_mm=mm) for mm in (4.0, 3.0)
    )
    there = fine.labels.resampled_to(coarse.labels.grid, "nearest", 0).array
    bone, other = (np.isin(array, tissues.BONES) for array in (coarse.labels.array, there))
    assert 2 * (bone & other).sum() / (bone.sum() + other.sum()) > 0.55
    volumes = [case.body.array.sum() * case.body.grid.voxel_volume_mm3 for case in (coarse, fine)]
    assert volumes[0] == pytest.approx(volumes[1], rel=0.05)
