"""Training a synthesis model from Python: the committed recipe, with what the caller wants different."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from ..core.bundles import Bundle
from ..core.progress import Progress
from ..core.training.configs import packaged_config
from ..core.training.recipe import Validated, ready_recipe
from ..core.volume import Volume
from .model import FAMILY


def train_synthesis(
    output: str | os.PathLike[str],
    *,
    pairs: Iterable[tuple[Volume, Volume]] | None = None,
    validation_pairs: Iterable[tuple[Volume, Volume]] | None = None,
    phantoms: int | None = None,
    minutes: float | None = None,
    epochs: float | None = None,
    steps: int | None = None,
    seed: int | None = None,
    device: str = "auto",
    progress: Progress | None = None,
    validated: Validated | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Bundle:
    """Train a synthesis model by the committed recipe (configs/train.json), with what is given here instead of its own.

    Parameters
    ----------
    output
        The bundle's folder.
    pairs, validation_pairs
        (MR, CT) pairs to train on and to validate with, registered, instead of phantoms.
    phantoms
        How many phantoms to train on.
    minutes, epochs, steps
        When to end; when one of them is given, the recipe's own do not count.
    seed
        Of everything.
    device, progress, validated
        As in `SynthesisRecipe.train`.
    overrides
        Further values of configs/train.json by MONAI's ids, such as {"sampling::patch": 48} or {"sigma_mm": 5}.

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
        packaged_config(FAMILY, "train.json"),
        output,
        FAMILY,
        device,
        given={"phantoms": phantoms, "seed": seed},
        ends={"minutes": minutes, "epochs": epochs, "steps": steps},
        overrides=overrides,
    )
    return recipe.train(
        output, pairs=pairs, validation_pairs=validation_pairs, device=device, progress=progress, validated=validated
    )
