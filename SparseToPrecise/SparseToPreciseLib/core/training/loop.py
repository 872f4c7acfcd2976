"""The loop of every training: a time budget, a falling learning rate, validations, the best weights, one process or
several. What is trained on, and for what, is said by a subclass."""

from __future__ import annotations

import contextlib
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

from ..devices import return_free_memory
from ..errors import InputError
from ..progress import Progress

Given = dict[str, torch.Tensor]
TRIMMED_EVERY = 200
"""Steps after which freed memory is given back to the computer."""


@dataclass
class TrainingLog:
    """One row per validation: minutes, steps, training loss, validation loss, and what the family measures."""

    rows: list[dict[str, float]] = field(default_factory=list)

    def as_csv(self) -> str:
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(self.rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return text.getvalue()


class TrainingLoop:
    """Trains a network for a given computing time and keeps the best weights.

    A subclass gives `_batch`, `_loss`, `_measure` and, where it wants, `_prepare` and `_message`.

    Parameters
    ----------
    network
        What is trained; moved to the device.
    minutes
        Computing time of this process (CPU time on the CPU, so that a busy machine does not change the result;
        wall time on a GPU), validation included. None: `steps` decides.
    learning_rate
        Of Adam; falls to zero along a cosine. Gradients are clipped at norm 1.
    batch_size
        Cases per step and process; for the subclass.
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
        Neither minutes nor steps.
    """

    memory_format = torch.channels_last

    def __init__(
        self,
        network: torch.nn.Module,
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
        self.network = network.to(device, memory_format=self.memory_format)
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
        self.share_done = 0.0
        """Of the time or the steps, between 0 and 1; for what changes while training."""

    def _prepare(self) -> None:
        """Called once before the first step."""

    def _batch(self, rng: np.random.Generator) -> Given:
        """The next batch, on the device."""
        raise NotImplementedError

    def _loss(self, network: torch.nn.Module, given: Given) -> torch.Tensor:
        """What is to fall, for a batch."""
        raise NotImplementedError

    def _measure(self) -> dict[str, float]:
        """`validation_loss` and further columns of the log, of the network as it is; called without gradients."""
        raise NotImplementedError

    def _message(self, row: dict[str, float]) -> str:
        """One line about a row of the log."""
        return f"step {row['steps']}: validation loss {row['validation_loss']:.5f}"

    def computing(self) -> contextlib.AbstractContextManager:
        """In which the network runs: bfloat16 where that is wanted."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16)

    def run(self) -> TrainingLog:
        """Train; afterwards the network holds the weights with the lowest validation loss. Returns the log."""
        self._prepare()
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
            self.share_done = min(share, 1.0)
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
            loss = self._loss(network, given)
            optimizer.zero_grad()
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            # Convolutions in bfloat16 are not a number now and then; one such step would be the end of all weights.
            if torch.isfinite(norm):
                optimizer.step()
                losses.append(float(loss.detach()))
            step += 1
            if step % TRIMMED_EVERY == 0:
                return_free_memory()
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

    def _share_done(self, minutes: float, step: int) -> float:
        share = max(minutes / self.minutes if self.minutes else 0.0, step / self.steps if self.steps else 0.0)
        if distributed.is_available() and distributed.is_initialized():
            # Every process must leave the loop in the same step, whatever its own clock says.
            agreed = torch.tensor([share], device=self.device)
            distributed.all_reduce(agreed, op=distributed.ReduceOp.MAX)
            share = float(agreed)
        return share

    def _validate(self, share: float, minutes: float, step: int, losses: list[float]) -> float:
        self.network.eval()
        with torch.inference_mode():
            measured = self._measure()
            if self.bfloat16 and not math.isfinite(measured["validation_loss"]):
                # As with steps: once more in full precision before the weights are given up.
                self.bfloat16 = False
                measured = self._measure()
                self.bfloat16 = True
        row = {
            "minutes": round(minutes, 3),
            "steps": step,
            "training_loss": round(float(np.mean(losses)), 6) if losses else math.nan,
            **{name: round(value, 6 if name == "validation_loss" else 4) for name, value in measured.items()},
        }
        self.log.rows.append(row)
        if self.validated is not None:
            self.validated(row)
        self.progress(min(share, 1.0), self._message(row))
        return measured["validation_loss"]
