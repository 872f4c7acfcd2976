"""Editors that need no training: the boundary is carried to the stroke, and this very image says how far.

Both return a signed quantity in voxels (positive inside) on the working grid. They are the baselines that a model
has to beat, and what the tool falls back on where there is none.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .guidance import attention
from .working_grid import WorkingCase, sampled

BINS = 48

# Chosen on the real cases of benchmarks/editing: where the image can correct the warp, a wider one removes more.
MOVE_WIDTH = 0.75
EVIDENCE_WEIGHT = 2.0
STRONGEST_EVIDENCE = 3.0
# What the image, or a network, adds can push the boundary off the stroke again; this brings it back, close by only.
FOLLOW_WIDTH = 0.35


def moved_to_stroke(case: WorkingCase, phi: np.ndarray, width: float) -> np.ndarray:
    """phi - exp(-d^2 / 2 (width sigma)^2) * phi(nearest stroke point): its zero passes through the stroke.

    Parameters
    ----------
    case
        Distances to the stroke, in voxels.
    phi
        (K, J, I) float32, signed, positive inside.
    width
        How far this reaches, in sigmas.
    """
    at_stroke = sampled(phi, case.stroke).astype(np.float32)
    return phi - attention(case.distance, width * case.sigma) * at_stroke[case.nearest]


def signed_distance_warp(case: WorkingCase) -> np.ndarray:
    """Shift the signed distance so that its zero passes through the stroke; blind to the image."""
    return moved_to_stroke(case, case.signed_distance, 0.5)


def evidence(case: WorkingCase, warped: np.ndarray) -> tuple[np.ndarray, float]:
    """How much each voxel looks like the object rather than like its surroundings, in this image.

    The logarithm of the ratio of two smoothed intensity histograms: of voxels that are inside by the old
    segmentation and by the warp, and of those outside by both and within 1.5 influence radii.

    Returns
    -------
    ratio, trust
        (K, J, I) float32 log ratio, smoothed over one voxel, and a weight between 0 and 1: how well the two
        histograms separate (1 - Bhattacharyya coefficient) times how many voxels they rest on.
    """
    near = case.distance < 1.5 * case.radius
    inside = near & (case.signed_distance > 1) & (warped > 0)
    outside = near & (case.signed_distance < 0) & (warped < 0)
    count = min(np.count_nonzero(inside), np.count_nonzero(outside))
    if count == 0:
        return np.zeros_like(case.image), 0.0
    bins = np.clip((case.image * BINS).astype(np.int16), 0, BINS - 1)
    histograms = []
    for region in (inside, outside):
        # Not `core.intensities`: smoothed as shares and to the ends, as the weights of this warp were chosen.
        histogram = np.bincount(bins[region], minlength=BINS).astype(np.float64)
        histogram = ndimage.gaussian_filter1d(histogram / histogram.sum(), 2.0, mode="nearest") + 1e-3
        histograms.append(histogram / histogram.sum())
    overlap = float(np.sqrt(histograms[0] * histograms[1]).sum())
    ratio = np.log(histograms[0] / histograms[1]).astype(np.float32)[bins]
    ratio = ndimage.gaussian_filter(ratio, 1.0, mode="nearest", truncate=2.0)
    return ratio, (1.0 - overlap) * min(1.0, count / 400.0)


def trusted_evidence(case: WorkingCase, warped: np.ndarray) -> np.ndarray:
    """lambda L, (K, J, I) float32: how far the image would move the boundary, in voxels, before the attention."""
    ratio, trust = evidence(case, warped)
    return np.float32(EVIDENCE_WEIGHT * trust) * np.clip(ratio, -STRONGEST_EVIDENCE, STRONGEST_EVIDENCE)


def image_aware_warp(case: WorkingCase) -> np.ndarray:
    """A wider warp, corrected by what the image says about each voxel, phi + lambda A L, and held at the stroke."""
    warped = moved_to_stroke(case, case.signed_distance, MOVE_WIDTH)
    corrected = warped + attention(case.distance, case.sigma) * trusted_evidence(case, warped)
    return moved_to_stroke(case, corrected, FOLLOW_WIDTH)
