"""The pose of the structure: by its moments, by a search over all rotations, and which of them is better.

Moments say nothing reliable where the network saw only a part of the structure, and nothing at all about an axis' ends.
A search over rotations of the reference's patch knows no structure but sees all intensities. Candidates of both kinds
are judged by one score and refined, and the best few are handed to the registration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage, optimize

from ..core.progress import Progress
from ..core.volume import Grid
from .localize import Place
from .rotations import angle_between, rotation_grid, turn
from .sampling import Surroundings, cube_around
from .similarity import alikeness, overlap

ROTATIONS = 600
"""Of the search: neighbours are some 22 degrees apart."""

_RADIUS = 0.75
"""Of the ball that is compared, in diameters."""
_STEP = 1 / 10
"""Between the compared points, in diameters."""
_OVERLAP_WEIGHT = 0.5
_REFINED = 4
_APART_DEG = 25.0


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
        Higher is better; comparable between candidates of one search.
    how
        moments, search or given.
    """

    rotation: np.ndarray
    about: np.ndarray
    centre: np.ndarray
    score: float
    how: str

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
        Best of each kind after refinement; None: the kind was not asked for.
    ratios
        Of the target's moments; None: no moments.
    """

    candidates: Sequence[Candidate]
    moments_score: float | None = None
    search_score: float | None = None
    ratios: tuple[float, float] | None = None
    notes: Sequence[str] = field(default_factory=tuple)


class PoseScorer:
    """Compares the reference's patch with the target's under a pose."""

    def __init__(
        self, reference: Surroundings, reference_place: Place, target: Surroundings, place: Place, diameter_mm: float
    ) -> None:
        step = _STEP * diameter_mm
        self.reference_place, self.place = reference_place, place
        reach = int(np.ceil(_RADIUS * diameter_mm / step))
        axis = np.arange(-reach, reach + 1) * step
        points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
        self.points = points[np.linalg.norm(points, axis=1) <= _RADIUS * diameter_mm]
        own = cube_around(reference_place.centre, 2 * reach + 3, step)
        self.reference_values = _read(_smoothed(reference.on(own)), own, self.points + reference_place.centre)
        # Room for a centre that is off.
        self.grid = cube_around(place.centre, 2 * int(np.ceil(1.5 * reach)) + 3, step)
        self.target_values = _smoothed(target.on(self.grid))
        self.reference_chance = self._chances(reference_place, self.points + reference_place.centre)
        self.with_chance = place.likelihood is not None and self.reference_chance is not None

    @staticmethod
    def _chances(place: Place, points: np.ndarray) -> np.ndarray | None:
        if place.likelihood is None:
            return None
        return _read(place.likelihood.array, place.likelihood.grid, points)

    def score(self, rotation: np.ndarray, centre: np.ndarray) -> float:
        """Of a pose; `alikeness` of the patches and half the overlap of the probability maps."""
        where = self.points @ rotation.T + centre
        score = alikeness(self.reference_values, _read(self.target_values, self.grid, where))
        if self.with_chance:
            score += _OVERLAP_WEIGHT * overlap(self.reference_chance, self._chances(self.place, where))
        return score

    def refined(self, candidate: Candidate, diameter_mm: float) -> Candidate:
        """Small turns and shifts that raise the score."""

        def cost(changes: np.ndarray) -> float:
            turned = turn(changes[:3])
            return -self.score(turned @ candidate.rotation, candidate.centre + changes[3:] * 0.15 * diameter_mm)

        simplex = np.concatenate([np.zeros((1, 6)), np.diag([0.25, 0.25, 0.25, 0.6, 0.6, 0.6])])
        options = {"maxfev": 160, "initial_simplex": simplex, "xatol": 0.02, "fatol": 1e-3}
        found = optimize.minimize(cost, np.zeros(6), method="Nelder-Mead", options=options)
        rotation = turn(found.x[:3]) @ candidate.rotation
        centre = candidate.centre + found.x[3:] * 0.15 * diameter_mm
        return Candidate(rotation, candidate.about, centre, -float(found.fun), candidate.how)


def find_pose(
    reference: Surroundings,
    reference_place: Place,
    target: Surroundings,
    place: Place,
    diameter_mm: float,
    *,
    moments: bool = True,
    search: bool = True,
    signs: bool = True,
    progress: Progress | None = None,
) -> PoseResult:
    """The likeliest poses of the structure.

    Parameters
    ----------
    reference, reference_place
        The annotated image, and where the network sees the structure in it.
    target, place
        The image, and where the network sees the structure.
    diameter_mm
        Of the structure.
    moments, search
        Which kinds of candidates to try.
    signs
        Whether the ends of the axes of inertia are told apart by the score; False: as the paper, whatever the
        eigenvectors' signs happen to be.
    progress
        Told about the stages.
    """
    progress = progress or Progress()
    scorer = PoseScorer(reference, reference_place, target, place, diameter_mm)
    about, centre = reference_place.centre, place.centre
    by_kind: dict[str, list[Candidate]] = {}
    ratios = None
    if moments and place.moments is not None and reference_place.moments is not None:
        ratios = place.moments.ratios
        turns = place.moments.rotations_from(reference_place.moments)
        if not signs:
            turns = [_as_they_come(place.moments.axes, reference_place.moments.axes)]
        by_kind["moments"] = [Candidate(one, about, centre, scorer.score(one, centre), "moments") for one in turns]
    if search:
        progress(0.2, "turning the patch")
        turns = rotation_grid(ROTATIONS)
        by_kind["search"] = [Candidate(one, about, centre, scorer.score(one, centre), "search") for one in turns]
    if not by_kind:
        unturned = np.eye(3)
        return PoseResult([Candidate(unturned, about, centre, scorer.score(unturned, centre), "given")])
    refined: dict[str, list[Candidate]] = {}
    for number, (kind, candidates) in enumerate(by_kind.items()):
        progress(0.5 + 0.4 * number / len(by_kind), "refining the pose")
        chosen = apart(sorted(candidates, key=lambda one: -one.score), _REFINED)
        refined[kind] = sorted((scorer.refined(one, diameter_mm) for one in chosen), key=lambda one: -one.score)
    everything = sorted((one for kind in refined.values() for one in kind), key=lambda one: -one.score)
    best = {kind: candidates[0].score for kind, candidates in refined.items()}
    return PoseResult(apart(everything, _REFINED), best.get("moments"), best.get("search"), ratios)


def apart(candidates: Sequence[Candidate], count: int) -> list[Candidate]:
    """The first so many that differ from each other by more than `_APART_DEG`."""
    kept: list[Candidate] = []
    for candidate in candidates:
        if all(angle_between(candidate.rotation, other.rotation) > _APART_DEG for other in kept):
            kept.append(candidate)
        if len(kept) == count:
            break
    return kept


def _as_they_come(target: np.ndarray, reference: np.ndarray) -> np.ndarray:
    rotation = target @ reference.T
    return rotation if np.linalg.det(rotation) > 0 else (target * (1, 1, -1)) @ reference.T


def _smoothed(values: np.ndarray) -> np.ndarray:
    return ndimage.gaussian_filter(values, 0.7)


def _read(values: np.ndarray, grid: Grid, points: np.ndarray) -> np.ndarray:
    return ndimage.map_coordinates(values, grid.to_ijk(points).T[::-1], order=1, mode="constant")
