"""The recipe of an editing model, from phantoms or a user's cases to a bundle.

MONAI's launcher (`python -m monai.bundle run training --config_file .../configs/train.json`), the command line and
`training_run.train_editing` all run `Recipe.train` with the numbers of one file, configs/train.json of the shipped
bundle.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ..core.bundles import Bundle, open_bundle
from ..core.errors import InputError
from ..core.networks import build_network, network_channels
from ..core.progress import Progress
from ..core.training.loop import TrainingLog
from ..core.training.recipe import Validated, check_numbers, steps_of, training_run, write_trained
from .card import Facts, bundle_metadata, model_card, validation_curve
from .dataset import CaseStore, Simulation, build_store
from .dataset_volumes import VolumeScenes
from .model import FAMILY
from .network import NetworkForm
from .trainer import OBJECTIVES, Trainer
from .training_configs import default_cache, packaged_config

SHARE_OF_SIMULATION = 0.3
"""Of the progress, when the cases are yet to be made."""

_WHOLE = ("steps", "phantoms", "validation_phantoms", "cubes", "validation_cubes", "batch_size", "validations")


@dataclass(frozen=True)
class Trained:
    """What a training made."""

    bundle: Bundle
    network: torch.nn.Module
    log: TrainingLog


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what comes of a training; the fields are keys of configs/train.json.

    Attributes
    ----------
    seed
        Of the first weights, the order and the augmentation; the simulation has its own (the same one by default).
    minutes, epochs, steps
        When to end, whichever comes first; None does not end it. Minutes as in `Trainer`.
    phantoms, validation_phantoms
        How many phantoms to simulate cases on; those for validation have the next seed.
    cubes, validation_cubes
        The same on a user's cases.
    simulation
        How cases are made.
    network
        As `core.networks.build_network` takes it.
    form
        What the network sees and whether it corrects the proposal.
    objective
        A key of `training.OBJECTIVES`.
    learning_rate, batch_size, validations, bfloat16
        As in `Trainer`.

    Raises
    ------
    InputError
        A number is not positive, the objective is unknown, or the network does not fit the form.
    """

    seed: int
    minutes: float | None
    epochs: float | None
    steps: int | None
    phantoms: int
    validation_phantoms: int
    cubes: int
    validation_cubes: int
    simulation: Simulation
    network: Mapping[str, Any]
    form: NetworkForm
    objective: str
    learning_rate: float
    batch_size: int
    validations: int
    bfloat16: bool

    def __post_init__(self) -> None:
        check_numbers(self, _WHOLE)
        if self.objective not in OBJECTIVES:
            raise InputError(f"There is no objective {self.objective!r}; choose from {', '.join(OBJECTIVES)}.")
        wanted = (len(self.form.inputs), 1)
        if network_channels(self.network) != wanted:
            raise InputError(
                f"The network has {network_channels(self.network)} input and output channels, and the form needs "
                f"{wanted}; change one of them."
            )

    def train(
        self,
        output: str | os.PathLike[str],
        *,
        cases: str | os.PathLike[str] | None = None,
        validation_cases: str | os.PathLike[str] | None = None,
        device: str = "auto",
        cache: str | os.PathLike[str] | None = None,
        workers: int | None = None,
        progress: Progress | None = None,
        validated: Validated | None = None,
    ) -> Trained:
        """Simulate the cases (or reuse them), train, and write the bundle, whole or not at all.

        Where `torch.distributed` is initialised, the first process makes the cases and the bundle, and all train.

        Parameters
        ----------
        output
            The bundle's folder; see `core.training.writing.check_bundle_target`.
        cases, validation_cases
            Folders made by `dataset_volumes.store_volumes`; None trains on phantoms. Without validation cases,
            cubes of other seeds from the same cases validate, and the model card says so.
        device
            auto, cpu, cuda, cuda:N or mps.
        cache
            Folder for the simulated cases, kept for the next run; None takes one in the user's cache folder.
        workers
            Processes that simulate; None takes as many as there are CPU cores, 0 none but this one.
        progress, validated
            As in `Trainer`.

        Raises
        ------
        InputError
            The output, the device or the cases are not as they should be.
        """
        cache = Path(cache) if cache is not None else default_cache()
        folders = _Folders(cache, *(None if given is None else Path(given) for given in (cases, validation_cases)))
        with training_run(output, FAMILY, device, progress) as run:
            if run.first:
                stores = self._stores(folders, workers, run.progress.part(0.0, SHARE_OF_SIMULATION))
            run.wait()
            if not run.first:
                stores = self._stores(folders, 0, Progress())
            training, validation = stores
            torch.manual_seed(self.seed)
            network = build_network(self.network)
            trainer = Trainer(
                network,
                self.form,
                self.objective,
                training,
                validation,
                self.minutes,
                learning_rate=self.learning_rate,
                batch_size=self.batch_size,
                validations=self.validations,
                bfloat16=self.bfloat16,
                seed=self.seed,
                device=run.device,
                steps=steps_of(self, len(training), run.processes),
                progress=run.progress.part(SHARE_OF_SIMULATION, 0.99),
                validated=validated,
            )
            log = trainer.run()
            if run.first:
                facts = Facts(
                    name=run.output.name,
                    rows=log.rows,
                    cases=len(training),
                    validation_cases=len(validation),
                    generation=training.generation,
                    device=run.device,
                    processes=run.processes,
                    seconds=run.seconds,
                    user_cases=None if folders.cases is None else len(VolumeScenes(folders.cases)),
                    held_back=folders.cases is not None and folders.validation_cases is None,
                )
                self._write(run.output, network, log, facts)
        return Trained(open_bundle(run.output, FAMILY), network, log)

    def config(self) -> dict[str, Any]:
        """The content of configs/train.json that runs this recipe."""
        config = packaged_config("train.json")
        values = asdict(self)
        simulation = values.pop("simulation")
        if simulation["seed"] == self.seed:
            del simulation["seed"]  # the file refers to the recipe's
        config["simulation"] |= simulation
        config["form"]["parameters"] = values.pop("form")
        # Tuples become lists, as they are after reading.
        return json.loads(json.dumps(config | values))

    def _stores(self, folders: _Folders, workers: int | None, progress: Progress) -> tuple[CaseStore, CaseStore]:
        workers = len(os.sched_getaffinity(0)) if workers is None and hasattr(os, "sched_getaffinity") else workers
        workers = os.cpu_count() or 1 if workers is None else workers
        on_phantoms = folders.cases is None
        held_back = replace(self.simulation, seed=self.simulation.seed + 1)
        counts = (self.phantoms, self.validation_phantoms) if on_phantoms else (self.cubes, self.validation_cubes)
        share = counts[0] / sum(counts)
        kind = "phantoms" if on_phantoms else "cubes"
        wanted = (
            ("training", self.simulation, progress.part(0, share), folders.cases),
            ("validation", held_back, progress.part(share, 1), folders.validation_cases or folders.cases),
        )
        training, validation = (
            build_store(folders.cache / f"{name}-{kind}", count, simulation, workers, part, cases)
            for count, (name, simulation, part, cases) in zip(counts, wanted, strict=True)
        )
        return training, validation

    def _write(self, output: Path, network: torch.nn.Module, log: TrainingLog, facts: Facts) -> None:
        metadata = bundle_metadata(self, facts)
        write_trained(
            output,
            FAMILY,
            network,
            self,
            metadata=metadata,
            card=model_card(self, facts, metadata),
            log=log.as_csv(),
            curve=validation_curve(log.rows, residual=self.form.residual),
        )


@dataclass(frozen=True)
class _Folders:
    cache: Path
    cases: Path | None
    validation_cases: Path | None
