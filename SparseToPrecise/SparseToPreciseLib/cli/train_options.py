"""What the training commands of all families have alike: options, and what they say at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..core.bundles import Bundle
from ..core.errors import InputError
from .reporting import ProgressMode, Reporter, without_nan

Output = Annotated[Path, typer.Option("--output", "-o", metavar="BUNDLE", help="Folder for the model bundle.")]
Phantoms = Annotated[
    int | None, typer.Option(metavar="N", help="Train on N procedural phantoms. Default: the recipe's number.")
]
Epochs = Annotated[float | None, typer.Option(help="End after so many passes over the cases.")]
Minutes = Annotated[
    float | None,
    typer.Option(help="End after so much computing time, the making of cases not counted. Default: the recipe's."),
]
Seed = Annotated[int | None, typer.Option(min=0, help="Of everything random. Default: the recipe's.")]
UsedDevice = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
ToldProgress = Annotated[ProgressMode, typer.Option(help="How to tell of progress.")]


def refuse_both(dataset: Path | None, phantoms: int | None) -> None:
    """Raise the `InputError` of a command that was given cases and phantoms."""
    if dataset is not None and phantoms is not None:
        raise InputError(f"--dataset {dataset} and --phantoms {phantoms} exclude each other; give one of them.")


def common_options(
    phantoms: int | None,
    minutes: float | None,
    epochs: float | None,
    seed: int | None,
    device: str,
    reporter: Reporter,
) -> dict[str, Any]:
    """For a family's train function; each validation is told with the next line of progress."""

    def told(row: dict[str, float]) -> None:
        reporter.add_to_next_step(validation=without_nan(row))

    return {
        "phantoms": phantoms,
        "minutes": minutes,
        "epochs": epochs,
        "seed": seed,
        "device": device,
        "progress": reporter.progress,
        "validated": told,
    }


def finish(reporter: Reporter, bundle: Bundle, output: Path, **more: Any) -> dict[str, Any]:
    """Say in JSON mode what came out; returns what the bundle says of its training."""
    trained = bundle.metadata["training"]
    reporter.finish({"bundle": str(output), "name": bundle.name, "sha256": bundle.sha256, "training": trained, **more})
    return trained


def summary(trained: dict[str, Any], what: str, best: str, output: Path) -> list[str]:
    """Sentences for people; `what` is the key of the number of cases, `best` is said of the best validation."""
    return [
        f"Trained on {trained['data']}: {trained[what]} {what}, {trained['steps']} steps, on {trained['device']}.",
        best,
        f"Written: {output} (log and curve in {output / 'docs'})",
    ]
