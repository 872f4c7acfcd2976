"""The editing loss (paper Eq. 1-3, Algorithm 1) and the ones it is compared with."""

from __future__ import annotations

import torch
from torch.nn import functional


def editing_target(truth: torch.Tensor, initial: torch.Tensor, attention: torch.Tensor) -> torch.Tensor:
    """A y + (1 - A) y0, the soft target in which the editing loss is ordinary cross-entropy."""
    return attention * truth + (1 - attention) * initial


def editing_loss(
    logits: torch.Tensor,
    truth: torch.Tensor,
    initial: torch.Tensor,
    attention: torch.Tensor,
    weight: torch.Tensor | None = None,
) -> torch.Tensor:
    """Follow the truth near the stroke and the old segmentation elsewhere.

    A CE(y, p) + (1 - A) CE(y0, p) equals CE(A y + (1 - A) y0, p) because cross-entropy is linear in its target;
    computed from logits and averaged over voxels as in Algorithm 1.

    Parameters
    ----------
    logits, truth, initial, attention
        (B, 1, K, J, I); truth and initial are 0/1, attention is A.
    weight
        Weight per voxel, same shape; None weighs all alike.

    Returns
    -------
    Tensor
        Scalar.
    """
    target = editing_target(truth, initial, attention)
    if weight is None:
        return functional.binary_cross_entropy_with_logits(logits, target)
    losses = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (losses * weight).sum() / weight.sum()
