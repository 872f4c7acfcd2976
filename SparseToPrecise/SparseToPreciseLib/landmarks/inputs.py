"""The intensities that are compared: images in units of their own surroundings, NaN where nothing was seen.

Intensities are measured against the mean and deviation around each place: no modality, bit depth or scanner is special.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..core.errors import InputError
from ..core.resampling import on_grid
from ..core.volume import Grid, Volume
from .working_grid import covering_grid

_DEVIATION_FLOOR = 0.3
"""Share of the whole image's deviation: where an image is flat, its noise must not be blown up to structure."""


@dataclass(frozen=True)
class Surroundings:
    """An image in units of its own surroundings.

    Attributes
    ----------
    image
        The part that is looked at; NaN where there is no number.
    mean, deviation
        Mean and standard deviation of the intensities in a Gaussian window, on a coarse grid along RAS.
    """

    image: Volume
    mean: Volume
    deviation: Volume

    @staticmethod
    def of(image: Volume, window_mm: float, around: np.ndarray | None = None, reach_mm: float = 0.0) -> Surroundings:
        """Measure an image.

        Parameters
        ----------
        image
            Any scalar type and grid; where it has no numbers, nothing was seen.
        window_mm
            Standard deviation of the Gaussian window.
        around, reach_mm
            Only the part of the image within this distance of a RAS point is looked at; None: all of it.

        Raises
        ------
        InputError
            The image has one value everywhere, or the point lies outside.
        """
        if around is not None:
            box = np.stack([around - reach_mm, around + reach_mm], axis=1)
            image = image.cropped_to_box(box)
        image = image.with_array(_with_gaps(image))
        step = window_mm / 4
        values = on_grid(image, covering_grid(image.grid, step))
        there = np.isfinite(values)
        if not there.any() or float(np.ptp(values[there])) == 0:
            raise InputError(f"{image.name or 'The image'} has the same value everywhere; nothing can be found in it.")
        grid = covering_grid(image.grid, step)
        middle = float(values[there].mean())
        centred = np.where(there, values - middle, 0).astype(np.float32)
        weight = np.maximum(_smooth(there.astype(np.float32), 4.0), 1e-3)
        mean = _smooth(centred, 4.0) / weight
        variance = np.maximum(_smooth(centred**2, 4.0) / weight - mean**2, 0)
        floor = _DEVIATION_FLOOR * float(centred[there].std())
        return Surroundings(
            image, Volume(mean + middle, grid.ijk_to_ras), Volume(np.maximum(np.sqrt(variance), floor), grid.ijk_to_ras)
        )

    @property
    def inverted(self) -> Surroundings:
        """The same with bright and dark exchanged."""
        image = self.image.with_array(-self.image.array.astype(np.float32))
        return Surroundings(image, self.mean.with_array(-self.mean.array), self.deviation)

    def on(self, grid: Grid) -> np.ndarray:
        """(K, J, I) float32 values on an isotropic grid, within -4..4; 0 where nothing was seen, for the network."""
        return np.nan_to_num(self.seen_on(grid), nan=0.0)

    def seen_on(self, grid: Grid) -> np.ndarray:
        """The values of `on`, but NaN beyond the image: what was not seen is not tissue and compared with nothing."""
        values = on_grid(self.image, grid)
        scaled = (values - self.mean.resampled_to(grid).array) / self.deviation.resampled_to(grid).array
        return np.clip(scaled, -4, 4).astype(np.float32)


def _with_gaps(image: Volume) -> np.ndarray:
    """The array with NaN for infinite values; refused when it holds no number."""
    array = image.array
    if array.dtype.kind != "f":
        return array
    wrong = ~np.isfinite(array)
    if not wrong.any():
        return array
    if wrong.all():
        raise InputError(f"{image.name or 'The image'} holds no numbers; load another one.")
    return np.where(wrong, np.nan, array)


def _smooth(array: np.ndarray, sigma: float) -> np.ndarray:
    return ndimage.gaussian_filter(array, sigma, mode="constant", truncate=3.0)
