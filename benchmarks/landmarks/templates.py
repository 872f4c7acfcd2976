"""The templates of the benchmark, each taught on one image that no row is measured on as it is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.progress import Progress
from SparseToPreciseLib.landmarks.recipe import BATCH, STEPS, train_template
from SparseToPreciseLib.landmarks.reference import Reference
from SparseToPreciseLib.phantoms.cochlea import Cochlea, make_cochlea

from ..harness import DATA
from . import section_abdomen as section_landmark_abdomen
from . import section_brain as section_landmark_brain
from . import section_ears
from . import section_skull as section_landmark_skull
from .context import TRAINING_CODE, Context

COCHLEA = {"number": 0, "use": "train", "spacing_mm": 0.3, "rotation_deg": 0.0, "offset_mm": 3.0}
VALIDATION = {"number": 1, "use": "train", "spacing_mm": 0.4}


def of_cochlea(case: Cochlea) -> Reference:
    return Reference(case.image, case.soi, case.landmarks)


REFERENCES: dict[str, Callable[[], Reference]] = {
    "cochlea": lambda: of_cochlea(make_cochlea(**COCHLEA)),
    "brain": section_landmark_brain.reference,
    "kidney": section_landmark_abdomen.kidney,
    "vertebra": section_landmark_abdomen.vertebra,
    "skull": section_landmark_skull.reference,
    **{section_ears.template_name(ear): partial(section_ears.reference, ear) for ear in section_ears.EARS},
}
OTHERS_BATCH = 12
"""Slices per step of every template but the first, which has the default settings."""
REAL = ("brain", "kidney", "vertebra", *map(section_ears.template_name, section_ears.EARS))


def teach(context: Context, names: list[str], commit: str, keep: bool) -> None:
    """Train what is not there yet, one beside the other; the context then says how each was trained, or why not.

    `keep`: a template of older code will do.
    """
    waiting = {}
    for name in names:
        folder = context.template_folder(name)
        if name in REAL and not DATA.is_dir():
            continue
        stamp = _stamp(folder)
        if stamp is None or not (keep or stamp["code"] == TRAINING_CODE):
            steps = STEPS if name == "cochlea" else context.counts.other_steps
            waiting[name] = context.pool.submit(_taught, folder, name, steps)
    for name, future in waiting.items():
        try:
            future.result()
        except InputError as error:
            context.untaught[name] = str(error)
        else:
            content = json.dumps({"code": TRAINING_CODE, "commit": commit})
            context.template_folder(name).with_suffix(".json").write_text(content)
        print(f"{'not ' if name in context.untaught else ''}taught: {name}", flush=True)
    for name in REFERENCES:
        path = context.template_folder(name) / "configs" / "metadata.json"
        if path.is_file() and name not in context.untaught:
            training = json.loads(path.read_text(encoding="utf-8"))["training"]
            context.templates[name] = {**training, "stamp": _stamp(context.template_folder(name))}


def _stamp(folder: Path) -> dict | None:
    """Which code taught a template."""
    path = folder.with_suffix(".json")
    return json.loads(path.read_text()) if path.is_file() and (folder / "configs" / "metadata.json").is_file() else None


def _taught(folder: Path, name: str, steps: int) -> None:
    validation = of_cochlea(make_cochlea(**VALIDATION)) if name == "cochlea" else None

    def report(share: float, message: str) -> None:
        with folder.with_suffix(".log").open("a") as log:
            log.write(f"{share:.0%} {message}\n")

    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    batch = BATCH if name == "cochlea" else OTHERS_BATCH
    options = {"steps": steps, "batch_size": batch, "device": "cpu", "progress": Progress(report)}
    train_template(folder, [REFERENCES[name]()], validation, **options)
