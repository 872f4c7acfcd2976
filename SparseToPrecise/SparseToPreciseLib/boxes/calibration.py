"""How much wider than what the network outlines a box must be to keep the object, told for each box by itself.

On cases with known masks that training has not seen, it is measured how many patches of margin every map needs. A
quantile regression on what the map looks like (`FEATURES`) foretells a margin that suffices for most, and what it still
lacks is made up for by the residuals of cases that it was not fitted to (conformal prediction: Romano, Patterson and
Candes, "Conformalized Quantile Regression", NeurIPS 2019). A map that would need more than the widest useful margin is
not trusted at all. So clear objects get tight boxes, and doubtful ones wide boxes or none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..core.errors import InputError
from .cleanup import CleanMap, cleaned, component_bounds

COVERAGES = (0.9, 0.95, 0.98, 0.99, 0.995)
STRICT = 0.99
"""The coverage for which threshold and widest margin are chosen."""
SUREST = 0.4
"""A map without a patch of so much object is never trusted."""
FEATURES = (
    "surest patch",
    "doubtful share",
    "object elsewhere",
    "share of the box",
    "faint rim",
    "width of the rim",
    "length in patches",
    "box faces touched",
)
LEAST_MARGIN = 0.25
"""Patches: added before a logarithm is taken of a margin."""
_FAINT = 0.3
"""Of the threshold: where a map falls from it to this share of it is its rim."""


@dataclass(frozen=True)
class Calibration:
    """Numbers that go with a model.

    Attributes
    ----------
    threshold
        A patch with a larger share of object counts.
    weights, offset
        log2(margin + `LEAST_MARGIN`) in patches is weights . features + offset + the shift of the wanted coverage.
    shifts
        Wanted coverage to shift, ascending.
    widest
        In patches; a map for which the margin for `STRICT` is larger is not trusted.
    cases
        How many it was measured on.
    report
        What was reached on them, each judged by a regression that was fitted to others.
    """

    threshold: float
    weights: tuple[float, ...]
    offset: float
    shifts: Mapping[float, float]
    widest: float
    cases: int = 0
    report: Mapping[str, float] = field(default_factory=dict)

    def margin(self, clean: CleanMap, coverage: float) -> tuple[float, float]:
        """(margin in patches, the coverage it was measured for) of the least stored coverage that is enough.

        Raises
        ------
        InputError
            A coverage beyond the calibration.
        """
        stored = self.stored_coverage(coverage)
        return margin_of(float(np.dot(self.weights, features(clean))) + self.offset + self.shifts[stored]), stored

    def stored_coverage(self, coverage: float) -> float:
        """The least coverage that was measured and is enough.

        Raises
        ------
        InputError
            A coverage beyond the calibration.
        """
        for stored in sorted(self.shifts):
            if stored >= coverage - 1e-9:
                return stored
        raise InputError(
            f"A coverage of {coverage:g} is more than this model was calibrated for; ask for at most "
            f"{max(self.shifts):g} and add a margin."
        )

    def doubt(self, clean: CleanMap) -> str:
        """Why the map cannot be trusted; empty when it can."""
        if clean.empty:
            return "nothing like an object was found in the box"
        surest = float(clean.shares[clean.kept].max())
        if surest < SUREST:
            return f"no part of the box looks surely like the object (the surest patch: {surest:.0%})"
        margin, _ = self.margin(clean, STRICT)
        if margin > self.widest:
            return f"the object's outline is doubtful (it would need a margin of {margin * clean.patch_mm:.0f} mm)"
        return ""

    def as_parameters(self) -> dict[str, Any]:
        """For the metadata of a bundle."""
        return {
            "threshold": self.threshold,
            "features": list(FEATURES),
            "weights": list(self.weights),
            "offset": self.offset,
            "shifts": {f"{coverage:g}": shift for coverage, shift in self.shifts.items()},
            "widest": self.widest,
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
            weights = tuple(float(one) for one in values["weights"])
            shifts = {float(coverage): float(shift) for coverage, shift in values["shifts"].items()}
            if list(values["features"]) != list(FEATURES) or len(weights) != len(FEATURES) or STRICT not in shifts:
                raise InputError("its margins were calibrated on features that this version does not compute")
            numbers = (float(values[name]) for name in ("threshold", "offset", "widest"))
            threshold, offset, widest = numbers
            report = {str(name): float(value) for name, value in values.get("report", {}).items()}
            return Calibration(threshold, weights, offset, shifts, widest, int(values["cases"]), report)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"its calibration is not in order ({error!r})") from error


def margin_of(logarithm: float | np.ndarray) -> float | np.ndarray:
    """Patches, at least 0, of log2(margin + `LEAST_MARGIN`)."""
    margin = np.maximum(np.exp2(np.minimum(logarithm, 30.0)) - LEAST_MARGIN, 0.0)
    return float(margin) if np.ndim(logarithm) == 0 else margin


def features(clean: CleanMap) -> np.ndarray:
    """(len(FEATURES),) what a map of patches looks like."""
    shares, kept = clean.shares, clean.kept
    if clean.empty:
        return np.array([0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0])
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
    faint = float((shares > _FAINT * clean.threshold).sum())
    return np.array(
        [
            float(inside.max()),
            float((shares * (1 - shares)).sum()) / mass,
            float(shares[over & ~kept].sum()) / mass,
            np.log(max(mass, 1e-3) / cells),
            np.log(faint / float(kept.sum())),
            np.log(0.1 + _rim(clean)),
            np.log(1.0 + _lengths(kept).max()),
            float(np.mean(touched)),
        ]
    )


def _rim(clean: CleanMap) -> float:
    """By how many patches the slices' boxes grow, per side, when the threshold falls to `_FAINT` of itself."""
    wider = cleaned(clean.shares, clean.frame, clean.patch, _FAINT * clean.threshold, near=clean.kept)
    inner, outer = component_bounds(clean, clean.kept), component_bounds(wider, wider.kept)
    both = ~np.isnan(inner[:, 0, 0]) & ~np.isnan(outer[:, 0, 0])
    return float(np.abs(outer - inner)[both].mean() / clean.patch_mm) if both.any() else 1.0


def _lengths(kept: np.ndarray) -> np.ndarray:
    """Patches (along the axis: slices, which are left out) from end to end in a slice's plane."""
    return np.array([np.ptp(np.flatnonzero(kept.any(axis=other))) for other in ((0, 1), (0, 2))])
