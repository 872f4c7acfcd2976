"""`make_phantom`: one procedural case from a family and a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.errors import InputError
from .families import BUILDERS
from .imaging import annotate, form_image, random_scanner
from .neighbourhood import build_label_map

HELD_OUT_FAMILIES: tuple[str, ...] = ("tree", "bean", "vertebra")
TRAIN_FAMILIES: tuple[str, ...] = tuple(name for name in BUILDERS if name not in HELD_OUT_FAMILIES)
FAMILIES: tuple[str, ...] = TRAIN_FAMILIES + HELD_OUT_FAMILIES

# a target outside this share of the cube leaves nothing to edit
_SMALLEST_SHARE, _LARGEST_SHARE = 0.002, 0.75
_ATTEMPTS = 20
_ANNOTATED_SHARE = 0.67
_CUT_SHARE = 0.12


@dataclass(frozen=True)
class Phantom:
    """One case.

    Attributes
    ----------
    image : (K, J, I) float32, arbitrary units (Hounsfield units where the case imitates a CT)
    labels : (K, J, I) uint8, 0 .. 39 are neighbouring regions, 40 and above the parts of the target
    target : (K, J, I) bool
        The true segmentation: in two cases of three as drawn on the voxels of the simulated scanner, so that it leaves
        the labels by a fraction of such a voxel.
    family : str
    seed : int
    """

    image: np.ndarray
    labels: np.ndarray
    target: np.ndarray
    family: str
    seed: int


def make_phantom(family: str, seed: int, shape: tuple[int, int, int] = (64, 64, 64)) -> Phantom:
    """Make the case number `seed` of a family on an isotropic cube.

    The same family, seed and shape always give the same case. The target's boundary usually passes near the cube's
    centre, as it does in the working cube around a stroke; large targets continue beyond the cube.

    Raises
    ------
    InputError
        For an unknown family or a shape below 16 voxels per axis.
    """
    if family not in BUILDERS:
        raise InputError(f"There is no phantom family {family!r}; choose one of {', '.join(FAMILIES)}.")
    shape = tuple(int(size) for size in shape)
    if len(shape) != 3 or min(shape) < 16:
        raise InputError(f"A phantom of shape {shape} is too small; give three sizes of at least 16 voxels.")
    for attempt in range(_ATTEMPTS):
        rng = np.random.default_rng([seed, attempt, FAMILIES.index(family)])
        regions = build_label_map(rng, BUILDERS[family](rng), shape)
        if _SMALLEST_SHARE < regions.target.mean() < _LARGEST_SHARE:
            break
    else:
        raise InputError(f"Seed {seed} gives no usable phantom of the family {family!r}; choose another seed.")
    scanner = random_scanner(rng, shape)
    target = annotate(rng, regions, scanner) if rng.random() < _ANNOTATED_SHARE else regions.target
    arrays = [form_image(rng, regions, scanner), regions.labels, target]
    if rng.random() < _CUT_SHARE:
        arrays = _beyond_the_field_of_view(rng, arrays)
    return Phantom(*arrays, family, seed)


def _beyond_the_field_of_view(rng: np.random.Generator, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """Repeat the last plane beyond the edge of the image, as resampling does where the cube exceeds the image."""
    axis = int(rng.integers(3))
    size = arrays[0].shape[axis]
    last = round(size / 2 + size * rng.uniform(0.15, 0.42))
    index = np.minimum(np.arange(size), last)
    if rng.random() < 0.5:
        index = size - 1 - index[::-1]
    return [np.take(array, index, axis=axis) for array in arrays]
