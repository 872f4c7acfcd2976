"""Training cases: a phantom, an error, a stroke, on the working grid; made in worker processes and kept on disk."""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from ..core.errors import InputError
from ..core.progress import Progress
from ..phantoms import TRAIN_FAMILIES, make_phantom
from .guidance import RADIUS_PER_SIGMA, densify
from .network import channels
from .segmenter import Segmenter, undertrained_segmenters
from .simulation import corrupt, draw_stroke
from .working_grid import SIGMA_VOXELS, WorkingCase, distances_on, normalised, signed_distance

SIZE = 64
"""Side of a training cube, voxels."""

FIELDS = ("image", "truth", "mask", "guidance", "signed_distance", "warp", "evidence", "proposal")
_FLAGS = ("truth", "mask")


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
    """

    families: tuple[str, ...] = TRAIN_FAMILIES
    seed: int = 1
    phantom_size: int = 80
    segmenter_share: float = 0.3
    edits_per_phantom: int = 3


def simulated_cases(
    simulation: Simulation, number: int, segmenters: Sequence[Segmenter] = ()
) -> list[dict[str, np.ndarray]]:
    """The cases of phantom `number`: dictionaries of `FIELDS`, each (SIZE, SIZE, SIZE).

    May be fewer than `edits_per_phantom`: an error on whose plane no true boundary runs takes no stroke.
    """
    rng = np.random.default_rng([simulation.seed, number])
    family = simulation.families[rng.integers(len(simulation.families))]
    phantom = make_phantom(family, int(rng.integers(2**31)), (simulation.phantom_size,) * 3)
    image = normalised(phantom.image.astype(np.float32))
    step = float(np.exp(rng.uniform(0, np.log(3.5)))) if rng.random() < 0.7 else 1.0
    truth = _distance_through(phantom.target, step) > 0
    if not truth.any() or truth.all():
        return []
    made = []
    predicted = None
    if segmenters and rng.random() < min(1.0, simulation.segmenter_share * simulation.edits_per_phantom):
        # One prediction a phantom: it takes as long as everything else together.
        predicted = segmenters[rng.integers(len(segmenters))](image, truth)
    for edit in range(simulation.edits_per_phantom):
        case = _one_edit(rng, simulation, image, truth, step, predicted if edit == 0 else None)
        if case is not None:
            made.append(case)
    return made


def _one_edit(
    rng: np.random.Generator,
    simulation: Simulation,
    image: np.ndarray,
    truth: np.ndarray,
    step: float,
    wrong: np.ndarray | None,
) -> dict[str, np.ndarray] | None:
    radius = SIGMA_VOXELS * RADIUS_PER_SIGMA
    if wrong is None:
        centre = np.array(truth.shape) / 2 if rng.random() < 0.5 else None
        try:
            wrong, _ = corrupt(truth, rng, radius, image, centre=centre)
        except InputError:  # no error of this size fits this object
            return None
    if not wrong.any() or wrong.all():
        return None
    distance = _distance_through(wrong, step)
    wrong = distance > 0
    stroke = draw_stroke(truth, wrong, rng, jitter_voxels=rng.choice([0.0, 0.5, 1.0, 2.0, 3.0]))
    if stroke is None or len(stroke.points) < 2:
        return None
    centre = (stroke.points.min(axis=0) + stroke.points.max(axis=0)) / 2 + rng.normal(0, 3, 3)
    start = np.clip(np.round(centre - SIZE / 2), 0, simulation.phantom_size - SIZE).astype(int)
    cube = tuple(slice(a, a + SIZE) for a in start)
    points = densify(stroke.points - start, 1.0)
    near, nearest = distances_on((SIZE,) * 3, points)
    case = WorkingCase(image[cube], distance[cube], near, nearest, points)
    if not (near < radius).any() or abs(distance[cube]).min() > radius:
        return None
    return {**channels(case), "truth": truth[cube].astype(np.float32)}


def _distance_through(mask: np.ndarray, step: float) -> np.ndarray:
    """Signed distance of a mask as it is when drawn on an image whose voxels are `step` working voxels wide."""
    if step == 1.0:
        return signed_distance(mask, np.ones(3))
    coarse = ndimage.zoom(ndimage.uniform_filter(mask.astype(np.float32), step), 1 / step, order=1, grid_mode=True, mode="nearest")
    distance = signed_distance(coarse > 0.5, np.full(3, step))
    return ndimage.zoom(distance, np.array(mask.shape) / coarse.shape, order=1, grid_mode=True, mode="nearest")


class CaseStore:
    """Training cases on disk, one file per phantom, loaded at random access.

    Stored as float16 and uint8: about 3 MB a case.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.files = sorted(self.folder.glob("case-*.npy"))

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        stored = np.load(self.files[index], mmap_mode="r")
        return {name: stored[position].astype(np.float32) for position, name in enumerate(FIELDS)}


def build_store(
    folder: Path,
    phantoms: int,
    simulation: Simulation | None = None,
    workers: int = 2,
    progress: Progress | None = None,
) -> CaseStore:
    """Simulate the cases of `phantoms` phantoms into a folder; what is there already with the same recipe is kept.

    Returns
    -------
    CaseStore
    """
    simulation = simulation or Simulation()
    progress = progress or Progress()
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    recipe = folder / "simulation.json"
    described = json.loads(json.dumps(asdict(simulation)))
    if not recipe.exists() or json.loads(recipe.read_text()) != described:
        for old in folder.glob("*.npy"):
            old.unlink()
        recipe.write_text(json.dumps(described, indent=1))
    done = {int(path.stem.split("-")[1]) for path in folder.glob("case-*.npy")}
    missing = [number for number in range(phantoms) if number not in done]
    started = time.perf_counter()
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, _prepare_worker, (folder, simulation)) as pool:
        for count, _ in enumerate(pool.imap_unordered(_store_phantom, missing), 1):
            rate = count / (time.perf_counter() - started)
            progress(count / len(missing), f"phantom {count} of {len(missing)}, {rate:.1f} a second")
    return CaseStore(folder)


_worker: dict = {}


def _prepare_worker(folder: Path, simulation: Simulation) -> None:
    import torch

    torch.set_num_threads(1)
    _worker.update(folder=folder, simulation=simulation, segmenters=())
    if simulation.segmenter_share > 0:
        # Every worker trains the same ones (a few seconds), so that a case depends on nothing but its number.
        _worker["segmenters"] = training_segmenters(simulation)


def training_segmenters(simulation: Simulation) -> list[Segmenter]:
    """Under-trained networks on phantoms of their own."""
    rng = np.random.default_rng([simulation.seed, 2**32 - 1])
    cases = []
    for _ in range(24):
        family = simulation.families[rng.integers(len(simulation.families))]
        phantom = make_phantom(family, int(rng.integers(2**31)), (64, 64, 64))
        cases.append((normalised(phantom.image.astype(np.float32)), phantom.target))
    return undertrained_segmenters(cases, (40, 80, 160), simulation.seed)


def _store_phantom(number: int) -> int:
    folder: Path = _worker["folder"]
    for edit, case in enumerate(simulated_cases(_worker["simulation"], number, _worker["segmenters"])):
        stacked = np.stack([case[name] for name in FIELDS]).astype(np.float16)
        temporary = folder / f"tmp-{number:06d}-{edit}.npy"
        np.save(temporary, stacked)
        temporary.rename(folder / f"case-{number:06d}-{edit}.npy")
    return number
