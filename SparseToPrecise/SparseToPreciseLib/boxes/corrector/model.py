"""A corrector's bundle as an opened model. Torch is imported only when a network runs."""

from __future__ import annotations

import os

from ...core.bundles import Bundle
from ...core.devices import Device
from ...core.errors import InputError
from ...core.models import OpenedModel, open_model, reading_parameters
from ...core.progress import Progress
from ...core.volume import Volume
from ..slices import Frame
from .confidence import Calibration
from .inference import Prediction, predict
from .inputs import CHANNELS
from .working_grid import PATCHES, View

CORRECTOR_FAMILY = "boxes-corrector"
DEFAULT_CORRECTOR = "boxes-corrector"
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
                int(parameters["side"]), None if typical is None else float(typical), bool(parameters["oriented"])
            )
            if self.patch not in PATCHES or not 32 <= self.view.side <= 512 or not (typical is None or typical > 0):
                raise InputError(f"it cannot work with patch {self.patch}, side {self.view.side}, objects of {typical}")
            self.calibration = Calibration.from_parameters(parameters["calibration"])
        super().__init__(bundle, device, CHANNELS, 1)

    def predict(self, image: Volume, frame: Frame, progress: Progress | None = None) -> Prediction:
        """The network's share of object in the patches of a box, whose slices are from `self.view.frame`."""
        return self.run(lambda device: predict(self.network, image, frame, self.view, self.patch, device, progress))


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
