"""Localisation of the structure: a coarse scan of the whole image, then its centre of mass again and again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..core.progress import Progress
from ..core.volume import Grid, Volume
from .inference import SlicePredictor
from .inputs import Surroundings
from .moments import Moments
from .postprocessing import main_component
from .working_grid import covering_grid

RESTARTS = 12
"""Places that are handed on: the structure need not be where the network sees most of it."""
SCAN_STEP = 3
MOST_STEPS = 8
_FOLLOWED = 4
_WINDOW = 6.0
"""Standard deviation of the window in which a place's likelihood is summed, in pixels."""
_LEAST = 1e-5
"""Mean likelihood in that window below which nothing is there."""
_LATTICE, _WITHIN, _MOST_LATTICE = 0.75, 0.6, 27
"""Diameters between the points of a lattice, and that the structure needs within the image; and most points."""
_CLEAR = 0.5
"""Share of the reference's mass: what the network sees so well needs no search with inverted intensities or of a
lattice."""
_UNSEEN = 1e-3
"""Mass of a place that was not looked at by the network."""
_APART = 7.0
"""Between two places, in pixels."""


@dataclass(frozen=True)
class Place:
    """A place at which the structure may be.

    Attributes
    ----------
    centre
        RAS, mm.
    mass
        Sum of probabilities times the voxel's volume, over that of the reference; 0: nothing was found.
    moments
        Moments of the largest component; None: nothing was found, or the place is as the scan saw it.
    likelihood
        The probabilities on the patch around the centre; None where no network looked.
    path
        Centres one after another, mm.
    ended
        converged, cycle (the best of it is taken), steps, empty, scan (not followed), lattice or given.
    """

    centre: np.ndarray
    mass: float
    moments: Moments | None
    likelihood: Volume | None
    path: Sequence[np.ndarray] = ()
    ended: str = "given"

    @property
    def found(self) -> bool:
        return self.mass > 0


def scan(predictor: SlicePredictor, target: Surroundings, full_mass: float, restarts: int = RESTARTS) -> list[Place]:
    """The likeliest places in a whole image, best first, from every `SCAN_STEP`-th slice of each orientation.

    A place is a maximum of the likelihood in a window, however low: what the network hardly sees may still be the
    structure, which the comparison of intensities decides later.
    """
    grid = covering_grid(target.image.grid, predictor.spacing_mm)
    likelihood = predictor.sparse(target.on(grid), SCAN_STEP)
    sigma = _WINDOW / SCAN_STEP
    level = ndimage.gaussian_filter(likelihood, sigma, mode="constant")
    peaks = np.argwhere((level == ndimage.maximum_filter(level, size=5)) & (level > _LEAST))
    heights = level[tuple(peaks.T)]
    best = np.argsort(-heights, kind="stable")[:restarts]
    volume = (2 * np.pi) ** 1.5 * (_WINDOW * predictor.spacing_mm) ** 3
    centres = grid.to_ras(peaks[best][:, ::-1] * SCAN_STEP + (SCAN_STEP - 1) / 2)
    return [
        Place(centre, float(height) * volume / full_mass, None, None, (centre,), ended="scan")
        for centre, height in zip(centres, heights[best], strict=True)
    ]


def follow(
    predictor: SlicePredictor, target: Surroundings, start: np.ndarray, full_mass: float, steps: int = MOST_STEPS
) -> Place:
    """Move the patch to the centre of mass until it stays there.

    Algorithm 2 of the paper, with the loop's condition the right way round: it goes on while the shift is at least a
    pixel.
    """
    centre = np.asarray(start, dtype=np.float64)
    path = [centre]
    best: Place | None = None
    ended = "steps"
    for _ in range(steps):
        grid = predictor.patch(centre)
        found = main_component(predictor.likelihood(target, grid), grid)
        if found is None:
            ended = "empty"
            break
        kept, moments = found
        place = Place(moments.centre, moments.mass / full_mass, moments, Volume(kept, grid.ijk_to_ras))
        if best is None or place.mass > best.mass:
            best = place
        shift = np.linalg.norm(moments.centre - centre)
        again = any(np.linalg.norm(moments.centre - other) < 0.5 * predictor.spacing_mm for other in path[:-1])
        centre = moments.centre
        path.append(centre)
        if shift < predictor.spacing_mm:
            ended, best = "converged", place
            break
        if again:
            ended = "cycle"
            break
    if best is None:
        return Place(np.asarray(start, dtype=np.float64), 0.0, None, None, path, ended="empty")
    return Place(best.centre, best.mass, best.moments, best.likelihood, path, ended=ended)


def lattice(grid: Grid, diameter_mm: float) -> list[np.ndarray]:
    """RAS points so close that the structure's centre is near one of them; none where that takes more than a few.

    An image that is not much larger than the structure is searched everywhere when the network hardly sees it.
    """
    size = np.array(grid.shape[::-1])
    room = np.maximum(size * grid.spacing - _WITHIN * diameter_mm, 0)
    counts = np.maximum(np.ceil(room / (_LATTICE * diameter_mm)), 1).astype(int)
    if counts.prod() > _MOST_LATTICE:
        return []
    numbers = np.stack(np.meshgrid(*(np.arange(count) for count in counts), indexing="ij"), axis=-1).reshape(-1, 3)
    away = (numbers - (counts - 1) / 2) * (room / counts)
    return list(grid.to_ras((size - 1) / 2 + away / grid.spacing))


def localize(
    predictor: SlicePredictor,
    target: Surroundings,
    full_mass: float,
    diameter_mm: float,
    seed_point: np.ndarray | None = None,
    progress: Progress | None = None,
) -> list[Place]:
    """Find where the structure may be.

    Parameters
    ----------
    predictor
        The template's network.
    target
        The image.
    full_mass, diameter_mm
        Mass (mm^3) and length of the structure in the reference.
    seed_point
        RAS point to begin at; None: the whole image is scanned.
    progress
        Told about each start.

    Returns
    -------
    list of Place
        At least one; those that were followed come first, the heaviest first, and those of the `lattice` last. Its
        `found` is false when the network sees nothing anywhere and the image is too large to be searched.
    """
    progress = progress or Progress()
    progress(0.0, "scanning the image")
    if seed_point is None:
        starts = scan(predictor, target, full_mass)
    else:
        seed = np.asarray(seed_point, dtype=np.float64)
        starts = [Place(seed, _UNSEEN, None, None, (seed,))]
    followed = []
    for number, start in enumerate(starts[:_FOLLOWED]):
        progress(0.5 + 0.4 * number / min(len(starts), _FOLLOWED), "looking closer")
        followed.append(follow(predictor, target, start.centre, full_mass))
    followed.sort(key=lambda place: -place.mass)
    everywhere: list[np.ndarray] = []
    if seed_point is None and not (followed and followed[0].mass >= _CLEAR):
        progress(0.9, "scanning the image with inverted intensities")
        starts = [*starts, *scan(predictor, target.inverted, full_mass)]
        everywhere = lattice(target.image.grid, diameter_mm)
    kept: list[Place] = []
    # Who follows may be drawn to something heavier nearby, so the starts stay.
    for place in [*followed, *starts, *(Place(one, _UNSEEN, None, None, (one,), "lattice") for one in everywhere)]:
        apart = (np.linalg.norm(place.centre - other.centre) > predictor.spacing_mm * _APART for other in kept)
        if place.found and all(apart):
            kept.append(place)
    if not kept:
        middle = target.image.grid.to_ras((np.array(target.image.shape[::-1]) - 1) / 2)
        return [Place(middle, 0.0, None, None, ended="empty")]
    return kept
