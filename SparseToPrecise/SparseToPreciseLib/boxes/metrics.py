"""Measures of boxes, and of the boxes of slices, against masks: IoU, coverage, signed error of each side, Dice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..comparison.overlap import overlap
from ..core.box import Box
from ..core.errors import InputError
from ..core.masks import bounding_slices
from ..core.volume import Volume
from .slices import Frame


def coverage(predicted: np.ndarray, reference: np.ndarray) -> float:
    """Share of the object (bool or weights) that lies in the prediction (bool), both (K, J, I); 1 without an object."""
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
    areas = [(rectangles[..., 1] - rectangles[..., 0]).prod(axis=-1) for rectangles in (first, second)]
    return np.nan_to_num(common / np.maximum(areas[0] + areas[1] - common, 1e-12))


def side_errors_mm(predicted: Box, reference: Volume) -> np.ndarray:
    """(3, 2) mm by which each lower and upper side of a box lies outside the tight box of a mask; negative cuts it."""
    tight = Box.bounding(reference, predicted.axes)
    shift = predicted.to_box(tight.center)
    low = (shift - tight.size / 2) + predicted.size / 2
    high = predicted.size / 2 - (shift + tight.size / 2)
    return np.stack([low, high], axis=1)


def evaluate(predicted: Box | Volume, reference: Volume, axis: int | None = None) -> dict[str, Any]:
    """A box, or boxes of slices or a segmentation as a labelmap, against a reference mask.

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
        there = predicted.mask_on(grid)
    else:
        there = predicted.resampled_to(grid, "nearest", fill=0).array != 0
    found = overlap(reference.with_array(there), reference)
    along = 2 - axis
    measures: dict[str, Any] = {
        "slice_iou": slice_iou(np.moveaxis(there, along, 0), np.moveaxis(truth, along, 0)),
        "coverage": coverage(there, truth),
        "dice": found.dice,
        "volume_mm3": predicted.volume_mm3 if isinstance(predicted, Box) else found.volume_a_mm3,
        "reference_volume_mm3": found.volume_b_mm3,
    }
    if isinstance(predicted, Box):
        measures["side_errors_mm"] = [float(error) for error in side_errors_mm(predicted, reference).ravel()]
    return measures


def covered(bounds: np.ndarray, mask: np.ndarray, frame: Frame) -> float:
    """Share of the object (slices, pixel rows, pixel columns) in boxes of slices (slices, 2, 2), mm."""
    return ObjectPart.of(mask, frame).covered(bounds)


@dataclass(frozen=True)
class ObjectPart:
    """The part of slices that holds the object, and the positions (mm) of its columns (u) and rows (v)."""

    slices: slice
    u: np.ndarray
    v: np.ndarray
    mask: np.ndarray

    @staticmethod
    def of(mask: np.ndarray, frame: Frame) -> ObjectPart:
        """The part with the object in a mask (slices, pixel rows, pixel columns) on the frame's slices."""
        parts = bounding_slices(mask) or (slice(0, 0),) * 3
        u, v = frame.pixels()
        return ObjectPart(parts[0], u[parts[2]], v[parts[1]], mask[tuple(parts)])

    def covered(self, bounds: np.ndarray) -> float:
        """Share of the object in boxes of slices (slices, 2, 2), mm; 1 where there is no object."""
        total = float(self.mask.sum(dtype=np.float64))
        here = bounds[self.slices]
        lower, upper = np.nan_to_num(here[..., 0], nan=np.inf), np.nan_to_num(here[..., 1], nan=-np.inf)
        columns = ((self.u >= lower[:, :1]) & (self.u <= upper[:, :1])).astype(np.float32)
        rows = ((self.v >= lower[:, 1:]) & (self.v <= upper[:, 1:])).astype(np.float32)
        inside = (np.matmul(rows[:, None], self.mask)[:, 0] * columns).sum()
        return float(inside) / total if total else 1.0


def tight_bounds(mask: np.ndarray, frame: Frame) -> np.ndarray:
    """(slices, 2, 2) tight boxes of a mask on the pixels of slices, mm; NaN for none."""
    there = mask >= 0.5
    bounds = np.full((len(mask), 2, 2), np.nan)
    for direction, (at, line) in enumerate(zip(frame.pixels(), (there.any(axis=1), there.any(axis=2)), strict=True)):
        full = line.any(axis=1)
        bounds[full, direction, 0] = at[line[full].argmax(axis=1)] - frame.spacing / 2
        bounds[full, direction, 1] = at[line.shape[1] - 1 - line[full][:, ::-1].argmax(axis=1)] + frame.spacing / 2
    return bounds


def mean_slice_iou(bounds: np.ndarray, tight: np.ndarray) -> float:
    """Mean IoU of two boxes (slices, 2, 2) a slice, over the slices where either is; 1 when none is."""
    either = ~np.isnan(bounds[:, 0, 0]) | ~np.isnan(tight[:, 0, 0])
    return float(rectangle_iou(bounds[either], tight[either]).mean()) if either.any() else 1.0


def _slice_boxes(mask: np.ndarray) -> np.ndarray:
    """(slices, 2, 2) bounds of a mask on every slice, in voxel edges; NaN for none."""
    bounds = np.full((len(mask), 2, 2), np.nan)
    for direction, axis in enumerate((1, 2)):
        line = mask.any(axis=axis)  # rows remain for axis 1 of the slice, columns for axis 0
        there = line.any(axis=1)
        bounds[there, direction, 0] = line[there].argmax(axis=1)
        bounds[there, direction, 1] = line.shape[1] - line[there][:, ::-1].argmax(axis=1)
    return bounds
