"""What a template's bundle says of itself: metadata, configs, model card and validation curve."""

from __future__ import annotations

import io
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from .. import __version__

if TYPE_CHECKING:
    from .cases import Augmentation
    from .model import Scale
    from .moments import Moments
    from .reference import Reference

_PACKAGES = ("torch", "monai", "numpy", "scipy", "SimpleITK")


@dataclass(frozen=True)
class Facts:
    """What happened in a training.

    Attributes
    ----------
    references, scale, moments
        What was taught; the network's own moments on each reference.
    rows, log
        Of the training, and as CSV.
    network, augmentation, learning_rate, batch_size, seed, limits
        How it was trained; limits by unit.
    device, seconds
        Where, and the wall time of everything.
    held_back
        What validation was on.
    cancelled
        Whether the user ended it.
    notes
        Warnings about the references.
    """

    references: Sequence[Reference]
    scale: Scale
    moments: Sequence[Moments]
    rows: Sequence[dict[str, float]]
    log: str
    network: Mapping[str, Any]
    augmentation: Augmentation
    learning_rate: float
    batch_size: int
    seed: int
    limits: Mapping[str, float]
    device: str
    seconds: float
    held_back: str
    cancelled: bool
    notes: Sequence[str]

    @property
    def best(self) -> dict[str, float]:
        """The row whose weights the bundle holds."""
        return min(self.rows, key=lambda row: row["validation_loss"])


def describe(name: str, facts: Facts) -> dict[str, Any]:
    """Keyword arguments of `save_template`: metadata, inference, training, card and more."""
    metadata = _metadata(name, facts)
    return {
        "metadata": metadata,
        "inference": _inference(),
        "training": {"network": dict(facts.network), **metadata["training"]},
        "card": _card(name, facts, metadata),
        "more": {"docs/log.csv": facts.log, "docs/validation.png": _curve(facts.rows)},
    }


def _metadata(name: str, facts: Facts) -> dict[str, Any]:
    versions = {package: found for package in _PACKAGES if (found := _version(package))}
    slices = {
        "type": "image",
        "format": "slice",
        "num_channels": 1,
        "spatial_shape": [f"{facts.scale.size}"] * 2,
        "dtype": "float32",
        "is_patch_data": False,
    }
    inputs = {**slices, "value_range": [-4, 4], "channel_def": {"0": "intensity against its surroundings"}}
    outputs = {**slices, "type": "logits", "value_range": [], "channel_def": {"0": "structure of interest"}}
    return {
        "schema": "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/"
        "meta_schema_20240725.json",
        "version": __version__,
        "changelog": {__version__: "trained"},
        "monai_version": versions.get("monai", ""),
        "pytorch_version": versions.get("torch", ""),
        "numpy_version": versions.get("numpy", ""),
        "required_packages_version": {key: versions[key] for key in ("scipy", "SimpleITK") if key in versions},
        "name": name,
        "task": "Landmarks from one annotated image",
        "description": "Finds a structure on slices along three axes; the references in this bundle carry the "
        "landmarks over. For SparseToPrecise. Research use only.",
        "authors": "The SparseToPrecise developers; the references are their owner's",
        "copyright": "Apache-2.0 for the software; the references are their owner's",
        "data_source": f"{len(facts.references)} annotated image(s) of the user",
        "data_type": "image",
        "intended_use": "Research. Not for diagnosis.",
        "references": ["Wang et al.: A One-Shot Learning Framework for Landmark Detection in Volumetric Images, 2021"],
        "network_data_format": {"inputs": {"image": inputs}, "outputs": {"pred": outputs}},
        "family": "landmarks",
        "network": dict(facts.network),
        "parameters": {
            **asdict(facts.scale),
            "landmarks": list(facts.references[0].landmarks),
            "moments": [moments.as_parameters() for moments in facts.moments],
            "notes": list(facts.notes),
        },
        "training": {
            "references": len(facts.references),
            "validated_on": facts.held_back,
            "augmentation": asdict(facts.augmentation),
            "learning_rate": facts.learning_rate,
            "batch_size": facts.batch_size,
            "seed": facts.seed,
            "limits": dict(facts.limits),
            "steps": facts.rows[-1]["steps"],
            "minutes": facts.rows[-1]["minutes"],
            "wall_seconds": round(facts.seconds, 1),
            "device": facts.device,
            "cancelled": facts.cancelled,
            "best": {key: value for key, value in facts.best.items() if value == value},
            "date": datetime.now(timezone.utc).date().isoformat(),
            "software": {"sparse-to-precise": __version__, "python": platform.python_version(), **versions},
        },
    }


def _inference() -> dict[str, Any]:
    """For MONAI's launcher: the network of this bundle on the slices of a volume is `finder`; detection is one call."""
    return {
        "imports": ["$from pathlib import Path"],
        "bundle_root": "$str(Path.cwd())",
        "target": None,
        "device": "auto",
        "template": {
            "_target_": "SparseToPreciseLib.landmarks.model.load_template",
            "path": "@bundle_root",
            "device": "@device",
        },
        "image": {"_target_": "SparseToPreciseLib.core.images.read_image", "path": "@target"},
        "detection": {
            "_target_": "SparseToPreciseLib.landmarks.detect.detect",
            "template": "@template",
            "target": "@image",
        },
        "inferring": ["$print(@detection.as_text())"],
    }


def _card(name: str, facts: Facts, metadata: Mapping[str, Any]) -> str:
    best, training, scale = facts.best, metadata["training"], facts.scale
    ends = ", ".join(f"{value:g} {unit}" for unit, value in facts.limits.items())
    software = ", ".join(f"{package} {number}" for package, number in training["software"].items())
    notes = "".join(f"- {note}\n" for note in facts.notes)
    held = (
        "Validated on another image."
        if facts.held_back == "another image"
        else "Validated on **other slices of the same image**: over-fitting to that one image is not controlled."
    )
    return f"""# {name}

Finds {", ".join(facts.references[0].landmarks)} in images that show the same structure as the reference(s) in this
bundle. For SparseToPrecise; after Wang et al., "A One-Shot Learning Framework for Landmark Detection in Volumetric
Images" (2021). Research use only, not for diagnosis.

**The bundle holds the reference images ({len(facts.references)}).** Whoever gets it gets them.

```bash
sparse-to-precise landmarks detect {name} TARGET --output DIR
```

## What it does

A {facts.network["name"]} segments the structure, {scale.diameter_mm:.3g} mm long, on slices with pixels of
{scale.spacing_mm:.3g} mm along three axes; where the three agree, the structure is. Its moments of inertia and a search
over rotations give the pose; rigid and diffeomorphic registration of a reference carry the landmarks over.

## Training

- Slices of {scale.size} x {scale.size} pixels; Adam, learning rate {facts.learning_rate:g} falling to 0 along a cosine,
  {facts.batch_size} slices a step, cross-entropy and Dice.
- Limits: {ends}. {training["steps"]} steps in {training["minutes"]:.1f} minutes of computing time on {facts.device};
  {facts.seconds / 60:.1f} minutes of wall time altogether.{" Ended by the user." if facts.cancelled else ""}
- {held} Best loss {best["validation_loss"]:.4f}, Dice {best["dice"]:.3f} at step {best["steps"]};
  all rows are in [log.csv](log.csv).
- Seed {facts.seed}. Software: {software}.
{notes}
![validation](validation.png)
"""


def _curve(rows: Sequence[dict[str, float]]) -> bytes:
    """A PNG of the loss and of the Dice, over the steps."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    steps = [row["steps"] for row in rows]
    left.plot(steps, [row["validation_loss"] for row in rows], "o-", label="validation")
    left.plot(steps, [row["training_loss"] for row in rows], ".--", label="training", alpha=0.6)
    left.set(xlabel="steps", ylabel="loss")
    left.legend()
    right.plot(steps, [row["dice"] for row in rows], "o-", color="tab:green")
    right.set(xlabel="steps", ylabel="Dice")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # Slicer brings some without their metadata
        return ""
