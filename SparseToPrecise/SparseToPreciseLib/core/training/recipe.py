"""Training, as all families do it: from a committed recipe and what the caller wants different, to a bundle.

MONAI's launcher (`python -m monai.bundle run training --config_file .../configs/train.json`), the command line and
`train` all run `TrainingRecipe.train` with the numbers of one file, configs/train.json of the family's shipped bundle.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import torch

from ...families import FAMILIES
from ..bundles import Bundle, open_bundle, resource
from ..errors import InputError
from ..files import ensure_writable
from ..networks import build_network, network_channels
from ..progress import Progress
from .card import Description, TrainingSummary, bundle_metadata, filled_card, validation_curve
from .checkpoint import Checkpoint
from .loop import LoopOptions, TrainingLog, TrainingLoop, Validated
from .run import Run, training_run
from .writing import write_bundle

T = TypeVar("T")


def train(
    family: str,
    output: str | os.PathLike[str],
    *,
    minutes: float | None = None,
    epochs: float | None = None,
    steps: int | None = None,
    device: str = "auto",
    overrides: Mapping[str, Any] | None = None,
    **given: Any,
) -> Bundle:
    """Train a model by its family's committed recipe (configs/train.json), with what is given instead of its own.

    Parameters
    ----------
    family
        A key of `families.FAMILIES`.
    output
        The bundle's folder.
    minutes, epochs, steps
        When to end; when one of them is given, the recipe's own do not count.
    device
        auto, cpu, cuda, cuda:N or mps.
    overrides
        Values of configs/train.json by MONAI's ids, such as {"sampling::patch": 48}.
    given
        Fields of the recipe, where None leaves its own (`seed`, `start`, `phantoms`, ...); the family's cases, as its
        recipe's `cases` takes them; and what `TrainingRecipe.train` takes.

    Returns
    -------
    Bundle
        As it was written.

    Raises
    ------
    InputError
        Something of it is not as it should be; `Cancelled` when the user has cancelled. Neither leaves a bundle.
    """
    recipe_class = FAMILIES[family].recipe_class()
    own = {one.name for one in fields(recipe_class)}
    changes = {name: given.pop(name) for name in own & given.keys()}
    changes = recipe_class.for_cases(given) | {name: value for name, value in changes.items() if value is not None}
    ends = {"minutes": minutes, "epochs": epochs, "steps": steps}
    if any(value is not None for value in ends.values()):
        changes |= recipe_class.ends(ends)
    recipe = recipe_from(packaged_config(family, "train.json"), {**changes, **(overrides or {})})
    return recipe.train(output, device=device, **given).bundle


class Cases(Protocol):
    """Cases that a network is trained on and validated with."""

    training: Sequence[Any]
    validation: Sequence[Any]


@dataclass(frozen=True)
class CasePair:
    """The plainest `Cases`."""

    training: Sequence[Any]
    validation: Sequence[Any]


@dataclass(frozen=True)
class Trained:
    """Result of a training."""

    bundle: Bundle
    network: torch.nn.Module
    log: TrainingLog


@dataclass(frozen=True, kw_only=True)
class TrainingRecipe:
    """Everything that decides what comes of a training; the fields are keys of configs/train.json.

    A family's recipe adds its own fields and says what its cases are (`cases`), what trains on them (`trainer`) and
    what there is to say of the result (`describe`). Numbers must be positive, whole ones where the field is an int.

    Attributes
    ----------
    seed
        Of the first weights, the order, the augmentation, and phantoms.
    minutes, epochs, steps
        When to end, whichever comes first; None does not end it. Minutes as in `LoopOptions`.
    learning_rate, batch_size, validations, bfloat16
        As in `LoopOptions`.
    network
        As `core.networks.build_network` takes it.
    start
        A bundle of the same network whose weights the training begins with; None: random ones.

    Raises
    ------
    InputError
        A number is out of range, nothing ends the training, or the network does not fit.
    """

    seed: int
    minutes: float | None
    epochs: float | None
    steps: int | None
    learning_rate: float
    batch_size: int
    validations: int
    bfloat16: bool
    network: Mapping[str, Any]
    start: str | None = None

    family: ClassVar[str]
    packages: ClassVar[tuple[str, ...]] = ("scipy",)
    """That a model needs besides torch, monai and numpy."""
    shares: ClassVar[tuple[float, float]] = (0.1, 0.95)
    """Shares of the progress at which the cases are there, and the training has ended."""
    needed_bytes: ClassVar[int] = 0
    """Memory that a GPU must have free."""

    def __post_init__(self) -> None:
        for one in fields(self):
            kind = {"int": int, "float": (int, float)}.get(str(one.type).removesuffix(" | None"))
            value = getattr(self, one.name)
            if kind is None or value is None or one.name == "seed":
                continue
            if not (isinstance(value, kind) and 0 < value < math.inf):
                what = "whole number" if kind is int else "number"
                raise InputError(f"{one.name.replace('_', ' ').capitalize()} must be a positive {what}, not {value}.")
        if self.minutes is self.epochs is self.steps is None:
            raise InputError("Nothing says when the training ends; give minutes, epochs or steps.")

    def check_channels(self, *wanted: tuple[int, int]) -> None:
        """Raise the `InputError` of a network that has other numbers of input and output channels."""
        there = network_channels(self.network)
        if there not in wanted:
            needed = " or ".join(map(str, wanted))
            raise InputError(
                f"The network has {there} input and output channels, and {needed} are needed; change the network."
            )

    @classmethod
    def for_cases(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Differences from the committed recipe with a user's cases, by MONAI's ids."""
        return {}

    @classmethod
    def ends(cls, given: dict[str, float | None]) -> dict[str, float | None]:
        """The minutes, epochs and steps of a training for which one of them is given."""
        return given

    def cases(self, run: Run, progress: Progress, **given: Any) -> Cases:
        """Cases for training and validation, from the family's own options of `train`."""
        raise NotImplementedError

    def trainer(self, network: torch.nn.Module, cases: Cases, options: LoopOptions) -> TrainingLoop:
        """Trainer of the network."""
        raise NotImplementedError

    def describe(self, trainer: TrainingLoop, cases: Cases, run: Run, progress: Progress) -> Description:
        """Facts of a trained network; measures those that are still missing."""
        raise NotImplementedError

    def measured(self, cases: Cases) -> TrainingRecipe:
        """The recipe with what was measured of the cases, as it is written down."""
        return self

    def train(
        self,
        output: str | os.PathLike[str],
        *,
        device: str = "auto",
        progress: Progress | None = None,
        validated: Validated | None = None,
        keep_on_cancel: bool = False,
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = False,
        **given: Any,
    ) -> Trained:
        """Make or take the cases, train, and write the bundle, whole or not at all.

        Where `torch.distributed` is initialised, all processes train, and the first one does what is needed once.

        Parameters
        ----------
        output
            The bundle's folder; see `writing.check_bundle_target`.
        device
            auto, cpu, cuda, cuda:N or mps.
        progress, validated, keep_on_cancel
            As in `LoopOptions`.
        checkpoint
            File in which the training's state is kept while it lasts; None: nowhere.
        resume
            Go on from it.
        given
            The family's own, see its `cases`.

        Raises
        ------
        InputError
            The output, the device, the checkpoint or the cases are not as they should be.
        """
        if given.get("cases") is None and given.get("validation_cases") is not None:
            raise InputError("Cases to validate with were given, and none to train on; give both.")
        if resume and (checkpoint is None or not Path(checkpoint).is_file()):
            raise InputError(f"There is no checkpoint {checkpoint or ''} to resume from; leave --resume out to begin.")
        with training_run(output, self.family, device, progress, self.needed_bytes) as run:
            if checkpoint is not None:
                ensure_writable(checkpoint)
            torch.manual_seed(self.seed)
            network = self.first_network()
            cases = self.cases(run, run.progress.part(0.0, self.shares[0]), **given)
            options = self.loop_options(
                steps=self._steps(len(cases.training), run.processes),
                device=run.device,
                keep_on_cancel=keep_on_cancel,
                checkpoint=None if checkpoint is None else self._checkpoint(Path(checkpoint), cases, resume),
                progress=run.progress.part(*self.shares),
                validated=validated,
            )
            trainer = self.trainer(network, cases, options)
            log = trainer.run()
            if run.first:
                told = run.progress.to_the_end() if trainer.cancelled else run.progress
                described = self.describe(trainer, cases, run, told.part(self.shares[1], 0.99))
                self.measured(cases)._write(run, trainer, described)
                if options.checkpoint is not None:
                    options.checkpoint.remove()
        return Trained(open_bundle(run.output, self.family), network, log)

    def loop_options(self, **more: Any) -> LoopOptions:
        """The loop's, with what the recipe decides of them."""
        own = {
            name: getattr(self, name)
            for name in ("minutes", "steps", "learning_rate", "batch_size", "validations", "seed", "bfloat16")
        }
        return LoopOptions(**{**own, "trained_before": self.start is not None, **more})

    def first_network(self) -> torch.nn.Module:
        """The network, with the weights of `start`.

        Raises
        ------
        InputError
            That bundle has another network, or is refused.
        """
        network = build_network(self.network)
        if self.start is not None:
            bundle = open_bundle(self.start, self.family)
            if bundle.metadata["network"] != self.network:
                raise InputError(f"The bundle {bundle.name} has another network, so a training cannot start from it.")
            network.load_state_dict(bundle.load_network().state_dict())
        return network

    @property
    def started_from(self) -> str | None:
        """The name of the bundle whose weights the training begins with."""
        return None if self.start is None else open_bundle(self.start, self.family).name

    def config(self) -> dict[str, Any]:
        """The content of configs/train.json that runs this recipe."""
        config = packaged_config(self.family, "train.json")
        # Tuples become lists, as they are after reading.
        return json.loads(json.dumps(config | {key: _filled(config.get(key), v) for key, v in self._values().items()}))

    def _values(self) -> dict[str, Any]:
        """The fields as configs/train.json has them."""
        return asdict(self)

    def _steps(self, cases: int, processes: int) -> int | None:
        """After how many steps it ends, by its epochs (passes over the cases) or its steps; None: by its minutes."""
        if self.epochs is None:
            return self.steps
        steps = max(1, math.ceil(self.epochs * cases / (self.batch_size * processes)))
        return steps if self.steps is None else min(steps, self.steps)

    def _checkpoint(self, path: Path, cases: Cases, resume: bool) -> Checkpoint:
        training = json.dumps([self.config(), len(cases.training), len(cases.validation)], sort_keys=True)
        return Checkpoint(path, training, resume)

    def _write(self, run: Run, trainer: TrainingLoop, described: Description) -> Bundle:
        summary = TrainingSummary(
            name=run.output.name,
            family=self.family,
            rows=trainer.log.rows,
            packages=self.packages,
            device=run.device,
            processes=run.processes,
            seconds=run.seconds,
            bfloat16=trainer.bfloat16,
            cancelled=trainer.cancelled,
        )
        curve = validation_curve(summary.rows, described.curve, described.ylabel, described.start)
        return write_bundle(
            run.output,
            bundle_metadata(summary, described, self.network, self.started_from),
            trainer.network.state_dict(),
            inference=packaged_config(self.family, "inference.json") | {"network": dict(self.network)},
            training=self.config(),
            card=filled_card(summary, described, self),
            more={
                "configs/multi_gpu_train.json": packaged_config(self.family, "multi_gpu_train.json"),
                "docs/log.csv": trainer.log.as_csv(),
                "docs/validation.png": curve,
                **described.files,
            },
        )


@dataclass(frozen=True, kw_only=True)
class PhantomRecipe(TrainingRecipe):
    """A recipe that trains on phantoms where no cases are given.

    Attributes
    ----------
    phantoms, validation_phantoms
        How many there are.
    """

    phantoms: int
    validation_phantoms: int


def check_one_source(cases: object, anatomy: str | os.PathLike[str] | None) -> None:
    """Raise the `InputError` of a training that was given a user's cases and a folder of real anatomy."""
    if cases is not None and anatomy is not None:
        raise InputError(f"Cases and the folder {anatomy} of real anatomy exclude each other; give one of them.")


def _filled(described: Any, value: Any) -> Any:
    """A value in the place of what a config says, in which a component's `_target_` and other keys stay."""
    if not (isinstance(described, Mapping) and "_target_" in described and isinstance(value, Mapping)):
        return value
    return {**described, **{key: _filled(described.get(key), one) for key, one in value.items()}}


def held_back(cases: list[T], share: float) -> CasePair:
    """Cases with the first ones held back to validate with; of so few that this would be none, they are all trained on
    and validated with."""
    back = math.floor(share * len(cases))
    return CasePair(cases[back:], cases[:back]) if back else CasePair(cases, cases)


def packaged_config(family: str, name: str) -> dict[str, Any]:
    """A file of the configs of a family's shipped bundle."""
    return json.loads(resource(f"Models/{family}/configs/{name}").read_text(encoding="utf-8"))


def recipe_from(config: Mapping[str, Any], overrides: Mapping[str, Any] | None = None) -> Any:
    """The recipe that our own configs/train.json describes; those of other bundles may run code, so never give one.

    Parameters
    ----------
    config
        From `packaged_config`.
    overrides
        Values by MONAI's ids, instead of the file's.

    Raises
    ------
    InputError
        An override names nothing in the file, or its value is refused.
    """
    from monai.bundle import ConfigParser

    parser = ConfigParser(dict(config))
    for key, value in (overrides or {}).items():
        if key not in parser:
            raise InputError(f"The recipe has no {key}; see configs/train.json for what it has.")
        parser[key] = deepcopy(value)  # a later key may change a part of it
    try:
        return parser.get_parsed_content("recipe")
    except RuntimeError as error:  # MONAI's wrapper of what a component raised
        cause = error.__cause__
        while cause is not None and not isinstance(cause, InputError):
            cause = cause.__cause__
        if cause is None:
            raise
        raise InputError(str(cause)) from error


def printed_progress(every_seconds: float = 10.0) -> Progress:
    """Prints the message of a new stage at once and of an old one now and then; for MONAI's launcher."""
    last: dict[str, Any] = {"time": -math.inf, "stage": ""}

    def report(fraction: float, message: str) -> None:
        stage, now = message.partition(":")[0], time.monotonic()
        if stage != last["stage"] or now - last["time"] >= every_seconds:
            last.update(time=now, stage=stage)
            print(f"{fraction:4.0%} {message}", flush=True)

    return Progress(report)
