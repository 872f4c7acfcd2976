"""A fully convolutional classifier of the patches of an image."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


class PatchClassifier(nn.Module):
    """Logits of all patches of an image in one pass: a U-Net whose decoder ends at the patches' stride.

    Patches are squares of `patch` pixels, `patch` / 2 apart; the first is centred a quarter of a patch from the corner,
    so that cell n of the result spans the pixels n patch/2 - patch/4 to n patch/2 + 3 patch/4.

    Parameters
    ----------
    spatial_dims
        2; named as MONAI's networks name it.
    in_channels, out_channels
        (B, in_channels, H, W) -> (B, out_channels, 2 H / patch, 2 W / patch).
    patch
        16 or 32.
    channels
        At strides 2, 4, 8, 16 and 32.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        patch: int = 16,
        channels: Sequence[int] = (16, 32, 64, 96, 128),
    ) -> None:
        super().__init__()
        if spatial_dims != 2 or patch not in (16, 32) or len(channels) != 5:
            raise ValueError(f"spatial_dims {spatial_dims}, patch {patch}, {len(channels)} levels: need 2, 16 or 32, 5")
        widths = [in_channels, *channels]
        self.down = nn.ModuleList(
            nn.Sequential(_layer(before, after, stride=2), _layer(after, after))
            for before, after in zip(widths, channels, strict=False)
        )
        levels = {16: (3, 2), 32: (3,)}[patch]
        self.up = nn.ModuleList()
        below = channels[-1]
        for level in levels:
            self.up.append(_layer(below + channels[level], channels[level]))
            below = channels[level]
        self.refine = _layer(below, below)
        self.head = nn.Conv2d(below, out_channels, kernel_size=1)

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        # The deepest level needs sides of multiples of 32; the edge is repeated and cut off again.
        height, width = given.shape[-2:]
        pad = (0, -width % 32, 0, -height % 32)
        here = nn.functional.pad(given, pad, mode="replicate") if any(pad) else given
        skipped = []
        for block in self.down:
            here = block(here)
            skipped.append(here)
        for level, block in zip((3, 2), self.up, strict=False):
            here = nn.functional.interpolate(here, scale_factor=2.0, mode="nearest")
            here = block(torch.cat([here, skipped[level]], dim=1))
        stride = 2 ** (len(skipped) - len(self.up))
        here = self.head(self.refine(here))
        return here[..., : -(-height // stride), : -(-width // stride)]


def _layer(before: int, after: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, kernel_size=3, stride=stride, padding=1, bias=False),
        nn.GroupNorm(8, after),
        nn.LeakyReLU(0.1, inplace=True),
    )
