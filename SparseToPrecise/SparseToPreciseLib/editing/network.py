"""Forms of the editing networks: which channels go in, and what becomes of the output.

Two forms: the paper's (image, old mask, guidance -> logits), and a residual one that starts from the image-aware
warp and can, by training, only improve on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..core.errors import InputError
from .inputs import CLIP, channel_constants

PAPER_INPUTS = ("image", "mask", "guidance")
RESIDUAL_INPUTS = ("image", "signed_distance", "guidance", "warp", "evidence", "proposal")


@dataclass(frozen=True)
class NetworkForm:
    """Which channels go in, and whether the output is added to the proposal.

    Attributes
    ----------
    inputs
        Names of `inputs.channels`, in order.
    residual
        True: logits = image-aware warp (voxels, clipped) + network. False: logits = network.
    """

    inputs: tuple[str, ...] = RESIDUAL_INPUTS
    residual: bool = True


def form_parameters(form: NetworkForm) -> dict:
    """The form of a network for a bundle's metadata; the inverse of `form_from`, with `inputs.channel_constants`."""
    return {"inputs": list(form.inputs), "residual": form.residual, **channel_constants()}


def form_from(parameters: dict) -> NetworkForm:
    """The form that a bundle's parameters describe; `InputError` when they name channels that there are not."""
    inputs = parameters.get("inputs")
    known = {*PAPER_INPUTS, *RESIDUAL_INPUTS}
    if not isinstance(inputs, list) or not inputs or not known.issuperset(map(str, inputs)):
        raise InputError(f"The inputs {inputs} are not known; choose from {', '.join(sorted(known))}.")
    return NetworkForm(tuple(inputs), bool(parameters.get("residual", False)))


def network_logits(network: torch.nn.Module, form: NetworkForm, given: dict[str, torch.Tensor]) -> torch.Tensor:
    """Logits (B, 1, K, J, I) from named channels, each (B, 1, K, J, I)."""
    logits = network(torch.cat([given[name] for name in form.inputs], dim=1))
    return given["proposal"] * CLIP + logits.float() if form.residual else logits


def start_at_zero(network: torch.nn.Module, inputs: int) -> None:
    """Set the last convolution to zero, so that an untrained residual network returns the proposal.

    Raises
    ------
    ValueError
        The network's output does not come from its last convolution alone.
    """
    last = [layer for layer in network.modules() if isinstance(layer, (torch.nn.Conv3d, torch.nn.ConvTranspose3d))][-1]
    torch.nn.init.zeros_(last.weight)
    if last.bias is not None:
        torch.nn.init.zeros_(last.bias)
    with torch.no_grad():
        if network(torch.randn(1, inputs, 32, 32, 32, device=last.weight.device)).any():
            raise ValueError(f"{type(network).__name__} does not end in a plain convolution; choose another network.")
