"""A segmentation network that is deliberately stopped too early.

Its mistakes sit where the image is ambiguous, as those of real segmentation networks do, while dents and bulges
that are cut into a truth contradict the image. Training and benchmark need both kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy import ndimage
from skimage import measure

from ..core.networks import build_network

Segmenter = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(image normalised to about 0..1, truth) -> predicted mask, all (K, J, I); the truth gives only a blurred hint."""

HINT_SIGMA = 7.0


def undertrained_segmenters(
    cases: Sequence[tuple[np.ndarray, np.ndarray]],
    steps: Sequence[int] = (40, 80, 160),
    seed: int = 0,
    crop: int = 48,
) -> list[Segmenter]:
    """Train a small U-Net on a few cases and keep it as it is after each number of steps.

    Parameters
    ----------
    cases
        (image, truth) pairs, (K, J, I), images normalised to about 0..1; sides of at least 16 voxels.
    steps
        When to keep a copy; training ends at the last.
    seed
        Of the weights and the crops.
    crop
        Side of the random crops, voxels.

    Returns
    -------
    list of callables
        One per entry of `steps`.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = _network()
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    kept = []
    for step in range(1, max(steps) + 1):
        image, truth = cases[rng.integers(len(cases))]
        given = np.stack([image, hint(truth)])
        start = [rng.integers(0, max(size - crop, 0) + 1) for size in truth.shape]
        part = tuple(slice(a, a + crop) for a in start)
        given, target = _padded(given[(slice(None), *part)]), _padded(truth[part][None])
        axis = int(rng.integers(3))
        given, target = (np.flip(array, 1 + axis).copy() for array in (given, target))
        logits = network(torch.from_numpy(given)[None])
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            logits, torch.from_numpy(target.astype(np.float32))[None]
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step in steps:
            kept.append(_frozen(network))
    return kept


def hint(truth: np.ndarray) -> np.ndarray:
    """Roughly where the object is: the truth, blurred until its outline is lost."""
    return ndimage.gaussian_filter(truth.astype(np.float32), HINT_SIGMA, truncate=2.5)


def _network() -> torch.nn.Module:
    return build_network(
        {
            "name": "UNet",
            "arguments": {
                "spatial_dims": 3,
                "in_channels": 2,
                "out_channels": 1,
                "channels": [8, 16, 32],
                "strides": [2, 2],
                "num_res_units": 1,
            },
        }
    )


def _frozen(network: torch.nn.Module) -> Segmenter:
    copy = _network()
    copy.load_state_dict(network.state_dict())
    copy.eval()

    def segment(image: np.ndarray, truth: np.ndarray) -> np.ndarray:
        given = _padded(np.stack([image, hint(truth)]).astype(np.float32))
        with torch.inference_mode():
            logits = copy(torch.from_numpy(given)[None])[0, 0].numpy()
        mask = logits[tuple(slice(0, size) for size in truth.shape)] > 0
        return _touching(mask, truth)

    return segment


def _touching(mask: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The connected parts that share at least a tenth of their voxels with the object."""
    parts = measure.label(mask)
    if parts.max() == 0:
        return mask
    share = ndimage.mean(truth, parts, np.arange(parts.max() + 1))
    keep = np.asarray(share) >= 0.1
    keep[0] = False
    return keep[parts]


def _padded(array: np.ndarray) -> np.ndarray:
    """(C, K, J, I) padded at the end to multiples of 4."""
    return np.pad(array, [(0, 0)] + [(0, -size % 4) for size in array.shape[1:]], mode="edge")
