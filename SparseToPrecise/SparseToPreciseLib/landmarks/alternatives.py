"""Other answers that are not searched but told of: a structure of another size than was taught, and the other side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..core.volume import Volume
from .inputs import Surroundings
from .localize import Place, lattice
from .model import Template
from .pose import Candidate, PoseScorer
from .search import Pattern, Sampled, TurnedPatterns, search

_FACTORS = (0.5, 0.63, 0.8, 1.0, 1.25, 1.6, 2.0, 2.5, 3.2)
_BETWEEN = (0.9, 1.11)
_FEWER = 4
"""One of so many rotations is tried."""
_EVALUATIONS = 60
_MOST_CENTRES = 4
_AS_TAUGHT = 1.15
"""The relative change of size that templates are taught with: no reason to doubt."""
OWN_MIRROR = 0.95
"""Similarity from which a structure is its own mirror image, as far as other individuals are alike: measured 0.997 for
a skull, whose individuals resemble each other by 0.96; 0.82 for an inner ear."""
MIRROR = np.diag([-1.0, 1.0, 1.0, 1.0])
"""4x4, from the world to its mirror image, in which the other side looks like the taught one."""
_ALIKE, _BETTER = 0.6, 0.05
"""Similarity from which another size is believed, and by how much it must fit better."""


@dataclass(frozen=True)
class SizeFit:
    """The size under which a reference resembles a target most.

    Attributes
    ----------
    factor
        Size of the target's structure over that of the reference's.
    score, score_as_taught
        `visible_similarity` in and close to the structure, of this size and of the taught one.
    """

    factor: float
    score: float
    score_as_taught: float

    @property
    def differs(self) -> bool:
        """Whether the taught size is out of question."""
        other = not 1 / _AS_TAUGHT <= self.factor <= _AS_TAUGHT
        return other and self.score >= _ALIKE and self.score > self.score_as_taught + _BETTER


def fitting_size(template: Template, number: int, target: Surroundings, places: Sequence[Place]) -> SizeFit:
    """The best of sizes from half to three times the taught one, to some ten per cent.

    Parameters
    ----------
    template, number
        The template, and the number of the reference that is compared.
    target, places
        The image, and places at which the structure may be; an image that holds only a few of it is searched
        everywhere.
    """
    diameter = template.scale.diameter_mm
    pattern, few = _patterns(template, number)
    shortest = float((target.image.spacing * target.image.shape[::-1]).min())
    best: dict[float, Candidate] = {}
    for factor in _FACTORS:
        if factor * diameter > 2 * shortest:
            continue
        seen = Surroundings.of(target.image, factor * template.scale.window_mm)
        everywhere = lattice(target.image.grid, factor * diameter)
        centres = [*(place.centre for place in places), *(everywhere if len(everywhere) <= _MOST_CENTRES else ())]
        best[factor] = max(
            (_posed(pattern, few, seen, centre, diameter, factor) for centre in centres), key=lambda one: one.score
        )
    coarse = max(best, key=lambda factor: best[factor].score)
    for between in _BETWEEN:
        factor = coarse * between
        seen = Surroundings.of(target.image, factor * template.scale.window_mm)
        place = Place(best[coarse].centre, 1.0, None, None)
        scorer = PoseScorer(_resized(pattern, factor), seen, place, factor * diameter)
        best[factor] = scorer.refined(best[coarse], _EVALUATIONS)
    found = max(best, key=lambda factor: best[factor].score)
    return SizeFit(found, best[found].score, best[1.0].score)


def mirror_similarity(template: Template, number: int = 0) -> float:
    """Similarity of a reference's structure and its own mirror image; near 1, its sides cannot be told apart."""
    image, scale = template.surroundings[number].image, template.scale
    mirrored = Surroundings.of(Volume(image.array, MIRROR @ image.ijk_to_ras, image.name), scale.window_mm)
    centre = template.references[number].centre * np.diag(MIRROR)[:3]
    return _posed(*_patterns(template, number), mirrored, centre, scale.diameter_mm, 1.0).score


def _patterns(template: Template, number: int) -> tuple[Pattern, TurnedPatterns]:
    """The reference's structure as it is compared, under only some of the rotations."""
    pattern, turned = template.patterns[number]
    few = replace(turned, rotations=turned.rotations[::_FEWER], weights=turned.weights[:, ::_FEWER])
    return pattern, replace(few, values=turned.values[::_FEWER])


def _posed(
    pattern: Pattern,
    patterns: TurnedPatterns,
    seen: Surroundings,
    centre: np.ndarray,
    diameter_mm: float,
    factor: float,
) -> Candidate:
    """The best pose of the structure at one size around a place."""
    resized = replace(patterns, sampled=_scaled(patterns.sampled, factor))
    ((_, rotation, where),) = search(resized, seen, centre, factor * diameter_mm, 1)
    place = Place(centre, 1.0, None, None)
    scorer = PoseScorer(_resized(pattern, factor), seen, place, factor * diameter_mm)
    return scorer.refined(Candidate(rotation, pattern.centre, where, 0.0, "search"), _EVALUATIONS)


def _resized(pattern: Pattern, factor: float) -> Pattern:
    return replace(pattern, points=factor * pattern.points, sampled=_scaled(pattern.sampled, factor))


def _scaled(sampled: Sampled, factor: float) -> Sampled:
    return replace(sampled, step_mm=factor * sampled.step_mm)
