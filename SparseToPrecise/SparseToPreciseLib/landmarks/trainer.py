"""Training of a template's slice network from annotated images (Wang et al., section 2.2 and algorithm 1)."""

from __future__ import annotations

import numpy as np
import torch

from ..core.devices import Device
from ..core.training.loop import Given, LoopOptions, TrainingLoop
from .cases import SliceSampler
from .inference import SlicePredictor
from .localize import SCAN_STEP

_MINING = 0.2
"""Share of the training after which mistakes are looked for again."""


class SliceTrainer(TrainingLoop):
    """Trains a network to segment the structure on random slices.

    Parameters
    ----------
    network
        (B, 1, size, size) -> logits of the same shape.
    sampler
        What is trained on.
    held_back
        (images, masks) to validate with.
    options
        As `TrainingLoop` takes them; batch_size counts slices.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        sampler: SliceSampler,
        held_back: tuple[torch.Tensor, torch.Tensor],
        options: LoopOptions,
    ) -> None:
        super().__init__(network, options)
        self.sampler = sampler
        self.held_back = held_back
        self._mined = _MINING

    def _batch(self, rng: np.random.Generator) -> Given:
        image, mask = self.sampler.draw(rng, self.options.batch_size)
        return {"image": image.to(self.device), "mask": mask.to(self.device)}

    def _loss(self, network: torch.nn.Module, given: Given) -> torch.Tensor:
        with self.computing():
            logits = network(given["image"]).float()
        return self._of(logits, given["mask"])

    @staticmethod
    def _of(logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Cross-entropy and Dice of the whole batch: a slice without the structure has no Dice of its own."""
        chances = torch.sigmoid(logits)
        overlap = (2 * (chances * mask).sum() + 1) / ((chances + mask).sum() + 1)
        return torch.nn.functional.binary_cross_entropy_with_logits(logits, mask) + 0.5 * (1 - overlap)

    def _measure(self) -> dict[str, float]:
        if self.share_done > 0 and self.share_done >= self._mined:
            predictor = SlicePredictor(
                self.network, self.sampler.spacing_mm, self.sampler.size, Device(str(self.device))
            )
            self.sampler.mine(lambda values: predictor.blocks(values, SCAN_STEP))
            self._mined += _MINING
        images, masks = self.held_back
        logits = []
        for start in range(0, len(images), 32):
            with self.computing():
                logits.append(self.network(images[start : start + 32].to(self.device)).float().cpu())
        found = torch.cat(logits)
        loss = float(self._of(found, masks))
        both = float((found > 0).sum() + masks.sum())
        dice = 2 * float(((found > 0) & (masks > 0)).sum()) / both if both else 1.0
        return {"validation_loss": loss, "dice": dice}

    def _message(self, row: dict[str, float]) -> str:
        return f"{super()._message(row)}, Dice {row['dice']:.3f}"

    def _extra_state(self) -> dict:
        mistakes = [None if one is None else torch.from_numpy(one) for one in self.sampler.mistakes]
        return {"mined": self._mined, "mistakes": mistakes}

    def _restore(self, state: dict) -> None:
        self._mined = state["mined"]
        self.sampler.mistakes = [None if one is None else one.numpy() for one in state["mistakes"]]
