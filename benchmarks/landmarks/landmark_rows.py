"""What is measured on one phantom: our answer, what its stages alone would say, and other ways to the landmarks."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from SparseToPreciseLib.landmarks.detect import Detection, detect
from SparseToPreciseLib.landmarks.itk_images import moved
from SparseToPreciseLib.landmarks.template import Template, load_template
from SparseToPreciseLib.phantoms.cochlea import Cochlea, make_cochlea

FINEST, COARSEST = 0.25, 0.6

ROWS = {
    "naive": "naive: rigid + demons from the reference's position, no initialisation (the paper's baseline)",
    "centre": "centre of mass only",
    "pose": "pose only (moments and search over rotations)",
    "rigid": "rigid with that pose (demons off)",
    "no_signs": "pose by moments alone, eigenvectors' signs as they come; rigid + demons",
    "full": "**all stages (the tool)**",
}

_loaded: dict[Path, Template] = {}


def benchmark_case(number: int) -> Cochlea:
    """A held-out phantom: another pose, shape, voxel size and noise for each number."""
    rng = np.random.default_rng([number, 9])
    return make_cochlea(number, "benchmark", spacing_mm=rng.uniform(FINEST, COARSEST, 3))


def measure(folder: Path, number: int) -> dict:
    """Errors in mm of every row on a phantom, by landmark, and what the tool says of itself."""
    if folder not in _loaded:
        import SimpleITK as sitk
        import torch

        torch.set_num_threads(1)
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
        _loaded[folder] = load_template(folder, "cpu")
    template = _loaded[folder]
    case = benchmark_case(number)
    started = time.perf_counter()
    full = detect(template, case.image, threshold=0.0)
    seconds = time.perf_counter() - started
    rows = {"full": full.placed, **_stages_of(template, full)}
    others = {
        "naive": {"stages": ("rigid", "deformable")},
        "no_signs": {"signs": False, "search": False},
    }
    for name, options in others.items():
        rows[name] = detect(template, case.image, threshold=0.0, **options).placed
    return {
        "number": number,
        "errors": {name: _errors(case, found) for name, found in rows.items()},
        "confidence": {one.name: one.confidence for one in full.landmarks},
        "evidence": {} if not full.registered else {k: v.features for k, v in full.registered[0].evidence.items()},
        "relative_mass": float(full.place.mass),
        "seconds": seconds,
        "timings": full.timings,
    }


def _stages_of(template: Template, found: Detection) -> dict[str, dict[str, np.ndarray]]:
    """Where the landmarks were after each stage."""
    if not found.registered:
        return {"centre": {}, "pose": {}, "rigid": {}}
    (laid,) = found.registered
    marks = template.references[0].landmarks
    shift = found.place.centre - template.places[0].centre
    posed = np.array(laid.report["pose"]["matrix"])
    return {
        "centre": {name: point + shift for name, point in marks.items()},
        "pose": {name: moved(posed, point) for name, point in marks.items()},
        "rigid": {name: moved(laid.matrix, point) for name, point in marks.items()},
    }


def _errors(case: Cochlea, found: dict[str, np.ndarray]) -> dict[str, float | None]:
    return {
        name: float(np.linalg.norm(found[name] - point)) if name in found else None
        for name, point in case.landmarks.items()
    }
