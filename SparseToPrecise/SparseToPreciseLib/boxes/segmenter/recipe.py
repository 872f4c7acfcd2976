"""The recipe of a segmenter, from phantoms or a user's boxes to a bundle.

MONAI's launcher (`python -m monai.bundle run training --config_file .../configs/train.json`), the command line and
`training_run.train_segmenter` all run `SegmenterRecipe.train` with the numbers of one file, configs/train.json of the
shipped bundle.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ...core.bundles import Bundle, open_bundle
from ...core.errors import InputError
from ...core.networks import build_network, network_channels
from ...core.progress import Progress
from ...core.training.configs import packaged_config
from ...core.training.recipe import Validated, check_numbers, steps_of, training_run, write_trained
from ...core.volume import Volume
from ..correction import BoxCorrection
from ..scenes import Scene, case_scenes, phantom_scenes
from .card import SegmenterFacts, bundle_metadata, model_card, validation_curve
from .confidence import calibrated_level
from .inputs import SEEN
from .model import SEGMENTER_FAMILY
from .trainer import PlaneSampling, SegmenterTrainer, Weights, box_loss

FIRST_SEED = 100_000
"""Phantoms for training are numbered from here plus the recipe's seed times as much; those for validation below."""
SHARE_OF_PHANTOMS, SHARE_OF_TRAINING = 0.15, 0.95
"""Of the progress: making the phantoms, and where the level is chosen."""
CROPPED = {"context_share": 1.3, "longest_side": 128}
"""How a user's cases are cropped, see `case_scenes`: boxes are at most half as loose as a corrector's, and 40 cells lie
along them."""
HELD_BACK = 0.2
"""Of a user's cases, where there are none to validate with and at least five."""

_WHOLE = ("steps", "phantoms", "validation_phantoms", "batch_size", "validations")


@dataclass(frozen=True)
class SegmenterRecipe:
    """Everything that decides what comes of a training; the fields are keys of configs/train.json.

    Attributes
    ----------
    seed
        Of the phantoms, the first weights, the order and the boxes.
    minutes, epochs, steps
        When to end, whichever comes first; None does not end it. Minutes as in `TrainingLoop`.
    phantoms, validation_phantoms
        How many there are, where no cases are given.
    sampling, weights
        How boxes are drawn, and how much each loss counts.
    network
        As `core.networks.build_network` takes it.
    all_axes, own_intensities
        Whether the trained model looks along all three axes of a box, and whether what it finds is sharpened by the
        image's own intensities (`evidence`).
    learning_rate, batch_size, validations, bfloat16
        As in `TrainingLoop`; the batch counts boxes.

    Raises
    ------
    InputError
        A number is not positive, or the network does not fit the channels.
    """

    seed: int
    minutes: float | None
    epochs: float | None
    steps: int | None
    phantoms: int
    validation_phantoms: int
    sampling: PlaneSampling
    weights: Weights
    network: Mapping[str, Any]
    all_axes: bool
    own_intensities: bool
    learning_rate: float
    batch_size: int
    validations: int
    bfloat16: bool

    def __post_init__(self) -> None:
        check_numbers(self, _WHOLE)
        if network_channels(self.network) != (SEEN, 1):
            raise InputError(
                f"The network has {network_channels(self.network)} input and output channels, and {(SEEN, 1)} are "
                "needed; change it."
            )

    def train(
        self,
        output: str | os.PathLike[str],
        *,
        cases: Iterable[tuple[Volume, Volume]] | None = None,
        validation_cases: Iterable[tuple[Volume, Volume]] | None = None,
        correction: BoxCorrection | None = None,
        device: str = "auto",
        progress: Progress | None = None,
        validated: Validated | None = None,
    ) -> Bundle:
        """Make the phantoms or take the cases, train, and write the bundle, whole or not at all.

        Where `torch.distributed` is initialised, all processes train and the first one writes.

        Parameters
        ----------
        output
            The bundle's folder; see `core.training.writing.check_bundle_target`.
        cases, validation_cases
            (image, labelmap) pairs; the extent of a labelmap on every plane is all that counts.
        correction
            What corrected the labelmaps while they were read, for the model card; None: nothing did.
        device
            auto, cpu, cuda, cuda:N or mps.
        progress, validated
            As in `TrainingLoop`.

        Raises
        ------
        InputError
            The output, the device or the cases are not as they should be.
        """
        with training_run(output, SEGMENTER_FAMILY, device, progress) as run:
            training, validation = self._scenes(cases, validation_cases, run.progress.part(0.0, SHARE_OF_PHANTOMS))
            torch.manual_seed(self.seed)
            network = build_network(self.network)
            trainer = SegmenterTrainer(
                network,
                training,
                validation,
                self.sampling,
                box_loss(self.weights),
                self.minutes,
                weights=self.weights,
                masks=cases is None,
                learning_rate=self.learning_rate,
                batch_size=self.batch_size,
                validations=self.validations,
                bfloat16=self.bfloat16,
                seed=self.seed,
                device=run.device,
                steps=steps_of(self, len(training), run.processes),
                progress=run.progress.part(SHARE_OF_PHANTOMS, SHARE_OF_TRAINING),
                validated=validated,
            )
            log = trainer.run()
            if run.first:
                level = calibrated_level(
                    network,
                    validation,
                    self.sampling,
                    3 if self.all_axes else 1,
                    self.seed,
                    torch.device(run.device),
                    run.progress.part(SHARE_OF_TRAINING, 0.99),
                    own_intensities=self.own_intensities,
                )
                facts = SegmenterFacts(
                    name=run.output.name,
                    rows=log.rows,
                    boxes=len(training),
                    validation_boxes=len(validation),
                    level=level,
                    on_phantoms=cases is None,
                    correction=correction,
                    held_back=training is not validation,
                    device=run.device,
                    processes=run.processes,
                    seconds=run.seconds,
                )
                self._write(run.output, network, facts, log.as_csv())
        return open_bundle(run.output, SEGMENTER_FAMILY)

    def config(self) -> dict[str, Any]:
        """The content of configs/train.json that runs this recipe."""
        config = packaged_config(SEGMENTER_FAMILY, "train.json")
        values = asdict(self)
        for name in ("sampling", "weights"):
            config[name] |= values.pop(name)
        return json.loads(json.dumps(config | values))

    def _write(self, output: Path, network: torch.nn.Module, facts: SegmenterFacts, log: str) -> None:
        metadata = bundle_metadata(self, facts)
        write_trained(
            output,
            SEGMENTER_FAMILY,
            network,
            self,
            metadata=metadata,
            card=model_card(self, facts, metadata),
            log=log,
            curve=validation_curve(facts.rows),
        )

    def _scenes(
        self,
        cases: Iterable[tuple[Volume, Volume]] | None,
        validation_cases: Iterable[tuple[Volume, Volume]] | None,
        progress: Progress,
    ) -> tuple[list[Scene], list[Scene]]:
        if cases is None:
            if validation_cases is not None:
                raise InputError("Cases to validate with were given, and none to train on; give both.")
            first = FIRST_SEED * (1 + self.seed)
            training = phantom_scenes(range(first, first + self.phantoms), progress=progress.part(0, 0.9))
            held_back = range(first - self.validation_phantoms, first)
            return training, phantom_scenes(held_back, progress=progress.part(0.9, 1))
        training = case_scenes(cases, progress, **CROPPED)
        if validation_cases is not None:
            return training, case_scenes(validation_cases, progress, **CROPPED)
        # A few boxes are all needed to train on; then the same ones say how far the training is.
        kept = math.floor(HELD_BACK * len(training))
        return (training[kept:], training[:kept]) if kept else (training, training)
