"""The two bands of a CT."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..core.errors import InputError
from ..core.volume import Volume


def split_bands(ct: Volume, sigma_mm: float) -> tuple[Volume, Volume]:
    """Low and high band of a whole volume; their sum is the volume.

    The low band is a Gaussian of the volume (Shi et al., MICCAI 2021, section 2). It is taken of the whole volume,
    since a Gaussian of 15 mm cannot be computed on a patch, and beyond the border the nearest value goes on, so that
    neither band knows where the image was cut.

    Parameters
    ----------
    ct
        (K, J, I), HU or units of a window, on any grid.
    sigma_mm
        Standard deviation of the Gaussian in mm along each axis of the volume.

    Returns
    -------
    tuple of Volume
        Low and high band, float32, on the grid of the volume.

    Raises
    ------
    InputError
        Sigma is not a positive length.
    """
    if not (np.isfinite(sigma_mm) and sigma_mm > 0):
        raise InputError(f"The sigma between the bands must be a positive length in mm, not {sigma_mm}.")
    array = ct.array.astype(np.float32)
    low = ndimage.gaussian_filter(array, float(sigma_mm) / ct.grid.spacing_kji, mode="nearest")
    return ct.with_array(low), ct.with_array(array - low)
