"""Cases from phantom families that no model was trained on."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.masks import dice
from SparseToPreciseLib.core.volume import Grid, Volume
from SparseToPreciseLib.editing.cases import Simulation, training_segmenters
from SparseToPreciseLib.editing.simulation import AMBIGUOUS_KINDS, GEOMETRIC_KINDS, corrupt
from SparseToPreciseLib.editing.working_grid import normalised
from SparseToPreciseLib.phantoms import HELD_OUT_FAMILIES, make_phantom

from .cases import LEAST_DICE, Case

KINDS = ("geometric", "ambiguous", "segmenter")
SIZE, SPACING_MM = 80, 1.0
SMALLEST_MM, LARGEST_MM = 6.0, 14.0
ATTEMPTS = 40


@lru_cache(maxsize=1)
def _segmenters(seed: int) -> tuple:
    """Under-trained networks for the held-out families, trained on other phantoms of these."""
    return tuple(training_segmenters(Simulation(families=HELD_OUT_FAMILIES, seed=seed + 101)))


def held_out_cases(family: str, kind: str, count: int, seed: int = 0, errors: int = 1) -> Iterator[Case]:
    """`count` wrong segmentations of phantoms of one family, each with a place for a stroke.

    Parameters
    ----------
    family, kind
        One of `HELD_OUT_FAMILIES` and of `KINDS`.
    count
        Phantoms on which no stroke can be drawn are replaced by the next.
    seed
        Of phantoms and errors.
    errors
        How often simulated errors are added to the same phantom.

    Raises
    ------
    InputError
        Too few usable phantoms.
    """
    half = (SIZE - 1) / 2 * SPACING_MM
    grid = Grid(
        (SIZE,) * 3,
        np.array([[SPACING_MM, 0, 0, -half], [0, SPACING_MM, 0, -half], [0, 0, SPACING_MM, -half], [0, 0, 0, 1]]),
    )
    made = 0
    for attempt in range(ATTEMPTS * count):
        key = [seed, HELD_OUT_FAMILIES.index(family), KINDS.index(kind), attempt]
        rng = np.random.default_rng(key)
        phantom = make_phantom(family, int(rng.integers(2**31)), (SIZE,) * 3)
        image, truth = phantom.image.astype(np.float32), phantom.target
        wrong = _wrong(truth, normalised(image.copy()), kind, errors, seed, rng)
        if wrong is None or not wrong.any() or wrong.all():
            continue
        place = grid.ijk_to_ras
        name = f"phantom {family}"
        case = Case(
            name,
            kind,
            Volume(image, place, name),
            Volume(truth, place, name),
            Volume(wrong, place, name),
            grid,
            truth,
        )
        if case.stroke(np.random.default_rng(key)) is None:
            continue
        yield case
        made += 1
        if made == count:
            return
    raise InputError(f"Only {made} of {count} cases could be made of the family {family}; ask for fewer.")


def _wrong(
    truth: np.ndarray, image: np.ndarray, kind: str, errors: int, seed: int, rng: np.random.Generator
) -> np.ndarray | None:
    if kind == "segmenter":
        segmenters = _segmenters(seed)
        output = segmenters[rng.integers(len(segmenters))](image, truth)
        return output if dice(truth, output) >= LEAST_DICE else None
    wrong = truth
    try:
        for _ in range(errors):
            spoilt, _ = corrupt(
                truth,
                rng,
                rng.uniform(SMALLEST_MM, LARGEST_MM) / SPACING_MM,
                image,
                GEOMETRIC_KINDS if kind == "geometric" else AMBIGUOUS_KINDS,
                centre=np.array(truth.shape) / 2 if errors == 1 else None,
            )
            wrong = wrong ^ (spoilt ^ truth)
    except InputError:  # no error of this size fits this object
        return None
    return wrong
