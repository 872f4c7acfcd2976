"""Bands: exact sum, sigma in mm on every grid, nothing known of the border."""

from __future__ import annotations

import numpy as np
import pytest

from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.volume import Volume
from SparseToPreciseLib.synthesis.bands import split_bands


def block(spacing=(1.0, 1.0, 1.0), shape=(40, 40, 40)) -> Volume:
    rng = np.random.default_rng(0)
    return Volume(rng.normal(0, 300, shape).astype(np.float32), np.diag([*spacing, 1.0]))


def test_the_bands_add_up() -> None:
    ct = block()
    low, high = split_bands(ct, 3.0)
    assert np.allclose(low.array + high.array, ct.array, atol=1e-3)
    assert low.array.dtype == high.array.dtype == np.float32
    assert low.grid.same_as(ct.grid) and high.grid.same_as(ct.grid)
    assert low.array.std() < 0.1 * high.array.std()


def test_a_constant_is_all_low_even_at_the_border() -> None:
    ct = Volume(np.full((12, 14, 16), -1024, np.int16), np.diag([1.0, 2.0, 3.0, 1.0]))
    low, high = split_bands(ct, 15.0)
    assert np.allclose(low.array, -1024) and np.allclose(high.array, 0, atol=1e-2)


def test_sigma_is_millimetres_along_every_axis() -> None:
    impulse = np.zeros((41, 61, 81), np.float32)
    impulse[20, 30, 40] = 1.0
    spacing = np.array([1.0, 2.0, 4.0])  # I, J, K
    low, _ = split_bands(Volume(impulse, np.diag([*spacing, 1.0])), 8.0)
    for axis, step in zip((2, 1, 0), spacing, strict=True):
        profile = low.array.sum(axis=tuple(other for other in range(3) if other != axis))
        places = (np.arange(profile.size) - profile.size // 2) * step
        assert np.sqrt((profile * places**2).sum() / profile.sum()) == pytest.approx(8.0, rel=0.06)


def test_bands_turn_with_the_volume() -> None:
    ct = block((1.0, 2.0, 3.0), (20, 24, 28))
    low, _ = split_bands(ct, 4.0)
    matrix = ct.ijk_to_ras @ np.array([[0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1.0]])
    # I', J', K' = J, K, I
    turned = Volume(ct.array.transpose(2, 0, 1), matrix)
    other, _ = split_bands(turned, 4.0)
    assert np.allclose(other.array, low.array.transpose(2, 0, 1), atol=1e-3)


@pytest.mark.parametrize("sigma", [0.0, -1.0, float("nan"), float("inf")])
def test_sigma_must_be_a_length(sigma: float) -> None:
    with pytest.raises(InputError, match="positive length"):
        split_bands(block(shape=(4, 4, 4)), sigma)
