"""The inner ear of the landmark phantoms: landmarks where the image has them, and no case for two uses."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.phantoms.cochlea import FIRST_SEED, LANDMARKS, SEEDS_PER_USE, make_cochlea

SMALL = {"spacing_mm": 0.6, "field_mm": 40.0, "offset_mm": 6.0}


def distance_to_soi(case, point: np.ndarray) -> float:
    points = case.soi.grid.to_ras(np.argwhere(case.soi.array)[:, ::-1])
    return float(np.linalg.norm(points - point, axis=1).min())


def test_the_same_case_every_time_and_another_for_each_number_and_use() -> None:
    first, again, other, use = (make_cochlea(*which, **SMALL) for which in ((3,), (3,), (4,), (3, "demo")))
    np.testing.assert_array_equal(first.image.array, again.image.array)
    for different in (other, use):
        assert np.abs(different.landmarks["apex"] - first.landmarks["apex"]).max() > 0.1


def test_uses_share_no_seed() -> None:
    starts = sorted(FIRST_SEED.values())
    assert min(np.diff(starts)) >= SEEDS_PER_USE
    assert make_cochlea(0, "benchmark", **SMALL).seed == FIRST_SEED["benchmark"]


@pytest.mark.parametrize("number", range(3))
def test_landmarks_lie_in_the_structure(number: int) -> None:
    case = make_cochlea(number, **SMALL)
    assert set(case.landmarks) == set(LANDMARKS)
    assert case.soi.array.any() and ndimage.label(case.soi.array)[1] == 1
    assert distance_to_soi(case, case.landmarks["apex"]) < 0.6
    assert distance_to_soi(case, case.landmarks["window"]) < 1.0
    assert distance_to_soi(case, case.landmarks["centre"]) < 2.5


def test_landmarks_move_with_the_ear_and_not_with_the_voxels() -> None:
    coarse, fine = make_cochlea(1, **SMALL), make_cochlea(1, **{**SMALL, "spacing_mm": (0.4, 0.5, 0.8)})
    for name in LANDMARKS:
        np.testing.assert_allclose(coarse.landmarks[name], fine.landmarks[name])
    straight = make_cochlea(1, **{**SMALL, "rotation_deg": 0.0, "offset_mm": 0.0})
    for name in LANDMARKS:
        moved = coarse.to_world[:3, :3] @ straight.landmarks[name] + coarse.to_world[:3, 3]
        np.testing.assert_allclose(moved, coarse.landmarks[name], atol=1e-9)


def test_fluid_in_a_dense_shell() -> None:
    case = make_cochlea(2, **SMALL)
    mask = case.soi.array != 0
    shell = ndimage.binary_dilation(mask, iterations=2) & ~ndimage.binary_dilation(mask)
    assert np.median(case.image.array[shell]) > np.median(case.image.array[mask]) + 500


def test_the_other_ear_is_its_mirror_image() -> None:
    left, right = make_cochlea(5, **SMALL), make_cochlea(5, mirror=True, **SMALL)
    assert np.linalg.det(left.to_world[:3, :3]) > 0 > np.linalg.det(right.to_world[:3, :3])
    for name in LANDMARKS:
        np.testing.assert_allclose(right.landmarks[name] * (-1, 1, 1), left.landmarks[name])


def test_without_ear_only_the_surroundings_are_there() -> None:
    with_ear, without = (make_cochlea(2, with_ear=shown, **SMALL) for shown in (True, False))
    mask = with_ear.soi.array != 0
    away = ~ndimage.binary_dilation(mask, iterations=30)
    np.testing.assert_array_equal(with_ear.image.array[away], without.image.array[away])
    assert np.median(without.image.array[mask]) > np.median(with_ear.image.array[mask]) + 250


def test_other_contrasts_show_the_same_ear() -> None:
    ct, mr = make_cochlea(2, **SMALL), make_cochlea(2, contrast="mr", **SMALL)
    mask = ct.soi.array != 0
    np.testing.assert_array_equal(mask, mr.soi.array != 0)
    assert np.median(mr.image.array[mask]) > np.median(mr.image.array)
    assert np.median(ct.image.array[mask]) < np.median(ct.image.array)


def test_refused() -> None:
    with pytest.raises(InputError, match="no cochlea 0 for 'lunch'"):
        make_cochlea(0, "lunch")
    with pytest.raises(InputError, match="no cochlea 100000"):
        make_cochlea(SEEDS_PER_USE)
    with pytest.raises(InputError, match="no contrast 'pet'"):
        make_cochlea(0, contrast="pet")
