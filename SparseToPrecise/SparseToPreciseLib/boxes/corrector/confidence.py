"""From which share of object on a patch counts, for every wanted coverage, and which maps are not trusted.

All of it is measured on boxes around objects whose masks are known and that training has not seen, or of which it has
seen other copies only. The threshold is the main lever: a low one widens a box where the network is in doubt, where a
margin would widen it everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...core.errors import InputError
from ..object_length import mean_length
from .patches import patch_grid
from .postprocessing import CleanMap

COVERAGES = (0.8, 0.9, 0.95, 0.98, 0.99, 0.995)
STRICT = 0.99
"""The coverage that is reported of a model."""
SUREST = 0.4
"""A map without a patch of so much object is never trusted."""
FAR_LONGER = 1.75
"""Times the longest of a user's objects: who has found more than that has not found where the object ends. Correctors
of three and five masks of a real vertebra had found 1.87 times as much and more where they cut it in very loose boxes,
and 1.5 times at most in less loose ones."""


@dataclass(frozen=True)
class Level:
    """What is done for one coverage.

    Attributes
    ----------
    threshold
        A patch with a larger share of object counts.
    margin
        In patches, added on every side.
    doubtful
        A map of which a larger share is doubtful (`doubtful_share`) is not trusted; negative where none is.
    """

    threshold: float
    margin: float
    doubtful: float


@dataclass(frozen=True)
class Calibration:
    """Numbers that go with a model.

    Attributes
    ----------
    levels
        By coverage, ascending.
    cases
        How many boxes it was measured on.
    report
        What was reached on them, by coverage; see `calibrating.calibrated`.
    longest_mm
        A map in which something longer was found (`found_length`) is not trusted; None: of whatever length.
    """

    levels: Mapping[float, Level]
    cases: int = 0
    report: Mapping[float, Mapping[str, float]] = field(default_factory=dict)
    longest_mm: float | None = None

    def stored_coverage(self, coverage: float) -> float:
        """The least coverage that was measured and is enough.

        Raises
        ------
        InputError
            A coverage beyond the calibration.
        """
        for stored in sorted(self.levels):
            if stored >= coverage - 1e-9:
                return stored
        raise InputError(
            f"A coverage of {coverage:g} is more than this model was calibrated for; ask for at most "
            f"{max(self.levels):g} and add a margin."
        )

    def doubt(self, clean: CleanMap, coverage: float) -> str:
        """Why a map, cleaned with the threshold of a stored coverage, cannot be trusted; empty when it can."""
        if clean.empty:
            return "nothing like an object was found in the box"
        surest = surest_patch(clean)
        if surest < SUREST:
            return f"no part of the box looks surely like the object (the surest patch: {surest:.0%})"
        if self.longest_mm is not None and (length := found_length(clean)) > self.longest_mm:
            return (
                "what was found is far larger than the objects of the model's cases "
                f"(some {length:.0f} mm across; up to {self.longest_mm:.0f} mm is trusted)"
            )
        limit = self.levels[coverage].doubtful
        if limit < 0:
            return "on the cases it was calibrated with, this model could not be relied on"
        share = doubtful_share(clean)
        if share > limit:
            return f"the object's outline is doubtful ({share:.0%} of what was found; up to {limit:.0%} is trusted)"
        return ""

    def as_parameters(self) -> dict[str, Any]:
        """For the metadata of a bundle."""
        return {
            "levels": {
                f"{coverage:g}": {"threshold": one.threshold, "margin": one.margin, "doubtful": one.doubtful}
                for coverage, one in self.levels.items()
            },
            "cases": self.cases,
            "report": {f"{coverage:g}": dict(one) for coverage, one in self.report.items()},
            "longest_mm": self.longest_mm,
        }

    @staticmethod
    def from_parameters(values: Mapping[str, Any]) -> Calibration:
        """The opposite of `as_parameters`.

        Raises
        ------
        InputError
            Something is missing or out of range, as in bundles of earlier versions.
        """
        try:
            levels = {
                float(coverage): Level(*(float(one[name]) for name in ("threshold", "margin", "doubtful")))
                for coverage, one in values["levels"].items()
            }
            report = {
                float(coverage): {str(name): float(number) for name, number in one.items()}
                for coverage, one in values.get("report", {}).items()
            }
            cases = int(values["cases"])
            longest = values.get("longest_mm")
            longest = None if longest is None else float(longest)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"its calibration is not in order ({error!r})") from error
        if STRICT not in levels or not all(
            0 < one.threshold <= 1 and 0 <= one.margin < 1e3 and one.doubtful <= 1 for one in levels.values()
        ):
            raise InputError("its calibration is not in order (thresholds, margins or shares out of range)")
        if longest is not None and not longest > 0:
            raise InputError(f"its calibration is not in order (objects of up to {longest} mm)")
        return Calibration(dict(sorted(levels.items())), cases, report, longest)


def surest_patch(clean: CleanMap) -> float:
    """The largest share of object of the patches that are kept."""
    return float(clean.shares[clean.kept].max())


def found_length(clean: CleanMap) -> float:
    """Of what was found, mm; see `mean_length`."""
    return mean_length(clean.kept, patch_grid(clean.frame, clean.patch).spacing_kji)


def doubtful_share(clean: CleanMap) -> float:
    """How much of what was found is neither surely object nor surely not, between 0 and 1."""
    inside = clean.shares[clean.kept]
    return float((inside * (1 - inside)).sum() / inside.sum())
