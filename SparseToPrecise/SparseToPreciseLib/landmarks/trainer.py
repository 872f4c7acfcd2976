"""Teaching a template: a slice network from one annotated image (Wang et al., section 2.2 and algorithm 1)."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch

from ..core.bundles import Bundle
from ..core.devices import Device, choose_device
from ..core.errors import Cancelled, InputError
from ..core.networks import build_network
from ..core.progress import Progress
from ..core.training.loop import Given, TrainingLoop
from ..core.training.writing import check_bundle_target
from .card import Facts, describe
from .cases import Augmentation, SliceSampler
from .inference import Finder
from .localize import SCAN_STEP
from .model import NEEDED_BYTES, Scale, checked_together, place_in, save_template
from .network import DEFAULT_NETWORK, NETWORKS
from .reference import Reference

STEPS = 1500
MINUTES = 15.0
LEARNING_RATE = 3e-3
BATCH = 24
_VALIDATIONS = 20
_MINING = 0.2
"""Share of the training after which mistakes are looked for again."""
_PATIENCE = 8
_VALIDATION_SLICES = 96


class SliceTrainer(TrainingLoop):
    """Trains a network to segment the structure on random slices; ends early when validation no longer improves.

    Parameters
    ----------
    network
        (B, 1, size, size) -> logits of the same shape.
    sampler
        What is trained on.
    held_back
        (images, masks) to validate with.
    patience
        Validations without a better one before the end.
    options
        Of `TrainingLoop`; batch_size counts slices.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        sampler: SliceSampler,
        held_back: tuple[torch.Tensor, torch.Tensor],
        patience: int,
        minutes: float | None,
        **options,
    ) -> None:
        super().__init__(network, minutes, **options)
        self.sampler = sampler
        self.held_back = held_back
        self.patience = patience
        self.best_weights: dict[str, torch.Tensor] | None = None
        self._best, self._stale = math.inf, 0
        self._mined = _MINING

    def _batch(self, rng: np.random.Generator) -> Given:
        image, mask = self.sampler.draw(rng, self.batch_size)
        return {"image": image.to(self.device), "mask": mask.to(self.device)}

    def _loss(self, network: torch.nn.Module, given: Given) -> torch.Tensor:
        with self.computing():
            logits = network(given["image"]).float()
        return self._of(logits, given["mask"])

    @staticmethod
    def _of(logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Cross-entropy and Dice of the whole batch: a slice without the structure has no Dice of its own."""
        chances = torch.sigmoid(logits)
        overlap = (2 * (chances * mask).sum() + 1) / ((chances + mask).sum() + 1)
        return torch.nn.functional.binary_cross_entropy_with_logits(logits, mask) + 0.5 * (1 - overlap)

    def _measure(self) -> dict[str, float]:
        if self.share_done > 0 and self.share_done >= self._mined:
            finder = Finder(self.network, self.sampler.spacing_mm, self.sampler.size, Device(str(self.device)))
            self.sampler.mine(lambda values: finder.blocks(values, SCAN_STEP))
            self._mined += _MINING
        images, masks = self.held_back
        logits = []
        for start in range(0, len(images), 32):
            with self.computing():
                logits.append(self.network(images[start : start + 32].to(self.device)).float().cpu())
        found = torch.cat(logits)
        loss = float(self._of(found, masks))
        both = float((found > 0).sum() + masks.sum())
        dice = 2 * float(((found > 0) & (masks > 0)).sum()) / both if both else 1.0
        better = loss < self._best
        self._stale = 0 if better else self._stale + 1
        if better:
            self._best = loss
            self.best_weights = {name: value.clone() for name, value in self.network.state_dict().items()}
        return {"validation_loss": loss, "dice": dice}

    def _share_done(self, minutes: float, step: int) -> float:
        return 1.0 if self._stale >= self.patience else super()._share_done(minutes, step)

    def _message(self, row: dict[str, float]) -> str:
        return f"{super()._message(row)}, Dice {row['dice']:.3f}"


def train_template(
    output: str | os.PathLike[str],
    references: Sequence[Reference],
    validation: Reference | None = None,
    *,
    steps: int = STEPS,
    minutes: float = MINUTES,
    network: str = DEFAULT_NETWORK,
    augmentation: Augmentation | None = None,
    learning_rate: float = LEARNING_RATE,
    batch_size: int = BATCH,
    patience: int = _PATIENCE,
    seed: int = 0,
    device: str = "auto",
    keep_on_cancel: bool = False,
    progress: Progress | None = None,
    validated: Callable[[dict[str, float]], None] | None = None,
) -> Bundle:
    """Teach a template and write it as a bundle.

    Parameters
    ----------
    output
        The template's folder.
    references
        One annotated image, or several of the same structure with the same landmarks.
    validation
        Another image with its structure of interest; its landmarks do not count. None: slices of the references at
        poses that are not trained on are held back, so that over-fitting to the one image is not controlled.
    steps, minutes
        The training ends with whichever comes first (minutes of computing time), or after `patience` validations
        without a better one. While the steps decide, the same arguments give the same weights.
    network
        A key of `NETWORKS`.
    augmentation
        How slices differ from the reference.
    learning_rate
        Of Adam, falling to zero along a cosine. (The paper's 0.1 does not train.)
    batch_size
        Slices per step.
    patience
        See `steps`.
    seed
        Of everything random.
    device
        auto, cpu, cuda, cuda:N or mps.
    keep_on_cancel
        When the user cancels, write the best weights so far if there are any.
    progress, validated
        Told about every validation; each new row of the log.

    Returns
    -------
    Bundle
        As it was written; `load_template` reads it.

    Raises
    ------
    InputError
        References that do not belong together, an unknown network, an output that cannot be written, or a network that
        does not find the structure in its own reference. `Cancelled` when the user has cancelled. Nothing is written.
    """
    progress = progress or Progress()
    checked_together(references)
    if network not in NETWORKS:
        raise InputError(f"There is no network {network!r} for landmarks; choose one of {', '.join(NETWORKS)}.")
    if not minutes > 0 or steps < 1:
        raise InputError(f"Training needs time, not {minutes} minutes and {steps} steps; give more.")
    check_bundle_target(output, "landmarks")
    chosen = choose_device(device, NEEDED_BYTES)
    started = time.perf_counter()
    scale, augmentation = Scale.of(references), augmentation or Augmentation()
    progress(0.0, "cutting slices")
    sampler = SliceSampler(references, scale.spacing_mm, scale.window_mm, scale.size, augmentation)
    held_back = _held_back(sampler, validation, scale, seed)
    torch.manual_seed(seed)
    trainer = SliceTrainer(
        build_network(NETWORKS[network]),
        sampler,
        held_back,
        patience,
        minutes,
        steps=steps,
        learning_rate=learning_rate,
        batch_size=batch_size,
        validations=_VALIDATIONS,
        seed=seed,
        device=chosen.name,
        progress=progress.part(0.02, 0.95),
        validated=validated,
    )
    cancelled = False
    try:
        trainer.run()
    except Cancelled:
        if not keep_on_cancel or trainer.best_weights is None:
            raise
        trainer.network.load_state_dict(trainer.best_weights)
        cancelled = True
    finder = Finder(trainer.network.cpu(), scale.spacing_mm, scale.size)
    places = [place_in(finder, scale, reference) for reference in references]
    notes = [note for reference in references for note in reference.warnings]
    if any(place.ended == "given" for place in places):
        notes.append(
            "The network did not learn to find the structure in its own reference, so that it can be found in images "
            "that are not much larger than it only; train longer, or choose a more distinct structure."
        )
    facts = Facts(
        references=references,
        scale=scale,
        moments=[place.moments for place in places],
        rows=trainer.log.rows,
        log=trainer.log.as_csv(),
        network=NETWORKS[network],
        augmentation=augmentation,
        learning_rate=learning_rate,
        batch_size=batch_size,
        seed=seed,
        limits={"steps": steps, "minutes": minutes, "patience": patience},
        device=chosen.name,
        seconds=time.perf_counter() - started,
        held_back="another image" if validation is not None else "other slices of the same image",
        cancelled=cancelled,
        notes=notes,
    )
    described = describe(str(os.path.basename(os.path.abspath(output))), facts)
    return save_template(output, references, trainer.network.state_dict(), **described)


def _held_back(
    sampler: SliceSampler, validation: Reference | None, scale: Scale, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Fixed slices to validate with: of the validation image as it is, or of the references as in training."""
    rng = np.random.default_rng([seed, 1])
    if validation is not None:
        still = replace(sampler.augmentation, bend=0.0, scale=0.0, inverted=0.0, intensities=False)
        sampler = SliceSampler([validation], scale.spacing_mm, scale.window_mm, scale.size, still)
    return sampler.draw(rng, _VALIDATION_SLICES)
