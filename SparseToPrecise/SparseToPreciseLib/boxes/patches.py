"""Patches of slices: which share of each is object, and where they lie."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ..core.progress import Progress
from ..core.volume import Volume
from .channels import Appearance, slice_channels
from .frame import CONTEXT, Frame

if TYPE_CHECKING:
    import torch

SLICES_AT_ONCE = 32
"""Bounds the memory, however many slices a box has."""


def patch_shares(mask: torch.Tensor, patch: int) -> torch.Tensor:
    """Share of object in every patch: (B, 1, H, W) -> (B, 1, 2 H / patch, 2 W / patch); see `PatchClassifier`."""
    import torch

    return torch.nn.functional.avg_pool2d(mask, patch, patch // 2, patch // 4)


def patch_centres(frame: Frame, patch: int) -> tuple[np.ndarray, np.ndarray]:
    """In-plane coordinates (mm) of the centres of the patches, along the columns (u) and the rows (v)."""
    rows, columns = frame.shape
    stride = patch // 2
    return tuple(
        ((np.arange(count // stride) + 0.5) * stride - CONTEXT) * frame.spacing - frame.box.size[one] / 2
        for count, one in zip((columns, rows), frame.plane, strict=True)
    )


def probability_map(
    network: torch.nn.Module,
    image: Volume,
    frame: Frame,
    device: torch.device,
    progress: Progress | None = None,
) -> np.ndarray:
    """The share of object that the network sees in every patch: (slices, rows, columns) float32, one pass per slice."""
    import torch

    appearance = Appearance.of(image, frame)
    maps = []
    network = network.to(device)
    with torch.inference_mode():
        for first, stop in _chunks(frame.slices):
            if progress is not None:
                progress(first / frame.slices, f"slice {first + 1} of {frame.slices}")
            given = torch.from_numpy(slice_channels(image, frame, appearance, first, stop)).to(device)
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type != "mps"):
                logits = network(given)
            maps.append(torch.sigmoid(logits.float())[:, 0].cpu().numpy())
    return np.concatenate(maps)


def _chunks(count: int) -> Iterator[tuple[int, int]]:
    for first in range(0, count, SLICES_AT_ONCE):
        yield first, min(first + SLICES_AT_ONCE, count)
