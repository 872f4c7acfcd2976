"""Training of the segmenter: slices of loose boxes, and of the object on each slice nothing but its box.

After Redekop and Chernyavskiy, "Medical Image Segmentation with Imperfect 3D Bounding Boxes" (2021), section 3.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ...core.errors import InputError
from ...core.training.loop import Given, LoopOptions, TrainingLoop
from ..hull import box_hull
from ..intensities import object_probabilities
from ..scenes import Scene
from ..simulation import TIGHT_SHARE, cut_by_field_of_view, loose_box
from ..slices import MULTIPLE, Frame, sampled
from . import losses
from .inputs import NEAR, POSITIONS, box_cells, plane_channels

Objective = Callable[[torch.Tensor, Given, float], torch.Tensor]
"""(logits, batch, temperature) -> loss."""


@dataclass(frozen=True)
class PlaneSampling:
    """How boxes are drawn around objects, and planes from boxes.

    Attributes
    ----------
    side, spacing_mm
        As in `Frame.cut`.
    largest_margin
        The mean margin per side, as a share of the object's size, is drawn between 0 and this.
    inverted_share, cut_share
        Of boxes whose image is inverted; and of those where the field of view ends within the object.
    planes
        Of every box that are trained on at a time.
    axis
        0, 1 or 2: the labelmaps' axis (I, J, K) along which boxes are cut; None: any.

    Raises
    ------
    InputError
        A number is out of its range.
    """

    side: int = 80
    spacing_mm: float | None = None
    largest_margin: float = 0.3
    inverted_share: float = 0.25
    cut_share: float = 0.0
    planes: int = 10
    axis: int | None = None

    def __post_init__(self) -> None:
        right = {
            "side": 16 <= self.side <= 512,
            "spacing_mm": self.spacing_mm is None or self.spacing_mm > 0,
            "largest_margin": 0 <= self.largest_margin <= 2,
            "inverted_share": 0 <= self.inverted_share <= 1,
            "cut_share": 0 <= self.cut_share <= 1,
            "planes": self.planes >= 1,
            "axis": self.axis in (None, 0, 1, 2),
        }
        for name, is_right in right.items():
            if not is_right:
                raise InputError(f"The sampling's {name} cannot be {getattr(self, name)!r}.")


@dataclass(frozen=True)
class Weights:
    """Weights of the losses of `boxes.segmenter.losses`.

    Attributes
    ----------
    tightness, emptiness, size, likeness, alike
        The larger, the more a loss counts; none may be negative.
    tolerance
        Of `losses.pairwise`, in units of the channel `near` of a slightly smoothed image.
    epochs
        Over which the barrier's temperature grows, spread over the whole training.

    Raises
    ------
    InputError
        A number is negative, or the tolerance is not positive.
    """

    tightness: float = 0.2
    emptiness: float = 1.0
    size: float = 0.1
    likeness: float = 0.4
    alike: float = 0.1
    tolerance: float = 0.3
    epochs: float = 10

    def __post_init__(self) -> None:
        for name in ("tightness", "emptiness", "size", "likeness", "alike", "epochs"):
            if not getattr(self, name) >= 0:
                raise InputError(f"The weight {name} must be 0 or more, not {getattr(self, name)}.")
        if not self.tolerance > 0:
            raise InputError(f"The tolerance of alike pixels must be positive, not {self.tolerance}.")


def boxes_of(mask: torch.Tensor) -> torch.Tensor:
    """(B, 2, 2) the box of each slice of (B, 1, H, W), as `losses` takes it."""
    there = mask[:, 0] >= 0.5
    bounds = []
    for axis in (1, 2):
        lines = there.any(dim=3 - axis)
        length = lines.shape[1]
        at = torch.arange(length, device=mask.device)
        first = torch.where(lines, at, length).amin(dim=1)
        stop = torch.where(lines, at + 1, 0).amax(dim=1)
        bounds.append(torch.stack([torch.minimum(first, stop), stop], dim=1))
    return torch.stack(bounds, dim=1)


def box_loss(weights: Weights) -> Objective:
    """Weighted losses of boxes; a mask in the batch is used for its boxes alone."""

    def loss(logits: torch.Tensor, given: Given, t: float) -> torch.Tensor:
        boxes, inside, probabilities = given["boxes"], given["inside"], torch.sigmoid(logits)
        total = weights.emptiness * losses.emptiness(probabilities, inside)
        total = total + weights.tightness * losses.tightness(probabilities, boxes, t)
        total = total + weights.size * losses.size(probabilities, boxes, t)
        total = total + weights.likeness * losses.intensity(logits, given["chances"], inside)
        if weights.alike:
            near = torch.nn.functional.avg_pool2d(given["channels"][:, NEAR : NEAR + 1], 3, 1, 1)
            total = total + weights.alike * losses.pairwise(logits, near, boxes, weights.tolerance)
        return total

    return loss


def mask_loss(logits: torch.Tensor, given: Given, t: float) -> torch.Tensor:
    """Full supervision, which boxes are compared with: cross-entropy and Dice on masks."""
    from monai.losses import DiceCELoss

    return DiceCELoss(sigmoid=True)(logits, given["mask"])


def drawn_planes(scene: Scene, sampling: PlaneSampling, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Planes spread at random over a random loose box.

    Returns
    -------
    dict
        channels (N, SEEN, J, I); mask, inside and chances (N, 1, J, I): the labelmap, where its object can be by the
        boxes of the planes along all three axes, and its chance by the intensities there and elsewhere.
    """
    if rng.random() < sampling.cut_share:
        scene = Scene(*cut_by_field_of_view(scene.image, scene.mask, rng), scene.name)
    margin = 0.0 if rng.random() < TIGHT_SHARE else rng.uniform(0, sampling.largest_margin)
    box = loose_box(scene.mask, margin, rng)
    axis = int(rng.integers(3)) if sampling.axis is None else sampling.axis
    frame = Frame.cut(box, axis, float(box.size[axis]), sampling.spacing_mm, sampling.side)
    image = scene.image
    if rng.random() < sampling.inverted_share:
        image = image.with_array(-image.array)
    cells = box_cells(image, frame)
    mask = sampled(scene.mask.with_array(scene.mask.array.astype(np.float32)), frame.cells(0, frame.planes))
    mask = mask * (cells[POSITIONS].max(axis=0) <= 1)  # an edge that is repeated beyond the image is no object
    for one in (1, 2, 3):
        if rng.random() < 0.5:
            cells, mask = np.flip(cells, one), np.flip(mask, one - 1)
    inside = box_hull(mask >= 0.5)
    chances = object_probabilities(cells[NEAR], inside)
    within = np.flatnonzero(cells[POSITIONS][2, :, 0, 0] <= 1)
    edges = np.linspace(within[0], within[-1] + 1, min(sampling.planes, len(within)) + 1)
    numbers = np.unique(rng.uniform(edges[:-1], edges[1:]).astype(int))
    return {
        "channels": plane_channels(cells, numbers),
        "mask": mask[numbers][:, None],
        "inside": inside[numbers][:, None],
        "chances": chances[numbers][:, None],
    }


def collated_planes(drawn: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Planes of several boxes as one batch; at the ends the edge is repeated, without object."""
    sides = np.max([one["mask"].shape[2:] for one in drawn], axis=0)
    sides = -(-sides // MULTIPLE) * MULTIPLE

    def padded(name: str, array: np.ndarray) -> np.ndarray:
        ends = [(0, int(wanted - there)) for wanted, there in zip(sides, array.shape[2:], strict=True)]
        return np.pad(array, [(0, 0), (0, 0), *ends], mode="constant" if name in ("mask", "inside") else "edge")

    return {
        name: np.concatenate([padded(name, one[name]) for one in drawn]).astype(np.float32, copy=False)
        for name in drawn[0]
    }


class SegmenterTrainer(TrainingLoop):
    """Trains a network on random loose boxes around what the labelmaps of scenes show.

    Parameters
    ----------
    network
        (B, SEEN, H, W) -> (B, 1, H, W).
    scenes, validation
        To train on, and to validate with (the same boxes at every validation). With the objective of boxes, only the
        box of a labelmap on each slice counts, so that a labelmap of boxes serves as well as one of an object.
    sampling
        How boxes are drawn.
    objective
        `box_loss(...)` or `mask_loss`.
    weights
        For the temperature.
    masks
        Whether the labelmaps of the validation scenes are objects; their Dice is then logged too.
    options
        As `TrainingLoop` takes them; batch_size counts boxes.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        scenes: Sequence[Scene],
        validation: Sequence[Scene],
        sampling: PlaneSampling,
        objective: Objective,
        options: LoopOptions,
        *,
        weights: Weights | None = None,
        masks: bool = True,
    ) -> None:
        super().__init__(network, options)
        self.scenes = scenes
        self.sampling = sampling
        self.objective = objective
        self.weights = weights or Weights()
        self.masks = masks
        rng = np.random.default_rng([self.options.seed, 1])
        self._validation = [self._drawn([scene], rng, "cpu") for scene in validation]

    def _batch(self, rng: np.random.Generator) -> Given:
        chosen = rng.integers(len(self.scenes), size=self.options.batch_size)
        return self._drawn([self.scenes[int(one)] for one in chosen], rng, self.device)

    def _drawn(self, scenes: Sequence[Scene], rng: np.random.Generator, device: torch.device | str) -> Given:
        drawn = collated_planes([drawn_planes(scene, self.sampling, rng) for scene in scenes])
        given = {name: torch.from_numpy(array).to(device) for name, array in drawn.items()}
        given["channels"] = given["channels"].contiguous(memory_format=self.memory_format)
        given["boxes"] = boxes_of(given["mask"])
        return given

    def _loss(self, network: torch.nn.Module, given: Given) -> torch.Tensor:
        t = losses.temperature(self.weights.epochs * self.share_done)
        return self.objective(self._logits(network, given), given, t)

    def _logits(self, network: torch.nn.Module, given: Given) -> torch.Tensor:
        with self.computing():
            return network(given["channels"]).float()

    def _measure(self) -> dict[str, float]:
        loss, both, either, right, total = (0.0,) * 5
        t = losses.temperature(self.weights.epochs)
        for batch in self._validation:
            given = {name: value.to(self.device) for name, value in batch.items()}
            logits = self._logits(self.network, given)
            loss += float(self.objective(logits, given, t))
            shape = logits.shape[-2:]
            boxes = boxes_of((logits > 0).float()), given["boxes"]
            found, wanted = (losses.box_masks(one, shape) > 0 for one in boxes)
            both += float((found & wanted).sum())
            either += float((found | wanted).sum())
            truth = given["mask"] >= 0.5
            right += 2 * float((truth & (logits > 0)).sum())
            total += float(truth.sum() + (logits > 0).sum())
        row = {"validation_loss": loss / max(len(self._validation), 1), "box_iou": both / max(either, 1.0)}
        return row | ({"dice": right / max(total, 1.0)} if self.masks else {})

    def _message(self, row: dict[str, float]) -> str:
        dice = f", Dice {row['dice']:.3f}" if self.masks else ""
        return f"{super()._message(row)}, IoU of slices' boxes {row['box_iou']:.3f}{dice}"
