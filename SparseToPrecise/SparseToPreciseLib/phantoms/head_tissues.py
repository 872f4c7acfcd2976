"""Tissues of a head phantom: Hounsfield units, and a different MR contrast for every case."""

from __future__ import annotations

import numpy as np

TISSUES = (
    "air",
    "skin",
    "fat",
    "muscle",
    "compact bone",
    "diploe",
    "csf",
    "grey matter",
    "white matter",
    "vitreous",
    "lens",
    "tooth",
    "mucosa",
    "petrous bone",
    "blood",
    "dura",
    "gland",
    "spongy bone",
    "cartilage",
    "lesion",
    "oedema",
)
(
    AIR,
    SKIN,
    FAT,
    MUSCLE,
    COMPACT,
    DIPLOE,
    CSF,
    GREY,
    WHITE,
    VITREOUS,
    LENS,
    TOOTH,
    MUCOSA,
    PETROUS,
    BLOOD,
    DURA,
    GLAND,
    SPONGY,
    CARTILAGE,
    LESION,
    OEDEMA,
) = range(len(TISSUES))

BONES = (COMPACT, DIPLOE, TOOTH, PETROUS, SPONGY)

# Hounsfield units: mean, spread between heads, texture within a head
_CT = {
    AIR: (-1000, 3, 2),
    SKIN: (20, 25, 10),
    FAT: (-98, 10, 9),
    MUSCLE: (55, 7, 8),
    COMPACT: (1150, 170, 110),
    DIPLOE: (520, 150, 140),
    CSF: (8, 4, 3),
    GREY: (38, 2.5, 2),
    WHITE: (30, 2.5, 2),
    VITREOUS: (10, 5, 3),
    LENS: (85, 15, 4),
    TOOTH: (1900, 250, 250),
    MUCOSA: (45, 12, 8),
    PETROUS: (1450, 200, 260),
    BLOOD: (52, 8, 4),
    DURA: (62, 10, 6),
    GLAND: (25, 25, 14),
    SPONGY: (330, 90, 110),
    CARTILAGE: (110, 30, 20),
    LESION: (42, 14, 6),
    OEDEMA: (22, 4, 3),
}

# Relative MR signal by weighting; air and compact bone are dark in all of them.
_MR = {
    #          T1    T2    PD   FLAIR texture
    AIR: (0.00, 0.00, 0.00, 0.00, 0.0),
    SKIN: (0.60, 0.35, 0.60, 0.45, 0.05),
    FAT: (0.97, 0.66, 0.85, 0.70, 0.07),
    MUSCLE: (0.42, 0.22, 0.58, 0.36, 0.04),
    COMPACT: (0.03, 0.03, 0.04, 0.03, 0.02),
    DIPLOE: (0.32, 0.24, 0.32, 0.22, 0.08),
    CSF: (0.14, 1.00, 0.80, 0.07, 0.01),
    GREY: (0.53, 0.58, 0.86, 0.62, 0.02),
    WHITE: (0.73, 0.42, 0.70, 0.48, 0.02),
    VITREOUS: (0.12, 1.00, 0.78, 0.08, 0.01),
    LENS: (0.35, 0.20, 0.45, 0.30, 0.01),
    TOOTH: (0.02, 0.02, 0.02, 0.02, 0.01),
    MUCOSA: (0.46, 0.80, 0.75, 0.70, 0.06),
    PETROUS: (0.05, 0.05, 0.06, 0.05, 0.03),
    BLOOD: (0.25, 0.08, 0.20, 0.10, 0.02),
    DURA: (0.30, 0.15, 0.35, 0.25, 0.02),
    GLAND: (0.60, 0.50, 0.72, 0.55, 0.08),
    SPONGY: (0.62, 0.40, 0.55, 0.42, 0.12),
    CARTILAGE: (0.35, 0.30, 0.50, 0.35, 0.04),
    LESION: (0.42, 0.72, 0.82, 0.85, 0.10),
    OEDEMA: (0.48, 0.78, 0.84, 0.92, 0.03),
}

WEIGHTINGS = ("T1", "T2", "PD", "FLAIR")
CONTRASTS = (*WEIGHTINGS, "random")
_SHARES = (0.38, 0.16, 0.08, 0.12, 0.26)


def ct_tissues(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Mean and texture (HU) of every tissue of one head."""
    rows = np.array([_CT[tissue] for tissue in range(len(TISSUES))])
    spread = np.clip(rng.standard_normal(len(rows)), -2, 2)
    return rows[:, 0] + rows[:, 1] * spread, rows[:, 2] * rng.uniform(0.5, 1.4)


def mr_tissues(rng: np.random.Generator, contrast: str | None = None) -> tuple[str, np.ndarray, np.ndarray]:
    """A contrast (one of `CONTRASTS`; None draws one), and the mean and texture of every tissue, from 0 to about 1.

    The weightings vary between cases: fat may be suppressed, marrow bright or dark, blood void or bright, and with a
    contrast agent what it reaches is bright. "random" draws nearly everything: only air and compact bone stay dark.
    """
    drawn = str(rng.choice(CONTRASTS, p=_SHARES))
    contrast = contrast or drawn
    rows = np.array([_MR[tissue] for tissue in range(len(TISSUES))])
    jitter = np.exp(np.clip(rng.standard_normal(len(rows)), -2, 2) * 0.12)
    free = rng.uniform(0.05, 1.0, len(rows))
    marrow, fatless, agent, flow = rng.uniform(0.35, 1.8), rng.random() < 0.15, rng.random() < 0.15, rng.random() < 0.15
    dark = rng.uniform(0, 0.06, len(rows))
    if contrast == "random":
        means = free
        # Nearly the same tissue, nearly the same signal.
        means[SKIN] = np.clip(0.5 * (free[SKIN] + free[MUSCLE]), 0.15, 1)
        means[FAT], means[MUSCLE] = np.clip(free[[FAT, MUSCLE]], 0.15, 1)
        means[[VITREOUS, OEDEMA]] = means[CSF] * np.array([1.0, 0.9])
        means[SPONGY] = 0.3 * means[DIPLOE] + 0.5 * means[FAT]
    else:
        means = rows[:, WEIGHTINGS.index(contrast)] * jitter
        means[[DIPLOE, SPONGY]] *= (marrow, marrow**0.5)
    if fatless:
        means[[FAT, DIPLOE, SPONGY]] *= 0.22
    if agent:
        means[[MUCOSA, DURA, LESION, BLOOD, GLAND]] = np.array([0.85, 0.9, 1.0, 0.95, 0.8]) * jitter[:5]
    elif flow:
        means[BLOOD] = 1.0
    for tissue in (COMPACT, PETROUS, TOOTH):
        means[tissue] = dark[tissue]
    means[AIR] = 0.0
    if contrast in ("T1", "FLAIR"):  # often as dark as bone
        means[[CSF, VITREOUS]] *= rng.uniform(0.05, 1.6)
    return contrast, means, rows[:, 4] * rng.uniform(0.4, 1.5)
