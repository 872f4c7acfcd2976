"""Training of the corrector: loose boxes around known objects, cell by cell and patch by patch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ...core.training.loop import Given, LoopOptions, TrainingLoop, generator_state
from ..scenes import Scene
from ..simulation import loose_box
from ..slices import Frame, sampled
from .inputs import POSITIONS, reordered
from .working_grid import View, patch_shares

CLOSE = 0.25
"""Mean margins of up to so much are those of the second look."""
RENEWED_EVERY = 4
"""Steps after which one of the scenes gives way to a new one: so seldom that making them takes a sixth of the time
where they have 128 voxels along a side."""
_BEYOND_WEIGHT = 0.1
OVERLAP_WEIGHT = 0.5


@dataclass(frozen=True)
class Sampling:
    """How boxes are drawn around objects.

    Attributes
    ----------
    view
        How the network is shown them.
    largest_margin
        The mean margin per side, as a share of the object's size, is drawn between 0 and this.
    inverted_share
        Of boxes whose image is inverted.
    tight_share, close_share
        Of boxes without any margin; and of those where it is drawn between 0 and `CLOSE`: boxes like those of the
        second look, which decides. What a training learns of them it does not learn of looser ones.
    """

    view: View = View()
    largest_margin: float = 0.6
    inverted_share: float = 0.25
    tight_share: float = 0.2
    close_share: float = 0.0


@dataclass(frozen=True)
class Sample:
    """The cells of a box: channels (C, K, J, I), mask and weight (1, K, J, I)."""

    channels: np.ndarray
    mask: np.ndarray
    weight: np.ndarray


def drawn_frame(scene: Scene, sampling: Sampling, rng: np.random.Generator) -> Frame:
    """Slices of a random loose box, along a random axis."""
    kind = rng.random() - sampling.tight_share
    if kind < 0:
        margin = 0.0
    else:
        most = CLOSE if kind < sampling.close_share else math.inf
        margin = rng.uniform(0, min(most, sampling.largest_margin))
    box = loose_box(scene.mask, margin, rng)
    axis = int(rng.integers(3))
    return sampling.view.frame(box, axis, min(float(scene.image.spacing[axis]), float(box.size[axis])))


def draw_sample(scene: Scene, sampling: Sampling, rng: np.random.Generator) -> Sample:
    """A random loose box, sometimes inverted; mirrored at random, unless the network is to tell directions."""
    frame = drawn_frame(scene, sampling, rng)
    image, view = scene.image, sampling.view
    if rng.random() < sampling.inverted_share:
        image = image.with_array(-image.array)
    grid = frame.cells(0, frame.planes)
    channels = view.channels(image, frame)
    mask = sampled(scene.mask.with_array(scene.mask.array.astype(np.float32)), grid)
    beyond = channels[POSITIONS].max(axis=0)
    mask = mask * (beyond <= 1)  # an edge that is repeated beyond the field of view is no object
    weight = np.where(beyond <= 1.1, 1.0, _BEYOND_WEIGHT).astype(np.float32)
    arrays = [view.shown(channels, grid), *(view.shown_mask(one, grid)[None] for one in (mask, weight))]
    if not view.oriented:
        mirrored = [axis for axis in (1, 2, 3) if rng.random() < 0.5]
        arrays = [np.flip(array, mirrored) for array in arrays]
    return Sample(*arrays)


def turned(sample: Sample, axes: Sequence[int]) -> Sample:
    """A sample with its axes K, J, I in another order."""
    mask, weight = (array.transpose(0, *(axis + 1 for axis in axes)) for array in (sample.mask, sample.weight))
    return Sample(reordered(sample.channels, axes), mask, weight)


def collated(samples: Sequence[Sample], device: torch.device) -> Given:
    """Samples of different sizes as one batch; what is added at the upper ends has no weight."""
    shape = np.max([sample.mask.shape[1:] for sample in samples], axis=0)

    def padded(array: np.ndarray, mode: str) -> np.ndarray:
        ends = [(0, int(wanted - there)) for wanted, there in zip(shape, array.shape[1:], strict=True)]
        return np.pad(array, [(0, 0), *ends], mode=mode)

    stacked = {
        "channels": np.stack([padded(sample.channels, "edge") for sample in samples]),
        "mask": np.stack([padded(sample.mask, "constant") for sample in samples]),
        "weight": np.stack([padded(sample.weight, "constant") for sample in samples]),
    }
    return {name: torch.from_numpy(array).to(device) for name, array in stacked.items()}


def _cross_entropy(logits: torch.Tensor, given: Given) -> torch.Tensor:
    weight = given["weight"]
    cells = torch.nn.functional.binary_cross_entropy_with_logits(logits, given["mask"], reduction="none")
    return (cells * weight).sum() / weight.sum()


def _with_overlap(logits: torch.Tensor, given: Given) -> torch.Tensor:
    from monai.losses import DiceLoss

    return _cross_entropy(logits, given) + OVERLAP_WEIGHT * DiceLoss(sigmoid=True)(logits, given["mask"])


OBJECTIVES: dict[str, Callable[[torch.Tensor, Given], torch.Tensor]] = {
    "cross-entropy": _cross_entropy,
    "with-overlap": _with_overlap,
}
"""cross-entropy: of the cells and nothing else, so that the network's chances are those that things have. with-overlap:
Dice beside it, for a network that is to segment; cells that such a one gave a chance of 0.002 were object ten times as
often, and the thresholds for a high coverage had to be as low as that."""


class CorrectorTrainer(TrainingLoop):
    """Trains a fully convolutional network on random loose boxes around the objects of scenes.

    Parameters
    ----------
    network
        (B, CHANNELS, K, J, I) -> (B, 1, K, J, I).
    scenes, validation
        To train on, and to validate with (the same boxes at every validation).
    sampling
        How boxes are drawn.
    patch
        Side of a patch, pixels.
    renew, lasting
        Makes a scene in place of one that is drawn from all but the first `lasting`, every `RENEWED_EVERY` steps, so
        that what is trained on does not repeat itself; None: they stay.
    options
        As `TrainingLoop` takes them; batch_size counts boxes.
    objective
        One of `OBJECTIVES`.
    """

    memory_format = torch.channels_last_3d

    def __init__(
        self,
        network: torch.nn.Module,
        scenes: Sequence[Scene],
        validation: Sequence[Scene],
        sampling: Sampling,
        patch: int,
        options: LoopOptions,
        renew: Callable[[np.random.Generator], Scene] | None = None,
        lasting: int = 0,
        objective: str = "cross-entropy",
    ) -> None:
        super().__init__(network, options)
        self.scenes = list(scenes)
        self.renew = renew
        self.lasting = lasting
        self.renewed = 0
        """How many scenes have given way to another."""
        self._batches = 0
        self._made_by: dict[int, str] = {}
        """Number of a scene that was renewed to the state of chance that it was made with."""
        self.sampling = sampling
        self.patch = patch
        self.objective = OBJECTIVES[objective]
        rng = np.random.default_rng([self.options.seed, 1])
        self._validation = [collated([draw_sample(scene, sampling, rng)], torch.device("cpu")) for scene in validation]

    def _batch(self, rng: np.random.Generator) -> Given:
        self._batches += 1
        if self.renew is not None and self._batches % RENEWED_EVERY == 0:
            number = int(rng.integers(self.lasting, len(self.scenes)))
            self._made_by[number] = repr(rng.bit_generator.state)
            self.scenes[number] = self.renew(rng)
            self.renewed += 1
        chosen = rng.integers(len(self.scenes), size=self.options.batch_size)
        samples = [draw_sample(self.scenes[int(one)], self.sampling, rng) for one in chosen]
        if self.sampling.view.oriented:
            return collated(samples, self.device)
        # Alike in shape, so that little is added to make them equal: from the longest axis to the shortest, the same
        # random axes for all of them.
        axes = rng.permutation(3)
        longest_first = [np.argsort([-size for size in sample.mask.shape[1:]], kind="stable") for sample in samples]
        return collated([turned(s, own[axes]) for s, own in zip(samples, longest_first, strict=True)], self.device)

    def _extra_state(self) -> dict:
        return {"batches": self._batches, "renewed": self.renewed, "made_by": dict(self._made_by)}

    def _restore(self, state: dict) -> None:
        self._batches, self.renewed, self._made_by = state["batches"], state["renewed"], state["made_by"]
        for number, chance in self._made_by.items():
            rng = np.random.default_rng()
            rng.bit_generator.state = generator_state(chance)
            self.scenes[number] = self.renew(rng)

    def _loss(self, network: torch.nn.Module, given: Given) -> torch.Tensor:
        return self.objective(self._logits(network, given), given)

    def _logits(self, network: torch.nn.Module, given: Given) -> torch.Tensor:
        with self.computing():
            return network(given["channels"].to(memory_format=torch.channels_last_3d)).float()

    def _measure(self) -> dict[str, float]:
        loss, dice = [], []
        for batch in self._validation:
            given = {name: value.to(self.device) for name, value in batch.items()}
            logits = self._logits(self.network, given)
            loss.append(float(self.objective(logits, given)))
            truth = patch_shares(given["mask"][:, 0], self.patch) > 0.5
            found = patch_shares(torch.sigmoid(logits[:, 0]), self.patch) > 0.5
            both = float(truth.sum() + found.sum())
            dice.append(2 * float((truth & found).sum()) / both if both else 1.0)
        return {"validation_loss": float(np.mean(loss)), "patch_dice": float(np.mean(dice))}

    def _message(self, row: dict[str, float]) -> str:
        return f"{super()._message(row)}, patch Dice {row['patch_dice']:.3f}"
