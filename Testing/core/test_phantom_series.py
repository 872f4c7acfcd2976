"""One abdomen in many patients: alike, never the same."""

from __future__ import annotations

import numpy as np
import pytest

from SparseToPreciseLib.phantoms.blobs import Blob
from SparseToPreciseLib.phantoms.series import make_patient


@pytest.fixture(scope="module")
def patients() -> list[Blob]:
    return [make_patient(number) for number in range(6)]


def test_the_same_number_is_the_same_patient(patients: list[Blob]) -> None:
    again = make_patient(2)
    assert np.array_equal(again.image.array, patients[2].image.array)
    assert np.array_equal(again.mask.array, patients[2].mask.array)


def test_patients_are_alike_and_not_the_same(patients: list[Blob]) -> None:
    masks = [one.mask.array > 0 for one in patients]
    for first in range(6):
        for second in range(first):
            both = np.count_nonzero(masks[first] & masks[second])
            dice = 2 * both / (np.count_nonzero(masks[first]) + np.count_nonzero(masks[second]))
            assert 0.2 < dice < 0.95


def test_the_organ_is_whole_and_neighbours_overlap_with_it_in_intensity(patients: list[Blob]) -> None:
    for one in patients:
        mask = one.mask.array > 0
        assert not any(mask.take(end, axis).any() for axis in range(3) for end in (0, -1))
        inside = one.image.array[mask]
        assert 60 < np.median(inside) < 170
        alike = np.abs(one.image.array[~mask] - np.median(inside)) < inside.std()
        assert alike.mean() > 0.01, "as many voxels elsewhere look like it"
