"""Which slices of a segmentation were painted, where nobody says so."""

from __future__ import annotations

import numpy as np

from ..core.errors import InputError
from ..core.plane import AXES, Plane
from ..core.volume import Volume

AUTO = "auto"
SLICES = (AUTO, *AXES)
_LEAST_SHARE = 0.5
"""Share of a slice's paint that must be flat across it: what only crosses other painted slices is not."""


def painted_slices(labels: Volume, slices: str = AUTO) -> list[Plane]:
    """The slices that hold paint.

    Paint on a slice is flat: the run of paint through a voxel is no longer across the slice than along it in either
    direction, and at most half as long as in one of them. A slice counts where that is so for most of its paint. An
    object that is painted whole has no such slices.

    Parameters
    ----------
    labels
        (K, J, I) whole numbers; all but 0 is paint.
    slices
        "I", "J" or "K": every slice across this axis with paint; "auto": slices across all three, as described.

    Returns
    -------
    list of Plane
        By axis, then by index; empty where there is no paint.

    Raises
    ------
    InputError
        An unknown axis, or no slice, or every one, is painted on its own.

    Examples
    --------
    >>> paint = np.zeros((9, 9, 9), np.uint8)
    >>> paint[[1, 5], 2:7, 2:7] = 1
    >>> paint[2:7, 2:7, 4] = 1
    >>> [plane.name for plane in painted_slices(Volume(paint, np.eye(4)))]
    ['slice I 4', 'slice K 1', 'slice K 5']
    """
    if slices not in SLICES:
        raise InputError(f"There are no slices {slices!r}; choose one of {', '.join(SLICES)}.")
    ijk = np.argwhere(labels.array)[:, ::-1]
    if not len(ijk):
        return []
    if slices != AUTO:
        axis = AXES.index(slices)
        return [Plane.of_slice(labels.grid, axis, int(index)) for index in np.unique(ijk[:, axis])]
    runs = np.stack([_run_lengths(ijk, axis) for axis in range(3)], axis=1)
    found = []
    for axis in range(3):
        others = np.delete(runs, axis, axis=1)
        is_flat = (runs[:, axis] <= others.min(axis=1)) & (2 * runs[:, axis] <= others.max(axis=1))
        all_paint = np.bincount(ijk[:, axis])
        flat = np.bincount(ijk[:, axis], is_flat, len(all_paint))
        indices = np.flatnonzero((all_paint > 0) & (flat > _LEAST_SHARE * all_paint))
        found += [Plane.of_slice(labels.grid, axis, int(index)) for index in indices]
    if not found:
        raise InputError(
            "No slice was painted on its own: the paint is as thick as it is wide; name the planes, or the axis across "
            "which slices were painted (I, J or K)."
        )
    return found


def _run_lengths(ijk: np.ndarray, axis: int) -> np.ndarray:
    """(N,) number of voxels without a gap along an axis, through each of (N, 3) voxels."""
    others = [other for other in range(3) if other != axis]
    order = np.lexsort((ijk[:, axis], ijk[:, others[0]], ijk[:, others[1]]))
    ordered = ijk[order]
    step = np.diff(ordered, axis=0)
    begins = np.concatenate([[True], (step[:, others] != 0).any(axis=1) | (step[:, axis] != 1)])
    run = np.cumsum(begins) - 1
    lengths = np.empty(len(ijk), np.int64)
    lengths[order] = np.bincount(run)[run]
    return lengths
