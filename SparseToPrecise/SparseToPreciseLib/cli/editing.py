"""`sparse-to-precise edit` and `train editing`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..core.errors import InputError
from ..tasks.edit import Edit
from .apps import app, train_app
from .commands import command
from .train_options import Anatomy, Phantoms, Training, refuse_both, trained_on, training_command

app.command("edit")(command(Edit))


@train_app.command("editing")
@training_command("editing")
def editing(
    dataset: Annotated[
        Path | None,
        typer.Option(
            metavar="DATALIST",
            help='Train on own cases: a JSON file {"training": [{"image": ..., "label": ...}], "validation": [...]} '
            "with paths relative to it. Every segment of a label file is trained on.",
        ),
    ] = None,
    anatomy: Anatomy = None,
    phantoms: Phantoms = None,
    cubes: Annotated[
        int | None, typer.Option(metavar="N", help="With --dataset: how many cubes to cut out. Default: the recipe's.")
    ] = None,
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
) -> Training:
    """Train a model for editing and write it as a bundle, with its log, validation curve and model card.

    Without further options, by the recipe of the model that comes with the software. With --progress json, the line
    after each validation carries its numbers as "validation".
    """
    refuse_both(dataset, phantoms)
    refuse_both(dataset, anatomy, other_name="anatomy")
    if dataset is None and cubes is not None:
        raise InputError(f"--cubes {cubes} are cut from the cases of --dataset, which is not given.")
    given: dict[str, Any] = {"anatomy": anatomy, "phantoms": phantoms, "cubes": cubes}
    given |= {"workers": workers, "cache": cache}
    if dataset is not None:
        from ..tasks.datalist import read_datalist

        given |= read_datalist(dataset)
    best = "Best validation loss {validation_loss:.5f} at step {steps}; "
    best += "{in_zone_error_removed:.1%} of the error inside the influence zone removed."
    return Training(given, lambda bundle: trained_on(bundle, "cases", best))
