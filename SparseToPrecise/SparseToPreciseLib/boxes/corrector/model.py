"""A corrector's bundle as an opened model. Torch is imported only when a network runs."""

from __future__ import annotations

import os

import numpy as np

from ...core.box import Box
from ...core.bundles import Bundle
from ...core.devices import Device
from ...core.errors import InputError
from ...core.models import OpenedModel, open_model, reading_parameters
from ...core.progress import Progress
from ...core.volume import Volume
from ..slices import Frame, slice_step
from .confidence import Calibration
from .inference import Prediction, predict
from .inputs import CHANNELS
from .working_grid import MIRRORED, PATCHES, View

CORRECTOR_FAMILY = "boxes-corrector"
DEFAULT_CORRECTOR = "boxes-corrector"
LEVEL = 0.5
"""Probability from which a voxel is object, where a model does not say."""
NEEDED_BYTES = 2**30
"""Memory that a GPU must have free."""


class Corrector(OpenedModel):
    """A trained patch classifier with its calibration.

    Parameters
    ----------
    bundle
        A bundle of the family "boxes-corrector".
    device
        The device that it runs on; falls back to the CPU when the GPU's memory does not suffice, and says so in `note`.

    Raises
    ------
    InputError
        The bundle is refused.
    """

    def __init__(self, bundle: Bundle, device: Device) -> None:
        with reading_parameters(bundle) as parameters:
            self.patch = int(parameters["patch"])
            typical = parameters["typical_mm"]
            self.view = View(
                int(parameters["side"]),
                None if typical is None else float(typical),
                bool(parameters["oriented"]),
                int(parameters.get("mirrored", 1)),
            )
            if self.view.mirrored not in MIRRORED:
                raise InputError(f"it cannot work with {self.view.mirrored} mirror images")
            if self.patch not in PATCHES or not 32 <= self.view.side <= 512 or not (typical is None or typical > 0):
                raise InputError(f"it cannot work with patch {self.patch}, side {self.view.side}, objects of {typical}")
            self.calibration = Calibration.from_parameters(parameters["calibration"])
            self.level = float(parameters.get("level", LEVEL))
            if not 0 < self.level < 1:
                raise InputError(f"it cannot work with the level {self.level}")
        super().__init__(bundle, device, CHANNELS, 1)

    def predict(self, image: Volume, frame: Frame, progress: Progress | None = None) -> Prediction:
        """The network's share of object in the patches of a box, whose slices are from `self.view.frame`."""
        return self.run(lambda device: predict(self.network, image, frame, self.view, self.patch, device, progress))

    def probabilities(self, image: Volume, box: Box, axis: int, progress: Progress | None = None) -> Volume:
        """The probability of object in every cell of the part of a box that was looked at last, and a little beyond,
        float32; a corrector segments by it.

        Parameters
        ----------
        axis
            The box's axis along which its planes are cut.
        """
        frame = self.view.frame(box, axis, slice_step(image.grid, box, axis))
        found = self.predict(image, frame, progress).chances
        # Beyond the last cells, where a border's values would go on, is no object.
        array = np.zeros_like(found.array)
        array[1:-1, 1:-1, 1:-1] = found.array[1:-1, 1:-1, 1:-1]
        return found.with_array(array)


def load_corrector(model: str | os.PathLike[str] | None = None, device: str = "auto") -> Corrector:
    """A corrector, ready to be used again and again.

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
    return open_model(Corrector, model or DEFAULT_CORRECTOR, CORRECTOR_FAMILY, device, NEEDED_BYTES)
