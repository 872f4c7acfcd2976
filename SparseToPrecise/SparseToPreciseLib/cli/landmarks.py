"""`sparse-to-precise landmarks`: teach landmarks from one annotated image, find them on others, compare."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from ..core.errors import InputError
from .landmarks_train import train
from .reporting import ProgressMode, reporting

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


landmarks_app.command()(train)


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
