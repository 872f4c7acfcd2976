"""`sparse-to-precise planes`."""

from __future__ import annotations

import typer

from ..tasks.planes_fill import FillPlanes
from ..tasks.planes_suggest import SuggestPlane
from .commands import command

planes_app = typer.Typer(help="Sparse planes: paint a few, get the volume, be told which to paint next.")


@planes_app.callback()
def planes() -> None:
    """Sparse planes: paint a few, get the volume, be told which to paint next."""


planes_app.command("fill")(command(FillPlanes))
planes_app.command("suggest")(command(SuggestPlane))
