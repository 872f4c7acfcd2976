"""Training cases on disk: simulated in worker processes, kept, and loaded at random access."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ..core.errors import InputError
from ..core.files import reason_of
from ..core.progress import Progress
from .cases import (
    FIELDS,
    AnatomyScenes,
    Simulation,
    VolumeScenes,
    phantom_scene,
    simulated_cases,
    training_segmenters,
)

Sources = VolumeScenes | AnatomyScenes
"""Makers of scenes other than phantoms; each knows the digests of its cases."""

FORMAT = 2
"""Format of the stored cases; a store of another one is made anew. Raise it when the same recipe gives other cases."""


@dataclass(frozen=True)
class Generation:
    """How fast the cases of a store were made, over all runs that added to it; wall time."""

    cases: int = 0
    seconds: float = 0.0
    workers: int = 0

    @property
    def cases_per_second(self) -> float:
        return self.cases / self.seconds if self.seconds else 0.0


class CaseStore:
    """Training cases on disk, loaded at random access; one file a case, float16, 4.2 MB.

    Parameters
    ----------
    folder
        Made by `build_store`.
    scenes
        Only the cases of the first so many phantoms or cubes; None takes all that are there.
    """

    def __init__(self, folder: Path, scenes: int | None = None) -> None:
        self.folder = Path(folder)
        self.files = sorted(self.folder.glob("case-*.npy"))
        if scenes is not None:
            self.files = [path for path in self.files if _scene_of(path) < scenes]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        stored = np.load(self.files[index], mmap_mode="r")
        return {name: stored[position].astype(np.float32) for position, name in enumerate(FIELDS)}

    @property
    def generation(self) -> Generation:
        """As measured when the cases were made."""
        path = self.folder / "generation.json"
        return Generation(**json.loads(path.read_text())) if path.exists() else Generation()


def build_store(
    folder: Path,
    count: int,
    simulation: Simulation | None = None,
    workers: int = 2,
    progress: Progress | None = None,
    scenes: Sources | None = None,
) -> CaseStore:
    """Simulate the cases of so many scenes into a folder; what is there already with the same recipe is kept.

    Parameters
    ----------
    folder
        Made if it is not there; cases of another recipe in it are removed.
    count
        How many scenes to simulate on; the store gives the cases of these only, also when more are there.
    simulation
        The recipe.
    workers
        Processes; 0 works in this one. The cases do not depend on it.
    progress
        Told about every scene; may cancel, which keeps the cases made so far.
    scenes
        Makes the scenes; None: phantoms.

    Raises
    ------
    InputError
        The folder cannot be written to, the disk is full, or not one case came of it.
    """
    simulation = simulation or Simulation()
    progress = progress or Progress()
    folder = Path(folder)
    try:
        _prepare_folder(folder, simulation, scenes)
        done = {_scene_of(path) for pattern in ("case-*-0.npy", "none-*.done") for path in folder.glob(pattern)}
        missing = [number for number in range(count) if number not in done]
        _simulate(missing, folder, simulation, workers, progress, scenes)
    except OSError as error:
        raise InputError(f"Could not write training cases into {folder}: {reason_of(error)}.") from error
    store = CaseStore(folder, count)
    if not len(store):
        raise InputError(
            f"Not one training case could be simulated from {count} {'cubes' if scenes else 'phantoms'}; "
            "use more, or larger objects."
        )
    return store


def _prepare_folder(folder: Path, simulation: Simulation, scenes: Sources | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    recipe = folder / "simulation.json"
    described = json.loads(json.dumps(asdict(simulation)))
    if scenes is not None:
        described["scenes"] = scenes.digests
    there = json.loads(recipe.read_text()) if recipe.exists() else None
    if there is None or {"format": 1, **there} != {"format": FORMAT, **described}:
        for pattern in ("case-*.npy", "none-*.done", "generation.json"):
            for old in folder.glob(pattern):
                old.unlink()
        recipe.write_text(json.dumps({"format": FORMAT, **described}, indent=1))
    for left in folder.glob("tmp-*.npy"):  # of a run that was killed
        left.unlink()


def _simulate(
    missing: list[int], folder: Path, simulation: Simulation, workers: int, progress: Progress, scenes: Sources | None
) -> None:
    if not missing:
        return
    started = time.perf_counter()
    before = CaseStore(folder).generation
    made = 0
    with _scene_results(missing, folder, simulation, workers, scenes) as results:
        for count, cases in enumerate(results, 1):
            made += cases
            seconds = time.perf_counter() - started
            rate = f"{made / seconds:.1f} cases a second"
            progress(count / len(missing), f"simulating: {count} of {len(missing)}, {rate}")
            if count == len(missing) or count % 20 == 0:
                now = Generation(before.cases + made, round(before.seconds + seconds, 3), max(workers, 1))
                (folder / "generation.json").write_text(json.dumps(asdict(now)))


@contextlib.contextmanager
def _scene_results(
    missing: list[int], folder: Path, simulation: Simulation, workers: int, scenes: Sources | None
) -> Iterator[Iterator[int]]:
    """Numbers of cases stored, scene by scene, in any order."""
    import torch

    if workers == 0:
        threads = torch.get_num_threads()
        try:
            _prepare_worker(folder, simulation, scenes)
            yield map(_store_scene, missing)
        finally:
            torch.set_num_threads(threads)
            _worker.clear()
        return
    context = multiprocessing.get_context("spawn")
    with _interrupts_held():
        pool = context.Pool(min(workers, len(missing)), _prepare_worker, (folder, simulation, scenes))
    with pool:
        yield pool.imap_unordered(_store_scene, missing)


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Processes started within never see Ctrl-C, which is this one's to handle: it ends them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # started by the first process otherwise, and then lets Ctrl-C through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_worker: dict = {}


def _prepare_worker(folder: Path, simulation: Simulation, scenes: Sources | None) -> None:
    import torch

    torch.set_num_threads(1)
    make_scene = phantom_scene if scenes is None else scenes
    _worker.update(folder=folder, simulation=simulation, segmenters=(), make_scene=make_scene)
    if simulation.segmenter_share > 0:
        # Every worker trains the same ones (a few seconds), so that a case depends on nothing but its number.
        _worker["segmenters"] = training_segmenters(simulation, scenes)


def _store_scene(number: int) -> int:
    folder: Path = _worker["folder"]
    cases = simulated_cases(_worker["simulation"], number, _worker["segmenters"], _worker["make_scene"])
    # The last one first: where there is a case 0, the scene is complete.
    for edit, case in reversed(list(enumerate(cases))):
        stacked = np.stack([case[name] for name in FIELDS]).astype(np.float16)
        temporary = folder / f"tmp-{number:06d}-{edit}.npy"
        np.save(temporary, stacked)
        temporary.replace(folder / f"case-{number:06d}-{edit}.npy")
    if not cases:
        (folder / f"none-{number:06d}.done").touch()  # else it would be tried again by every run
    return len(cases)


def _scene_of(path: Path) -> int:
    return int(path.stem.split("-")[1])
