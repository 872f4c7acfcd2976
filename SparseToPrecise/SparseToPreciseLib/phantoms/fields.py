"""Smooth random fields and separable resampling, the fast building blocks of the phantoms.

A field is a cubic B-spline through a coarse lattice of random numbers. The spline is separable, so that evaluating
it on a full grid is three small matrix products, about a millisecond at 64^3, where a wide Gaussian filter takes
tens. All arrays are (K, J, I); lengths are in *units*: one unit is a voxel of a 64^3 cube, whatever the shape of
the array, so that the same seed gives the same anatomy at any resolution.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

UNITS_PER_CUBE = 64.0


@lru_cache(maxsize=256)
def spline_matrix(size: int, knots: int) -> np.ndarray:
    """Uniform cubic B-spline basis evaluated at `size` voxel centres: (size, knots + 3) float32, rows sum to 1."""
    position = (np.arange(size) + 0.5) / size * knots
    cell = np.minimum(position.astype(int), knots - 1)
    t = position - cell
    weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1) / 6
    matrix = np.zeros((size, knots + 3), np.float32)
    for offset in range(4):
        matrix[np.arange(size), cell + offset] += weights[:, offset]
    return matrix


def separable(array: np.ndarray, matrices: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    """Apply one matrix (m, n) to each of the last three axes of `array` (..., n0, n1, n2)."""
    first, second, third = matrices
    result = array @ third.T
    result = second @ result
    shape = result.shape
    return (first @ result.reshape(*shape[:-3], shape[-3], -1)).reshape(*shape[:-3], first.shape[0], *shape[-2:])


def smooth_field(
    rng: np.random.Generator, shape: tuple[int, int, int], period: float, channels: int | None = None
) -> np.ndarray:
    """Gaussian random field with standard deviation near 1.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : (K, J, I) of the result
    period : float
        Distance between the lattice's knots, in units.
    channels : int, optional
        Number of independent fields; None gives one field without a channel axis.

    Returns
    -------
    ndarray, float32, (channels, K, J, I) or (K, J, I)
    """
    knots = max(1, round(UNITS_PER_CUBE / period))
    lattice = rng.standard_normal((1 if channels is None else channels,) + (knots + 3,) * 3, dtype=np.float32)
    # the spline averages neighbouring knots, which shrinks the standard deviation to 0.479 ** 1.5 = 0.33
    field = separable(3.0 * lattice, tuple(spline_matrix(size, knots) for size in shape))
    return field[0] if channels is None else field


@lru_cache(maxsize=64)
def coordinates(shape: tuple[int, int, int]) -> np.ndarray:
    """Voxel centres in units, the cube's centre being 0: (3, K, J, I) float32, read-only."""
    axes = [((np.arange(size) + 0.5) / size - 0.5) * UNITS_PER_CUBE for size in shape]
    grid = np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)
    grid.flags.writeable = False
    return grid


@lru_cache(maxsize=64)
def linear_matrix(size: int, coarse: int) -> np.ndarray:
    """Linear interpolation from `coarse` to `size` samples over the same extent: (size, coarse) float32."""
    position = np.clip((np.arange(size) + 0.5) / size * coarse - 0.5, 0, coarse - 1)
    low = np.minimum(position.astype(int), max(coarse - 2, 0))
    matrix = np.zeros((size, coarse), np.float32)
    matrix[np.arange(size), low] = 1 - (position - low)
    if coarse > 1:
        matrix[np.arange(size), low + 1] += position - low
    return matrix


def enlarged(coarse: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Bring an array (..., k, j, i) to `shape` by linear interpolation over the same extent."""
    return separable(coarse, tuple(linear_matrix(size, n) for size, n in zip(shape, coarse.shape[-3:], strict=True)))


def sampling_matrix(size: int, coarse: int, blur: float) -> np.ndarray:
    """How a scanner sees a fine row: a Gaussian of standard deviation `blur` (in fine samples) around each of `coarse`
    sample positions: (coarse, size) float32, rows sum to 1."""
    centre = (np.arange(coarse) + 0.5) / coarse * size - 0.5
    distance = np.arange(size)[None, :] - centre[:, None]
    matrix = np.exp(-0.5 * (distance / max(blur, 0.1)) ** 2)
    return (matrix / matrix.sum(axis=1, keepdims=True)).astype(np.float32)
