"""What every section of the benchmark needs: counts, seeds, editors, and workers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..harness import LIBRARY, ROOT, mapped
from .answers import Tools, load_tools


@dataclass(frozen=True)
class Size:
    """How many cases; see `FULL`, `QUICK` and `TINY`."""

    phantoms_per_family: tuple[int, int, int] = (8, 8, 5)
    """Geometric, ambiguous, segmenter; for each held-out family."""
    ten_strokes_phantoms: int = 1
    """Per held-out family and kind."""
    ten_strokes_structures: tuple[int, ...] = (0, 2, 3, 7)
    strokes: int = 10
    structures: tuple[int, ...] = tuple(range(11))
    repeats: int = 3
    repeats_five: int = 1
    """Of these the cases that get five strokes."""
    structures_per_source: int = 16
    robustness_phantoms: int = 3
    robustness_repeats: int = 1
    geometry_phantoms: int = 2
    geometry_structures: tuple[int, ...] = (0, 3, 8)
    timings: int = 9
    large: tuple[int, int, int] = (400, 512, 512)
    pictures: int = 4


FULL = Size()
QUICK = Size(
    phantoms_per_family=(2, 2, 1),
    ten_strokes_structures=(2,),
    strokes=4,
    structures=(0, 2, 10),
    repeats=1,
    structures_per_source=2,
    robustness_phantoms=1,
    geometry_phantoms=1,
    geometry_structures=(3,),
    timings=3,
    large=(200, 256, 256),
)
TINY = Size(
    phantoms_per_family=(1, 0, 0),
    ten_strokes_structures=(),
    strokes=2,
    structures=(2,),
    repeats=1,
    structures_per_source=1,
    robustness_phantoms=1,
    geometry_phantoms=1,
    geometry_structures=(),
    timings=1,
    large=(64, 96, 96),
    pictures=0,
)
SIZES = {"full": FULL, "quick": QUICK, "tiny": TINY}


@dataclass(frozen=True)
class Context:
    """One run.

    Attributes
    ----------
    size
        Counts.
    seed
        Of phantoms, errors and strokes.
    workers
        Processes; one thread each.
    cache
        Folder of the rivals' weights and of the sections' results.
    device
        For the networks.
    images
        Folder of the pictures.
    """

    size: Size
    seed: int
    workers: int
    cache: Path
    device: str
    images: Path

    @property
    def rivals(self) -> Path:
        return self.cache / "rivals"

    @property
    def tools(self) -> Tools:
        return load_tools(self.rivals, self.device)

    def map(self, function: Callable[..., list], jobs: Sequence[tuple]) -> list[Any]:
        """`function(context, *job)` for every job, in worker processes; the lists joined in the jobs' order."""
        return mapped(function, [(self, *job) for job in jobs], self.workers)


def code_version() -> str:
    """Hash of every source file whose change may change a number."""
    digest = hashlib.sha256()
    for folder in (LIBRARY, Path(__file__).parent):
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.relative_to(ROOT).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
