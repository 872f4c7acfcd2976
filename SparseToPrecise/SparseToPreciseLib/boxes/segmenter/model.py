"""A segmenter's bundle as an opened model. Torch is imported only when a network runs."""

from __future__ import annotations

import os

from ...core.box import Box
from ...core.bundles import Bundle, open_bundle
from ...core.devices import Device
from ...core.errors import InputError
from ...core.models import OpenedModel, open_model, reading_parameters
from ...core.progress import Progress
from ...core.volume import Volume
from ...families import FAMILIES
from ..corrector.model import CORRECTOR_FAMILY, LEVEL, Corrector, load_corrector
from ..slices import Frame
from .inputs import SEEN

SEGMENTER_FAMILY = "boxes-segmenter"
DEFAULT_SEGMENTER = "boxes"
"""A corrector's bundle: its network has learnt from the masks of real anatomy."""
NEEDED_BYTES = 2**30
"""Memory that a GPU must have free."""


class Segmenter(OpenedModel):
    """A trained network that segments slices of a box.

    Parameters
    ----------
    bundle
        A bundle of the family "boxes-segmenter".
    device
        The device that it runs on; falls back to the CPU when the GPU's memory does not suffice, and says so in `note`.

    Raises
    ------
    InputError
        The bundle is refused.
    """

    def __init__(self, bundle: Bundle, device: Device) -> None:
        with reading_parameters(bundle) as parameters:
            self.side = int(parameters["side"])
            spacing = parameters["spacing_mm"]
            self.spacing_mm = None if spacing is None else float(spacing)
            self.all_axes = bool(parameters["all_axes"])
            self.own_intensities = bool(parameters.get("own_intensities", False))
            self.level = float(parameters.get("level", LEVEL))
            if not 0 < self.level < 1:
                raise InputError(f"it cannot work with the level {self.level}")
            if not 16 <= self.side <= 512 or not (spacing is None or spacing > 0):
                raise InputError(f"it cannot work with side {self.side}, spacing {spacing}")
        super().__init__(bundle, device, SEEN, 1)

    def probabilities(self, image: Volume, box: Box, axis: int, progress: Progress | None = None) -> Volume:
        """The probability of object in every cell of a box and a little beyond, float32.

        Parameters
        ----------
        axis
            The box's axis along which its planes are cut; some models then cut along the others too.
        """
        from .inference import cell_probabilities

        frame = Frame.cut(box, axis, float(box.size[axis]), self.spacing_mm, self.side)
        views = 3 if self.all_axes else 1
        own = self.own_intensities
        array = self.run(
            lambda device: cell_probabilities(self.network, image, frame, views, device, progress, own_intensities=own)
        )
        return Volume(array, frame.cells(0, frame.planes).ijk_to_ras)


def load_segmenter(model: str | os.PathLike[str] | None = None, device: str = "auto") -> Segmenter | Corrector:
    """A model that segments in a box, ready to be used again and again.

    Parameters
    ----------
    model
        Name or folder of a bundle of a segmenter or a corrector; None: the default.
    device
        auto, cpu, cuda, cuda:N or mps.

    Raises
    ------
    InputError
        No such bundle, it is refused, or the device is not there.
    """
    bundle = open_bundle(model or DEFAULT_SEGMENTER, FAMILIES[SEGMENTER_FAMILY].served_by)
    if bundle.family == CORRECTOR_FAMILY:
        return load_corrector(bundle.path, device)
    return open_model(Segmenter, bundle.path, SEGMENTER_FAMILY, device, NEEDED_BYTES)
