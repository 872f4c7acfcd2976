"""`sparse-to-precise train`: models of all families, from phantoms or from the user's own cases.

Without further options, a family is trained by the recipe of the model that comes with the software. With --progress
json, the line after each validation carries its numbers as "validation".
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..core.bundles import Bundle
from ..core.errors import InputError
from .train_options import Phantoms, Training, refuse_both, trained_on, training_command

train_app = typer.Typer(help="Train a model.")
_Label = Annotated[
    int | None, typer.Option(min=1, help="Value of the object in the label files; needed where one has several.")
]


@train_app.callback()
def families() -> None:
    """Train a model of a family."""


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
    if dataset is None and cubes is not None:
        raise InputError(f"--cubes {cubes} are cut from the cases of --dataset, which is not given.")
    given: dict[str, Any] = {"phantoms": phantoms, "cubes": cubes, "workers": workers, "cache": cache}
    if dataset is not None:
        from ..tasks.datalist import read_datalist

        given |= read_datalist(dataset)
    best = "Best validation loss {validation_loss:.5f} at step {steps}; "
    best += "{in_zone_error_removed:.1%} of the error inside the influence zone removed."
    return Training(given, lambda bundle: trained_on(bundle, "cases", best))


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
    given: dict[str, Any] = {"phantoms": phantoms, "patch": patch}
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
    phantoms: Phantoms = None,
    device: str = "auto",
) -> Training:
    """Train a model that segments the object in a box, from boxes alone, and write it as a bundle.

    Without further options, by the recipe of the model that comes with the software. With --progress json, the line
    after each validation carries its numbers as "validation".
    """
    _check_label(dataset, phantoms, label)
    if tighten_first and dataset is None:
        raise InputError("--tighten-first is for the boxes of --dataset, which is not given.")
    for name, value in (("--corrector", corrector), ("--coverage", coverage)):
        if value is not None and not tighten_first:
            raise InputError(f"{name} {value} is for --tighten-first, which is not given; add it.")
    given: dict[str, Any] = {"phantoms": phantoms}
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


@train_app.command("synthesis")
@training_command("synthesis")
def synthesis(
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
) -> Training:
    """Train a model that makes a CT of an MR, and write it as a bundle, with its log, curve and model card.

    Without further options, by the recipe of the model that comes with the software. With --progress json, the line
    after each validation carries its numbers as "validation".
    """
    refuse_both(dataset, phantoms)
    if dataset is None and register:
        raise InputError("--register brings together the pairs of --dataset, which is not given.")
    pairs: dict[str, Any] = {}
    if dataset is not None:
        from ..tasks.synthesis_pairs import read_pairs

        pairs = read_pairs(dataset, register)
    overrides = {} if adversarial is None else {"adversarial::weight": adversarial}

    def registered() -> list[dict[str, Any]]:
        return [one for files in pairs.values() for one in files.found]

    def left_out() -> list[str]:
        return [sentence for files in pairs.values() for sentence in files.left_out]

    def lines(bundle: Bundle) -> list[str]:
        best = "Best mean absolute error {mae_hu:.1f} HU at step {steps}; bone Dice {bone_dice:.3f}."
        told = [f"{one['mr']}: {one['sentence']}" + ("" if one["used"] else " Left out.") for one in registered()]
        return [*told, *left_out(), *trained_on(bundle, "pairs", best)]

    return Training(
        {"phantoms": phantoms, "sigma_mm": sigma, "spacing_mm": spacing, "overrides": overrides, **pairs},
        lines,
        lambda bundle: ({"registration": registered()} if register else {})
        | ({"left_out": left_out()} if left_out() else {}),
    )


@train_app.command("landmarks")
@training_command("landmarks")
def landmarks(
    image: Annotated[
        Path,
        typer.Argument(metavar="IMAGE", help="The annotated image: .nrrd, .nii, .nii.gz or .mha.", show_default=False),
    ],
    points: Annotated[
        Path, typer.Argument(metavar="LANDMARKS", help="A point list: .mrk.json or .fcsv.", show_default=False)
    ],
    soi: Annotated[
        Path, typer.Option(metavar="SEG", help="Segmentation or labelmap of the structure of interest in IMAGE.")
    ],
    segment: Annotated[
        str | None,
        typer.Option(help="ID, name or label value of the segment in every SEG; needed when there are several."),
    ] = None,
    validation_image: Annotated[
        Path | None, typer.Option(metavar="IMAGE", help="Another image, on which training is watched.")
    ] = None,
    validation_soi: Annotated[
        Path | None, typer.Option(metavar="SEG", help="The structure of interest in the validation image.")
    ] = None,
    reference: Annotated[
        list[str] | None,
        typer.Option(metavar="IMAGE:LANDMARKS:SEG", help="A further annotated image; may be given several times."),
    ] = None,
    *,
    output: Path,
) -> Training:
    """Teach a template of landmarks from one annotated image, or from a few.

    With --progress json, the line after each validation carries its numbers as "validation".
    """
    from ..tasks.landmarks_train import read_lesson

    given = read_lesson(image, points, soi, segment, tuple(reference or ()), validation_image, validation_soi)

    def lines(bundle: Bundle) -> list[str]:
        trained = bundle.metadata["training"]
        return [
            f"Trained in {trained['steps']} steps ({trained['minutes']:.1f} minutes of computing time) on "
            f"{trained['device']}; Dice {trained['best']['dice']:.2f} on {trained['validated_on']}.",
            *bundle.parameters["notes"],
            "The template holds the reference image.",
        ]

    return Training(given, lines, lambda bundle: {"template": str(output), "warnings": bundle.parameters["notes"]})


def _check_label(dataset: Path | None, phantoms: int | None, label: int | None) -> None:
    refuse_both(dataset, phantoms)
    if dataset is None and label is not None:
        raise InputError(f"--label {label} is of the label files of --dataset, which is not given.")
