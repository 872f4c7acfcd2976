"""What the images of one place look like: a palette of tissues, so that cases resemble each other as real ones do."""

from __future__ import annotations

import numpy as np

from .imaging import TissueValues
from .neighbourhood import FIRST_TARGET_LABEL, LabelMap

# Mean in Hounsfield units, its spread between cases, how often a neighbour is made of it
_ABDOMEN = (
    (-95, 8, 0.34),  # fat
    (55, 8, 0.18),  # muscle
    (112, 16, 0.16),  # an organ that looks like the target
    (20, 15, 0.14),  # bowel, fluid
    (160, 25, 0.08),  # vessel, kidney
    (-850, 60, 0.06),  # lung, gas
    (350, 120, 0.04),  # bone
)


def portal_venous_liver(
    rng: np.random.Generator, regions: LabelMap, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Means and textures (HU) of a liver CT; the contrast phase shifts the target by some 15 HU between cases."""
    share = np.array([row[2] for row in _ABDOMEN])
    means, texture = np.zeros(count), rng.uniform(3, 10, count)
    own = rng.normal(108, 14)
    for label in range(count):
        mean, spread, _ = _ABDOMEN[rng.choice(len(_ABDOMEN), p=share / share.sum())]
        means[label] = rng.normal(mean, spread)
        if label in regions.bone:
            means[label], texture[label] = rng.uniform(300, 900), 60
    means[FIRST_TARGET_LABEL] = own
    means[FIRST_TARGET_LABEL + 1 :] = own + rng.uniform(15, 60)
    return means, texture


LOOKS: dict[str, TissueValues] = {"liver-ct": portal_venous_liver}
