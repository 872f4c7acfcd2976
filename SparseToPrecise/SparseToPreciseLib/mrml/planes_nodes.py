"""Filling with the scene's nodes: painted segments are read, and the volume's are written into a segmentation.

`read_painted` copies what is needed (main thread), `planes.fill.fill` and `planes.suggest.suggest_plane` work on any
thread, and `show_filled` changes the scene (main thread).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import slicer

from ..core.errors import InputError
from ..core.lattice import onto_grid
from ..core.volume import Volume
from ..planes.fill import FillResult
from .lookup import find_segment
from .segmentations import segment_to_volume, segmentation_grid, volume_to_segment


@dataclass(frozen=True)
class Painted:
    """Segments of a segmentation in one array.

    Attributes
    ----------
    labels
        (K, J, I) uint16 on the segmentation's grid, in the world: 1 for the first segment, 2 for the second, ...
    segment_ids, names
        The segments, in this order.
    wanted
        Values of the segments to fill.
    """

    labels: Volume = field(repr=False)
    segment_ids: tuple[str, ...]
    names: tuple[str, ...]
    wanted: tuple[int, ...]

    def name_of(self, label: int) -> str:
        """The name of a value's segment."""
        return self.names[label - 1]


def read_painted(node: slicer.vtkMRMLSegmentationNode | None, segments: Sequence[str] = ()) -> Painted:
    """All segments of a segmentation in one array, with its transforms applied.

    Parameters
    ----------
    node
        The segmentation.
    segments
        IDs, names or label values of those to fill; empty: all.

    Raises
    ------
    InputError
        No segmentation, no such segment, none at all, two segments in one voxel of which one is to be filled, or a
        transform that is not linear.
    """
    if node is None:
        raise InputError("There is no segmentation; choose the one that was painted.")
    segmentation = node.GetSegmentation()
    ids = list(segmentation.GetSegmentIDs())
    if not ids:
        raise InputError(f"{node.GetName()} has no segments, so that nothing was painted; paint the object on planes.")
    names = [segmentation.GetSegment(one).GetName() or one for one in ids]
    wanted = sorted({ids.index(find_segment(node, one)) + 1 for one in segments}) or list(range(1, len(ids) + 1))
    grid = segmentation_grid(node)
    labels = np.zeros(grid.shape, np.uint16)
    for value, segment_id in enumerate(ids, start=1):
        mask = onto_grid(segment_to_volume(node, segment_id), grid) != 0
        both = mask & (labels != 0)
        if both.any():
            first = int(labels[both][0])
            if value in wanted or first in wanted:
                k, j, i = np.argwhere(both)[0]
                place = grid.to_ras([i, j, k]).round(1).tolist()
                raise InputError(
                    f"{names[first - 1]} and {names[value - 1]} share {np.count_nonzero(both)} voxels, as at {place} "
                    "(RAS, mm), so that nobody knows which of them is meant; give each voxel to one segment."
                )
        labels[mask] = value
    return Painted(Volume(labels, grid.ijk_to_ras, node.GetName()), tuple(ids), tuple(names), tuple(wanted))


def show_filled(result: FillResult, painted: Painted, node: slicer.vtkMRMLSegmentationNode) -> None:
    """Make the segments of a segmentation what was filled; those that were not to be filled stay as they are."""
    for label in result.weights:
        mask = result.segmentation.with_array((result.segmentation.array == label).astype(np.uint8))
        volume_to_segment(mask, node, painted.segment_ids[label - 1])
