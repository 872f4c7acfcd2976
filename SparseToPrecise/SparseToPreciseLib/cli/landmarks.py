"""`sparse-to-precise landmarks`, `evaluate landmarks` and `train landmarks`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..core.bundles import Bundle
from ..tasks.landmarks_detect import DetectLandmarks
from ..tasks.landmarks_evaluate import EvaluateLandmarks
from .apps import app, evaluate_app, train_app
from .commands import command
from .train_options import Training, training_command

landmarks_app = typer.Typer(help="Landmarks from one annotated image: train, detect, evaluate.")


@landmarks_app.callback()
def group() -> None:
    """Landmarks from one annotated image: train, detect, evaluate."""


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


landmarks_app.command("train")(landmarks)  # its name before all families had `train`
landmarks_app.command("detect")(command(DetectLandmarks))
landmarks_app.command("evaluate")(command(EvaluateLandmarks))
app.add_typer(landmarks_app, name="landmarks")
evaluate_app.command("landmarks")(command(EvaluateLandmarks))
