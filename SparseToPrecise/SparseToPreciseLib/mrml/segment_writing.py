"""Changes of voxels, written through the Segment Editor with its masks, its overwrite mode and its undo."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer

from ..core.volume import Volume
from .segment_lattice import IndexBox, Lattice, lattice_of
from .segmentations import image_matrix, onto_grid
from .volumes import image_array


def is_masked(effect: Any) -> bool:
    """Whether an editable area or an editable intensity range is set."""
    parameters = effect.parameterSetNode()
    everywhere = parameters.GetMaskMode() == slicer.vtkMRMLSegmentationNode.EditAllowedEverywhere
    return not everywhere or bool(parameters.GetSourceVolumeIntensityMask())


def editable_part(effect: Any, lattice: Lattice, box: IndexBox) -> np.ndarray:
    """(K, J, I) bool: which voxels of a box the user allows to be edited.

    Segment Editor applies its masks itself. They are looked at here for a preview, and because it lets an edit inside
    one segment take voxels away outside that segment (and gives them to it), which a correction must not.
    """
    allowed = np.ones(box.shape, dtype=bool)
    parameters = effect.parameterSetNode()
    grid = Volume(allowed, lattice.matrix @ _translation(box.start)).grid
    if parameters.GetMaskMode() != slicer.vtkMRMLSegmentationNode.EditAllowedEverywhere:
        mask = effect.maskLabelmap()
        allowed &= onto_grid(Volume(image_array(mask), image_matrix(mask)), grid) == 0
    if parameters.GetSourceVolumeIntensityMask():
        image = effect.sourceVolumeImageData()
        low, high = parameters.GetSourceVolumeIntensityMaskRange()
        inside = (image_array(image) >= low) & (image_array(image) <= high)
        allowed &= onto_grid(Volume(inside, image_matrix(image)), grid)
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
        change &= editable_part(effect, lattice, box)
    if not change.any():
        return change
    effect.saveStateForUndo()
    parameters = effect.parameterSetNode()
    node, segment_id = parameters.GetSegmentationNode(), parameters.GetSelectedSegmentID()
    # One update of what is shown, not two.
    modifying = node.StartModify()
    try:
        for part, mode in (
            (change & ~after, effect.ModificationModeRemove),
            (change & after, effect.ModificationModeAdd),
        ):
            if part.any():
                inner, array = _smallest(box, part)
                effect.modifySelectedSegmentByLabelmap(lattice.modifier(inner, array), mode)
    finally:
        node.EndModify(modifying)
    return lattice_of(node, segment_id).part(box) != before


def _smallest(box: IndexBox, array: np.ndarray) -> tuple[IndexBox, np.ndarray]:
    """The smallest part of a box with all set voxels."""
    k, j, i = (np.flatnonzero(array.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1)))
    inner = IndexBox(
        tuple(int(first + used[0]) for first, used in zip(box.start, (i, j, k), strict=True)),
        tuple(int(first + used[-1] + 1) for first, used in zip(box.start, (i, j, k), strict=True)),
    )
    return inner, array[inner.slices_in(box)]


def _translation(start: tuple[int, int, int]) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, 3] = start
    return matrix
