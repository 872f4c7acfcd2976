"""`sparse-to-precise edit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..core.errors import InputError
from .reporting import ProgressMode, reporting


def _millimetres(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"The influence radius must be a number of millimetres, not {text!r}.") from None


def edit(
    image: Annotated[
        Path, typer.Argument(metavar="IMAGE", help="The image: .nrrd, .nii, .nii.gz or .mha.", show_default=False)
    ],
    segmentation: Annotated[
        Path,
        typer.Argument(
            metavar="SEGMENTATION",
            help="What to correct: .seg.nrrd, or a labelmap in one of those formats.",
            show_default=False,
        ),
    ],
    strokes: Annotated[
        list[Path],
        typer.Argument(
            metavar="STROKE",
            help="Strokes along the true boundary, applied in order: .mrk.json (curve or point list) or .fcsv.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write; its extension says the format.")],
    segment: Annotated[
        str | None,
        typer.Option(help="ID, name or label value of the segment; needed when there are several."),
    ] = None,
    influence_radius: Annotated[
        float | None,
        typer.Option(
            parser=_millimetres,
            metavar="MM",
            help="Nothing farther than this from a stroke changes. Default, printed with the result: the "
            "greatest of 1.5 times the distance from the stroke to the present boundary, a third of the stroke's "
            "length (up to half the segment's radius), and 3 voxels.",
        ),
    ] = None,
    no_keep_earlier_edits: Annotated[
        bool, typer.Option("--no-keep-earlier-edits", help="Let a later stroke change what an earlier one put right.")
    ] = False,
    protect: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A segment (ID, name or label value) of which not one voxel may change, or all for every other "
            "segment; may be given several times.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="BUNDLE",
            help="Folder or name of a model bundle, or image-aware-warp or signed-distance-warp, which need no model.",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    picture: Annotated[
        Path | None,
        typer.Option(metavar="PNG", help="Draw before, stroke and after on the three slices through the stroke."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="JSON", help="Write what changed where, timings, device and model."),
    ] = None,
    progress: Annotated[ProgressMode, typer.Option(help="How to tell of progress.")] = ProgressMode.BAR,
) -> None:
    """Correct a segmentation: near each stroke its boundary follows the stroke, elsewhere not one voxel changes.

    OUTPUT as .seg.nrrd keeps all other segments, names, colours and terminology. As a labelmap (.nrrd, .nii.gz,
    .mha) it keeps the other labels: a voxel that becomes part of the segment takes its label, one that leaves it
    becomes 0, both only within the influence radius of a stroke. What other
    segments lost is told; --protect keeps them.
    """
    with reporting(progress) as reporter:
        reporter.progress(0.0, "starting")
        from ..tasks.edit import EditRequest, edit_files
        from ..tasks.edit_report import edit_table, others_table

        request = EditRequest(
            image=image,
            segmentation=segmentation,
            strokes=strokes,
            output=output,
            segment=segment,
            influence_radius_mm=influence_radius,
            keep_earlier_edits=not no_keep_earlier_edits,
            protect=protect or (),
            model=model,
            device=device,
            picture=picture,
            report=report,
        )
        outcome = edit_files(request, reporter.progress)
        reporter.finish(outcome.report)
    tables = [table for table in (edit_table(outcome), others_table(outcome)) if table is not None]
    reporter.show(*tables, *outcome.warnings, f"Written: {output}")
