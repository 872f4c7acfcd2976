"""How sure a landmark is, from what can be seen without knowing where it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PLACED = 0.3
"""Below this confidence a landmark stays unplaced."""

WEIGHTS = {
    "bias": -12.8,
    "round_trip": -3.2,
    "spread": -18.8,
    "local": 8.7,
    "whole": 7.8,
    "margin": 5.6,
}
"""Of the logistic model; fitted with an L2 penalty to 126 landmarks of phantoms of the uses "test" and "calibration":
18 detections, the same with every pose near the truth forbidden, and six phantoms without the structure."""

_TIE, _CLEAR = 0.5, 0.2
"""Where another answer is as alike, at most one of the two is right; from such a margin on it no longer counts."""


@dataclass(frozen=True)
class Evidence:
    """About one landmark; lengths in diameters of the structure.

    Attributes
    ----------
    round_trip
        From the reference to the target and back, how far from where it started.
    spread
        How far apart it comes to lie from perturbed starts.
    local, whole
        `similarity` around the landmark, and of the whole patch.
    mass
        Of the structure as the network sees it, relative to the reference: 1 is best.
    margin
        By how much the patch is more alike under this pose than under the next best one.
    """

    round_trip: float
    spread: float
    local: float
    whole: float
    mass: float
    margin: float = 0.0

    @property
    def confidence(self) -> float:
        """0..1: the share of landmarks with such evidence that lie within a sixth of the structure's diameter."""
        total = WEIGHTS["bias"] + sum(WEIGHTS.get(name, 0.0) * value for name, value in self.features.items())
        certain = min(1.0, _TIE + (1 - _TIE) * self.features["margin"] / _CLEAR)
        return float(certain / (1 + np.exp(-np.clip(total, -30, 30))))

    @property
    def features(self) -> dict[str, float]:
        """As the logistic model takes them."""
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
