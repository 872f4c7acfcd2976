"""The loop of every training: a time budget, a falling learning rate, validations, the best weights, one process or
several. What is trained on, and for what, is said by a subclass."""

from __future__ import annotations

import ast
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

from ..devices import fast_bfloat16, return_free_memory
from ..errors import Cancelled, InputError
from ..progress import Progress
from .checkpoint import Checkpoint

Given = dict[str, torch.Tensor]
Validated = Callable[[dict[str, float]], None]
"""Told of each new row of a training's log."""
TRIMMED_EVERY = 200
"""Steps after which freed memory is given back to the computer."""


@dataclass(frozen=True)
class LoopOptions:
    """How a network is trained, whatever it is trained for.

    Attributes
    ----------
    minutes
        Computing time of this process (CPU time on the CPU, so that a busy machine does not change the result;
        wall time on a GPU), validation included. None: `steps` decides.
    steps
        Stop after so many steps even if time is left; None: time alone decides.
    learning_rate
        Of Adam; falls to zero along a cosine. Gradients are clipped at norm 1.
    batch_size
        Cases per step and process; for the subclass.
    validations
        How often the validation cases are run, evenly over the time.
    patience
        Validations without a better one before the end; None: it goes on.
    seed
        Of order and augmentation.
    bfloat16
        Compute in bfloat16 (weights and loss stay float32) where `fast_bfloat16` holds: twice as fast there.
    device
        "cpu", "cuda", ...
    trained_before
        The network's weights are those of another training.
    keep_on_cancel
        When the user cancels, end with the best weights so far if there are any.
    checkpoint
        Where the state is kept from time to time, and whether to go on from there.
    progress
        Told about every validation; asked at every step whether to go on.
    validated
        Called with each new row of the log.

    Raises
    ------
    InputError
        Neither minutes nor steps.
    """

    minutes: float | None = None
    steps: int | None = None
    learning_rate: float = 0.002
    batch_size: int = 4
    validations: int = 10
    patience: int | None = None
    seed: int = 0
    bfloat16: bool = True
    device: str = "cpu"
    trained_before: bool = False
    keep_on_cancel: bool = False
    checkpoint: Checkpoint | None = None
    progress: Progress = field(default_factory=Progress)
    validated: Validated | None = None

    def __post_init__(self) -> None:
        if not self.minutes and not self.steps:
            raise InputError(
                f"Training needs an end: {self.minutes} minutes and {self.steps} steps are none; give one of them."
            )


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

    A subclass gives `_batch`, `_loss`, `_measure` and, where it wants, `_prepare`, `_message` and, for what it changes
    besides the network, `_extra_state` with `_restore`.

    Parameters
    ----------
    network
        What is trained; moved to the device.
    options
        How.

    Attributes
    ----------
    log
        The validations so far.
    cancelled
        Whether the user ended the training early; see `LoopOptions.keep_on_cancel`.
    share_done
        Of the time or the steps, between 0 and 1; for what changes while training.
    bfloat16
        Whether it is computed in at present.
    """

    memory_format = torch.channels_last

    def __init__(self, network: torch.nn.Module, options: LoopOptions) -> None:
        self.options = options
        self.device = torch.device(options.device)
        self.network = network.to(options.device, memory_format=self.memory_format)
        self.bfloat16 = options.bfloat16 and fast_bfloat16(self.device.type)
        self.log = TrainingLog()
        self.cancelled = False
        self.share_done = 0.0
        self._best, self._stale = math.inf, 0
        self._best_weights: Given | None = None

    def _prepare(self) -> None:
        """Called once before the first step."""

    def _batch(self, rng: np.random.Generator) -> Given:
        """The next batch, on the device."""
        raise NotImplementedError

    def _loss(self, network: torch.nn.Module, given: Given) -> torch.Tensor:
        """Loss of a batch."""
        raise NotImplementedError

    def _measure(self) -> dict[str, float]:
        """`validation_loss` and further columns of the log, of the network as it is; called without gradients."""
        raise NotImplementedError

    def _message(self, row: dict[str, float]) -> str:
        """One line about a row of the log."""
        return f"step {row['steps']}: validation loss {row['validation_loss']:.5f}"

    def _extra_state(self) -> dict:
        """For a checkpoint: tensors, numbers, text, and lists and dictionaries of them."""
        return {}

    def _restore(self, state: dict) -> None:
        """Take up an `_extra_state` again."""

    def computing(self) -> contextlib.AbstractContextManager:
        """In which the network runs: bfloat16 where that is wanted."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16)

    def run(self) -> TrainingLog:
        """Train; afterwards the network holds the weights with the lowest validation loss. Returns the log."""
        self._prepare()
        several = distributed.is_available() and distributed.is_initialized()
        rank = distributed.get_rank() if several else 0
        network = DistributedDataParallel(self.network) if several else self.network
        rng = np.random.default_rng([self.options.seed, rank])
        optimizer = torch.optim.Adam(network.parameters(), lr=self.options.learning_rate)
        try:
            step = self._train(network, optimizer, rng, rank)
        except Cancelled:
            # Several processes would have to agree on it.
            if several or not self.options.keep_on_cancel or self._best_weights is None:
                raise
            self.cancelled = True
        if rank == 0:
            if self._best_weights is None:
                raise InputError(
                    f"The training came to nothing: the validation loss was never a number in {step} steps; "
                    "choose a smaller learning rate."
                )
            self.network.load_state_dict(self._best_weights)
        if several:
            # Only the first process knows which weights were the best.
            for value in self.network.state_dict().values():
                distributed.broadcast(value, 0)
        self.network.eval()
        return self.log

    def _train(
        self, network: torch.nn.Module, optimizer: torch.optim.Optimizer, rng: np.random.Generator, rank: int
    ) -> int:
        """The loop itself; returns the number of steps."""
        options = self.options
        clock = time.process_time if self.device.type == "cpu" else time.perf_counter
        losses: list[float] = []
        step, due, before = 0, 0.0, 0.0
        checkpoint = options.checkpoint
        if checkpoint is not None and (state := checkpoint.read()) is not None:
            step, due, before, losses = self._resumed(state, optimizer, rng, rank)
        started = clock()
        while True:
            minutes = before + (clock() - started) / 60
            share = self._share_done(minutes, step)
            self.share_done = min(share, 1.0)
            options.progress.check()
            if checkpoint is not None and rank == 0 and step and checkpoint.due():
                checkpoint.write(self._state(optimizer, rng, step, due, minutes, losses))
            if share >= due:
                if rank == 0:
                    self._validate(share, minutes, step, losses)
                losses = []
                due += 1 / options.validations
            if share >= 1:
                return step
            for group in optimizer.param_groups:
                group["lr"] = options.learning_rate * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))
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

    def _share_done(self, minutes: float, step: int) -> float:
        ends = self.options
        share = max(minutes / ends.minutes if ends.minutes else 0.0, step / ends.steps if ends.steps else 0.0)
        if ends.patience is not None and self._stale >= ends.patience:
            share = 1.0
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
        self._stale += 1
        if measured["validation_loss"] < self._best:
            self._best, self._stale = measured["validation_loss"], 0
            self._best_weights = {name: value.clone() for name, value in self.network.state_dict().items()}
        if self.options.validated is not None:
            self.options.validated(row)
        self.options.progress(min(share, 1.0), self._message(row))
        return measured["validation_loss"]

    def _state(
        self,
        optimizer: torch.optim.Optimizer,
        rng: np.random.Generator,
        step: int,
        due: float,
        minutes: float,
        losses: list[float],
    ) -> dict:
        return {
            "network": self.network.state_dict(),
            "optimizer": optimizer.state_dict(),
            "best_weights": self._best_weights,
            "torch": torch.get_rng_state(),
            # Wider than the integers that a file of plain weights can hold.
            "rng": repr(rng.bit_generator.state),
            "loop": [step, due, minutes, list(losses), self._best, self._stale],
            "rows": self.log.rows,
            "extra": self._extra_state(),
        }

    def _resumed(
        self, state: dict, optimizer: torch.optim.Optimizer, rng: np.random.Generator, rank: int
    ) -> tuple[int, float, float, list[float]]:
        """Take up a `_state`; what the loop itself goes on with."""
        self.network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        self._best_weights = state["best_weights"]
        torch.set_rng_state(state["torch"])
        step, due, minutes, losses, self._best, self._stale = state["loop"]
        # Of several processes only the first one's state is kept; the others go on with other chances.
        rng.bit_generator.state = (
            generator_state(state["rng"])
            if rank == 0
            else np.random.default_rng([self.options.seed, rank, step]).bit_generator.state
        )
        self.log.rows[:] = state["rows"]
        self._restore(state["extra"])
        return step, due, minutes, losses


def generator_state(text: str) -> dict:
    """The state of a NumPy generator from its `repr`."""
    return ast.literal_eval(text)
