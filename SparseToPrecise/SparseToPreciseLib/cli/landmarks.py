"""`sparse-to-precise landmarks`: teach landmarks from one annotated image, find them on others, compare."""

from __future__ import annotations

import typer

from ..tasks.landmarks_detect import DetectLandmarks
from ..tasks.landmarks_evaluate import EvaluateLandmarks
from .commands import command
from .train import landmarks as train

landmarks_app = typer.Typer(help="Landmarks from one annotated image: train, detect, evaluate.")


@landmarks_app.callback()
def landmarks() -> None:
    """Landmarks from one annotated image: train, detect, evaluate."""


landmarks_app.command("train")(train)  # its name before all families had `train`
landmarks_app.command("detect")(command(DetectLandmarks))
landmarks_app.command("evaluate")(command(EvaluateLandmarks))
