"""Training cases: a phantom (or a user's case), an error, a stroke, on the working grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import ndimage

from ..core.errors import InputError
from ..phantoms import TRAIN_FAMILIES, make_phantom
from .guidance import RADIUS_PER_SIGMA, densify
from .network import channels
from .simulation import corrupt, draw_stroke
from .undertrained import Segmenter, undertrained_segmenters
from .working_grid import SIGMA_VOXELS, WorkingCase, distances_on, normalised, signed_distance

SIZE = 64
"""Side of a training cube, voxels."""

FIELDS = ("image", "truth", "mask", "guidance", "signed_distance", "warp", "evidence", "proposal")


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
    """

    image: np.ndarray
    truth: np.ndarray
    redrawn: Callable[[np.ndarray], np.ndarray]


SceneMaker = Callable[[np.random.Generator, Simulation], Scene | None]
"""Makes the scene of one case number; None where chance led to nothing that could be edited."""


def phantom_scene(rng: np.random.Generator, simulation: Simulation) -> Scene | None:
    """A phantom of a random family, as annotated on voxels of a random size."""
    family = simulation.families[rng.integers(len(simulation.families))]
    phantom = make_phantom(family, int(rng.integers(2**31)), (simulation.phantom_size,) * 3)
    image = normalised(phantom.image.astype(np.float32))
    step = float(np.exp(rng.uniform(0, np.log(3.5)))) if rng.random() < 0.7 else 1.0
    return Scene(image, _distance_through(phantom.target, step) > 0, partial(_distance_through, step=step))


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
    if segmenters and rng.random() < min(1.0, simulation.segmenter_share * simulation.edits_per_phantom):
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


def _distance_through(mask: np.ndarray, step: float) -> np.ndarray:
    """Signed distance of a mask as it is when drawn on an image whose voxels are `step` working voxels wide."""
    if step == 1.0:
        return signed_distance(mask, np.ones(3))
    smooth = ndimage.uniform_filter(mask.astype(np.float32), step)
    coarse = ndimage.zoom(smooth, 1 / step, order=1, grid_mode=True, mode="nearest")
    distance = signed_distance(coarse > 0.5, np.full(3, step))
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
