"""What every section of the benchmark of synthesis needs: counts, the cache, the seed and the default model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Counts:
    """How many cases; see `FULL` and `QUICK`.

    Attributes
    ----------
    phantoms
        Held-out head phantoms that a section may test on.
    seeds, training_phantoms, training_steps
        Of the ablation: trainings per row, phantoms that all of them share, steps of each.
    rows
        Of the ablation, by name; empty: all.
    large
        (K, J, I) voxels of the volume whose memory is measured.
    """

    phantoms: int = 10
    seeds: int = 3
    training_phantoms: int = 24
    training_steps: int = 400
    rows: tuple[str, ...] = ()
    large: tuple[int, int, int] = (300, 512, 512)


FULL = Counts()
QUICK = Counts(3, 2, 2, 5, ("base", "frequency"), (64, 192, 192))


@dataclass(frozen=True)
class Context:
    """One run: how many, where intermediate results are kept and pictures go, seed, and the model that is measured.

    Attributes
    ----------
    model
        Folder of the default bundle.
    until
        `time.monotonic` after which no training of the ablation begins; what is missing waits for the next run.
    """

    counts: Counts
    cache: Path
    images: Path
    seed: int
    model: Path
    until: float = math.inf
