"""How low the threshold and how wide the margin must be to keep the object, and when not to trust the answer.

All are measured together on cases with known masks that training has not seen. For every threshold and margin, a
logistic model on what the map of patches looks like (`FEATURES`) learns which cases lose a part of the object, and
accepts so many that few of those do; the threshold and margin are taken that make the boxes tightest, a case that is
not accepted counting with its loose box. So the margin is not wide for the sake of cases that nobody should trust.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..core.errors import InputError
from .cleanup import CleanMap, cleaned, slice_bounds, smoothed_shares, widened
from .frame import Frame
from .slice_measures import ObjectPart, mean_slice_iou, tight_bounds

COVERAGES = (0.9, 0.95, 0.98, 0.99, 0.995)
THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
MARGINS = (0.0, 0.125, 0.25, 0.375, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
"""In patches."""
SUFFICED = 0.97
"""A margin must suffice in this share of the cases that are called safe."""
STRICT = 0.99
"""The coverage for which the safety is measured."""
ACCEPTED_FAILURES = 0.04
"""Of the cases called safe, so many may miss `STRICT`; measured on the calibration cases, by cross-validation."""
LEAST_CASES_FOR_SAFETY = 40
FOLDS = 5
LEAST_SPREAD = 0.03
"""Of a feature: one that hardly varies must not get a huge weight."""
SUREST = 0.4
"""A map without a patch of so much object is never trusted."""
FEATURES = ("surest patch", "doubtful share", "elsewhere", "size", "steepness", "box faces touched")


@dataclass(frozen=True)
class CalibrationCase:
    """What the network said of the slices of a box, and the truth.

    Attributes
    ----------
    frame
        Of the box.
    shares
        (slices, rows, columns): the network's map of patches, as it is.
    mask
        (slices, pixel rows, pixel columns): 1 for object.
    """

    frame: Frame
    shares: np.ndarray
    mask: np.ndarray


@dataclass(frozen=True)
class Calibration:
    """Numbers that go with a model.

    Attributes
    ----------
    threshold
        A patch with a larger share of object counts.
    margins
        Wanted coverage to margin, in patches, ascending.
    sufficed
        Share of all calibration cases, safe or not, in which the margin for `STRICT` was enough.
    weights, offset, limit
        The case is unsafe when weights . features + offset exceeds the limit; no weights: only an empty or doubtful map
        is unsafe.
    cases
        How many it was measured on.
    """

    threshold: float
    margins: Mapping[float, float]
    sufficed: float
    weights: tuple[float, ...] = ()
    offset: float = 0.0
    limit: float = 0.0
    cases: int = 0
    report: Mapping[str, float] = field(default_factory=dict)

    def margin(self, coverage: float) -> tuple[float, float]:
        """(margin in patches, the coverage it was measured for) of the least stored coverage that is enough.

        Raises
        ------
        InputError
            A coverage beyond the calibration.
        """
        for stored in sorted(self.margins):
            if stored >= coverage - 1e-9:
                return self.margins[stored], stored
        raise InputError(
            f"A coverage of {coverage:g} is more than this model was calibrated for; ask for at most "
            f"{max(self.margins):g} and add a margin."
        )

    def doubt(self, clean: CleanMap) -> str:
        """Why the map cannot be trusted; empty when it can."""
        if clean.empty:
            return "nothing like an object was found in the box"
        values = features(clean)
        if values[0] < SUREST:
            return f"no part of the box looks surely like the object (the surest patch: {values[0]:.0%})"
        if self.weights and float(np.dot(self.weights, values)) + self.offset > self.limit:
            shifts = np.abs(np.array(self.weights) * values)
            return f"the object's outline is doubtful (mostly by: {FEATURES[int(shifts.argmax())]})"
        return ""

    def as_parameters(self) -> dict[str, Any]:
        """For the metadata of a bundle."""
        return {
            "threshold": self.threshold,
            "margins": {f"{coverage:g}": margin for coverage, margin in self.margins.items()},
            "sufficed": self.sufficed,
            "safety_features": list(FEATURES),
            "safety_weights": list(self.weights),
            "safety_offset": self.offset,
            "safety_limit": self.limit,
            "cases": self.cases,
            "report": dict(self.report),
        }

    @staticmethod
    def from_parameters(values: Mapping[str, Any]) -> Calibration:
        """The opposite of `as_parameters`.

        Raises
        ------
        InputError
            Something is missing, or was measured on other features than this version computes.
        """
        try:
            weights = tuple(float(one) for one in values["safety_weights"])
            if list(values["safety_features"]) != list(FEATURES) or len(weights) not in (0, len(FEATURES)):
                raise InputError("its safety was calibrated on features that this version does not compute")
            return Calibration(
                float(values["threshold"]),
                {float(coverage): float(margin) for coverage, margin in values["margins"].items()},
                float(values["sufficed"]),
                weights,
                float(values["safety_offset"]),
                float(values["safety_limit"]),
                int(values["cases"]),
                dict(values.get("report", {})),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"its calibration is not in order ({error!r})") from error


def features(clean: CleanMap) -> np.ndarray:
    """(len(FEATURES),) what a map of patches looks like; each near 0 for a clear object."""
    shares, kept = clean.shares, clean.kept
    if clean.empty:
        return np.array([0.0, 1.0, 1.0, 0.0, 1.0, 1.0])
    inside = shares[kept]
    mass = float(inside.sum())
    over = shares > clean.threshold
    touched = [
        kept.any(axis=other)[..., index].any()
        for axis, other in ((1, (0, 2)), (2, (0, 1)))
        for index in (np.flatnonzero(shares.any(axis=other))[[0, -1]])
    ]
    touched += [kept[0].any(), kept[-1].any()]
    cells = max(float((shares > 0).sum()), 1.0)
    lower = float((shares > clean.threshold / 2).sum())
    return np.array(
        [
            float(inside.max()),
            float((shares * (1 - shares)).sum()) / mass,
            float(shares[over & ~kept].sum()) / mass,
            np.log(max(mass, 1e-3) / cells),
            np.log(lower / float(kept.sum())),
            float(np.mean(touched)),
        ]
    )


def calibrated(cases: Sequence[CalibrationCase], patch: int) -> Calibration:
    """Choose threshold and margins on cases with known masks, and learn which ones not to trust.

    Raises
    ------
    InputError
        There are no cases.
    """
    if not cases:
        raise InputError("There are no cases to calibrate with; give at least one image with its mask.")
    smooth = [smoothed_shares(case.shares, case.frame, patch) for case in cases]
    tight = [tight_bounds(case.mask, case.frame) for case in cases]
    loose = np.array([mean_slice_iou(_whole(case.frame), one) for case, one in zip(cases, tight, strict=True)])
    best: tuple[float, Calibration] | None = None
    objects = [ObjectPart.of(case.mask, case.frame) for case in cases]
    for threshold in THRESHOLDS:
        maps = [cleaned(one, case.frame, patch, threshold) for one, case in zip(smooth, cases, strict=True)]
        kept, overlap = (np.zeros((len(cases), len(MARGINS))) for _ in range(2))
        for number, (case, clean) in enumerate(zip(cases, maps, strict=True)):
            tightest = slice_bounds(clean)
            for column, margin in enumerate(MARGINS):
                bounds = widened(tightest, case.frame, margin * clean.patch_mm)
                kept[number, column] = objects[number].covered(bounds)
                overlap[number, column] = mean_slice_iou(bounds, tight[number])
        values = np.array([features(clean) for clean in maps])
        for column in range(len(MARGINS)):
            found, safe = _judged(values, kept, column)
            score = float(np.where(safe, overlap[:, column], loose).mean())
            if best is None or score > best[0]:
                report = found.report | {
                    "slice_iou": round(score, 4),
                    "loose_slice_iou": round(float(loose.mean()), 4),
                }
                best = score, replace(found, threshold=threshold, report=report)
    return best[1]


def _judged(values: np.ndarray, kept: np.ndarray, column: int) -> tuple[Calibration, np.ndarray]:
    """The calibration (its threshold left open) for one margin, and which cases it calls safe."""
    failed = kept[:, column] < STRICT
    safe = values[:, 0] >= SUREST
    weights, offset, limit = (), 0.0, 0.0
    if len(kept) >= LEAST_CASES_FOR_SAFETY and failed.any():
        weights, offset = _logistic(values, failed)
        # The limit rests on risks that a model of the other cases gave, lest it flatter itself.
        risk = np.empty(len(values))
        for fold in range(FOLDS):
            other = np.arange(len(values)) % FOLDS != fold
            one, shift = _logistic(values[other], failed[other])
            risk[~other] = values[~other] @ np.array(one) + shift
        risk[~safe] = np.inf
        limit = _limit(risk, failed)
        safe = risk <= limit
    elif failed[safe].mean() > 1 - SUFFICED if safe.any() else False:
        # Too few cases to tell good maps from bad ones: this margin is not wide enough.
        safe = np.zeros(len(kept), bool)
    judged = kept[safe] if safe.any() else kept
    margins = {}
    for coverage in COVERAGES:
        enough = np.flatnonzero((judged >= coverage).mean(axis=0) >= SUFFICED)
        least = int(enough[0]) if enough.size else len(MARGINS) - 1
        margins[coverage] = MARGINS[column if coverage == STRICT else least]
    margins = dict(zip(margins, np.maximum.accumulate(list(margins.values())).tolist(), strict=True))
    report = {
        "safe": round(float(safe.mean()), 4),
        "failed_among_safe": round(float(failed[safe].mean()) if safe.any() else 0.0, 4),
    }
    sufficed = round(float(1 - failed.mean()), 4)
    return Calibration(0.0, margins, sufficed, weights, offset, limit, len(kept), report), safe


def _whole(frame: Frame) -> np.ndarray:
    """(slices, 2, 2): the loose box on every slice."""
    sides = [[-frame.box.size[axis] / 2, frame.box.size[axis] / 2] for axis in frame.plane]
    return np.tile(np.array(sides), (frame.slices, 1, 1))


def _logistic(values: np.ndarray, failed: np.ndarray) -> tuple[tuple[float, ...], float]:
    """Weights and offset of a regularised logistic model, by Newton's method on standardised features."""
    mean, spread = values.mean(axis=0), np.maximum(values.std(axis=0), LEAST_SPREAD)
    given = np.concatenate([(values - mean) / spread, np.ones((len(values), 1))], axis=1)
    penalty = np.diag([2.0] * values.shape[1] + [1e-6])
    theta = np.zeros(given.shape[1])
    for _ in range(30):
        chance = 1 / (1 + np.exp(-np.clip(given @ theta, -30, 30)))
        slope = given.T @ (chance - failed) + penalty @ theta
        curvature = (given * (chance * (1 - chance))[:, None]).T @ given + penalty
        theta = theta - np.linalg.solve(curvature, slope)
    weights = theta[:-1] / spread
    return tuple(float(one) for one in weights), float(theta[-1] - weights @ mean)


def _limit(risk: np.ndarray, failed: np.ndarray) -> float:
    """The highest risk to accept so that few of the accepted cases fail."""
    order = np.argsort(risk)
    # Half a failure more than there were: a few cases without one prove little.
    rate = (np.cumsum(failed[order]) + 0.5) / np.arange(1, len(order) + 1)
    good = np.flatnonzero((rate <= ACCEPTED_FAILURES) & np.isfinite(risk[order]))
    return float(risk[order[good[-1]]]) if good.size else float(np.nan_to_num(risk.min(), posinf=0.0) - 1.0)
