"""Training of the corrector: slices of loose boxes around known objects, and the share of object in every patch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..core.training_loop import Given, TrainingLoop
from ..core.volume import Volume
from .channels import NEIGHBOURS, Appearance, channels_from, neighbour_step
from .frame import Frame
from .patches import patch_shares
from .scenes import Scene
from .simulation import loose_box

_TIGHT_SHARE = 0.1
_BEYOND_WEIGHT = 0.1


@dataclass(frozen=True)
class Sampling:
    """How boxes are drawn around objects.

    Attributes
    ----------
    spacing_mm
        Of a pixel; None lets it follow the box.
    side
        Pixels of the box's side in the latter case.
    largest_margin
        Mean margin per side, as a share of the object's size, is drawn between 0 and this.
    slices
        Of every box that are trained on.
    inverted_share
        Of boxes whose image is inverted.
    """

    spacing_mm: float | None = None
    side: int = 96
    largest_margin: float = 0.6
    slices: int = 8
    inverted_share: float = 0.25


@dataclass(frozen=True)
class Sample:
    """Slices of one box: channels (N, C, H, W), mask (N, 1, H, W), weight (N, 1, H, W)."""

    channels: np.ndarray
    mask: np.ndarray
    weight: np.ndarray


def drawn_frame(scene: Scene, sampling: Sampling, rng: np.random.Generator) -> Frame | None:
    """Slices of a random loose box, along a random axis."""
    margin = 0.0 if rng.random() < _TIGHT_SHARE else rng.uniform(0, sampling.largest_margin)
    box = loose_box(scene.mask, margin, rng)
    axis = int(rng.integers(3))
    step = float(scene.image.spacing.min() * np.exp(rng.uniform(0, np.log(2.5))))
    step = max(step, float(scene.image.spacing[axis]))
    return Frame.cut(box, axis, min(step, float(box.size[axis])), sampling.spacing_mm, sampling.side)


def draw_sample(scene: Scene, sampling: Sampling, rng: np.random.Generator) -> Sample:
    """Random slices of a random loose box, sometimes inverted, mirrored at random."""
    frame = drawn_frame(scene, sampling, rng)
    image = scene.image
    if rng.random() < sampling.inverted_share:
        image = image.with_array(-image.array)
    edges = np.linspace(0, frame.slices, min(sampling.slices, frame.slices) + 1)
    numbers = np.unique(np.clip(rng.uniform(edges[:-1], edges[1:]).astype(int), 0, frame.slices - 1))
    reach = neighbour_step(frame) * max(NEIGHBOURS)
    values = frame.sample(image, -reach, frame.slices + reach)
    channels = channels_from(values, frame, Appearance.of(image, frame), numbers, -reach, image)
    mask = mask_on(frame, scene.mask)[numbers][:, None]
    weight = np.where(np.abs(channels[:, -4:-2]).max(axis=1, keepdims=True) <= 1.1, 1.0, _BEYOND_WEIGHT)
    return _mirrored(Sample(channels, mask, weight.astype(np.float32)), rng)


def mask_on(frame: Frame, mask: Volume) -> np.ndarray:
    """(slices, rows, columns) float32: the share of object at every pixel of a box's slices, 0 outside the box."""
    values = frame.sample(mask.with_array(mask.array.astype(np.float32)), 0, frame.slices)
    u, v = (np.abs(at) <= frame.box.size[one] / 2 for at, one in zip(frame.pixels(), frame.plane, strict=True))
    return values * (v[:, None] & u)


def _mirrored(sample: Sample, rng: np.random.Generator) -> Sample:
    channels, mask, weight = sample.channels, sample.mask, sample.weight
    for axis in (2, 3):
        if rng.random() < 0.5:
            channels, mask, weight = (np.flip(array, axis) for array in (channels, mask, weight))
    if rng.random() < 0.5:  # the order of the slices
        order = [len(NEIGHBOURS) - 1 - n for n in range(len(NEIGHBOURS))]
        channels = channels[:, [*order, *range(len(NEIGHBOURS), channels.shape[1])]]
    return Sample(channels, mask, weight)


def collated(samples: Sequence[Sample], device: torch.device) -> Given:
    """Samples of different sizes as one batch; what is added at the lower right has no weight."""
    rows = max(sample.mask.shape[2] for sample in samples)
    columns = max(sample.mask.shape[3] for sample in samples)

    def padded(array: np.ndarray, mode: str) -> np.ndarray:
        return np.pad(array, ((0, 0), (0, 0), (0, rows - array.shape[2]), (0, columns - array.shape[3])), mode=mode)

    stacked = {
        "channels": np.concatenate([padded(sample.channels, "edge") for sample in samples]),
        "mask": np.concatenate([padded(sample.mask, "constant") for sample in samples]),
        "weight": np.concatenate([padded(sample.weight, "constant") for sample in samples]),
    }
    return {name: torch.from_numpy(np.ascontiguousarray(array)).to(device) for name, array in stacked.items()}


class CorrectorTrainer(TrainingLoop):
    """Trains a patch classifier on random loose boxes around the objects of scenes.

    The target of a patch is the share of it that is object; cross-entropy with that soft target has its optimum at the
    expected share, and a threshold of 0.5 on it is the paper's rule.

    Parameters
    ----------
    network
        (B, CHANNELS, H, W) -> (B, 1, 2 H / patch, 2 W / patch).
    scenes, validation
        To train on, and to validate with (the same boxes at every validation).
    sampling
        How boxes are drawn.
    patch
        Side of a patch, pixels.
    options
        Of `TrainingLoop`; batch_size counts boxes.
    """

    memory_format = torch.contiguous_format  # group normalisation is slow on the other one, on CPUs

    def __init__(
        self,
        network: torch.nn.Module,
        scenes: Sequence[Scene],
        validation: Sequence[Scene],
        sampling: Sampling,
        patch: int,
        minutes: float | None,
        **options,
    ) -> None:
        super().__init__(network, minutes, **options)
        self.scenes = scenes
        self.sampling = sampling
        self.patch = patch
        rng = np.random.default_rng([self.seed, 1])
        self._validation = [
            collated([draw_sample(scene, sampling, rng)], torch.device("cpu")) for scene in validation
        ]

    def _batch(self, rng: np.random.Generator) -> Given:
        chosen = rng.integers(len(self.scenes), size=self.batch_size)
        return collated([draw_sample(self.scenes[int(one)], self.sampling, rng) for one in chosen], self.device)

    def _loss(self, network: torch.nn.Module, given: Given) -> torch.Tensor:
        return self._weighted(self._logits(network, given), given)

    def _logits(self, network: torch.nn.Module, given: Given) -> torch.Tensor:
        with self.computing():
            return network(given["channels"]).float()

    def _weighted(self, logits: torch.Tensor, given: Given) -> torch.Tensor:
        weight = patch_shares(given["weight"], self.patch)
        losses = torch.nn.functional.binary_cross_entropy_with_logits(
            logits, patch_shares(given["mask"], self.patch), reduction="none"
        )
        return (losses * weight).sum() / weight.sum()

    def _measure(self) -> dict[str, float]:
        loss, right, wrong = 0.0, 0.0, 0.0
        for batch in self._validation:
            given = {name: value.to(self.device) for name, value in batch.items()}
            logits = self._logits(self.network, given)
            loss += float(self._weighted(logits, given))
            truth = patch_shares(given["mask"], self.patch) > 0.5
            right += float((truth & (logits > 0)).sum())
            wrong += float((truth ^ (logits > 0)).sum())
        dice = 2 * right / max(2 * right + wrong, 1.0)
        return {"validation_loss": loss / max(len(self._validation), 1), "patch_dice": dice}

    def _message(self, row: dict[str, float]) -> str:
        return f"{super()._message(row)}, patch Dice {row['patch_dice']:.3f}"
