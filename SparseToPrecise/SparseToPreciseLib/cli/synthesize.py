"""`sparse-to-precise synthesize` and `synthesize-evaluate`: a CT of an MR, and how near it is to a true one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .reporting import ProgressMode, reporting

_Progress = Annotated[ProgressMode, typer.Option(help="How to tell of progress.")]


def synthesize(
    mrs: Annotated[
        list[Path],
        typer.Argument(
            metavar="MR...", help="MR images (.nrrd, .nii, .nii.gz or .mha), or folders of them.", show_default=False
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="CT", help="The CT's file; a folder for several MRs (MR-CT, in the MR's format)."
        ),
    ],
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="BUNDLE", help="Folder or name; given several times, the answers are averaged."),
    ] = None,
    body_mask: Annotated[
        Path | None,
        typer.Option(
            metavar="M", help="Segmentation or labelmap of the body, on any grid. Default: found in the MR itself."
        ),
    ] = None,
    uncertainty: Annotated[
        Path | None,
        typer.Option(
            metavar="U", help="Write the standard deviation (HU) over mirrored images and models; several times slower."
        ),
    ] = None,
    bands: Annotated[
        Path | None,
        typer.Option(metavar="PREFIX", help="Write PREFIX-low, -high and -probability, in the CT's format."),
    ] = None,
    classes: Annotated[
        Path | None, typer.Option(metavar="SEG", help="Write air, soft tissue and bone as a segmentation.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    tile: Annotated[
        int | None,
        typer.Option(metavar="N", help="Voxels along a tile; smaller needs less memory.", show_default=False),
    ] = None,
    overlap: Annotated[
        float | None, typer.Option(metavar="F", help="Share of a tile that its neighbour covers. Default: 0.5.")
    ] = None,
    report: Annotated[Path | None, typer.Option(metavar="JSON", help="Write sizes, timings, device, models.")] = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Draw MR and CT of the first cases on three planes.")
    ] = None,
    progress: _Progress = ProgressMode.BAR,
) -> None:
    """Make the CT of an MR, on the MR's own grid: int16 HU, -1024 outside the body. Research use only.

    Several MRs are worked on one after the other; --uncertainty, --bands and --classes then name folders, too, and an
    MR that cannot be used does not stop the others.
    """
    with reporting(progress) as reporter:
        reporter.progress(0.0, "starting")
        from ..tasks.synthesize import SynthesizeRequest, synthesize_files
        from ..tasks.synthesize_names import is_batch
        from ..tasks.synthesize_report import synthesis_table

        request = SynthesizeRequest(
            mrs=tuple(mrs),
            output=output,
            models=tuple(model or ()),
            body_mask=body_mask,
            uncertainty=uncertainty,
            bands=bands,
            classes=classes,
            device=device,
            tile=tile,
            overlap=overlap,
            report=report,
            picture=picture,
        )
        outcome = synthesize_files(request, reporter.progress)
        reporter.finish(outcome.report)
    files = outcome.cases[0].files
    made = [output] if is_batch(request) else [*files.volumes, files.classes]
    written = ", ".join(str(path) for path in (*made, report, picture) if path is not None)
    reporter.show(synthesis_table(outcome), *outcome.warnings, f"Written: {written}")


def synthesize_evaluate(
    ct: Annotated[Path, typer.Argument(metavar="CT", help="The synthetic CT.", show_default=False)],
    reference: Annotated[
        Path, typer.Argument(metavar="REFERENCE", help="The true CT, on any grid.", show_default=False)
    ],
    mask: Annotated[
        Path | None,
        typer.Option(metavar="M", help="Segmentation or labelmap where to compare. Default: the reference's body."),
    ] = None,
    error_map: Annotated[
        Path | None, typer.Option(metavar="E", help="Write CT - reference in HU on the CT's grid, 0 outside the mask.")
    ] = None,
    json: Annotated[Path | None, typer.Option("--json", metavar="J", help="Write the numbers as JSON.")] = None,
    progress: _Progress = ProgressMode.BAR,
) -> None:
    """Compare a synthetic CT with a true one: errors by tissue and along bone edges, similarity, detail."""
    with reporting(progress) as reporter:
        reporter.progress(0.0, "starting")
        from ..tasks.synthesize_evaluate import evaluate_files
        from ..tasks.synthesize_report import evaluation_table

        found = evaluate_files(ct, reference, mask, error_map, json, reporter.progress)
        reporter.finish(found.as_json())
    written = [str(path) for path in (error_map, json) if path is not None]
    shown = [f"Written: {', '.join(written)}"] if written else []
    reporter.show(evaluation_table(found, ct, reference), *found.definitions, *found.notes, *shown)
