"""Targets of strokes, and how they are written: the Segment Editor's selected segment, or any segment of the scene."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import slicer
import vtk

from ..core.errors import InputError
from ..core.masks import bounding_slices
from ..core.volume import Grid
from .lookup import find_segment
from .segment_lattice import IndexBox, Lattice, replace_segment
from .segment_undo import SegmentUndo
from .segmentations import new_segment, reference_grid


class Target(Protocol):
    """A segment with its image, as `stroke_editing` needs it; all methods are for the main thread.

    Attributes
    ----------
    near
        Only what a stroke can reach is copied, and counts when the segment has changed meanwhile. Where it is False,
        all of the image and the segment are copied, the segment may grow as far as the image reaches, and a stroke
        that is refused leaves the others alone.
    during, advice
        Parts of the sentence that refuses an answer that is out of date.
    """

    near: bool
    during: str
    advice: str

    def image(self) -> slicer.vtkMRMLScalarVolumeNode:
        """The image, or an `InputError` that says what is not chosen."""

    def segment(self) -> tuple[slicer.vtkMRMLSegmentationNode, str]:
        """The segmentation and the segment's ID, or an `InputError` that says what is not chosen."""

    def reference(self) -> Grid | None:
        """The grid on which the segment may have voxels besides those it has, in the segmentation's own coordinates."""

    def check(self, lattice: Lattice) -> None:
        """Raise an `InputError` where the segment must not or cannot be changed."""

    def editable(self, box: IndexBox) -> np.ndarray:
        """(K, J, I) bool: which voxels of a box on the segment's lattice the user allows to be edited."""

    def write(self, lattice: Lattice, box: IndexBox, after: np.ndarray, change: np.ndarray, new: bool) -> str:
        """Change voxels in one step for undo.

        Parameters
        ----------
        lattice, box
            Where.
        after
            (K, J, I) bool, the segment in the box as it shall be.
        change
            (K, J, I) bool, which voxels shall change, at least one.
        new
            Leave the segment as it is and write a new one beside it.

        Returns
        -------
        str
            ID of the segment that has the result.
        """


class SelectedSegment:
    """The segment that is selected in the Segment Editor, which applies its masks, its overwrite mode and its undo.

    Parameters
    ----------
    effect
        The `scriptedEffect` of a scripted Segment Editor effect, or what has its methods.
    """

    near = True
    during = "its edit was computed"
    advice = "draw the stroke again"

    def __init__(self, effect: Any) -> None:
        self._effect = effect

    def image(self) -> slicer.vtkMRMLScalarVolumeNode:
        """The source volume itself, not the editor's copy of it on the segmentation's grid, which may be coarser."""
        node = self._effect.parameterSetNode().GetSourceVolumeNode()
        if node is None:
            raise InputError("No source volume is selected; choose the image at the top of the Segment Editor.")
        return node

    def segment(self) -> tuple[slicer.vtkMRMLSegmentationNode, str]:
        """The selected segmentation and segment ID."""
        parameters = self._effect.parameterSetNode()
        node = parameters.GetSegmentationNode() if parameters is not None else None
        if node is None:
            raise InputError("No segmentation is selected; choose one at the top of the Segment Editor.")
        segment_id = parameters.GetSelectedSegmentID() or ""
        if not segment_id or node.GetSegmentation().GetSegment(segment_id) is None:
            raise InputError("No segment is selected; select in the list the segment that the stroke shall correct.")
        return node, segment_id

    def reference(self) -> Grid | None:
        """The editor's reference geometry."""
        image = self._effect.referenceGeometryImage()
        return None if image is None else Lattice(image).grid(Lattice(image).stored)

    def check(self, lattice: Lattice) -> None:
        """Refuse a segment that every display hides, and masks that Slicer could not apply to it."""
        node, segment_id = self.segment()
        name = node.GetSegmentation().GetSegment(segment_id).GetName() or segment_id
        displays = [node.GetNthDisplayNode(index) for index in range(node.GetNumberOfDisplayNodes())]
        displays = [display for display in displays if display is not None]
        if displays and not any(one.GetVisibility() and one.GetSegmentVisibility(segment_id) for one in displays):
            raise InputError(f"The segment {name} is hidden; show it (the eye in the list of segments) to edit it.")
        reference = self._effect.referenceGeometryImage()
        if self._masked and (reference is None or not lattice.same_place(reference)):
            raise InputError(
                f"{name} is stored on another grid than the segmentation's geometry, so masks cannot be applied to it; "
                "set the editable area to everywhere and switch off the editable intensity range."
            )

    def editable(self, box: IndexBox) -> np.ndarray:
        """Voxels in the editable area and the editable intensity range.

        The Segment Editor applies its masks itself. They are looked at here for a preview, and because it lets an edit
        inside one segment take voxels away outside that segment (and gives them to it), which a correction must not.
        """
        allowed = np.ones(box.shape, dtype=bool)
        parameters = self._effect.parameterSetNode()
        if parameters.GetMaskMode() != slicer.vtkMRMLSegmentationNode.EditAllowedEverywhere:
            mask = Lattice(self._effect.maskLabelmap())
            allowed &= mask.array(box) == 0
        if parameters.GetSourceVolumeIntensityMask():
            source = Lattice(self._effect.sourceVolumeImageData())
            low, high = parameters.GetSourceVolumeIntensityMaskRange()
            common = box.intersection(source.stored)
            values = source.array(common)
            allowed[common.slices_in(box)] &= (values >= low) & (values <= high)
        return allowed

    def write(self, lattice: Lattice, box: IndexBox, after: np.ndarray, change: np.ndarray, new: bool) -> str:
        """Add what is new and remove what is gone, instead of setting the whole segment.

        Setting clears the segment first, and so loses what lies outside the given labelmap; it erases other segments
        under every voxel of this one instead of under the new voxels; and it costs time with the segment's size.
        """
        self._effect.saveStateForUndo()
        node, segment_id = self.segment()
        # One update of what is shown, not two.
        modifying = node.StartModify()
        try:
            # Adding first: the first change crops a labelmap that is as large as the image, and adding is faster then.
            for part, mode in (
                (change & after, self._effect.ModificationModeAdd),
                (change & ~after, self._effect.ModificationModeRemove),
            ):
                slices = bounding_slices(part)
                if slices is not None:
                    labelmap = lattice.labelmap(box.part(slices), part[slices])
                    self._effect.modifySelectedSegmentByLabelmap(labelmap, mode)
        finally:
            node.EndModify(modifying)
        return segment_id

    @property
    def _masked(self) -> bool:
        """Whether an editable area or an editable intensity range is set."""
        parameters = self._effect.parameterSetNode()
        everywhere = parameters.GetMaskMode() == slicer.vtkMRMLSegmentationNode.EditAllowedEverywhere
        return not everywhere or bool(parameters.GetSourceVolumeIntensityMask())


class SceneSegment:
    """A segment of the scene; the other segments stay as they are, and may overlap it afterwards.

    Parameters
    ----------
    image
        The image that strokes were drawn on; None where none is chosen.
    segmentation
        The segmentation; None where none is chosen.
    segment
        ID, name or label value of the segment, see `lookup.find_segment`.
    undo
        Keeper of states for undo.
    """

    near = False
    during = "the strokes were applied"
    advice = "apply the strokes again"

    def __init__(
        self,
        image: slicer.vtkMRMLScalarVolumeNode | None,
        segmentation: slicer.vtkMRMLSegmentationNode | None,
        segment: str,
        undo: SegmentUndo,
    ) -> None:
        self._image, self._node, self._undo = image, segmentation, undo
        if image is None:
            raise InputError("No image is chosen; choose the one that the strokes were drawn on.")
        if segmentation is None:
            raise InputError("No segmentation is chosen; choose the one to correct.")
        self._segment_id = find_segment(segmentation, segment)

    def image(self) -> slicer.vtkMRMLScalarVolumeNode:
        """The given image."""
        return self._image

    def segment(self) -> tuple[slicer.vtkMRMLSegmentationNode, str]:
        """The given segment, whatever has become of it."""
        return self._node, self._segment_id

    def reference(self) -> Grid | None:
        """The segmentation's reference geometry."""
        return reference_grid(self._node)

    def check(self, lattice: Lattice) -> None:
        """Nothing is refused: a hidden segment was chosen by its name."""

    def editable(self, box: IndexBox) -> np.ndarray:
        """All voxels."""
        return np.ones(box.shape, dtype=bool)

    def write(self, lattice: Lattice, box: IndexBox, after: np.ndarray, change: np.ndarray, new: bool) -> str:
        """Replace the segment, or write a new one beside it, stored just as finely."""
        self._undo.save(self._node)
        whole = lattice.stored.union(box)
        array = lattice.part(whole)
        array[box.slices_in(whole)] = after
        written = self._twin() if new else self._segment_id
        slices = bounding_slices(array) or (slice(0, 1),) * 3
        replace_segment(self._node, written, lattice, whole.part(slices), array[slices])
        self._undo.changed(self._node)
        return written

    def _twin(self) -> str:
        """A new, empty segment with the terminology of the given one."""
        segmentation = self._node.GetSegmentation()
        original = segmentation.GetSegment(self._segment_id)
        taken = {segmentation.GetSegment(one).GetName() for one in segmentation.GetSegmentIDs()}
        base = f"{original.GetName()} edited"
        name = next(one for one in (base, *(f"{base} {n}" for n in range(2, len(taken) + 3))) if one not in taken)
        added = new_segment(self._node, name)
        tag, entry = slicer.vtkSegment.GetTerminologyEntryTagName(), vtk.reference("")
        if original.GetTag(tag, entry):
            segmentation.GetSegment(added).SetTag(tag, str(entry))
        return added
