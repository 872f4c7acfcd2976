"""Landmarks on a target: the whole of Wang et al., section 2, for one image."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..core.errors import InputError, in_digits
from ..core.itk_images import moved
from ..core.progress import Progress, timed
from ..core.volume import Volume
from .alternatives import MIRROR, OWN_MIRROR, fitting_size, mirror_similarity
from .confidence import BOTH_FIT, NEAR, PLACED
from .fusion import Landmark, fused
from .inputs import Surroundings
from .localize import Place, localize
from .model import Template
from .register import Registered, register

STAGES = ("localize", "pose", "rigid", "deformable")
MIRRORS = ("no", "yes", "try")

_FEWEST_VOXELS = 4
_ELSEWHERE = 0.5
"""Diameters between two references' answers above which they mean different places."""
_SURE = 0.7
"""Mean confidence from which the structure's size is beyond doubt."""
_PLACES = 2


@dataclass(frozen=True)
class Detection:
    """Landmarks on one target, and how they were found.

    Attributes
    ----------
    landmarks
        In the template's order.
    place
        Place at which the structure was laid (in the mirrored image where `mirrored`).
    registered
        One for each reference; empty when nothing was found.
    mirrored
        Whether the target was taken for the other side.
    report
        Results of each stage, as plain numbers.
    timings
        Seconds by stage.
    device
        Device on which the network ran.
    notes
        Sentences for the user.
    """

    landmarks: Sequence[Landmark]
    place: Place
    registered: Sequence[Registered]
    mirrored: bool
    report: dict[str, Any]
    timings: dict[str, float]
    device: str
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def placed(self) -> dict[str, np.ndarray]:
        """Name to RAS position of those that were placed."""
        return {one.name: one.position for one in self.landmarks if one.position is not None}

    def as_text(self) -> str:
        """A line for each landmark."""
        return "\n".join(
            f"{one.name}: unplaced, {one.reason}"
            if one.position is None
            else f"{one.name}: {', '.join(f'{value:.3f}' for value in one.position)} ({one.confidence:.2f})"
            for one in self.landmarks
        )


def detect(
    template: Template,
    target: Volume,
    *,
    stages: Collection[str] = STAGES,
    mirror: str = "no",
    seed_point: np.ndarray | None = None,
    threshold: float = PLACED,
    signs: bool = True,
    search: bool = True,
    progress: Progress | None = None,
) -> Detection:
    """Find a template's landmarks on an image.

    Parameters
    ----------
    template
        The template that was taught.
    target
        Any grid, unit and modality.
    stages
        Which of `STAGES` are wanted. Without localize, the seed point, or else the place where the reference has its
        structure, is taken for the structure's centre.
    mirror
        no; yes: the target shows the other side; try: both, and the better one counts. Where both fit nearly alike, a
        note says so, and no confidence is above 0.5.
    seed_point
        RAS point near the structure; None: the whole image is searched.
    threshold
        Landmarks with less confidence stay unplaced.
    signs, search
        For comparisons: see `register.register`.
    progress
        Told about the stages; `Cancelled` when the user cancels.

    Raises
    ------
    InputError
        Unknown stages or mirror, a seed point outside the image, an image without contrast or with too few voxels
        for the structure. That the structure is not there is no error: the landmarks are then unplaced.

    Examples
    --------
    A template that was taught on three landmarks, and an image that shows the same structure turned by 55 degrees:

    >>> found = detect(template, target)
    >>> sorted(found.placed)
    ['big', 'horn', 'tip']
    >>> found.placed["tip"].shape
    (3,)
    """
    progress = progress or Progress()
    unknown = sorted(set(stages) - set(STAGES))
    if unknown:
        raise InputError(f"There is no stage {unknown[0]!r}; the stages are {', '.join(STAGES)}.")
    if mirror not in MIRRORS:
        raise InputError(f"Mirror is {', '.join(MIRRORS)}, not {mirror!r}.")
    _check_target(template, target, seed_point)
    options = {"stages": stages, "seed_point": seed_point, "signs": signs, "search": search}
    wanted = {"no": (False,), "yes": (True,), "try": (False, True)}[mirror]
    sides = []
    for number, mirrored in enumerate(wanted):
        part = progress.part(0.95 * number / len(wanted), 0.95 * (number + 1) / len(wanted))
        sides.append(_on_side(template, target, mirrored, progress=part, **options))
    best, *others = sorted(sides, key=lambda side: -side.score)
    notes = list(template.notes)
    if others:
        best = _against_other_side(best, others[0], notes)
    elif mirror == "no" and best.registered and (alike := mirror_similarity(template)) >= OWN_MIRROR:
        notes.append(
            f"The structure is nearly its own mirror image (similarity {alike:.3f} of 1), so an image of the other "
            "side would be taken for this one, with left and right exchanged; make sure which side it shows."
        )
    if "pose" in stages and search and best.unsure:
        progress(0.95, "trying other sizes")
        best = _against_other_sizes(template, best, notes)
    if template.predictor.note:
        notes.append(template.predictor.note)
    return Detection(
        _landmarks(template, best, threshold),
        best.place,
        best.registered,
        best.mirrored,
        best.report,
        best.timings,
        template.predictor.device,
        tuple(notes),
    )


@dataclass(frozen=True)
class _Side:
    """One hypothesis about the side: the target as it is, or its mirror image.

    Attributes
    ----------
    target
        The image as it was searched.
    places
        Places at which the structure may be, the likeliest first.
    registered
        One for each reference; empty when nothing was found.
    """

    mirrored: bool
    target: Surroundings
    places: Sequence[Place]
    registered: Sequence[Registered]
    report: dict[str, Any]
    timings: dict[str, float]

    @property
    def score(self) -> float:
        """The best reference's."""
        return max((one.score for one in self.registered), default=-1.0)

    @property
    def place(self) -> Place:
        """Where the reference that fits best was laid."""
        return max(self.registered, key=lambda one: one.score).place if self.registered else self.places[0]

    @property
    def unsure(self) -> bool:
        """Whether something was found, but not so that its size is beyond doubt."""
        sure = [evidence.confidence for one in self.registered for evidence in one.evidence.values()]
        return bool(sure) and float(np.mean(sure)) < _SURE

    def against(self, lead: float, rival: str) -> _Side:
        """The same beside another answer that fits better, or less well by `lead`."""
        registered = [
            replace(one, evidence={name: each.against(lead, rival) for name, each in one.evidence.items()})
            for one in self.registered
        ]
        return replace(self, registered=registered)


def _against_other_side(best: _Side, other: _Side, notes: list[str]) -> _Side:
    lead = best.score - other.score
    scores = {"yes" if side.mirrored else "no": side.score for side in (best, other)}
    best.report["mirror"] = {"used": best.mirrored, "scores": scores, "lead": lead}
    if best.registered and lead < BOTH_FIT:
        notes.append(
            f"The image as it is and its mirror image fit nearly alike ({scores['no']:.3f} and {scores['yes']:.3f} of "
            "1), so it cannot be told which side it shows; say so with mirror yes or no."
        )
    return best.against(lead, "the other side")


def _against_other_sizes(template: Template, best: _Side, notes: list[str]) -> _Side:
    with timed(best.timings, "confidence"):
        number = int(np.argmax([one.score for one in best.registered]))
        fit = fitting_size(template, number, best.target, [best.place, *best.places[:_PLACES]])
    best.report["size"] = {"factor": fit.factor, "score": fit.score, "score_as_taught": fit.score_as_taught}
    if not fit.differs:
        return best
    taught = template.scale.diameter_mm
    notes.append(
        f"The structure seems to be about {fit.factor:.2g} times as large as it was taught "
        f"({in_digits(fit.factor * taught)} instead of {in_digits(taught)} mm), and other sizes are not searched; "
        "teach a template of this size."
    )
    return best.against(fit.score_as_taught - fit.score, f"a structure of {fit.factor:.2g} times the taught size")


def _landmarks(template: Template, side: _Side, threshold: float) -> list[Landmark]:
    if not side.registered:
        reason = "the network sees nothing like the structure anywhere in the image"
        return [Landmark(name, None, 0.0, reason) for name in template.landmarks]
    flip, tolerance = flip_of(side.mirrored), NEAR * template.scale.diameter_mm
    return [fused(name, side.registered, threshold, side.target.image, flip, tolerance) for name in template.landmarks]


def _check_target(template: Template, target: Volume, seed_point: np.ndarray | None) -> None:
    name = target.name or "the image"
    coarsest = float(target.spacing.max())
    if template.scale.diameter_mm / coarsest < _FEWEST_VOXELS:
        raise InputError(
            f"The structure is {in_digits(template.scale.diameter_mm, 1)} mm long where a voxel of {name} is up "
            f"to {in_digits(coarsest, 1)} mm; use an image with thinner slices."
        )
    shortest = float((target.spacing * target.shape[::-1]).min())
    if shortest < 0.5 * template.scale.diameter_mm:
        raise InputError(
            f"{name} is {in_digits(shortest, 1)} mm thin where the structure is "
            f"{in_digits(template.scale.diameter_mm, 1)} mm long; use an image that shows all of it."
        )
    if seed_point is not None and not target.grid.contains(np.asarray(seed_point, dtype=np.float64)):
        raise InputError(f"The seed point {np.asarray(seed_point).tolist()} (RAS, mm) lies outside {name}.")


def _on_side(
    template: Template,
    target: Volume,
    mirrored: bool,
    *,
    stages: Collection[str],
    seed_point: np.ndarray | None,
    signs: bool,
    search: bool,
    progress: Progress,
) -> _Side:
    timings: dict[str, float] = {}
    flip = flip_of(mirrored)
    seen = Volume(target.array, flip @ target.ijk_to_ras, target.name)
    seed = None if seed_point is None else moved(flip, np.asarray(seed_point, dtype=np.float64))
    scale = template.scale
    with timed(timings, "localize"):
        surroundings = Surroundings.of(seen, scale.window_mm, seed, 6 * scale.diameter_mm)
        if "localize" in stages:
            part = progress.part(0.0, 0.4)
            mass = _full_mass(template)
            places = localize(template.predictor, surroundings, mass, scale.diameter_mm, seed, part)
        else:
            places = [_given_place(template, seen, seed)]
    report: dict[str, Any] = {"localize": [_place_report(one) for one in places]}
    if not places[0].found:
        return _Side(mirrored, surroundings, places, (), report, timings)
    registered = _registered(template, surroundings, places, stages, signs, search, progress.part(0.4, 1.0))
    for each in registered:
        for stage, seconds in each.timings.items():
            timings[stage] = timings.get(stage, 0.0) + seconds
    side = _Side(mirrored, surroundings, places, registered, report, timings)
    report["place"] = side.place.centre.tolist()
    report["references"] = [one.report for one in registered]
    return side


def _registered(
    template: Template,
    target: Surroundings,
    places: Sequence[Place],
    stages: Collection[str],
    signs: bool,
    search: bool,
    progress: Progress,
) -> list[Registered]:
    """Every reference laid onto the target, all of them at the place where one of them fits best."""
    count = len(template.references)

    def laid(number: int, where: Sequence[Place], part: Progress) -> Registered:
        return register(template, number, target, where, stages, signs=signs, search=search, progress=part)

    found = [laid(n, places, progress.part(0.8 * n / count, 0.8 * (n + 1) / count)) for n in range(count)]
    best = max(found, key=lambda one: one.score)
    middle = _middle(best)
    for number, one in enumerate(found):
        if np.linalg.norm(_middle(one) - middle) > _ELSEWHERE * template.scale.diameter_mm:
            found[number] = laid(number, [best.place], progress.part(0.8, 1.0))
    return found


def _middle(registered: Registered) -> np.ndarray:
    return np.mean(list(registered.landmarks.values()), axis=0)


def _full_mass(template: Template) -> float:
    return float(np.median([place.moments.mass for place in template.places if place.moments is not None]))


def _given_place(template: Template, target: Volume, seed: np.ndarray | None) -> Place:
    centre = template.places[0].centre if seed is None else seed
    if not target.grid.contains(centre):
        centre = target.grid.to_ras((np.array(target.shape[::-1]) - 1) / 2)
    return Place(centre, 1.0, None, None)


def _place_report(place: Place) -> dict[str, Any]:
    return {
        "centre": place.centre.tolist(),
        "relative_mass": place.mass,
        "ended": place.ended,
        "path": [point.tolist() for point in place.path],
    }


def flip_of(mirrored: bool) -> np.ndarray:
    """4x4, between the world and the space in which a target was searched."""
    return MIRROR if mirrored else np.eye(4)
