"""Kinds of values: is an image a CT or an MR, and what lies around it, air, padding or a mask?"""

from __future__ import annotations

from dataclasses import dataclass

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
_MASKED_BONE = 0.05
"""Share of bone of a CT that was masked to the skin, which leaves none of it half in the air."""
_EXAMINED = 2_000_000
_LEAST_SHARE = 0.01
"""Least share of the voxels that have the value of a padding or of what lies around a mask."""
_SOLID = 0.5
"""Least share of those that lie among their like: the noise of air, too, has a most frequent value."""
_BLURRED = 2
"""Layers of voxels beside a padding that may have been interpolated with it."""
_DARK = _EVEN = 0.15
"""Most by which the rim of the image may lie above the darkest, and spread, as shares of rim to brightest tissue."""
_FLOOR = 0.03
"""Most by which the smoothed rim may lie above the darkest 2 % inside, as such a share, to be air: bone and sinuses
are as dark as air, skin and fat without its signal are not."""
_OTHER = 0.03
"""Least distance of a padding from the rim, as such a share: nearer, it does no harm."""
_FAT, _LEAST_FAT = (-200.0, -20.0), 0.005
_BONE_FROM, _LEAST_SOME_BONE = 250.0, 0.005
_PEAKS, _PEAK_REACH, _LEAST_PEAK = (-130.0, 100.0), 40.0, 0.25
"""A CT without air around it has some fat, some bone, and one narrow peak, of fat, muscle or brain."""


def looks_like_ct(array: np.ndarray) -> bool:
    """Whether intensities are Hounsfield units beyond doubt.

    A CT has its minimum at air or at padding below it, a mass of air, and hardly anything between lung and fat, so that
    what is not bone lies between fat and clotted blood. An MR with negative values (shifted, filtered or z-scored) has
    not all of it. Where the darkest value fills whole regions, it is the padding of an image or the outside of a mask,
    and what is left is looked at: in a CT there is air, or else fat, bone and a narrow peak of soft tissue.
    """
    kept = _within(array)
    if kept is None:
        return _in_hu(_some(array))
    if _in_hu(kept):
        return True
    # Where air lies beside the padding, it is not a CT's.
    return _soft(kept) and _has_tissues(kept) and not _is_padded(np.asarray(array))


def may_be_ct(array: np.ndarray) -> bool:
    """Whether intensities can be Hounsfield units, for an image that is said to be a CT.

    Besides what looks like one: what is masked with a value of air or below, without fat, as a brain without skull.
    """
    kept = _within(array)
    return looks_like_ct(array) or (kept is not None and _soft(kept))


def _within(array: np.ndarray) -> np.ndarray | None:
    """Values of an image whose surroundings are constant and as dark as a CT's air; None where they are not."""
    array = np.asarray(array)
    found = _constant(array, _AIR[1]) if array.ndim == 3 else None
    if found is None:
        return None
    return found.image[~ndimage.binary_dilation(found.where, _IN_PLANE, iterations=_BLURRED)].astype(np.float32)


def _is_padded(array: np.ndarray) -> bool:
    found = surroundings(array) if np.isfinite(array).all() else None
    return found is not None and not found.is_mask


def _in_hu(values: np.ndarray) -> bool:
    if not values.size or values.min() > _AIR[1]:
        return False
    # Padding beyond a round field of view is darker than any air (-2000, -3024).
    air = np.count_nonzero((values >= _AIR[0]) & (values <= _AIR[1]))
    return air >= 0.01 * values.size and _soft(values)


def _soft(values: np.ndarray) -> bool:
    """Whether most of what is no air lies between fat and blood, and nearly all of what is no bone."""
    body = values[values > _BODY_FROM]
    soft = np.count_nonzero((body >= _SOFT[0]) & (body <= _SOFT[1]))
    no_bone = np.count_nonzero(body <= _SOFT[1])
    return bool(body.size >= max(0.01 * values.size, 1) and soft >= 0.4 * body.size and soft >= 0.8 * no_bone)


def _has_tissues(values: np.ndarray) -> bool:
    body = values[values > _BODY_FROM]
    counts, edges = np.histogram(body, np.arange(_PEAKS[0], _PEAKS[1] + _BIN, _BIN))
    peak = edges[np.convolve(counts, np.ones(5), "same").argmax()] + _BIN / 2
    near = np.count_nonzero(np.abs(body - peak) <= _PEAK_REACH)
    fat = np.count_nonzero((body >= _FAT[0]) & (body <= _FAT[1]))
    bone = np.count_nonzero(body > _BONE_FROM)
    return bool(
        near >= _LEAST_PEAK * body.size
        and fat >= _LEAST_FAT * body.size
        and bone >= _LEAST_SOME_BONE * body.size
    )


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
        and (skin >= _LEAST_SKIN * body.size or bone >= _MASKED_BONE * body.size)
    )


def refuse_mask(volume: Volume, kind: str) -> None:
    """Raise the `InputError` for a mask that was given as MR or CT."""
    array = volume.array
    low, high = array.min(), array.max()
    if low < high and np.count_nonzero(array == low) + np.count_nonzero(array == high) == array.size:
        raise InputError(
            f"{volume.name or f'The {kind}'} has only the values {low:g} and {high:g}, so it is a mask and no {kind}; "
            f"give the {kind}."
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


@dataclass(frozen=True)
class Surroundings:
    """One value that fills whole regions around an image.

    Attributes
    ----------
    value
        The value.
    air
        Level of the air within it, or the value itself where it is so near to air that it does no harm. None where what
        lies beside it is tissue, so that it is the outside of a mask.
    darkest
        The darkest air; what is darker was interpolated with the padding.
    """

    value: float
    air: float | None
    darkest: float

    @property
    def is_mask(self) -> bool:
        """Whether the value is what a mask left, with the body beside it."""
        return self.air is None

    def filled(self, array: np.ndarray) -> np.ndarray:
        """The array with air for padding; the given array itself where there is nothing to fill."""
        if self.air is None or self.air == self.value:
            return array
        kind = array.dtype.type
        if self.value < self.air:
            # What was interpolated is darker than any air.
            return np.where(array == self.value, kind(self.air), np.maximum(array, kind(self.darkest)))
        return np.where(ndimage.binary_dilation(array == self.value), kind(self.air), array)


def surroundings(array: np.ndarray) -> Surroundings | None:
    """Padding and masks of an MR told apart by what lies beside them.

    Beside padding, as after a rotation, lies air: even, and as dark as the darkest of the image. Beside the outside of
    a mask lies skin or brain, which may be dark and even too, as where fat has no signal, but bone and sinuses within
    are darker.

    Parameters
    ----------
    array
        (K, J, I), finite.

    Returns
    -------
    Surroundings or None
        None where no value fills whole regions, or nothing lies beside it.
    """
    found = _constant(array)
    if found is None:
        return None
    beside = ndimage.binary_dilation(found.where, _IN_PLANE, iterations=_BLURRED)
    rim = ndimage.binary_dilation(beside, _IN_PLANE) & ~beside
    if not rim.any():
        return None
    image = found.image.astype(np.float64)
    darkest, dark, air = np.percentile(image[rim], (1, 10, 50))
    low, high = np.percentile(image[~beside], (1, 98))
    span = high - air
    even = span > 0 and air - low <= _DARK * span and air - dark <= _EVEN * span
    # Smoothed, so that the darkest inside is no noise.
    weight = ndimage.uniform_filter((~beside).astype(np.float64), (1, 3, 3))
    smooth = ndimage.uniform_filter(np.where(beside, 0.0, image), (1, 3, 3)) / np.maximum(weight, 1e-6)
    inside = ~ndimage.binary_dilation(beside, _IN_PLANE, iterations=_BLURRED)
    floor = np.percentile(smooth[inside], 2) if inside.any() else low
    if not (even and np.median(smooth[rim]) - floor <= _FLOOR * span):
        return Surroundings(found.value, None, float(darkest))
    near = abs(air - found.value) < _OTHER * span
    return Surroundings(found.value, found.value if near else float(air), float(darkest))


def unpadded(array: np.ndarray) -> np.ndarray:
    """An image whose padding has the value of its air.

    Parameters
    ----------
    array
        (K, J, I), finite.

    Returns
    -------
    (K, J, I) of the same type
        The given array itself where nothing is padded, or where the padding is so near to air that it does no harm.
    """
    found = surroundings(array)
    return array if found is None else found.filled(array)


@dataclass(frozen=True)
class _Constant:
    """The most frequent value up to a limit, where it fills regions: some planes, and where they have it."""

    value: float
    image: np.ndarray
    where: np.ndarray


_IN_PLANE = ndimage.generate_binary_structure(3, 1)
_IN_PLANE[[0, 2]] = False


def _constant(array: np.ndarray, most: float = np.inf) -> _Constant | None:
    image = array[:: max(1, int(np.ceil(array.size / _EXAMINED)))]
    values, counts = np.unique(image[image <= most], return_counts=True)
    if not values.size:
        return None
    where = image == values[counts.argmax()]
    if counts.max() < max(_LEAST_SHARE * image.size, 2) or where.all():
        return None
    if np.count_nonzero(ndimage.binary_erosion(where, _IN_PLANE, border_value=1)) < _SOLID * counts.max():
        return None
    return _Constant(float(values[counts.argmax()]), image, where)
