"""Training an editing model from Python: the committed recipe, with what the caller wants different."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..core.bundles import Bundle
from ..core.errors import InputError
from ..core.progress import Progress
from ..core.training.recipe import Validated, ready_recipe
from ..core.volume import Volume
from .dataset_volumes import store_volumes
from .model import FAMILY
from .training_configs import packaged_config


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
    validated: Validated | None = None,
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
    recipe = ready_recipe(
        packaged_config("train.json"),
        output,
        FAMILY,
        device,
        given={"phantoms": phantoms, "cubes": cubes, "seed": seed},
        ends={"minutes": minutes, "epochs": epochs, "steps": steps},
        overrides=overrides,
    )
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


@contextmanager
def _place_for_cases(cache: str | os.PathLike[str] | None) -> Iterator[Path]:
    """The cache, or a temporary folder: a user's cases stay nowhere unless they were told to."""
    if cache is not None:
        yield Path(cache)
        return
    with tempfile.TemporaryDirectory(prefix="sparse-to-precise-") as folder:
        yield Path(folder)
