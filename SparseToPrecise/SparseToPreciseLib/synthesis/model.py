"""Models of this family by name. Torch is imported only when a network runs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..core.bundles import Bundle
from ..core.devices import Device
from ..core.errors import InputError
from ..core.models import OpenedModel, open_model, reading_parameters
from ..core.progress import Progress
from ..core.tiles import SMALLEST_TILE, TiledAnswer, Tiling, predict_in_tiles
from .confidence import checked_seen
from .hu import HuWindow
from .inputs import BACKGROUND, BODY_PARAMETERS

if TYPE_CHECKING:
    import torch

FAMILY = "synthesis"
DEFAULT_MODEL = "synthesis"
NEEDED_BYTES = 2**30
"""Memory that a GPU must have free for a small tile; larger ones give way."""
MULTIPLE = 16
"""Tiles have sides of multiples of this, so that every network of the table fits."""
BANDS = ("low", "high", "high_probability")
"""Channels of a model that was supervised by frequencies; its CT is the sum of the first two."""
OVERLAP = 0.5
"""Share that neighbouring tiles have in common, where nothing else is asked for."""
_AXES = "RAS"


class Synthesizer(OpenedModel):
    """A trained network that makes the CT of an MR.

    Parameters
    ----------
    bundle
        A bundle of the family "synthesis".
    device
        The device of the network; gives way to smaller tiles and to the CPU when the memory runs out, and its answers
        say so.

    Attributes
    ----------
    spacing_mm, window, sigma_mm, outputs, tile, seen, flips
        The bundle's parameters: spacing of the working grid, CT window, sigma between the bands, names of the channels,
        voxels of a tile, what was seen in training, and the axes (of "RAS") along which it was mirrored there.

    Raises
    ------
    InputError
        The bundle is refused.
    """

    def __init__(self, bundle: Bundle, device: Device) -> None:
        with reading_parameters(bundle) as parameters:
            modality = str(parameters.get("modality", "MR"))
            if modality != "MR":
                raise InputError(f"it was trained on {modality}, and this makes a CT of an MR")
            self.spacing_mm = float(parameters["spacing_mm"])
            self.window = HuWindow.from_parameters(parameters["hu_window"])
            self.sigma_mm = float(parameters.get("sigma_mm", 0.0))
            self.outputs = tuple(str(name) for name in parameters["outputs"])
            self.tile = int(parameters["tile"])
            self.flips = str(parameters.get("flips", "R"))
            self.seen = checked_seen(parameters.get("seen", {}))
            if self.outputs not in (BANDS, ("ct",)):
                raise InputError(f"its network answers {', '.join(self.outputs)} and no CT")
            if not (0.1 <= self.spacing_mm <= 10 and SMALLEST_TILE <= self.tile <= 512):
                raise InputError(f"it cannot work with voxels of {self.spacing_mm:g} mm and tiles of {self.tile}")
            if set(self.flips) - set(_AXES):
                raise InputError(f"it cannot be mirrored along {self.flips!r}")
            if parameters.get("body", BODY_PARAMETERS) != BODY_PARAMETERS:
                raise InputError("it was trained with another standardisation of intensities; train it again")
        super().__init__(bundle, device, 1, len(self.outputs))

    @property
    def has_bands(self) -> bool:
        """Whether it tells the bands apart."""
        return self.outputs == BANDS

    def tiling(self, tile: int | None = None, overlap: float | None = None) -> Tiling:
        """The tiles in which it works; None: what the bundle says."""
        size = self.tile if tile is None else tile
        return Tiling(size, OVERLAP if overlap is None else overlap, MULTIPLE, BACKGROUND)

    def __call__(
        self,
        z: np.ndarray,
        tiling: Tiling,
        *,
        bands: bool = False,
        flip: Sequence[int] = (),
        progress: Progress | None = None,
    ) -> TiledAnswer:
        """The network's output for a standardised MR.

        Parameters
        ----------
        z
            (K, J, I) float32 on the model's working grid.
        tiling
            A result of `tiling`.
        bands
            Also low band, high band and the probability of the high one, where the model has them.
        flip
            Array axes along which the MR is mirrored, and the answer mirrored back.

        Returns
        -------
        TiledAnswer
            (1, K, J, I) float32 CT, or (4, K, J, I) with low, high and probability after it, in units of the window.
        """
        # The bands are summed before the tiles are blended, so that the CT is the sum of the bands everywhere.
        if not self.has_bands:
            chosen = None
        elif bands:
            chosen = _with_sum
        else:
            chosen = _sum
        given = np.flip(z, tuple(flip)) if flip else z
        answer = predict_in_tiles(self.network, given, tiling, self._device, chosen=chosen, progress=progress)
        self._device = answer.device
        if not flip:
            return answer
        return replace(answer, array=np.flip(answer.array, tuple(axis + 1 for axis in flip)))

    def flip_axes(self) -> list[int]:
        """Array axes (K, J, I are 0, 1, 2) along which the training mirrored."""
        return sorted(2 - _AXES.index(axis) for axis in set(self.flips))


def _sum(channels: torch.Tensor) -> torch.Tensor:
    return channels[:, :1] + channels[:, 1:2]


def _with_sum(channels: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.cat([_sum(channels), channels], dim=1)


def load_model(model: str | os.PathLike[str] | None = None, device: str = "auto") -> Synthesizer:
    """A model, ready to be used again and again.

    Parameters
    ----------
    model
        Name or folder of a bundle; None: the default.
    device
        auto, cpu, cuda, cuda:N or mps.

    Raises
    ------
    InputError
        No such bundle, it is refused, or the device is not there.
    """
    return open_model(Synthesizer, model or DEFAULT_MODEL, FAMILY, device, NEEDED_BYTES)
