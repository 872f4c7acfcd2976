"""The networks that a model bundle may ask for: a closed table, never code from a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any

from .errors import InputError, one_line

if TYPE_CHECKING:
    import torch

NETWORKS: dict[str, tuple[str, str]] = {
    "BasicUNet": ("monai.networks.nets.basic_unet", "BasicUNet"),
    "UNet": ("monai.networks.nets.unet", "UNet"),
    "DynUNet": ("monai.networks.nets.dynunet", "DynUNet"),
    "SegResNet": ("monai.networks.nets.segresnet", "SegResNet"),
    "UNetWithHead": ("SparseToPreciseLib.core.unet_head", "UNetWithHead"),
    "BackboneWithHead": ("SparseToPreciseLib.synthesis.network", "BackboneWithHead"),
}
"""Name in a bundle's metadata to (module, class)."""


def build_network(description: Mapping[str, Any]) -> torch.nn.Module:
    """Make an untrained network from its description.

    Parameters
    ----------
    description
        {"name": a key of `NETWORKS`, "arguments": keyword arguments of its class, plain JSON values}.

    Raises
    ------
    InputError
        The name is not in the table, or the class refuses the arguments.
    """
    network_class, arguments = _looked_up(description)
    try:
        return network_class(**arguments)
    # A network of the table can fail in many ways on wrong sizes; each of them is bad input.
    except Exception as error:
        name, reason = description["name"], one_line(error)
        raise InputError(f"The network {name} cannot be built with {arguments}: {reason}.") from error


def network_channels(description: Mapping[str, Any]) -> tuple[int, int]:
    """Numbers of input and output channels that a description asks for, its class's defaults included.

    Raises
    ------
    InputError
        As `build_network`.
    """
    network_class, arguments = _looked_up(description)
    parameters = signature(network_class).parameters
    values = tuple(arguments.get(name, parameters[name].default) for name in ("in_channels", "out_channels"))
    if not all(isinstance(value, int) for value in values):
        raise InputError(f"The network {description['name']} needs in_channels and out_channels, not {values}.")
    return values


def _looked_up(description: Mapping[str, Any]) -> tuple[type, dict[str, Any]]:
    name = description.get("name") if isinstance(description, Mapping) else None
    if not isinstance(name, str) or name not in NETWORKS:
        raise InputError(f"There is no network {name!r}; the known ones are {', '.join(NETWORKS)}.")
    arguments = description.get("arguments", {})
    if not isinstance(arguments, Mapping):
        raise InputError(f"The arguments of the network {name} must be names with values, not {arguments!r}.")
    module, class_name = NETWORKS[name]
    return getattr(import_module(module), class_name), dict(arguments)
