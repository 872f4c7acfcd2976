"""What lies around an image that was turned or padded: one value which is neither its air nor its tissue."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

_LOOKED_AT = 1_000_000
_LEAST_SHARE = 0.01
"""Of the voxels that have the value."""
_SOLID = 0.5
"""Share of those that lie among their like: the noise of air, too, has a most frequent value."""
_BLURRED = 2
"""So many layers of voxels beside the padding may have been interpolated with it."""
_DARK = _EVEN = 0.15
"""How far the rim of the image may lie above the darkest, and spread, as shares of what lies between rim and tissue."""
_OTHER = 0.03
"""How far padding must lie from the rim, as such a share: nearer, it does no harm."""


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
