"""The command line's groups, to which each family's module of this package adds its commands."""

from __future__ import annotations

import typer

app = typer.Typer(
    name="sparse-to-precise",
    help="From one stroke to a corrected segmentation. Research use only.",
    add_completion=False,
    rich_markup_mode=None,  # its columns cut the options' names off on a narrow terminal
    pretty_exceptions_enable=False,
)
train_app = typer.Typer(help="Train a model.")
evaluate_app = typer.Typer(help="Compare results with the truth.")


@train_app.callback()
def train() -> None:
    """Train a model of a family."""


@evaluate_app.callback()
def evaluate() -> None:
    """Compare results of a family with the truth."""
