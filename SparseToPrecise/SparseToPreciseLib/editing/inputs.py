"""Channels that a network of this family may see, of a working case."""

from __future__ import annotations

import numpy as np

from .guidance import attention
from .warps import BINS, EVIDENCE_WEIGHT, MOVE_WIDTH, STRONGEST_EVIDENCE, moved_to_stroke, trusted_evidence
from .working_grid import SIGMA_VOXELS, WorkingCase

CLIP = 12.0
"""Distances and proposals are clipped at this many voxels; farther away they carry no news."""


def channel_constants() -> dict[str, float]:
    """The numbers that decide what a network sees; one that was trained with others sees something else."""
    return {
        "sigma_voxels": SIGMA_VOXELS,
        "clip_voxels": CLIP,
        "histogram_bins": BINS,
        "carry_width": MOVE_WIDTH,
        "evidence_weight": EVIDENCE_WEIGHT,
        "strongest_evidence": STRONGEST_EVIDENCE,
    }


def channels(case: WorkingCase) -> dict[str, np.ndarray]:
    """Every channel that a network may ask for, (K, J, I) float32, about -1 .. 1.

    image: the case's. mask: the old segmentation, 0/1. guidance: the paper's u, which equals A here.
    signed_distance, warp, proposal: of the old segmentation, carried to the stroke, and corrected by the evidence
    (the image-aware warp before it is held at the stroke), clipped at `CLIP` voxels and divided by it.
    evidence: see `warps.trusted_evidence`.
    """
    warped = moved_to_stroke(case, case.signed_distance, MOVE_WIDTH)
    guidance = attention(case.distance, case.sigma)
    trusted = trusted_evidence(case, warped)
    return {
        "image": case.image,
        "mask": (case.signed_distance > 0).astype(np.float32),
        "guidance": guidance,
        "signed_distance": _clipped(case.signed_distance),
        "warp": _clipped(warped),
        "evidence": trusted / np.float32(EVIDENCE_WEIGHT * STRONGEST_EVIDENCE),
        "proposal": _clipped(warped + guidance * trusted),
    }


def _clipped(distance: np.ndarray) -> np.ndarray:
    return np.clip(distance, -CLIP, CLIP) / np.float32(CLIP)
