"""The recipe of a corrector, from phantoms or a user's few masks to a calibrated bundle.

MONAI's launcher (`python -m monai.bundle run training --config_file .../configs/train.json`), the command line and
`training_run.train_corrector` all run `CorrectorRecipe.train` with the numbers of one file, configs/train.json of the
shipped bundle.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...core.bundles import Bundle, open_bundle
from ...core.errors import InputError
from ...core.networks import build_network, network_channels
from ...core.progress import Progress
from ...core.training.configs import packaged_config
from ...core.training.loop import TrainingLog
from ...core.training.recipe import Validated, check_numbers, steps_of, training_run, write_trained
from ..scenes import Scene, mask_on
from ..simulation import loose_box
from .card import CorrectorFacts, bundle_metadata, model_card, validation_curve
from .cases import SceneSets, case_sets, phantom_sets
from .confidence import FAR_LONGER, Calibration, CalibrationCase, calibrated
from .inference import predict
from .inputs import CHANNELS
from .model import CORRECTOR_FAMILY
from .trainer import CorrectorTrainer, Sampling
from .working_grid import PATCHES

SHARE_OF_SCENES, SHARE_OF_TRAINING, SHARE_OF_BOXES = 0.1, 0.85, 0.93
"""Of the progress: making the scenes, where calibrating begins, and where its boxes have been looked at."""
CALIBRATION_MARGINS = (0.0, 0.1, 0.25, 0.5, 1.0)
_WHOLE = ("steps", "phantoms", "validation_phantoms", "calibration_boxes", "batch_size", "validations")


@dataclass(frozen=True)
class CorrectorRecipe:
    """Everything that decides what comes of a training; the fields are keys of configs/train.json.

    Attributes
    ----------
    seed
        Of the first weights, the order and the boxes; phantoms have seeds that follow from it.
    minutes, epochs, steps
        When to end, whichever comes first; None does not end it. Minutes as in `TrainingLoop`.
    phantoms, validation_phantoms
        How many, of different seeds.
    calibration_boxes
        On how many boxes, around phantoms of other seeds or held-back cases, threshold, margin and safety are measured.
    sampling
        How boxes are drawn. With a user's cases the view's `typical_mm` is measured on them.
    patch
        Side of a patch in pixels, one of `PATCHES`.
    network
        As `core.networks.build_network` takes it.
    start
        A bundle of the same network whose weights a training begins with; None: random ones.
    learning_rate, batch_size, validations, bfloat16
        As in `TrainingLoop`.

    Raises
    ------
    InputError
        A number is not positive, or the network does not fit.
    """

    seed: int
    minutes: float | None
    epochs: float | None
    steps: int | None
    phantoms: int
    validation_phantoms: int
    calibration_boxes: int
    sampling: Sampling
    patch: int
    network: Mapping[str, Any]
    start: str | None
    learning_rate: float
    batch_size: int
    validations: int
    bfloat16: bool

    def __post_init__(self) -> None:
        check_numbers(self, _WHOLE)
        if self.patch not in PATCHES:
            sizes = f"{', '.join(map(str, PATCHES[:-1]))} or {PATCHES[-1]}"
            raise InputError(f"A patch must have {sizes} pixels, not {self.patch}.")
        if network_channels(self.network) != (CHANNELS, 1):
            raise InputError(
                f"The network has {network_channels(self.network)} input and output channels where {(CHANNELS, 1)} are "
                "needed; change it."
            )

    def train(
        self,
        output: str | os.PathLike[str],
        *,
        cases: Sequence[Scene] | None = None,
        device: str = "auto",
        progress: Progress | None = None,
        validated: Validated | None = None,
    ) -> Bundle:
        """Make the scenes, train, calibrate, and write the bundle, whole or not at all.

        Where `torch.distributed` is initialised, all processes train and the first one calibrates and writes.

        Parameters
        ----------
        output
            The bundle's folder; see `core.training.writing.check_bundle_target`.
        cases
            From `scenes.case_scenes`; None trains on phantoms.
        device
            auto, cpu, cuda, cuda:N or mps.
        progress, validated
            As in `TrainingLoop`.

        Raises
        ------
        InputError
            The output, the device or the cases are not as they should be.
        """
        with training_run(output, CORRECTOR_FAMILY, device, progress) as run:
            torch.manual_seed(self.seed)
            network, start = self.first_network()
            scenes = self.scenes(cases, run.progress.part(0.0, SHARE_OF_SCENES))
            trainer = self.trainer(
                network,
                scenes,
                device=run.device,
                steps=steps_of(self, len(scenes.training), run.processes),
                progress=run.progress.part(SHARE_OF_SCENES, SHARE_OF_TRAINING),
                validated=validated,
            )
            log = trainer.run()
            if run.first:
                facts = CorrectorFacts(
                    name=run.output.name,
                    rows=log.rows,
                    scenes=len(scenes.training) + trainer.renewed,
                    validation_scenes=len(scenes.validation),
                    copies=0 if cases is None else len(scenes.training) - scenes.lasting + trainer.renewed,
                    calibration=self.calibrate(network, scenes, torch.device(run.device), run.progress),
                    device=run.device,
                    processes=run.processes,
                    seconds=run.seconds,
                    user_cases=None if cases is None else len(cases),
                    held_back=scenes.held_back,
                    start=start,
                )
                # What was measured of the cases belongs to the recipe that is written down.
                replace(self, sampling=scenes.sampling)._write(run.output, network, log, facts)
        return open_bundle(run.output, CORRECTOR_FAMILY)

    def config(self) -> dict[str, Any]:
        """The content of configs/train.json that runs this recipe."""
        config = packaged_config(CORRECTOR_FAMILY, "train.json")
        values = asdict(self)
        config["sampling"]["view"] |= values["sampling"].pop("view")
        config["sampling"] |= values.pop("sampling")
        return json.loads(json.dumps(config | values))

    def first_network(self) -> tuple[torch.nn.Module, str | None]:
        """The network, and the name of the bundle whose weights it has."""
        network = build_network(self.network)
        if self.start is None:
            return network, None
        bundle = open_bundle(self.start, CORRECTOR_FAMILY)
        if dict(bundle.metadata["network"]) != dict(self.network):
            raise InputError(f"The bundle {bundle.name} has another network, so a training cannot start from it.")
        network.load_state_dict(bundle.load_network(CHANNELS, 1).state_dict())
        return network, bundle.name

    def scenes(self, cases: Sequence[Scene] | None, progress: Progress) -> SceneSets:
        """What is trained on, validated with and calibrated on: phantoms, or cases and deformed copies of them."""
        if cases is None:
            counts = (self.phantoms, self.validation_phantoms, -(-self.calibration_boxes // 2))
            return phantom_sets(self.seed, counts, self.sampling, progress)
        return case_sets(self.seed, cases, self.sampling, progress)

    def trainer(self, network: torch.nn.Module, scenes: SceneSets, **options: Any) -> CorrectorTrainer:
        """What trains a network on scenes; options of `TrainingLoop` that the recipe does not decide."""
        return CorrectorTrainer(
            network,
            scenes.training,
            scenes.validation,
            scenes.sampling,
            self.patch,
            self.minutes,
            renew=scenes.renew,
            lasting=scenes.lasting,
            learning_rate=self.learning_rate,
            batch_size=self.batch_size,
            validations=self.validations,
            seed=self.seed,
            bfloat16=self.bfloat16,
            **options,
        )

    def calibrate(
        self, network: torch.nn.Module, scenes: SceneSets, device: torch.device, progress: Progress
    ) -> Calibration:
        """What a trained network's maps mean, by boxes around the objects in `scenes.calibration`."""
        rng = np.random.default_rng([self.seed, 7])
        found = []
        margins = [one for one in CALIBRATION_MARGINS if one <= scenes.sampling.largest_margin]
        for number in range(self.calibration_boxes):
            share = SHARE_OF_TRAINING + (SHARE_OF_BOXES - SHARE_OF_TRAINING) * number / self.calibration_boxes
            progress(share, f"calibrating: box {number + 1} of {self.calibration_boxes}")
            scene = scenes.calibration[number % len(scenes.calibration)]
            box = loose_box(scene.mask, margins[int(rng.integers(len(margins)))], rng)
            axis = int(rng.integers(3))
            step = min(float(scene.image.spacing[axis]), float(box.size[axis]))
            view = scenes.sampling.view
            frame = view.frame(box, axis, step)
            prediction = predict(network, scene.image, frame, view, self.patch, device)
            found.append(CalibrationCase(prediction, mask_on(frame, scene.mask)))
        longest = None if scenes.largest_mm is None else FAR_LONGER * scenes.largest_mm
        return calibrated(found, self.patch, progress.part(SHARE_OF_BOXES, 0.99), longest)

    def _write(self, output: Path, network: torch.nn.Module, log: TrainingLog, facts: CorrectorFacts) -> None:
        metadata = bundle_metadata(self, facts)
        write_trained(
            output,
            CORRECTOR_FAMILY,
            network,
            self,
            metadata=metadata,
            card=model_card(self, facts, metadata),
            log=log.as_csv(),
            curve=validation_curve(log.rows),
        )
