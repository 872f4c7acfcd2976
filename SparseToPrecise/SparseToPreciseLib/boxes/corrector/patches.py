"""Patches of slices: which share of each is object, as a network sees it, and where they lie.

The network is fully convolutional and gives the chance of every cell (2 x 2 pixels) to be object. The expected share of
object in a patch is the mean of these chances, so one pass serves all patches of all slices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...core.volume import Grid
from ..frame import CELL, CONTEXT, Frame

if TYPE_CHECKING:
    import torch

PATCHES = (2, 4, 8, 16, 32)
"""Sides of a patch, pixels; an object of 55 pixels with patches of 4 is as one of 220 pixels with patches of 16."""


def patch_shares(cells: torch.Tensor, patch: int) -> torch.Tensor:
    """Share of object in every patch from that of every cell.

    Patches are squares of `patch` pixels, half a patch (but at least a cell) apart; the first ones begin about half
    that distance beyond the corner.

    Parameters
    ----------
    cells
        (B, planes, rows, columns).

    Returns
    -------
    (B, planes, patch rows, patch columns)
    """
    import torch

    return torch.nn.functional.avg_pool2d(cells, *_window(patch))


def patch_centres(frame: Frame, patch: int) -> tuple[np.ndarray, np.ndarray]:
    """In-plane coordinates (mm) of the centres of the patches, along the columns (u) and the rows (v)."""
    rows, columns = frame.shape
    side, stride, beyond = _window(patch)
    found = []
    for pixels, one in zip((columns, rows), frame.plane, strict=True):
        count = (pixels // CELL + 2 * beyond - side) // stride + 1
        middle = (np.arange(count) * stride - beyond + side / 2) * CELL
        found.append((middle - CONTEXT) * frame.spacing - frame.box.size[one] / 2)
    return tuple(found)


def patch_grid(frame: Frame, patch: int) -> Grid:
    """The centres of the patches of all slices as a grid, (slices, patch rows, patch columns)."""
    u, v = patch_centres(frame, patch)
    stride = _window(patch)[1] * CELL * frame.spacing
    return frame.lattice((u[0], v[0], frame.positions()[0]), stride, frame.step, (frame.slices, len(v), len(u)))


def _window(patch: int) -> tuple[int, int, int]:
    """Side of a patch, distance between two, and how far the first begins beyond the corner, in cells."""
    side = patch // CELL
    stride = max(side // 2, 1)
    return side, stride, (side - stride + 1) // 2


def between_planes(planes: np.ndarray, frame: Frame) -> np.ndarray:
    """Values (planes, ...) on the slices (slices, ...): linear between planes, averaged where slices are thicker."""
    edges = frame.positions(np.arange(frame.slices + 1)) - frame.step / 2
    count = max(1, round(frame.step / frame.cell))
    shift = (np.arange(count) + 0.5) / count * frame.step
    at = (edges[:-1, None] + shift - frame.plane_positions()[0]) / frame.cell
    lower = np.clip(np.floor(at).astype(int), 0, len(planes) - 2)
    weight = np.clip(at - lower, 0, 1).astype(np.float32)[..., None, None]
    return (planes[lower] * (1 - weight) + planes[lower + 1] * weight).mean(axis=1)
