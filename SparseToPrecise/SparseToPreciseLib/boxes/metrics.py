"""How good a box is: slice IoU, coverage, signed error of each side, Dice."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.box import Box
from ..core.errors import InputError
from ..core.volume import Volume


def coverage(predicted: np.ndarray, reference: np.ndarray) -> float:
    """Share of the object (bool or weights) that lies in what was predicted (bool), both (K, J, I)."""
    total = float(reference.sum(dtype=np.float64))
    return float(reference[predicted].sum(dtype=np.float64)) / total if total else 1.0


def slice_iou(predicted: np.ndarray, reference: np.ndarray) -> float:
    """Mean IoU of the boxes of two masks over the slices (axis 0) where either has something; 1 when none has.

    The paper's measure (Table 2): tight boxes of the reference against the predicted boxes, slice by slice. A slice
    that only one of the two has counts as 0.
    """
    boxes = [_slice_boxes(mask) for mask in (predicted, reference)]
    either = ~np.isnan(boxes[0][:, 0, 0]) | ~np.isnan(boxes[1][:, 0, 0])
    if not either.any():
        return 1.0
    return float(np.mean(rectangle_iou(boxes[0][either], boxes[1][either])))


def rectangle_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """IoU of rectangles (N, 2, 2) of lower and upper bounds along two axes; 0 where one is NaN."""
    low = np.maximum(first[..., 0], second[..., 0])
    high = np.minimum(first[..., 1], second[..., 1])
    common = np.clip(high - low, 0, None).prod(axis=-1)
    areas = [(one[..., 1] - one[..., 0]).prod(axis=-1) for one in (first, second)]
    return np.nan_to_num(common / np.maximum(areas[0] + areas[1] - common, 1e-12))


def side_errors_mm(predicted: Box, reference: Volume) -> np.ndarray:
    """(3, 2) mm: how far each lower and upper side of a box lies outside the tight box of a mask; negative cuts it."""
    tight = Box.bounding(reference, predicted.axes)
    shift = predicted.to_box(tight.center)
    low = (shift - tight.size / 2) + predicted.size / 2
    high = predicted.size / 2 - (shift + tight.size / 2)
    return np.stack([low, high], axis=1)


def dice(predicted: np.ndarray, reference: np.ndarray) -> float:
    """Dice of two bool masks; 1 when both are empty."""
    both = int(predicted.sum()) + int(reference.sum())
    return 2.0 * int((predicted & reference).sum()) / both if both else 1.0


def evaluate(predicted: Box | Volume, reference: Volume, axis: int | None = None) -> dict[str, Any]:
    """A box, or the per-slice boxes or a segmentation as a labelmap, against a reference mask.

    Parameters
    ----------
    predicted
        A labelmap on any grid is brought to the reference's.
    reference
        Not 0 inside the object.
    axis
        Index axis of the reference (0: I, 1: J, 2: K) along which slices are compared; None: of its thickest voxels.

    Returns
    -------
    dict
        slice_iou, coverage, dice, volume_mm3, reference_volume_mm3; for a box also side_errors_mm, 6 numbers in the
        order lower, upper of each of its axes.

    Raises
    ------
    InputError
        The reference is empty.
    """
    truth = reference.array != 0
    if not truth.any():
        raise InputError(f"{reference.name or 'The reference mask'} is empty, so that nothing can be compared with it.")
    grid = reference.grid
    if axis is None:
        axis = int(np.flatnonzero(grid.spacing >= grid.spacing.max() * (1 - 1e-3))[-1])
    if isinstance(predicted, Box):
        there, volume = predicted.mask_on(grid), predicted.volume_mm3
    else:
        there = predicted.resampled_to(grid, "nearest", fill=0).array != 0
        volume = float(there.sum()) * grid.voxel_volume_mm3
    along = 2 - axis
    found: dict[str, Any] = {
        "slice_iou": slice_iou(np.moveaxis(there, along, 0), np.moveaxis(truth, along, 0)),
        "coverage": coverage(there, truth),
        "dice": dice(there, truth),
        "volume_mm3": volume,
        "reference_volume_mm3": float(truth.sum()) * grid.voxel_volume_mm3,
    }
    if isinstance(predicted, Box):
        found["side_errors_mm"] = [float(one) for one in side_errors_mm(predicted, reference).ravel()]
    return found


def _slice_boxes(mask: np.ndarray) -> np.ndarray:
    """(slices, 2, 2) bounds of a mask on every slice, in voxel edges; NaN for none."""
    bounds = np.full((len(mask), 2, 2), np.nan)
    for one, axis in enumerate((1, 2)):
        line = mask.any(axis=axis)  # rows remain for axis 1 of the slice, columns for axis 0
        there = line.any(axis=1)
        bounds[there, one, 0] = line[there].argmax(axis=1)
        bounds[there, one, 1] = line.shape[1] - line[there][:, ::-1].argmax(axis=1)
    return bounds
