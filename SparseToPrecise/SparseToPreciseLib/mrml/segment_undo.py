"""Undo and redo of what was done to a segmentation outside the Segment Editor."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import slicer

from ..core.errors import InputError
from .segment_lattice import Lattice, stored_labelmap
from .volumes import image_array


@dataclass
class _Entry:
    node: slicer.vtkMRMLSegmentationNode
    history: slicer.vtkSegmentationHistory
    expected: Any = None


class SegmentUndo:
    """States of segmentations, as Slicer keeps them for its own Segment Editor; one history per segmentation.

    A state holds all segments of a segmentation. So that undo never takes away what another tool did to any of them
    since, it is refused then.
    """

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}

    def save(self, node: slicer.vtkMRMLSegmentationNode) -> None:
        """Save the present state; call it before a change, and `changed` after it."""
        self._forget_what_is_gone()
        entry = self._entries.get(node.GetID())
        if entry is None:
            history = slicer.vtkSegmentationHistory()
            history.SetSegmentation(node.GetSegmentation())
            entry = self._entries[node.GetID()] = _Entry(node, history)
        elif entry.expected != _fingerprint(node):
            # What lies between cannot be told apart from our own changes any more.
            entry.history.RemoveAllStates()
        entry.history.SaveState()

    def changed(self, node: slicer.vtkMRMLSegmentationNode) -> None:
        """Note the segmentation's state after the change."""
        self._entries[node.GetID()].expected = _fingerprint(node)

    def can_undo(self, node: slicer.vtkMRMLSegmentationNode | None) -> bool:
        """Whether a state was saved."""
        entry = self._entry(node)
        return entry is not None and bool(entry.history.IsRestorePreviousStateAvailable())

    def can_redo(self, node: slicer.vtkMRMLSegmentationNode | None) -> bool:
        """Whether something was undone."""
        entry = self._entry(node)
        return entry is not None and bool(entry.history.IsRestoreNextStateAvailable())

    def undo(self, node: slicer.vtkMRMLSegmentationNode) -> None:
        """Go back to the state before the last change.

        Raises
        ------
        InputError
            There is none, or the segmentation was changed by something else since.
        """
        self._restore(node, self.can_undo(node), "undo", lambda history: history.RestorePreviousState())

    def redo(self, node: slicer.vtkMRMLSegmentationNode) -> None:
        """Take back the last undo; raises as `undo`."""
        self._restore(node, self.can_redo(node), "redo", lambda history: history.RestoreNextState())

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()

    def _restore(self, node, possible: bool, what: str, restore) -> None:
        if not possible:
            raise InputError(f"There is nothing to {what} in {node.GetName()}.")
        entry = self._entries[node.GetID()]
        if entry.expected != _fingerprint(node):
            raise InputError(
                f"{node.GetName()} was changed by another tool since, which {what} would take away, too; "
                f"undo that change there first."
            )
        restore(entry.history)
        entry.expected = _fingerprint(node)

    def _entry(self, node: slicer.vtkMRMLSegmentationNode | None) -> _Entry | None:
        self._forget_what_is_gone()
        return None if node is None or node.GetScene() is None else self._entries.get(node.GetID())

    def _forget_what_is_gone(self) -> None:
        self._entries = {
            key: entry
            for key, entry in self._entries.items()
            if entry.node.GetScene() is not None and entry.history.GetSegmentation() is entry.node.GetSegmentation()
        }


def _fingerprint(node: slicer.vtkMRMLSegmentationNode) -> list[tuple]:
    """Signs of a change of any segment: the place of its labelmap, a checksum of it, and its value there."""
    segmentation = node.GetSegmentation()
    sums: dict[slicer.vtkOrientedImageData, tuple] = {}
    found = []
    for segment_id in segmentation.GetSegmentIDs():
        segment = segmentation.GetSegment(segment_id)
        image = stored_labelmap(node, segment_id)
        if image is not None and image not in sums:
            empty = image.IsEmpty() or image.GetPointData().GetScalars() is None
            box = Lattice(image).stored
            sums[image] = () if empty else (box.start, box.stop, zlib.crc32(image_array(image)))
        found.append((segment_id, segment.GetLabelValue(), sums.get(image)))
    return found
