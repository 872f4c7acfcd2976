"""`sparse-to-precise box`, `evaluate boxes`, `train boxes-corrector` and `train boxes-segmenter`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..core.bundles import Bundle
from ..core.errors import InputError
from ..tasks.box_evaluate import EvaluateBox
from ..tasks.box_segment import SegmentBox
from ..tasks.box_tighten import TightenBox
from .apps import app, evaluate_app, train_app
from .commands import command
from .train_options import Anatomy, Phantoms, Training, refuse_both, trained_on, training_command

_Label = Annotated[
    int | None, typer.Option(min=1, help="Value of the object in the label files; needed where one has several.")
]

box_app = typer.Typer(help="Loose 3D boxes: tighten, segment inside, evaluate.")


@box_app.callback()
def boxes() -> None:
    """Loose 3D boxes: tighten, segment inside, evaluate."""


box_app.command("tighten")(command(TightenBox))
box_app.command("segment")(command(SegmentBox))
box_app.command("evaluate")(command(EvaluateBox))
app.add_typer(box_app, name="box")
evaluate_app.command("boxes")(command(EvaluateBox))


@train_app.command("boxes-corrector")
@training_command("boxes-corrector")
def boxes_corrector(
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
    anatomy: Anatomy = None,
    phantoms: Phantoms = None,
    patch: Annotated[
        int | None, typer.Option(help="Side of a patch in pixels: 2, 4, 8, 16 or 32. Default: the recipe's.")
    ] = None,
) -> Training:
    """Train a model that tightens loose boxes, and write it as a bundle, with its log, curve and model card.

    Without further options, by the recipe of the model that comes with the software. With --progress json, the line
    after each validation carries its numbers as "validation".
    """
    _check_label(dataset, phantoms, label)
    refuse_both(dataset, anatomy, other_name="anatomy")
    given: dict[str, Any] = {"anatomy": anatomy, "phantoms": phantoms, "patch": patch}
    if dataset is not None:
        from ..tasks.box_cases import corrector_cases

        given["cases"] = corrector_cases(dataset, label)
    best = "Best validation loss {validation_loss:.5f} at step {steps}; Dice of patches {patch_dice:.3f}."
    return Training(given, lambda bundle: trained_on(bundle, "scenes", best))


@train_app.command("boxes-segmenter")
@training_command("boxes-segmenter")
def boxes_segmenter(
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
    anatomy: Anatomy = None,
    phantoms: Phantoms = None,
    device: str = "auto",
) -> Training:
    """Train a model that segments the object in a box, from boxes alone, and write it as a bundle.

    Without further options, by the recipe of the model that comes with the software. With --progress json, the line
    after each validation carries its numbers as "validation".
    """
    _check_label(dataset, phantoms, label)
    refuse_both(dataset, anatomy, other_name="anatomy")
    if tighten_first and dataset is None:
        raise InputError("--tighten-first is for the boxes of --dataset, which is not given.")
    for name, value in (("--corrector", corrector), ("--coverage", coverage)):
        if value is not None and not tighten_first:
            raise InputError(f"{name} {value} is for --tighten-first, which is not given; add it.")
    given: dict[str, Any] = {"anatomy": anatomy, "phantoms": phantoms}
    if dataset is not None:
        from ..tasks.box_cases import correction_by, segmenter_cases

        given |= segmenter_cases(dataset, label)
        if tighten_first:
            given["correction"] = correction_by(corrector, coverage, device)

    def lines(bundle: Bundle) -> list[str]:
        told = trained_on(bundle, "boxes", "Best validation loss {validation_loss:.5f} at step {steps}.")
        if made := bundle.metadata["training"]["correction"]:
            tightened = made["boxes"] - made["kept"]
            told.append(f"{tightened} of {made['boxes']} boxes were tightened by {made['corrector']} first.")
            told += [note for note in (given["correction"].corrector.note,) if note]
        return told

    return Training(given, lines)


def _check_label(dataset: Path | None, phantoms: int | None, label: int | None) -> None:
    refuse_both(dataset, phantoms)
    if dataset is None and label is not None:
        raise InputError(f"--label {label} is of the label files of --dataset, which is not given.")
