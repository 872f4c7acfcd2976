"""Appearance of the images of one place: a palette of tissues, so that cases resemble each other as real ones do."""

from __future__ import annotations

import numpy as np

from .imaging import TissueValues, ct_values, free_values
from .neighbourhood import FIRST_TARGET_LABEL, LabelMap
from .packing import FAT, OUTSIDE

# Mean in Hounsfield units, its spread between cases, how often a neighbour is made of it
ABDOMEN = (
    (-95, 8, 0.34),  # fat
    (55, 8, 0.18),  # muscle
    (112, 16, 0.16),  # an organ that looks like the target
    (20, 15, 0.14),  # bowel, fluid
    (160, 25, 0.08),  # vessel, kidney
    (-850, 60, 0.06),  # lung, gas
    (350, 120, 0.04),  # bone
)
FAT_ROW = 0


def portal_venous_liver(
    rng: np.random.Generator, regions: LabelMap, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Means and textures (HU) of a liver CT; the contrast phase shifts the target by some 15 HU between cases."""
    share = np.array([row[2] for row in ABDOMEN])
    means, texture = np.zeros(count), rng.uniform(3, 10, count)
    own = rng.normal(108, 14)
    for label in range(count):
        mean, spread, _ = ABDOMEN[rng.choice(len(ABDOMEN), p=share / share.sum())]
        means[label] = rng.normal(mean, spread)
        if label in regions.bone:
            means[label], texture[label] = rng.uniform(300, 900), 60
    means[FIRST_TARGET_LABEL] = own
    means[FIRST_TARGET_LABEL + 1 :] = own + rng.uniform(15, 60)
    return means, texture


def distinct(values: TissueValues, least: float) -> TissueValues:
    """Tissues of which most differ from the target by at least so much; what cannot be seen cannot be learnt."""

    def chosen(rng: np.random.Generator, regions: LabelMap, count: int) -> tuple[np.ndarray, np.ndarray]:
        means, texture = values(rng, regions, count)
        own = means[FIRST_TARGET_LABEL]
        for label in range(min(FIRST_TARGET_LABEL, count)):
            if abs(means[label] - own) < least and rng.random() < 0.85:
                means[label] = own + rng.choice([-1, 1]) * rng.uniform(1, 2.5) * least
        return means, texture

    return chosen


def in_a_body(values: TissueValues, modality: str) -> TissueValues:
    """As `values`, with air around a packed body and mostly fat between its organs."""

    def chosen(rng: np.random.Generator, regions: LabelMap, count: int) -> tuple[np.ndarray, np.ndarray]:
        means, texture = values(rng, regions, count)
        means[OUTSIDE], texture[OUTSIDE] = (rng.uniform(-1000, -960), 4) if modality == "ct" else (0.01, 0.003)
        if modality == "ct" and rng.random() < 0.8:
            means[FAT], texture[FAT] = rng.uniform(-115, -75), rng.uniform(4, 14)
        return means, texture

    return chosen


LOOKS: dict[str, tuple[str, TissueValues]] = {
    "liver-ct": ("ct", portal_venous_liver),
    "any-ct": ("ct", distinct(ct_values, 28.0)),
    "any-mr": ("mr", distinct(free_values, 0.14)),
}
"""Name to the modality and the tissues."""
