"""The trained network on volumes: how likely each voxel is the structure, as slices along three axes agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ..core.devices import Device, mixed_precision, run_with_fallback
from ..core.volume import Grid
from .inputs import Surroundings
from .working_grid import cube_around

if TYPE_CHECKING:
    import torch

_STRIDE = 16
_SLICES_AT_ONCE = 16


class SlicePredictor:
    """A network that segments slices, ready for volumes.

    Parameters
    ----------
    network
        (B, 1, rows, columns) -> logits of the same shape.
    spacing_mm
        Size of the pixels it was trained on.
    size
        Side of its patches, pixels.
    device
        Device on which it runs; falls back to the CPU, and says so in `note`.
    """

    def __init__(self, network: torch.nn.Module, spacing_mm: float, size: int, device: Device | None = None) -> None:
        self.network = network.eval()
        self.spacing_mm = spacing_mm
        self.size = size
        self._device = device or Device("cpu")

    @property
    def device(self) -> str:
        return self._device.name

    @property
    def note(self) -> str:
        return self._device.note

    def patch(self, centre: np.ndarray) -> Grid:
        """The cube on which the network looks for the structure around a RAS point."""
        return cube_around(centre, self.size, self.spacing_mm)

    def sparse(self, values: np.ndarray, step: int) -> np.ndarray:
        """The product from every `step`-th slice of each orientation, for blocks of `step` voxels along each side.

        A block counts as much as its likeliest voxel does in each orientation, so that what is thinner than a block is
        not lost.
        """
        result, self._device = run_with_fallback(lambda device: self._sparse(values, step, device), self._device)
        return result

    def blocks(self, values: np.ndarray, step: int) -> np.ndarray:
        """The values of `sparse`, each at all voxels of its block."""
        large = self.sparse(values, step)
        for axis in range(3):
            large = large.repeat(step, axis=axis)
        return large[tuple(slice(0, size) for size in values.shape)]

    def likelihood(self, surroundings: Surroundings, grid: Grid) -> np.ndarray:
        """(K, J, I) float32 product of the three orientations' probabilities (equation 1) on a grid along RAS."""
        return self.product(surroundings.on(grid))

    def product(self, values: np.ndarray) -> np.ndarray:
        """The likelihood for (K, J, I) values in units of their surroundings."""
        result, self._device = run_with_fallback(lambda device: self._product(values, device), self._device)
        return result

    def _product(self, values: np.ndarray, device: torch.device) -> np.ndarray:
        import torch

        volume = _as_ijk(values, device)
        result = torch.ones_like(volume)
        for axis in range(3):
            result *= self._chances(volume, axis)
        return result[0, 0].cpu().numpy().transpose(2, 1, 0)

    def _sparse(self, values: np.ndarray, step: int, device: torch.device) -> np.ndarray:
        import torch

        padding = [(0, -size % step) for size in values.shape]
        volume = _as_ijk(np.pad(values, padding), device)
        result = torch.ones([1, 1, *(size // step for size in volume.shape[2:])], device=device)
        for axis in range(3):
            kept = torch.arange(step // 2, volume.shape[2 + axis], step, device=device)
            chances = self._chances(volume.index_select(2 + axis, kept), axis)
            window = [1 if other == axis else step for other in range(3)]
            result *= torch.nn.functional.max_pool3d(chances, window)
        return result[0, 0].cpu().numpy().transpose(2, 1, 0)

    def _chances(self, volume: torch.Tensor, axis: int) -> torch.Tensor:
        """Probabilities on the slices across an axis of a (1, 1, I, J, K) volume.

        Slices along X are [j, k] and along Z [i, j], as in training; those along Y come as [i, k] and are turned.
        """
        import torch
        from monai.inferers import SliceInferer

        network = self.network.to(volume.device)
        across = [size for other, size in enumerate(volume.shape[2:]) if other != axis]
        window = tuple(-(-size // _STRIDE) * _STRIDE for size in across)
        infer = SliceInferer(roi_size=window, sw_batch_size=_slices_at_once(window), spatial_dim=axis, progress=False)
        with torch.inference_mode(), mixed_precision(volume.device.type):
            return torch.sigmoid(infer(volume, _turned(network) if axis == 1 else network).float())


def _as_ijk(values: np.ndarray, device: torch.device) -> torch.Tensor:
    import torch

    return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 1, 0)))[None, None].to(device)


def _slices_at_once(window: tuple[int, int]) -> int:
    """About as many pixels at once as in `_SLICES_AT_ONCE` patches."""
    return max(1, _SLICES_AT_ONCE * 64 * 64 // (window[0] * window[1]))


def _turned(network: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda slices: network(slices.transpose(-1, -2)).transpose(-1, -2)
