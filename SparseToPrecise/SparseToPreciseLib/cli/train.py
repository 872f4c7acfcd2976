"""`sparse-to-precise train`: models from phantoms or from the user's own cases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..core.errors import InputError
from .box_train import boxes_corrector, boxes_segmenter
from .reporting import ProgressMode, reporting
from .synthesis_train import synthesis
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

train_app = typer.Typer(help="Train a model.")


@train_app.callback()
def families() -> None:
    """Train a model of a family."""


@train_app.command()
def editing(
    output: Output,
    dataset: Annotated[
        Path | None,
        typer.Option(
            metavar="DATALIST",
            help='Train on own cases: a JSON file {"training": [{"image": ..., "label": ...}], "validation": [...]} '
            "with paths relative to it. Every segment of a label file is trained on.",
        ),
    ] = None,
    phantoms: Phantoms = None,
    cubes: Annotated[
        int | None, typer.Option(metavar="N", help="With --dataset: how many cubes to cut out. Default: the recipe's.")
    ] = None,
    epochs: Epochs = None,
    minutes: Minutes = None,
    seed: Seed = None,
    device: UsedDevice = "auto",
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes that simulate cases; 0: none but this one. Default: all cores.")
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder for the simulated cases, which the next run with the same recipe uses again. Default: in the "
            "user's cache folder for phantoms; with --dataset a temporary one, so that nothing stays of the images.",
        ),
    ] = None,
    progress: ToldProgress = ProgressMode.BAR,
) -> None:
    """Train a model for editing and write it as a bundle, with its log, validation curve and model card.

    Without further options, by the recipe of the model that comes with the software. With --progress json, the line
    after each validation carries its numbers as "validation".
    """
    with reporting(progress) as reporter:
        reporter.progress(0.0, "starting")
        refuse_both(dataset, phantoms)
        if dataset is None and cubes is not None:
            raise InputError(f"--cubes {cubes} are cut from the cases of --dataset, which is not given.")
        cases: dict[str, Any] = {}
        if dataset is not None:
            from ..tasks.datalist import read_datalist

            cases = read_datalist(dataset)
        from ..editing.training_run import train_editing

        options = common_options(phantoms, minutes, epochs, seed, device, reporter)
        bundle = train_editing(output, cubes=cubes, cache=cache, workers=workers, **options, **cases)
        trained = finish(reporter, bundle, output)
    best = trained["best"]
    said = (
        f"Best validation loss {best['validation_loss']:.5f} at step {best['steps']}; "
        f"{best['in_zone_error_removed']:.1%} of the error inside the influence zone removed."
    )
    reporter.show(*summary(trained, "cases", said, output))


train_app.command("boxes-corrector")(boxes_corrector)
train_app.command("boxes-segmenter")(boxes_segmenter)
train_app.command("synthesis")(synthesis)
