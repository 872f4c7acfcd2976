"""Strokes that are markups correct a segment of the scene: copied, computed on any thread, and written.

`prepare` and `apply` run on the main thread and are short; `SegmentJob.run` is long, touches no MRML and may run
anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import slicer
import vtk

from ..core.errors import InputError
from ..core.progress import Progress
from ..core.volume import Volume
from ..editing.edit_series import AppliedStroke, Series, Stroke, edit_series
from .edit_histories import EditHistories
from .lookup import find_segment
from .markups import stroke_from_node
from .segment_lattice import lattice_of, replace_segment
from .segment_undo import SegmentUndo
from .segmentations import new_segment, segment_to_volume, volume_to_segment
from .stroke_job import ready_editor, transformed
from .volumes import parent_to_world, volume_from_node

_WHOLE_VOXELS = 0.05


@dataclass(frozen=True)
class EditOptions:
    """What the user has chosen.

    Attributes
    ----------
    influence_radius_mm
        None: chosen for every stroke, see `editing.influence.default_influence_radius`.
    keep_earlier_edits
        See `editing.edit.edit`.
    new_segment
        Leave the segment as it is and make the result a new one beside it.
    model
        Name of an editor, see `editing.model.load_editor`; empty for the default.
    device
        auto, cpu, cuda, cuda:N or mps.
    """

    influence_radius_mm: float | None = None
    keep_earlier_edits: bool = True
    new_segment: bool = False
    model: str = ""
    device: str = "auto"


@dataclass(frozen=True, eq=False)
class SegmentJob:
    """Strokes, with copies of all that is needed to apply them.

    Attributes
    ----------
    node, segment_id
        What is edited; `run` does not touch the node.
    options
        What the user has chosen.
    image, segment
        In the world.
    strokes
        In order.
    refused
        (name, sentence) of the strokes that could not be read, by their place among all.
    earlier_strokes
        (N, 3) RAS, mm, of edits that the segment shows already.
    """

    node: slicer.vtkMRMLSegmentationNode
    segment_id: str
    options: EditOptions
    image: Volume
    segment: Volume
    strokes: list[Stroke]
    refused: dict[int, tuple[str, str]]
    earlier_strokes: list[np.ndarray]

    def run(self, progress: Progress | None = None) -> Series:
        """Apply the strokes; one that is refused says why in the series and leaves the others alone."""
        progress = progress or Progress()
        progress(0.0, "loading the model")
        return edit_series(
            self.image,
            self.segment,
            self.strokes,
            editor=ready_editor(self.options.model, self.options.device),
            earlier_strokes=self.earlier_strokes,
            keep_earlier_edits=self.options.keep_earlier_edits,
            skip_refused=True,
            progress=progress.part(0.05, 1.0),
        )


@dataclass(frozen=True)
class Row:
    """One stroke in the table of results.

    Attributes
    ----------
    name
        Of the stroke.
    influence_radius_mm, changed_near, changed_far, volume_before_mm3, volume_after_mm3, seconds
        See `editing.edit.EditResult`; None where the stroke was refused.
    notes
        What the user should know, or why the stroke was refused.
    """

    name: str
    influence_radius_mm: float | None = None
    changed_near: int | None = None
    changed_far: int | None = None
    volume_before_mm3: float | None = None
    volume_after_mm3: float | None = None
    seconds: float | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def refused(self) -> bool:
        """It changed nothing, for the reason in the notes."""
        return self.changed_near is None


@dataclass(frozen=True)
class Outcome:
    """What was written: a row for every stroke, the segment that has the result, and how many voxels it differs in."""

    rows: list[Row]
    segment_id: str
    changed: int


def prepare(
    image: slicer.vtkMRMLScalarVolumeNode,
    segmentation: slicer.vtkMRMLSegmentationNode,
    segment_id: str,
    strokes: Sequence[slicer.vtkMRMLMarkupsNode],
    options: EditOptions,
    histories: EditHistories,
) -> SegmentJob:
    """Check the inputs and copy what is needed to compute.

    Raises
    ------
    InputError
        Something is not chosen or empty; the segment is not stored as a binary labelmap; the image or the segmentation
        is under a non-linear transform. What is wrong with one stroke is said in its row instead.
    """
    if image is None:
        raise InputError("No image is chosen; choose the one that the strokes were drawn on.")
    if segmentation is None:
        raise InputError("No segmentation is chosen; choose the one to correct.")
    if not strokes:
        raise InputError("There is no stroke; draw a curve where the boundary should be.")
    segment_id = find_segment(segmentation, segment_id)
    to_world = parent_to_world(segmentation)
    lattice = lattice_of(segmentation, segment_id)
    segment = segment_to_volume(segmentation, segment_id)
    if not segment.array.any():
        raise InputError(
            f"The segment {segment.name} is empty; a stroke corrects a boundary, so paint or threshold a first shape."
        )
    read: list[Stroke] = []
    refused: dict[int, tuple[str, str]] = {}
    for place, node in enumerate(strokes):
        name = node.GetName() or f"stroke {place + 1}"
        try:
            read.append(Stroke(name, stroke_from_node(node), options.influence_radius_mm))
        except InputError as error:
            refused[place] = (name, str(error))
    history = histories.of(segmentation, segment_id) if options.keep_earlier_edits else None
    earlier = history.strokes(lattice.values) if history is not None else []
    return SegmentJob(
        node=segmentation,
        segment_id=segment_id,
        options=options,
        image=volume_from_node(image),
        segment=segment,
        strokes=read,
        refused=refused,
        earlier_strokes=[transformed(to_world, one) for one in earlier],
    )


def apply(job: SegmentJob, series: Series, undo: SegmentUndo, histories: EditHistories) -> Outcome:
    """Write what `job.run` gave, with one state for undo; nothing is written where no voxel changed.

    Other segments stay as they are, and may overlap the corrected one afterwards.

    Raises
    ------
    InputError
        The segment was changed, moved or removed since `prepare`. Nothing has happened then.
    """
    _check_unchanged(job)
    # Both lie on one grid; what one stroke added and the next took away counts for nothing.
    changed = int(np.count_nonzero(series.before.array != series.after.array))
    segment_id = job.segment_id
    if changed:
        undo.save(job.node)
        if job.options.new_segment:
            segment_id = _twin(job.node, job.segment_id)
        volume_to_segment(series.after, job.node, segment_id)
        undo.changed(job.node)
        for stroke in series.applied:
            _remember(job.node, segment_id, stroke, histories)
    rows = [_row(stroke) for stroke in series.strokes]
    for place, (name, sentence) in sorted(job.refused.items()):
        rows.insert(place, Row(name, notes=[sentence]))
    return Outcome(rows, segment_id, changed)


def _check_unchanged(job: SegmentJob) -> None:
    advice = "nothing was changed; apply the strokes again."
    name = job.segment.name
    if job.node.GetScene() is None or job.node.GetSegmentation().GetSegment(job.segment_id) is None:
        raise InputError(f"{name} was removed while the strokes were applied; {advice}")
    now = segment_to_volume(job.node, job.segment_id)
    if not (
        np.array_equal(now.ijk_to_ras, job.segment.ijk_to_ras) and np.array_equal(now.array, job.segment.array)
    ):
        raise InputError(f"{name} was changed while the strokes were applied; {advice}")


def _twin(node: slicer.vtkMRMLSegmentationNode, segment_id: str) -> str:
    """A new segment with the voxels and the terminology of another one, stored just as finely."""
    segmentation = node.GetSegmentation()
    original = segmentation.GetSegment(segment_id)
    lattice = lattice_of(node, segment_id)
    taken = {segmentation.GetSegment(one).GetName() for one in segmentation.GetSegmentIDs()}
    base = f"{original.GetName()} edited"
    name = next(one for one in (base, *(f"{base} {n}" for n in range(2, len(taken) + 3))) if one not in taken)
    added = new_segment(node, name)
    tag, entry = slicer.vtkSegment.GetTerminologyEntryTagName(), vtk.reference("")
    if original.GetTag(tag, entry):
        segmentation.GetSegment(added).SetTag(tag, str(entry))
    replace_segment(node, added, lattice, lattice.stored, lattice.part(lattice.stored))
    return added


def _remember(
    node: slicer.vtkMRMLSegmentationNode, segment_id: str, stroke: AppliedStroke, histories: EditHistories
) -> None:
    """Note an edit, so that later ones can keep it."""
    change = stroke.before.array != stroke.result.segmentation.array
    if not change.any():
        return
    lattice = lattice_of(node, segment_id)
    to_world = parent_to_world(node)
    ijk = np.argwhere(change)[:, ::-1]
    there = transformed(np.linalg.inv(to_world @ lattice.matrix), stroke.before.grid.to_ras(ijk))
    voxels = np.round(there)
    if np.abs(there - voxels).max() > _WHOLE_VOXELS:
        return  # stored on another lattice than it was edited on: no voxel of it is one of the edit's
    histories.begun(node, segment_id, lattice).add(
        transformed(np.linalg.inv(to_world), stroke.points),
        stroke.influence_radius_mm,
        voxels.astype(np.int32),
        stroke.before.array[change] != 0,
        stroke.result.changed_mm3,
        lattice.values,
    )


def _row(stroke: AppliedStroke) -> Row:
    result = stroke.result
    if result is None:
        return Row(stroke.name, stroke.influence_radius_mm, seconds=stroke.seconds, notes=[stroke.problem])
    return Row(
        name=stroke.name,
        influence_radius_mm=stroke.influence_radius_mm,
        changed_near=result.changed_inside,
        changed_far=result.changed_outside,
        volume_before_mm3=result.volume_before_mm3,
        volume_after_mm3=result.volume_after_mm3,
        seconds=stroke.seconds,
        notes=result.notes,
    )
