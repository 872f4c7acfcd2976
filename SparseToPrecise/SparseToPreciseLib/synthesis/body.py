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
_SHADING_MM = 40.0
"""Sigma of the smooth shading of a receive coil."""
_ROUNDS = 4
"""Rounds in which shading and body improve each other."""
_GAIN = 0.03
"""Least share by which a body grows when its shading is taken off, else it stays as it was found."""
_NOISE = 0.18
"""Least local standard deviation of noise, as a share of the 2nd to the 98th percentile: that of uniform noise is 0.29,
that of tissue and its edges is below a tenth and rarely above 0.18."""
_NOISE_PLANES = 16


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
    found = _body(coarse, above)
    if above is None:
        found = _unshaded(coarse, found)
    mask = coarse.with_array(found.astype(np.uint8))
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


def _unshaded(image: Volume, body: np.ndarray) -> np.ndarray:
    """The body once more, in the image without its shading, where that makes it grow; else as it was found.

    Far from a coil tissue can be darker than the threshold. The shading is the smoothed image within the body, which
    goes on beyond it; the more of the body is found, the farther it is known.
    """
    known = np.isfinite(image.array)
    darkest = np.float32(image.array[known].min())
    coarse = shrunk(image, _SHADING_MM / 6)
    first = shrunk(image.with_array(body.astype(np.float32)), _SHADING_MM / 6).array >= 0.5
    sigmas = _SHADING_MM / coarse.grid.spacing_kji
    there = np.isfinite(coarse.array)
    light = np.where(there, coarse.array - darkest, 0)
    found, shading = first, None
    for _ in range(_ROUNDS):
        if not found.any():
            return body
        weights = ndimage.gaussian_filter(found.astype(np.float32), sigmas, mode="nearest")
        smooth = ndimage.gaussian_filter(np.where(found, light, 0), sigmas, mode="nearest")
        smooth /= np.maximum(weights, 1e-6)
        shading = np.maximum(smooth, np.float32(1e-3) * smooth[found].max())
        again = found | _body(coarse.with_array(np.where(there, light / shading, np.nan)), None)
        if np.count_nonzero(again) == np.count_nonzero(found):
            break
        found = again
    if np.count_nonzero(found) <= (1 + _GAIN) * np.count_nonzero(first):
        return body
    field = coarse.with_array(shading).resampled_to(image.grid).array
    again = _body(image.with_array(np.where(known, (image.array - darkest) / field, np.nan)), None) | body
    grows = np.count_nonzero(again) > (1 + _GAIN) * np.count_nonzero(body)
    return again if grows and touched_sides(again, known) <= touched_sides(body, known) else body


def touched_sides(body: np.ndarray, known: np.ndarray) -> int:
    """How many of the six sides of an image its body covers for the most part.

    Parameters
    ----------
    body, known
        (K, J, I) bool; the side of an image that lies obliquely in the array is where what is known ends.
    """
    count = 0
    for axis in range(3):
        for number in (0, -1):
            first = known.argmax(axis) if number == 0 else known.shape[axis] - 1 - np.flip(known, axis).argmax(axis)
            there = known.any(axis)
            covered = np.take_along_axis(body, np.expand_dims(first, axis), axis).squeeze(axis)
            count += bool(there.any() and covered[there].mean() > 0.5)
    return count


def body_by_texture(image: Volume) -> np.ndarray | None:
    """The body in an image whose background is noise as bright as tissue, as in MP2RAGE's uniform images.

    Parameters
    ----------
    image
        An MR on its own voxels: averaged, noise is as smooth as tissue.

    Returns
    -------
    (K, J, I) bool or None
        None where no noise surrounds a body.
    """
    array = image.array.astype(np.float32)
    known = np.isfinite(array)
    low, high = np.percentile(array[known], (2, 98))
    if not high > low:
        return None
    array = np.where(known, (array - low) / (high - low), 0)
    noisy = np.empty(array.shape, bool)
    # A few planes at a time: the moments take several times the memory of the image.
    for start in range(0, len(array), _NOISE_PLANES):
        first, last = max(start - 3, 0), min(start + _NOISE_PLANES + 3, len(array))
        part = array[first:last]
        mean = ndimage.uniform_filter(part, 3)
        spread = np.sqrt(np.maximum(ndimage.uniform_filter(part**2, 3) - mean**2, 0))
        smooth = ndimage.uniform_filter(spread, 5)
        noisy[start : start + _NOISE_PLANES] = smooth[start - first :][:_NOISE_PLANES] > _NOISE
    coarse = shrunk(image.with_array((known & ~noisy).astype(np.float32)), _MASK_SPACING_MM)
    try:
        found = _body(coarse, 0.5)
    except InputError:
        return None
    body = coarse.with_array(found.astype(np.uint8)).resampled_to(image.grid).array >= 0.5
    outside = known & ~body
    surrounded = outside.any() and noisy[outside].mean() > 0.5
    return body if surrounded and touched_sides(body, known) < touched_sides(known, known) - 1 else None


def field_of_view(image: Volume) -> np.ndarray | None:
    """Where an image has values, for one that is NaN beyond its field of view.

    Returns
    -------
    (K, J, I) bool or None
        None where no value is NaN.

    Raises
    ------
    InputError
        A value is infinite, or NaN within the image, or all are NaN.
    """
    if image.array.dtype.kind != "f" or np.isfinite(image.array).all():
        return None
    name = image.name or "The image"
    if np.isinf(image.array).any():
        raise InputError(f"{name} has infinite values; replace them (for example with a threshold) first.")
    unknown = np.isnan(image.array)
    labels, _ = ndimage.label(unknown, np.ones((3, 3, 3)))
    beyond = {int(label) for axis in range(3) for end in (0, -1) for label in np.unique(labels.take(end, axis))}
    within = unknown & ~np.isin(labels, list(beyond))
    if within.any():
        raise InputError(
            f"{name} has NaN at {np.count_nonzero(within)} voxels within the image; replace them (for example by "
            "the mean of their neighbours) first."
        )
    if unknown.all():
        raise InputError(f"{name} has nothing but NaN; load another volume.")
    return ~unknown


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
