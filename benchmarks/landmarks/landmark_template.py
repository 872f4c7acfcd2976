"""The template of the benchmark: taught on one inner-ear phantom that no row is measured on."""

from __future__ import annotations

import json
from pathlib import Path

from SparseToPreciseLib.core.progress import Progress
from SparseToPreciseLib.landmarks.reference import Reference
from SparseToPreciseLib.landmarks.template import Template, load_template
from SparseToPreciseLib.landmarks.training import train_template
from SparseToPreciseLib.phantoms.cochlea import Cochlea, make_cochlea

REFERENCE = {"number": 0, "use": "train", "spacing_mm": 0.3, "rotation_deg": 0.0, "offset_mm": 3.0}
VALIDATION = {"number": 1, "use": "train", "spacing_mm": 0.4}


def as_reference(case: Cochlea) -> Reference:
    return Reference(case.image, case.soi, case.landmarks)


def taught(folder: Path, steps: int, device: str = "cpu") -> tuple[Template, dict]:
    """The template, trained anew unless it is there with the same number of steps, and how it was trained."""
    path = folder / "configs" / "metadata.json"
    there = path.is_file() and json.loads(path.read_text(encoding="utf-8"))["training"]["limits"]["steps"] == steps
    if not there:
        progress = Progress(lambda share, message: print(f"{share:4.0%} {message}", flush=True))
        train_template(
            folder,
            [as_reference(make_cochlea(**REFERENCE))],
            as_reference(make_cochlea(**VALIDATION)),
            steps=steps,
            device=device,
            progress=progress,
        )
    return load_template(folder, device), json.loads(path.read_text(encoding="utf-8"))["training"]
