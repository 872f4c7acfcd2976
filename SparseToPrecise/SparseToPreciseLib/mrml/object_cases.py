"""One segment of each segmentation of the scene as a training case, for models of one object."""

from __future__ import annotations

from collections.abc import Sequence

import slicer

from ..core.errors import InputError
from .segmentations import segment_to_volume, stored_segment
from .training_cases import Case
from .volumes import volume_from_node


def read_object(
    segmentation: slicer.vtkMRMLSegmentationNode,
    image: slicer.vtkMRMLScalarVolumeNode | None,
    wanted: str = "",
    ignored: Sequence[str] = (),
) -> Case:
    """Copy an image and the object in it, with all parent transforms applied; on the main thread.

    Parameters
    ----------
    wanted
        Name of the segment; empty for the only one that is not empty.
    ignored
        IDs of segments that count only where they are wanted by name.

    Raises
    ------
    InputError
        There is no image; a node was removed or is under a non-linear transform; no such segment, or several and none
        was named.
    """
    name = segmentation.GetName() or "The segmentation"
    if image is None:
        raise InputError(f"{name} has no image to train with; choose one.")
    if segmentation.GetScene() is None or image.GetScene() is None:
        raise InputError(f"{name} or its image was removed; choose the cases again.")
    segments = segmentation.GetSegmentation()
    names = {one: segments.GetSegment(one).GetName() for one in segments.GetSegmentIDs()}
    asked = {one: title for one, title in names.items() if wanted or one not in ignored}
    filled = {one: title for one, title in asked.items() if _filled(segmentation, one)}
    found = [one for one, title in filled.items() if not wanted or title == wanted]
    if len(found) != 1:
        there = ", ".join(filled.values()) or "only empty ones"
        if wanted:
            raise InputError(f"{name} has not one segment called {wanted}, but {there}; untick it or rename a segment.")
        raise InputError(f"{name} must have one segment, not {there}; write the name of the segment to learn.")
    return Case(volume_from_node(image), segment_to_volume(segmentation, found[0]))


def _filled(segmentation: slicer.vtkMRMLSegmentationNode, segment_id: str) -> bool:
    stored = stored_segment(segmentation, segment_id)
    return stored is not None and bool(stored.array.any())  # an empty one may share the labelmap of others
