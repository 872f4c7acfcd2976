"""Rivals of frequency supervision in the ablation: a backbone without levels, heads without bands, another loss."""

from __future__ import annotations

from typing import Any

import torch
from monai.networks.blocks import Convolution

from SparseToPreciseLib.core.training.loop import Given
from SparseToPreciseLib.synthesis.losses import absolute_error, masked_mean
from SparseToPreciseLib.synthesis.network import (
    BACKBONES,
    HEADS,
    MIDDLE,
    ToImage,
)
from SparseToPreciseLib.synthesis.trainer import OBJECTIVES, ct_of


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


class BoundaryHead(torch.nn.Module):
    """Boundary refinement (Peng et al., CVPR 2017): the image plus two convolutions of it, a rival of the paper.

    Parameters
    ----------
    features
        Channels of the backbone.
    channels
        Between the two convolutions.
    """

    outputs = ("ct",)

    def __init__(self, features: int, channels: int = 16) -> None:
        super().__init__()
        self.image = ToImage(features)
        self.first = torch.nn.Conv3d(1, channels, kernel_size=3, padding=1)
        self.second = ToImage(channels, 0.0)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        image = self.image(features)
        refined = torch.relu(self.first(image - MIDDLE))
        return image + self.second(refined)


class MatchedHead(torch.nn.Module):
    """As many weights as the refinement of `FrequencyHeads`, at the same place, without any supervision of bands.

    9 K C^2 weights are K // 3 residual convolutions of 3x3x3 and K % 3 of 3x3x1: the control that tells whether it is
    the frequencies or the capacity that help.
    """

    outputs = ("ct",)

    def __init__(self, features: int, kernel: int = 13, norm: Any = "INSTANCE") -> None:
        super().__init__()
        sizes = [(3, 3, 3)] * (kernel // 3) + [(3, 3, 1)] * (kernel % 3)
        self.layers = torch.nn.ModuleList(
            Convolution(3, features, features, kernel_size=size, norm=norm, act="LEAKYRELU", bias=False)
            for size in sizes
        )
        self.image = ToImage(features)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            features = features + layer(features)
        return self.image(features)


def gradient_difference(ct: torch.Tensor, truth: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """mean | |gradient of ct| - |gradient of truth| | over the three axes (Mathieu et al., ICLR 2016, with alpha 1).

    A difference counts where both of its voxels are in the mask.
    """
    total = ct.new_zeros(())
    for axis in (2, 3, 4):
        both = mask.narrow(axis, 1, mask.shape[axis] - 1) * mask.narrow(axis, 0, mask.shape[axis] - 1)
        steep = ct.diff(dim=axis).abs() - truth.diff(dim=axis).abs()
        total = total + masked_mean(steep.abs(), both)
    return total / 3


def _l1_gradient(predicted: torch.Tensor, given: Given) -> torch.Tensor:
    ct, truth, mask = ct_of(predicted), given["ct"], given["mask"]
    return absolute_error(ct, truth, mask) + gradient_difference(ct, truth, mask)


RIVAL_BACKBONES = {"FCNet": FCNet}
RIVAL_HEADS = {"boundary": BoundaryHead, "matched": MatchedHead}
RIVAL_OBJECTIVES = {"l1-gradient": _l1_gradient}


def with_rivals() -> None:
    """Let this process build and train the rivals by name, beside what bundles may ask for."""
    BACKBONES.update(RIVAL_BACKBONES)
    HEADS.update(RIVAL_HEADS)
    OBJECTIVES.update(RIVAL_OBJECTIVES)
