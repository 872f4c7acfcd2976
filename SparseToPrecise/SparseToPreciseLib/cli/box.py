"""`sparse-to-precise box`: tighten loose boxes, segment inside boxes, compare with a mask."""

from __future__ import annotations

import typer

from ..tasks.box_evaluate import EvaluateBox
from ..tasks.box_segment import SegmentBox
from ..tasks.box_tighten import TightenBox
from .commands import command

box_app = typer.Typer(help="Loose 3D boxes: tighten, segment inside, evaluate.")


@box_app.callback()
def boxes() -> None:
    """Loose 3D boxes: tighten, segment inside, evaluate."""


box_app.command("tighten")(command(TightenBox))
box_app.command("segment")(command(SegmentBox))
box_app.command("evaluate")(command(EvaluateBox))
