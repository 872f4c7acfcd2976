"""Numbers that compare a synthetic CT with a reference, on arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from .body import grown

SSIM_WINDOW = 7
"""Side of the uniform window of SSIM, voxels: scikit-image's and SynthRAD's."""
WAVELENGTHS_MM = (64.0, 32.0, 16.0, 8.0, 4.0, 2.0)
"""Edges of the bands in which power spectra are compared."""

TAPER_MM = 6.0
"""Width of the rim of the mask that spectra leave out."""

_PLANES_AT_ONCE = 24


def mean_absolute(error: np.ndarray, where: np.ndarray) -> float:
    """Mean of |error| over a mask; NaN where it is empty."""
    chosen = error[where]
    return float(np.abs(chosen).mean(dtype=np.float64)) if chosen.size else float("nan")


def psnr(one: np.ndarray, other: np.ndarray, where: np.ndarray, data_range: float) -> float:
    """Peak signal-to-noise ratio within a mask in dB; infinite for equal arrays."""
    from skimage.metrics import mean_squared_error

    error = mean_squared_error(one[where], other[where])
    return float(10 * np.log10(data_range**2 / error)) if error > 0 else float("inf")


def ssim(one: np.ndarray, other: np.ndarray, where: np.ndarray, data_range: float) -> float:
    """Mean over a mask of scikit-image's map of structural similarity with a uniform window of `SSIM_WINDOW` voxels.

    A few planes at a time: the map takes ten times the memory of its input. Sides shorter than the window are padded
    by their edge.
    """
    from skimage.metrics import structural_similarity

    reach = SSIM_WINDOW // 2
    short = [max(0, SSIM_WINDOW - size) for size in one.shape]
    pads = [(0, length) for length in short]
    one, other = (np.pad(array, pads, mode="edge").astype(np.float32, copy=False) for array in (one, other))
    where = np.pad(where, pads)
    planes = one.shape[0]
    total = 0.0
    for start in range(0, planes, _PLANES_AT_ONCE):
        stop = min(start + _PLANES_AT_ONCE, planes)
        if not where[start:stop].any():
            continue
        low, high = max(start - reach, 0), min(stop + reach, planes)
        if high - low < SSIM_WINDOW:
            low = max(high - SSIM_WINDOW, 0)
            high = min(low + SSIM_WINDOW, planes)
        _, found = structural_similarity(
            one[low:high], other[low:high], win_size=SSIM_WINDOW, data_range=data_range, full=True
        )
        total += float(found[start - low : stop - low][where[start:stop]].sum(dtype=np.float64))
    return total / int(np.count_nonzero(where))


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """Overlap of two masks; NaN when both are empty."""
    both = np.count_nonzero(one) + np.count_nonzero(other)
    return 2 * float(np.count_nonzero(one & other)) / both if both else float("nan")


def spectrum_ratio(
    one: np.ndarray, other: np.ndarray, where: np.ndarray, spacing_kji: Sequence[float]
) -> list[tuple[float, float, float]]:
    """Radial power of `one` over that of `other` within a mask.

    Parameters
    ----------
    one, other
        (K, J, I); both fade to the mean of `other` from `TAPER_MM` within the mask, so that neither its edge nor the
        skin is seen.
    where
        (K, J, I) bool.
    spacing_kji
        Voxel size along K, J, I in mm.

    Returns
    -------
    list
        (longest, shortest wavelength in mm, ratio) for the bands of `WAVELENGTHS_MM` that the voxels can hold; below 1,
        the first image is smoother.
    """
    from scipy import fft

    spacing = np.asarray(spacing_kji, dtype=np.float64)
    inner = grown(np.pad(where, 1), -TAPER_MM, spacing)[1:-1, 1:-1, 1:-1]
    weight = ndimage.gaussian_filter((inner if inner.any() else where).astype(np.float32), TAPER_MM / 3 / spacing)
    middle = np.float32((other * weight).sum(dtype=np.float64) / weight.sum(dtype=np.float64))
    powers = [np.abs(fft.rfftn((array - middle) * weight)) ** 2 for array in (one, other)]
    axes = [fft.fftfreq(size, step) for size, step in zip(where.shape[:2], spacing_kji[:2], strict=True)]
    axes.append(fft.rfftfreq(where.shape[2], spacing_kji[2]))
    squared = sum(
        np.square(axis, dtype=np.float64).astype(np.float32).reshape([-1 if o == n else 1 for o in range(3)])
        for n, axis in enumerate(axes)
    )
    finest = 2 * max(spacing_kji)
    edges = [length for length in WAVELENGTHS_MM if length >= finest * 0.999]
    found = []
    for longest, shortest in zip(edges, edges[1:], strict=False):
        band = (squared > 1 / longest**2) & (squared <= 1 / shortest**2)
        sums = [float(power[band].sum(dtype=np.float64)) for power in powers]
        if sums[1] > 0:
            found.append((longest, shortest, sums[0] / sums[1]))
    return found
