"""The body in an image, and masks in general: their growth, other grids, the box around them."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..core.errors import InputError
from ..core.masks import largest_component
from ..core.resampling import shrunk
from ..core.volume import Grid, Volume

_MASK_SPACING_MM = 2.0
_CLOSING_MM = 8.0
_OPENING_MM = 2.0


def body_mask(image: Volume, above: float | None = None) -> Volume:
    """The body in an image: what is brighter than air, closed, filled, the largest component.

    Parameters
    ----------
    image
        Any scalar type and grid; NaN is beyond the image.
    above
        Intensity from which a voxel is tissue; None finds it by Otsu's method, as an MR needs it.

    Returns
    -------
    Volume
        uint8 0/1 on the image's own grid; made on voxels of about 2 mm.

    Raises
    ------
    InputError
        The image has one value everywhere, or nothing stands out of the air.
    """
    coarse = shrunk(image, _MASK_SPACING_MM)
    mask = coarse.with_array(_body(coarse, above).astype(np.uint8))
    if coarse.shape == image.shape:
        return mask
    # Linear between the coarse voxels: the surface has no steps of 2 mm.
    return image.with_array((mask.resampled_to(image.grid).array >= 0.5).astype(np.uint8))


def _body(image: Volume, above: float | None) -> np.ndarray:
    name = image.name or "the image"
    array = image.array.astype(np.float32)
    there = np.isfinite(array)
    values = array[there]
    if not values.size or float(np.ptp(values)) == 0:
        raise InputError(f"There is one value everywhere in {name}; load another volume.")
    bright = np.where(there, array, -np.inf) > (_air_threshold(values) if above is None else above)
    spacing = image.grid.spacing_kji
    # Noise and thin bridges to the table go first, else the largest component would hold them.
    opened = _opened(bright, _OPENING_MM, spacing)
    body = largest_component(opened if opened.any() else bright)
    if not body.any():
        raise InputError(f"No body was found in {name}; give a body mask.")
    body = _closed(body, _CLOSING_MM, spacing)
    # Sinuses and lungs open to the outside in 3D, and are enclosed in slices; bone is dark and may be cut.
    for axis in range(3):
        for number in range(body.shape[axis]):
            plane = (slice(None),) * axis + (number,)
            body[plane] = ndimage.binary_fill_holes(body[plane])
    return body & there


def _air_threshold(values: np.ndarray) -> float:
    """Threshold between air and the darkest tissue: Otsu's, of the values below Otsu's threshold."""
    from skimage.filters import threshold_otsu

    # A few bright voxels would otherwise draw both thresholds up.
    values = values[:: max(1, values.size // 2_000_000)].astype(np.float64)
    values = np.minimum(values, np.percentile(values, 99.5))
    least = 1e-6 * max(abs(values.min()), abs(values.max()), 1e-30)
    if np.ptp(values) <= least:
        return float(values.max()) - least
    first = float(threshold_otsu(values))
    below = values[values < first]
    return float(threshold_otsu(below)) if below.size and np.ptp(below) > least else first - least


def _opened(mask: np.ndarray, radius_mm: float, spacing: np.ndarray) -> np.ndarray:
    return grown(grown(mask, -radius_mm, spacing), radius_mm, spacing)


def _closed(mask: np.ndarray, radius_mm: float, spacing: np.ndarray) -> np.ndarray:
    pads = [int(np.ceil(radius_mm / size)) + 1 for size in spacing]
    # Beyond the image the body may go on: what is dark at a cut must not be closed off, hence the repeated edge.
    padded = np.pad(mask, [(pad, pad) for pad in pads], mode="edge")
    closed = grown(grown(padded, radius_mm, spacing), -radius_mm, spacing)
    return closed[tuple(slice(pad, pad + size) for pad, size in zip(pads, mask.shape, strict=True))]


def grown(mask: np.ndarray, radius_mm: float, spacing: np.ndarray) -> np.ndarray:
    """Dilation (erosion when negative) of a mask by a ball, by distances: right for anisotropic voxels.

    Parameters
    ----------
    mask
        (K, J, I) bool.
    radius_mm
        Radius of the ball, between centres of voxels.
    spacing
        Voxel size along K, J, I in mm.
    """
    import SimpleITK

    grows = radius_mm > 0
    if mask.all() or not mask.any():
        return mask
    image = SimpleITK.GetImageFromArray((mask if grows else ~mask).astype(np.uint8))
    image.SetSpacing([float(size) for size in spacing[::-1]])
    far = SimpleITK.SignedMaurerDistanceMap(image, insideIsPositive=False, squaredDistance=False, useImageSpacing=True)
    near = SimpleITK.GetArrayViewFromImage(far) <= abs(radius_mm)
    return near if grows else ~near


def mask_on(mask: Volume, grid: Grid) -> np.ndarray:
    """(K, J, I) bool: a mask (non-zero is inside) on another grid, its boundary interpolated."""
    inside = mask.with_array((mask.array != 0).astype(np.uint8))
    if grid.same_as(mask.grid):
        return inside.array > 0
    small = shrunk(inside, float(grid.spacing.min()))
    return small.resampled_to(grid, fill=0.0).array >= 0.5
