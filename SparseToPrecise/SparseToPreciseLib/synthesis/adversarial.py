"""A relativistic average GAN on patches (Jolicoeur-Martineau, ICLR 2019; Shi et al., MICCAI 2021, section 2)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.nn.parallel import DistributedDataParallel

from ..core.errors import InputError

CONTRAST = 10.0
"""An image of the CT window is multiplied by it, so that the discriminator sees 400 HU as 1."""


@dataclass(frozen=True)
class Adversarial:
    """The discriminator's part in a training.

    Attributes
    ----------
    weight
        Weight of the generator's adversarial loss beside the others; 0: there is no discriminator. The authors' code
        has 0.001.
    warm_up
        Share of the training before it, with the other losses alone.
    channels, layers
        Size of MONAI's `PatchDiscriminator`.
    learning_rate
        Of the discriminator's own Adam.

    Raises
    ------
    InputError
        A number is out of range.
    """

    weight: float = 0.001
    warm_up: float = 0.2
    channels: int = 16
    layers: int = 2
    learning_rate: float = 0.0005

    def __post_init__(self) -> None:
        if not 0 <= self.weight < math.inf:
            raise InputError(f"The adversarial weight must be 0 or a positive number, not {self.weight:g}.")
        if not 0 <= self.warm_up <= 1:
            raise InputError(f"The adversarial warm-up must be a share between 0 and 1, not {self.warm_up:g}.")


def relativistic_loss(likelier: torch.Tensor, unlikelier: torch.Tensor) -> torch.Tensor:
    """Distance of patches of one kind from looking more real than the average patch of the other, and the reverse.

    The discriminator minimises it of (real, made), the generator of (made, real).

    Parameters
    ----------
    likelier, unlikelier
        Logits C(x) of patches, any shape; the averages run over all patches, so that one image per batch is enough.
    """
    more = likelier - unlikelier.mean()
    less = unlikelier - likelier.mean()
    return 0.5 * (
        binary_cross_entropy_with_logits(more, torch.ones_like(more))
        + binary_cross_entropy_with_logits(less, torch.zeros_like(less))
    )


class Adversary:
    """A patch discriminator with an optimiser that owns its weights and nothing else.

    It sees MR and CT (or a band of it) on the channel axis, within the body.

    Parameters
    ----------
    settings
        See `Adversarial`.
    device
        Where the discriminator computes.
    """

    def __init__(self, settings: Adversarial, device: torch.device | str = "cpu") -> None:
        from monai.networks.nets import PatchDiscriminator

        self.settings = settings
        self.network = PatchDiscriminator(
            spatial_dims=3,
            channels=settings.channels,
            in_channels=2,
            num_layers_d=settings.layers,
            norm="INSTANCE",
        ).to(device, memory_format=torch.channels_last_3d)
        several = distributed.is_available() and distributed.is_initialized()
        self._trained = DistributedDataParallel(self.network) if several else self.network
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=settings.learning_rate, betas=(0.5, 0.999))

    def state(self) -> dict[str, Any]:
        """For a checkpoint of the training."""
        return {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a `state`."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])

    def step(self, mr: torch.Tensor, made: torch.Tensor, real: torch.Tensor, mask: torch.Tensor) -> float:
        """Teach the discriminator; nothing reaches the generator. Returns its loss."""
        self.network.requires_grad_(True)
        # Both at once, since distributed training wants one forward pass a step.
        both = torch.cat([_seen(mr, real, mask), _seen(mr, made.detach(), mask)])
        logits = self._trained(both)[-1].float()
        loss = relativistic_loss(*logits.chunk(2))
        self.optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        if torch.isfinite(norm):  # as in `TrainingLoop`
            self.optimizer.step()
        return float(loss.detach())

    def generator_loss(
        self, mr: torch.Tensor, made: torch.Tensor, real: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        """The generator's adversarial loss, not yet weighted; leaves no gradients on the discriminator."""
        self.network.requires_grad_(False)
        with torch.no_grad():
            of_real = self.network(_seen(mr, real, mask))[-1].float()
        of_made = self.network(_seen(mr, made, mask))[-1].float()
        return relativistic_loss(of_made, of_real)


def _seen(mr: torch.Tensor, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return torch.cat([mr, CONTRAST * image * mask.to(image.dtype)], dim=1)
