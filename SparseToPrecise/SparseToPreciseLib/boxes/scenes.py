"""Scenes for training the networks of boxes: an image and the object in it, from phantoms or a user's cases."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..anatomy.cases import AnatomyCubes, Cube, Structure
from ..core.box import Box
from ..core.errors import InputError
from ..core.progress import Progress
from ..core.volume import Grid, Volume
from ..phantoms.blobs import make_blob
from ..phantoms.fields import smooth_field
from .slices import Frame

CONTEXT_SHARE = 2.0
"""Share of the object's length that a user's case is kept beyond it on every side: the loosest box reaches 1.5 lengths
beyond it, and its network gets a sixth of its own length around. With less, boxes are never trained on or calibrated
with as loose as they come, and correctors of a real kidney and a vertebra cut the object where they were certain."""
LONGEST_SIDE = 160
"""Voxels of a user's case after cropping; a larger one is sampled more coarsely. An object has 32 of them along its
length then, more than cells in the second pass."""
CUBE = 80
"""Voxels along the sides of a scene of real anatomy, as of a phantom."""
LONGEST_SHARE = 0.2, 0.5
"""Least and largest length of the object in it, as a share of the cube's."""
ANATOMY_SHARE = 0.75
"""Share of real anatomy among scenes, where there is a folder of it."""
LEAST_FILL = 0.12
"""Least share of its own box that a structure of real anatomy fills; one that fills less (a cortex, vessels, scattered
remains) is nothing that anybody draws a box around; of 29 such, the network that learnt from them as well reached a
Dice of 0.5 in one."""
LEAST_MAIN_PART = 0.8
"""Least share of a structure that its largest connected component is."""
MOST_ALIKE = 0.6
"""Largest overlap of the histograms of a structure and of what surrounds it, where its look is a random one: an object
that chance made invisible teaches nothing. Real images are taken as they are."""
_AROUND = 4
"""Voxels of a cube that the surroundings reach."""
_BINS = 16
_ATTEMPTS = 300
"""Cuts from real anatomy until one holds a whole structure that a box is drawn around."""
_FAINT = 1e-3
_HALF_PRECISION = 6e4


@dataclass(frozen=True)
class Scene:
    """An image (float16 or float32) and the mask of the object in it (uint8), on one grid."""

    image: Volume
    mask: Volume
    name: str = ""


def phantom_scenes(
    seeds: Sequence[int], kind: str | None = None, look: str | None = None, progress: Progress | None = None
) -> list[Scene]:
    """Phantoms by seed, as `make_blob` makes them; in half precision, so that a thousand fit into memory."""
    progress = progress or Progress()
    scenes = []
    for number, seed in enumerate(seeds):
        progress(number / len(seeds), f"phantoms: {number + 1} of {len(seeds)}")
        blob = make_blob(int(seed), kind, look=look)
        image = blob.image.with_array(blob.image.array.astype(np.float16))
        scenes.append(Scene(image, blob.mask, f"{blob.kind} {seed}"))
    return scenes


def anatomy_scenes(cubes: AnatomyCubes, seeds: Sequence[int], progress: Progress | None = None) -> list[Scene]:
    """Scenes of real anatomy by seed, each with a whole, compact structure that can be seen; in half precision, as
    phantoms."""
    progress = progress or Progress()
    scenes = []
    for number, seed in enumerate(seeds):
        progress(number / len(seeds), f"real anatomy: {number + 1} of {len(seeds)}")
        rng, cube = np.random.default_rng([int(seed), 78]), None
        for _ in range(_ATTEMPTS):
            progress.check()
            cube = cubes.draw(rng, CUBE, _voxel_for, whole=True)
            if cube is not None and _teaches(cube):
                break
        else:
            raise InputError(
                f"In {_ATTEMPTS} tries no whole, compact structure could be cut from {cubes.folder} to {cubes.role}; "
                "its images must reach beyond their structures."
            )
        matrix = np.diag([cube.voxel_mm] * 3 + [1.0])
        mask = Volume(cube.truth.astype(np.uint8), matrix)
        scenes.append(Scene(Volume(halved(cube.image), matrix), mask, f"{cube.case} {cube.label}"))
    return scenes


def _teaches(cube: Cube) -> bool:
    return is_compact(cube.truth) and (cube.real or similarity_to_surroundings(cube.image, cube.truth) <= MOST_ALIKE)


def is_compact(mask: np.ndarray) -> bool:
    """Whether an object (K, J, I) is mostly one piece and fills a fair part of its box along the array's axes."""
    labels, _ = ndimage.label(mask)
    counts = np.bincount(labels.ravel())[1:]
    box = [part.stop - part.start for part in ndimage.find_objects(mask.astype(np.uint8))[0]]
    return counts.max() >= LEAST_MAIN_PART * counts.sum() and counts.sum() >= LEAST_FILL * np.prod(box)


def similarity_to_surroundings(image: np.ndarray, mask: np.ndarray) -> float:
    """Overlap of the histograms of an object and of what is around it, 0 to 1; by ranks, so that no monotone change of
    the intensities changes it."""
    around = ndimage.binary_dilation(mask, iterations=_AROUND) & ~mask
    edges = np.quantile(image[mask | around], np.linspace(0, 1, _BINS + 1)[1:-1])
    shares = [np.bincount(np.digitize(image[part], edges), minlength=_BINS) / part.sum() for part in (mask, around)]
    return float(np.minimum(*shares).sum())


def halved(image: np.ndarray) -> np.ndarray:
    """An image in half precision, so that many fit into memory; no channel depends on the scale of the intensities."""
    # Half precision ends at 65504.
    return (image * min(1.0, _HALF_PRECISION / max(float(np.abs(image).max()), 1.0))).astype(np.float16)


def mixed_scenes(seeds: Sequence[int], cubes: AnatomyCubes | None, progress: Progress | None = None) -> list[Scene]:
    """Phantoms by seed, most of which give way to real anatomy (`ANATOMY_SHARE`) where there is some."""
    progress = progress or Progress()
    if cubes is None:
        return phantom_scenes(seeds, progress=progress)
    share = 1 - ANATOMY_SHARE
    first = round(share * len(seeds))
    return [
        *phantom_scenes(seeds[:first], progress=progress.part(0, share)),
        *anatomy_scenes(cubes, seeds[first:], progress.part(share, 1)),
    ]


def _voxel_for(rng: np.random.Generator, structure: Structure, grid: Grid) -> float:
    return structure.length_mm / CUBE / rng.uniform(*LONGEST_SHARE)


def case_scenes(
    cases: Iterable[tuple[Volume, Volume]],
    progress: Progress | None = None,
    *,
    context_share: float = CONTEXT_SHARE,
    longest_side: int = LONGEST_SIDE,
) -> list[Scene]:
    """A user's cases, cropped around the object; every value of a labelmap but 0 is the object.

    Parameters
    ----------
    cases
        (image, labelmap) pairs.
    progress
        Told about each case; may cancel.
    context_share, longest_side
        As `CONTEXT_SHARE` and `LONGEST_SIDE`.

    Raises
    ------
    InputError
        There is no case, a labelmap is empty, or an image has values that are no numbers.
    """
    progress = progress or Progress()
    scenes = []
    for number, (image, labelmap) in enumerate(cases):
        name = image.name or f"case {number + 1}"
        progress(0.0, f"reading {name}")
        mask = labelmap.resampled_to(image.grid, "nearest", fill=0)
        if not mask.array.any():
            why = "does not meet the image" if labelmap.array.any() else "is empty"
            raise InputError(f"The mask of {name} {why}: there is no object to learn from; leave the case out.")
        tight = Box.bounding(mask.with_array(mask.array != 0))
        around = tight.grown(tight.size * context_share, tight.size * context_share)
        slices = image.grid.slices_around(around.corners(), 0.0)
        image, mask = image.cropped(slices), mask.cropped(slices)
        if not np.isfinite(image.array).all():
            raise InputError(f"The image {name} has values that are no numbers around the object; mend it.")
        factor = np.maximum(np.array(image.shape) / longest_side, 1.0)
        if (factor > 1).any():
            spacing = image.spacing * factor[::-1]
            grid = Box.bounding(image.with_array(np.ones(image.shape, np.uint8))).grid(spacing)
            image = image.resampled_to(grid)
            share = mask.with_array((mask.array != 0).astype(np.float32)).resampled_to(grid, fill=0)
            mask = share.with_array(share.array >= 0.5)
        mask = mask.with_array((mask.array != 0).astype(np.uint8))
        scenes.append(Scene(image.with_array(image.array.astype(np.float32)), mask, name))
    if not scenes:
        raise InputError("There are no cases to train on; give at least one image with its mask.")
    return scenes


def deformed(scene: Scene, rng: np.random.Generator, strength: float = 1.0) -> Scene:
    """A scene as of another patient: scaled, turned, bent, with another contrast and noise.

    Parameters
    ----------
    strength
        1 scales each axis by some 10 %, turns by some 8 degrees and bends by some 4 % of the object's size.
    """
    grid = scene.image.grid
    box = Box.bounding(scene.mask)
    centre = grid.to_ijk(box.center)[::-1]
    spacing = grid.spacing_kji
    angle = rng.normal(0, 0.14 * strength, 3)
    turn = _rotation(angle) @ np.diag(np.exp(rng.normal(0, 0.1 * strength, 3)))
    # In voxels, K J I; the turn is one of millimetres.
    matrix = turn * spacing[None, :] / spacing[:, None]
    shape = scene.image.shape
    size = float(box.size.max())
    extent = np.array(shape) * spacing
    knots = np.clip(64.0 * 0.5 * size / extent.max(), 8, 40)
    shift = smooth_field(rng, shape, float(knots), 3) * (0.04 * strength * size)
    k, j, i = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in shape), indexing="ij", sparse=True)
    parts = (k - np.float32(centre[0]), j - np.float32(centre[1]), i - np.float32(centre[2]))
    where = np.empty((3, *shape), np.float32)
    for axis in range(3):
        row = matrix[axis].astype(np.float32)
        where[axis] = row[0] * parts[0] + row[1] * parts[1] + row[2] * parts[2] + np.float32(centre[axis])
        where[axis] += shift[axis] / np.float32(spacing[axis])
    image = scene.image.array.astype(np.float32)
    image = ndimage.map_coordinates(image, where, order=1, mode="nearest")
    mask = ndimage.map_coordinates(scene.mask.array.astype(np.float32), where, order=1, mode="constant") >= 0.5
    if not mask.any():
        return scene
    return Scene(
        scene.image.with_array(_other_contrast(image, rng, strength)),
        scene.mask.with_array(mask.astype(np.uint8)),
        scene.name,
    )


def mask_on(frame: Frame, mask: Volume) -> np.ndarray:
    """(slices, rows, columns) float32: 1 at the pixels of a box's slices that are object, 0 elsewhere.

    Not the share of object: the faint fringe of an interpolated mask would count as object that a tight box cuts.
    """
    values = frame.sample(mask.with_array(mask.array.astype(np.float32)), 0, frame.slices)
    u, v = (np.abs(at) <= frame.box.size[axis] / 2 for at, axis in zip(frame.pixels(), frame.plane, strict=True))
    return ((values >= 0.5) & (v[:, None] & u)).astype(np.float32)


def _other_contrast(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """A smooth monotone change of intensities, a faint bias field and a little noise."""
    low, high = np.percentile(image, (1, 99))
    span = max(float(high - low), _FAINT)
    scaled = (image - low) / span
    knots = np.linspace(0, 1, 6)
    curve = np.cumsum(np.concatenate([[0], np.exp(rng.normal(0, 0.3 * strength, 5))]))
    changed = np.interp(scaled, knots, curve / curve[-1]).astype(np.float32)
    # Beyond the percentiles as before.
    changed = np.where((scaled < 0) | (scaled > 1), scaled, changed).astype(np.float32)
    changed *= 1 + 0.04 * strength * smooth_field(rng, image.shape, 32.0)
    changed += rng.uniform(0, 0.02) * strength * rng.standard_normal(image.shape, dtype=np.float32)
    return changed * span + np.float32(low)


def _rotation(angles: np.ndarray) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    return Rotation.from_rotvec(angles).as_matrix()
