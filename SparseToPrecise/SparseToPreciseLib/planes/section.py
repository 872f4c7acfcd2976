"""A plane as it was painted: a lattice of pixels on it with their labels, and distances to a segment's boundary."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from ..core.plane import Plane
from ..core.volume import Grid, Volume

_LARGEST_SIDE = 192
"""Pixels along the longer side of a section, whatever the size of the image."""


@dataclass(frozen=True)
class Section:
    """The pixels of a plane within a grid.

    Attributes
    ----------
    plane
        The plane.
    step
        Side of a pixel, mm.
    origin
        (2,) plane coordinates of the first pixel's centre, mm.
    labels
        (U, V) label of the voxel through which the plane passes there.
    known
        (U, V) bool: within the grid and the plane's bounds.
    ijk
        (U, V, 3) that voxel, I, J, K; not meaningful where nothing is known.
    """

    plane: Plane
    step: float
    origin: np.ndarray
    labels: np.ndarray = field(repr=False)
    known: np.ndarray = field(repr=False)
    ijk: np.ndarray = field(repr=False)

    @staticmethod
    def of(plane: Plane, labels: Volume) -> Section | None:
        """The section of (K, J, I) labels by a plane, with pixels as large as the shortest side of a voxel, or larger.

        None where the plane passes through no voxel.
        """
        grid = labels.grid
        along = plane.to_plane(grid.to_ras(plane.voxels(grid)))[:, :2]
        if not len(along):
            return None
        low, extent = along.min(axis=0), np.ptp(along, axis=0)
        step = max(float(grid.spacing.min()), float(extent.max()) / (_LARGEST_SIDE - 1))
        count = np.floor(extent / step + 1e-6).astype(int) + 1
        first, second = np.mgrid[: count[0], : count[1]]
        uv = low + step * np.stack([first, second], axis=-1)
        ijk = np.floor(grid.to_ijk(_off_plane(plane, uv)) + 0.5).astype(np.int64)
        plane.put_on(grid, ijk)
        size = np.array(grid.shape[::-1])
        known = ((ijk >= 0) & (ijk < size)).all(axis=-1)
        ijk = np.clip(ijk, 0, size - 1)
        found = labels.array[ijk[..., 2], ijk[..., 1], ijk[..., 0]]
        return Section(plane, step, low, np.where(known, found, 0), known, ijk)

    def points(self, which: np.ndarray) -> np.ndarray:
        """(N, 3) RAS centres of the pixels that a (U, V) bool array chooses, mm."""
        return _off_plane(self.plane, self.origin + self.step * np.argwhere(which))

    def values(self, array: np.ndarray, which: np.ndarray) -> np.ndarray:
        """(N,) values of a (K, J, I) array of the labels' grid at the pixels that a (U, V) bool array chooses."""
        i, j, k = self.ijk[which].T
        return array[k, j, i]

    def pixel_of(self, points: np.ndarray) -> np.ndarray:
        """(N, 2) fractional pixel below each of (N, 3) RAS points."""
        return (self.plane.to_plane(points)[..., :2] - self.origin) / self.step


def _off_plane(plane: Plane, uv: np.ndarray) -> np.ndarray:
    return plane.from_plane(np.concatenate([uv, np.zeros((*uv.shape[:-1], 1))], axis=-1))


@dataclass(frozen=True)
class SegmentSection:
    """One segment on a section.

    Attributes
    ----------
    section
        Where it was painted.
    inside
        (U, V) bool: the segment.
    to_inside, to_outside
        (U, V) distance in the plane to the nearest pixel that is known to be the segment, and known not to be, mm;
        `FAR` times the section's size where there is none.
    """

    section: Section
    inside: np.ndarray = field(repr=False)
    to_inside: np.ndarray = field(repr=False)
    to_outside: np.ndarray = field(repr=False)

    @staticmethod
    def of(section: Section, label: int) -> SegmentSection:
        inside = section.known & (section.labels == label)
        outside = section.known & ~inside
        return SegmentSection(section, inside, _distance(inside, section.step), _distance(outside, section.step))

    @property
    def signed(self) -> np.ndarray:
        """(U, V) signed distance in the plane to the segment's boundary, mm, positive inside."""
        half = self.section.step / 2
        return np.where(self.inside, self.to_outside - half, half - self.to_inside)

    def to_other_side(self, points: np.ndarray, inside: np.ndarray) -> np.ndarray:
        """(N,) distance of (N, 3) RAS points to the nearest place on the plane that is known to be otherwise, mm.

        Parameters
        ----------
        inside
            (N,) bool: which of the points lie in the segment.
        """
        pixel = self.section.pixel_of(points).T
        across, along = (
            ndimage.map_coordinates(distances, pixel, order=1, mode="nearest")
            for distances in (self.to_outside, self.to_inside)
        )
        return np.hypot(self.section.plane.distance(points), np.where(inside, across, along))


def _distance(mask: np.ndarray, step: float) -> np.ndarray:
    """Distance to the nearest True of a mask, to its centre."""
    if not mask.any():
        return np.full(mask.shape, 2.0 * sum(mask.shape) * step)
    return ndimage.distance_transform_edt(~mask) * step


def distance_to_planes(planes: list[Plane], grid: Grid, indices: list[np.ndarray]) -> np.ndarray:
    """Distance to the nearest of some planes, as if they had no end, on a lattice within a grid.

    Parameters
    ----------
    indices
        Of the lattice along K, J, I.

    Returns
    -------
    (K, J, I) float32, mm
    """
    nearest = np.full([len(index) for index in indices], np.inf, np.float32)
    for plane in planes:
        # On a lattice a distance to a plane is a sum of three terms, one for each axis.
        slope = plane.normal @ grid.ijk_to_ras[:3, :3]
        offset = plane.normal @ (grid.ijk_to_ras[:3, 3] - plane.center)
        k, j, i = (np.float32(slope[2 - axis] * index) for axis, index in enumerate(indices))
        np.minimum(nearest, np.abs((k + np.float32(offset))[:, None, None] + (j[:, None] + i)), out=nearest)
    return nearest
