"""A mask on the slices of a box against boxes of slices: how much they hold, and how tight they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .frame import Frame
from .metrics import rectangle_iou


def covered(bounds: np.ndarray, mask: np.ndarray, frame: Frame) -> float:
    """Share of the object (slices, pixel rows, pixel columns) in per-slice boxes (slices, 2, 2), mm."""
    return ObjectPart.of(mask, frame).covered(bounds)


@dataclass(frozen=True)
class ObjectPart:
    """The part of the slices that holds the object, and where its rows and columns lie."""

    slices: slice
    u: np.ndarray
    v: np.ndarray
    mask: np.ndarray

    @staticmethod
    def of(mask: np.ndarray, frame: Frame) -> ObjectPart:
        """Of a mask (slices, pixel rows, pixel columns) on the frame's slices."""
        parts = []
        for axis in range(3):
            there = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
            parts.append(slice(int(there[0]), int(there[-1]) + 1) if there.size else slice(0, 0))
        u, v = frame.pixels()
        return ObjectPart(parts[0], u[parts[2]], v[parts[1]], mask[tuple(parts)])

    def covered(self, bounds: np.ndarray) -> float:
        """Share of the object in per-slice boxes (slices, 2, 2), mm; 1 where there is no object."""
        total = float(self.mask.sum(dtype=np.float64))
        here = bounds[self.slices]
        lower, upper = np.nan_to_num(here[..., 0], nan=np.inf), np.nan_to_num(here[..., 1], nan=-np.inf)
        columns = ((self.u >= lower[:, :1]) & (self.u <= upper[:, :1])).astype(np.float32)
        rows = ((self.v >= lower[:, 1:]) & (self.v <= upper[:, 1:])).astype(np.float32)
        inside = np.einsum("sv,svu,su->", rows, self.mask, columns, optimize=True)
        return float(inside) / total if total else 1.0


def tight_bounds(mask: np.ndarray, frame: Frame) -> np.ndarray:
    """(slices, 2, 2) tight boxes of a mask on the pixels of slices, mm; NaN for none."""
    there = mask >= 0.5
    bounds = np.full((len(mask), 2, 2), np.nan)
    for one, (at, line) in enumerate(zip(frame.pixels(), (there.any(axis=1), there.any(axis=2)), strict=True)):
        full = line.any(axis=1)
        bounds[full, one, 0] = at[line[full].argmax(axis=1)] - frame.spacing / 2
        bounds[full, one, 1] = at[line.shape[1] - 1 - line[full][:, ::-1].argmax(axis=1)] + frame.spacing / 2
    return bounds


def mean_slice_iou(bounds: np.ndarray, tight: np.ndarray) -> float:
    """Mean over the slices where either is."""
    either = ~np.isnan(bounds[:, 0, 0]) | ~np.isnan(tight[:, 0, 0])
    return float(rectangle_iou(bounds[either], tight[either]).mean()) if either.any() else 1.0
