"""The simulated user: where a stroke is drawn, and how large an influence radius is chosen for it.

After the paper's section 3 (scribble on the true boundary, in the region of largest error of one frame). Arrays are
(K, J, I) with isotropic voxels; lengths are voxels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import ndimage
from skimage.measure import find_contours

from ..core.errors import InputError
from .guidance import densify

Axis = Literal[0, 1, 2, "oblique"]

# a contour point belongs to an error region within this distance of its pixels
_ADJACENT = 1.3
_SHORTEST_STROKE = 2.5
_JITTER_LENGTH = 6.0
SMALLEST_RADIUS, LARGEST_RADIUS = 3.0, 40.0
_RADIUS_MARGIN = 1.2


@dataclass(frozen=True)
class StrokeSample:
    """A simulated stroke.

    Attributes
    ----------
    points : (N, 3) float64
        Voxel coordinates K, J, I, in order along the contour, less than 1.5 voxels apart.
    axis : 0, 1, 2 or "oblique"
        Normal of the plane.
    index : int or None
        The plane's index along the axis; None for an oblique plane.
    error_area : int
        Pixels of the error region on the plane that the stroke corrects.
    origin, basis : (3,) and (2, 3)
        The plane: origin + a basis[0] + b basis[1].
    """

    points: np.ndarray
    axis: Axis
    index: int | None
    error_area: int
    origin: np.ndarray
    basis: np.ndarray


@dataclass(frozen=True)
class _Plane:
    axis: Axis
    index: int | None
    origin: np.ndarray
    basis: np.ndarray
    size: tuple[int, int]

    def section(self, array: np.ndarray) -> np.ndarray:
        """Values of a boolean array on the plane, (rows, columns) float32."""
        if self.axis != "oblique":
            return np.take(array, self.index, axis=self.axis).astype(np.float32)
        rows, columns = np.indices(self.size, dtype=np.float64)
        where = (
            self.origin[:, None, None] + self.basis[0][:, None, None] * rows + self.basis[1][:, None, None] * columns
        )
        return ndimage.map_coordinates(array.astype(np.float32), where, order=1, mode="constant")

    def to_space(self, points: np.ndarray) -> np.ndarray:
        return self.origin + points @ self.basis


def _aligned_plane(shape: tuple[int, ...], axis: int, index: int) -> _Plane:
    others = [other for other in range(3) if other != axis]
    origin = np.zeros(3)
    origin[axis] = index
    return _Plane(axis, index, origin, np.eye(3)[others], (shape[others[0]], shape[others[1]]))


def _oblique_plane(point: np.ndarray, normal: np.ndarray, reach: int) -> _Plane:
    normal = normal / np.linalg.norm(normal)
    first = np.cross(normal, np.eye(3)[np.argmin(np.abs(normal))])
    first /= np.linalg.norm(first)
    basis = np.stack([first, np.cross(normal, first)])
    return _Plane("oblique", None, point - reach * basis.sum(0), basis, (2 * reach + 1, 2 * reach + 1))


def _planes(error: np.ndarray, axis: Axis | None, rng: np.random.Generator | None) -> Iterator[_Plane]:
    """Planes to try, the best first: one of the largest few where there is chance, then by falling error."""
    if axis == "oblique":
        voxels = np.argwhere(error)
        reach = int(np.ceil(np.linalg.norm(np.ptp(voxels, axis=0)))) + 6
        trials = []
        for _ in range(6):
            point = np.median(voxels, axis=0) if rng is None else voxels[rng.integers(len(voxels))]
            normal = np.ones(3) if rng is None else rng.standard_normal(3)
            plane = _oblique_plane(point.astype(float), normal, reach)
            trials.append((np.count_nonzero(plane.section(error) > 0.5), len(trials), plane))
        yield from (plane for _, _, plane in sorted(trials, key=lambda trial: -trial[0]))
        return
    axes = [axis] if axis is not None else [0, 1, 2]
    areas = {one: error.sum(axis=tuple(other for other in range(3) if other != one)) for one in axes}
    if rng is not None:
        first = axes[rng.integers(len(axes))]
        large = np.flatnonzero(areas[first] >= 0.7 * areas[first].max())
        yield _aligned_plane(error.shape, first, int(rng.choice(large)))
    ranked = [(int(area), one, index) for one in axes for index, area in enumerate(areas[one]) if area]
    for _, one, index in sorted(ranked, key=lambda entry: -entry[0]):
        yield _aligned_plane(error.shape, one, index)


def _regions(error: np.ndarray) -> Iterator[np.ndarray]:
    """Connected regions (8 neighbours) of a 2D mask, the largest first."""
    parts, _ = ndimage.label(error, np.ones((3, 3)))
    sizes = np.bincount(parts.ravel())[1:]
    for number in np.argsort(-sizes, kind="stable"):
        yield parts == number + 1


def _boundary_beside(truth: np.ndarray, region: np.ndarray) -> np.ndarray | None:
    """The longest piece of the true contour that runs along an error region: (N, 2) ordered points, or None."""
    rows, columns = (np.flatnonzero(region.any(axis=1 - axis)) for axis in (0, 1))
    low = np.maximum([rows[0] - 6, columns[0] - 6], 0)
    box = (slice(low[0], rows[-1] + 7), slice(low[1], columns[-1] + 7))
    plain = truth[box]
    distance = ndimage.distance_transform_edt(~region[box])
    for picture in (ndimage.gaussian_filter(plain, 0.7, mode="nearest"), plain):  # smoothing can erase a thin object
        if min(picture.shape) < 2:
            return None
        best = None
        for contour in find_contours(picture, 0.5):
            near = ndimage.map_coordinates(distance, contour.T, order=1, mode="nearest") <= _ADJACENT
            piece = _longest_run(contour, near)
            if piece is not None and (best is None or _length(piece) > _length(best)):
                best = piece
        if best is not None and _length(best) >= _SHORTEST_STROKE:
            return best + low
    return None


def _longest_run(contour: np.ndarray, near: np.ndarray) -> np.ndarray | None:
    """The longest run of marked contour points; gaps of up to two points are closed, closed contours are cyclic."""
    if not near.any():
        return None
    closed = len(contour) > 3 and np.allclose(contour[0], contour[-1])
    if closed and not near.all():
        turn = int(np.flatnonzero(~near)[0])
        contour = np.roll(contour[:-1], -turn, axis=0)
        near = np.roll(near[:-1], -turn)
    near = ndimage.binary_closing(np.pad(near, 2), np.ones(3))[2:-2] | near
    runs, count = ndimage.label(near)
    lengths = [_length(contour[runs == run]) for run in range(1, count + 1)]
    return contour[runs == 1 + int(np.argmax(lengths))]


def _length(points: np.ndarray) -> float:
    return float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())


def _piece(points: np.ndarray, share: float, rng: np.random.Generator | None) -> np.ndarray:
    """A piece of a polyline, resampled to a step of about one voxel."""
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    length = min(along[-1], max(share * along[-1], _SHORTEST_STROKE))
    slack = along[-1] - length
    start = slack * (0.5 if rng is None else rng.random())
    where = start + np.linspace(0, length, max(2, int(np.ceil(length)) + 1))
    return np.stack([np.interp(where, along, points[:, axis]) for axis in range(2)], axis=1)


def _jittered(points: np.ndarray, jitter: float, rng: np.random.Generator) -> np.ndarray:
    """Points moved along the contour's normal by smooth noise with a standard deviation of `jitter` voxels."""
    tangent = np.gradient(points, axis=0)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-9
    margin = int(4 * _JITTER_LENGTH)
    noise = ndimage.gaussian_filter1d(rng.standard_normal(len(points) + 2 * margin), _JITTER_LENGTH)[margin:-margin]
    # a Gaussian filter of width s leaves white noise with a variance of 1 / (2 s sqrt(pi))
    noise *= np.sqrt(2 * _JITTER_LENGTH * np.sqrt(np.pi))
    return points + jitter * noise[:, None] * normal


def draw_stroke(
    truth: np.ndarray,
    current: np.ndarray,
    rng: np.random.Generator | None,
    axis: Axis | None = None,
    jitter_voxels: float = 0.0,
    length_factor: float = 1.0,
) -> StrokeSample | None:
    """The stroke with which a user corrects `current`: part of the true boundary beside a large error on one plane.

    Parameters
    ----------
    truth, current : (K, J, I) bool
    rng : numpy.random.Generator or None
        Chooses among the axes, the planes with at least 0.7 of an axis' largest error area, and half to all of the
        boundary's length. None takes the largest area, the whole length and the middle, and allows no jitter.
    axis : 0, 1, 2, "oblique" or None (any of the three axes)
    jitter_voxels : float
        Standard deviation of the smooth deviation of the stroke from the true boundary, in the plane.
    length_factor : float
        The stroke's length is multiplied by it (at most the whole boundary beside the error).

    Returns
    -------
    StrokeSample or None
        None where there is no error, or none that a boundary stroke can mend: an island away from the object and a
        hole within it have no true boundary, so that the next region, then the next plane is taken instead.
    """
    if jitter_voxels and rng is None:
        raise InputError(f"A jitter of {jitter_voxels} voxels is random; pass a random generator with it.")
    truth, current = np.asarray(truth, bool), np.asarray(current, bool)
    error = truth ^ current
    if not error.any():
        return None
    for plane in _planes(error, axis, rng):
        section = plane.section(truth)
        for region in _regions(plane.section(error) > 0.5):
            boundary = _boundary_beside(section, region)
            if boundary is None:
                continue
            share = (1.0 if rng is None else rng.uniform(0.5, 1.0)) * length_factor
            points = _piece(boundary, share, rng)
            if jitter_voxels:
                points = _jittered(points, jitter_voxels, rng)
            points = np.clip(plane.to_space(points), 0, np.array(truth.shape) - 1)
            area = int(np.count_nonzero(region))
            return StrokeSample(points, plane.axis, plane.index, area, plane.origin, plane.basis)
    return None


def influence_radius_for(truth: np.ndarray, current: np.ndarray, stroke: StrokeSample) -> float:
    """The influence radius (voxels) that a user would choose to cover the error seen on the stroke's plane.

    The distance from the stroke to the farthest pixel of the error region beside it, with a margin of a fifth, between
    3 and 40 voxels; 3 where the plane shows no error beside the stroke any more.
    """
    error = np.asarray(truth, bool) ^ np.asarray(current, bool)
    if not error.any():
        return SMALLEST_RADIUS
    if stroke.axis == "oblique":
        flat = (stroke.points - stroke.origin) @ stroke.basis.T
        reach = int(flat.max() + 2 * LARGEST_RADIUS)  # what lies farther away does not change the answer
        plane = _Plane("oblique", None, stroke.origin, stroke.basis, (reach, reach))
    else:
        plane = _aligned_plane(error.shape, stroke.axis, stroke.index)
        flat = (stroke.points - plane.origin) @ plane.basis.T
    section = plane.section(error) > 0.5
    line = densify(flat, 0.5)
    best, beside = None, 0
    for region in _regions(section):
        pixels = np.argwhere(region)
        to_region = ndimage.distance_transform_edt(~region)
        touching = np.count_nonzero(ndimage.map_coordinates(to_region, line.T, order=1, mode="nearest") <= 4.0)
        if touching > beside:
            best, beside = pixels, touching
    if best is None:
        return SMALLEST_RADIUS
    gaps = np.full(len(best), np.inf)
    for point in line:
        gaps = np.minimum(gaps, np.linalg.norm(best - point, axis=1))
    return float(np.clip(_RADIUS_MARGIN * gaps.max(), SMALLEST_RADIUS, LARGEST_RADIUS))
