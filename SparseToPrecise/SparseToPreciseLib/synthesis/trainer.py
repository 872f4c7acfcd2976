"""Training of synthesis networks: reconstruction, and after a warm-up a discriminator beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from ..core.errors import InputError
from ..core.training.loop import Given, LoopOptions, TrainingLoop
from .adversarial import Adversarial, Adversary
from .cases import FIELDS, Sampling, TrainingCase, cut_out, patch_of
from .hu import BONE_ABOVE, HuWindow
from .losses import absolute_error, frequency_loss

PATCHES_PER_CASE = 1
"""Measures of a validation case."""


def _l1(said: torch.Tensor, given: Given) -> torch.Tensor:
    return absolute_error(ct_of(said), given["ct"], given["mask"])


def _frequency(said: torch.Tensor, given: Given) -> torch.Tensor:
    return frequency_loss(said[:, :1], said[:, 1:2], given["ct"], given["high"], given["mask"])


OBJECTIVES: dict[str, Callable[[torch.Tensor, Given], torch.Tensor]] = {
    "l1": _l1,
    "frequency": _frequency,
}
"""frequency: Shi et al., Eq. 1, for heads with bands. l1: mean absolute error, for any network."""


def ct_of(said: torch.Tensor) -> torch.Tensor:
    """(B, 1, K, J, I), the CT in what a network says: the sum of low and high band where it has them."""
    return said[:, :1] + said[:, 1:2] if said.shape[1] > 1 else said


class SynthesisTrainer(TrainingLoop):
    """Trains a network to make the CT of an MR and keeps the weights with the lowest mean absolute error.

    Parameters
    ----------
    network
        (B, 1, K, J, I) -> (B, 3, K, J, I) low, high, p_h, or (B, 1, K, J, I) the CT.
    training, validation
        Cases; where a user gave too few to hold one back they are the same.
    sampling
        How patches are drawn.
    objective
        A key of `OBJECTIVES`.
    adversarial
        The discriminator sees the high band of a network that has bands, and the CT of another.
    window
        To tell of errors in HU.
    options
        As `TrainingLoop` takes them; the batch counts patches.

    Raises
    ------
    InputError
        There is nothing to train on or to validate with.
    """

    memory_format = torch.channels_last_3d

    def __init__(
        self,
        network: torch.nn.Module,
        training: Sequence[TrainingCase],
        validation: Sequence[TrainingCase],
        sampling: Sampling,
        objective: str,
        adversarial: Adversarial,
        window: HuWindow,
        options: LoopOptions,
    ) -> None:
        super().__init__(network, options)
        if not training or not validation:
            raise InputError(
                f"There are {len(training)} pairs to train on and {len(validation)} to validate with; give more."
            )
        self.training = training
        self.sampling = sampling
        self.objective = OBJECTIVES[objective]
        self.settings = adversarial
        self.window = window
        self.adversary: Adversary | None = None
        self._validation = [self._collated([patch]) for patch in _validation_patches(validation, sampling.patch)]

    def _prepare(self) -> None:
        if self.settings.weight > 0:
            self.adversary = Adversary(self.settings, self.device)

    def _extra_state(self) -> dict:
        return {} if self.adversary is None else self.adversary.state()

    def _restore(self, state: dict) -> None:
        if self.adversary is not None:
            self.adversary.restore(state)

    def _batch(self, rng: np.random.Generator) -> Given:
        chosen = rng.integers(len(self.training), size=self.options.batch_size)
        return self._collated([patch_of(self.training[int(index)], self.sampling, rng) for index in chosen])

    def _loss(self, network: torch.nn.Module, given: Given) -> torch.Tensor:
        said = self._said(network, given)
        loss = self.objective(said, given)
        if self.adversary is None or self.share_done < self.settings.warm_up:
            return loss
        if said.shape[1] > 1:
            made, real = said[:, 1:2], given["high"]
        else:
            made, real = said, given["ct"]
        with self.computing():
            self.adversary.step(given["mr"], made, real, given["mask"])
            deceiving = self.adversary.generator_loss(given["mr"], made, real, given["mask"])
        return loss + self.settings.weight * deceiving

    def _said(self, network: torch.nn.Module, given: Given) -> torch.Tensor:
        with self.computing():
            return network(given["mr"].contiguous(memory_format=self.memory_format)).float()

    def _measure(self) -> dict[str, float]:
        errors, high_errors, voxels = 0.0, 0.0, 0.0
        both, bones = 0.0, 0.0
        level = float(self.window.to_unit(np.array([BONE_ABOVE]))[0])
        for given in self._validation:
            said = self._said(self.network, given)
            ct, mask = ct_of(said), given["mask"]
            voxels += float(mask.sum())
            errors += float(((ct - given["ct"]).abs() * mask).sum())
            if said.shape[1] > 1:
                high_errors += float(((said[:, 1:2] - given["high"]).abs() * mask).sum())
            bone, true_bone = (ct > level) & (mask > 0), (given["ct"] > level) & (mask > 0)
            both += float((bone & true_bone).sum())
            bones += float(bone.sum() + true_bone.sum())
        mean = errors / max(voxels, 1.0)
        row = {"validation_loss": mean, "mae_hu": mean * self.window.width}
        if high_errors:
            row["high_mae_hu"] = high_errors / max(voxels, 1.0) * self.window.width
        return {**row, "bone_dice": 2 * both / max(bones, 1.0)}

    def _message(self, row: dict[str, float]) -> str:
        return f"step {row['steps']}: validation MAE {row['mae_hu']:.1f} HU, bone Dice {row['bone_dice']:.3f}"

    def _collated(self, patches: Sequence[dict[str, np.ndarray]]) -> Given:
        """Fields as (B, 1, K, J, I) tensors."""
        return {
            name: torch.from_numpy(np.stack([np.ascontiguousarray(one[name]) for one in patches])[:, None]).to(
                self.device
            )
            for name in FIELDS
        }


def _validation_patches(cases: Sequence[TrainingCase], size: int) -> list[dict[str, np.ndarray]]:
    """The same ones for every training."""
    rng = np.random.default_rng(0)
    patches = []
    for case in cases:
        inside = np.argwhere(case.mask)
        for _ in range(PATCHES_PER_CASE):
            patches.append(cut_out(case, inside[rng.integers(len(inside))], size))
    return patches
