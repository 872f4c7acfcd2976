"""A network over a volume of any size, tile by tile, in bounded memory.

The tiles are MONAI's sliding window with Gaussian blending. What is added here: cancel and progress at every tile, a
network's own background around a volume that is smaller than a tile, and smaller tiles, then the CPU, when the memory
runs out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .devices import Device, ran_out_of_memory
from .errors import InputError
from .progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

SMALLEST_TILE = 32
MOST_OVERLAP = 0.9


@dataclass(frozen=True)
class Tiling:
    """How a volume is cut.

    Parameters
    ----------
    size
        Voxels along each side of a tile.
    overlap
        Share of a tile that its neighbour covers, too; 0 to `MOST_OVERLAP`.
    multiple
        Sides of tiles are multiples of it: what the network halves and doubles.
    background
        Value around a volume that is smaller than a tile.

    Raises
    ------
    InputError
        The size or the overlap is out of its range.
    """

    size: int
    overlap: float = 0.5
    multiple: int = 16
    background: float = 0.0

    def __post_init__(self) -> None:
        if self.size < SMALLEST_TILE:
            raise InputError(f"A tile needs at least {SMALLEST_TILE} voxels along its sides, not {self.size}.")
        if not 0 <= self.overlap <= MOST_OVERLAP:
            raise InputError(f"The overlap of tiles must be from 0 to {MOST_OVERLAP:g}, not {self.overlap:g}.")
        object.__setattr__(self, "size", -(-self.size // self.multiple) * self.multiple)

    def shape(self, volume: tuple[int, int, int]) -> tuple[int, int, int]:
        """(K, J, I) voxels of a tile of a volume: no longer than the volume needs."""
        return tuple(min(self.size, -(-side // self.multiple) * self.multiple) for side in volume)

    def count(self, volume: tuple[int, int, int]) -> int:
        """Number of tiles of a volume."""
        total = 1
        for side, tile in zip(volume, self.shape(volume), strict=True):
            # As MONAI steps: at least a voxel; one tile where the volume is no longer than it.
            step = max(int(tile * (1 - self.overlap)), 1)
            total *= 1 + max(-(-(side - tile) // step), 0)
        return total

    def smaller(self, volume: tuple[int, int, int]) -> Tiling | None:
        """About half of the longest side that a tile has for a volume; None when it is the smallest already."""
        longest = max(self.shape(volume))
        if longest <= SMALLEST_TILE:
            return None
        half = max(longest // 2 // self.multiple * self.multiple, SMALLEST_TILE)
        return Tiling(half, self.overlap, self.multiple, self.background)


@dataclass(frozen=True)
class TiledAnswer:
    """A network's output for a volume.

    Attributes
    ----------
    array
        (C, K, J, I) float32.
    device, tiling
        Where and with which tiles it ran.
    notes
        Sentences on what had to give way to the memory.
    """

    array: np.ndarray
    device: Device
    tiling: Tiling
    notes: tuple[str, ...] = ()


def predict_in_tiles(
    network: Callable[[torch.Tensor], torch.Tensor],
    array: np.ndarray,
    tiling: Tiling,
    device: Device,
    *,
    chosen: Callable[[torch.Tensor], torch.Tensor] | None = None,
    progress: Progress | None = None,
) -> TiledAnswer:
    """Run a network over a volume.

    Parameters
    ----------
    network
        (1, 1, K, J, I) -> (1, C, K, J, I) of the same size; a module is moved to the device.
    array
        (K, J, I) float32.
    tiling
        The first one to try.
    device
        Where to try first.
    chosen
        What of a tile's answer is wanted, applied before the tiles are blended; None: all of it.
    progress
        Told about every tile; a cancel takes effect before the next one.

    Raises
    ------
    Cancelled
        By the progress.
    RuntimeError, MemoryError
        The network failed, or the memory did not suffice for the smallest tile on the CPU.
    """
    progress = progress or Progress()
    notes: list[str] = []
    first = tiling
    while True:
        try:
            answer = _run(network, array, tiling, device, chosen, progress)
            return TiledAnswer(answer, device, tiling, tuple(notes))
        except (RuntimeError, MemoryError) as error:
            if not ran_out_of_memory(error):
                raise
            smaller = tiling.smaller(array.shape)
            if smaller is None and device.name == "cpu":
                raise
        # Outside the handler: the traceback would keep the failed attempt's tensors alive.
        _empty_cache(device)
        if smaller is not None:
            notes = [f"The memory of {device.name} ran out, so tiles of {smaller.size} voxels were used."]
            tiling = smaller
        else:
            notes = [f"The memory of {device.name} ran out even with small tiles, so the work was done on the CPU."]
            device, tiling = Device("cpu", device.note), first


def _run(
    network: Callable[[torch.Tensor], torch.Tensor],
    array: np.ndarray,
    tiling: Tiling,
    device: Device,
    chosen: Callable[[torch.Tensor], torch.Tensor] | None,
    progress: Progress,
) -> np.ndarray:
    import torch
    from monai.inferers import SlidingWindowInferer

    place = torch.device(device.name)
    total, done = tiling.count(array.shape), 0
    if isinstance(network, torch.nn.Module):
        network = network.to(place)

    def tile(values: torch.Tensor) -> torch.Tensor:
        nonlocal done
        progress(done / total, f"tile {done + 1} of {total} on {device.name}")
        done += 1
        answer = network(values)
        return (answer if chosen is None else chosen(answer)).float()

    # The volume and its answer stay in the computer's memory; only tiles go to the device.
    inferer = SlidingWindowInferer(
        tiling.shape(array.shape),
        sw_batch_size=1,
        overlap=tiling.overlap,
        mode="gaussian",
        padding_mode="constant",
        cval=tiling.background,
        sw_device=place,
        device=torch.device("cpu"),
        progress=False,
    )
    with torch.inference_mode():
        given = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))[None, None]
        return inferer(given, tile)[0].numpy()


def _empty_cache(device: Device) -> None:
    import torch

    if device.name.startswith("cuda"):
        torch.cuda.empty_cache()
