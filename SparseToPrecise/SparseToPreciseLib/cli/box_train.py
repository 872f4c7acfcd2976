"""`sparse-to-precise train boxes-corrector` and `train boxes-segmenter`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..core.bundles import Bundle
from ..core.errors import InputError
from .reporting import ProgressMode, Reporter, reporting, without_nan

_Output = Annotated[Path, typer.Option("--output", "-o", metavar="BUNDLE", help="Folder for the model bundle.")]
_Label = Annotated[
    int | None, typer.Option(min=1, help="Value of the object in the label files; needed where one has several.")
]
_Phantoms = Annotated[
    int | None, typer.Option(metavar="N", help="Train on N procedural phantoms. Default: the recipe's number.")
]
_Epochs = Annotated[float | None, typer.Option(help="End after so many passes over the cases.")]
_Minutes = Annotated[float | None, typer.Option(help="End after so much computing time. Default: the recipe's.")]
_Seed = Annotated[int | None, typer.Option(min=0, help="Of everything random. Default: the recipe's.")]
_Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
_Progress = Annotated[ProgressMode, typer.Option(help="How to tell of progress.")]


def boxes_corrector(
    output: _Output,
    dataset: Annotated[
        Path | None,
        typer.Option(
            metavar="DATALIST",
            help='Train on own masks, one is enough: a JSON file {"training": [{"image": ..., "label": ...}]} with '
            "paths relative to it. Deformed copies of the cases are trained on, too.",
        ),
    ] = None,
    label: _Label = None,
    phantoms: _Phantoms = None,
    patch: Annotated[
        int | None, typer.Option(help="Side of a patch in pixels, 16 or 32. Default: the recipe's.")
    ] = None,
    epochs: _Epochs = None,
    minutes: _Minutes = None,
    seed: _Seed = None,
    device: _Device = "auto",
    progress: _Progress = ProgressMode.BAR,
) -> None:
    """Train a model that tightens loose boxes, and write it as a bundle, with its log, curve and model card.

    Without further options, by the recipe of the model that comes with the software. With --progress json, the line
    after each validation carries its numbers as "validation".
    """
    with reporting(progress) as reporter:
        reporter.progress(0.0, "starting")
        _check(dataset, phantoms, label)
        cases: dict[str, Any] = {}
        if dataset is not None:
            from .box_cases import corrector_cases

            cases["cases"] = corrector_cases(dataset, label)
        from ..boxes.training_run import train_corrector

        options = _common(phantoms, minutes, epochs, seed, device, reporter)
        bundle = train_corrector(output, overrides=None if patch is None else {"patch": patch}, **options, **cases)
        trained = _finish(reporter, bundle, output)
    best = trained["best"]
    reporter.show(
        *_told(trained, "scenes", output),
        f"Best validation loss {best['validation_loss']:.5f} at step {best['steps']}; "
        f"Dice of patches {best['patch_dice']:.3f}.",
    )


def boxes_segmenter(
    output: _Output,
    dataset: Annotated[
        Path | None,
        typer.Option(
            metavar="DATALIST",
            help='Train on own boxes: a JSON file {"training": [{"image": ..., "box": ...}], "validation": [...]} with '
            'paths relative to it. "box" is an ROI (.mrk.json) or a list of them; "label" instead of it, a labelmap '
            "whose extent alone counts.",
        ),
    ] = None,
    label: _Label = None,
    phantoms: _Phantoms = None,
    epochs: _Epochs = None,
    minutes: _Minutes = None,
    seed: _Seed = None,
    device: _Device = "auto",
    progress: _Progress = ProgressMode.BAR,
) -> None:
    """Train a model that segments the object in a box, from boxes alone, and write it as a bundle.

    Without further options, by the recipe of the model that comes with the software. With --progress json, the line
    after each validation carries its numbers as "validation".
    """
    with reporting(progress) as reporter:
        reporter.progress(0.0, "starting")
        _check(dataset, phantoms, label)
        cases: dict[str, Any] = {}
        if dataset is not None:
            from .box_cases import segmenter_cases

            cases = segmenter_cases(dataset, label)
        from ..boxes.training_run import train_segmenter

        options = _common(phantoms, minutes, epochs, seed, device, reporter)
        bundle = train_segmenter(output, **options, **cases)
        trained = _finish(reporter, bundle, output)
    best = trained["best"]
    reporter.show(
        *_told(trained, "boxes", output),
        f"Best validation loss {best['validation_loss']:.5f} at step {best['steps']}.",
    )


def _check(dataset: Path | None, phantoms: int | None, label: int | None) -> None:
    if dataset is not None and phantoms is not None:
        raise InputError(f"--dataset {dataset} and --phantoms {phantoms} exclude each other; give one of them.")
    if dataset is None and label is not None:
        raise InputError(f"--label {label} is of the label files of --dataset, which is not given.")


def _common(
    phantoms: int | None,
    minutes: float | None,
    epochs: float | None,
    seed: int | None,
    device: str,
    reporter: Reporter,
) -> dict[str, Any]:
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


def _finish(reporter: Reporter, bundle: Bundle, output: Path) -> dict[str, Any]:
    trained = bundle.metadata["training"]
    reporter.finish({"bundle": str(output), "name": bundle.name, "sha256": bundle.sha256, "training": trained})
    return trained


def _told(trained: dict[str, Any], what: str, output: Path) -> list[str]:
    return [
        f"Trained on {trained['data']}: {trained[what]} {what}, {trained['steps']} steps, on {trained['device']}.",
        f"Written: {output} (log and curve in {output / 'docs'})",
    ]
