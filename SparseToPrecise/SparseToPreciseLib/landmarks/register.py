"""Registration of one reference with a target around a place: pose, rigid, deformable, evidence."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from ..core.itk_images import moved
from ..core.progress import Progress, timed
from ..core.volume import Grid
from .confidence import Evidence
from .deformable import DeformableResult, deform, warped_patch
from .inputs import Surroundings
from .localize import Place
from .model import Template
from .pose import Candidate, find_pose
from .reference import Reference, distance_to_structure
from .rigid import PatchAligner, RigidResult, best_alignment
from .similarity import local_similarity, similarity, visible_similarity
from .working_grid import Scale

_MARGIN = 0.3
"""Around the structure and the landmarks, in diameters: the patch."""
_COUNTED = 0.15
"""Around them, in diameters: what the rigid alignment and the likeness count. Farther surroundings differ by nature."""
_MOST_VOXELS = 90
_FINEST = 1 / 48
"""Size of the patch's voxels, in diameters: finer images bring noise and time, not accuracy."""
_PERTURBED = (
    (np.array([1.0, 0.3, -0.4]), np.array([0.5, -0.6, 0.6])),
    (np.array([-0.5, 0.8, 0.6]), np.array([-0.7, 0.5, -0.4])),
)
_PERTURBED_DEG, _PERTURBED_SHIFT = 8.0, 0.06
_UNKNOWN_SPREAD = 0.05
_ELSEWHERE = 0.2
"""Mean distance of the landmarks between two alignments, in diameters, that makes them different answers."""


@dataclass(frozen=True)
class Registered:
    """One reference laid onto a target.

    Attributes
    ----------
    landmarks
        Name to RAS position in the target.
    evidence
        Evidence by name; where the rigid stage was switched off, with a spread that stands for an unknown one.
    matrix
        4x4, reference to target, RAS, before the deformation.
    deformation
        None: switched off.
    patch
        The grid in the reference on which it is defined.
    score
        `visible_similarity` of the patch at the end.
    place
        At which of the places the reference was laid.
    report
        Results of each stage, as plain numbers.
    timings
        Seconds by stage.
    """

    landmarks: dict[str, np.ndarray]
    evidence: dict[str, Evidence]
    matrix: np.ndarray
    deformation: DeformableResult | None
    patch: Grid
    score: float
    place: Place
    report: dict[str, Any] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)


def patch_of(reference: Reference, scale: Scale) -> tuple[Grid, np.ndarray]:
    """The grid along RAS around a reference's structure and landmarks, and which part of it counts (0 or 1)."""
    inside = reference.soi.grid.to_ras(np.argwhere(reference.soi.array != 0)[:, ::-1])
    points = np.concatenate([inside, np.stack(list(reference.landmarks.values()))])
    margin = _MARGIN * scale.diameter_mm
    longest = float((points.max(axis=0) - points.min(axis=0)).max()) + 2 * margin
    own = float(np.prod(reference.image.spacing)) ** (1 / 3)
    spacing = max(own, _FINEST * scale.diameter_mm, longest / _MOST_VOXELS)
    grid = Grid.around(points, margin, spacing)
    near = distance_to_structure(reference, grid, marks=True) <= _COUNTED * scale.diameter_mm
    return grid, near.astype(np.float32)


def register(
    template: Template,
    number: int,
    target: Surroundings,
    places: Sequence[Place],
    stages: Collection[str],
    *,
    signs: bool = True,
    search: bool = True,
    progress: Progress | None = None,
) -> Registered:
    """Lay a reference onto a target.

    Parameters
    ----------
    template, number
        The template, and the number of the reference that is laid.
    target, places
        The image, and where the structure may be; the first place is used where the pose is switched off.
    stages
        Stages of pose, rigid and deformable that are wanted; what is left out stays as it was before it.
    signs, search
        Options of `find_pose` (signs, and whether rotations are searched besides the moments).
    progress
        Told about the stages.
    """
    reference, seen, scale = template.references[number], template.surroundings[number], template.scale
    progress = progress or Progress()
    timings: dict[str, float] = {}
    report: dict[str, Any] = {}
    patch, mask = patch_of(reference, scale)
    aligner = PatchAligner(seen, target, patch, mask)
    names = list(reference.landmarks)
    points = np.stack([reference.landmarks[name] for name in names])

    with timed(timings, "pose"):
        wanted = "pose" in stages
        pose = find_pose(
            *template.patterns[number],
            template.places[number],
            target,
            places if wanted else places[:1],
            scale.diameter_mm,
            moments=wanted,
            searched=wanted and search,
            signs=signs,
            progress=progress.part(0.0, 0.3),
        )
    best = pose.candidates[0]
    report["pose"] = {
        "used": best.how,
        "score": best.score,
        "moments_score": pose.moments_score,
        "search_score": pose.search_score,
        "moment_ratios": pose.ratios,
        "matrix": best.matrix.tolist(),
    }
    aligned, *others = (RigidResult(one.matrix, one.score, one, "none") for one in pose.candidates)
    rival = _rival(aligned, others, points, scale)
    if "rigid" in stages:
        with timed(timings, "rigid"):
            aligned, *others = best_alignment(aligner, pose.candidates, progress.part(0.3, 0.6))
            rival = _rival(aligned, others, points, scale)
        report["rigid"] = {
            "score": aligned.score,
            "next_score": rival,
            "started_from": aligned.start.how,
            "metric": aligned.metric,
            "matrix": aligned.matrix.tolist(),
        }
    matrix, place = aligned.matrix, places[aligned.start.place]
    moving = aligner.seen(matrix)
    deformation, final = None, moving
    landed = points
    if "deformable" in stages:
        with timed(timings, "deformable"):
            deformation = deform(aligner.fixed, moving, aligner.inside, progress=progress.part(0.6, 0.9))
        report["deformable"] = {
            "before": deformation.before,
            "after": deformation.after,
            "kept": deformation.forward is not None,
            "levels": list(deformation.kept),
        }
        landed = deformation.there(points)
        final = warped_patch(deformation, aligner.fixed, moving)
    with timed(timings, "confidence"):
        progress(0.9, "checking")
        spread = np.full(len(points), _UNKNOWN_SPREAD)
        if "rigid" in stages:
            spread = _spread(aligner, aligned, points, scale)
        back = deformation.back(landed) if deformation is not None else points
        round_trip = np.linalg.norm(back - points, axis=1) / scale.diameter_mm
        pair = aligner.fixed.array[aligner.inside], final[aligner.inside]
        whole = similarity(*pair)
        margin = aligned.score - (0.0 if rival is None else max(rival, 0.0))
        local = [local_similarity(aligner.fixed, final, point, scale.diameter_mm) for point in points]
        evidence = {
            name: Evidence(float(trip), float(wide), near, whole, place.mass, margin)
            for name, trip, wide, near in zip(names, round_trip, spread, local, strict=True)
        }
    positions = moved(matrix, landed)
    landmarks = dict(zip(names, positions, strict=True))
    score = visible_similarity(*pair)
    return Registered(landmarks, evidence, matrix, deformation, patch, score, place, report, timings)


def _rival(aligned: RigidResult, others: Sequence[RigidResult], points: np.ndarray, scale: Scale) -> float | None:
    """The best score of an alignment that brings the landmarks elsewhere; None: there is none."""
    here = moved(aligned.matrix, points)
    for other in others:
        if np.linalg.norm(moved(other.matrix, points) - here, axis=1).mean() > _ELSEWHERE * scale.diameter_mm:
            return other.score
    return None


def _spread(aligner: PatchAligner, aligned: RigidResult, points: np.ndarray, scale: Scale) -> np.ndarray:
    """(N,) mean distance in diameters between the landmarks and where perturbed starts bring them."""
    about = aligned.start.about
    rotation = aligned.matrix[:3, :3] / np.cbrt(np.linalg.det(aligned.matrix[:3, :3]))
    ends = []
    for axis, shift in _PERTURBED:
        turn = Rotation.from_rotvec(axis / np.linalg.norm(axis) * _PERTURBED_DEG, degrees=True)
        turned = turn.as_matrix() @ rotation
        centre = moved(aligned.matrix, about) + shift / np.linalg.norm(shift) * _PERTURBED_SHIFT * scale.diameter_mm
        start = Candidate(turned, about, centre, aligned.score, aligned.start.how)
        ends.append(moved(aligner.align(start, levels=(2,)).matrix, points))
    here = moved(aligned.matrix, points)
    return np.mean([np.linalg.norm(end - here, axis=1) for end in ends], axis=0) / scale.diameter_mm
