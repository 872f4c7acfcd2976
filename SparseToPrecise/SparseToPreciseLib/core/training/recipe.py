"""What the recipes of all families do alike: check their numbers, agree among processes, write the bundle."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from ..bundles import Bundle
from ..devices import choose_device
from ..errors import InputError
from ..progress import Progress
from .configs import packaged_config, recipe_from
from .writing import check_bundle_target, write_bundle


@dataclass(frozen=True)
class Run:
    """One training under way.

    Attributes
    ----------
    output
        The bundle's folder.
    device
        As PyTorch names it.
    rank, processes
        This process among all that train together; 0 of 1 where it is alone.
    progress
        Silent in all processes but the first.
    started
        `time.perf_counter` at the beginning.
    """

    output: Path
    device: str
    rank: int
    processes: int
    progress: Progress
    started: float

    @property
    def first(self) -> bool:
        """Whether this process makes and writes what is needed once."""
        return self.rank == 0

    @property
    def seconds(self) -> float:
        """Wall time so far."""
        return time.perf_counter() - self.started

    def wait(self) -> None:
        """Until all processes are here."""
        if self.processes > 1:
            distributed.barrier()


@contextmanager
def training_run(output: str | os.PathLike[str], family: str, device: str, progress: Progress | None) -> Iterator[Run]:
    """Around a training: everything that can be refused is refused before it, and all processes end together.

    Raises
    ------
    InputError
        See `check_bundle_target` and `choose_device`.
    """
    output = Path(output).absolute()
    several = distributed.is_available() and distributed.is_initialized()
    rank, processes = (distributed.get_rank(), distributed.get_world_size()) if several else (0, 1)
    if rank == 0:
        check_bundle_target(output, family)
    # One voice is enough.
    heard = (progress or Progress()) if rank == 0 else Progress()
    run = Run(output, choose_device(device).name, rank, processes, heard, time.perf_counter())
    yield run
    run.wait()
    heard(1.0, f"written: {output}")


def check_numbers(recipe: Any, whole: Sequence[str], positive: Sequence[str] = ()) -> None:
    """Check a recipe's own numbers and that something ends it.

    Parameters
    ----------
    recipe
        With minutes, epochs, steps and learning_rate.
    whole
        Fields that must be positive whole numbers, where they are not None.
    positive
        Further fields that must be positive.

    Raises
    ------
    InputError
        Naming the field and its value.
    """
    for name in ("minutes", "epochs", "learning_rate", *positive, *whole):
        value = getattr(recipe, name)
        kind = int if name in whole else (int, float)
        if value is not None and not (isinstance(value, kind) and 0 < value < math.inf):
            what = "whole number" if name in whole else "number"
            raise InputError(f"{name.replace('_', ' ').capitalize()} must be a positive {what}, not {value}.")
    if recipe.minutes is recipe.epochs is recipe.steps is None:
        raise InputError("Nothing says when the training ends; give minutes, epochs or steps.")


def steps_of(recipe: Any, cases: int, processes: int) -> int | None:
    """After how many steps a recipe ends, by its epochs (passes over the cases) or its steps; None: by its minutes."""
    if recipe.epochs is None:
        return recipe.steps
    steps = max(1, math.ceil(recipe.epochs * cases / (recipe.batch_size * processes)))
    return steps if recipe.steps is None else min(steps, recipe.steps)


def write_trained(
    output: Path,
    family: str,
    network: torch.nn.Module,
    recipe: Any,
    *,
    metadata: Mapping[str, Any],
    card: str,
    log: str,
    curve: bytes,
) -> Bundle:
    """Write what a recipe with `network` and `config` has trained, with the family's shipped configs.

    Parameters
    ----------
    log
        docs/log.csv.
    curve
        docs/validation.png.
    """
    return write_bundle(
        output,
        metadata,
        network.state_dict(),
        inference=packaged_config(family, "inference.json") | {"network": dict(recipe.network)},
        training=recipe.config(),
        card=card,
        more={
            "configs/multi_gpu_train.json": packaged_config(family, "multi_gpu_train.json"),
            "docs/log.csv": log,
            "docs/validation.png": curve,
        },
    )


def changes_of(
    given: Mapping[str, Any], ends: Mapping[str, float | None], overrides: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Overrides of a recipe from what a caller gave.

    Parameters
    ----------
    given
        Values by name; None leaves the recipe's own.
    ends
        minutes, epochs and steps: when one of them is given, the recipe's own do not count.
    overrides
        Further ones, which win.
    """
    changes = {key: value for key, value in given.items() if value is not None}
    if any(value is not None for value in ends.values()):
        changes |= ends
    return {**changes, **(overrides or {})}


def ready_recipe(
    config: Mapping[str, Any],
    output: str | os.PathLike[str],
    family: str,
    device: str,
    *,
    given: Mapping[str, Any],
    ends: Mapping[str, float | None],
    overrides: Mapping[str, Any] | None,
) -> Any:
    """A committed recipe with what a caller wants different; what can be refused before cases are read, is.

    Parameters
    ----------
    config
        From `packaged_config`.
    output, family
        Of the bundle that is to be trained.
    device
        auto, cpu, cuda, cuda:N or mps.
    given, ends, overrides
        See `changes_of`.

    Raises
    ------
    InputError
        See `recipe_from`, `check_bundle_target` and `choose_device`.
    """
    recipe = recipe_from(config, changes_of(given, ends, overrides))
    check_bundle_target(output, family)
    choose_device(device)
    return recipe


Validated = Callable[[dict[str, float]], None]
"""Told of each new row of a training's log."""
