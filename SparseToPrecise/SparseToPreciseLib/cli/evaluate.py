"""`sparse-to-precise evaluate`: results of every family against the truth."""

from __future__ import annotations

import typer

from ..tasks.box_evaluate import EvaluateBox
from ..tasks.landmarks_evaluate import EvaluateLandmarks
from ..tasks.synthesize_evaluate import EvaluateSynthesis
from .commands import command

evaluate_app = typer.Typer(help="Compare results with the truth.")


@evaluate_app.callback()
def families() -> None:
    """Compare results of a family with the truth."""


evaluate_app.command("boxes")(command(EvaluateBox))
evaluate_app.command("landmarks")(command(EvaluateLandmarks))
evaluate_app.command("synthesis")(command(EvaluateSynthesis))
