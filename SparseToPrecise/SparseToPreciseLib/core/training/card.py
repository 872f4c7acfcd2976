"""What the model cards and metadata of all families say alike."""

from __future__ import annotations

import io
import platform
import textwrap
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from ... import __version__
from ..software import package_versions

Rows = Sequence[Mapping[str, float]]
"""Of a training log."""


def best_row(rows: Rows) -> Mapping[str, float]:
    """The row whose weights the bundle holds."""
    return min(rows, key=lambda row: row["validation_loss"])


def software_versions(packages: Sequence[str] = ()) -> dict[str, str]:
    """Versions of what a training ran with, by package; always with torch, monai and numpy."""
    always = ("torch", "monai", "numpy")
    return dict.fromkeys(always, "unknown") | package_versions((*always, *packages))


def common_metadata(name: str, packages: Sequence[str], source: str) -> dict[str, Any]:
    """MONAI's keys that do not depend on the family.

    Parameters
    ----------
    name
        Of the bundle.
    packages
        Needed besides torch, monai and numpy.
    source
        What was trained on.
    """
    versions = software_versions(packages)
    return {
        "schema": "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/"
        "meta_schema_20240725.json",
        "version": __version__,
        "changelog": {__version__: "trained by configs/train.json"},
        "monai_version": versions["monai"],
        "pytorch_version": versions["torch"],
        "numpy_version": versions["numpy"],
        "required_packages_version": {one: versions[one] for one in packages if one in versions},
        "name": name,
        "authors": "The SparseToPrecise developers",
        "copyright": "Apache-2.0",
        "data_source": source,
        "intended_use": "Research. Not for diagnosis.",
    }


def network_data_format(
    channels: Sequence[str], value_range: Sequence[float], outputs: Sequence[str], kind: str, patch: Mapping[str, Any]
) -> dict[str, Any]:
    """MONAI's description of what goes into a network and what comes out.

    Parameters
    ----------
    channels, outputs
        Names of the channels.
    value_range
        Of the input.
    kind
        Of the output: "logits", "image".
    patch
        "format", "spatial_shape" and what else is the same of both.
    """

    def described(kind: str, names: Sequence[str], limits: Sequence[float]) -> dict[str, Any]:
        return {
            "type": kind,
            "num_channels": len(names),
            "value_range": list(limits),
            "channel_def": {str(number): name for number, name in enumerate(names)},
            "dtype": "float32",
            "is_patch_data": False,
            **patch,
        }

    return {
        "inputs": {"image": described("image", channels, value_range)},
        "outputs": {"pred": described(kind, outputs, [])},
    }


def training_facts(rows: Rows, device: str, processes: int, seconds: float, packages: Sequence[str]) -> dict[str, Any]:
    """What "training" in the metadata says of every training: its length, where it ran, and its best row."""
    return {
        "steps": rows[-1]["steps"],
        "minutes": rows[-1]["minutes"],
        "clock": "computing time of the process" if device == "cpu" else "wall time",
        "wall_seconds": round(seconds, 1),
        "device": device,
        "processes": processes,
        "best": {key: value for key, value in best_row(rows).items() if value == value},
        "date": datetime.now(timezone.utc).date().isoformat(),
        "software": {
            "sparse-to-precise": __version__,
            "python": platform.python_version(),
            **software_versions(packages),
        },
    }


def how_it_ended(recipe: Any, training: Mapping[str, Any]) -> str:
    """Lines of a card's list: when the training ended, and with what software.

    Parameters
    ----------
    recipe
        With minutes, epochs, steps and seed.
    training
        From `training_facts`.
    """
    limits = {"minutes": recipe.minutes, "epochs": recipe.epochs, "steps": recipe.steps}
    ends = [f"{value:g} {unit}" for unit, value in limits.items() if value is not None]
    software = ", ".join(f"{name} {number}" for name, number in training["software"].items())
    ended = (
        f"Ended after {' or '.join(ends)}: {training['steps']} steps in {training['minutes']:.1f} minutes "
        f"({training['clock']}) on {training['device']}, {training['processes']} process(es); "
        f"{training['wall_seconds'] / 60:.1f} minutes of wall time altogether."
    )
    seeds = f"Seed {recipe.seed}. Software: {software}."
    again = (
        "The recipe is `configs/train.json`; `python -m monai.bundle run training --config_file configs/train.json` "
        "runs it again."
    )
    return f"{paragraph('- ' + ended)}\n{paragraph('- ' + seeds)}\n\n{paragraph(again)}"


def paragraph(text: str) -> str:
    """Markdown in lines of at most 120 characters; those of a list's item are indented."""
    return textwrap.fill(text, 120, subsequent_indent="  " * text.startswith("- "), break_on_hyphens=False)


def before_and_after(rows: Rows, measures: Mapping[str, tuple[str, str]], before: str = "before") -> str:
    """Table of the first row and of the best one; the measures that the log lacks are left out.

    Parameters
    ----------
    rows
        Of the training log.
    measures
        Column of the log to (heading, format).
    before
        Of the first row.
    """
    first, best = rows[0], best_row(rows)
    there = {name: shown for name, shown in measures.items() if name in best}

    def line(label: str, row: Mapping[str, float]) -> str:
        return f"| {label} | " + " | ".join(format(row[name], form) for name, (_, form) in there.items()) + " |"

    head = "| | " + " | ".join(heading for heading, _ in there.values()) + " |"
    lines = [head, "|---|" + "---:|" * len(there), line(before, first)]
    return "\n".join([*lines, line(f"these weights (step {best['steps']})", best)])


def validation_curve(rows: Rows, measures: Mapping[str, str], ylabel: str = "", start: str = "") -> bytes:
    """A PNG over the steps: the losses on the left, on the right what else is measured.

    Parameters
    ----------
    rows
        Of the training log.
    measures
        Column of the log to label.
    ylabel
        On the right.
    start
        Label of a line at what was measured before training; empty: there is no line.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    steps = [row["steps"] for row in rows]
    left.plot(steps, [row["validation_loss"] for row in rows], "o-", label="validation")
    left.plot(steps, [row["training_loss"] for row in rows], ".--", label="training", alpha=0.6)
    left.set(xlabel="steps", ylabel="loss")
    for name, label in measures.items():
        if name in rows[0]:
            right.plot(steps, [row[name] for row in rows], "o-", label=label)
            if start:
                right.axhline(rows[0][name], color="gray", linestyle="--", label=start)
    right.set(xlabel="steps", ylabel=ylabel)
    for axes in (left, right):
        axes.legend()
        axes.grid(alpha=0.3)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
