"""`sparse-to-precise train`: models from phantoms or from the user's own cases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..core.errors import InputError
from .box_train import boxes_corrector, boxes_segmenter
from .reporting import ProgressMode, reporting, without_nan
from .synthesis_train import synthesis

train_app = typer.Typer(help="Train a model.")


@train_app.callback()
def families() -> None:
    """Train a model of a family."""


@train_app.command()
def editing(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="BUNDLE", help="Folder for the model bundle.")],
    dataset: Annotated[
        Path | None,
        typer.Option(
            metavar="DATALIST",
            help='Train on own cases: a JSON file {"training": [{"image": ..., "label": ...}], "validation": [...]} '
            "with paths relative to it. Every segment of a label file is trained on.",
        ),
    ] = None,
    phantoms: Annotated[
        int | None, typer.Option(metavar="N", help="Train on N procedural phantoms. Default: the recipe's number.")
    ] = None,
    cubes: Annotated[
        int | None, typer.Option(metavar="N", help="With --dataset: how many cubes to cut out. Default: the recipe's.")
    ] = None,
    epochs: Annotated[float | None, typer.Option(help="End after so many passes over the cases.")] = None,
    minutes: Annotated[
        float | None,
        typer.Option(help="End after so much computing time, simulation not counted. Default: the recipe's."),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of everything random. Default: the recipe's.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
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
    progress: Annotated[ProgressMode, typer.Option(help="How to tell of progress.")] = ProgressMode.BAR,
) -> None:
    """Train a model for editing and write it as a bundle, with its log, validation curve and model card.

    Without further options, by the recipe of the model that comes with the software. With --progress json, the line
    after each validation carries its numbers as "validation".
    """
    with reporting(progress) as reporter:
        reporter.progress(0.0, "starting")
        if dataset is not None and phantoms is not None:
            raise InputError(f"--dataset {dataset} and --phantoms {phantoms} exclude each other; give one of them.")
        if dataset is None and cubes is not None:
            raise InputError(f"--cubes {cubes} are cut from the cases of --dataset, which is not given.")
        cases: dict[str, Any] = {}
        if dataset is not None:
            from .datalist import read_datalist

            cases = read_datalist(dataset)
        from ..editing.training_run import train_editing

        bundle = train_editing(
            output,
            phantoms=phantoms,
            cubes=cubes,
            minutes=minutes,
            epochs=epochs,
            seed=seed,
            device=device,
            cache=cache,
            workers=workers,
            progress=reporter.progress,
            validated=lambda row: reporter.add_to_next_step(validation=without_nan(row)),
            **cases,
        )
        trained = bundle.metadata["training"]
        reporter.finish({"bundle": str(output), "name": bundle.name, "sha256": bundle.sha256, "training": trained})
    best = trained["best"]
    reporter.show(
        f"Trained on {trained['data']}: {trained['cases']} cases, {trained['steps']} steps, on {trained['device']}.",
        f"Best validation loss {best['validation_loss']:.5f} at step {best['steps']}; "
        f"{best['in_zone_error_removed']:.1%} of the error inside the influence zone removed.",
        f"Written: {output} (log and curve in {output / 'docs'})",
    )


train_app.command("boxes-corrector")(boxes_corrector)
train_app.command("boxes-segmenter")(boxes_segmenter)
train_app.command("synthesis")(synthesis)
