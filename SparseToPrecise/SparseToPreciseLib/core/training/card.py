"""Common part of the model cards and metadata of all families; the cards' texts are templates in Resources/Cards."""

from __future__ import annotations

import io
import platform
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from ... import __version__
from ..bundles import resource
from ..software import package_versions

Rows = Sequence[Mapping[str, float]]
"""Validations, as a training log holds them."""

_SENTENCE = re.compile(r"(?m)^<!-- (\w+): ([\w-]+) -->\n")


@dataclass(frozen=True)
class TrainingSummary:
    """Facts of a training of any family.

    Attributes
    ----------
    name, family
        Of the bundle.
    rows
        The training's log.
    packages
        That a model needs besides torch, monai and numpy.
    device, processes
        Where it was trained, and in how many processes.
    seconds
        Wall time of everything.
    bfloat16
        Whether the network computed in bfloat16.
    cancelled
        Whether the user ended it early.
    """

    name: str
    family: str
    rows: Rows
    packages: Sequence[str]
    device: str
    processes: int
    seconds: float
    bfloat16: bool = False
    cancelled: bool = False

    @property
    def best(self) -> Mapping[str, float]:
        """The row whose weights the bundle holds."""
        return min(self.rows, key=lambda row: row["validation_loss"])

    @property
    def clock(self) -> str:
        """Unit of its minutes."""
        return "computing time of the process" if self.device == "cpu" else "wall time"

    @property
    def software(self) -> dict[str, str]:
        """Versions of what it ran with, by package."""
        return {
            "sparse-to-precise": __version__,
            "python": platform.python_version(),
            **software_versions(self.packages),
        }

    def facts(self) -> dict[str, Any]:
        """Values of every training under "training" in the metadata: its length, its device, its best row."""
        return {
            "steps": self.rows[-1]["steps"],
            "minutes": self.rows[-1]["minutes"],
            "clock": self.clock,
            "wall_seconds": round(self.seconds, 1),
            "device": self.device,
            "processes": self.processes,
            "cancelled": self.cancelled,
            "best": {key: value for key, value in self.best.items() if value == value},
            "date": datetime.now(timezone.utc).date().isoformat(),
            "software": self.software,
        }


@dataclass(frozen=True)
class Description:
    """Facts of a training that are of one family alone.

    Attributes
    ----------
    source
        What was trained on, in a few words.
    about
        MONAI's keys of the metadata: task, description, data_type, references, network_data_format.
    parameters
        What the family's algorithm needs to know of the model.
    training
        Further facts for "training" in the metadata.
    choices, values, measures, before
        For the card's template, see `filled_card`.
    curve, ylabel, start
        For the picture, see `validation_curve`.
    files
        Further files of the bundle, path to content.
    """

    source: str
    about: Mapping[str, Any]
    parameters: Mapping[str, Any]
    training: Mapping[str, Any]
    measures: Mapping[str, tuple[str, str]]
    curve: Mapping[str, str]
    choices: Mapping[str, str | bool] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    before: str = "before"
    ylabel: str = ""
    start: str = ""
    files: Mapping[str, str | bytes] = field(default_factory=dict)


def software_versions(packages: Sequence[str] = ()) -> dict[str, str]:
    """Versions of what a training ran with, by package; always with torch, monai and numpy."""
    always = ("torch", "monai", "numpy")
    return dict.fromkeys(always, "unknown") | package_versions((*always, *packages))


def bundle_metadata(
    summary: TrainingSummary, description: Description, network: Mapping[str, Any], started_from: str | None
) -> dict[str, Any]:
    """MONAI's keys and ours; everything a reader or the program must know of a model.

    Parameters
    ----------
    network
        As `core.networks.build_network` takes it.
    started_from
        The name of the bundle whose weights the training began with.
    """
    versions = software_versions(summary.packages)
    return {
        "schema": "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/"
        "meta_schema_20240725.json",
        "version": __version__,
        "changelog": {__version__: "trained by configs/train.json"},
        "monai_version": versions["monai"],
        "pytorch_version": versions["torch"],
        "numpy_version": versions["numpy"],
        "required_packages_version": {one: versions[one] for one in summary.packages if one in versions},
        "name": summary.name,
        "authors": "The SparseToPrecise developers",
        "copyright": "Apache-2.0",
        "data_source": description.source,
        "intended_use": "Research. Not for diagnosis.",
        **description.about,
        "family": summary.family,
        "network": dict(network),
        "parameters": dict(description.parameters),
        "training": {
            "data": description.source,
            **description.training,
            "started_from": started_from,
            **summary.facts(),
        },
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


def filled_card(summary: TrainingSummary, description: Description, recipe: Any) -> str:
    """The model card (Markdown): the family's template of Resources/Cards, filled.

    A template is the card with one line a paragraph, and names in braces as `str.format` takes them. Below it stand
    sentences of which one may be chosen: that after `<!-- data: phantoms -->` takes the place of {data} where the
    choice of data is "phantoms", that after `<!-- longest: yes -->` where the choice of longest is true. Further names
    are `ending` (the template common.md), `table`, `recipe`, `summary` and the description's values.

    Parameters
    ----------
    description
        Its choices say which sentence takes a name's place, none where one is false; its measures and before are those
        of `before_and_after`.
    recipe
        A `recipe.TrainingRecipe`.
    """
    card, *own = _SENTENCE.split(resource(f"Cards/{summary.family}.md").read_text(encoding="utf-8"))
    ending, *common = _SENTENCE.split(resource("Cards/common.md").read_text(encoding="utf-8"))
    card, more = card.strip().replace("{ending}", ending.strip()), own + common
    sentences = {
        (name, choice): text.strip() for name, choice, text in zip(*(more[k::3] for k in range(3)), strict=True)
    }
    alike = {"bfloat16": summary.bfloat16, "started": recipe.start is not None, "cancelled": summary.cancelled}
    for name, choice in {**description.choices, **alike}.items():
        if f"{{{name}}}" not in card:
            continue
        text = sentences[name, "yes" if choice is True else choice] if choice else ""
        card = card.replace(f"{{{name}}}", text)
    ends = {"minutes": recipe.minutes, "epochs": recipe.epochs, "steps": recipe.steps}
    filled = card.format(
        summary=summary,
        recipe=recipe,
        last=summary.rows[-1],
        best=summary.best,
        ends=" or ".join(f"{value:g} {unit}" for unit, value in ends.items() if value is not None),
        wall_minutes=summary.seconds / 60,
        software=", ".join(f"{name} {number}" for name, number in summary.software.items()),
        table=before_and_after(summary.rows, description.measures, description.before),
        **description.values,
    )
    as_is = ("#", "|", "!", "`", "sparse-to-precise ")
    lines = [line if line.startswith(as_is) else paragraph(line) for line in filled.splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)) + "\n"


def paragraph(text: str) -> str:
    """Markdown in lines of at most 120 characters; those of a list's item are indented."""
    text = " ".join(text.split())
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
    first, best = rows[0], min(rows, key=lambda row: row["validation_loss"])
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
