"""Losses that learn a segmentation from the boxes of slices alone.

All take probabilities (B, 1, H, W) of B slices and the box of each: (B, 2, 2) whole pixels, rows then columns, first
and one past the last; an empty box (both ends equal) is a slice without object. Constraints are written z <= 0 with z
as a share of pixels, so that they do not depend on the resolution.

Source: Kervadec et al., "Bounding boxes for weakly supervised segmentation: Global constraints get close to full
supervision" (MIDL 2020, arXiv:2004.06816): tightness, emptiness and size; Kervadec et al., "Constrained deep networks:
Lagrangian optimization via log-barrier extensions" (arXiv:1904.04205): the barrier. `pairwise` is after that of
Tian et al., "BoxInst" (CVPR 2021, arXiv:2012.02310).
"""

from __future__ import annotations

import torch

SIZE_SHARE = (0.5, 0.9)
"""Shares of its box that an object fills, at least and at most."""
STRIPE = 5
FIRST_TEMPERATURE = 5.0
GROWTH = 1.1
"""Factor of the temperature after every epoch."""
_LEAST = 1e-6


def temperature(epoch: float) -> float:
    """Temperature of the barrier: 5 at first, 1.1 times as much after every epoch."""
    return FIRST_TEMPERATURE * GROWTH**epoch


def log_barrier(z: torch.Tensor, t: float) -> torch.Tensor:
    """The log-barrier extension of constraints z <= 0 (arXiv:1904.04205, Eq. 3).

    -log(-z) / t where z <= -1 / t^2, and beyond that its tangent, t z - log(1 / t^2) / t + 1 / t, so that a violated
    constraint has a gradient too. It is 0 at z = -1 and rises with z everywhere.
    """
    knee = 1 / t**2
    # Each branch sees only values it is defined for: a NaN in the other one would still reach the gradient.
    inside = -torch.log(-z.clamp(max=-knee)) / t
    beyond = t * z - torch.log(torch.tensor(knee, dtype=z.dtype, device=z.device)) / t + 1 / t
    return torch.where(z <= -knee, inside, beyond)


def box_masks(boxes: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    """(B, 1, H, W) float32: 1 inside the boxes."""
    rows, columns = _within(boxes, shape)
    return (rows[:, :, None] & columns[:, None, :])[:, None].float()


def tightness(probabilities: torch.Tensor, boxes: torch.Tensor, t: float, stripe: int = STRIPE) -> torch.Tensor:
    """Every stripe across a box holds object: mean barrier over all stripes of all slices (arXiv:2004.06816, Eq. 3-5).

    A stripe is `stripe` rows (or columns) of a box, or all of them where it has fewer; every position within the box
    counts, up to its last row and column. Its probabilities sum up to at least its width: z = (width - sum) / (number
    of its pixels), between -1 and 1 / length.
    """
    shape = probabilities.shape[-2:]
    inside = (probabilities * box_masks(boxes, shape))[:, 0]
    total, count = probabilities.new_zeros(()), probabilities.new_zeros(())
    lengths = (boxes[:, :, 1] - boxes[:, :, 0]).to(probabilities.dtype)
    there = (lengths > 0).all(dim=1, keepdim=True)
    for axis in (0, 1):
        sums = _window_sums(inside.sum(dim=2 - axis), stripe)
        width = lengths[:, axis].clamp(max=stripe)[:, None]
        last = torch.arange(shape[axis], device=boxes.device)[None]
        counted = there & (last >= boxes[:, axis, :1] + width - 1) & (last < boxes[:, axis, 1:])
        pixels = (width * lengths[:, 1 - axis][:, None]).clamp(min=1)
        total = total + (log_barrier((width - sums) / pixels, t) * counted).sum()
        count = count + counted.sum()
    return total / count.clamp(min=1)


def emptiness(probabilities: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """Nothing is object outside: mean of -log(1 - p) there; never negative (arXiv:2004.06816, Eq. 2).

    Parameters
    ----------
    inside
        (B, 1, H, W), 1 where object can be: the `box_masks`, or the part of them that the boxes of other axes leave
        (`hull`); a slice without object has no inside.
    """
    outside = 1 - inside
    surprise = -torch.log1p(-probabilities.clamp(max=1 - _LEAST))
    return (surprise * outside).sum() / outside.sum().clamp(min=1)


def size(
    probabilities: torch.Tensor, boxes: torch.Tensor, t: float, share: tuple[float, float] = SIZE_SHARE
) -> torch.Tensor:
    """The object fills between two shares of its box: mean barrier over slices (arXiv:2004.06816, Eq. 6).

    z is the share that is missing from the lower bound, or is too much for the upper one; slices without object do
    not count.
    """
    filled = (probabilities * box_masks(boxes, probabilities.shape[-2:])).sum(dim=(1, 2, 3))
    area = (boxes[:, :, 1] - boxes[:, :, 0]).prod(dim=1)
    there = area > 0
    ratio = filled / area.clamp(min=1)
    barriers = log_barrier(share[0] - ratio, t) + log_barrier(ratio - share[1], t)
    return (barriers * there).sum() / there.sum().clamp(min=1)


def intensity(logits: torch.Tensor, prior: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """Cross-entropy to the probability by intensity, weighted, where object can be; never negative.

    Parameters
    ----------
    logits
        (B, 1, H, W).
    prior
        (B, 1, H, W) from `intensities.object_probabilities`; a pixel of the probability p counts |2 p - 1|.
    inside
        As in `emptiness`.
    """
    weight = inside * (2 * prior - 1).abs()
    surprise = torch.nn.functional.binary_cross_entropy_with_logits(logits, prior, reduction="none")
    # The entropy, which remains at the best answer, is taken off, so that it is 0 there.
    least = -(torch.xlogy(prior, prior) + torch.xlogy(1 - prior, 1 - prior))
    return ((surprise - least) * weight).sum() / weight.sum().clamp(min=1)


def pairwise(
    logits: torch.Tensor, image: torch.Tensor, boxes: torch.Tensor, tolerance: float, step: int = 1
) -> torch.Tensor:
    """Pixels that look alike are both object or both not: mean of -log P(same) over pairs; never negative.

    Parameters
    ----------
    logits
        (B, 1, H, W), not probabilities: far from the boundary those are too near to 0 and 1.
    image
        (B, C, H, W) values by which two pixels are compared.
    tolerance
        A pair counts exp(-(difference / tolerance)^2), so that pairs across an edge do not.
    step
        Pixels between the two of a pair, along rows, columns and both diagonals; one of them must lie in a box. With
        other steps than 1 a chequered object would pass for a smooth one.
    """
    inside = box_masks(boxes, logits.shape[-2:])
    yes, no = torch.nn.functional.logsigmoid(logits), torch.nn.functional.logsigmoid(-logits)
    total, count = logits.new_zeros(()), logits.new_zeros(())
    for down, right in ((step, 0), (0, step), (step, step), (step, -step)):
        first, second = (_shifted(down, right), _shifted(-down, -right))
        same = torch.logaddexp(yes[first] + yes[second], no[first] + no[second])
        difference = (image[first] - image[second]).square().sum(dim=1, keepdim=True)
        weight = torch.exp(-difference / tolerance**2) * torch.maximum(inside[first], inside[second])
        total = total - (same * weight).sum()
        count = count + weight.sum()
    return total / count.clamp(min=1)


def _within(boxes: torch.Tensor, shape: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows (B, H) and columns (B, W), as bool, that lie in each box."""
    return tuple(
        (at >= boxes[:, axis, :1]) & (at < boxes[:, axis, 1:])
        for axis, at in enumerate(torch.arange(length, device=boxes.device)[None] for length in shape)
    )


def _window_sums(lines: torch.Tensor, width: int) -> torch.Tensor:
    """(B, N) -> (B, N): sums of each line and the width - 1 lines before it."""
    padded = torch.nn.functional.pad(lines[:, None], (width - 1, 0))
    return torch.nn.functional.avg_pool1d(padded, width, stride=1)[:, 0] * width


def _shifted(down: int, right: int) -> tuple[slice, ...]:
    """The part of an image that remains in it when it is moved, as an index."""
    return (slice(None), slice(None), *(slice(max(n, 0), min(n, 0) or None) for n in (down, right)))
