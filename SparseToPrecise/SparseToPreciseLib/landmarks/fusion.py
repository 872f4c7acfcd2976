"""Fusion of what several references say of one landmark: one position, or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..core.errors import in_digits
from ..core.itk_images import moved
from ..core.volume import Volume
from .confidence import Evidence
from .register import Registered


@dataclass(frozen=True)
class Landmark:
    """One landmark on a target.

    Attributes
    ----------
    name
        The template's.
    position
        RAS, mm; None: unplaced.
    confidence
        0..1, the calibrated chance that it lies within a sixth of the structure's diameter.
    reason
        Why it is unplaced; else empty.
    """

    name: str
    position: np.ndarray | None
    confidence: float
    reason: str = ""


def fused(
    name: str,
    registered: Sequence[Registered],
    threshold: float,
    target: Volume,
    flip: np.ndarray,
    tolerance_mm: float,
) -> Landmark:
    """The weighted median of what the references say; where they disagree, the others count against it.

    Parameters
    ----------
    name
        Name of the landmark.
    registered
        One for each reference.
    threshold
        With less confidence it stays unplaced.
    target
        The image, as it was searched.
    flip
        4x4, from there to the world.
    tolerance_mm
        Distance up to which two references mean the same place.
    """
    positions = np.stack([one.landmarks[name] for one in registered])
    evidence: list[Evidence] = [one.evidence[name] for one in registered]
    weights = np.array([one.confidence for one in evidence])
    position = weighted_median(positions, weights)
    agree = np.linalg.norm(positions - position, axis=1) <= tolerance_mm
    if not agree.all():
        if not agree.any():
            agree = np.linalg.norm(positions - positions[weights.argmax()], axis=1) <= tolerance_mm
        position = weighted_median(positions[agree], weights[agree])
    share = float(weights[agree].sum() / max(weights.sum(), 1e-6))
    confidence = share * float(np.median(weights[agree]))
    if not target.grid.contains(position):
        return Landmark(name, None, 0.0, "it would lie outside the image")
    if confidence < threshold:
        best = int(weights.argmax())
        reason = evidence[best].weakness
        if weights[best] >= threshold:
            apart = float(np.linalg.norm(positions - position, axis=1).max())
            reason = f"the references disagree by {in_digits(apart)} mm"
        return Landmark(name, None, confidence, f"unsure ({confidence:.2f}): {reason}")
    return Landmark(name, moved(flip, position), confidence)


def weighted_median(positions: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(3,) weighted median of (N, 3) positions along each axis; two of them count by their weights' mean."""
    if len(positions) < 3:
        share = np.maximum(weights, 1e-6)
        return (positions * share[:, None]).sum(axis=0) / share.sum()
    found = np.empty(3)
    for axis in range(3):
        order = np.argsort(positions[:, axis], kind="stable")
        total = np.cumsum(np.maximum(weights[order], 1e-6))
        found[axis] = positions[order[np.searchsorted(total, total[-1] / 2)], axis]
    return found
