"""Random looks of label maps, and intensities that a real image might have had as well."""

from __future__ import annotations

import numpy as np

from ..phantoms.fields import UNITS_PER_CUBE, coordinates, smooth_field
from ..phantoms.imaging import COARSEST, FINEST, annotate, form_image, random_scanner
from ..phantoms.neighbourhood import FIRST_TARGET_LABEL, LabelMap, largest

UNLABELLED_TISSUES = 0.7
"""Share of the looks in which what has no label is made of several tissues."""
TISSUES = 8
"""So many different ones at most, the air around the body among them."""


def random_look(
    rng: np.random.Generator, labels: np.ndarray, target: np.ndarray, source_steps: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An image of a label map as no scanner made it: a random intensity for each label, as in SynthSeg (Billot et al.,
    2023), then the scanner of the phantoms (`phantoms.imaging.form_image`).

    Parameters
    ----------
    labels
        (K, J, I) integers; 0 is unlabelled.
    target
        (K, J, I) bool. Labels that lie in it become its parts.
    source_steps
        Voxel size of the label map along K, J, I, in voxels of the cube: the scanner's are not smaller, as there is
        nothing to be seen between them.

    Returns
    -------
    image, truth, steps
        (K, J, I) float32 in arbitrary units; the target as it is annotated on the scanner's voxels, (K, J, I) bool;
        those voxels' size along K, J, I in voxels of the cube.
    """
    regions = _regions(rng, labels, target)
    units = UNITS_PER_CUBE / np.array(labels.shape)
    finest = max(FINEST, float(np.cbrt(np.prod(source_steps * units))))
    scanner = random_scanner(rng, labels.shape, max(COARSEST, 1.3 * finest), finest)
    image = form_image(rng, regions, scanner)
    return image, annotate(rng, regions, scanner), np.array(scanner.steps)


def _regions(rng: np.random.Generator, labels: np.ndarray, target: np.ndarray) -> LabelMap:
    """The labels as those of a phantom; neighbours may share one, parts of the target may vanish in it."""
    count = int(labels.max()) + 1
    there = np.bincount(labels.ravel(), minlength=count) > 0
    inside = np.bincount(labels[target], minlength=count) > 0
    room = FIRST_TARGET_LABEL - TISSUES
    neighbour = np.zeros(count, np.uint8)
    neighbour[there] = rng.permutation(room)[np.arange(np.count_nonzero(there)) % room]
    regions = neighbour[labels]
    if rng.random() < UNLABELLED_TISSUES:
        np.copyto(regions, _tissues(rng, labels.shape) + np.uint8(room), where=labels == 0)
    part_of = np.full(count, FIRST_TARGET_LABEL, np.uint8)
    part_of[inside] += np.arange(np.count_nonzero(inside), dtype=np.uint8)
    regions[target] = part_of[labels[target]]
    return LabelMap(regions, target, set())


def _tissues(rng: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    """(K, J, I) uint8 below `TISSUES`: the largest of smooth fields, and sometimes the air around the body."""
    heights = smooth_field(rng, shape, rng.uniform(14, 36), int(rng.integers(2, TISSUES)))
    tissues, _ = largest(heights)
    if rng.random() < 0.2:
        depth = np.tensordot(rng.normal(size=3), coordinates(shape), 1) + 6 * heights[0] - rng.uniform(10, 40)
        tissues[depth > 0] = TISSUES - 1
    return tissues


def augmented_intensities(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """A real image through another coil and with more noise; (K, J, I) float32 in the image's own units."""
    low, high = np.percentile(image[::2, ::2, ::2], (1, 99))
    scaled = (image - np.float32(low)) / np.float32(max(high - low, 1e-6))
    if rng.random() < 0.5:
        scaled = scaled * np.exp(rng.uniform(0, 0.2) * smooth_field(rng, image.shape, rng.uniform(28, 64)))
    if rng.random() < 0.5:
        noise = rng.standard_normal(image.shape, dtype=np.float32)
        scaled = scaled + np.float32(rng.uniform(0, 0.06)) * noise
    return (scaled * np.float32(max(high - low, 1e-6)) + np.float32(low)).astype(np.float32)
