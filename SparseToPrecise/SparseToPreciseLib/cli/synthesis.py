"""`sparse-to-precise synthesize`, `evaluate synthesis` and `train synthesis`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..core.bundles import Bundle
from ..core.errors import InputError
from ..tasks.synthesize import Synthesize
from ..tasks.synthesize_evaluate import EvaluateSynthesis
from .apps import app, evaluate_app, train_app
from .commands import command
from .train_options import Anatomy, Phantoms, Training, refuse_both, trained_on, training_command

app.command("synthesize")(command(Synthesize))
app.command("synthesize-evaluate")(command(EvaluateSynthesis))  # its name before all families had `evaluate`
evaluate_app.command("synthesis")(command(EvaluateSynthesis))


@train_app.command("synthesis")
@training_command("synthesis")
def synthesis(
    dataset: Annotated[
        Path | None,
        typer.Option(
            metavar="DATALIST",
            help='Train on own pairs: a JSON file {"training": [{"image": MR, "label": CT}], "validation": [...]} with '
            "paths relative to it.",
        ),
    ] = None,
    register: Annotated[
        bool,
        typer.Option(
            "--register", help="With --dataset: bring each CT onto its MR first; pairs that do not fit are left out."
        ),
    ] = False,
    anatomy: Anatomy = None,
    phantoms: Phantoms = None,
    sigma: Annotated[
        float | None, typer.Option(metavar="MM", help="Between the low and the high band. Default: the recipe's.")
    ] = None,
    spacing: Annotated[
        float | None, typer.Option(metavar="MM", help="Voxels on which the model works. Default: the recipe's.")
    ] = None,
    adversarial: Annotated[
        float | None,
        typer.Option(metavar="WEIGHT", help="Of the discriminator on the high band; 0: none. Default: the recipe's."),
    ] = None,
) -> Training:
    """Train a model that makes a CT of an MR, and write it as a bundle, with its log, curve and model card.

    Without further options, by the recipe of the model that comes with the software. With --progress json, the line
    after each validation carries its numbers as "validation".
    """
    refuse_both(dataset, phantoms)
    refuse_both(dataset, anatomy, other_name="anatomy")
    refuse_both(anatomy, phantoms, name="anatomy")
    if dataset is None and register:
        raise InputError("--register brings together the pairs of --dataset, which is not given.")
    pairs: dict[str, Any] = {}
    if dataset is not None:
        from ..tasks.synthesis_pairs import read_pairs

        pairs = read_pairs(dataset, register)
    overrides = {} if adversarial is None else {"adversarial::weight": adversarial}

    def registered() -> list[dict[str, Any]]:
        return [one for files in pairs.values() for one in files.found]

    def lines(bundle: Bundle) -> list[str]:
        best = "Best mean absolute error {mae_hu:.1f} HU at step {steps}; bone Dice {bone_dice:.3f}."
        told = [f"{one['mr']}: {one['sentence']}" + ("" if one["used"] else " Left out.") for one in registered()]
        return [*told, *trained_on(bundle, "pairs", best)]

    given = {"anatomy": anatomy, "phantoms": phantoms, "sigma_mm": sigma, "spacing_mm": spacing}
    return Training(
        {**given, "overrides": overrides, **pairs},
        lines,
        lambda bundle: {"registration": registered()} if register else {},
    )
