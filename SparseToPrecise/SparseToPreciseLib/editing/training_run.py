"""Training an editing model from Python: the committed recipe, with what the caller wants different."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..core.bundle_writing import check_bundle_target
from ..core.bundles import Bundle
from ..core.devices import choose_device
from ..core.errors import InputError
from ..core.packaged_configs import recipe_from
from ..core.progress import Progress
from ..core.volume import Volume
from .dataset_volumes import store_volumes
from .model import FAMILY
from .training_configs import packaged_config
from .training_recipe import Recipe


def train_editing(
    output: str | os.PathLike[str],
    *,
    phantoms: int | None = None,
    cases: Iterable[tuple[Volume, Volume]] | None = None,
    validation_cases: Iterable[tuple[Volume, Volume]] | None = None,
    cubes: int | None = None,
    minutes: float | None = None,
    epochs: float | None = None,
    steps: int | None = None,
    seed: int | None = None,
    device: str = "auto",
    cache: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    validated: Callable[[dict[str, float]], None] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Bundle:
    """Train an editing model by the committed recipe (configs/train.json), with what is given here instead of its own.

    Parameters
    ----------
    output
        The bundle's folder.
    phantoms
        How many phantoms to simulate cases on.
    cases, validation_cases
        (image, segmentation) pairs to train on and to validate with, instead of phantoms; every value of a
        segmentation but 0 is a segment. They are copied into the cache, or into a temporary folder without one.
    cubes
        How many cubes to cut from the cases.
    minutes, epochs, steps
        When to end; when one of them is given, the recipe's own do not count.
    seed
        Of everything.
    device, cache, workers, progress, validated
        As in `Recipe.train`.
    overrides
        Further values of configs/train.json by MONAI's ids, such as {"simulation::segmenter_share": 0}.

    Returns
    -------
    Bundle
        As it was written.

    Raises
    ------
    InputError
        Something of it is not as it should be; `Cancelled` when the user has cancelled. Neither leaves a bundle.
    """
    given = {"phantoms": phantoms, "cubes": cubes, "seed": seed}
    changes = {key: value for key, value in given.items() if value is not None}
    if any(value is not None for value in (minutes, epochs, steps)):
        changes |= {"minutes": minutes, "epochs": epochs, "steps": steps}
    recipe = packaged_recipe({**changes, **(overrides or {})})
    # Before the user's cases are copied.
    check_bundle_target(output, FAMILY)
    choose_device(device)
    where = {"device": device, "workers": workers, "progress": progress, "validated": validated}
    if cases is None:
        if validation_cases is not None:
            raise InputError("Cases to validate with were given, and none to train on; give both.")
        return recipe.train(output, cache=cache, **where).bundle
    with _place_for_cases(cache) as folder:
        store_volumes(folder / "cases", cases)
        if validation_cases is not None:
            store_volumes(folder / "validation-cases", validation_cases)
            where["validation_cases"] = folder / "validation-cases"
        return recipe.train(output, cases=folder / "cases", cache=folder, **where).bundle


def packaged_recipe(overrides: Mapping[str, Any] | None = None) -> Recipe:
    """The recipe of our own configs/train.json; the configs of other bundles may run code and are never read here.

    Raises
    ------
    InputError
        An override names nothing in the file, or its value is refused.
    """
    return recipe_from(packaged_config("train.json"), overrides)


@contextmanager
def _place_for_cases(cache: str | os.PathLike[str] | None) -> Iterator[Path]:
    """The cache, or a temporary folder: a user's cases stay nowhere unless they were told to."""
    if cache is not None:
        yield Path(cache)
        return
    with tempfile.TemporaryDirectory(prefix="sparse-to-precise-") as folder:
        yield Path(folder)
