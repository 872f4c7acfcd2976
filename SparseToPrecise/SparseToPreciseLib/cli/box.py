"""`sparse-to-precise box`: tighten loose boxes, segment inside boxes, compare with a mask."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from .reporting import ProgressMode, reporting

box_app = typer.Typer(help="Loose 3D boxes: tighten, segment inside, evaluate.")


class Axis(str, Enum):
    """Values of --axis."""

    AUTO = "auto"
    I = "I"  # noqa: E741  the axis's name
    J = "J"
    K = "K"


_Image = Annotated[
    Path, typer.Argument(metavar="IMAGE", help="The image: .nrrd, .nii, .nii.gz or .mha.", show_default=False)
]
_Roi = Annotated[
    Path | None,
    typer.Argument(
        metavar="ROI",
        help="The box: .mrk.json (an ROI, possibly rotated), or a segmentation or labelmap for its bounding box.",
        show_default=False,
    ),
]
def _numbers(texts: tuple[str, ...] | None) -> tuple[float, ...] | None:
    """At the option itself: an option that fewer numbers have swallowed would be told as missing otherwise."""
    try:
        return None if texts is None else tuple(float(text) for text in texts)
    except ValueError:
        raise typer.BadParameter(f"six numbers of millimetres are needed, not {' '.join(texts)!r}.") from None


_Bounds = Annotated[
    tuple[str, str, str, str, str, str] | None,
    typer.Option(
        metavar="R R A A S S",
        help="Instead of ROI: lower and upper bound along R, A and S in mm.",
        callback=_numbers,
    ),
]
_Segment = Annotated[
    str | None,
    typer.Option(help="ID, name or label value of the segment in ROI; needed when there are several."),
]
_Coverage = Annotated[
    float,
    typer.Option(
        help="Share of the object that is to stay inside: 0.99 is careful, 0.9 much tighter and may cut a tenth of it."
    ),
]
_Margin = Annotated[float, typer.Option(metavar="MM", help="Left around what was found, within the given box.")]
_Axis = Annotated[
    Axis,
    typer.Option(help="Axis of the box along which slices are cut; auto: the image's axis of the thickest slices."),
]
_Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
_Report = Annotated[Path | None, typer.Option(metavar="JSON", help="Write boxes, volumes, timings, device and model.")]
_Progress = Annotated[ProgressMode, typer.Option(help="How to tell of progress.")]


@box_app.callback()
def boxes() -> None:
    """Loose 3D boxes: tighten, segment inside, evaluate."""


@box_app.command()
def tighten(
    image: _Image,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="ROI", help="The tightened box, as .mrk.json.")],
    roi: _Roi = None,
    bounds_ras: _Bounds = None,
    segment: _Segment = None,
    slices_csv: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Write the box of every slice, in mm from the box's centre.")
    ] = None,
    slices_segmentation: Annotated[
        Path | None,
        typer.Option(metavar="SEG", help="Write the boxes of the slices as a segment: .seg.nrrd or a labelmap."),
    ] = None,
    axis: _Axis = Axis.AUTO,
    margin: _Margin = 0.0,
    coverage: _Coverage = 0.99,
    model: Annotated[
        str | None, typer.Option(metavar="BUNDLE", help="Folder or name of a bundle trained as boxes-corrector.")
    ] = None,
    device: _Device = "auto",
    report: _Report = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Draw slices with the given, the slices' and the tightened box.")
    ] = None,
    progress: _Progress = ProgressMode.BAR,
) -> None:
    """Tighten a loose box around the one object in it.

    Where the model is unsure the box stays as it was given, and a sentence says why.
    """
    with reporting(progress) as reporter:
        reporter.progress(0.0, "starting")
        from ..tasks.box_report import advice, tighten_table
        from ..tasks.box_tighten import TightenRequest, tighten_files

        request = TightenRequest(
            image=image,
            roi=roi,
            bounds_ras=bounds_ras,
            segment=segment,
            output=output,
            slices_csv=slices_csv,
            slices_segmentation=slices_segmentation,
            axis=axis.value,
            margin_mm=margin,
            coverage=coverage,
            model=model,
            device=device,
            report=report,
            picture=picture,
        )
        outcome = tighten_files(request, reporter.progress)
        reporter.finish(outcome.report)
    reporter.show(tighten_table(outcome), *outcome.warnings, *advice(outcome.result), f"Written: {output}")


@box_app.command("segment")
def segment_command(
    image: _Image,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="SEG", help="A .seg.nrrd file or a labelmap.")],
    roi: _Roi = None,
    bounds_ras: _Bounds = None,
    segment: _Segment = None,
    tighten_first: Annotated[
        bool, typer.Option("--tighten-first", help="Tighten the box, and segment within the boxes of its slices.")
    ] = False,
    axis: _Axis = Axis.AUTO,
    margin: _Margin = 0.0,
    coverage: _Coverage = 0.99,
    model: Annotated[
        str | None, typer.Option(metavar="BUNDLE", help="Folder or name of a bundle trained as boxes-segmenter.")
    ] = None,
    corrector: Annotated[
        str | None, typer.Option(metavar="BUNDLE", help="With --tighten-first: a bundle trained as boxes-corrector.")
    ] = None,
    device: _Device = "auto",
    report: _Report = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Draw slices with the box and the segmentation.")
    ] = None,
    progress: _Progress = ProgressMode.BAR,
) -> None:
    """Segment the one object in a box; nothing outside the box becomes part of it.

    --axis, --margin and --coverage are those of tightening.
    """
    with reporting(progress) as reporter:
        reporter.progress(0.0, "starting")
        from ..tasks.box_report import advice, segment_table
        from ..tasks.box_segment import segment_files
        from ..tasks.box_tighten import SegmentRequest

        request = SegmentRequest(
            image=image,
            roi=roi,
            bounds_ras=bounds_ras,
            segment=segment,
            output=output,
            tighten_first=tighten_first,
            axis=axis.value,
            margin_mm=margin,
            coverage=coverage,
            model=model,
            corrector=corrector,
            device=device,
            report=report,
            picture=picture,
        )
        outcome = segment_files(request, reporter.progress)
        reporter.finish(outcome.report)
    reporter.show(segment_table(outcome), *outcome.warnings, *advice(outcome.tightened), f"Written: {output}")


@box_app.command()
def evaluate(
    predicted: Annotated[
        Path,
        typer.Argument(
            metavar="PREDICTED", help="An ROI (.mrk.json), a segmentation or a labelmap.", show_default=False
        ),
    ],
    reference: Annotated[
        Path, typer.Argument(metavar="REFERENCE_MASK", help="A segmentation or a labelmap.", show_default=False)
    ],
    predicted_segment: Annotated[
        str | None, typer.Option(help="ID, name or label value of the segment in PREDICTED.")
    ] = None,
    reference_segment: Annotated[
        str | None, typer.Option(help="ID, name or label value of the segment in REFERENCE_MASK.")
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print a line of names and a line of numbers instead.")] = False,
    progress: _Progress = ProgressMode.BAR,
) -> None:
    """Compare a box, the boxes of slices or a segmentation with a mask: slice IoU, coverage, errors of sides, Dice.

    Slices are those of the mask's axis of the thickest voxels. An error of a side is how far the box's side lies
    outside the tight box of the mask; negative where it cuts the object.
    """
    with reporting(progress) as reporter:
        reporter.progress(0.0, "starting")
        from ..tasks.box_evaluate import evaluate_files
        from ..tasks.box_report import comparison_csv, comparison_table

        found = evaluate_files(predicted, reference, predicted_segment, reference_segment)
        reporter.finish(found)
    reporter.show(comparison_csv(found) if csv else comparison_table(found, predicted, reference))
