"""Organs packed into a body: each gives way to those drawn after it, so that hollows, crescents and wedges come about.

Where `neighbourhood` puts one construction among smooth tissues, here every organ is made alike and any of them may be
the target, whatever became of it: compact, bitten into, or cut by the field of view.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..core.masks import largest_component
from . import shapes
from .fields import UNITS_PER_CUBE, coordinates, enlarged, smooth_field
from .neighbourhood import FIRST_TARGET_LABEL, LabelMap

OUTSIDE, FAT = 0, 1
"""Labels of what is around the body, and between the organs."""

FIRST_ORGAN = 2
_ORGANS = (7, 22)
_LEAST_EXTENT, _LEAST_SHARE = 0.14, 0.003
_INDISTINCT = 0.35
_CUT_LIKELIHOOD = 0.06


def build_packed(rng: np.random.Generator, shape: tuple[int, int, int]) -> LabelMap | None:
    """Draw a body with its organs on a cube of `shape` voxels, one of them the target; None where none is fit."""
    step = max(1, round(shape[0] / 40))
    coarse = tuple(-(-size // step) for size in shape)
    points = coordinates(coarse)
    period = rng.uniform(18, 40)
    warped = points + smooth_field(rng, coarse, period, 3) * period * rng.uniform(0.02, 0.2)
    labels = np.full(shape, FAT, np.uint8)
    count = int(rng.integers(*_ORGANS))
    rough = smooth_field(rng, shape, rng.uniform(4, 9)) * rng.uniform(0, 0.5)
    bone: set[int] = set()
    label = FIRST_ORGAN
    organs: list[int] = []
    for _ in range(count):
        if label > FIRST_TARGET_LABEL - 3:
            break
        distance = enlarged(random_organ(rng)(warped), shape) + rough
        # A layer of fat parts it from what it presses on; some organs touch.
        gap = max(0.0, rng.normal(0.6, 1.2))
        labels[(distance < gap) & (distance >= 0)] = FAT
        labels[distance < 0] = label
        organs.append(label)
        if rng.random() < 0.12:
            bone.add(label)
            label += 1
            labels[distance < -rng.uniform(1.0, 2.5)] = label
        label += 1
    outline = shapes.superellipsoid(rng.uniform(30, 62, 3), rng.uniform(2, 3))
    beyond = enlarged(outline(warped + rng.normal(0, 8, (3, 1, 1, 1)).astype(np.float32)), shape)
    labels[beyond > 0] = OUTSIDE
    fit = [one for one in organs if one not in bone and _usable(labels == one)]
    if not fit:
        return None
    likely = np.array([_likelihood(labels == one) for one in fit])
    chosen = int(rng.choice(fit, p=likely / likely.sum()))
    target = largest_component(labels == chosen)
    labels[(labels == chosen) & ~target] = FAT
    if not _usable(target):
        return None
    labels[target] = FIRST_TARGET_LABEL
    if rng.random() < _INDISTINCT:
        depth = ndimage.distance_transform_edt(target) * (UNITS_PER_CUBE / shape[0])
        core = depth > rng.uniform(0.3, 0.7) * depth.max()
        tubes = smooth_field(rng, shape, rng.uniform(8, 16)) > rng.uniform(1.2, 1.8)
        labels[core if rng.random() < 0.4 else tubes & target] = FIRST_TARGET_LABEL + 1
    return LabelMap(labels, target, bone)


def random_organ(rng: np.random.Generator, largest: float = 30.0) -> shapes.Shape:
    """A bent tube or a superellipsoid of up to `largest` units somewhere in the cube."""
    centre = rng.uniform(-30, 30, 3)
    if rng.random() < 0.2:  # a vessel, a rib, a loop of bowel
        path = shapes.smooth_path(rng, rng.uniform(25, 90), rng.uniform(0.3, 2.5), 6) + centre
        return shapes.tube(path, np.full(6, np.exp(rng.uniform(np.log(1.5), np.log(7)))))
    size = np.exp(rng.uniform(np.log(5), np.log(largest)))
    body = shapes.superellipsoid(size * np.exp(rng.normal(0, 0.35, 3)), rng.uniform(1.8, 3.2), rng.uniform(0, 0.5))
    return shapes.moved(body, shapes.random_rotation(rng), centre)


def _likelihood(mask: np.ndarray) -> float:
    """Large organs more often than small ones, and those that the field of view cuts less often: they abound."""
    return np.count_nonzero(mask) ** 0.5 * (_CUT_LIKELIHOOD if at_border(mask) else 1.0)


def at_border(mask: np.ndarray) -> bool:
    """Whether a mask touches a face of its array."""
    return any(mask.take(end, axis).any() for axis in range(3) for end in (0, -1))


def _usable(mask: np.ndarray) -> bool:
    """Not a splinter, not nearly all of the cube."""
    if mask.mean() < _LEAST_SHARE:
        return False
    extent = np.array([np.ptp(at) + 1 for at in np.nonzero(mask)]) / mask.shape
    return extent.min() >= _LEAST_EXTENT and np.sort(extent)[1] <= 0.8
