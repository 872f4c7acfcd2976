"""From a stroke on a slice view to the changed segment: what the Segment Editor effect computes, without Qt.

`scribble_job.prepare` and `apply` run on the main thread and are short; `Job.work` is long, touches no MRML and may run
anywhere. Slicer is asked through the methods that a scripted Segment Editor effect has (`scriptedEffect`), so that
undo, the editable area, the editable intensity range and the overwrite mode are Segment Editor's own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..core.errors import InputError
from ..core.volume import Grid
from ..editing.edit import EditResult
from .edit_histories import EditHistories
from .segment_lattice import IndexBox, Lattice, lattice_of
from .segment_writing import editable_part, write_changes
from .stroke_job import Job, checked_visible, selected, transformed
from .volumes import parent_to_world


@dataclass(frozen=True)
class Applied:
    """What happened to the segment.

    Attributes
    ----------
    changed
        Voxels of the segment that changed.
    changed_mm3
        Their volume.
    withheld
        Voxels that the edit wanted to change and that lie outside the editable area or intensity range.
    number
        The edit's number in the history; 0 where nothing was remembered.
    notes
        Sentences for the user.
    """

    changed: int
    changed_mm3: float
    withheld: int
    number: int = 0
    notes: list[str] = field(default_factory=list)


def apply(effect: Any, job: Job, result: EditResult, histories: EditHistories) -> Applied:
    """Change the segment as the answer says: one step for undo, within the masks, remembered in the history.

    Raises
    ------
    InputError
        Another segment is selected now, or the segment is gone or has changed near the stroke, or its segmentation
        was moved. Nothing has happened then.
    """
    lattice = checked_unchanged(effect, job)
    region = result.region  # all that edit() may have changed
    box = job.box.part(region)
    before, after = (volume.array[region] != 0 for volume in (job.segment, result.segmentation))
    wanted = before != after
    changed = write_changes(effect, lattice, box, after, wanted)
    voxel = job.segment.grid.voxel_volume_mm3
    number = int(np.count_nonzero(changed))
    withheld = int(np.count_nonzero(wanted & ~changed))
    if not number:
        return Applied(0, 0.0, withheld, notes=list(result.notes))
    lattice = lattice_of(job.node, job.segment_id)  # Slicer may have given the segment a labelmap of its own
    past = histories.begun(job.node, job.segment_id, lattice).add(
        transformed(np.linalg.inv(job.to_world), job.stroke),
        job.options.influence_radius_mm,
        np.argwhere(changed)[:, ::-1] + box.start,
        before[changed],
        number * voxel,
        lattice.values,
    )
    return Applied(number, number * voxel, withheld, past.number, list(result.notes))


def revert(effect: Any, number: int, histories: EditHistories) -> Applied:
    """Undo one edit of the selected segment and leave the later ones; one step for undo itself.

    Voxels that the edit took from other segments are not given back to them.

    Raises
    ------
    InputError
        The segment does not show the edit, or is hidden.
    """
    node, segment_id = selected(effect)
    name = checked_visible(node, segment_id)
    lattice = lattice_of(node, segment_id)
    history = histories.of(node, segment_id)
    if history is None:
        raise InputError(f"{name} has no edit {number} that could be reverted.")
    voxels, inside = history.revert(number, lattice.values)
    changed = np.zeros(0, dtype=bool)
    if len(voxels):
        box = IndexBox(tuple(int(a) for a in voxels.min(axis=0)), tuple(int(b) + 1 for b in voxels.max(axis=0)))
        after = lattice.part(box)
        wanted = np.zeros(after.shape, dtype=bool)
        places = tuple((voxels - box.start).T[::-1])
        wanted[places], after[places] = True, inside
        changed = write_changes(effect, lattice, box, after, wanted)[places]
    if changed.any() or not len(voxels):
        history.add_reversal(number, voxels[changed], ~inside[changed], lattice_of(node, segment_id).values)
    count = int(np.count_nonzero(changed))
    voxel = Grid((1, 1, 1), parent_to_world(node) @ lattice.matrix).voxel_volume_mm3
    return Applied(count, count * voxel, len(voxels) - count)


def checked_unchanged(effect: Any, job: Job) -> Lattice:
    """The lattice of a job's segment, or an `InputError` where an answer to the job's question would be out of date."""
    advice = "nothing was changed; draw the stroke again."
    name = job.segment.name
    node = job.node
    if node.GetScene() is None or node.GetSegmentation().GetSegment(job.segment_id) is None:
        raise InputError(f"{name} was removed while its edit was computed; {advice}")
    if selected(effect) != (node, job.segment_id):
        raise InputError(f"Another segment than {name} is selected now; {advice}")
    lattice = lattice_of(node, job.segment_id)
    same = (
        np.array_equal(lattice.matrix, job.lattice_matrix)
        and np.array_equal(parent_to_world(node), job.to_world)
        and np.array_equal(lattice.part(job.box), job.segment.array.astype(bool))
    )
    if not same:
        raise InputError(f"{name} was changed near the stroke while its edit was computed; {advice}")
    return lattice


def proposed(effect: Any, job: Job, result: EditResult) -> np.ndarray:
    """(K, J, I) bool: the segment within the job's box as `apply` would make it, masks included."""
    checked_unchanged(effect, job)
    after = result.segmentation.array.astype(bool)
    return np.where(editable_part(effect, job.box), after, job.segment.array.astype(bool))
