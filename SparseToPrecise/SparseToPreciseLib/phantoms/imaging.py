"""From a label map to an image: tissues of one modality, scanner, noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .fields import UNITS_PER_CUBE, coordinates, enlarged, sampling_matrix, separable, smooth_field
from .neighbourhood import FIRST_TARGET_LABEL, LabelMap

TissueValues = Callable[[np.random.Generator, LabelMap, int], tuple[np.ndarray, np.ndarray]]
"""Chooses the mean and the texture of each of so many labels."""

# Hounsfield units (low, high, texture amplitude), and how often a neighbour or a target is made of it
_CT_TISSUES = {
    "air": (-1000, -900, 5, 0.07, 0.0),
    "lung": (-880, -700, 60, 0.04, 0.02),
    "fat": (-120, -70, 14, 0.34, 0.04),
    "water": (-5, 25, 5, 0.08, 0.10),
    "soft": (30, 75, 9, 0.28, 0.42),
    "enhanced": (80, 230, 12, 0.14, 0.34),
    "marrow": (100, 320, 60, 0.05, 0.08),
}


def ct_values(rng: np.random.Generator, regions: LabelMap, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Tissues of a CT, in Hounsfield units."""
    names = list(_CT_TISSUES)
    table = np.array([_CT_TISSUES[name] for name in names])
    means, texture = np.zeros(count), np.zeros(count)
    own = rng.choice(len(names), p=table[:, 4] / table[:, 4].sum())
    for label in range(count):
        kind = rng.choice(len(names), p=table[:, 3] / table[:, 3].sum())
        if label >= FIRST_TARGET_LABEL:
            kind = own if label == FIRST_TARGET_LABEL or rng.random() < 0.6 else rng.choice([3, 4, 5])
        means[label] = rng.uniform(*table[kind, :2])
        texture[label] = table[kind, 2] * rng.uniform(0.3, 1.5)
        if label in regions.bone:
            means[label], texture[label] = rng.uniform(300, 1100), 80
    return means, texture


def free_values(rng: np.random.Generator, regions: LabelMap, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Random contrast per label (as SynthSeg does): most neighbours differ from the target, some hardly, few not."""
    means = rng.uniform(0, 1, count)
    own = rng.uniform(0.08, 0.95)
    means[FIRST_TARGET_LABEL] = own
    for label in range(FIRST_TARGET_LABEL):
        draw = rng.random()
        if draw < 0.05:
            means[label] = own
        elif draw < 0.20:
            means[label] = own + rng.choice([-1, 1]) * rng.uniform(0.04, 0.12)
        elif abs(means[label] - own) < 0.12:
            means[label] = own + rng.choice([-1, 1]) * rng.uniform(0.12, 0.5)
        if label in regions.bone:
            means[label] = rng.uniform(0, 0.06)
    for label in range(FIRST_TARGET_LABEL + 1, count):
        if rng.random() < 0.6:
            means[label] = own + rng.normal(0, 0.12)
    return np.abs(means), rng.uniform(0.005, 0.06, count)


@dataclass(frozen=True)
class Scanner:
    """The scanner's own grid: its samples per axis, and how many voxels of the cube lie between two of them."""

    samples: tuple[int, int, int]
    steps: tuple[float, float, float]


FINEST, COARSEST = 0.9, 3.6


def random_scanner(
    rng: np.random.Generator, shape: tuple[int, int, int], coarsest: float = COARSEST, finest: float = FINEST
) -> Scanner:
    """An image is usually coarser than the cube on which it is edited: its voxels are `finest` to `coarsest` units
    long, or it has thick slices."""
    step = np.full(3, np.exp(rng.uniform(np.log(finest), np.log(coarsest))))
    if rng.random() < 0.3:
        step = np.minimum(step, 2.0)
        step[rng.integers(3)] *= rng.uniform(1.5, 4.5)
    samples = tuple(int(min(size, max(6, round(UNITS_PER_CUBE / s)))) for size, s in zip(shape, step, strict=True))
    return Scanner(samples, tuple(size / count for size, count in zip(shape, samples, strict=True)))


def seen(array: np.ndarray, scanner: Scanner, sharpness: float) -> np.ndarray:
    """A scanner's samples of an array: a blur of `sharpness` steps, then its own samples."""
    pairs = zip(array.shape, scanner.samples, scanner.steps, strict=True)
    return separable(array, tuple(sampling_matrix(size, m, max(0.35, sharpness * step)) for size, m, step in pairs))


def annotate(rng: np.random.Generator, regions: LabelMap, scanner: Scanner) -> np.ndarray:
    """The target as an annotator draws it on the scanner's voxels, a fraction of such a voxel off here and there.

    The fine mask is kept where the voxels are too coarse for the object. (K, J, I) bool.
    """
    share = seen(regions.target.astype(np.float32), scanner, 0.45)
    level = 0.5 + np.clip(rng.uniform(0, 0.13) * smooth_field(rng, scanner.samples, rng.uniform(8, 24)), -0.3, 0.3)
    drawn = enlarged((share > level).astype(np.float32), regions.target.shape) > 0.5
    common = np.count_nonzero(drawn & regions.target)
    if common < 0.8 * max(np.count_nonzero(drawn), np.count_nonzero(regions.target)):
        return regions.target
    return drawn


def _fan(rng: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    """Voxels seen by a sparse fan of planes turning about one axis, as in intracardiac echo: (K, J, I) bool."""
    points = coordinates(shape)
    first, second = rng.permutation(3)[:2]
    apex = rng.uniform(-20, 20)
    angle = np.arctan2(points[first] - apex, points[second] + rng.uniform(36, 60))
    gap = rng.uniform(0.05, 0.1)
    away = np.abs((angle / gap + 0.5) % 1 - 0.5) * gap
    return away * (points[second] + 48) < rng.uniform(1.0, 2.0)


def form_image(
    rng: np.random.Generator, regions: LabelMap, scanner: Scanner, look: tuple[str, TissueValues] | None = None
) -> np.ndarray:
    """Simulated scan of a label map, in arbitrary units (Hounsfield units for CT): (K, J, I) float32.

    A look names the modality (ct, mr or ultrasound) and chooses the tissues; without one, both are random.
    """
    shape = regions.labels.shape
    count = int(regions.labels.max()) + 1
    if look is None:
        modality = rng.choice(["ct", "mr", "ultrasound"], p=[0.42, 0.43, 0.15])
        values = ct_values if modality == "ct" else free_values
    else:
        modality, values = look
    means, texture = values(rng, regions, max(count, FIRST_TARGET_LABEL + 1))
    means, texture = means.astype(np.float32), texture.astype(np.float32)
    grain = smooth_field(rng, shape, rng.uniform(2.2, 6)) * rng.uniform(0.2, 0.7)
    grain += smooth_field(rng, shape, rng.uniform(10, 24)) * rng.uniform(0.2, 0.7)
    image = means[regions.labels] + texture[regions.labels] * grain

    if modality == "mr":
        image *= np.exp(rng.uniform(0, 0.22) * smooth_field(rng, shape, rng.uniform(28, 64)))
    image = seen(image, scanner, rng.uniform(0.35, 0.65))
    samples = scanner.samples
    noise = rng.standard_normal(samples, dtype=np.float32)
    if rng.random() < 0.5:  # reconstruction kernels leave correlated noise
        width = rng.uniform(0.4, 0.9)
        smooth = tuple(sampling_matrix(m, m, width) for m in samples)
        noise = separable(noise, smooth)
        noise /= noise.std() + 1e-6
    if modality == "ct":
        image += noise * np.exp(rng.uniform(np.log(3), np.log(35)))
        image = np.maximum(image, -1024)
    elif modality == "mr":
        level = np.exp(rng.uniform(np.log(0.01), np.log(0.12)))
        image = np.sqrt((image + level * noise) ** 2 + (level * rng.standard_normal(samples, dtype=np.float32)) ** 2)
        image *= rng.uniform(80, 2000)
    else:
        other = rng.standard_normal(samples, dtype=np.float32)
        speckle = np.sqrt(0.5 * (noise**2 + other**2))
        depth = coordinates(samples)[rng.integers(3)] / UNITS_PER_CUBE + 0.5
        image = image * (1 + rng.uniform(0.3, 0.9) * (speckle - 0.89)) * np.exp(-rng.uniform(0, 1.5) * depth)
        image = np.maximum(image, 0) ** rng.uniform(0.6, 1.0) * 255
    image = enlarged(image, shape)
    if modality == "ultrasound" and rng.random() < 0.25:
        image[~_fan(rng, shape)] = 0
    return np.ascontiguousarray(image, dtype=np.float32)
