"""The segments beside the one that is corrected: their protection, and what a correction did to them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import slicer

from ..core.errors import InputError
from ..core.itk_images import moved
from ..core.lattice import grown_to_hold, onto_grid
from ..core.masks import bounding_slices
from ..core.volume import Grid, Volume
from .lookup import find_segment
from .segment_lattice import Lattice, layers_of, stored_labelmap
from .volumes import parent_to_world

_DIRECTIONS = np.array([one for one in product((-1.0, 0.0, 1.0), repeat=3) if any(one)])
_DIRECTIONS /= np.linalg.norm(_DIRECTIONS, axis=1, keepdims=True)
_STEPS = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
"""Voxels."""

ALL = "all"
"""Instead of a segment's name: every segment but the corrected one."""


@dataclass(frozen=True)
class OtherSegment:
    """A segment that a correction has met.

    Attributes
    ----------
    segment_id, name
        ID and name of the segment.
    before
        Voxels that it had.
    changed
        Voxels that it lost or got.
    overlapped
        Voxels that it now shares with the corrected segment, and did not before.
    """

    segment_id: str
    name: str
    before: int
    changed: int
    overlapped: int


def segment_at(node: slicer.vtkMRMLSegmentationNode, stroke_ras: np.ndarray, beside: str) -> str:
    """Name of the segment along which a stroke was drawn, other than the one of the ID `beside`; "" where none is.

    It is the nearest one (looked for in 26 directions, up to half the stroke's length) of at least half of the
    (N, 3) RAS points, mm.
    """
    points = moved(np.linalg.inv(parent_to_world(node)), np.asarray(stroke_ras, dtype=np.float64))
    if points.ndim != 2 or len(points) < 2 or not np.isfinite(points).all():
        return ""
    length = np.linalg.norm(np.diff(points, axis=0), axis=1).sum()
    nearest = np.full(len(points), np.inf)
    ids = np.full(len(points), "", dtype=object)
    for lattice, names in layers_of(node):
        spacing = float(np.mean(lattice.grid(lattice.stored).spacing))
        steps = np.array([step for step in _STEPS if step <= max(1, length / 2 / spacing)])
        voxels = np.round(Grid((1, 1, 1), lattice.matrix).to_ijk(points))[:, None, None]
        voxels = np.round(voxels + steps[:, None, None] * _DIRECTIONS).astype(int)  # (point, step, direction, 3)
        for label, segment_id in names.items():
            if segment_id == beside:
                continue
            hit = Lattice(lattice.image, label).values(voxels.reshape(-1, 3)).reshape(voxels.shape[:3]).any(axis=2)
            distance = np.where(hit.any(axis=1), steps[hit.argmax(axis=1)] * spacing, np.inf)
            ids[distance < nearest] = segment_id
            nearest = np.minimum(nearest, distance)
    found, counts = np.unique(ids[ids != ""].astype(str), return_counts=True)
    if not len(found) or counts.max() < len(points) / 2:
        return ""
    segment_id = str(found[counts.argmax()])
    return node.GetSegmentation().GetSegment(segment_id).GetName() or segment_id


def protected_segments(node: slicer.vtkMRMLSegmentationNode, segment_id: str, wanted: Sequence[str]) -> list[str]:
    """IDs of the segments that a correction of another one must not touch.

    Parameters
    ----------
    node
        The segmentation.
    segment_id
        ID of the segment that is corrected.
    wanted
        IDs, names or label values, see `lookup.find_segment`; `ALL` for every other segment.

    Raises
    ------
    InputError
        There is no such segment, or it is the corrected one.
    """
    others = [one for one in node.GetSegmentation().GetSegmentIDs() if one != segment_id]
    found = [one for name in wanted for one in (others if name == ALL else [find_segment(node, name)])]
    if segment_id in found:
        name = node.GetSegmentation().GetSegment(segment_id).GetName()
        raise InputError(f"{name} is the segment to correct and cannot be protected from that; protect other segments.")
    return list(dict.fromkeys(found))


def voxels_of(node: slicer.vtkMRMLSegmentationNode, segment_ids: Sequence[str]) -> Volume | None:
    """The voxels of several segments, uint8 0/1, in the world; None where they have none."""
    parts = []
    for lattice, segments in layers_of(node):
        labels = [label for label, one in segments.items() if one in segment_ids]
        if labels:
            grid = lattice.grid(lattice.stored)
            array = np.isin(lattice.array(lattice.stored), labels).view(np.uint8)
            parts.append(Volume(array, grid.ijk_to_ras))
    if not parts:
        return None
    grid = parts[0].grid
    for part in parts[1:]:
        grid = grown_to_hold(grid, part)
    array = np.zeros(grid.shape, np.uint8)
    for part in parts:
        array |= onto_grid(part, grid)
    return Volume(array, parent_to_world(node) @ grid.ijk_to_ras)


def voxels_at(node: slicer.vtkMRMLSegmentationNode, segment_id: str, where: Volume) -> dict[str, int]:
    """Counts of some voxels that every other segment has.

    Parameters
    ----------
    node
        The segmentation.
    segment_id
        ID of the segment that does not count.
    where
        Non-zero where voxels are counted, in the world.

    Returns
    -------
    dict
        ID to count, without those that have none.
    """
    slices = bounding_slices(where.array)
    if slices is None:
        return {}
    grid = where.grid.cropped(slices)
    grid = Grid(grid.shape, np.linalg.inv(parent_to_world(node)) @ grid.ijk_to_ras)
    mask = where.array[slices] != 0
    found: dict[str, int] = {}
    for lattice, segments in layers_of(node):
        box = lattice.box_of(grid).intersection(lattice.stored)
        if box.empty or set(segments.values()) == {segment_id}:
            continue
        labels, counts = np.unique(
            onto_grid(Volume(lattice.array(box), lattice.grid(box).ijk_to_ras), grid)[mask], return_counts=True
        )
        for label, count in zip(labels.tolist(), counts.tolist(), strict=True):
            if segments.get(label, segment_id) != segment_id:
                found[segments[label]] = count
    return found


def lost_to(
    node: slicer.vtkMRMLSegmentationNode, segment_id: str, after: Volume, on_top: Sequence[str] = ()
) -> list[OtherSegment]:
    """The segments from which a labelmap takes voxels in which a corrected segment lies on top of them.

    Parameters
    ----------
    node
        The segmentation as it was.
    segment_id
        ID of the corrected segment.
    after
        That segment as it will be, in the world.
    on_top
        IDs of segments that win even there.
    """
    met = voxels_at(node, segment_id, after)
    return [_other(node, one, changed=count) for one, count in met.items() if one not in on_top]


def overlapped_by(
    node: slicer.vtkMRMLSegmentationNode, segment_id: str, before: Volume, after: Volume
) -> list[OtherSegment]:
    """The segments, all of which stay as they are, into which a correction lets its segment grow."""
    added = after.with_array((after.array != 0) & (before.array == 0))
    return [_other(node, one, overlapped=count) for one, count in voxels_at(node, segment_id, added).items()]


@contextlib.contextmanager
def compared(
    node: slicer.vtkMRMLSegmentationNode, segment_id: str, where: Volume, before: np.ndarray, change: np.ndarray
) -> Iterator[list[OtherSegment]]:
    """Changes of other segments within the context, in a list that is filled at its end.

    Parameters
    ----------
    node
        The segmentation.
    segment_id
        ID of the segment that is corrected.
    where
        A part of the segmentation, in the world; its values do not matter.
    before, change
        (K, J, I) bool: that segment there, and which of its voxels shall change.
    """
    ids = list(node.GetSegmentation().GetSegmentIDs())
    parts = [where.with_array(change & side) for side in (~before, before)]  # what is added, and what is removed
    was_added, was_removed = (voxels_at(node, segment_id, part) for part in parts)
    found: list[OtherSegment] = []
    yield found
    added, removed = (voxels_at(node, segment_id, part) for part in parts)
    for one in ids:
        lost = was_added.get(one, 0) - added.get(one, 0)
        got = removed.get(one, 0) - was_removed.get(one, 0)
        if one in added or lost or got:
            now = _other(node, one, lost + got, added.get(one, 0))
            found.append(replace(now, before=now.before + lost - got))


def _other(
    node: slicer.vtkMRMLSegmentationNode, segment_id: str, changed: int = 0, overlapped: int = 0
) -> OtherSegment:
    segment = node.GetSegmentation().GetSegment(segment_id)
    before = Lattice(stored_labelmap(node, segment_id), segment.GetLabelValue()).count
    return OtherSegment(segment_id, segment.GetName() or segment_id, before, changed, overlapped)
