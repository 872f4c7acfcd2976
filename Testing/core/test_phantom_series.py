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
    masks = []
    for one in patients:
        mask = one.mask.array > 0
        shift = np.round(64 - np.mean(np.nonzero(mask), axis=1)).astype(int)
        masks.append(np.roll(mask, shift, axis=(0, 1, 2)))
    found = [
        2 * np.count_nonzero(first & second) / (np.count_nonzero(first) + np.count_nonzero(second))
        for number, first in enumerate(masks)
        for second in masks[:number]
    ]
    assert min(found) > 0.3 and np.median(found) > 0.5, "the same organ, once it lies at the same place"
    assert max(found) < 0.95


def test_the_organ_is_whole_and_neighbours_overlap_with_it_in_intensity(patients: list[Blob]) -> None:
    for one in patients:
        mask = one.mask.array > 0
        assert not any(mask.take(end, axis).any() for axis in range(3) for end in (0, -1))
        inside = one.image.array[mask]
        assert 60 < np.median(inside) < 170
        alike = np.abs(one.image.array[~mask] - np.median(inside)) < inside.std()
        assert np.count_nonzero(alike) > 0.2 * np.count_nonzero(mask), "much elsewhere looks like it"
