"""`sparse-to-precise demo`: one edit of a phantom from beginning to end, with the truth to compare with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..core.stopping import Stopped
from .reporting import ProgressMode, reporting


def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the files; made if it is not there.")
    ] = Path("sparse-to-precise-demo"),
    progress: Annotated[ProgressMode, typer.Option(help="How to tell of progress.")] = ProgressMode.BAR,
) -> None:
    """Edit a phantom of a kidney with the default editor and compare with its truth.

    Leaves image.nrrd, before.seg.nrrd and stroke.mrk.json (the input), corrected.seg.nrrd, picture.png and report.json.
    """
    with reporting(progress) as reporter:
        reporter.progress(0.0, "making a phantom")
        from ..tasks.demo import comparison, make_demo
        from ..tasks.edit_report import edit_table

        try:
            made = make_demo(output, reporter.progress)
        except Stopped as stopped:
            stopped.left = f"no correction was written, but files of the phantom may be in {output}."
            raise
        reporter.finish(made.outcome.report)
    reporter.show(
        comparison(made),
        edit_table(made.outcome),
        *made.outcome.warnings,
        f"Written to {output}: " + ", ".join(sorted(path.name for path in output.iterdir())),
    )
