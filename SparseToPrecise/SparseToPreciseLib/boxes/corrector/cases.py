"""Scenes for training, validating and calibrating a corrector: phantoms, or a user's cases and copies of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...anatomy.cases import AnatomyCubes
from ...core.box import Box
from ...core.masks import mean_diameter
from ...core.progress import Progress
from ..scenes import Scene, deformed, halved, mixed_scenes
from .trainer import Sampling

COPIES = 120
"""Deformed copies of a user's cases that are trained on at a time; they give way to new ones while it lasts."""
STRENGTHS = 0.7, 1.8
"""Least and largest strength of their deformation, see `deformed`."""
VALIDATION_COPIES = 12
LEAST_TO_HOLD_BACK = 3
"""Cases; of so many and more, one in four but at least one is held back."""
ENOUGH_TO_CALIBRATE = 3
"""Cases held back; with fewer, deformed copies of them are calibrated on, too, since so few show little of how patients
differ. With enough of them copies would only differ more than patients do, and make the calibration too careful."""
UNLIKE = 1.6
"""Strength of the copies that are calibrated on where no case can be held back: they stand for other patients."""


@dataclass(frozen=True)
class SceneSets:
    """The scenes of one training, and the sampling of boxes around their objects.

    Attributes
    ----------
    training, validation, calibration
        The scenes for each of these.
    sampling
        Has the length and the direction of a user's cases.
    held_back
        Validation and calibration are on objects that are not trained on.
    largest_mm
        `mean_diameter` of the largest of a user's objects; None of phantoms, which have any.
    renew, lasting
        As in `CorrectorTrainer`.
    user_cases
        How many cases a user gave; None: phantoms.
    sources
        `AnatomyCubes.sources` of the real anatomy among the phantoms.
    """

    training: Sequence[Scene]
    validation: Sequence[Scene]
    calibration: Sequence[Scene]
    sampling: Sampling
    held_back: bool
    largest_mm: float | None = None
    renew: Callable[[np.random.Generator], Scene] | None = None
    lasting: int = 0
    user_cases: int | None = None
    sources: Sequence[dict[str, str | int]] = ()


def phantom_sets(
    seed: int,
    counts: tuple[int, int, int],
    sampling: Sampling,
    progress: Progress,
    anatomy: str | os.PathLike[str] | None = None,
) -> SceneSets:
    """Phantoms of different seeds: `counts` of them for training, validation and calibration; most of them are real
    anatomy where there is a folder of it, and its cases for validation are calibrated on, too."""
    drawn = [None, None] if anatomy is None else [AnatomyCubes(anatomy, role) for role in ("train", "validate")]
    first = seed * 1_000_000
    total, done, sets = sum(counts), 0, []
    for number, count in enumerate(counts):
        seeds = range(first + number * 250_000, first + number * 250_000 + count)
        part = progress.part(done / total, (done + count) / total)
        sets.append(mixed_scenes(seeds, drawn[min(number, 1)], part))
        done += count
    return SceneSets(*sets, sampling, True, sources=() if anatomy is None else drawn[0].sources)


def case_sets(seed: int, cases: Sequence[Scene], sampling: Sampling, progress: Progress) -> SceneSets:
    """A user's cases, some of them held back where there are enough, and copies that are renewed while it lasts."""
    view = replace(sampling.view, typical_mm=typical_length(cases))
    rng = np.random.default_rng([seed, 5])
    held = max(len(cases) // 4, 1) if len(cases) >= LEAST_TO_HOLD_BACK else 0
    kept, back = list(cases[: len(cases) - held]), list(cases[len(cases) - held :])
    copies = []
    for number in range(COPIES):
        progress(number / COPIES, f"deformed copies: {number + 1} of {COPIES}")
        copies.append(_copy(kept[number % len(kept)], rng, rng.uniform(*STRENGTHS)))
    source, strength = (back, 1.0) if back else (kept, UNLIKE)
    others = [_copy(source[number % len(source)], rng, strength) for number in range(VALIDATION_COPIES)]

    def renew(chance: np.random.Generator) -> Scene:
        return _copy(kept[int(chance.integers(len(kept)))], chance, chance.uniform(*STRENGTHS))

    return SceneSets(
        training=kept + copies,
        validation=back + others,
        calibration=back if len(back) >= ENOUGH_TO_CALIBRATE else back + others,
        sampling=replace(sampling, view=view, inverted_share=0.0),
        held_back=bool(back),
        largest_mm=max(mean_diameter(case.mask.array > 0, case.mask.grid.spacing_kji) for case in cases),
        renew=renew,
        lasting=len(kept),
        user_cases=len(cases),
    )


def typical_length(cases: Sequence[Scene]) -> float:
    """Median length (mm) of the objects: the geometric mean of the sides of each one's box."""
    return float(np.median([np.cbrt(Box.bounding(case.mask).volume_mm3) for case in cases]))


def _copy(scene: Scene, rng: np.random.Generator, strength: float = 1.0) -> Scene:
    """A deformed copy in half precision, so that many of large cases fit into memory."""
    made = deformed(scene, rng, strength)
    return replace(made, image=made.image.with_array(halved(made.image.array)))
