"""`sparse-to-precise train synthesis`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..core.errors import InputError
from .reporting import ProgressMode, reporting
from .train_options import (
    Epochs,
    Minutes,
    Output,
    Phantoms,
    Seed,
    ToldProgress,
    UsedDevice,
    common_options,
    finish,
    refuse_both,
    summary,
)


def synthesis(
    output: Output,
    dataset: Annotated[
        Path | None,
        typer.Option(
            metavar="DATALIST",
            help='Train on own pairs: a JSON file {"training": [{"image": MR, "label": CT}], "validation": [...]} with '
            "paths relative to it.",
        ),
    ] = None,
    register: Annotated[
        bool,
        typer.Option(
            "--register", help="With --dataset: bring each CT onto its MR first; pairs that do not fit are left out."
        ),
    ] = False,
    phantoms: Phantoms = None,
    sigma: Annotated[
        float | None, typer.Option(metavar="MM", help="Between the low and the high band. Default: the recipe's.")
    ] = None,
    spacing: Annotated[
        float | None, typer.Option(metavar="MM", help="Voxels on which the model works. Default: the recipe's.")
    ] = None,
    adversarial: Annotated[
        float | None,
        typer.Option(metavar="WEIGHT", help="Of the discriminator on the high band; 0: none. Default: the recipe's."),
    ] = None,
    epochs: Epochs = None,
    minutes: Minutes = None,
    seed: Seed = None,
    device: UsedDevice = "auto",
    progress: ToldProgress = ProgressMode.BAR,
) -> None:
    """Train a model that makes a CT of an MR, and write it as a bundle, with its log, curve and model card.

    Without further options, by the recipe of the model that comes with the software. With --progress json, the line
    after each validation carries its numbers as "validation".
    """
    with reporting(progress) as reporter:
        reporter.progress(0.0, "starting")
        refuse_both(dataset, phantoms)
        if dataset is None and register:
            raise InputError("--register brings together the pairs of --dataset, which is not given.")
        pairs: dict[str, Any] = {}
        if dataset is not None:
            from ..tasks.synthesis_pairs import read_pairs

            pairs = read_pairs(dataset, register)
        from ..synthesis.training_run import train_synthesis

        given = {"sigma_mm": sigma, "spacing_mm": spacing, "adversarial::weight": adversarial}
        overrides = {key: value for key, value in given.items() if value is not None}
        options = common_options(phantoms, minutes, epochs, seed, device, reporter)
        bundle = train_synthesis(output, overrides=overrides, **options, **pairs)
        registered = [one for files in pairs.values() for one in files.found]
        more = {"registration": registered} if register else {}
        trained = finish(reporter, bundle, output, **more)
    best = trained["best"]
    said = (
        f"Best mean absolute error {best['mae_hu']:.1f} HU at step {best['steps']}; bone Dice {best['bone_dice']:.3f}."
    )
    reporter.show(
        *[f"{one['mr']}: {one['sentence']}" + ("" if one["used"] else " Left out.") for one in registered],
        *summary(trained, "pairs", said, output),
    )
