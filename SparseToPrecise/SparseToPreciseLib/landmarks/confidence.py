"""Confidence in a landmark, from what can be seen without knowing where it is."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

PLACED = 0.3
"""Below this confidence a landmark stays unplaced."""
NEAR = 1 / 6
"""Distance from the truth, in diameters of the structure, within which a landmark counts as right."""

WEIGHTS = {
    "bias": -12.8,
    "round_trip": -3.2,
    "spread": -18.8,
    "local": 8.7,
    "whole": 7.8,
    "margin": 5.6,
}
"""Weights of the logistic model; fitted with an L2 penalty to 126 landmarks of phantoms of the uses "test" and
"calibration": 18 detections, the same with every pose near the truth forbidden, and six phantoms without the
structure."""

BOTH_FIT = 0.05
"""Margin of similarity below which two answers both fit, so that at most one of them is right; as measured between the
two sides of nearly symmetric skulls, where chance decides, with room (up to 0.018)."""
_MARGINS, _CERTAINTIES = (-0.1, 0.0, BOTH_FIT, 0.2), (0.0, 0.5, 0.5, 1.0)
"""Factor of a confidence by the margin to the best other answer."""


@dataclass(frozen=True)
class Evidence:
    """Evidence for and against one landmark; lengths in diameters of the structure.

    Attributes
    ----------
    round_trip
        Distance from where it started, after the way from the reference to the target and back.
    spread
        Mean distance to where perturbed starts bring it.
    local, whole
        `similarity` around the landmark, and of the whole patch.
    mass
        Mass of the structure as the network sees it, relative to the reference: 1 is best.
    margin
        Similarity of the patch under this pose, less that under the best pose that brings the landmarks elsewhere.
    lead
        Similarity less that of the best other answer about the whole image: the other side, another size. Negative
        where that one fits better.
    rival
        The answer that `lead` is measured against, for the user.
    """

    round_trip: float
    spread: float
    local: float
    whole: float
    mass: float
    margin: float = 0.0
    lead: float = 1.0
    rival: str = ""

    def against(self, lead: float, rival: str) -> Evidence:
        """The same evidence beside another answer; the strongest of several counts."""
        return replace(self, lead=lead, rival=rival) if lead < self.lead else self

    @property
    def confidence(self) -> float:
        """0..1: the share of landmarks with such evidence that lie within a sixth of the structure's diameter."""
        total = WEIGHTS["bias"] + sum(WEIGHTS.get(name, 0.0) * value for name, value in self.features.items())
        certain = np.interp(min(self.margin, self.lead), _MARGINS, _CERTAINTIES)
        return float(certain / (1 + np.exp(-np.clip(total, -30, 30))))

    @property
    def features(self) -> dict[str, float]:
        """The numbers that the logistic model takes."""
        return {
            "round_trip": min(self.round_trip, 0.5),
            "spread": min(self.spread, 0.5),
            "local": max(self.local, 0.0),
            "whole": max(self.whole, 0.0),
            "mass": min(self.mass, 1 / max(self.mass, 1e-6)),
            "margin": min(max(self.margin, 0.0), 0.3),
        }

    @property
    def weakness(self) -> str:
        """The evidence that speaks most against the landmark, for the user."""
        if self.lead < min(self.margin, BOTH_FIT):
            return f"{self.rival} fits {'better' if self.lead < 0 else 'as well'} (by {abs(self.lead):.2f})"
        texts = {
            "round_trip": f"going there and back ends {self.round_trip:.2f} of the structure's length away",
            "spread": f"other starts end {self.spread:.2f} of the structure's length apart",
            "local": f"its neighbourhood resembles the reference by {self.local:.2f} of 1 only",
            "whole": f"the structure resembles the reference by {self.whole:.2f} of 1 only",
            "margin": f"another pose or place resembles the reference nearly as well (by {self.margin:.2f} less)",
        }
        good = {"round_trip": 0.02, "spread": 0.03, "local": 0.8, "whole": 0.8, "margin": 0.2}
        features = self.features
        loss = {name: WEIGHTS[name] * (good[name] - features[name]) for name in texts}
        return texts[max(loss, key=lambda name: loss[name])]
