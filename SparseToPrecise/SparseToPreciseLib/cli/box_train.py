"""`sparse-to-precise train boxes-corrector` and `train boxes-segmenter`."""

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

_Label = Annotated[
    int | None, typer.Option(min=1, help="Value of the object in the label files; needed where one has several.")
]


def boxes_corrector(
    output: Output,
    dataset: Annotated[
        Path | None,
        typer.Option(
            metavar="DATALIST",
            help='Train on own masks, one is enough: a JSON file {"training": [{"image": ..., "label": ...}]} with '
            "paths relative to it. Deformed copies of the cases are trained on, too; of three cases and more, one in "
            "four is held back to measure how far the boxes can be relied on.",
        ),
    ] = None,
    label: _Label = None,
    phantoms: Phantoms = None,
    patch: Annotated[
        int | None, typer.Option(help="Side of a patch in pixels: 2, 4, 8, 16 or 32. Default: the recipe's.")
    ] = None,
    epochs: Epochs = None,
    minutes: Minutes = None,
    seed: Seed = None,
    device: UsedDevice = "auto",
    progress: ToldProgress = ProgressMode.BAR,
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
            from ..tasks.box_cases import corrector_cases

            cases["cases"] = corrector_cases(dataset, label)
        from ..boxes.training_run import train_corrector

        options = common_options(phantoms, minutes, epochs, seed, device, reporter)
        bundle = train_corrector(output, overrides=None if patch is None else {"patch": patch}, **options, **cases)
        trained = finish(reporter, bundle, output)
    best = trained["best"]
    said = (
        f"Best validation loss {best['validation_loss']:.5f} at step {best['steps']}; "
        f"Dice of patches {best['patch_dice']:.3f}."
    )
    reporter.show(*summary(trained, "scenes", said, output))


def boxes_segmenter(
    output: Output,
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
    tighten_first: Annotated[
        bool,
        typer.Option(
            "--tighten-first",
            help="Loose boxes: tighten them slice by slice, and learn from what remains. Of a labelmap its bounding "
            "box is tightened. Not for masks or boxes that are tight already, which it would cut.",
        ),
    ] = False,
    corrector: Annotated[
        str | None,
        typer.Option(
            metavar="BUNDLE",
            help="With --tighten-first: a bundle trained as boxes-corrector, best on a few masks of the same kind.",
        ),
    ] = None,
    coverage: Annotated[
        float | None,
        typer.Option(help="With --tighten-first: share of the object that is to stay inside. Default: 0.9."),
    ] = None,
    phantoms: Phantoms = None,
    epochs: Epochs = None,
    minutes: Minutes = None,
    seed: Seed = None,
    device: UsedDevice = "auto",
    progress: ToldProgress = ProgressMode.BAR,
) -> None:
    """Train a model that segments the object in a box, from boxes alone, and write it as a bundle.

    Without further options, by the recipe of the model that comes with the software. With --progress json, the line
    after each validation carries its numbers as "validation".
    """
    with reporting(progress) as reporter:
        reporter.progress(0.0, "starting")
        _check(dataset, phantoms, label)
        if tighten_first and dataset is None:
            raise InputError("--tighten-first is for the boxes of --dataset, which is not given.")
        for name, given in (("--corrector", corrector), ("--coverage", coverage)):
            if given is not None and not tighten_first:
                raise InputError(f"{name} {given} is for --tighten-first, which is not given; add it.")
        cases: dict[str, Any] = {}
        if dataset is not None:
            from ..tasks.box_cases import segmenter_cases

            cases = segmenter_cases(dataset, label)
        if tighten_first:
            from ..tasks.box_cases import correction_by

            cases["correction"] = correction_by(corrector, coverage, device)
        from ..boxes.training_run import train_segmenter

        options = common_options(phantoms, minutes, epochs, seed, device, reporter)
        bundle = train_segmenter(output, **options, **cases)
        trained = finish(reporter, bundle, output)
    best = trained["best"]
    said = f"Best validation loss {best['validation_loss']:.5f} at step {best['steps']}."
    notes = []
    if made := trained["correction"]:
        tightened = made["boxes"] - made["kept"]
        notes.append(f"{tightened} of {made['boxes']} boxes were tightened by {made['corrector']} first.")
        notes += [note for note in (cases["correction"].corrector.note,) if note]
    reporter.show(*summary(trained, "boxes", said, output), *notes)


def _check(dataset: Path | None, phantoms: int | None, label: int | None) -> None:
    refuse_both(dataset, phantoms)
    if dataset is None and label is not None:
        raise InputError(f"--label {label} is of the label files of --dataset, which is not given.")
