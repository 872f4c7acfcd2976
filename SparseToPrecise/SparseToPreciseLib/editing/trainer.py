"""Training of the editing networks: one loop for every form and objective, on one process or several."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from ..core.errors import InputError
from ..core.training.loop import Given, LoopOptions, TrainingLoop
from .case_store import CaseStore
from .cases import FIELDS
from .losses import editing_loss
from .network import NetworkForm, network_logits, start_at_zero


def _cross_entropy(logits: torch.Tensor, given: Given) -> torch.Tensor:
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, given["truth"])


def _dice(logits: torch.Tensor, given: Given) -> torch.Tensor:
    from monai.losses import DiceLoss

    return DiceLoss(sigmoid=True)(logits, given["truth"])


def _editing(logits: torch.Tensor, given: Given) -> torch.Tensor:
    return editing_loss(logits, given["truth"], given["mask"], given["guidance"])


def _zone_editing(logits: torch.Tensor, given: Given) -> torch.Tensor:
    weight = given["guidance"].square() + 0.02
    return editing_loss(logits, given["truth"], given["mask"], given["guidance"], weight)


def _zone_cross_entropy(logits: torch.Tensor, given: Given) -> torch.Tensor:
    zone = (given["guidance"] > 0.5).float()
    return editing_loss(logits, given["truth"], given["mask"], zone, given["guidance"].square() + 0.02)


OBJECTIVES: dict[str, Callable[[torch.Tensor, Given], torch.Tensor]] = {
    "editing": _editing,
    "cross-entropy": _cross_entropy,
    "dice": _dice,
    "zone-editing": _zone_editing,
    "zone-cross-entropy": _zone_cross_entropy,
}
"""editing: the paper's Eq. 1. cross-entropy, dice: its rivals. zone-editing: the paper's loss, weighted by A^2, since
only what lies in the zone reaches the user. zone-cross-entropy: truth in the zone, old segmentation outside, same
weights."""


class Trainer(TrainingLoop):
    """Trains a network on stored cases for a given computing time and keeps the best weights.

    Parameters
    ----------
    network
        (B, len(form.inputs), K, J, I) -> (B, 1, K, J, I).
    form
        What goes in and what comes out.
    objective
        A key of `OBJECTIVES`.
    training, validation
        Stored cases; validation cases come from other seeds.
    options
        As `TrainingLoop` takes them. The paper's learning rate, 0.005, is the default of its own form.
    crop
        Side of the part around the stroke that a step sees of a case, voxels, a multiple of the network's stride: most
        of what counts lies there, and a cube of 48 takes less than half of the time of one of 64. None: all of it.

    Raises
    ------
    InputError
        No case to train on or to validate with.
    """

    memory_format = torch.channels_last_3d

    def __init__(
        self,
        network: torch.nn.Module,
        form: NetworkForm,
        objective: str,
        training: CaseStore,
        validation: CaseStore,
        options: LoopOptions,
        crop: int | None = None,
    ) -> None:
        super().__init__(network, options)
        if not len(training) or not len(validation):
            raise InputError(
                f"There are {len(training)} cases to train on and {len(validation)} to validate with; give more data."
            )
        self.form = form
        self.objective = OBJECTIVES[objective]
        self.crop = crop
        self.training = training
        self.validation = validation

    def _prepare(self) -> None:
        if self.form.residual and not self.options.trained_before:
            start_at_zero(self.network, len(self.form.inputs))

    def _batch(self, rng: np.random.Generator) -> Given:
        chosen = rng.integers(len(self.training), size=self.options.batch_size)
        cases = [self.training[int(index)] for index in chosen]
        if self.crop is not None:
            cases = [cropped(case, self.crop, rng) for case in cases]
        return collated([augmented(case, rng) for case in cases], self.device)

    def _loss(self, network: torch.nn.Module, given: Given) -> torch.Tensor:
        return self.objective(self._logits(network, given), given)

    def _logits(self, network: torch.nn.Module, given: Given) -> torch.Tensor:
        with self.computing():
            return network_logits(network, self.form, given).float()

    def _measure(self) -> dict[str, float]:
        totals, removed, wrong = 0.0, 0.0, 0.0
        count = 0
        for start in range(0, len(self.validation), self.options.batch_size):
            stop = min(start + self.options.batch_size, len(self.validation))
            given = collated([self.validation[index] for index in range(start, stop)], self.device)
            logits = self._logits(self.network, given)
            totals += float(self.objective(logits, given)) * (stop - start)
            count += stop - start
            zone = given["guidance"] > 0.5
            truth = given["truth"] > 0.5
            before = float((((given["mask"] > 0.5) != truth) & zone).sum())
            wrong += before
            removed += before - float((((logits > 0) != truth) & zone).sum())
        return {"validation_loss": totals / max(count, 1), "in_zone_error_removed": removed / max(wrong, 1.0)}

    def _message(self, row: dict[str, float]) -> str:
        return f"{super()._message(row)}, {row['in_zone_error_removed']:.0%} of the in-zone error removed"


def cropped(case: dict[str, np.ndarray], side: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A cube of a case around a random point of its stroke; the whole case where that is no larger."""
    guidance = case["guidance"]
    on_stroke = np.argwhere(guidance >= 0.99 * guidance.max())
    centre = on_stroke[rng.integers(len(on_stroke))]
    start = np.clip(centre - side // 2, 0, np.maximum(np.array(guidance.shape) - side, 0))
    part = tuple(slice(int(first), int(first) + side) for first in start)
    return {name: array[part] for name, array in case.items()}


def augmented(case: dict[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The same case mirrored and turned by quarter turns, its image with another contrast (and sometimes inverted)."""
    axes = rng.permutation(3)
    flips = [axis for axis in range(3) if rng.random() < 0.5]
    case = {name: np.flip(array.transpose(axes), flips) for name, array in case.items()}
    image = case["image"]
    if rng.random() < 0.5:
        image = 1 - image
    gamma = np.float32(np.exp(rng.normal(0, 0.25)))
    case["image"] = np.sign(image) * np.abs(image) ** gamma
    return case


def collated(cases: list[dict[str, np.ndarray]], device: torch.device) -> Given:
    """Named channels as (B, 1, K, J, I) tensors."""
    return {
        name: torch.from_numpy(np.stack([np.ascontiguousarray(case[name]) for case in cases])[:, None]).to(device)
        for name in FIELDS
    }
