"""Losses of a synthetic CT, in units of the CT window, within the body."""

from __future__ import annotations

import torch


def masked_mean(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean over the voxels of a mask; 0 where there is none.

    A mean over all voxels would make the loss depend on how much air a patch has.

    Parameters
    ----------
    values, mask
        (B, 1, K, J, I), mask 0/1.
    """
    mask = mask.to(values.dtype)
    return (values * mask).sum() / mask.sum().clamp_min(1.0)


def absolute_error(ct: torch.Tensor, truth: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """mean |ct - truth| within the mask."""
    return masked_mean((ct - truth).abs(), mask)


def frequency_loss(
    low: torch.Tensor, high: torch.Tensor, truth: torch.Tensor, truth_high: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """mean |high - truth_high| + mean |low + high - truth| within the mask: Shi et al. (MICCAI 2021), Eq. 1.

    The equation writes sums; with means, as in the authors' code, the loss does not depend on the size of a patch.
    The low band has no term of its own: it is what the other two leave.
    """
    return absolute_error(high, truth_high, mask) + absolute_error(low + high, truth, mask)
