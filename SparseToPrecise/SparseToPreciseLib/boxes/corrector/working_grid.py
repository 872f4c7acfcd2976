"""The grids between the world and the network: cells that it gets, and patches of slices that its output is taken on.

The network is fully convolutional and gives the probability of every cell (2 x 2 pixels) to be object. The expected
share of object in a patch is the mean of these, so that one pass serves all patches of all slices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...core.box import Box
from ...core.volume import Grid, Volume
from ..intensities import Appearance
from ..slices import CELL, CONTEXT, Frame
from .inputs import cell_channels, reordered

if TYPE_CHECKING:
    import torch

PATCHES = (2, 4, 8, 16, 32)
"""Sides of a patch, pixels; an object of 55 pixels with patches of 4 is as one of 220 pixels with patches of 16."""

MIRRORED = (1, 2, 4, 8)
_MIRRORS = ((), (2, 3, 4), (2,), (3, 4), (3,), (2, 4), (4,), (2, 3))
"""The first 1, 2, 4 or 8 are closed: the mean over them is the same for a box and its mirror images among them."""


@dataclass(frozen=True)
class View:
    """The cells of a box as a network gets them; the same in training and afterwards.

    Attributes
    ----------
    side
        Pixels along a box that is as long as it is wide; the pixels follow the box.
    typical_mm
        Length of the objects that the network was trained on (geometric mean of the three sides), by which it is told
        the size of the box, so that other sizes, and images whose voxels are not in mm, give another answer; None: of
        any length.
    mirrored
        One of `MIRRORED`: how many mirror images of the cells the network is asked about; their mean is taken. One that
        is oriented is asked about the cells as they are.
    oriented
        Cells are in the order of the axes R, A and S, wherever the box's own axes point, so that the network can tell
        left from right; otherwise in that of the box.
    """

    side: int = 72
    typical_mm: float | None = None
    oriented: bool = False
    mirrored: int = 1

    @property
    def mirrors(self) -> tuple[tuple[int, ...], ...]:
        """Axes of (1, C, planes, rows, columns) that each of the mirror images is turned round along."""
        return _MIRRORS[: 1 if self.oriented else self.mirrored]

    def frame(self, box: Box, axis: int, step_mm: float) -> Frame:
        """The slices of a box along one of its axes, about `step_mm` apart."""
        return Frame.cut(box, axis, step_mm, None, self.side)

    def channels(self, image: Volume, frame: Frame) -> np.ndarray:
        """(CHANNELS, planes, rows, columns) float32, on frame.cells(0, frame.planes); see `cell_channels`."""
        return cell_channels(image, frame, Appearance.of(image, frame), self.typical_mm)

    def shown(self, cells: np.ndarray, grid: Grid) -> np.ndarray:
        """(CHANNELS, planes, rows, columns) channels in the order in which the network gets them."""
        order, flipped = self._order(grid)
        return np.flip(reordered(cells, order), flipped)

    def shown_mask(self, mask: np.ndarray, grid: Grid) -> np.ndarray:
        """(planes, rows, columns) values in the order in which the network gets them."""
        order, flipped = self._order(grid)
        return np.flip(mask.transpose(order), [axis - 1 for axis in flipped])

    def as_stored(self, output: np.ndarray, grid: Grid) -> np.ndarray:
        """(planes, rows, columns) values as the network gives them, in the box's own order again."""
        order, flipped = self._order(grid)
        return np.flip(output, [axis - 1 for axis in flipped]).transpose(np.argsort(order))

    def _order(self, grid: Grid) -> tuple[tuple[int, int, int], list[int]]:
        """Axes of the arrays that become the first to the third, and those (of 1 to 3) that are then turned round."""
        if not self.oriented:
            return (0, 1, 2), []
        axes, signs = grid.nearest_ras_axes()
        # Of arrays, S comes first and R last.
        order = tuple(2 - axes[ras] for ras in (2, 1, 0))
        return order, [1 + number for number, ras in enumerate((2, 1, 0)) if signs[ras] < 0]


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
    centres = []
    for pixels, axis in zip((columns, rows), frame.plane, strict=True):
        count = (pixels // CELL + 2 * beyond - side) // stride + 1
        middle = (np.arange(count) * stride - beyond + side / 2) * CELL
        centres.append((middle - CONTEXT) * frame.spacing - frame.box.size[axis] / 2)
    return tuple(centres)


def patch_grid(frame: Frame, patch: int) -> Grid:
    """The centres of the patches of all slices as a grid, (slices, patch rows, patch columns)."""
    u, v = patch_centres(frame, patch)
    stride = _window(patch)[1] * CELL * frame.spacing
    return frame.lattice((u[0], v[0], frame.positions()[0]), stride, frame.step, (frame.slices, len(v), len(u)))


def _window(patch: int) -> tuple[int, int, int]:
    """Side of a patch, distance of two, and distance by which the first begins beyond the corner, in cells."""
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
