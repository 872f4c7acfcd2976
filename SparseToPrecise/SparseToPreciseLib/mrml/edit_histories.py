"""Edit histories of the segments of a scene."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import slicer

from ..editing.edit_history import EditHistory, PastEdit
from .segment_lattice import Lattice, lattice_of


@dataclass
class _Entry:
    node: slicer.vtkMRMLSegmentationNode
    matrix: np.ndarray
    history: EditHistory = field(default_factory=EditHistory)


class EditHistories:
    """One history per segment, as long as its segmentation node and the segment are there.

    Voxel indices mean something on one lattice only: where a segment has been resampled, its edits cannot be reverted
    any more, and a new history begins with the next edit.
    """

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], _Entry] = {}

    def in_effect(self, node: slicer.vtkMRMLSegmentationNode, segment_id: str) -> list[PastEdit]:
        """The edits that a segment shows now, oldest first."""
        history = self.of(node, segment_id)
        return history.in_effect(lattice_of(node, segment_id).values) if history is not None else []

    def of(self, node: slicer.vtkMRMLSegmentationNode, segment_id: str) -> EditHistory | None:
        """A segment's history; None when it was not edited on its present lattice."""
        self.forget_what_is_gone()
        entry = self._entries.get((node.GetID(), segment_id))
        if entry is None or not np.allclose(entry.matrix, lattice_of(node, segment_id).matrix):
            return None
        return entry.history

    def begun(self, node: slicer.vtkMRMLSegmentationNode, segment_id: str, lattice: Lattice) -> EditHistory:
        """A segment's history, a new one where it has none on this lattice."""
        history = self.of(node, segment_id)
        if history is None:
            history = EditHistory()
            self._entries[node.GetID(), segment_id] = _Entry(node, lattice.matrix, history)
        return history

    def forget_what_is_gone(self) -> None:
        """Drop the histories of removed nodes and segments."""
        self._entries = {
            (node_id, segment_id): entry
            for (node_id, segment_id), entry in self._entries.items()
            if entry.node.GetScene() is not None and entry.node.GetSegmentation().GetSegment(segment_id) is not None
        }

    def __len__(self) -> int:
        return len(self._entries)
