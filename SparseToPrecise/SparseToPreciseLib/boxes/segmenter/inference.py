"""The segmenter's network on all planes of a box's cells."""

from __future__ import annotations

import numpy as np
import torch

from ...core.devices import mixed_precision
from ...core.progress import Progress
from ...core.volume import Volume
from ..intensities import refined
from ..slices import MULTIPLE, Frame
from .inputs import IN_IMAGE, NEAR, POSITIONS, box_cells, plane_channels, turned

PLANES_AT_ONCE = 32


def cell_probabilities(
    network: torch.nn.Module,
    image: Volume,
    frame: Frame,
    views: int,
    device: torch.device,
    progress: Progress | None = None,
    *,
    own_intensities: bool = False,
) -> np.ndarray:
    """The probability of object in every cell of a box.

    Parameters
    ----------
    views
        Number of axes along which the box is cut, at first along the frame's own; the mean is taken.
    own_intensities
        Whether the network's probabilities are refined by this image's own intensities, see `intensities.refined`.

    Returns
    -------
    (K, J, I) float32 on the grid frame.cells(0, frame.planes).
    """
    progress = progress or Progress()
    cells = box_cells(image, frame)
    network = network.to(device)
    total = np.zeros(cells.shape[1:], np.float32)
    with torch.inference_mode():
        for view in range(views):
            here = turned(cells, view)
            output = _view(network, here, device, progress.part(view / views, (view + 1) / views))
            total += output.transpose(np.roll((0, 1, 2), view))
    if not own_intensities:
        return total / views
    there = cells[IN_IMAGE] > 0
    inside = (cells[POSITIONS] <= 1).all(axis=0) & there
    return refined(total / views, cells[NEAR], inside, there)


def _view(network: torch.nn.Module, cells: np.ndarray, device: torch.device, progress: Progress) -> np.ndarray:
    """(K, J, I): all planes along K."""
    _, count, rows, columns = cells.shape
    result = np.empty((count, rows, columns), np.float32)
    for first in range(0, count, PLANES_AT_ONCE):
        progress(first / count, f"plane {first + 1} of {count}")
        numbers = np.arange(first, min(first + PLANES_AT_ONCE, count))
        channels = np.pad(
            plane_channels(cells, numbers), [(0, 0), (0, 0), (0, -rows % MULTIPLE), (0, -columns % MULTIPLE)], "edge"
        )
        with mixed_precision(device.type):
            logits = network(torch.from_numpy(channels).to(device))
        result[numbers] = torch.sigmoid(logits.float())[:, 0, :rows, :columns].cpu().numpy()
    return result
