"""Surfaces of masks, and the distances between them, in mm on any grid.

The surface of a mask is a surface net (Gibson, *Constrained Elastic Surface Nets*, MICCAI 1998; Frisken, *SurfaceNets
for Multi-Label Segmentations*, JCGT 2022): a vertex in every cell of eight voxel centres that are not all alike, which
is relaxed towards its neighbours but never leaves its cell. So the steps of the voxels are smoothed away, while no
voxel centre changes sides and nothing that is one voxel thin is lost. VTK has the same, which the library does without.

Distances go from the vertices of one surface to the triangles of the other, not to voxels. Each vertex counts by
the area around it, as in Nikolov et al., *Clinically Applicable Segmentation of Head and Neck Anatomy* (JMIR 2021),
because vertices lie denser along short sides of voxels.

Beyond a grid is background: where the image cuts a structure, the cut face belongs to its surface.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from ..core.volume import Grid, Volume
from .support import Support

RELAXATIONS, INWARDS, OUTWARDS = 60, 0.63, -0.65
"""Steps towards the neighbours' mean and back, as shares of the way: Taubin's (*Curve and Surface Smoothing without
Shrinkage*, ICCV 1995), which take away the voxels' steps and leave the size."""
_CANDIDATES = 8
"""Triangles that a point is measured to: those with the nearest middles. More of them moved distances by up to 0.03
voxels where masks were noise (isotropic voxels), and not at all where they were smooth."""
_AT_ONCE = 20000


@dataclass(frozen=True)
class Surface:
    """A surface in the world; see the module for how it is made of a mask.

    Attributes
    ----------
    points
        (N, 3) RAS, mm.
    triangles
        (M, 3) indices of points, counter-clockwise seen from outside.
    """

    points: np.ndarray
    triangles: np.ndarray

    @staticmethod
    def of(mask: Volume, open_axes: Sequence[int] = ()) -> Surface:
        """The surface of a mask.

        Parameters
        ----------
        mask
            Not 0 inside; no points where it is empty.
        open_axes
            Index axes (0: I, 1: J, 2: K) at whose ends the surface stays open, for a plane that is one voxel thick.

        Examples
        --------
        >>> cube = np.zeros((20, 20, 20), np.uint8)
        >>> cube[2:18, 2:18, 2:18] = 1
        >>> surface = Surface.of(Volume(cube, np.diag([1, 1, 2, 1])))
        >>> top = surface.points[surface.points[:, 2] > 34, 2]
        >>> round(float(np.median(top)))  # 17 is the last slice inside, 17.5 the boundary, 2 mm each
        35
        """
        array = np.pad(mask.array != 0, [(0, 0) if 2 - axis in open_axes else (1, 1) for axis in range(3)])
        array = np.pad(array, [(1, 1) if 2 - axis in open_axes else (0, 0) for axis in range(3)], mode="edge")
        cells, quads = _net(array)
        inside = _relaxed(cells + 0.5, quads, [2 - axis for axis in open_axes])
        if np.linalg.det(mask.ijk_to_ras[:3, :3]) < 0:
            quads = quads[:, ::-1]
        triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
        return Surface(mask.grid.to_ras(inside[:, ::-1] - 1), triangles)

    @cached_property
    def normals(self) -> np.ndarray:
        """(M, 3) vectors out of each triangle, as long as its area in mm²."""
        a, b, c = np.moveaxis(self.points[self.triangles], 1, 0)
        return np.cross(b - a, c - a) / 2

    @cached_property
    def weights(self) -> np.ndarray:
        """(N,) area around each point, mm²: a third of its triangles'."""
        areas = np.linalg.norm(self.normals, axis=1)
        return np.bincount(self.triangles.ravel(), np.repeat(areas / 3, 3), len(self.points))

    @cached_property
    def _tree(self) -> cKDTree:
        """Middles of the triangles."""
        return cKDTree(self.points[self.triangles].mean(axis=1))

    def nearest(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The nearest place of the surface for each of some points.

        Parameters
        ----------
        points
            (N, 3) RAS, mm.

        Returns
        -------
        tuple
            (N,) distances in mm, (N, 3) places in RAS, (N,) triangles; infinite, NaN and -1 where there is no surface.
        """
        distances, places = np.full(len(points), np.inf), np.full((len(points), 3), np.nan)
        triangles = np.full(len(points), -1)
        corners = self.points[self.triangles]
        if not len(corners):
            return distances, places, triangles
        tree = self._tree
        count = min(_CANDIDATES, len(corners))
        for start in range(0, len(points), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            which = tree.query(points[part], k=[*range(1, count + 1)])[1]
            found = _nearest_on_triangles(points[part, None], corners[which])
            squared = np.square(found - points[part, None]).sum(axis=2)
            best = np.arange(len(squared)), squared.argmin(axis=1)
            distances[part] = np.sqrt(squared[best])
            places[part], triangles[part] = found[best], which[best]
        return distances, places, triangles


@dataclass(frozen=True)
class SurfaceDistances:
    """Distances between two surfaces, mm, with the area (mm²) that each stands for.

    Where both surfaces are empty, all distances are 0 and all of the area is within any tolerance; where one is, they
    are infinite and none of it is.

    Attributes
    ----------
    a_to_b, b_to_a
        (N,) and (M,) distances of the points of one surface to the other one.
    a_weights, b_weights
        (N,) and (M,) areas around them.
    """

    a_to_b: np.ndarray
    b_to_a: np.ndarray
    a_weights: np.ndarray
    b_weights: np.ndarray

    @property
    def mean(self) -> float:
        """Mean over both surfaces together, by area, mm: the average symmetric surface distance."""
        return self._of_all(lambda distances: distances)

    @property
    def rms(self) -> float:
        """Root of the mean square over both surfaces together, by area, mm."""
        return float(np.sqrt(self._of_all(np.square)))

    @property
    def hd95(self) -> float:
        """The larger one of both directions' 95th percentiles by area, mm: 95 % of either surface is no farther."""
        return self.percentile(95)

    @property
    def maximum(self) -> float:
        """The largest distance, mm: Hausdorff's."""
        return self.percentile(100)

    def percentile(self, percent: float) -> float:
        """The larger one of both directions' percentiles by area, mm."""
        directions = ((self.a_to_b, self.a_weights), (self.b_to_a, self.b_weights))
        return max((_percentile(*one, percent) for one in directions if len(one[0])), default=0.0)

    def within(self, tolerance_mm: float) -> float:
        """Share of both surfaces' area that lies within a tolerance of the other one (Nikolov's surface Dice)."""
        return self._of_all(lambda distances: (distances <= tolerance_mm).astype(float), nothing=1.0)

    def _of_all(self, function, nothing: float = 0.0) -> float:
        weights = np.concatenate([self.a_weights, self.b_weights])
        if not weights.sum():
            return nothing
        values = function(np.concatenate([self.a_to_b, self.b_to_a]))
        return float((values * weights)[weights > 0].sum() / weights.sum())


def surface_distances(
    a: Surface, b: Surface, support: Support | None = None, grid: Grid | None = None
) -> SurfaceDistances:
    """Distances of each of two surfaces to the other one.

    Parameters
    ----------
    a, b
        The surfaces.
    support, grid
        Count only what lies on the support of masks on this grid; the surfaces are those of `Support.extended` masks.

    Examples
    --------
    >>> wall = np.zeros((6, 20, 20), np.uint8)
    >>> wall[2:4] = 1
    >>> thin = Surface.of(Volume(wall, np.diag([1, 1, 3, 1])))
    >>> thick = Surface.of(Volume(np.maximum(wall, np.roll(wall, 1, axis=0)), np.diag([1, 1, 3, 1])))
    >>> found = surface_distances(thin, thick)
    >>> round(found.hd95), found.within(1.0) > 0.4
    (3, True)
    """
    weights, points = [a.weights, b.weights], [a.points, b.points]
    if support is not None:
        weights = [weight * support.share(grid.to_ijk(one)) for weight, one in zip(weights, points, strict=True)]
        kept = [weight > 0 for weight in weights]
        weights, points = ([one[where] for one, where in zip(each, kept, strict=True)] for each in (weights, points))
    # Both directions at the same time: numpy and scipy leave the interpreter free.
    with ThreadPoolExecutor(2) as threads:
        found = [threads.submit(other.nearest, one) for other, one in zip((b, a), points, strict=True)]
    return SurfaceDistances(*(one.result()[0] for one in found), *weights)


def pooled(parts: Sequence[SurfaceDistances]) -> SurfaceDistances:
    """The distances of several pairs of surfaces together, of planes say."""
    return SurfaceDistances(
        *(np.concatenate([getattr(part, name) for part in parts])
          for name in ("a_to_b", "b_to_a", "a_weights", "b_weights"))
    )  # fmt: skip


def _net(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, 3) first voxels of the cells that are mixed, and (M, 4) cells around each pair of unlike voxels, in a circle
    that turns the same way seen from outside."""
    corners = [array[tuple(slice(o, size - 1 + o) for o, size in zip(offset, array.shape, strict=True))]
               for offset in np.ndindex(2, 2, 2)]  # fmt: skip
    mixed = np.logical_or.reduce(corners) & ~np.logical_and.reduce(corners)
    number = np.full(mixed.shape, -1, np.int64)
    cells = np.argwhere(mixed)
    number[mixed] = np.arange(len(cells))
    quads = []
    for axis in range(3):
        one, other = (axis + 1) % 3, (axis + 2) % 3
        part = [slice(1, -1)] * 3
        part[axis] = slice(None, -1)
        below = array[tuple(part)]
        part[axis] = slice(1, None)
        pairs = np.argwhere(below != array[tuple(part)])
        outwards = below[tuple(pairs.T)]
        around = []
        for step in ((0, 0), (1, 0), (1, 1), (0, 1)):
            cell = pairs.copy()
            cell[:, one] += step[0]
            cell[:, other] += step[1]
            around.append(number[tuple(cell.T)])
        circle = np.stack(around, axis=1)
        quads.append(np.where(outwards[:, None], circle[:, ::-1], circle))
    return cells, np.concatenate(quads)


def _relaxed(centres: np.ndarray, quads: np.ndarray, fixed_axes: Sequence[int]) -> np.ndarray:
    """(N, 3) vertices, K, J, I voxels."""
    count = len(centres)
    if not count:
        return centres
    ends = np.concatenate([quads[:, [one, (one + 1) % 4]] for one in range(4)])
    links = sparse.coo_matrix((np.ones(len(ends)), ends.T), (count, count)).tocsr()
    links = ((links + links.T) > 0).astype(float)
    degrees = np.maximum(np.asarray(links.sum(axis=1)), 1)
    at, free = centres, np.ones(3)
    free[list(fixed_axes)] = 0
    for step in (INWARDS, OUTWARDS) * RELAXATIONS:
        at = at + step * free * (links @ at / degrees - at)
        if step < 0:
            at = np.clip(at, centres - 0.5, centres + 0.5)
    return at


def _nearest_on_triangles(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """(N, K, 3) nearest places on (N, K, 3, 3) triangles to (N, 1, 3) points."""
    a, b, c = (corners[..., corner, :] for corner in range(3))
    u, v, w = b - a, c - a, points - a
    uu, uv, vv, wu, wv = ((one * other).sum(-1) for one, other in ((u, u), (u, v), (v, v), (w, u), (w, v)))
    scale = uu * vv - uv * uv
    flat = scale <= 1e-12 * uu * vv
    scale = np.where(flat, 1, scale)
    s, t = (vv * wu - uv * wv) / scale, (uu * wv - uv * wu) / scale
    within = (s >= 0) & (t >= 0) & (s + t <= 1) & ~flat
    best = a + s[..., None] * u + t[..., None] * v
    # Beyond the triangle its nearest place is on one of the sides.
    outside = np.nonzero(~within)
    point = np.broadcast_to(points, a.shape)[outside]
    nearest = np.full(len(point), np.inf)
    for start, end in ((a, b), (b, c), (c, a)):
        start, side = start[outside], (end - start)[outside]
        length = np.maximum((side * side).sum(-1), np.finfo(float).tiny)
        place = start + np.clip(((point - start) * side).sum(-1) / length, 0, 1)[:, None] * side
        squared = np.square(place - point).sum(-1)
        nearer = squared < nearest
        nearest = np.where(nearer, squared, nearest)
        best[tuple(index[nearer] for index in outside)] = place[nearer]
    return best


def _percentile(distances: np.ndarray, weights: np.ndarray, percent: float) -> float:
    order = np.argsort(distances)
    reached = np.cumsum(weights[order])
    wanted = min(np.searchsorted(reached, percent / 100 * reached[-1]), len(order) - 1)
    return float(distances[order[wanted]])
