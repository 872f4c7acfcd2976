"""MONAI's U-Net with a plain last layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.nets import UNet


class UNetWithHead(torch.nn.Module):
    """MONAI's `UNet` with residual units, followed by a convolution of one voxel.

    With residual units, MONAI's own last layer adds its normalised input to its output: a network with one output
    channel can then neither start at zero nor say "nothing here" of a whole image.

    Parameters
    ----------
    spatial_dims, in_channels, out_channels, channels, strides, num_res_units
        As MONAI's; (B, in_channels, ...) -> (B, out_channels, ...).
    head_channels
        Channels between the two.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        channels: Sequence[int],
        strides: Sequence[int],
        num_res_units: int = 2,
        head_channels: int = 4,
    ) -> None:
        super().__init__()
        self.body = UNet(spatial_dims, in_channels, head_channels, channels, strides, num_res_units=num_res_units)
        convolution = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)[spatial_dims - 1]
        self.head = convolution(head_channels, out_channels, kernel_size=1)

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(given))
