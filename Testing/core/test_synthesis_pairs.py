"""Registration of an MR and a CT of one head: known displacements are undone, however the two are stored."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.progress import Cancelled, Progress
from SparseToPreciseLib.core.resampling import on_grid
from SparseToPreciseLib.core.volume import Grid, Volume
from SparseToPreciseLib.phantoms.head import HeadCase, head_case
from SparseToPreciseLib.synthesis import pairs
from SparseToPreciseLib.synthesis.hu import AIR_BELOW
from SparseToPreciseLib.synthesis.pair_quality import (
    LEAST_EDGES,
    MOST_MIRRORED,
    MOST_NEARBY,
    Side,
    measured,
    nearby_agreement,
)
from SparseToPreciseLib.synthesis.pairs import quality_as_json, register_pair

pytest.importorskip("SimpleITK")


@cache
def pair(number: int = 1, contrast: str = "T1", kind: str = "head", use: str = "test") -> HeadCase:
    given = {"kind": kind, "contrast": contrast, "misregistration_mm": 0, "thick_slices": False}
    return head_case(number, use, spacing_mm=3.5, whole=True, **given)


def displacement(turn_deg: float, shift_mm: float, axis: tuple[float, ...] = (0.4, 0.3, 0.87)) -> np.ndarray:
    """4x4, RAS to RAS."""
    x, y, z = np.array(axis) / np.linalg.norm(axis)
    angle = np.radians(turn_deg)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    matrix = np.eye(4)
    matrix[:3, :3] += np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    matrix[:3, 3] = shift_mm * np.array([0.5, -0.7, 0.5])
    return matrix


def left_over(case: HeadCase, quality, moved: np.ndarray) -> float:
    """Mean distance in mm, over the body, to where the CT belongs."""
    points = case.body.grid.to_ras(np.argwhere(case.body.array)[::97, ::-1])
    both = quality.ct_to_mr @ moved
    return float(np.linalg.norm(points @ both[:3, :3].T + both[:3, 3] - points, axis=1).mean())


def test_a_displaced_oblique_ct_comes_back() -> None:
    case, moved = pair(), displacement(12, 25)
    ct = Volume(case.ct.array, moved @ case.ct.ijk_to_ras, "CT")
    brought, quality = register_pair(case.mr, ct)
    assert left_over(case, quality, moved) < 1.5
    assert quality.good and "good" in quality.sentence
    assert quality.information_after > quality.information_before + 0.05
    assert quality.overlap > 0.93 and quality.turned_deg == pytest.approx(12, abs=2)
    assert brought.grid.same_as(case.mr.grid) and brought.array.dtype == np.float32
    inside = case.body.array != 0
    assert np.abs(brought.array - case.ct.array)[inside].mean() < 120
    assert np.abs(ct.array - case.ct.array)[inside].mean() == 0  # nothing of the given CT was changed


def test_flipped_anisotropic_and_far_away() -> None:
    case, moved = pair(2, "T2"), displacement(4, 150)
    thick = Grid((case.mr.shape[0] // 2, *case.mr.shape[1:]), case.mr.ijk_to_ras @ np.diag([1, 1, 2.0, 1]))
    slices = np.nan_to_num(on_grid(case.mr, thick))
    mr = Volume(slices[:, ::-1], thick.ijk_to_ras @ flip(thick.shape[1], axis=1), "MR")
    ct = Volume(case.ct.array[..., ::-1], moved @ case.ct.ijk_to_ras @ flip(case.ct.shape[2], axis=0), "CT")
    brought, quality = register_pair(mr, ct, affine=False)
    assert left_over(case, quality, moved) < 2.5 and quality.good
    assert quality.stretch == pytest.approx(1, abs=1e-6)
    assert brought.grid.same_as(mr.grid)


def flip(size: int, axis: int) -> np.ndarray:
    matrix = np.eye(4)
    matrix[axis, axis], matrix[axis, 3] = -1, size - 1
    return matrix


def test_beyond_the_ct_there_is_no_made_up_tissue() -> None:
    case = pair()
    upper = case.ct.cropped((slice(case.ct.shape[0] // 2, None), slice(None), slice(None)))
    brought, quality = register_pair(case.mr, upper, beyond=np.nan)
    assert left_over(case, quality, np.eye(4)) < 3
    assert np.isnan(brought.array[0]).all() and np.isfinite(brought.array[-10, 5:-5, 5:-5]).all()
    assert quality.covered == pytest.approx(
        case.body.array[case.ct.shape[0] // 2 :].sum() / case.body.array.sum(), abs=0.08
    )


def cut(volume: Volume, axis: int, share: float) -> Volume:
    slices = [slice(None)] * 3
    slices[axis] = slice(0, round(share * volume.shape[axis]))
    return volume.cropped(tuple(slices))


def test_what_shows_too_little_of_a_head_is_not_judged() -> None:
    case = pair()
    whole = sides(case.mr, case.ct)
    assert measured(*whole, np.eye(4)).good
    for mr, ct, reason in (
        (cut(case.mr, 0, 0.35), case.ct, r"both show only [01]\.\d litres of the body"),
        (cut(case.mr, 2, 0.3), case.ct, r"both show only [01]\.\d litres of the body"),
        (case.mr, cut(case.ct, 1, 0.5), r"the CT shows only \d\d% of the body in the MR"),
        (cut(case.mr, 0, 0.03), case.ct, "they have hardly an edge in common"),
    ):
        # They lie on each other perfectly, and look it; so would others that do not.
        found = measured(*sides(mr, ct), np.eye(4))
        assert not found.good and re.search(reason, found.sentence), found.sentence
        assert found.sentence.startswith("Whether the registration is right cannot be judged") or "hardly" in reason


def sides(mr: Volume, ct: Volume) -> tuple[Side, Side]:
    return pairs._side(mr, "The MR"), pairs._side(ct, "The CT", AIR_BELOW)


def test_a_cut_head_is_not_stretched_for_the_sake_of_information() -> None:
    # The information rises by a tenth when this CT is stretched by 4 %, which moves its corner by 4 mm.
    case = pair(5340, "T1", "average", "validation")
    moved = displacement(3, 6)
    quality = register_pair(cut(case.mr, 0, 0.5), Volume(case.ct.array, moved @ case.ct.ijk_to_ras, "CT"))[1]
    assert left_over(case, quality, moved) < 1


def test_a_ct_of_another_size_is_stretched() -> None:
    case, moved = pair(), displacement(2, 5) @ np.diag([1, 1.05, 0.96, 1])
    ct = Volume(case.ct.array, moved @ case.ct.ijk_to_ras, "CT")
    quality, again = (register_pair(case.mr, ct)[1] for _ in range(2))
    assert left_over(case, quality, moved) < 1.5 and quality.good and quality.stretch > 1.03
    points = np.array([[x, y, z, 1.0] for x in (-80, 80) for y in (-80, 80) for z in (-80, 80)])
    apart = np.linalg.norm(points @ (quality.ct_to_mr - again.ct_to_mr).T, axis=1)
    assert apart.max() < 1.0, "the same pair gives nearly the same answer: sums in another order part the ways a little"


def test_padding_around_an_mr_is_no_body() -> None:
    mr = pair().mr
    plain, padded = (ndimage.rotate(mr.array, 15, axes=(1, 2), order=0, cval=value) for value in (0, -1000))
    one, other = (pairs._side(Volume(array, mr.ijk_to_ras), "MR") for array in (plain, padded))
    assert (one.body & other.body).sum() > 0.98 * max(one.body.sum(), other.body.sum())
    assert other.image.array.min() > -100


def test_a_wrong_fit_is_called_one() -> None:
    case = pair()
    given = [Side(image, case.body.array != 0, np.ones(case.body.shape, bool)) for image in (case.mr, case.ct)]
    right, shifted, turned = (
        measured(*given, matrix) for matrix in (np.eye(4), displacement(0, 25), displacement(25, 0, (1, 0, 0)))
    )
    assert right.good and right.overlap == 1 and right.edges > LEAST_EDGES and right.moved_mm == 0
    for wrong in (shifted, turned):
        assert not wrong.good and wrong.sentence.startswith("The registration may be wrong")
        assert wrong.edges < right.edges - 0.1 and wrong.information_after < right.information_after
    assert turned.turned_deg == pytest.approx(25) and shifted.moved_mm == pytest.approx(25, rel=0.01)
    found = quality_as_json(shifted)
    assert found["good"] is False and len(found["ct_to_mr"]) == 4


def test_a_mirrored_ct_is_called_one_and_a_true_one_is_not() -> None:
    case = pair()
    flipped = Volume(case.ct.array[..., ::-1], case.ct.ijk_to_ras, "CT")
    true, mirrored = (register_pair(case.mr, ct, affine=False)[1] for ct in (case.ct, flipped))
    assert true.good and true.mirror < MOST_MIRRORED, true.sentence
    assert not mirrored.good and mirrored.mirror > 1 / MOST_MIRRORED
    assert "the mirror image of the CT fits better, so that left and right are exchanged" in mirrored.sentence


def test_a_ct_that_agrees_better_some_millimetres_away_is_called_wrong() -> None:
    case = pair()
    given = sides(case.mr, case.ct)
    for moved, wrong in ((np.eye(4), False), (displacement(0, 12), True)):
        found = measured(*given, moved)
        nearby = nearby_agreement(*given, moved) / found.agreement
        assert (nearby > MOST_NEARBY) is wrong
        told = measured(*given, moved, nearby=nearby)
        assert told.good is not wrong and ("when the CT is moved by 6 or 12 mm" in told.sentence) is wrong


def test_limbs_are_judged_by_less_than_heads_are() -> None:
    case = pair()
    little = sides(cut(case.mr, 0, 0.35), case.ct)
    assert measured(*little, np.eye(4), mirror=0.5).good
    for alike in (measured(*little, np.eye(4), mirror=0.8), measured(*little, np.eye(4))):
        assert not alike.good and "litres of the body" in alike.sentence


@pytest.mark.parametrize("name", ["STS_008", "STS_024"])
def test_real_limbs_in_low_dose_cts_are_pairs_and_their_mirror_images_are_not(shared_data, name: str) -> None:
    from SparseToPreciseLib.core.images import read_image

    folder = shared_data / "real" / "mr_ct_pairs_limb"
    mr, ct = (read_image(folder / f"{name}_{kind}_img.nii.gz") for kind in ("mr", "ct"))
    flipped = Volume(np.ascontiguousarray(ct.array[..., ::-1]), ct.ijk_to_ras, "CT")
    true, mirrored = (register_pair(mr, one, affine=False)[1] for one in (ct, flipped))
    assert true.good, true.sentence
    assert not mirrored.good


def test_two_that_lie_on_each_other_do_not_end_farther_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    case, away = pair(), displacement(0, 40)
    monkeypatch.setattr(pairs, "_rigid", lambda pair, middle, start, level: away)
    quality = register_pair(case.mr, case.ct, affine=False)[1]
    assert quality.moved_mm == 0 and np.array_equal(quality.ct_to_mr, np.eye(4))


@pytest.mark.parametrize("which", ["mr", "ct"])
def test_bad_input(which: str) -> None:
    case = pair()
    given = {"mr": case.mr, "ct": case.ct}
    holes = given[which].array.copy()
    holes[3, 3, 3] = np.nan
    for array, reason in ((holes, "NaN"), (holes[3:4], "single slice"), (np.full((20, 20, 20), 7.0), "one value")):
        with pytest.raises(InputError, match=reason):
            register_pair(**{**given, which: given[which].with_array(array)})


def test_cancel() -> None:
    def stop(share: float, message: str) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        register_pair(pair().mr, pair().ct, progress=Progress(stop))
