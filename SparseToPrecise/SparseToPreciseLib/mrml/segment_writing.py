"""Changes of voxels, written through the Segment Editor with its masks, its overwrite mode and its undo."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer

from .segment_lattice import IndexBox, Lattice, bounding_slices, lattice_of
from .volumes import image_array


def is_masked(effect: Any) -> bool:
    """Whether an editable area or an editable intensity range is set."""
    parameters = effect.parameterSetNode()
    everywhere = parameters.GetMaskMode() == slicer.vtkMRMLSegmentationNode.EditAllowedEverywhere
    return not everywhere or bool(parameters.GetSourceVolumeIntensityMask())


def editable_part(effect: Any, box: IndexBox) -> np.ndarray:
    """(K, J, I) bool: which voxels of a box the user allows to be edited.

    The box counts on the lattice of the segmentation's geometry; `scribble_job.prepare` refuses other segments when
    there is a mask.

    Segment Editor applies its masks itself. They are looked at here for a preview, and because it lets an edit inside
    one segment take voxels away outside that segment (and gives them to it), which a correction must not.
    """
    allowed = np.ones(box.shape, dtype=bool)
    parameters = effect.parameterSetNode()
    if parameters.GetMaskMode() != slicer.vtkMRMLSegmentationNode.EditAllowedEverywhere:
        common, values = _values_in(effect.maskLabelmap(), box)
        allowed[common.slices_in(box)] &= values == 0
    if parameters.GetSourceVolumeIntensityMask():
        common, values = _values_in(effect.sourceVolumeImageData(), box)
        low, high = parameters.GetSourceVolumeIntensityMaskRange()
        allowed[common.slices_in(box)] &= (values >= low) & (values <= high)
    return allowed


def write_changes(effect: Any, lattice: Lattice, box: IndexBox, after: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Change voxels of the selected segment in one step for undo.

    What is new is added and what is gone is removed, instead of setting the whole segment: setting clears the segment
    first, and so loses what lies outside the given labelmap; it erases other segments under every voxel of this one
    instead of under the new voxels; and it costs time with the segment's size. Adding and removing leave every other
    voxel of the segment alone.

    Parameters
    ----------
    effect
        The `scriptedEffect`.
    lattice, box
        Where, see `segment_lattice`.
    after
        (K, J, I) bool, the segment in the box as it shall be.
    wanted
        (K, J, I) bool, which voxels shall change.

    Returns
    -------
    ndarray
        (K, J, I) bool, which voxels have changed; where none may, nothing is saved for undo.
    """
    before = lattice.part(box)
    change = wanted & (before != after)
    if is_masked(effect) and change.any():
        change &= editable_part(effect, box)
    if not change.any():
        return change
    effect.saveStateForUndo()
    parameters = effect.parameterSetNode()
    node, segment_id = parameters.GetSegmentationNode(), parameters.GetSelectedSegmentID()
    # One update of what is shown, not two.
    modifying = node.StartModify()
    try:
        # Adding first: the first change crops a labelmap that is as large as the image, and adding does it faster.
        for part, mode in (
            (change & after, effect.ModificationModeAdd),
            (change & ~after, effect.ModificationModeRemove),
        ):
            if part.any():
                inner, array = _smallest(box, part)
                effect.modifySelectedSegmentByLabelmap(lattice.labelmap(inner, array), mode)
    finally:
        node.EndModify(modifying)
    return lattice_of(node, segment_id).part(box) != before


def _smallest(box: IndexBox, array: np.ndarray) -> tuple[IndexBox, np.ndarray]:
    """The smallest part of a box with all set voxels."""
    slices = bounding_slices(array)
    return box.part(slices), array[slices]


def _values_in(image: slicer.vtkOrientedImageData, box: IndexBox) -> tuple[IndexBox, np.ndarray]:
    """The part of a box that an image on the same lattice holds, and its values there."""
    whole = Lattice(image).stored
    common = box.intersection(whole)
    return common, image_array(image)[common.slices_in(whole)]
