"""Models of this family by name. Torch is imported only when a network runs."""

from __future__ import annotations

import os

import numpy as np

from ..core.box import Box
from ..core.bundles import Bundle
from ..core.devices import Device
from ..core.errors import InputError
from ..core.opened_model import OpenedModel, open_model, reading_parameters
from ..core.progress import Progress
from ..core.volume import Volume
from .calibration import Calibration
from .channels import CHANNELS
from .frame import Frame
from .patches import PATCHES

CORRECTOR_FAMILY = "boxes-corrector"
DEFAULT_CORRECTOR = "boxes-corrector"
NEEDED_BYTES = 2**30


class Corrector(OpenedModel):
    """A trained patch classifier with its calibration.

    Parameters
    ----------
    bundle
        Of the family "boxes-corrector".
    device
        Where it runs; falls back to the CPU when the GPU's memory does not suffice, and says so in `note`.

    Raises
    ------
    InputError
        The bundle is refused.
    """

    def __init__(self, bundle: Bundle, device: Device) -> None:
        with reading_parameters(bundle) as parameters:
            self.patch = int(parameters["patch"])
            self.side = int(parameters["side"])
            spacing = parameters["spacing_mm"]
            self.spacing_mm = None if spacing is None else float(spacing)
            if self.patch not in PATCHES or not 32 <= self.side <= 512 or not (spacing is None or spacing > 0):
                raise InputError(f"it cannot work with patch {self.patch}, side {self.side}, spacing {spacing}")
            self.calibration = Calibration.from_parameters(parameters["calibration"])
        super().__init__(bundle, device, CHANNELS, 1)

    def frame(self, box: Box, axis: int, step_mm: float) -> Frame:
        """The slices on which this model looks at a box."""
        return Frame.cut(box, axis, step_mm, self.spacing_mm, self.side)

    def shares(self, image: Volume, frame: Frame, progress: Progress | None = None) -> np.ndarray:
        """(slices, rows, columns) the share of object in every patch, as the network sees it."""
        from .patches import share_map

        return self.run(lambda device: share_map(self.network, image, frame, self.patch, device, progress))


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
