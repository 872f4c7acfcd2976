"""The loop of every training: what happens when half precision gives no number."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.training.loop import LoopOptions, TrainingLoop


class Line(TrainingLoop):
    """Learns to double a number; in bfloat16 its validation is no number, and without it only where `broken`."""

    broken = False

    def _batch(self, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        return {"given": torch.from_numpy(rng.random((4, 1), dtype=np.float32))}

    def _loss(self, network: torch.nn.Module, given: dict[str, torch.Tensor]) -> torch.Tensor:
        return ((network(given["given"]) - 2 * given["given"]) ** 2).mean()

    def _measure(self) -> dict[str, float]:
        exact = float((self.network(torch.ones(1, 1)) - 2).abs())
        return {"validation_loss": math.nan if self.bfloat16 or self.broken else exact}


def line(**options: object) -> Line:
    torch.manual_seed(0)
    network = torch.nn.Linear(1, 1)
    network.to = lambda *_, **__: network  # a layer has no memory format of images
    return Line(network, LoopOptions(steps=40, validations=2, learning_rate=0.2, **options))


def test_a_validation_that_is_no_number_is_repeated_in_full_precision(monkeypatch) -> None:
    # Whatever this computer is fast in.
    monkeypatch.setattr("SparseToPreciseLib.core.training.loop.fast_bfloat16", lambda device: True)
    trainer = line(bfloat16=True)
    losses = [row["validation_loss"] for row in trainer.run().rows]
    assert all(math.isfinite(one) for one in losses) and min(losses) < 0.2 * losses[0]
    assert trainer.bfloat16, "the steps go on as they were"


def test_a_validation_that_stays_no_number_is_said() -> None:
    trainer = line(bfloat16=False)
    trainer.broken = True
    with pytest.raises(InputError, match="validation loss was never a number"):
        trainer.run()
