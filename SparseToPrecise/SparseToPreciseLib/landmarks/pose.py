"""The pose of the structure: by its moments, by a search over all rotations, and which of them is better.

Moments say nothing reliable where the network saw only a part of the structure, and nothing at all about an axis' ends.
A search over rotations knows no probabilities but sees all intensities of the structure. Candidates of both kinds, at
every place where the structure may be, are judged by one score and refined; the best few are handed to the
registration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage, optimize
from scipy.spatial.transform import Rotation

from ..core.progress import Progress
from .inputs import Surroundings
from .localize import Place
from .search import SHIFT, Pattern, TurnedPatterns, angle_between, search
from .similarity import visible_similarity

_PER_PLACE = 6
_HALF_REFINED, _REFINED, _KEPT = 24, 8, 4
_FEW, _MANY = 60, 160
"""Evaluations of the score for a candidate: first for many, then for the best."""
_SURE = 0.7
"""Score above which no other contrast is tried."""
_APART_DEG, _APART = 25.0, 0.3


@dataclass(frozen=True)
class Candidate:
    """A pose: the reference's point `about` comes to lie on `centre`, turned by `rotation`.

    Attributes
    ----------
    rotation
        (3, 3), RAS.
    about, centre
        RAS in the reference and in the target, mm.
    score
        Higher is better; `visible_similarity` in and close to the structure, so comparable between all candidates.
    how
        moments, search or given.
    place
        Number of the place at which it was looked for.
    """

    rotation: np.ndarray
    about: np.ndarray
    centre: np.ndarray
    score: float
    how: str
    place: int = 0

    @property
    def matrix(self) -> np.ndarray:
        """4x4, reference to target, RAS."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.rotation
        matrix[:3, 3] = self.centre - self.rotation @ self.about
        return matrix


@dataclass(frozen=True)
class PoseResult:
    """Candidates, best first, and what each kind reached.

    Attributes
    ----------
    candidates
        Refined, at least one.
    moments_score, search_score
        Best of each kind after refinement; None: the kind was not asked for, or moments were not there.
    ratios
        Ratios of the target's moments at the first place; None: no moments.
    """

    candidates: Sequence[Candidate]
    moments_score: float | None = None
    search_score: float | None = None
    ratios: tuple[float, float] | None = None


class PoseScorer:
    """Compares the reference's structure with the target at a place under a pose."""

    def __init__(self, pattern: Pattern, target: Surroundings, place: Place, diameter_mm: float) -> None:
        self.pattern = pattern
        self.diameter_mm = diameter_mm
        # Room for a centre that is off.
        reach = pattern.reach + int(np.ceil(1.2 * SHIFT * diameter_mm / pattern.sampled.step_mm))
        self.values, self.grid = pattern.sampled.cube(target, place.centre, reach)

    def score(self, candidate: Candidate) -> float:
        """`visible_similarity` where the pattern counts."""
        return self._score(candidate.rotation, candidate.centre + candidate.rotation @ self._away(candidate))

    def refined(self, candidate: Candidate, evaluations: int) -> Candidate:
        """Small turns and shifts that raise the score."""
        away = self._away(candidate)
        start = candidate.centre + candidate.rotation @ away
        unit = 0.15 * self.diameter_mm

        def cost(changes: np.ndarray) -> float:
            turn = Rotation.from_rotvec(changes[:3]).as_matrix()
            return -self._score(turn @ candidate.rotation, start + changes[3:] * unit)

        simplex = np.concatenate([np.zeros((1, 6)), np.diag([0.2, 0.2, 0.2, 0.4, 0.4, 0.4])])
        options = {"maxfev": evaluations, "initial_simplex": simplex, "xatol": 0.02, "fatol": 1e-3}
        found = optimize.minimize(cost, np.zeros(6), method="Nelder-Mead", options=options)
        rotation = Rotation.from_rotvec(found.x[:3]).as_matrix() @ candidate.rotation
        centre = start + found.x[3:] * unit - rotation @ away
        return replace(candidate, rotation=rotation, centre=centre, score=-float(found.fun))

    def _away(self, candidate: Candidate) -> np.ndarray:
        return self.pattern.centre - candidate.about

    def _score(self, rotation: np.ndarray, centre: np.ndarray) -> float:
        where = self.grid.to_ijk(self.pattern.points @ rotation.T + centre).T[::-1]
        seen = ndimage.map_coordinates(self.values, where, order=1, mode="constant", cval=np.nan)
        return visible_similarity(self.pattern.values, seen)


def find_pose(
    pattern: Pattern,
    patterns: TurnedPatterns,
    reference_place: Place,
    target: Surroundings,
    places: Sequence[Place],
    diameter_mm: float,
    *,
    moments: bool = True,
    searched: bool = True,
    signs: bool = True,
    progress: Progress | None = None,
) -> PoseResult:
    """The likeliest poses of the structure.

    Parameters
    ----------
    pattern, patterns
        The reference as it is compared.
    reference_place
        Place where the network sees the structure in the reference.
    target
        The image.
    places
        Places at which the structure may be; candidates of all of them compete.
    diameter_mm
        Length of the structure.
    moments, searched
        Kinds of candidates to try.
    signs
        Whether the ends of the axes of inertia are told apart by the score; False: as the paper, whatever the
        eigenvectors' signs happen to be.
    progress
        Told about the stages.
    """
    progress = progress or Progress()
    scorers = [PoseScorer(pattern, target, place, diameter_mm) for place in places]

    def scored(rotation: np.ndarray, about: np.ndarray, centre: np.ndarray, how: str, number: int) -> Candidate:
        one = Candidate(rotation, about, centre, 0.0, how, number)
        return replace(one, score=scorers[number].score(one))

    def refined(candidates: Sequence[Candidate], count: int, evaluations: int) -> list[Candidate]:
        best = apart(_sorted(candidates), count, diameter_mm)
        return _sorted([scorers[one.place].refined(one, evaluations) for one in best])

    def by_search(classes: bool, part: Progress) -> list[Candidate]:
        found = []
        for number, place in enumerate(places):
            part(number / len(places), "turning the structure")
            poses = search(patterns, target, place.centre, diameter_mm, _PER_PLACE, classes=classes)
            found += [scored(turned, pattern.centre, where, "search", number) for _, turned, where in poses]
        part(0.6, "refining the pose")
        half = refined(found, _HALF_REFINED, _FEW)
        part(0.8, "refining the pose")
        return refined(half, _REFINED, _MANY)

    by_kind: dict[str, list[Candidate]] = {}
    if moments and reference_place.moments is not None:
        found = []
        for number, place in enumerate(places):
            if place.moments is None:
                continue
            turns = place.moments.rotations_from(reference_place.moments)
            if not signs:
                turns = [_as_they_come(place.moments.axes, reference_place.moments.axes)]
            about = reference_place.centre
            found += [scored(one, about, place.centre, "moments", number) for one in turns]
        if found:
            by_kind["moments"] = refined(found, _REFINED, _MANY)
    if searched:
        by_kind["search"] = by_search(False, progress.part(0.1, 0.5))
        if max(kind[0].score for kind in by_kind.values()) < _SURE:
            by_kind["search"] = _sorted([*by_kind["search"], *by_search(True, progress.part(0.5, 0.9))])
    if not by_kind:
        unturned = scored(np.eye(3), reference_place.centre, places[0].centre, "given", 0)
        return PoseResult([unturned])
    everything = _sorted([one for kind in by_kind.values() for one in kind])
    best = {kind: candidates[0].score for kind, candidates in by_kind.items()}
    ratios = None if places[0].moments is None else places[0].moments.ratios
    kept = apart(everything, _KEPT, diameter_mm)
    return PoseResult(kept, best.get("moments"), best.get("search"), ratios)


def apart(candidates: Sequence[Candidate], count: int, diameter_mm: float) -> list[Candidate]:
    """The first so many that differ from each other by more than a small turn or shift."""
    kept: list[Candidate] = []
    for candidate in candidates:
        if all(
            angle_between(candidate.rotation, other.rotation) > _APART_DEG
            or np.linalg.norm(candidate.centre - other.centre) > _APART * diameter_mm
            for other in kept
        ):
            kept.append(candidate)
        if len(kept) == count:
            break
    return kept


def _sorted(candidates: Sequence[Candidate]) -> list[Candidate]:
    return sorted(candidates, key=lambda one: -one.score)


def _as_they_come(target: np.ndarray, reference: np.ndarray) -> np.ndarray:
    rotation = target @ reference.T
    return rotation if np.linalg.det(rotation) > 0 else (target * (1, 1, -1)) @ reference.T
