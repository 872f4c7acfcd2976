"""Telling a CT from an MR by its histogram, so that nobody synthesizes a CT from a CT."""

from __future__ import annotations

import numpy as np

from ..core.errors import InputError
from ..core.volume import Volume
from .padding import unpadded

_AIR = (-1100.0, -850.0)
_SOFT = (-200.0, 200.0)
_BODY_FROM = -500.0
_MOST_LOOKED_AT = 4_000_000

OFFSET = 1024
"""What scanners add to HU to store them without a sign."""
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
