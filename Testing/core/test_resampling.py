"""Means of blocks: right values in the right place, of any type, and what fills no block is dropped."""

from __future__ import annotations

import numpy as np
import pytest

from SparseToPreciseLib.core.resampling import block_means, sampled, shrunk
from SparseToPreciseLib.core.volume import Grid, Volume

OBLIQUE = np.array([[0.9, -0.4, 0.2, 5.0], [0.4, -1.7, 0.3, -3.0], [0.1, 0.5, -2.0, 7.0], [0.0, 0.0, 0.0, 1.0]])


@pytest.mark.parametrize("kind", [np.int16, np.uint8, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("factors", [(1, 1, 1), (2, 1, 3), (4, 5, 6)])
def test_each_is_the_mean_of_its_block(kind: type, factors: tuple[int, int, int]) -> None:
    array = np.random.default_rng(1).integers(0, 200, (9, 11, 13)).astype(kind)
    found = block_means(Volume(array, OBLIQUE, "any"), factors)
    counts = [size // factor for size, factor in zip(array.shape, factors, strict=True)]
    kept = array[tuple(slice(0, count * factor) for count, factor in zip(counts, factors, strict=True))]
    sides = np.stack([counts, factors], axis=1).ravel()
    assert found.array.dtype == np.float32 and found.name == "any"
    assert np.allclose(found.array, kept.astype(np.float64).reshape(sides).mean(axis=(1, 3, 5)), rtol=1e-6)


def test_a_block_lies_where_its_voxels_lie_and_the_input_is_not_touched() -> None:
    volume = Volume(np.zeros((6, 6, 6), np.float32), OBLIQUE)
    ramp = volume.with_array((volume.grid.points_ras() @ (1.0, 2.0, -3.0)).reshape(volume.shape).astype(np.float32))
    before = ramp.array.copy()
    found = block_means(ramp, (2, 3, 1))
    expected = (found.grid.points_ras() @ (1.0, 2.0, -3.0)).reshape(found.shape)
    assert np.allclose(found.array, expected, atol=1e-4)
    assert np.array_equal(ramp.array, before)


def test_two_voxels_make_one_in_spite_of_a_rounded_matrix_and_coarse_ones_stay() -> None:
    array = np.arange(4 * 4 * 4, dtype=np.float32).reshape(4, 4, 4)
    fine = Volume(array, np.diag([0.50001, 0.50001, 0.50001, 1.0]))
    assert shrunk(fine, 1.0).shape == (2, 2, 2)
    coarse = Volume(array, np.diag([3.0, 3.0, 3.0, 1.0]))
    assert np.array_equal(shrunk(coarse, 1.0).array, array)


def test_beyond_a_finer_volume_its_edge_is_repeated() -> None:
    array = np.arange(8 * 8 * 8, dtype=np.float32).reshape(8, 8, 8)
    matrix = np.diag([4.0, 4.0, 4.0, 1.0])
    matrix[:3, 3] = 100
    found = sampled(Volume(array, np.eye(4)), Grid((2, 2, 2), matrix))
    assert np.array_equal(found, np.full((2, 2, 2), array[-1, -1, -1]))
