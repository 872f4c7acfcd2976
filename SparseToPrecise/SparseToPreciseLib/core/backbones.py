"""Any 3D network as a backbone: what it knows just before its last layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from monai.networks.blocks import Convolution
from monai.networks.nets import BasicUNet, SegResNet


class FCNet(torch.nn.Sequential):
    """A plain fully convolutional network: 3x3x3 convolutions at full resolution, no levels and no skips.

    Parameters
    ----------
    spatial_dims, in_channels, out_channels
        (B, in_channels, ...) -> (B, out_channels, ...).
    channels
        Of every layer but the last.
    layers
        Number of convolutions before the last; each widens the field of view by two voxels.
    norm
        As MONAI's `Convolution` takes it.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        channels: int = 32,
        layers: int = 8,
        norm: Any = "INSTANCE",
    ) -> None:
        widths = [in_channels] + [channels] * layers
        hidden = (
            Convolution(spatial_dims, before, after, norm=norm, act="LEAKYRELU")
            for before, after in zip(widths, widths[1:], strict=False)
        )
        convolution = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)[spatial_dims - 1]
        super().__init__(*hidden, convolution(widths[-1], out_channels, kernel_size=1))


BACKBONES: dict[str, type[torch.nn.Module]] = {"BasicUNet": BasicUNet, "SegResNet": SegResNet, "FCNet": FCNet}


def build_backbone(name: str, in_channels: int, arguments: Mapping[str, Any]) -> tuple[torch.nn.Module, int]:
    """A 3D network without its last layer.

    Parameters
    ----------
    name
        A key of `BACKBONES`.
    in_channels
        Of the image.
    arguments
        Of the class, besides dimensions and channels.

    Returns
    -------
    tuple
        (B, in_channels, K, J, I) -> (B, C, K, J, I), and C.

    Raises
    ------
    ValueError
        There is no such backbone.
    """
    if name not in BACKBONES:
        raise ValueError(f"there is no backbone {name!r}; the known ones are {', '.join(BACKBONES)}")
    return without_last_convolution(
        BACKBONES[name](spatial_dims=3, in_channels=in_channels, out_channels=1, **arguments)
    )


def without_last_convolution(network: torch.nn.Module) -> tuple[torch.nn.Module, int]:
    """Take the last convolution off a network that ends with one; also returns the channels that went into it.

    Parameters
    ----------
    network
        The module that it registers last among its convolutions is the one that it ends with, as in MONAI's networks
        without deep supervision.
    """
    name, last = [(name, one) for name, one in network.named_modules() if isinstance(one, torch.nn.Conv3d)][-1]
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, torch.nn.Identity())
    return network, last.in_channels
