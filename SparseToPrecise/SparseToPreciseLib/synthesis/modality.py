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
_OFFSETS = (OFFSET, 1000)
_STORED_AIR_BELOW = 174.0
_BIN = 10.0
_PEAKS, _PEAK_REACH = (-150.0, 120.0), (40.0, 75.0)
_TISSUES = ((-140.0, -60.0), (0.0, 80.0))
"""HU of fat, and of muscle, organs and brain."""
_FAT, _BONE_FROM = (-200.0, -20.0), 250.0
_LEAST_SOFT, _LEAST_NEAR, _LEAST_IN_TISSUES, _LEAST_FAT = 0.92, (0.32, 0.46), 0.49, 0.01
"""Shares of what is no bone, see `_has_tissues`."""
_LEAST_BONE, _MOST_BONE, _MOST_BONE_IN_HU = 0.01, 0.3, 0.6
"""Shares of the body. 46 real CTs (limbs, trunks, heads and necks, whole and masked with 0 to 10 voxels around the
body) and those of phantoms with a skull have all of this: soft at least 0.93, near 0.33 and 0.47, tissues 0.5, fat
0.026, bone 0.012 to 0.21. 50 real MRs and phantoms of all contrasts never have, by whatever they are multiplied."""
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
_LEAST_IN_CORNERS = 0.5
"""Share of the corners of slices that have the value around a mask."""


def looks_like_ct(array: np.ndarray) -> bool:
    """Whether intensities are Hounsfield units beyond doubt.

    A CT has its minimum at air or at padding below it, a mass of air, and hardly anything between lung and fat, so that
    what is not bone lies between fat and clotted blood. An MR with negative values (shifted, filtered or z-scored) has
    not all of it. Where one value fills whole regions, it is the padding of an image or the outside of a mask, and what
    is left is looked at: in a CT there is air, or else fat, bone and narrow peaks of soft tissue.
    """
    kept = _within(array)
    if kept is None:
        return _in_hu(_some(array)) or _has_tissues(_within_zeros(array))
    return _in_hu(kept) or _has_tissues(kept, _MOST_BONE_IN_HU)


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
    return None if found is None else found.inside()


def _within_zeros(array: np.ndarray) -> np.ndarray:
    """Values of an image that was multiplied by a mask; none where it was not."""
    array = np.asarray(array)
    found = _constant(array, 0.0, 0.0) if array.ndim == 3 else None
    return np.empty(0, np.float32) if found is None else found.inside()


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


def _has_tissues(values: np.ndarray, most_bone: float = _MOST_BONE) -> bool:
    """Whether there are fat, bone and narrow peaks of soft tissue, as in a CT with or without air around it."""
    body = values[values > _BODY_FROM]
    other = body[body <= _BONE_FROM]
    if other.size < max(0.01 * values.size, 1):
        return False
    counts, edges = np.histogram(other, np.arange(*_PEAKS, _BIN))
    peak = edges[np.convolve(counts, np.ones(5), "same").argmax()] + _BIN / 2

    def share(*limits: tuple[float, float]) -> float:
        return sum(np.count_nonzero((other >= low) & (other <= high)) for low, high in limits) / other.size

    return bool(
        share(_SOFT) >= _LEAST_SOFT * share((_BODY_FROM, _SOFT[1]))
        and all(
            share((peak - reach, peak + reach)) >= least for reach, least in zip(_PEAK_REACH, _LEAST_NEAR, strict=True)
        )
        and share(*_TISSUES) >= _LEAST_IN_TISSUES
        and share(_FAT) >= _LEAST_FAT
        and _LEAST_BONE <= 1 - other.size / body.size <= most_bone
    )


def looks_like_offset_ct(array: np.ndarray) -> bool:
    """Whether intensities are Hounsfield units to which about `OFFSET` was added.

    Air is near 0, as in an MR. But the soft tissues of a CT lie within a few percent of each other, fat near 920 and
    the rest near 1065, and some bone is far brighter. An MR whose unit happens to put its tissues there spreads them
    more widely.
    """
    array = np.asarray(array)
    found = _constant(array, _STORED_AIR_BELOW) if array.ndim == 3 else None
    looked_at = [_some(array)] if found is None else [_some(array), found.inside()]
    return any(_has_tissues(values - offset) for values in looked_at for offset in _OFFSETS)


def refuse_no_hu(ct: Volume, otherwise: str) -> None:
    """Raise the `InputError` for what is said to be a CT and has no Hounsfield units, or none around its mask.

    Parameters
    ----------
    ct
        Finite where it is known.
    otherwise
        The sentence for what is no CT at all, after its name.
    """
    name = ct.name or "The CT"
    if not may_be_ct(ct.array):
        if looks_like_offset_ct(ct.array):
            raise InputError(
                f"{name} looks like a CT stored with an offset of {OFFSET} (air near 0, soft tissue near 1050); "
                f"subtract {OFFSET} from it first."
            )
        raise InputError(f"{name} {otherwise}.")
    found = _constant(ct.array, least=_SOFT[0])
    if found is None:
        return
    # A body may reach the sides of its slices, and reaches none of their corners.
    if found.where[:, [0, 0, -1, -1], [0, -1, 0, -1]].mean() > _LEAST_IN_CORNERS:
        raise InputError(
            f"{name} has the value {found.value:g} around its mask, which is tissue in Hounsfield units; give it -1024 "
            "there."
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
    """The most frequent value between limits, where it fills regions: some planes, and where they have it."""

    value: float
    image: np.ndarray
    where: np.ndarray

    def inside(self) -> np.ndarray:
        """Values that neither have the value nor may have been interpolated with it, float32."""
        return self.image[~ndimage.binary_dilation(self.where, _IN_PLANE, iterations=_BLURRED)].astype(np.float32)


_IN_PLANE = ndimage.generate_binary_structure(3, 1)
_IN_PLANE[[0, 2]] = False


def _constant(array: np.ndarray, most: float = np.inf, least: float = -np.inf) -> _Constant | None:
    image = array[:: max(1, int(np.ceil(array.size / _EXAMINED)))]
    values, counts = np.unique(image[(image >= least) & (image <= most)], return_counts=True)
    if not values.size:
        return None
    where = image == values[counts.argmax()]
    if counts.max() < max(_LEAST_SHARE * image.size, 2) or where.all():
        return None
    if np.count_nonzero(ndimage.binary_erosion(where, _IN_PLANE, border_value=1)) < _SOLID * counts.max():
        return None
    return _Constant(float(values[counts.argmax()]), image, where)
