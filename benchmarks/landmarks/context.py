"""What every section of the benchmark of landmarks needs: counts, cached cases in several processes, scores."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from SparseToPreciseLib.core.files import write_atomically
from SparseToPreciseLib.landmarks.confidence import PLACED
from SparseToPreciseLib.landmarks.detect import Detection
from SparseToPreciseLib.landmarks.model import Template, load_template

from ..harness import LIBRARY

CONFIDENT = 0.5
BINS = (0.0, 0.3, 0.5, 0.7, 0.9, 1.0)


@dataclass(frozen=True)
class Counts:
    """How many cases; see `FULL` and `QUICK`."""

    phantoms: int = 30
    rows: int = 30
    angles: tuple[float, ...] = (0.0, 45.0, 90.0, 135.0, 180.0)
    offsets: tuple[float, ...] = (8.0, 16.0, 24.0)
    repeats: int = 2
    contrasts: int = 3
    absent: int = 6
    brains: int = 6
    abdomens: int = 3
    skulls: int = 10
    ears: int = 30
    large: tuple[int, int, int] = (512, 512, 160)
    other_steps: int = 800


FULL = Counts()
QUICK = Counts(2, 2, (0.0, 180.0), (0.0, 16.0), 1, 1, 1, 2, 1, 2, 3, (128, 128, 64))


@dataclass
class Context:
    """One run: how many, where results go, and the processes that measure."""

    counts: Counts
    cache: Path
    results: Path
    images: Path
    pool: Executor
    templates: dict[str, dict] = field(default_factory=dict)
    untaught: dict[str, str] = field(default_factory=dict)

    def each(
        self, section: str, measure: Callable[[Any, Any], dict], template: str | None, cases: Sequence[Any]
    ) -> list[dict]:
        """`measure(template folder, case)` of every case, in the cases' order.

        Cases that were measured with the same code are not measured again. Without a template only the benchmark's
        own code counts.
        """
        folder = self.results / "cases"
        folder.mkdir(parents=True, exist_ok=True)
        where = self.template_folder(template) if template else None
        code = (_code_of(measure), LIBRARY_CODE if where else "", where and weights_of(where))
        paths = [folder / f"{section}-{_key((*code, case))}.json" for case in cases]
        waiting = {}
        for path, case in zip(paths, cases, strict=True):
            if not path.exists():
                waiting[path] = self.pool.submit(_timed, measure, where, case)
        for path, future in waiting.items():
            content = json.dumps(future.result())
            write_atomically(path, lambda there, content=content: there.write_text(content))
            print(".", end="", flush=True)
        return [json.loads(path.read_text()) for path in paths]

    def template_folder(self, name: str) -> Path:
        return self.cache / "templates" / name


_ONLY_DETECTION = {
    *("alternatives", "confidence", "deformable", "detect", "fusion", "metrics", "propagation", "register", "rigid"),
}
"""Files of the family that no training uses."""


def _hashed(paths: Sequence[Path], more: str = "") -> str:
    digest = hashlib.sha256(more.encode())
    for path in sorted(set(paths)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


_CODE = [
    *(LIBRARY / name for name in ("core/resampling.py", "core/volume.py", "phantoms/cochlea.py", "phantoms/fields.py")),
    *(path for folder in ("core/training", "landmarks") for path in (LIBRARY / folder).glob("*.py")),
]
TRAINING_CODE = _hashed([path for path in _CODE if path.stem not in _ONLY_DETECTION])
LIBRARY_CODE = _hashed(_CODE)
"""What changes a template, and what changes any figure of the tool."""


def _code_of(measure: Callable) -> str:
    """Of the benchmark's code that can change what a section measures: what stands above its `run`."""
    own = Path(sys.modules[measure.__module__].__file__ or "")
    above = own.read_text(encoding="utf-8").partition("\ndef run(")[0]
    shared = ("known_warps", "itk_recipes", "from_pose", "skull_phantom")
    return _hashed([own.parent / f"{name}.py" for name in shared], above)


def weights_of(folder: Path) -> str:
    return hashlib.sha256((folder / "models" / "model.pt").read_bytes()).hexdigest()


def _key(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, default=str).encode()).hexdigest()[:16]


def _timed(measure: Callable[[Any, Any], dict], where: Path | None, case: Any) -> dict:
    started = time.process_time()
    found = measure(where, case)
    return {**found, "computing": time.process_time() - started}


_loaded: dict[Path, Template] = {}


def template_at(folder: Path) -> Template:
    if folder not in _loaded:
        _loaded[folder] = load_template(folder, "cpu")
    return _loaded[folder]


def errors(truth: Mapping[str, np.ndarray], found: Mapping[str, np.ndarray]) -> dict[str, float | None]:
    """Radial errors in mm; None where there is no answer."""
    return {
        name: float(np.linalg.norm(found[name] - point)) if name in found else None for name, point in truth.items()
    }


def told(found: Detection) -> dict[str, Any]:
    """What the tool says of itself: confidence by landmark, how the pose was found, and its time."""
    report = found.registered[0].report if found.registered else {}
    pose = {key: report.get("pose", {}).get(key) for key in ("used", "moments_score", "search_score")}
    pose["used"] = report.get("rigid", {}).get("started_from", pose["used"])
    return {
        "confidence": {one.name: one.confidence for one in found.landmarks},
        "pose": pose,
        "timings": found.timings,
    }


def joined(cases: Sequence[dict], others: Sequence[dict]) -> list[dict]:
    """The same cases with the rows of both."""
    return [{**one, "errors": {**one["errors"], **more["errors"]}} for one, more in zip(cases, others, strict=True)]


def summary(cases: Sequence[dict], row: str, near_mm: float) -> dict[str, float]:
    """Of every landmark that a row gives, whatever its confidence; lost: cases whose median error is not near."""
    everything = [error for one in cases for error in one["errors"][row].values()]
    known = np.array([error for error in everything if error is not None])
    medians = [_median(one["errors"][row]) for one in cases]
    return {
        "cases": len(cases),
        "lost": int(sum(one is None or one > near_mm for one in medians)),
        "given": len(known),
        "wanted": len(everything),
        "mean": float(known.mean()) if len(known) else float("nan"),
        "median": float(np.median(known)) if len(known) else float("nan"),
        "p95": float(np.percentile(known, 95)) if len(known) else float("nan"),
        "largest": float(known.max()) if len(known) else float("nan"),
        "within_1": float((known <= 1).sum() / len(everything)),
        "within_2": float((known <= 2).sum() / len(everything)),
        "near": float((known <= near_mm).sum() / len(everything)),
    }


def _median(found: Mapping[str, float | None]) -> float | None:
    known = [error for error in found.values() if error is not None]
    return float(np.median(known)) if known else None


def pairs_of(cases: Sequence[dict]) -> list[tuple[float | None, float]]:
    """(error or None, confidence) of all landmarks of the tool."""
    return [(one["errors"]["full"][name], one["confidence"][name]) for one in cases for name in one["confidence"]]


def placed_summary(cases: Sequence[dict], near_mm: float) -> dict[str, float]:
    """Of the landmarks that the tool places by default."""
    pairs = pairs_of(cases)
    placed = np.array([error for error, sure in pairs if sure >= PLACED and error is not None])
    confident = np.array([error for error, sure in pairs if sure >= CONFIDENT and error is not None])
    return {
        "wanted": len(pairs),
        "placed": len(placed),
        "mean": float(placed.mean()) if len(placed) else float("nan"),
        "median": float(np.median(placed)) if len(placed) else float("nan"),
        "largest": float(placed.max()) if len(placed) else float("nan"),
        "within_2": float((placed <= 2).sum() / len(pairs)),
        "within_2_of_placed": float((placed <= 2).mean()) if len(placed) else float("nan"),
        "near": float((placed <= near_mm).sum() / len(pairs)),
        "confident": len(confident),
        "confident_far": int((confident > near_mm).sum()),
        "worst_confident": float(confident.max()) if len(confident) else float("nan"),
    }


def nearness(cases: Sequence[dict], near_mm: float) -> list[tuple[bool, float]]:
    """(near, confidence) of all landmarks of the tool."""
    return [(error is not None and error <= near_mm, sure) for error, sure in pairs_of(cases)]


def calibration(pairs: Sequence[tuple[bool, float]]) -> list[dict[str, float]]:
    """For bins of confidence: how many landmarks, and which share of them is near."""
    rows = []
    for low, high in zip(BINS[:-1], BINS[1:], strict=True):
        inside = [(near, sure) for near, sure in pairs if low <= sure < high or (high == 1.0 and sure == 1.0)]
        mean, near = np.mean(inside, axis=0)[::-1] if inside else (float("nan"), float("nan"))
        rows.append({"low": low, "high": high, "count": len(inside), "mean": float(mean), "near": float(near)})
    return rows


def shares(cases: Sequence[dict]) -> dict[str, float]:
    """Of the detection's time, by stage."""
    stages: dict[str, float] = {}
    for one in cases:
        for stage, seconds in one["timings"].items():
            stages[stage] = stages.get(stage, 0.0) + seconds
    total = sum(stages.values())
    return {stage: seconds / total for stage, seconds in stages.items()} if total else {}


def poses(cases: Sequence[dict]) -> dict[str, int]:
    """How often the best pose came from the moments and from the search over rotations."""
    counted: dict[str, int] = {}
    for one in cases:
        used = one["pose"].get("used")
        if used:
            counted[used] = counted.get(used, 0) + 1
    return counted
