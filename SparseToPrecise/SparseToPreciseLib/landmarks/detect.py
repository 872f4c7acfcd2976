"""Landmarks on a target: the whole of Wang et al., section 2, for one image."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..core.errors import InputError
from ..core.itk_images import moved
from ..core.progress import Progress, timed
from ..core.volume import Volume
from .confidence import PLACED
from .fusion import Landmark, fused
from .inputs import Surroundings
from .localize import Place, localize
from .model import Template
from .register import Registered, register

STAGES = ("localize", "pose", "rigid", "deformable")
MIRRORS = ("no", "yes", "try")

_MIRROR = np.diag([-1.0, 1.0, 1.0, 1.0])
_FEWEST_VOXELS = 4
_ELSEWHERE = 0.5
"""Diameters between two references' answers above which they mean different places."""


@dataclass(frozen=True)
class Detection:
    """What was found on one target.

    Attributes
    ----------
    landmarks
        In the template's order.
    place
        Where the network saw the structure (in the mirrored image where `mirrored`).
    registered
        One for each reference; empty when nothing was found.
    mirrored
        Whether the target was taken for the other side.
    report
        What each stage did, as plain numbers.
    timings
        Seconds by stage.
    device
        Where the network ran.
    notes
        What the user should know.
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
        What was taught.
    target
        Any grid, unit and modality.
    stages
        Which of `STAGES` are wanted. Without localize, the seed point, or else the place where the reference has its
        structure, is taken for the structure's centre.
    mirror
        no; yes: the target shows the other side; try: both, and the better one counts.
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
    """
    progress = progress or Progress()
    unknown = sorted(set(stages) - set(STAGES))
    if unknown:
        raise InputError(f"There is no stage {unknown[0]!r}; the stages are {', '.join(STAGES)}.")
    if mirror not in MIRRORS:
        raise InputError(f"Mirror is {', '.join(MIRRORS)}, not {mirror!r}.")
    _check_target(template, target, seed_point)
    sides = {"no": (False,), "yes": (True,), "try": (False, True)}[mirror]
    found = []
    for number, mirrored in enumerate(sides):
        part = progress.part(number / len(sides), (number + 1) / len(sides))
        found.append(_detect(template, target, stages, mirrored, seed_point, threshold, signs, search, part))
    best = max(found, key=_worth)
    if len(found) > 1:
        scores = {"no" if not one.mirrored else "yes": _worth(one) for one in found}
        best.report["mirror"] = {"used": best.mirrored, "scores": scores}
    return best


def _worth(one: Detection) -> float:
    return max((laid.score for laid in one.registered), default=-1.0)


def _check_target(template: Template, target: Volume, seed_point: np.ndarray | None) -> None:
    name = target.name or "the image"
    coarsest = float(target.spacing.max())
    if template.scale.diameter_mm / coarsest < _FEWEST_VOXELS:
        raise InputError(
            f"The structure is {template.scale.diameter_mm:.3g} mm long where a voxel of {name} is up to "
            f"{coarsest:.3g} mm; use an image with thinner slices."
        )
    shortest = float((target.spacing * target.shape[::-1]).min())
    if shortest < 0.5 * template.scale.diameter_mm:
        raise InputError(
            f"{name} is {shortest:.3g} mm thin where the structure is {template.scale.diameter_mm:.3g} mm long; "
            "use an image that shows all of it."
        )
    if seed_point is not None and not target.grid.contains(np.asarray(seed_point, dtype=np.float64)):
        raise InputError(f"The seed point {np.asarray(seed_point).tolist()} (RAS, mm) lies outside {name}.")


def _detect(
    template: Template,
    target: Volume,
    stages: Collection[str],
    mirrored: bool,
    seed_point: np.ndarray | None,
    threshold: float,
    signs: bool,
    search: bool,
    progress: Progress,
) -> Detection:
    timings: dict[str, float] = {}
    flip = _MIRROR if mirrored else np.eye(4)
    seen = Volume(target.array, flip @ target.ijk_to_ras, target.name)
    seed = None if seed_point is None else moved(flip, np.asarray(seed_point, dtype=np.float64))
    scale, predictor = template.scale, template.predictor
    with timed(timings, "localize"):
        surroundings = Surroundings.of(seen, scale.window_mm, seed, 6 * scale.diameter_mm)
        if "localize" in stages:
            part = progress.part(0.0, 0.4)
            places = localize(predictor, surroundings, _full_mass(template), scale.diameter_mm, seed, part)
        else:
            places = [_given_place(template, seen, seed)]
    report: dict[str, Any] = {"localize": [_place_report(one) for one in places]}
    if not places[0].found:
        reason = "the network sees nothing like the structure anywhere in the image"
        unplaced = [Landmark(name, None, 0.0, reason) for name in template.landmarks]
        return Detection(unplaced, places[0], (), mirrored, report, timings, predictor.device, _notes(template))
    registered = _registered(template, surroundings, places, stages, signs, search, progress.part(0.4, 1.0))
    for each in registered:
        for stage, seconds in each.timings.items():
            timings[stage] = timings.get(stage, 0.0) + seconds
    place = max(registered, key=lambda one: one.score).place
    report["place"] = place.centre.tolist()
    report["references"] = [one.report for one in registered]
    landmarks = [fused(name, registered, threshold, seen, flip) for name in template.landmarks]
    return Detection(landmarks, place, registered, mirrored, report, timings, predictor.device, _notes(template))


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


def _notes(template: Template) -> tuple[str, ...]:
    return (*template.notes, *((template.predictor.note,) if template.predictor.note else ()))
