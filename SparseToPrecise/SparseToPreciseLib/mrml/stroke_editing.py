"""From strokes to the changed segment, in three steps: the one pipeline of the Segment Editor effect and the module.

`prepare` and `apply` run on the main thread and are short; `Job.run` is long, touches no MRML and may run anywhere.
A target says what is corrected and how it is written, see `stroke_targets`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np
import slicer

from ..core.errors import InputError
from ..core.masks import bounding_slices
from ..core.volume import Grid, Volume
from ..editing.edit import checked_stroke, refuse_without_boundary
from ..editing.edit_series import AppliedStroke, Series, Stroke
from ..editing.guidance import RADIUS_PER_SIGMA
from ..editing.model import MULTIPLE
from ..editing.working_grid import MARGIN_SIGMAS, SIGMA_VOXELS
from .edit_histories import EditHistories
from .markups import stroke_from_node
from .other_segments import OtherSegment, compared, protected_segments, segment_at, voxels_of
from .segment_lattice import IndexBox, Lattice, lattice_of
from .stroke_job import Job, Options
from .stroke_targets import Target
from .volumes import parent_to_world, volume_from_node


@dataclass(frozen=True)
class Row:
    """One stroke in the table of results.

    Attributes
    ----------
    name
        Name of the stroke.
    influence_radius_mm, changed_near, changed_far, volume_before_mm3, volume_after_mm3, seconds
        See `editing.edit.EditResult`; None where the stroke was refused. Volumes are those of the part of the segment
        that the job has copied.
    notes
        Sentences for the user, or why the stroke was refused.
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
        """Whether it changed nothing, for the reason in the notes."""
        return self.changed_near is None


@dataclass(frozen=True)
class Outcome:
    """The result of a job.

    Attributes
    ----------
    rows
        One for every stroke.
    segment_id
        ID of the segment that has the result.
    changed
        Voxels of the segment that changed.
    changed_mm3
        Their volume.
    withheld
        Voxels that were to be changed and lie outside the editable area or intensity range.
    number
        The last edit's number in the history; 0 where nothing was remembered.
    others
        The other segments that have changed or that the segment now overlaps.
    """

    rows: list[Row]
    segment_id: str
    changed: int
    changed_mm3: float = 0.0
    withheld: int = 0
    number: int = 0
    others: list[OtherSegment] = field(default_factory=list)


def prepare(
    target: Target,
    strokes: Sequence[np.ndarray | slicer.vtkMRMLMarkupsNode],
    options: Options,
    histories: EditHistories,
) -> Job:
    """Check the inputs and copy what is needed to compute.

    Parameters
    ----------
    target
        The segment and its image.
    strokes
        (N, 3) RAS points, mm, of which repeated ones count once; or markups, which give their names to the rows.
    options
        Choices of the user.
    histories
        The earlier edits.

    Raises
    ------
    InputError
        Something is not chosen; the segment is empty, or its source is no binary labelmap; a node is under a
        non-linear transform; what `Target.check` refuses. For a near target also what `editing.edit.checked_stroke`
        refuses, or the segment lies elsewhere; else what is wrong with one stroke is said in its row.
    """
    node, segment_id = target.segment()
    image_node = target.image()
    if not strokes:
        raise InputError("There is no stroke; draw a curve where the boundary should be.")
    to_world = parent_to_world(node)
    lattice = lattice_of(node, segment_id)
    target.check(lattice)
    name = node.GetSegmentation().GetSegment(segment_id).GetName() or segment_id
    # Before anything is copied: it may be all that the strokes can reach.
    image = volume_from_node(image_node, copy=False)
    read, refused = _read(strokes, options.influence_radius_mm)
    reference = target.reference()
    box = lattice.stored if reference is None else lattice.box_of(reference).union(lattice.stored)
    if target.near:
        image, box = _near(read, options.influence_radius_mm, image, lattice, to_world, box)
        if box.empty:
            raise InputError(f"The stroke lies outside {node.GetName()}; draw it on the segmentation's image.")
    part = lattice.part(box)
    if not part.any():
        refuse_without_boundary(lattice.volume(name) or Volume(np.zeros((1, 1, 1), np.uint8), np.eye(4), name))
    history = histories.of(node, segment_id) if options.keep_earlier_edits else None
    earlier = history.strokes(lattice.values) if history is not None else []
    return Job(
        node=node,
        segment_id=segment_id,
        options=options,
        image=image.with_array(image.array.copy()),
        segment=Volume(part.view(np.uint8), to_world @ lattice.grid(box).ijk_to_ras, name),
        strokes=[replace(one, lies_on=segment_at(node, one.points, segment_id)) for one in read],
        refused=refused,
        earlier_strokes=[transformed(to_world, one) for one in earlier],
        protected=voxels_of(node, protected_segments(node, segment_id, options.protect)),
        near=target.near,
        box=box,
        lattice_matrix=lattice.matrix,
        to_world=to_world,
    )


def apply(target: Target, job: Job, series: Series, histories: EditHistories) -> Outcome:
    """Change the segment as the answer says: one step for undo, within the masks, remembered in the history.

    Raises
    ------
    InputError
        The segment is gone or not the selected one any more, or has changed or was moved since `prepare`. Nothing has
        happened then.
    """
    lattice = _checked_unchanged(target, job)
    rows = [_row(stroke) for stroke in series.strokes]
    for place, (name, sentence) in sorted(job.refused.items()):
        rows.insert(place, Row(name, notes=[sentence]))
    # What one stroke added and the next took away counts for nothing.
    slices = bounding_slices(series.before.array != series.after.array)
    if slices is None:
        return Outcome(rows, job.segment_id, 0)
    box = _box_of(job, series.after.grid).part(slices)
    before, after = (volume.array[slices] != 0 for volume in (series.before, series.after))
    wanted = before != after
    change = wanted & target.editable(box)
    written, changed, others = job.segment_id, np.zeros_like(change), []
    if change.any():
        with compared(job.node, job.segment_id, series.after.cropped(slices), before, change) as others:
            written = target.write(lattice, box, after, change, job.options.new_segment)
        changed = lattice_of(job.node, written).part(box) != before
    withheld = wanted & ~changed
    number = _remember(job, series.applied, written, box, withheld, histories) if changed.any() else 0
    count = int(np.count_nonzero(changed))
    mm3 = count * job.segment.grid.voxel_volume_mm3
    return Outcome(rows, written, count, mm3, int(np.count_nonzero(withheld)), number, others)


def revert(target: Target, number: int, histories: EditHistories) -> Outcome:
    """Undo one edit of a segment and leave the later ones; one step for undo itself.

    Voxels that the edit took from other segments are not given back to them.

    Raises
    ------
    InputError
        The segment does not show the edit, or is hidden.
    """
    node, segment_id = target.segment()
    lattice = lattice_of(node, segment_id)
    target.check(lattice)
    history = histories.of(node, segment_id)
    if history is None:
        name = node.GetSegmentation().GetSegment(segment_id).GetName() or segment_id
        raise InputError(f"{name} has no edit {number} that could be reverted.")
    voxels, inside = history.revert(number, lattice.values)
    changed = np.zeros(0, dtype=bool)
    if len(voxels):
        box = IndexBox.sized(voxels.min(axis=0), tuple(np.ptp(voxels, axis=0)[::-1] + 1))
        before = lattice.part(box)
        after, places = before.copy(), tuple((voxels - box.start).T[::-1])
        after[places] = inside
        change = (before != after) & target.editable(box)
        if change.any():
            target.write(lattice, box, after, change, new=False)
        changed = (lattice_of(node, segment_id).part(box) != before)[places]
    if changed.any() or not len(voxels):
        history.add_reversal(number, voxels[changed], ~inside[changed], lattice_of(node, segment_id).values)
    count = int(np.count_nonzero(changed))
    voxel = Grid((1, 1, 1), parent_to_world(node) @ lattice.matrix).voxel_volume_mm3
    return Outcome([], segment_id, count, count * voxel, len(voxels) - count)


def proposed(target: Target, job: Job, series: Series) -> np.ndarray:
    """(K, J, I) bool: the segment within a near job's box as `apply` would make it, masks included."""
    _checked_unchanged(target, job)
    return np.where(target.editable(job.box), series.after.array, job.segment.array).astype(bool)


def transformed(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(N, 3) points under a 4x4 matrix."""
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def _read(
    strokes: Sequence[np.ndarray | slicer.vtkMRMLMarkupsNode], radius: float | None
) -> tuple[list[Stroke], dict[int, tuple[str, str]]]:
    """The strokes, and (name, sentence) of the markups that are none, by their place."""
    read: list[Stroke] = []
    refused: dict[int, tuple[str, str]] = {}
    for place, given in enumerate(strokes):
        if not isinstance(given, slicer.vtkMRMLMarkupsNode):
            read.append(Stroke("", _without_repeats(given), radius))
            continue
        name = given.GetName() or f"stroke {place + 1}"
        try:
            read.append(Stroke(name, stroke_from_node(given), radius))
        except InputError as error:
            refused[place] = (name, str(error))
    return read, refused


def _without_repeats(stroke: np.ndarray) -> np.ndarray:
    """A stroke without the points at which the mouse stood still; a click has one point left."""
    stroke = np.asarray(stroke, dtype=np.float64)
    if stroke.ndim != 2 or len(stroke) < 2:
        return stroke
    return stroke[np.append(True, (np.diff(stroke, axis=0) != 0).any(axis=1))]


def _near(
    strokes: list[Stroke], radius: float, image: Volume, lattice: Lattice, to_world: np.ndarray, limits: IndexBox
) -> tuple[Volume, IndexBox]:
    """The parts of the image (a view) and of the segment's lattice that edits with a known radius look at."""
    points = np.concatenate([checked_stroke(stroke.points, radius, image) for stroke in strokes])
    sigma = radius / RADIUS_PER_SIGMA
    step = sigma / SIGMA_VOXELS
    # As far as edit() looks: the working grids, rounded up to a multiple, and what is needed to interpolate in them.
    reach = MARGIN_SIGMAS * sigma + (MULTIPLE + 2) * step
    image = image.cropped(_around(image.grid, points, reach + 2 * step))
    grid = Grid(limits.shape, to_world @ lattice.grid(limits).ijk_to_ras)
    return image, limits.part(_around(grid, points, max(reach, radius + float(grid.spacing.max())) + 2 * step))


def _around(grid: Grid, points: np.ndarray, reach: float) -> tuple[slice, slice, slice]:
    """K,J,I slices that hold the box around points that reaches `reach` mm beyond them along R, A and S."""
    low, high = points.min(axis=0) - reach, points.max(axis=0) + reach
    return grid.slices_around(np.array(list(product(*zip(low, high, strict=True)))), 0.0)


def _checked_unchanged(target: Target, job: Job) -> Lattice:
    """The lattice of a job's segment, or an `InputError` where an answer to the job's question would be out of date."""
    advice = f"nothing was changed; {target.advice}."
    name, node = job.segment.name, job.node
    if node.GetScene() is None or node.GetSegmentation().GetSegment(job.segment_id) is None:
        raise InputError(f"{name} was removed while {target.during}; {advice}")
    if target.segment() != (node, job.segment_id):
        raise InputError(f"Another segment than {name} is selected now; {advice}")
    lattice = lattice_of(node, job.segment_id)
    same = (
        np.array_equal(lattice.matrix, job.lattice_matrix)
        and np.array_equal(parent_to_world(node), job.to_world)
        and np.array_equal(lattice.part(job.box), job.segment.array.astype(bool))
        and (job.near or lattice.count == np.count_nonzero(job.segment.array))
    )
    if not same:
        where = " near the stroke" if job.near else ""
        raise InputError(f"{name} was changed{where} while {target.during}; {advice}")
    return lattice


def _box_of(job: Job, grid: Grid) -> IndexBox:
    """The voxels of a grid in the world that lies on the lattice of a job's segment."""
    first = Grid((1, 1, 1), job.to_world @ job.lattice_matrix).to_ijk(grid.to_ras([0, 0, 0]))
    return IndexBox.sized(np.round(first), grid.shape)


def _remember(
    job: Job,
    strokes: Sequence[AppliedStroke],
    segment_id: str,
    box: IndexBox,
    withheld: np.ndarray,
    histories: EditHistories,
) -> int:
    """Note edits, without the voxels of a box that were withheld, so that later ones can keep them; the last number."""
    lattice = lattice_of(job.node, segment_id)  # Slicer may have given the segment a labelmap of its own
    number = 0
    for stroke in strokes:
        before = stroke.before.array != 0
        change = before != (stroke.result.segmentation.array != 0)
        theirs = _box_of(job, stroke.before.grid)
        common = theirs.intersection(box)
        if not common.empty:
            change[common.slices_in(theirs)] &= ~withheld[common.slices_in(box)]
        count = int(np.count_nonzero(change))
        if count:
            number = histories.begun(job.node, segment_id, lattice).add(
                transformed(np.linalg.inv(job.to_world), stroke.points),
                stroke.influence_radius_mm,
                np.argwhere(change)[:, ::-1] + theirs.start,
                before[change],
                count * job.segment.grid.voxel_volume_mm3,
                lattice.values,
            ).number
    return number


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
