"""Fill a volume from a few painted planes: the function that the command, the nodes and the benchmark call."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import special

from ..core.errors import InputError, listing
from ..core.masks import bounding_slices, components_with
from ..core.plane import Plane
from ..core.progress import Progress, timed
from ..core.resampling import block_means, sampled
from ..core.volume import Grid, Volume
from .crossings import contradictions
from .evidence import Evidence, learn, over_uncertainty, scaled
from .interpolation import ShapeInterpolant
from .painted import AUTO, painted_slices
from .section import Section, SegmentSection, distance_to_planes

MARGIN = 0.4
"""A segment is looked for so far beyond its paint, in the paint's longest side."""
WORKING_VOXELS = 2_200_000
"""More voxels around the paint are joined to blocks first, which bounds time and memory."""
_LATTICES = (28, 72)
"""Points along each axis at which the smooth function, and what is exact on the planes, are evaluated."""
_OUTSIDE = 60
_ONE_PLANE = (
    "Only one plane holds paint: beyond it the shape is a guess, as deep as it is wide, that only the image corrects; "
    "paint a second plane across it."
)


@dataclass(frozen=True)
class FillResult:
    """The segmentation of the volume.

    Attributes
    ----------
    segmentation
        Labels on the segmentation's own grid, in its own type; on the planes as they were.
    chance
        (K, J, I) float32 between 0 and 1, on the same grid: chance of the likeliest segment. 1 and 0 on the planes.
    annotated
        (K, J, I) bool: the voxels of the planes, none of which has changed.
    planes
        The planes, given or found.
    weights
        By label: a, b and c of `evidence`.
    timings, notes
        Seconds by stage, and sentences for the user.
    """

    segmentation: Volume
    chance: Volume = field(repr=False)
    annotated: np.ndarray = field(repr=False)
    planes: list[Plane]
    weights: dict[int, np.ndarray]
    timings: dict[str, float]
    notes: list[str] = field(default_factory=list)


def fill(
    image: Volume,
    segmentation: Volume,
    planes: Sequence[Plane] | None = None,
    *,
    labels: Sequence[int] | None = None,
    slices: str = AUTO,
    progress: Progress | None = None,
) -> FillResult:
    """Segment a volume of which some planes have been painted.

    Parameters
    ----------
    image
        Any grid.
    segmentation
        (K, J, I) whole numbers, 0 for background. Voxels on the planes are known, all others are not.
    planes
        Where it was painted; what is not painted there is background. None: slices that hold paint, see `slices`.
    labels
        Segments to fill; None: all that are painted. The voxels of others keep theirs.
    slices
        As `painted.painted_slices`, where no planes are given.
    progress
        Told about every segment; may cancel.

    Returns
    -------
    FillResult
        A voxel has one segment. Those of a plane are bit for bit what they were.

    Raises
    ------
    InputError
        No plane, a plane outside the segmentation, no paint on any plane, paint all over the planes, one slice only, an
        image without numbers there, or one that lies elsewhere.

    Examples
    --------
    >>> k, j, i = np.ogrid[-16:17, -16:17, -16:17]
    >>> ball = k**2 + j**2 + i**2 < 10**2
    >>> paint = np.zeros(ball.shape, np.uint8)
    >>> paint[[9, 16, 22]] = ball[[9, 16, 22]]
    >>> image = Volume(np.where(ball, 100.0, 20.0), np.eye(4))
    >>> found = fill(image, Volume(paint, np.eye(4)))
    >>> [plane.name for plane in found.planes]
    ['slice K 9', 'slice K 16', 'slice K 22']
    >>> overlap = 2 * (ball & (found.segmentation.array > 0)).sum() / (ball.sum() + found.segmentation.array.sum())
    >>> bool(overlap > 0.95)
    True
    """
    progress = progress or Progress()
    timings: dict[str, float] = {}
    progress(0.0, "finding the planes")
    with timed(timings, "planes"):
        known = _Known.of(segmentation, planes, labels, slices)
    with timed(timings, "image"):
        progress(0.1, "image")
        area, images = _around_paint(image, known)
    notes = list(known.notes)
    # Log-odds of the likeliest segment so far; 0 is even with the background.
    best = np.full(area.shape, -np.inf, np.float32)
    winner = np.zeros(area.shape, segmentation.array.dtype)
    weights: dict[int, np.ndarray] = {}
    for number, label in enumerate(known.labels):
        part = progress.part(0.2 + 0.7 * number / len(known.labels), 0.2 + 0.7 * (number + 1) / len(known.labels))
        odds, evidence = _log_odds(label, known, area, images, timings, part)
        weights[label] = evidence.weights
        better = odds > best
        best[better] = odds[better]
        winner[better] = label
    with timed(timings, "writing back"):
        progress(0.9, "to the segmentation's grid")
        filled, chance = _written_back(known, area, best, winner)
    progress(1.0, "done")
    return FillResult(
        segmentation.with_array(filled),
        segmentation.with_array(chance, "chance"),
        known.annotated,
        known.planes,
        weights,
        {stage: round(seconds, 4) for stage, seconds in timings.items()},
        notes,
    )


@dataclass(frozen=True)
class _Known:
    """All that the planes say, checked: `paint` is the segmentation on them, 0 elsewhere and for other segments."""

    segmentation: Volume
    paint: np.ndarray
    annotated: np.ndarray
    planes: list[Plane]
    sections: list[Section]
    labels: list[int]
    notes: list[str]

    @staticmethod
    def of(segmentation: Volume, planes: Sequence[Plane] | None, labels: Sequence[int] | None, slices: str) -> _Known:
        if min(segmentation.shape) < 2:
            size = " x ".join(map(str, segmentation.shape[::-1]))
            raise InputError(f"{_title(segmentation)} has {size} voxels: with one slice there is nothing to fill.")
        array = segmentation.array
        chosen = array if labels is None else np.where(np.isin(array, list(labels)), array, 0)
        given = planes is not None
        planes = list(planes) if given else painted_slices(segmentation.with_array(chosen), slices)
        if not planes:
            raise InputError(f"{_title(segmentation)} holds no paint on any plane; paint the object on some slices.")
        annotated = np.zeros(array.shape, bool)
        for plane in planes:
            i, j, k = plane.voxels(segmentation.grid).T
            if not len(i):
                raise InputError(
                    f"{plane.name or 'A plane'} at {plane.center.round(2).tolist()} (RAS, mm) lies outside "
                    f"{_title(segmentation)}; move or remove it."
                )
            annotated[k, j, i] = True
        paint = np.where(annotated, chosen, 0)
        found = [int(label) for label in np.unique(paint[annotated]) if label]
        if not found:
            raise InputError(
                f"None of the planes ({listing([plane.name or 'unnamed' for plane in planes], 4)}) holds paint; paint "
                "the object on them."
            )
        if np.count_nonzero(paint) == np.count_nonzero(annotated):
            raise InputError("The planes are painted all over, so that nothing says what lies outside the object.")
        notes = []
        missing = [label for label in labels or () if label not in found]
        if missing:
            notes.append(f"Not painted on any plane, and left as it is: label {listing(missing, 8)}.")
        elsewhere = int(np.count_nonzero(chosen) - np.count_nonzero(paint))
        if given and elsewhere:
            notes.append(f"{elsewhere} painted voxels lie on none of the planes and were not used.")
        sections = [Section.of(plane, segmentation.with_array(paint)) for plane in planes]
        sections = [section for section in sections if section is not None]
        if np.count_nonzero([section.labels.any() for section in sections]) == 1:
            notes.append(_ONE_PLANE)
        return _Known(segmentation, paint, annotated, planes, sections, found, notes + contradictions(sections))


@dataclass(frozen=True)
class _Area:
    """The part of the segmentation's grid around the paint, and the lattice there on which is computed.

    Attributes
    ----------
    slices
        Of the segmentation's grid.
    grid
        The working grid: that part, or blocks of it.
    factors
        Voxels to a block along K, J, I.
    """

    slices: tuple[slice, slice, slice]
    grid: Grid
    factors: tuple[int, int, int]

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.grid.shape


def _around_paint(image: Volume, known: _Known) -> tuple[_Area, list[np.ndarray]]:
    """Where the segments are looked for, and the image there at every scale."""
    grid = known.segmentation.grid
    tight = bounding_slices(known.paint)
    sides = np.array([part.stop - part.start for part in tight]) * grid.spacing_kji
    margins = np.ceil(MARGIN * sides.max() / grid.spacing_kji).astype(int) + 2
    slices = tuple(
        slice(max(part.start - int(margin), 0), min(part.stop + int(margin), size))
        for part, margin, size in zip(tight, margins, grid.shape, strict=True)
    )
    part = grid.cropped(slices)
    # Sides of blocks as equal as the voxels allow, and no block longer than half the part.
    factors = np.ones(3, int)
    while np.prod(np.ceil(part.shape / factors)) > WORKING_VOXELS:
        lengths = np.where(factors * 2 > part.shape, np.inf, factors * part.spacing_kji)
        factors[int(np.argmin(lengths))] += 1
    if image.grid.same_as(grid):
        values = image.cropped(slices)
    else:
        if not image.grid.contains(part.to_ras((np.array(part.shape[::-1]) - 1) / 2)):
            raise InputError(
                f"{_title(image)} does not lie where {_title(known.segmentation)} is painted; choose its image."
            )
        values = Volume(sampled(image, part), part.ijk_to_ras, image.name)
    if not np.isfinite(values.array).all():
        raise InputError(f"{_title(image)} has values that are no numbers near the paint; mend it.")
    if factors.max() > 1:
        # Whole blocks only: the last values are repeated to fill the last one.
        more = [(0, -size % factor) for size, factor in zip(values.shape, factors, strict=True)]
        values = block_means(values.with_array(np.pad(values.array, more, mode="edge")), factors.tolist())
    area = _Area(slices, values.grid, tuple(factors.tolist()))
    return area, scaled(values)


def _log_odds(
    label: int,
    known: _Known,
    area: _Area,
    images: list[np.ndarray],
    timings: dict[str, float],
    progress: Progress,
) -> tuple[np.ndarray, Evidence]:
    """(K, J, I) float32 log-odds of a segment on the working grid, against all that it is not."""
    sections = [SegmentSection.of(section, label) for section in known.sections]
    voxel = float(area.grid.spacing.min())
    painted = [np.count_nonzero(section.inside) * section.section.step**2 for section in sections]
    extent = max(float(np.sqrt(max(painted))), 2 * voxel)
    outside = _ends(known.segmentation.grid, area)
    rng = np.random.default_rng(0)
    with timed(timings, "weights"):
        progress(0.0, "learning from planes left out")
        on_working_grid = [_placed(section, known, area) for section in sections]
        evidence = learn(
            on_working_grid,
            images,
            extent,
            voxel,
            lambda kept: ShapeInterpolant(kept, extent, outside, exact=False),
            rng,
        )
    with timed(timings, "shape"):
        progress(0.5, "shape between the planes")
        signed = _shape(ShapeInterpolant(sections, extent, outside), area.grid)
        to_planes = distance_to_planes(known.planes, area.grid, [np.arange(size) for size in area.shape])
        ratio = over_uncertainty(signed, to_planes, voxel)
    with timed(timings, "evidence"):
        progress(0.8, "evidence of intensities")
        odds = evidence.log_odds(ratio, images)
        seeds = np.zeros(area.shape, bool)
        for section in on_working_grid:
            i, j, k = section.section.ijk[section.inside & section.section.known].T
            seeds[k, j, i] = True
        inside = odds > 0
        apart = inside & ~components_with(inside | seeds, seeds)
        odds[apart] *= -1
    return odds, evidence


def _placed(section: SegmentSection, known: _Known, area: _Area) -> SegmentSection:
    """The same pixels with their voxels of the working grid; those beyond it are not known."""
    start = [part.start for part in area.slices[::-1]]
    ijk = (section.section.ijk - start) // np.array(area.factors[::-1])
    size = np.array(area.shape[::-1])
    there = section.section.known & ((ijk >= 0) & (ijk < size)).all(axis=-1)
    return replace(section, section=replace(section.section, ijk=np.clip(ijk, 0, size - 1), known=there))


def _ends(grid: Grid, area: _Area) -> np.ndarray:
    """(N, 3) RAS points all over those faces of the part around the paint that are no faces of the segmentation.

    A segment that reached there would be far larger than its paint; where the image ends, it may.
    """
    shape = np.array([part.stop - part.start for part in area.slices])
    part = grid.cropped(area.slices)
    faces = []
    across = np.linspace(0, 1, round(math.sqrt(_OUTSIDE / 6)) + 2)
    for axis, one in enumerate(area.slices):
        for index, ends in ((0, one.start > 0), (shape[axis] - 1, one.stop < grid.shape[axis])):
            if ends:
                lattice = np.stack(np.meshgrid(across, across, indexing="ij"), axis=-1).reshape(-1, 2)
                kji = np.insert(lattice, axis, 0.0, axis=1) * (shape - 1)
                kji[:, axis] = index
                faces.append(part.to_ras(kji[:, ::-1]))
    return np.concatenate(faces) if faces else np.zeros((0, 3))


def _shape(interpolant: ShapeInterpolant, grid: Grid) -> np.ndarray:
    """(K, J, I) float32 signed distance on a grid, mm: smooth on a coarse lattice, exact near the planes."""
    rough, fine = (
        [np.unique(np.linspace(0, size - 1, min(size, most)).round()) for size in grid.shape] for most in _LATTICES
    )
    signed = interpolant.smooth(_lattice_points(grid, rough)).reshape([len(index) for index in rough])
    places = [np.interp(inner, outer, np.arange(len(outer))) for inner, outer in zip(fine, rough, strict=True)]
    signed = _interpolated(signed.astype(np.float32), places)
    near = np.abs(signed) < interpolant.extent
    signed[near] += interpolant.correction(_lattice_points(grid, fine)[near.ravel()])
    voxels = [np.arange(size) for size in grid.shape]
    places = [np.interp(voxel, index, np.arange(len(index))) for voxel, index in zip(voxels, fine, strict=True)]
    return _interpolated(signed, places)


def _lattice_points(grid: Grid, indices: Sequence[np.ndarray]) -> np.ndarray:
    """(N, 3) RAS points of a lattice with these indices along K, J, I of a grid."""
    k, j, i = np.meshgrid(*indices, indexing="ij")
    return grid.to_ras(np.stack([i, j, k], axis=-1).reshape(-1, 3))


def _interpolated(values: np.ndarray, places: Sequence[np.ndarray]) -> np.ndarray:
    """Values at fractional indices along each axis, linear along one after the other; float32."""
    for axis, (place, size) in enumerate(zip(places, values.shape, strict=True)):
        if len(place) == size and np.array_equal(place, np.arange(size)):
            continue
        lower = np.clip(place.astype(int), 0, max(size - 2, 0))
        weight = (place - lower).astype(np.float32).reshape([-1 if other == axis else 1 for other in range(3)])
        below, above = values.take(lower, axis), values.take(np.minimum(lower + 1, size - 1), axis)
        above -= below
        above *= weight
        above += below
        values = above
    return values


def _written_back(known: _Known, area: _Area, best: np.ndarray, winner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The labels, and the chance of the likeliest segment, on the segmentation's grid."""
    shape = known.segmentation.grid.cropped(area.slices).shape
    voxels = [np.arange(size) for size in shape]
    # The middle of a block lies between its voxels.
    places = [
        np.clip((voxel + 0.5) / factor - 0.5, 0, blocks - 1)
        for voxel, factor, blocks in zip(voxels, area.factors, best.shape, strict=True)
    ]
    best = _interpolated(best, places)
    if max(area.factors) > 1:
        winner = winner[np.ix_(*(voxel // factor for voxel, factor in zip(voxels, area.factors, strict=True)))]
    array = known.segmentation.array
    filled = array.copy()
    # What was painted elsewhere is not known, and what is no segment to fill stays.
    filled[np.isin(array, known.labels) & ~known.annotated] = 0
    inside = (best > 0) & ~known.annotated[area.slices] & (filled[area.slices] == 0)
    filled[area.slices][inside] = winner[inside]
    chance = np.zeros(array.shape, np.float32)
    special.expit(best, out=chance[area.slices])
    chance[known.annotated] = known.paint[known.annotated] != 0
    return filled, chance


def _title(volume: Volume) -> str:
    return volume.name or "the image or segmentation"
