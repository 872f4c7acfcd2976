"""Networks of this family: a backbone's last features, and the heads that make a CT of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from monai.networks.blocks import Convolution
from monai.networks.nets import BasicUNet, SegResNet

MIDDLE = 0.25
"""Output of an untrained head: near soft tissue in the window -1024..3000 HU, so that no time is lost on the way."""
SPREAD = 0.1
"""Spread of a CT in that window. A step of the optimiser then moves an image by a part of what is to be learnt; without
it the first hundreds of steps are spent on overshooting."""
BACKBONES: dict[str, type[torch.nn.Module]] = {"BasicUNet": BasicUNet, "SegResNet": SegResNet}


class FrequencyHeads(torch.nn.Module):
    """Low and high band from shared features, after Shi et al. (MICCAI 2021), section 2.

    The decomposition gives every voxel two weights p_l + p_h = 1 (a 3x3x3 convolution and softmax); the low band is a
    convolution of p_l V, the high band one of the refined p_h V. The refinement sums three chains of three 1D
    convolutions, in the three cyclic orders of the axes: 9 K C^2 weights.

    Parameters
    ----------
    features
        C, channels of V.
    kernel
        K, odd length of the 1D convolutions.
    norm
        Normalisation between the 1D convolutions, for MONAI's `Convolution`; the authors' code has instance norm.

    Notes
    -----
    (B, C, K, J, I) -> (B, 3, K, J, I): low band, high band, p_h. The image is the sum of the first two.
    """

    outputs = ("low", "high", "high_probability")

    def __init__(self, features: int, kernel: int = 13, norm: Any = "INSTANCE") -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"the kernel of the heads must be odd, not {kernel}")
        self.decomposition = torch.nn.Conv3d(features, 2, kernel_size=3, padding=1)
        self.refinement = SymmetricFactorisation(features, kernel, norm)
        self.low = ToImage(features)
        self.high = ToImage(features, 0.0)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        shares = torch.softmax(self.decomposition(features), dim=1)
        low = self.low(shares[:, :1] * features)
        high = self.high(self.refinement(shares[:, 1:] * features))
        return torch.cat([low, high, shares[:, 1:].float()], dim=1)


class SymmetricFactorisation(torch.nn.Module):
    """Three chains of (k,1,1), (1,k,1), (1,1,k) convolutions in cyclic order, summed: 9 K C^2 weights, C -> C."""

    def __init__(self, channels: int, kernel: int, norm: Any = "INSTANCE") -> None:
        super().__init__()
        along = [(kernel, 1, 1), (1, kernel, 1), (1, 1, kernel)]
        self.chains = torch.nn.ModuleList(
            torch.nn.Sequential(
                *(
                    Convolution(
                        3,
                        channels,
                        channels,
                        kernel_size=along[(first + step) % 3],
                        norm=norm,
                        act="LEAKYRELU",
                        bias=False,
                    )
                    for step in range(3)
                )
            )
            for first in range(3)
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        # One by one: TorchScript knows no generators.
        return self.chains[0](features) + self.chains[1](features) + self.chains[2](features)


class PlainHead(torch.nn.Module):
    """One 3x3x3 convolution: the base network alone. (B, C, K, J, I) -> (B, 1, K, J, I)."""

    outputs = ("ct",)

    def __init__(self, features: int) -> None:
        super().__init__()
        self.image = ToImage(features)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.image(features)


HEADS: dict[str, type[torch.nn.Module]] = {"frequency": FrequencyHeads, "plain": PlainHead}


class BackboneWithHead(torch.nn.Module):
    """A 3D backbone and a head on its penultimate features.

    Parameters
    ----------
    in_channels, out_channels
        (B, in_channels, K, J, I) -> (B, out_channels, K, J, I); a head of frequencies has 3 channels, the others 1.
    backbone, head
        {"name": a key of `BACKBONES` or `HEADS`, "arguments": of its class}.

    Raises
    ------
    ValueError
        A name is unknown, or the head has another number of channels.
    """

    __jit_unused_properties__ = ["outputs"]  # noqa: RUF012

    def __init__(
        self, in_channels: int, out_channels: int, backbone: Mapping[str, Any], head: Mapping[str, Any]
    ) -> None:
        super().__init__()
        self.backbone, features = build_backbone(backbone["name"], in_channels, backbone.get("arguments", {}))
        if head["name"] not in HEADS:
            raise ValueError(f"there is no head {head['name']!r}; the known ones are {', '.join(HEADS)}")
        self.head = HEADS[head["name"]](features, **head.get("arguments", {}))
        if out_channels != len(self.head.outputs):
            raise ValueError(f"the head {head['name']} has {len(self.head.outputs)} channels, not {out_channels}")

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the output channels."""
        return self.head.outputs

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head(self.backbone(image))


class ToImage(torch.nn.Conv3d):
    """The last 3x3x3 convolution: features of unit size to an image in units of the CT window.

    Parameters
    ----------
    features
        Channels that go in.
    start
        Output before training, nearly: exactly so where that is 0, for what is added to an image.
    """

    def __init__(self, features: int, start: float = MIDDLE) -> None:
        super().__init__(features, 1, kernel_size=3, padding=1)
        self.start, self.spread = start, SPREAD
        torch.nn.init.zeros_(self.bias)
        if not start:
            torch.nn.init.zeros_(self.weight)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        # Added in float32, so that soft tissue stays precise under autocast: one step of bfloat16 near 0.25 is 8 HU.
        said = self._conv_forward(features, self.weight, self.bias)  # TorchScript knows no super()
        return self.start + self.spread * said.float()


def build_backbone(name: str, in_channels: int, arguments: Mapping[str, Any]) -> tuple[torch.nn.Module, int]:
    """A 3D network without its last layer.

    Parameters
    ----------
    name
        A key of `BACKBONES`.
    in_channels
        Channels of the image.
    arguments
        Keyword arguments of the class, besides dimensions and channels.

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
