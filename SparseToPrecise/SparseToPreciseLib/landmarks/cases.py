"""Slices to train on: oblique cuts through the references, everywhere and at any angle (Wang et al., algorithm 1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from scipy.spatial.transform import Rotation
from torch.nn.functional import grid_sample

from ..core.volume import Grid
from .inputs import Surroundings
from .reference import Reference, structure_on
from .working_grid import covering_grid, cube_around

_MISTAKEN = 0.05
_MISTAKES_SHARE = 0.6
_KNOTS = np.linspace(-2.5, 2.5, 7)
"""Intensities at which the random curves are drawn, in deviations of the surroundings."""
_REACH = 6.0
"""Diameters of the structure around its centre from which slices without it are taken."""


@dataclass(frozen=True)
class Level:
    """A reference at the pixels' size: (1, 1, K, J, I) tensors, and their grid."""

    image: torch.Tensor
    mask: torch.Tensor
    grid: Grid


@dataclass(frozen=True)
class Augmentation:
    """Limits within which slices differ from the reference.

    Attributes
    ----------
    rotation_deg
        Largest rotation about a random axis.
    shift
        Largest shift of the structure from the middle of a slice, in its diameters.
    bend
        Amplitude of smooth displacements, in diameters.
    scale
        Largest relative change of size.
    elsewhere
        Share of slices from anywhere in the image.
    inverted
        Share of slices with inverted intensities, for other modalities.
    remapped
        Share of slices whose intensities go through a random curve, for other modalities, too.
    intensities
        Whether contrast, shading and noise are changed.
    """

    rotation_deg: float = 180.0
    shift: float = 0.8
    bend: float = 0.03
    scale: float = 0.15
    elsewhere: float = 0.25
    inverted: float = 0.1
    remapped: float = 0.15
    intensities: bool = True


class SliceSampler:
    """Draws batches of slices from references.

    Parameters
    ----------
    references
        The annotated images that are cut.
    spacing_mm
        Size of a pixel.
    window_mm
        Window of the surroundings, see `Surroundings.of`.
    size
        Pixels along a side.
    augmentation
        Limits within which slices differ from the references.
    """

    def __init__(
        self,
        references: Sequence[Reference],
        spacing_mm: float,
        window_mm: float,
        size: int,
        augmentation: Augmentation,
    ) -> None:
        self.references = references
        self.size = size
        self.spacing_mm = spacing_mm
        self.augmentation = augmentation
        self.levels = [self._level(one, spacing_mm, window_mm) for one in references]
        self.mistakes: list[np.ndarray | None] = [None] * len(references)

    @staticmethod
    def _level(reference: Reference, spacing_mm: float, window_mm: float) -> Level:
        reach = _REACH * reference.diameter_mm
        near = Surroundings.of(reference.image, window_mm, reference.centre, reach)
        grid = covering_grid(near.image.grid, spacing_mm)
        side = int(2 * reach / spacing_mm)
        if max(grid.shape) > side:
            grid = cube_around(reference.centre, side, spacing_mm)
        mask = structure_on(reference, grid).astype(np.float32)
        tensors = (torch.from_numpy(np.ascontiguousarray(array))[None, None] for array in (near.on(grid), mask))
        return Level(*tensors, grid)

    def draw(self, rng: np.random.Generator, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(count, 1, size, size) images and masks, float32, mask 0 or 1."""
        given = self.augmentation
        images, masks = [], []
        for _ in range(count):
            number = int(rng.integers(len(self.references)))
            level = self.levels[number]
            points = self._plane(rng, number)
            ijk = level.grid.to_ijk(points)
            size = np.array(level.grid.shape[::-1])
            place = torch.from_numpy((2 * ijk / np.maximum(size - 1, 1) - 1).astype(np.float32))[None, None]
            images.append(grid_sample(level.image, place, align_corners=True)[:, :, 0])
            masks.append(grid_sample(level.mask, place, align_corners=True)[:, :, 0])
        image, mask = torch.cat(images), (torch.cat(masks) > 0.5).float()
        return (_recoloured(rng, image, given) if given.intensities else image), mask

    def mine(self, likelihood: Callable[[np.ndarray], np.ndarray]) -> None:
        """Note where a network sees the structure in the references though it is not there.

        Parameters
        ----------
        likelihood
            Gives (K, J, I) probabilities for values on a grid.
        """
        for number, level in enumerate(self.levels):
            seen = likelihood(level.image[0, 0].numpy())
            near = ndimage.binary_dilation(level.mask[0, 0].numpy() > 0.5, iterations=3)
            wrong = np.argwhere((seen > _MISTAKEN) & ~near)
            self.mistakes[number] = level.grid.to_ras(wrong[:, ::-1]) if len(wrong) else None

    def _elsewhere(self, rng: np.random.Generator, number: int) -> np.ndarray:
        """A place at random, or one that was mistaken for the structure."""
        mistakes = self.mistakes[number]
        if mistakes is not None and rng.random() < _MISTAKES_SHARE:
            jitter = rng.uniform(-0.25, 0.25, 3) * self.references[number].diameter_mm
            return mistakes[rng.integers(len(mistakes))] + jitter
        grid = self.levels[number].grid
        return rng.uniform(*grid.to_ras([(0, 0, 0), np.array(grid.shape[::-1]) - 1]))

    def _plane(self, rng: np.random.Generator, number: int) -> np.ndarray:
        """(size, size, 3) RAS positions of the pixels of a random slice."""
        given, reference = self.augmentation, self.references[number]
        diameter = reference.diameter_mm
        rotation = random_rotation(rng, given.rotation_deg)
        # Slices along X, Y and Z have their in-plane axes in cyclic order (equation 1), so none is a mirror image.
        axis = int(rng.integers(3))
        first, second = rotation[:, (axis + 1) % 3], rotation[:, (axis + 2) % 3]
        if rng.random() < given.elsewhere:
            centre = self._elsewhere(rng, number)
        else:
            across, along = rng.uniform(-given.shift, given.shift, 2) * diameter
            depth = rng.uniform(-0.6, 0.6) * diameter
            centre = reference.centre + across * first + along * second + depth * rotation[:, axis]
        step = self.spacing_mm * np.exp(rng.uniform(-1, 1) * np.log1p(given.scale))
        pixel = (np.arange(self.size) - (self.size - 1) / 2) * step
        points = centre + pixel[:, None, None] * first + pixel[None, :, None] * second
        if given.bend:
            waves = rng.normal(size=(3, 3)) * (3.0 / diameter)
            phases = rng.uniform(0, 2 * np.pi, 3)
            points = points + np.sin(points @ waves.T + phases) @ (rng.normal(size=(3, 3)) * given.bend * diameter)
        return points


def random_rotation(rng: np.random.Generator, largest_deg: float) -> np.ndarray:
    """(3, 3) a rotation about a random axis; uniform over all rotations when the largest angle is 180 degrees."""
    if largest_deg >= 180:
        w, x, y, z = rng.normal(size=4)
        return Rotation.from_quat([x, y, z, w]).as_matrix()
    axis = rng.normal(size=3)
    return Rotation.from_rotvec(axis / np.linalg.norm(axis) * rng.uniform(0, largest_deg), degrees=True).as_matrix()


def _remapped(rng: np.random.Generator, image: torch.Tensor, share: float) -> torch.Tensor:
    """Some of the slices through random curves, in units of their own mean and deviation again."""
    image = image.clone()
    for number in np.flatnonzero(rng.random(len(image)) < share):
        values = np.interp(image[number].numpy(), _KNOTS, rng.normal(size=len(_KNOTS)))
        changed = (values - values.mean()) / max(float(values.std()), 0.3)
        image[number] = torch.from_numpy(changed.astype(np.float32))
    return image


def _recoloured(rng: np.random.Generator, image: torch.Tensor, given: Augmentation) -> torch.Tensor:
    """Other contrast, shading, blur and noise for each slice."""
    count, size = len(image), image.shape[-1]
    image = _remapped(rng, image, given.remapped)

    def drawn(low: float, high: float) -> torch.Tensor:
        return torch.from_numpy(rng.uniform(low, high, (count, 1, 1, 1)).astype(np.float32))

    image = image * drawn(0.7, 1.35) + drawn(-0.3, 0.3)
    image = image + drawn(-0.12, 0.12) * image * image
    coarse = torch.from_numpy(rng.normal(size=(count, 1, 4, 4)).astype(np.float32))
    shade = torch.nn.functional.interpolate(coarse, (size, size), mode="bicubic", align_corners=True)
    image = image + 0.15 * shade
    if rng.random() < 0.3:
        image = torch.nn.functional.avg_pool2d(image, 3, 1, 1, count_include_pad=False)
    image = image + drawn(0, 0.35) * torch.from_numpy(rng.normal(size=image.shape).astype(np.float32))
    flipped = torch.from_numpy(rng.random((count, 1, 1, 1)) < given.inverted)
    return torch.where(flipped, -image, image)
