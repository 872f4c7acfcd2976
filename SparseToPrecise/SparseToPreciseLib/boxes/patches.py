"""Patches of slices: which share of each is object, as a network sees it, and where they lie.

The network is fully convolutional and gives the chance of every cell (2 x 2 pixels) to be object. The expected share of
object in a patch is the mean of these chances, so one pass serves all patches of a slice, and all slices at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..core.progress import Progress
from ..core.volume import Volume
from .channels import Appearance, cell_channels
from .frame import CELL, CONTEXT, Frame

if TYPE_CHECKING:
    import torch

PATCHES = (2, 4, 8, 16, 32)
"""Sides of a patch, pixels; an object of 44 pixels with patches of 4 is as one of 176 pixels with patches of 16."""
PLANES_AT_ONCE = 64
OVERLAP = 16
"""Planes of cells; what the network sees at once bounds the memory, however many slices a box has."""


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


def _window(patch: int) -> tuple[int, int, int]:
    """Side of a patch, distance between two, and how far the first begins beyond the corner, in cells."""
    side = patch // CELL
    stride = max(side // 2, 1)
    return side, stride, (side - stride + 1) // 2


def share_map(
    network: torch.nn.Module,
    image: Volume,
    frame: Frame,
    patch: int,
    device: torch.device,
    progress: Progress | None = None,
) -> np.ndarray:
    """(slices, rows, columns) float32: the share of object in every patch of every slice of a box."""

    planes = []
    for chances in cell_chances(network, image, frame, device, progress):
        planes.append(patch_shares(chances[None], patch)[0].cpu().numpy())
    return between_planes(np.concatenate(planes), frame)


def cell_chances(
    network: torch.nn.Module,
    image: Volume,
    frame: Frame,
    device: torch.device,
    progress: Progress | None = None,
):
    """Yield (planes, rows, columns) tensors: the chance of every cell to be object, a block of planes at a time."""
    import torch

    appearance = Appearance.of(image, frame)
    network = network.to(device)
    for first, stop, start, end in blocks(frame.planes):
        if progress is not None:
            progress(first / frame.planes, f"slices: {first / frame.planes:.0%}")
        given = torch.from_numpy(cell_channels(image, frame, appearance, start, end))[None].to(device)
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=device.type != "mps"):
            logits = network(given.to(memory_format=torch.channels_last_3d))
        yield torch.sigmoid(logits.float())[0, 0, first - start : stop - start]


def blocks(planes: int) -> list[tuple[int, int, int, int]]:
    """(first, stop, start, end): the planes of each block, and those that the network sees for it."""
    if planes <= PLANES_AT_ONCE + 2 * OVERLAP:
        return [(0, planes, 0, planes)]
    found = []
    for first in range(0, planes, PLANES_AT_ONCE):
        stop = min(first + PLANES_AT_ONCE, planes)
        found.append((first, stop, max(first - OVERLAP, 0), min(stop + OVERLAP, planes)))
    return found


def between_planes(planes: np.ndarray, frame: Frame) -> np.ndarray:
    """Values (planes, ...) on the slices (slices, ...): linear between planes, averaged where slices are thicker."""
    edges = frame.positions(np.arange(frame.slices + 1)) - frame.step / 2
    count = max(1, round(frame.step / frame.cell))
    shift = (np.arange(count) + 0.5) / count * frame.step
    at = (edges[:-1, None] + shift - frame.plane_positions()[0]) / frame.cell
    lower = np.clip(np.floor(at).astype(int), 0, len(planes) - 2)
    weight = np.clip(at - lower, 0, 1).astype(np.float32)[..., None, None]
    return (planes[lower] * (1 - weight) + planes[lower + 1] * weight).mean(axis=1)
