"""`sparse-to-precise landmarks`: teach landmarks from one annotated image, find them on others, compare."""

from __future__ import annotations

from contextlib import nullcontext
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from ..core.errors import Cancelled, InputError
from ..tasks.stopping import ending_early
from .reporting import ProgressMode, reporting, without_nan

landmarks_app = typer.Typer(help="Landmarks from one annotated image: train, detect, evaluate.")


class Mirror(str, Enum):
    """Values of --mirror."""

    NO = "no"
    YES = "yes"
    TRY = "try"


_Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
_Progress = Annotated[ProgressMode, typer.Option(help="How to tell of progress.")]


@landmarks_app.callback()
def landmarks() -> None:
    """Landmarks from one annotated image: train, detect, evaluate."""


@landmarks_app.command()
def train(
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
    output: Annotated[Path, typer.Option("--output", "-o", metavar="TEMPLATE", help="Folder for the template.")],
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
    steps: Annotated[int | None, typer.Option(min=1, help="End after so many steps.", show_default=False)] = None,
    minutes: Annotated[
        float | None, typer.Option(metavar="M", help="End after so much computing time.", show_default=False)
    ] = None,
    keep_on_cancel: Annotated[
        bool,
        typer.Option(
            "--keep-on-cancel",
            help='On Ctrl-C, or "end" on standard input, write the template with the best weights so far.',
        ),
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
    device: _Device = "auto",
    progress: _Progress = ProgressMode.BAR,
) -> None:
    """Teach a template from one annotated image, or from a few.

    With --progress json, the line after each validation carries its numbers as "validation".
    """
    with reporting(progress) as reporter, ending_early() if keep_on_cancel else nullcontext() as asked:
        reporter.progress(0.0, "starting")
        from ..tasks.landmarks import TrainRequest, train_files

        request = TrainRequest(
            image=image,
            landmarks=points,
            soi=soi,
            segment=segment,
            output=output,
            validation_image=validation_image,
            validation_soi=validation_soi,
            references=tuple(reference or ()),
            steps=steps,
            minutes=minutes,
            seed=seed,
            device=device,
            keep_on_cancel=keep_on_cancel,
        )
        try:
            bundle = train_files(
                request,
                reporter.progress if asked is None else reporter.progress.also(asked),
                lambda row: reporter.add_to_next_step(validation=without_nan(row)),
            )
        except Cancelled as error:
            raise InputError(
                "The training was ended before there was anything to keep; nothing was written."
            ) from error
        trained, notes = bundle.metadata["training"], bundle.parameters["notes"]
        reporter.finish({"template": str(output), "name": bundle.name, "training": trained, "warnings": notes})
    reporter.show(
        *(["Ended early, as was asked for; the template holds the best weights until then."] * trained["cancelled"]),
        f"Trained in {trained['steps']} steps ({trained['minutes']:.1f} minutes of computing time) on "
        f"{trained['device']}; Dice {trained['best']['dice']:.2f} on {trained['validated_on']}.",
        *notes,
        f"Written: {output} (it holds the reference image)",
    )


@landmarks_app.command()
def detect(
    template: Annotated[str, typer.Argument(metavar="TEMPLATE", help="Folder or name.", show_default=False)],
    targets: Annotated[
        list[Path],
        typer.Argument(metavar="TARGET...", help="Images, or folders of images.", show_default=False),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the results.")],
    seed_point: Annotated[
        str | None, typer.Option(metavar="R,A,S", help="A point near the structure (mm), instead of a search.")
    ] = None,
    mirror: Annotated[Mirror, typer.Option(help="Whether the targets show the other side; try: find out.")] = Mirror.NO,
    stages: Annotated[
        str, typer.Option(help="Which stages to run, separated by commas; what is left out changes nothing.")
    ] = "localize,pose,rigid,deformable",
    device: _Device = "auto",
    report: Annotated[
        Path | None, typer.Option(metavar="JSON", help="Write what each stage did, and the times.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Draw the landmarks of the first targets beside the reference.")
    ] = None,
    progress: _Progress = ProgressMode.BAR,
) -> None:
    """Find a template's landmarks on images.

    Writes a point list for each target (TARGET.mrk.json; unsure landmarks are unplaced, with the reason) and
    landmarks.csv over all of them. A target that cannot be used does not stop the others.
    """
    with reporting(progress) as reporter:
        reporter.progress(0.0, "starting")
        from ..tasks.landmarks import DetectRequest, detect_files
        from ..tasks.landmarks_report import detection_table

        request = DetectRequest(
            template=template,
            targets=tuple(targets),
            output=output,
            seed_point=_point(seed_point),
            mirror=mirror.value,
            stages=tuple(stage.strip() for stage in stages.split(",") if stage.strip()),
            device=device,
            report=report,
            picture=picture,
        )
        outcome = detect_files(request, reporter.progress)
        reporter.finish(outcome.report)
    reporter.show(detection_table(outcome), *outcome.warnings, f"Written: {output}")


@landmarks_app.command()
def evaluate(
    predicted: Annotated[
        Path, typer.Argument(metavar="PREDICTED", help="A point list: .mrk.json or .fcsv.", show_default=False)
    ],
    reference: Annotated[
        Path, typer.Argument(metavar="REFERENCE", help="The true points: .mrk.json or .fcsv.", show_default=False)
    ],
    csv: Annotated[Path | None, typer.Option("--csv", metavar="OUT", help="Write the errors as CSV, too.")] = None,
    progress: _Progress = ProgressMode.BAR,
) -> None:
    """Distances (mm) between the points of the same name in two lists; names in REFERENCE only count as unplaced."""
    with reporting(progress) as reporter:
        reporter.progress(0.0, "starting")
        from ..tasks.landmarks import evaluate_files
        from ..tasks.landmarks_report import errors_table

        found = evaluate_files(predicted, reference, csv)
        reporter.finish(found)
    reporter.show(errors_table(found, predicted, reference))


def _point(text: str | None) -> tuple[float, float, float] | None:
    if text is None:
        return None
    try:
        r, a, s = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--seed-point takes three numbers of millimetres R,A,S, not {text!r}.") from None
    return r, a, s
