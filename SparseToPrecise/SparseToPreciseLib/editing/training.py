"""Training of the editing networks: one loop for every form and objective, on one process or several."""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from ..core.errors import InputError
from ..core.progress import Progress
from .dataset import FIELDS, CaseStore
from .loss import editing_loss
from .network import NetworkForm, network_logits, start_at_zero

Given = dict[str, torch.Tensor]


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


@dataclass
class TrainingLog:
    """One row per validation: minutes, steps, training loss, validation loss, share of in-zone error removed."""

    rows: list[dict[str, float]] = field(default_factory=list)

    def as_csv(self) -> str:
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(self.rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return text.getvalue()


class Trainer:
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
    minutes
        Computing time of this process (CPU time on the CPU, so that a busy machine does not change the result;
        wall time on a GPU), validation included. None: `steps` decides.
    learning_rate
        Of Adam; falls to zero along a cosine. The paper's 0.005 is the default of its own form; gradients are
        clipped at norm 1.
    batch_size
        Cases per step and process.
    validations
        How often the validation cases are run, evenly over the time.
    seed
        Of order and augmentation.
    device
        "cpu", "cuda", ...
    bfloat16
        Compute in bfloat16 (weights and loss stay float32): twice as fast on recent CPUs and GPUs.
    steps
        Stop after so many steps even if time is left; None: time alone decides.
    progress
        Told about every validation; asked at every step whether to go on.
    validated
        Called with each new row of the log.

    Raises
    ------
    InputError
        Neither minutes nor steps, or no case to train on or to validate with.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        form: NetworkForm,
        objective: str,
        training: CaseStore,
        validation: CaseStore,
        minutes: float | None,
        learning_rate: float = 0.002,
        batch_size: int = 4,
        validations: int = 10,
        seed: int = 0,
        device: str = "cpu",
        bfloat16: bool = True,
        steps: int | None = None,
        progress: Progress | None = None,
        validated: Callable[[dict[str, float]], None] | None = None,
    ) -> None:
        if not minutes and not steps:
            raise InputError(f"Training needs an end: {minutes} minutes and {steps} steps are none; give one of them.")
        if not len(training) or not len(validation):
            raise InputError(
                f"There are {len(training)} cases to train on and {len(validation)} to validate with; give more data."
            )
        self.network = network.to(device, memory_format=torch.channels_last_3d)
        self.form = form
        self.objective = OBJECTIVES[objective]
        self.training = training
        self.validation = validation
        self.minutes = minutes
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.validations = validations
        self.seed = seed
        self.device = torch.device(device)
        self.bfloat16 = bfloat16
        self.steps = steps
        self.progress = progress or Progress()
        self.validated = validated
        self.log = TrainingLog()

    def run(self) -> TrainingLog:
        """Train; afterwards the network holds the weights with the lowest validation loss. Returns the log."""
        if self.form.residual:
            start_at_zero(self.network, len(self.form.inputs))
        several = distributed.is_available() and distributed.is_initialized()
        rank = distributed.get_rank() if several else 0
        network = DistributedDataParallel(self.network) if several else self.network
        rng = np.random.default_rng([self.seed, rank])
        optimizer = torch.optim.Adam(network.parameters(), lr=self.learning_rate)
        clock = time.process_time if self.device.type == "cpu" else time.perf_counter
        started, best, best_weights = clock(), math.inf, None
        losses: list[float] = []
        step, due = 0, 0.0
        while True:
            minutes = (clock() - started) / 60
            share = self._share_done(minutes, step)
            self.progress.check()
            if share >= due:
                if rank == 0:
                    validated = self._validate(share, minutes, step, losses)
                    if validated < best:
                        best = validated
                        best_weights = {name: value.clone() for name, value in self.network.state_dict().items()}
                losses = []
                due += 1 / self.validations
            if share >= 1:
                break
            for group in optimizer.param_groups:
                group["lr"] = self.learning_rate * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))
            given = self._batch(rng)
            network.train()
            loss = self.objective(self._logits(network, given), given)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            losses.append(float(loss.detach()))
            step += 1
        if rank == 0:
            if best_weights is None:
                raise InputError(
                    f"The training came to nothing: the validation loss was never a number in {step} steps; "
                    "choose a smaller learning rate."
                )
            self.network.load_state_dict(best_weights)
        if several:
            # Only the first process knows which weights were the best.
            for value in self.network.state_dict().values():
                distributed.broadcast(value, 0)
        self.network.eval()
        return self.log

    def _logits(self, network: torch.nn.Module, given: Given) -> torch.Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            return network_logits(network, self.form, given).float()

    def _share_done(self, minutes: float, step: int) -> float:
        share = max(minutes / self.minutes if self.minutes else 0.0, step / self.steps if self.steps else 0.0)
        if distributed.is_available() and distributed.is_initialized():
            # Every process must leave the loop in the same step, whatever its own clock says.
            agreed = torch.tensor([share], device=self.device)
            distributed.all_reduce(agreed, op=distributed.ReduceOp.MAX)
            share = float(agreed)
        return share

    def _batch(self, rng: np.random.Generator) -> Given:
        chosen = rng.integers(len(self.training), size=self.batch_size)
        return collated([augmented(self.training[int(index)], rng) for index in chosen], self.device)

    def _validate(self, share: float, minutes: float, step: int, losses: list[float]) -> float:
        self.network.eval()
        totals, removed, wrong = 0.0, 0.0, 0.0
        count = 0
        with torch.inference_mode():
            for start in range(0, len(self.validation), self.batch_size):
                stop = min(start + self.batch_size, len(self.validation))
                given = collated([self.validation[index] for index in range(start, stop)], self.device)
                logits = self._logits(self.network, given)
                totals += float(self.objective(logits, given)) * (stop - start)
                count += stop - start
                zone = given["guidance"] > 0.5
                truth = given["truth"] > 0.5
                before = float((((given["mask"] > 0.5) != truth) & zone).sum())
                wrong += before
                removed += before - float((((logits > 0) != truth) & zone).sum())
        loss = totals / max(count, 1)
        row = {
            "minutes": round(minutes, 3),
            "steps": step,
            "training_loss": round(float(np.mean(losses)), 6) if losses else math.nan,
            "validation_loss": round(loss, 6),
            "in_zone_error_removed": round(removed / max(wrong, 1.0), 4),
        }
        self.log.rows.append(row)
        if self.validated is not None:
            self.validated(row)
        self.progress(
            min(share, 1.0),
            f"step {step}: validation loss {loss:.5f}, {row['in_zone_error_removed']:.0%} of the in-zone error removed",
        )
        return loss


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
