"""The hull of an object: all that the boxes of its planes along the three axes leave of the space for it."""

from __future__ import annotations

import numpy as np


def box_hull(mask: np.ndarray) -> np.ndarray:
    """The voxels that lie within the box of their plane along every axis.

    Boxes alone are asked, and still little is left over: a ball fills 0.52 of its box, 0.79 of the boxes of its
    planes along one axis, and 0.89 of this.

    Parameters
    ----------
    mask
        (K, J, I) bool: an object, or what stands for it, such as the filled boxes of its slices.

    Returns
    -------
    (K, J, I) bool
        Holds the mask; a box is its own hull.

    Examples
    --------
    >>> cross = np.array([[[0, 1, 0], [1, 1, 1], [0, 1, 0]]], bool)
    >>> box_hull(cross).astype(int).tolist()
    [[[0, 1, 0], [1, 1, 1], [0, 1, 0]]]
    """
    result = np.ones(mask.shape, bool)
    for axis in range(3):
        result &= np.moveaxis(plane_boxes(np.moveaxis(mask, axis, 0)), 0, axis)
    return result


def plane_boxes(planes: np.ndarray) -> np.ndarray:
    """(K, J, I) bool: the box of every plane along the first axis, filled."""
    result = np.ones(planes.shape, bool)
    for axis in (1, 2):
        lines = planes.any(axis=3 - axis)
        begun = np.logical_or.accumulate(lines, axis=1)
        to_come = np.logical_or.accumulate(lines[:, ::-1], axis=1)[:, ::-1]
        result &= np.expand_dims(begun & to_come, 3 - axis)
    return result
