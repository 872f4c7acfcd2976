"""The probability from which a cell is object, chosen by boxes alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ...core.progress import Progress
from ...core.resampling import sampled
from ..scenes import Scene
from ..simulation import loose_box
from ..slices import Frame
from . import losses
from .inference import cell_probabilities
from .trainer import PlaneSampling, boxes_of

LEVELS = (0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)
TOLERANCE = 0.02
"""Difference of the IoU: the lowest level that is so near to the best is taken, since tight boxes, for which low ones
are right, are those that the model is most used with."""


def calibrated_level(
    network: torch.nn.Module,
    scenes: Sequence[Scene],
    sampling: PlaneSampling,
    views: int,
    seed: int,
    device: torch.device,
    progress: Progress | None = None,
    *,
    own_intensities: bool = False,
) -> float:
    """The level at which the boxes of the segmented planes agree with the given ones.

    Parameters
    ----------
    scenes
        Scenes for validation, each in one box, of no margin, a third of the largest, or nearly the largest.
    views, own_intensities
        As in `cell_probabilities`.

    Returns
    -------
    float
        One of `LEVELS`.
    """
    progress = progress or Progress()
    margins = [share * sampling.largest_margin for share in (0.0, 0.33, 0.83)]
    rng = np.random.default_rng([seed, 2])
    counts = np.zeros((len(margins), len(LEVELS), 2))
    for number, scene in enumerate(scenes):
        progress(number / len(scenes), f"choosing the level: box {number + 1} of {len(scenes)}")
        box = loose_box(scene.mask, margins[number % len(margins)], rng)
        axis = int(rng.integers(3)) if sampling.axis is None else sampling.axis
        frame = Frame.cut(box, axis, float(box.size[axis]), sampling.spacing_mm, sampling.side)
        probabilities = cell_probabilities(network, scene.image, frame, views, device, own_intensities=own_intensities)
        grid = frame.cells(0, frame.planes)
        inside = box.mask_on(grid)
        wanted = _boxes(sampled(scene.mask.with_array(scene.mask.array.astype(np.float32)), grid) * inside >= 0.5)
        for which, level in enumerate(LEVELS):
            here = _boxes((probabilities >= level) & inside)
            counts[number % len(margins), which] += (here & wanted).sum(), (here | wanted).sum()
    tried = counts[:, 0, 1] > 0
    agreement = (counts[tried, :, 0] / np.maximum(counts[tried, :, 1], 1)).mean(axis=0)
    return LEVELS[int(np.flatnonzero(agreement >= agreement.max() - TOLERANCE)[0])]


def _boxes(mask: np.ndarray) -> np.ndarray:
    """(K, J, I) bool: the box of every plane of a mask, filled."""
    boxes = boxes_of(torch.from_numpy(mask.astype(np.float32))[:, None])
    return losses.box_masks(boxes, mask.shape[1:])[:, 0].numpy() > 0
