"""An edit shown before it is applied."""

from __future__ import annotations

import slicer

from ..editing.edit_series import Series
from .segment_lattice import binary_labelmap, lattice_of
from .stroke_editing import Job, proposed
from .stroke_targets import Target

_OUTLINE_PIXELS = 3


class Preview:
    """A temporary segmentation with the outline that the segment would have.

    It lies under the same transform, is neither saved nor offered in any list, and goes with `close`.

    Parameters
    ----------
    target
        The segment.
    job, series
        Answer that would be applied.

    Raises
    ------
    InputError
        The answer is out of date, see `stroke_editing.apply`.
    """

    def __init__(self, target: Target, job: Job, series: Series) -> None:
        self.job, self.series = job, series
        after = proposed(target, job, series)
        lattice = lattice_of(job.node, job.segment_id)
        whole = lattice.stored.union(job.box)
        array = lattice.part(whole)
        array[job.box.slices_in(whole)] = after
        self.node = self._node(lattice.labelmap(whole, array), job)

    def close(self) -> None:
        """Remove it; closing twice does no harm."""
        if self.node is not None and self.node.GetScene() is not None:
            self.node.GetScene().RemoveNode(self.node)
        self.node = None

    def _node(self, labelmap: slicer.vtkOrientedImageData, job: Job) -> slicer.vtkMRMLSegmentationNode:
        name = job.segment.name
        # Complete before it comes into the scene: subject hierarchy, which does not list it, complains of each change.
        segment = slicer.vtkSegment()
        segment.SetName(f"{name} (preview)")
        segment.SetColor(*_contrasting(job.node.GetSegmentation().GetSegment(job.segment_id).GetColor()))
        segment.AddRepresentation(binary_labelmap(), labelmap)
        display = slicer.vtkMRMLSegmentationDisplayNode()
        display.SetSaveWithScene(False)
        display.SetVisibility2DFill(False)
        display.SetVisibility3D(False)
        display.SetSliceIntersectionThickness(_OUTLINE_PIXELS)
        node = slicer.vtkMRMLSegmentationNode()
        node.SetName(f"{name} (preview)")
        node.SetSaveWithScene(False)
        node.SetHideFromEditors(True)
        node.SetUndoEnabled(False)
        node.GetSegmentation().AddSegment(segment)
        scene = job.node.GetScene()
        scene.AddNode(display)
        node.SetScene(scene)
        node.SetAndObserveDisplayNodeID(display.GetID())
        node.SetAndObserveTransformNodeID(job.node.GetTransformNodeID())
        scene.AddNode(node)
        return node


def _contrasting(color: tuple[float, float, float]) -> tuple[float, float, float]:
    """Yellow, or cyan where the segment itself is yellow; both are seen on any grey."""
    red, green, blue = color
    return (0.0, 1.0, 1.0) if red > 0.6 and green > 0.6 and blue < 0.5 else (1.0, 1.0, 0.0)
