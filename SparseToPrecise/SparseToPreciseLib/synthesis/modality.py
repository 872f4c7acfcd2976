"""Kinds of values: is an image a CT or an MR, and what lies around it, air, padding or a mask?"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..core.errors import InputError
from ..core.volume import Volume

_AIR = (-1100.0, -850.0)
_SOFT = (-200.0, 200.0)
_BODY_FROM = -500.0
_MOST_LOOKED_AT = 4_000_000
OFFSET = 1024
"""HU that scanners add, to store a CT without a sign."""
_STORED_AIR_BELOW = 174.0
_STORED_BODY_FROM = 524.0
_STORED_SOFT = (824.0, 1224.0)
_STORED_PEAKS = (875.0, 1115.0)
_STORED_BONE_FROM = 1424.0
_BIN = 10.0
_NEAR = 75.0
_LEAST_SOFT, _LEAST_NEAR, _LEAST_BONE, _LEAST_SKIN = 0.87, 0.42, 0.007, 0.02
"""Shares, see `looks_like_offset_ct`. CTs of two heads and an abdomen and those of phantoms have at least 0.89, 0.48,
0.009 and 0.03, also where 1000 was added. MRs (four real ones, phantoms of all contrasts) never reach all four, by
whatever they are multiplied."""
_LOOKED_AT = 1_000_000
_LEAST_SHARE = 0.01
"""Share of the voxels that have the value."""
_SOLID = 0.5
"""Share of those that lie among their like: the noise of air, too, has a most frequent value."""
_BLURRED = 2
"""So many layers of voxels beside the padding may have been interpolated with it."""
_DARK = _EVEN = 0.15
"""How far the rim of the image may lie above the darkest, and spread, as shares of what lies between rim and tissue."""
_OTHER = 0.03
"""How far padding must lie from the rim, as such a share: nearer, it does no harm."""


def looks_like_ct(array: np.ndarray) -> bool:
    """Whether intensities are Hounsfield units.

    A CT has its minimum at air or at padding below it, a mass of air, and hardly anything between lung and fat, so that
    what is not bone lies between fat and clotted blood. An MR with negative values (shifted, filtered or z-scored) has
    not all of it, but for one that was padded with the value of air.
    """
    return _in_hu(_some(array)) and _in_hu(_some(unpadded(np.asarray(array))))


def _in_hu(values: np.ndarray) -> bool:
    if not values.size or values.min() > _AIR[1]:
        return False
    least = 0.01 * values.size
    # Padding beyond a round field of view is darker than any air (-2000, -3024).
    values = values[values >= _AIR[0]]
    air = np.count_nonzero(values <= _AIR[1])
    body = values[values > _BODY_FROM]
    soft = np.count_nonzero((body >= _SOFT[0]) & (body <= _SOFT[1]))
    no_bone = np.count_nonzero(body <= _SOFT[1])
    return bool(air >= least and body.size >= least and soft >= 0.4 * body.size and soft >= 0.8 * no_bone)


def looks_like_offset_ct(array: np.ndarray) -> bool:
    """Whether intensities are Hounsfield units to which about `OFFSET` was added.

    Air is near 0, as in an MR. But the soft tissues of a CT lie within a few percent of each other, near 1050, nothing
    but fat is a little darker, and some bone is far brighter. An MR whose unit happens to put its tissues there spreads
    them more widely.
    """
    values = _some(array)
    body = values[values > _STORED_BODY_FROM]
    least = 0.01 * values.size
    if not body.size or body.size < least or np.count_nonzero(values <= _STORED_AIR_BELOW) < least:
        return False
    counts, edges = np.histogram(body, np.arange(_STORED_BODY_FROM, _STORED_BONE_FROM, _BIN))
    peak = edges[np.convolve(counts, np.ones(5), "same").argmax()] + _BIN / 2
    no_bone = np.count_nonzero(body <= _STORED_SOFT[1])
    soft = np.count_nonzero((body >= _STORED_SOFT[0]) & (body <= _STORED_SOFT[1]))
    near = np.count_nonzero(np.abs(body - peak) <= _NEAR)
    bone = np.count_nonzero(body > _STORED_BONE_FROM)
    # Half of air and half of tissue; a brain without its skull, which may have one narrow peak, has hardly any.
    skin = np.count_nonzero(values > _STORED_AIR_BELOW) - body.size
    return bool(
        _STORED_PEAKS[0] <= peak <= _STORED_PEAKS[1]
        and soft >= _LEAST_SOFT * no_bone
        and near >= _LEAST_NEAR * body.size
        and bone >= _LEAST_BONE * body.size
        and skin >= _LEAST_SKIN * body.size
    )


def refuse_ct(mr: Volume) -> None:
    """Raise the `InputError` for a CT that was given as MR."""
    name = mr.name or "The image"
    if looks_like_ct(mr.array):
        raise InputError(f"{name} looks like a CT (air near -1000 and soft tissue near 0); give the MR instead.")
    if looks_like_offset_ct(mr.array):
        raise InputError(
            f"{name} looks like a CT stored with an offset of {OFFSET} (air near 0, soft tissue near 1050); "
            "give the MR instead."
        )


def _some(array: np.ndarray) -> np.ndarray:
    """Finite values of an array as float32, not all of a large one."""
    values = np.asarray(array).ravel()
    values = values[:: max(1, values.size // _MOST_LOOKED_AT)].astype(np.float32)
    return values[np.isfinite(values)]


def unpadded(array: np.ndarray) -> np.ndarray:
    """An image whose padding has the value of its air.

    Padding is the most frequent value where it fills whole regions, and where the image that it surrounds is dark and
    even at its rim. Around a head that was cut out, the value is the air itself: there the rim is skin or brain.

    Parameters
    ----------
    array
        (K, J, I), finite.

    Returns
    -------
    (K, J, I) of the same type
        The given array itself where nothing is padded.
    """
    step = max(1, int(np.ceil((array.size / _LOOKED_AT) ** (1 / 3))))
    seen = array[::step, ::step, ::step]
    values, counts = np.unique(seen, return_counts=True)
    value = values[counts.argmax()]
    padding = seen == value
    if counts.max() < max(_LEAST_SHARE * seen.size, 2) or padding.all():
        return array
    if np.count_nonzero(ndimage.binary_erosion(padding, border_value=1)) < _SOLID * counts.max():
        return array
    beside = ndimage.binary_dilation(padding, iterations=_BLURRED)
    rim = seen[ndimage.binary_dilation(beside) & ~beside].astype(np.float64)
    if not rim.size:
        return array
    low, high = np.percentile(seen[~beside].astype(np.float64), (1, 98))
    darkest, dark, air = np.percentile(rim, (1, 10, 50))
    span = high - air
    if span <= 0 or air - low > _DARK * span or air - dark > _EVEN * span or abs(air - float(value)) < _OTHER * span:
        return array
    kind = array.dtype.type
    if value < air:
        # What was interpolated is darker than any air.
        return np.where(array == value, kind(air), np.maximum(array, kind(darkest)))
    return np.where(ndimage.binary_dilation(array == value), kind(air), array)
