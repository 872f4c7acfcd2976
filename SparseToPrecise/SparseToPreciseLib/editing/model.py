"""Editors by name: a warp, or a trained network from a model bundle. Torch is imported only for the latter."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from ..core.bundles import Bundle, find_bundles, open_bundle
from ..core.devices import Device, choose_device
from ..core.errors import InputError
from ..core.models import OpenedModel, opened, reading_parameters
from .editors import IMAGE_AWARE_WARP, WARPS, Editor
from .warps import FOLLOW_WIDTH, moved_to_stroke
from .working_grid import WorkingCase

if TYPE_CHECKING:
    import torch

FAMILY = "editing"

DEFAULT_EDITOR = "editing"
"""The editor where nothing else is asked for: the best on the real cases of docs/benchmarks/editing.md."""

MULTIPLE = 16
"""Working grids have sides of multiples of this, so that every network of the table fits."""

NEEDED_BYTES = 2**30
"""Memory that a GPU must have free: the network's activations on the largest working grid."""


def load_editor(name: str | None = None, device: str = "auto", kept: bool = False) -> Editor:
    """An editor, ready to be used again and again.

    Parameters
    ----------
    name
        "image-aware-warp", "signed-distance-warp", the name or folder of a bundle, or None for `DEFAULT_EDITOR`;
        where the default's bundle, PyTorch or MONAI is missing, the image-aware warp stands in and its note says so.
    device
        auto, cpu, cuda, cuda:N or mps; the warps run on the CPU.
    kept
        A network stays loaded, see `core.models.opened`; a warp that stands in for a model does not: the model may be
        installed while the application runs.

    Raises
    ------
    InputError
        No such editor, a bundle that is refused, or a device that is not there.
    """
    wanted = name or DEFAULT_EDITOR
    # A device that was asked for must be there in any case; looking for one imports torch, so not for a warp.
    chosen = choose_device(device, NEEDED_BYTES) if device != "auto" or wanted not in WARPS else Device("cpu")
    if wanted in WARPS:
        return WARPS[wanted]
    if name is None:
        missing = [package for package in ("torch", "monai") if find_spec(package) is None]
        if all(bundle.name != wanted for bundle in find_bundles(FAMILY)):
            missing.append(f"the model {wanted}")
        if missing:
            note = f"Not installed: {', '.join(missing)}; the image-aware warp was used instead."
            return replace(IMAGE_AWARE_WARP, note=note)
    return opened(FAMILY, wanted, device) if kept else NetworkEditor(open_bundle(wanted, FAMILY), chosen)


def ready_editor(model: str, device: str = "auto") -> Editor:
    """An editor as `load_editor` gives it, whose network stays loaded; empty: the default one."""
    return load_editor(model or None, device, kept=True)


class NetworkEditor(OpenedModel):
    """A trained network as an editor.

    Parameters
    ----------
    bundle
        Of the family "editing"; its parameters say what the network sees (`inputs`, `residual`).
    device
        Where it runs; falls back to the CPU when the GPU's memory does not suffice, and says so in `note`.

    Raises
    ------
    InputError
        The bundle is refused, or was trained on channels that this version computes differently.
    """

    multiple = MULTIPLE

    def __init__(self, bundle: Bundle, device: Device) -> None:
        from .inputs import channel_constants
        from .network import NetworkForm, form_from

        with reading_parameters(bundle) as parameters:
            self.form: NetworkForm = form_from(parameters)
            for name, value in channel_constants().items():
                if parameters.get(name) != value:
                    raise InputError(
                        f"it was trained with {name.replace('_', ' ')} {parameters.get(name)}, and this version has "
                        f"{value:g}; train it again"
                    )
        super().__init__(bundle, device, len(self.form.inputs), 1)

    def __call__(self, case: WorkingCase) -> np.ndarray:
        result = self.run(lambda device: self._result(case, device))
        # The paper's form redraws the boundary and stays as it is; the residual one promises to follow the stroke.
        return moved_to_stroke(case, result, FOLLOW_WIDTH) if self.form.residual else result

    def _result(self, case: WorkingCase, device: torch.device) -> np.ndarray:
        import torch

        from .inputs import channels
        from .network import network_logits

        with torch.inference_mode():
            network = self.network.to(device)
            given = {name: torch.from_numpy(array)[None, None].to(device) for name, array in channels(case).items()}
            return network_logits(network, self.form, given)[0, 0].float().cpu().numpy()
