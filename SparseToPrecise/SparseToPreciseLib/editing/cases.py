"""Cases to train on: a phantom, real anatomy, or a cube of a user's own case, with an error and a stroke, on the
working grid."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from scipy import ndimage

from ..anatomy.cases import AnatomyCubes, Structure
from ..core.errors import InputError
from ..core.files import reason_of
from ..core.volume import Grid, Volume
from ..phantoms import TRAIN_FAMILIES, make_phantom
from .guidance import RADIUS_PER_SIGMA, densify
from .inputs import channels
from .simulated_user import draw_stroke
from .simulation import corrupt
from .undertrained import Segmenter, undertrained_segmenters
from .working_grid import SIGMA_VOXELS, WorkingCase, around, distances_on, normalised, signed_distance

SIZE = 64
"""Side of a training cube, voxels."""

FIELDS = ("image", "truth", "mask", "guidance", "signed_distance", "warp", "evidence", "proposal")

SMALLEST_RADIUS_VOXELS = 3.0
RADIUS_SHARES = (0.25, 0.8)
"""Influence radii are drawn between these shares of the radius of the ball with the segment's volume."""

_POINTS_KEPT = 2000


@dataclass(frozen=True)
class Simulation:
    """How training cases are made; part of the recipe.

    Attributes
    ----------
    families
        Phantom families to draw from.
    seed
        Of everything; case n depends on nothing but this and n.
    phantom_size
        Side of the phantom, voxels; the training cube is cut from it around the stroke.
    segmenter_share
        Share of cases whose error is the output of an under-trained network.
    edits_per_phantom
        Errors and strokes simulated on one phantom.
    anatomy_share
        Share of real anatomy among the scenes, where there is a folder of it.
    rater_share
        Share of cases whose error is what another rater drew, where there is one.
    """

    families: tuple[str, ...] = TRAIN_FAMILIES
    seed: int = 1
    phantom_size: int = 80
    segmenter_share: float = 0.3
    edits_per_phantom: int = 3
    anatomy_share: float = 0.7
    rater_share: float = 0.3


@dataclass(frozen=True)
class Scene:
    """An imaged object on cubic voxels of the working grid's size, on which errors are simulated.

    Attributes
    ----------
    image
        (K, J, I) float32, normalised.
    truth
        (K, J, I) bool.
    redrawn
        Mask -> signed distance (voxels), as it is when the mask was drawn on the source's own voxels.
    other
        (K, J, I) bool, the object as another rater drew it; None where there is none.
    """

    image: np.ndarray
    truth: np.ndarray
    redrawn: Callable[[np.ndarray], np.ndarray]
    other: np.ndarray | None = None


SceneMaker = Callable[[np.random.Generator, Simulation], Scene | None]
"""Makes the scene of one case number; None where chance led to nothing that could be edited."""


def phantom_scene(rng: np.random.Generator, simulation: Simulation) -> Scene | None:
    """A phantom of a random family, as annotated on voxels of a random size."""
    family = simulation.families[rng.integers(len(simulation.families))]
    phantom = make_phantom(family, int(rng.integers(2**31)), (simulation.phantom_size,) * 3)
    image = normalised(phantom.image.astype(np.float32))
    step = float(np.exp(rng.uniform(0, np.log(3.5)))) if rng.random() < 0.7 else 1.0
    steps = np.full(3, step)
    return Scene(image, _distance_through(phantom.target, steps) > 0, partial(_distance_through, steps=steps))


class AnatomyScenes:
    """Makes scenes of real anatomy, among them phantoms where it is for training; see `SceneMaker`.

    Parameters
    ----------
    folder
        See `anatomy.table`.
    role
        train or validate.
    """

    def __init__(self, folder: Path, role: str) -> None:
        self.cubes = AnatomyCubes(folder, role)

    @property
    def digests(self) -> list[str]:
        return [self.cubes.digest]

    def __call__(self, rng: np.random.Generator, simulation: Simulation) -> Scene | None:
        if self.cubes.role == "train" and rng.random() >= simulation.anatomy_share:
            return phantom_scene(rng, simulation)
        cube = self.cubes.draw(rng, simulation.phantom_size, _voxel_for)
        if cube is None:
            return None
        # A source finer than the cube is no finer in it.
        steps = np.maximum(cube.steps, 1.0)
        return Scene(normalised(cube.image), cube.truth, partial(_distance_through, steps=steps), cube.other)


def _voxel_for(rng: np.random.Generator, structure: Structure, grid: Grid) -> float:
    return _working_voxel(rng, structure.size_mm, grid)


def _working_voxel(rng: np.random.Generator, size_mm: float, grid: Grid) -> float:
    """Voxel size of the working grid for a random influence radius on a structure of that size, mm."""
    low, high = (share * size_mm for share in RADIUS_SHARES)
    low = max(low, SMALLEST_RADIUS_VOXELS * float(np.cbrt(grid.voxel_volume_mm3)))
    radius_mm = float(np.exp(rng.uniform(np.log(low), np.log(max(low, high)))))
    return radius_mm / RADIUS_PER_SIGMA / SIGMA_VOXELS


def simulated_cases(
    simulation: Simulation,
    number: int,
    segmenters: Sequence[Segmenter] = (),
    make_scene: SceneMaker = phantom_scene,
) -> list[dict[str, np.ndarray]]:
    """The cases of scene `number`: dictionaries of `FIELDS`, each (SIZE, SIZE, SIZE).

    May be fewer than `edits_per_phantom`: an error on whose plane no true boundary runs takes no stroke.
    """
    rng = np.random.default_rng([simulation.seed, number])
    scene = make_scene(rng, simulation)
    if scene is None or not scene.truth.any() or scene.truth.all():
        return []
    made = []
    predicted = None
    if scene.other is not None and rng.random() < min(1.0, simulation.rater_share * simulation.edits_per_phantom):
        predicted = scene.other
    elif segmenters and rng.random() < min(1.0, simulation.segmenter_share * simulation.edits_per_phantom):
        # One prediction a scene: it takes as long as everything else together.
        predicted = segmenters[rng.integers(len(segmenters))](scene.image, scene.truth)
    for edit in range(simulation.edits_per_phantom):
        case = _one_edit(rng, scene, predicted if edit == 0 else None)
        if case is not None:
            made.append(case)
    return made


def _one_edit(rng: np.random.Generator, scene: Scene, wrong: np.ndarray | None) -> dict[str, np.ndarray] | None:
    radius = SIGMA_VOXELS * RADIUS_PER_SIGMA
    image, truth = scene.image, scene.truth
    if wrong is None:
        centre = np.array(truth.shape) / 2 if rng.random() < 0.5 else None
        try:
            wrong, _ = corrupt(truth, rng, radius, image, centre=centre)
        except InputError:  # no error of this size fits this object
            return None
    if not wrong.any() or wrong.all():
        return None
    distance = scene.redrawn(wrong)
    wrong = distance > 0
    stroke = draw_stroke(truth, wrong, rng, jitter_voxels=rng.choice([0.0, 0.5, 1.0, 2.0, 3.0]))
    if stroke is None or len(stroke.points) < 2:
        return None
    centre = (stroke.points.min(axis=0) + stroke.points.max(axis=0)) / 2 + rng.normal(0, 3, 3)
    start = np.clip(np.round(centre - SIZE / 2), 0, np.array(truth.shape) - SIZE).astype(int)
    cube = tuple(slice(a, a + SIZE) for a in start)
    points = densify(stroke.points - start, 1.0)
    near, nearest = distances_on((SIZE,) * 3, points)
    case = WorkingCase(image[cube], distance[cube], near, nearest, points)
    if not (near < radius).any() or abs(distance[cube]).min() > radius:
        return None
    return {**channels(case), "truth": truth[cube].astype(np.float32)}


def _distance_through(mask: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Signed distance of a mask as it is when drawn on an image whose voxels are `steps` (3,) working voxels wide."""
    if (steps == 1.0).all():
        return signed_distance(mask, np.ones(3))
    smooth = ndimage.uniform_filter(mask.astype(np.float32), steps)
    coarse = ndimage.zoom(smooth, 1 / steps, order=1, grid_mode=True, mode="nearest")
    distance = signed_distance(coarse > 0.5, steps)
    return ndimage.zoom(distance, np.array(mask.shape) / coarse.shape, order=1, grid_mode=True, mode="nearest")


def training_segmenters(simulation: Simulation, make_scene: SceneMaker | None = None) -> list[Segmenter]:
    """Under-trained networks; on phantoms of their own unless another maker of scenes is given."""
    rng = np.random.default_rng([simulation.seed, 2**32 - 1])
    cases = []
    for _ in range(24):
        if make_scene is None:
            family = simulation.families[rng.integers(len(simulation.families))]
            phantom = make_phantom(family, int(rng.integers(2**31)), (64, 64, 64))
            cases.append((normalised(phantom.image.astype(np.float32)), phantom.target))
        else:
            scene = make_scene(rng, simulation)
            if scene is not None:
                cases.append((scene.image, scene.truth))
    return undertrained_segmenters(cases, (40, 80, 160), simulation.seed) if cases else []


def store_volumes(folder: Path, cases: Iterable[tuple[Volume, Volume]]) -> int:
    """Keep a user's cases where worker processes can read what they need of them.

    Parameters
    ----------
    folder
        Made if it is not there; cases of an earlier call are replaced.
    cases
        (image, segmentation) pairs, each on its own grid; every value of a segmentation but 0 is a segment.

    Returns
    -------
    int
        Number of cases.

    Raises
    ------
    InputError
        No case, a segmentation without a boundary within its image, or the folder cannot be written to.
    """
    folder = Path(folder)
    described = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cases.json").unlink(missing_ok=True)
        for number, (image, segmentation) in enumerate(cases):
            described.append(_described(image, segmentation))
            np.save(folder / f"image-{number:04d}.npy", image.array)
            np.save(folder / f"segmentation-{number:04d}.npy", segmentation.array)
        if not described:
            raise InputError("There is no case to train on; give at least one image with its segmentation.")
        (folder / "cases.json").write_text(json.dumps(described))
    except OSError as error:
        raise InputError(f"Could not keep the training cases in {folder}: {reason_of(error)}.") from error
    return len(described)


def _described(image: Volume, segmentation: Volume) -> dict:
    """Matrices, hash, and for every segment its size and a sample of its boundary (RAS)."""
    title = segmentation.name or "The segmentation"
    segments = []
    labels = segmentation.array
    for label, box in enumerate(ndimage.find_objects(_whole_numbers(labels, title)), 1):
        if box is None:
            continue
        mask = np.pad(labels[box] == label, 1)
        edge = mask & ~ndimage.binary_erosion(mask)
        ijk = (np.argwhere(edge) - 1 + [part.start for part in box])[:, ::-1]
        # Where the array cuts the segment, and where there is no image, no boundary can be learnt.
        ijk = ijk[((ijk > 0) & (ijk < np.array(labels.shape[::-1]) - 1)).all(axis=1)]
        points = segmentation.grid.to_ras(ijk)
        points = points[image.grid.contains(points)]
        if len(points):
            volume = np.count_nonzero(mask) * segmentation.grid.voxel_volume_mm3
            kept = points[np.linspace(0, len(points) - 1, min(len(points), _POINTS_KEPT)).astype(int)]
            size = float(np.cbrt(volume * 3 / (4 * np.pi)))
            segments.append({"label": label, "size_mm": size, "points": np.round(kept, 3).tolist()})
    if not segments:
        raise InputError(
            f"{title} has no segment with a boundary inside the image {image.name}; "
            "give a segmentation of that image, with values above 0 inside the segments."
        )
    digest = hashlib.sha256()
    for volume in (image, segmentation):
        digest.update(np.ascontiguousarray(volume.array).tobytes() + volume.ijk_to_ras.tobytes())
    matrices = {"image": image.ijk_to_ras.tolist(), "segmentation": segmentation.ijk_to_ras.tolist()}
    return {"matrices": matrices, "digest": digest.hexdigest(), "segments": segments}


def _whole_numbers(labels: np.ndarray, title: str) -> np.ndarray:
    if labels.dtype == bool:
        return labels.astype(np.uint8)
    # Beyond 65535 a labelmap is no labelmap, and the list of its objects would fill the memory.
    if not np.isfinite(labels).all() or (labels < 0).any() or (labels > 65535).any() or (labels % 1 != 0).any():
        raise InputError(f"{title} holds other values than the whole numbers 0 to 65535; give a labelmap.")
    return labels.astype(np.int32)


class VolumeScenes:
    """Makes scenes from the cases in a folder of `store_volumes`; see `SceneMaker`.

    The cube lies around a random point of a random segment's boundary, along the RAS axes; its voxels are what the
    working grid's would be for a random influence radius (`RADIUS_SHARES`, at least `SMALLEST_RADIUS_VOXELS`).
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        path = self.folder / "cases.json"
        if not path.is_file():
            raise InputError(f"{self.folder} holds no training cases; run training once with --dataset and --cache.")
        self._cases = json.loads(path.read_text())

    def __len__(self) -> int:
        return len(self._cases)

    @property
    def digests(self) -> list[str]:
        return [case["digest"] for case in self._cases]

    def __call__(self, rng: np.random.Generator, simulation: Simulation) -> Scene | None:
        number = int(rng.integers(len(self._cases)))
        case = self._cases[number]
        segment = case["segments"][rng.integers(len(case["segments"]))]
        image, labels = (self._volume(name, number) for name in ("image", "segmentation"))
        point = np.array(segment["points"][rng.integers(len(segment["points"]))])
        spacing = _working_voxel(rng, segment["size_mm"], labels.grid)
        grid = Grid.around(point, spacing * simulation.phantom_size / 2, spacing)

        part = around(image, grid)
        if not np.isfinite(part.array).all():
            return None
        bounds = grid.to_ras([[0, 0, 0], np.array(grid.shape[::-1]) - 1]).T
        segment_part = labels.cropped_to_box(np.sort(bounds, axis=1), margin_mm=2 * spacing)
        mask = around(segment_part.with_array(segment_part.array == segment["label"]), grid, image.grid)
        own = mask.with_array(mask.array > 0.5)
        return Scene(
            image=normalised(part.resampled_to(grid).array),
            truth=_distance_on(own, grid) > 0,
            redrawn=lambda drawn: _redrawn(drawn, grid, own.grid),
        )

    def _volume(self, name: str, number: int) -> Volume:
        path = self.folder / f"{name}-{number:04d}.npy"
        array = _mapped(path, path.stat().st_mtime_ns)
        return Volume(array, np.array(self._cases[number]["matrices"][name]), path.stem)


@lru_cache(maxsize=64)
def _mapped(path: Path, _changed: int) -> np.ndarray:
    return np.load(path, mmap_mode="r")


def _distance_on(mask: Volume, grid: Grid) -> np.ndarray:
    """Signed distance of a mask on its own grid, brought to the cube, in the cube's voxels."""
    distance = mask.with_array(signed_distance(np.asarray(mask.array), mask.grid.spacing_kji))
    return distance.resampled_to(grid).array / np.float32(grid.spacing[0])


def _redrawn(drawn: np.ndarray, grid: Grid, own: Grid) -> np.ndarray:
    """Signed distance (voxels of the cube) of a mask on the cube after it was stored on the source's own voxels."""
    there = Volume(signed_distance(drawn, np.ones(3)), grid.ijk_to_ras).resampled_to(own)
    return _distance_on(there.with_array(there.array > 0), grid)
