"""The recipe of a synthesis model, from phantoms or a user's pairs to a bundle.

MONAI's launcher (`python -m monai.bundle run training --config_file .../configs/train.json`), the command line and
`training_run.train_synthesis` all run `SynthesisRecipe.train` with the numbers of one file, configs/train.json of the
shipped bundle.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import asdict, dataclass
from typing import Any

import torch

from ..core.bundles import Bundle, open_bundle
from ..core.errors import InputError
from ..core.networks import build_network, network_channels
from ..core.progress import Progress
from ..core.training.configs import packaged_config
from ..core.training.recipe import Validated, check_numbers, steps_of, training_run, write_trained
from ..core.volume import Volume
from .adversarial import Adversarial
from .card import SynthesisFacts, bundle_metadata, curve, model_card
from .cases import Sampling, TrainingCase, phantom_pairs, prepared_cases
from .confidence import seen_in
from .hu import HuWindow
from .model import BANDS, FAMILY
from .trainer import OBJECTIVES, SynthesisTrainer

SHARE_OF_PAIRS, SHARE_OF_TRAINING = 0.2, 0.97
"""Of the progress: preparing the pairs, and where what was seen is measured."""
HELD_BACK = 0.2
"""Of a user's pairs, where there are none to validate with and at least five."""
MEASURED = 60
"""Of how many MRs spacing, extent and histogram are measured."""

_WHOLE = ("steps", "phantoms", "validation_phantoms", "tile", "batch_size", "validations")
Pairs = Iterable[tuple[Volume, Volume]]


@dataclass(frozen=True)
class SynthesisRecipe:
    """Everything that decides what comes of a training; the fields are keys of configs/train.json.

    Attributes
    ----------
    seed
        Of the phantoms, the first weights, the order and the patches.
    minutes, epochs, steps
        When to end, whichever comes first; None does not end it. Minutes as in `TrainingLoop`.
    phantoms, validation_phantoms
        How many there are, where no pairs are given.
    spacing_mm
        Of the lattice on which the model works.
    hu_window
        [HU that becomes 0, HU that becomes 1].
    sigma_mm
        Between the bands.
    tile
        Voxels along a side of the tiles in which the trained model works.
    sampling
        How patches are drawn.
    network
        As `core.networks.build_network` takes it: 1 channel in, 3 (bands and probability) or 1 (the CT) out.
    objective
        A key of `training.OBJECTIVES`.
    adversarial
        The discriminator's part.
    learning_rate, batch_size, validations, bfloat16
        As in `TrainingLoop`; the batch counts patches.

    Raises
    ------
    InputError
        A number is out of range, or network and objective do not fit each other.
    """

    seed: int
    minutes: float | None
    epochs: float | None
    steps: int | None
    phantoms: int
    validation_phantoms: int
    spacing_mm: float
    hu_window: Sequence[float]
    sigma_mm: float
    tile: int
    sampling: Sampling
    network: Mapping[str, Any]
    objective: str
    adversarial: Adversarial
    learning_rate: float
    batch_size: int
    validations: int
    bfloat16: bool

    def __post_init__(self) -> None:
        check_numbers(self, _WHOLE, positive=("spacing_mm", "sigma_mm"))
        HuWindow.from_parameters(self.hu_window)
        if not 0.5 <= self.spacing_mm <= 6:
            raise InputError(f"The model must work on voxels of 0.5 to 6 mm, not {self.spacing_mm:g} mm.")
        if self.tile % 16 or self.tile < 32:
            raise InputError(f"A tile must have 32, 48, 64 or another multiple of 16 voxels, not {self.tile}.")
        if self.objective not in OBJECTIVES:
            raise InputError(f"There is no objective {self.objective!r}; choose from {', '.join(OBJECTIVES)}.")
        wanted = ((1, 3),) if self.objective == "frequency" else ((1, 3), (1, 1))
        if network_channels(self.network) not in wanted:
            raise InputError(
                f"The network has {network_channels(self.network)} input and output channels, and the objective "
                f"{self.objective} needs {' or '.join(map(str, wanted))}; change one of them."
            )

    @property
    def window(self) -> HuWindow:
        return HuWindow.from_parameters(self.hu_window)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the network's channels."""
        return BANDS if network_channels(self.network)[1] == len(BANDS) else ("ct",)

    def train(
        self,
        output: str | os.PathLike[str],
        *,
        pairs: Pairs | None = None,
        validation_pairs: Pairs | None = None,
        device: str = "auto",
        progress: Progress | None = None,
        validated: Validated | None = None,
    ) -> Bundle:
        """Make the phantoms or take the pairs, train, and write the bundle, whole or not at all.

        Where `torch.distributed` is initialised, all processes train and the first one writes.

        Parameters
        ----------
        output
            The bundle's folder; see `core.training.writing.check_bundle_target`.
        pairs, validation_pairs
            (MR, CT) pairs, registered; None trains on phantoms.
        device
            auto, cpu, cuda, cuda:N or mps.
        progress, validated
            As in `TrainingLoop`.

        Raises
        ------
        InputError
            The output, the device or the pairs are not as they should be.
        """
        with training_run(output, FAMILY, device, progress) as run:
            mrs: list[Volume] = []
            training, validation = self.cases(pairs, validation_pairs, run.progress.part(0.0, SHARE_OF_PAIRS), mrs)
            torch.manual_seed(self.seed)
            network = build_network(self.network)
            trainer = self.trainer(
                network,
                training,
                validation,
                steps=steps_of(self, len(training), run.processes),
                device=run.device,
                progress=run.progress.part(SHARE_OF_PAIRS, SHARE_OF_TRAINING),
                validated=validated,
            )
            log = trainer.run()
            if run.first:
                run.progress(SHARE_OF_TRAINING, "measuring what was seen")
                facts = SynthesisFacts(
                    name=run.output.name,
                    rows=log.rows,
                    pairs=len(training),
                    validation_pairs=len(validation),
                    on_phantoms=pairs is None,
                    held_back=training is not validation,
                    seen=seen_in(mrs, self.spacing_mm),
                    device=run.device,
                    processes=run.processes,
                    seconds=run.seconds,
                )
                metadata = bundle_metadata(self, facts)
                card = model_card(self, facts, metadata)
                write_trained(
                    run.output,
                    FAMILY,
                    network,
                    self,
                    metadata=metadata,
                    card=card,
                    log=log.as_csv(),
                    curve=curve(facts),
                )
        return open_bundle(run.output, FAMILY)

    def trainer(
        self,
        network: torch.nn.Module,
        training: Sequence[TrainingCase],
        validation: Sequence[TrainingCase],
        **more: Any,
    ) -> SynthesisTrainer:
        """What trains a network by this recipe; `more` as `SynthesisTrainer` takes it."""
        return SynthesisTrainer(
            network,
            training,
            validation,
            self.sampling,
            self.objective,
            self.adversarial,
            self.window,
            self.minutes,
            learning_rate=self.learning_rate,
            batch_size=self.batch_size,
            validations=self.validations,
            bfloat16=self.bfloat16,
            seed=self.seed,
            **{"steps": self.steps, **more},
        )

    def config(self) -> dict[str, Any]:
        """The content of configs/train.json that runs this recipe."""
        config = packaged_config(FAMILY, "train.json")
        values = asdict(self)
        for name in ("sampling", "adversarial"):
            config[name] |= values.pop(name)
        return json.loads(json.dumps(config | values))

    def cases(
        self, pairs: Pairs | None, validation_pairs: Pairs | None, progress: Progress, mrs: list[Volume]
    ) -> tuple[list[TrainingCase], list[TrainingCase]]:
        """What is trained on and validated with; the first MRs that are trained on are put into `mrs`."""
        if pairs is None and validation_pairs is not None:
            raise InputError("Pairs to validate with were given, and none to train on; give both.")
        how = (self.spacing_mm, self.window, self.sigma_mm)
        if pairs is None:
            numbers = [
                range(self.seed * 10_000, self.seed * 10_000 + count)
                for count in (self.phantoms, self.validation_phantoms)
            ]
            share = self.phantoms / (self.phantoms + self.validation_phantoms)
            made = _kept(phantom_pairs("train", numbers[0], self.spacing_mm), mrs)
            training = prepared_cases(made, *how, self.phantoms, progress.part(0, share))
            others = phantom_pairs("validation", numbers[1], self.spacing_mm)
            return training, prepared_cases(others, *how, self.validation_phantoms, progress.part(share, 1))
        training = prepared_cases(_kept(pairs, mrs), *how, _length(pairs), progress)
        if validation_pairs is not None:
            return training, prepared_cases(validation_pairs, *how)
        # A few pairs are all needed to train on; then the same ones say how far the training is.
        back = math.floor(HELD_BACK * len(training))
        return (training[back:], training[:back]) if back else (training, training)


def _kept(pairs: Pairs, mrs: list[Volume]) -> Pairs:
    for mr, ct in pairs:
        if len(mrs) < MEASURED:
            mrs.append(mr)
        yield mr, ct


def _length(pairs: Pairs) -> int | None:
    return len(pairs) if isinstance(pairs, Sized) else None
