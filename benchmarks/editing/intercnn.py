"""InterCNN: a network trained on its own corrections (Bredell et al. 2018).

Each training case is edited ten times in a row: the simulated user draws on the error of the network's last answer, the
strokes are accumulated, and the answer and all strokes go in again; cross-entropy against the truth after each, with
one optimiser step. The original's marks of object and background are strokes along the boundary here, as in the
comparison of Shahin et al. 2023.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from SparseToPreciseLib.editing.guidance import attention, densify
from SparseToPreciseLib.editing.simulated_user import draw_stroke
from SparseToPreciseLib.editing.trainer import Given, Trainer, augmented, collated
from SparseToPreciseLib.editing.working_grid import SIGMA_VOXELS, distances_on

STEPS = 10
"""Edits per case; the authors' recommendation, and the paper's choice."""


@dataclass
class _Episode:
    case: dict[str, np.ndarray]
    edits: int = 1


class InterCNNTrainer(Trainer):
    """`Trainer` whose batches are episodes of edits; the network's last answer is the next one's old segmentation."""

    def __init__(self, *arguments, **options) -> None:
        super().__init__(*arguments, **options)
        self._episodes: list[_Episode] = []
        self._answer: torch.Tensor | None = None
        cross_entropy = self.objective

        def remembering(logits: torch.Tensor, given: Given) -> torch.Tensor:
            if logits.requires_grad:  # not when validating
                self._answer = logits.detach()
            return cross_entropy(logits, given)

        self.objective = remembering

    def _batch(self, rng: np.random.Generator) -> Given:
        if self._answer is None:
            self._episodes = [self._new(rng) for _ in range(self.options.batch_size)]
        else:
            answers = (self._answer[:, 0] > 0).cpu().numpy()
            self._episodes = [
                self._next(episode, answer, rng) for episode, answer in zip(self._episodes, answers, strict=True)
            ]
        return collated([episode.case for episode in self._episodes], self.device)

    def _new(self, rng: np.random.Generator) -> _Episode:
        return _Episode(augmented(self.training[int(rng.integers(len(self.training)))], rng))

    def _next(self, episode: _Episode, answer: np.ndarray, rng: np.random.Generator) -> _Episode:
        if episode.edits >= STEPS:
            return self._new(rng)
        drawn = draw_stroke(episode.case["truth"] > 0.5, answer, rng)
        if drawn is None or len(drawn.points) < 2:
            return self._new(rng)
        distance, _ = distances_on(answer.shape, densify(drawn.points, 1.0))
        strokes = np.maximum(episode.case["guidance"], attention(distance, SIGMA_VOXELS))
        case = {**episode.case, "mask": answer.astype(np.float32), "guidance": strokes}
        return _Episode(case, episode.edits + 1)
