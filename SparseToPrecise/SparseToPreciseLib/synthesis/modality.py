"""Telling a CT from an MR by its histogram, so that nobody synthesizes a CT from a CT."""

from __future__ import annotations

import numpy as np

from ..core.errors import InputError
from ..core.volume import Volume

_AIR = (-1100.0, -850.0)
_SOFT = (-200.0, 200.0)
_BODY_FROM = -500.0
_MOST_LOOKED_AT = 4_000_000


def looks_like_ct(array: np.ndarray) -> bool:
    """Whether intensities are Hounsfield units.

    A CT has its minimum at air or at padding below it, a mass of air, and hardly anything between lung and fat, so that
    what is not bone lies between fat and clotted blood. An MR with negative values (shifted, filtered or z-scored) has
    not all of it.
    """
    values = np.asarray(array).ravel()
    values = values[:: max(1, values.size // _MOST_LOOKED_AT)].astype(np.float32)
    values = values[np.isfinite(values)]
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


def refuse_ct(mr: Volume) -> None:
    """Raise the `InputError` for a CT that was given as MR."""
    if looks_like_ct(mr.array):
        raise InputError(
            f"{mr.name or 'The image'} looks like a CT (air near -1000 and soft tissue near 0); give the MR instead."
        )
