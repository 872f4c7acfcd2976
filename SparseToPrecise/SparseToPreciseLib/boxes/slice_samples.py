"""Random slices of loose boxes around known objects, for 2.5D networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..core.training_loop import Given
from .channels import Appearance
from .frame import Frame
from .scenes import Scene, mask_on
from .simulation import loose_box
from .slice_channels import NEIGHBOURS, channels_from, neighbour_step

_TIGHT_SHARE = 0.1
_BEYOND_WEIGHT = 0.1


@dataclass(frozen=True)
class SliceSampling:
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
class SliceSample:
    """Slices of one box: channels (N, C, H, W), mask (N, 1, H, W), weight (N, 1, H, W)."""

    channels: np.ndarray
    mask: np.ndarray
    weight: np.ndarray


def _drawn_frame(scene: Scene, sampling: SliceSampling, rng: np.random.Generator) -> Frame | None:
    """Slices of a random loose box, along a random axis."""
    margin = 0.0 if rng.random() < _TIGHT_SHARE else rng.uniform(0, sampling.largest_margin)
    box = loose_box(scene.mask, margin, rng)
    axis = int(rng.integers(3))
    step = float(scene.image.spacing.min() * np.exp(rng.uniform(0, np.log(2.5))))
    step = max(step, float(scene.image.spacing[axis]))
    return Frame.cut(box, axis, min(step, float(box.size[axis])), sampling.spacing_mm, sampling.side)


def draw_slices(scene: Scene, sampling: SliceSampling, rng: np.random.Generator) -> SliceSample:
    """Random slices of a random loose box, sometimes inverted, mirrored at random."""
    frame = _drawn_frame(scene, sampling, rng)
    image = scene.image
    if rng.random() < sampling.inverted_share:
        image = image.with_array(-image.array)
    edges = np.linspace(0, frame.slices, min(sampling.slices, frame.slices) + 1)
    numbers = np.unique(np.clip(rng.uniform(edges[:-1], edges[1:]).astype(int), 0, frame.slices - 1))
    reach = neighbour_step(frame) * max(NEIGHBOURS)
    values = frame.sample(image, -reach, frame.slices + reach)
    channels = channels_from(values, frame, Appearance.of(image, frame), numbers, -reach, image)
    # An edge that is repeated beyond the field of view is no object.
    mask = mask_on(frame, scene.mask)[numbers][:, None] * (channels[:, -1:] > 0)
    weight = np.where(np.abs(channels[:, -4:-2]).max(axis=1, keepdims=True) <= 1.1, 1.0, _BEYOND_WEIGHT)
    return _mirrored(SliceSample(channels, mask, weight.astype(np.float32)), rng)


def _mirrored(sample: SliceSample, rng: np.random.Generator) -> SliceSample:
    channels, mask, weight = sample.channels, sample.mask, sample.weight
    for axis in (2, 3):
        if rng.random() < 0.5:
            channels, mask, weight = (np.flip(array, axis) for array in (channels, mask, weight))
    if rng.random() < 0.5:  # the order of the slices
        order = [len(NEIGHBOURS) - 1 - n for n in range(len(NEIGHBOURS))]
        channels = channels[:, [*order, *range(len(NEIGHBOURS), channels.shape[1])]]
    return SliceSample(channels, mask, weight)


def collated_slices(samples: Sequence[SliceSample], device: torch.device) -> Given:
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
