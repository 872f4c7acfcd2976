"""From a stroke on a slice view to the changed segment: what the Segment Editor effect computes, without Qt.

`prepare` and `apply` run on the main thread and are short; `Job.run` is long, touches no MRML and may run anywhere.
Slicer is asked through the methods that a scripted Segment Editor effect has (`scriptedEffect`), so that undo, the
editable area, the editable intensity range and the overwrite mode are Segment Editor's own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import slicer

from ..core.errors import InputError
from ..core.progress import Progress
from ..core.volume import Grid, Volume
from ..editing.edit import EditResult, checked_stroke, edit, refuse_without_boundary
from ..editing.editors import WARPS, Editor
from ..editing.guidance import RADIUS_PER_SIGMA
from ..editing.model import MULTIPLE, load_editor
from ..editing.working_grid import MARGIN_SIGMAS, SIGMA_VOXELS
from .edit_histories import EditHistories
from .segment_lattice import IndexBox, Lattice, box_of, extent_box, lattice_of
from .segment_writing import editable_part, is_masked, write_changes
from .segmentations import image_matrix, stored_segment
from .volumes import parent_to_world, volume_from_node


@dataclass(frozen=True)
class Options:
    """What the user has chosen.

    Attributes
    ----------
    influence_radius_mm, keep_earlier_edits
        See `editing.edit.edit`.
    model
        Name of an editor, see `editing.model.load_editor`; empty for the default.
    device
        auto, cpu, cuda, cuda:N or mps.
    """

    influence_radius_mm: float
    keep_earlier_edits: bool = True
    model: str = ""
    device: str = "auto"


@dataclass(frozen=True, eq=False)
class Job:
    """A stroke with copies of all that is needed to answer it.

    Attributes
    ----------
    node, segment_id
        What is edited; `run` does not touch the node.
    stroke
        (N, 3) RAS, mm.
    box
        The part of the segment's lattice that was copied; nothing outside it can change.
    image, segment
        The image and the segment near the stroke, in the world.
    lattice_matrix, to_world
        4x4, of the segment's voxels and of the segmentation when the stroke was drawn.
    earlier_strokes
        RAS, mm.
    """

    node: slicer.vtkMRMLSegmentationNode
    segment_id: str
    options: Options
    stroke: np.ndarray
    box: IndexBox
    image: Volume
    segment: Volume
    lattice_matrix: np.ndarray
    to_world: np.ndarray
    earlier_strokes: tuple[np.ndarray, ...]

    def run(self, progress: Progress | None = None) -> EditResult:
        """The corrected segment within `box`; volumes in the result count that part only."""
        return edit(
            self.image,
            self.segment,
            self.stroke,
            self.options.influence_radius_mm,
            editor=ready_editor(self.options.model, self.options.device),
            earlier_strokes=self.earlier_strokes,
            keep_earlier_edits=self.options.keep_earlier_edits,
            progress=progress,
        )


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


_ready: dict[tuple[str, str], Editor] = {}


def ready_editor(model: str, device: str = "auto", again: bool = False) -> Editor:
    """An editor that is loaded once; `again` loads it anew (another bundle may bear its name by now).

    A warp that stands in for a model is not kept: the model may be installed while the application runs.
    """
    if again:
        _ready.clear()
    editor = _ready.get((model, device)) or load_editor(model or None, device)
    if editor.name not in WARPS:
        _ready[model, device] = editor
    return editor


def prepare(effect: Any, stroke_ras: np.ndarray, options: Options, histories: EditHistories) -> Job:
    """Check a stroke and copy what is needed to answer it.

    Parameters
    ----------
    effect
        The `scriptedEffect`.
    stroke_ras
        (N, 3) RAS points, mm.
    options
        What the user has chosen.
    histories
        The earlier edits.

    Raises
    ------
    InputError
        No segmentation, segment or source volume is selected; the segment is hidden or empty, or lies elsewhere; a
        node is under a non-linear transform; see also `editing.edit.checked_stroke`.
    """
    node, segment_id = selected(effect)
    volume_node = effect.parameterSetNode().GetSourceVolumeNode()
    if volume_node is None:
        raise InputError("No source volume is selected; choose the image at the top of the Segment Editor.")
    name = node.GetSegmentation().GetSegment(segment_id).GetName() or segment_id
    if is_hidden(node, segment_id):
        raise InputError(f"The segment {name} is hidden; show it (the eye in the list of segments) to edit it.")
    to_world = parent_to_world(node)
    lattice = lattice_of(node, segment_id)
    # The volume node itself, not the copy that Segment Editor resamples to the segmentation's grid: it may be finer.
    image = volume_from_node(volume_node, copy=False)
    stroke = checked_stroke(stroke_ras, options.influence_radius_mm, image)
    sigma = options.influence_radius_mm / RADIUS_PER_SIGMA
    step = sigma / SIGMA_VOXELS
    # As far as edit() looks: the working grids, rounded up to a multiple, and what is needed to interpolate in them.
    reach = MARGIN_SIGMAS * sigma + (MULTIPLE + 2) * step
    image_part = image.cropped(_around(image.grid, stroke, reach + 2 * step))
    reference = effect.referenceGeometryImage()
    if is_masked(effect) and not (reference is not None and lattice.same_place(reference)):
        raise InputError(
            f"{name} is stored on another grid than the segmentation's geometry, so masks cannot be applied to it; "
            "set the editable area to everywhere and switch off the editable intensity range."
        )
    limits = _limits(lattice, reference)
    grid = Grid(limits.shape, _shifted(to_world @ lattice.matrix, limits.start))
    slices = _around(grid, stroke, max(reach, options.influence_radius_mm + float(grid.spacing.max())) + 2 * step)
    start = tuple(first + part.start for first, part in zip(limits.start, slices[::-1], strict=True))
    stop = tuple(first + part.stop for first, part in zip(limits.start, slices[::-1], strict=True))
    box = IndexBox(start, stop)
    if box.empty:
        raise InputError(f"The stroke lies outside {node.GetName()}; draw it on the segmentation's image.")
    part = lattice.part(box)
    if not part.any():
        stored = stored_segment(node, segment_id)
        refuse_without_boundary(stored or Volume(np.zeros((1, 1, 1), np.uint8), np.eye(4), name))
    history = histories.of(node, segment_id) if options.keep_earlier_edits else None
    earlier = history.strokes(lattice.values) if history is not None else []
    return Job(
        node=node,
        segment_id=segment_id,
        options=options,
        stroke=stroke,
        box=box,
        image=image_part.with_array(image_part.array.copy()),
        segment=Volume(part.view(np.uint8), _shifted(to_world @ lattice.matrix, box.start), name),
        lattice_matrix=lattice.matrix,
        to_world=to_world,
        earlier_strokes=tuple(_transformed(to_world, one) for one in earlier),
    )


def apply(effect: Any, job: Job, result: EditResult, histories: EditHistories) -> Applied:
    """Change the segment as the answer says: one step for undo, within the masks, remembered in the history.

    Raises
    ------
    InputError
        Another segment is selected now, or the segment is gone or has changed near the stroke, or its segmentation
        was moved. Nothing has happened then.
    """
    lattice = checked_unchanged(effect, job)
    before, after = job.segment.array.astype(bool), result.segmentation.array.astype(bool)
    wanted = before != after
    changed = write_changes(effect, lattice, job.box, after, wanted)
    voxel = job.segment.grid.voxel_volume_mm3
    number = int(np.count_nonzero(changed))
    withheld = int(np.count_nonzero(wanted & ~changed))
    if not number:
        return Applied(0, 0.0, withheld, notes=list(result.notes))
    lattice = lattice_of(job.node, job.segment_id)  # Slicer may have given the segment a labelmap of its own
    past = histories.begun(job.node, job.segment_id, lattice).add(
        _transformed(np.linalg.inv(job.to_world), job.stroke),
        job.options.influence_radius_mm,
        np.argwhere(changed)[:, ::-1] + job.box.start,
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
    name = node.GetSegmentation().GetSegment(segment_id).GetName() or segment_id
    if is_hidden(node, segment_id):
        raise InputError(f"The segment {name} is hidden; show it (the eye in the list of segments) to edit it.")
    lattice = lattice_of(node, segment_id)
    history = histories.of(node, segment_id)
    if history is None:
        raise InputError(f"{name} has no edit {number} that could be reverted.")
    voxels, inside = history.revert(number, lattice.values)
    voxel = Grid((1, 1, 1), parent_to_world(node) @ lattice.matrix).voxel_volume_mm3
    if not len(voxels):
        return Applied(0, 0.0, 0)
    box = IndexBox(tuple(int(a) for a in voxels.min(axis=0)), tuple(int(b) + 1 for b in voxels.max(axis=0)))
    after = lattice.part(box)
    wanted = np.zeros(after.shape, dtype=bool)
    k, j, i = (voxels - box.start).T[::-1]
    wanted[k, j, i] = True
    after[k, j, i] = inside
    changed = int(np.count_nonzero(write_changes(effect, lattice, box, after, wanted)))
    return Applied(changed, changed * voxel, len(voxels) - changed)


def selected(effect: Any) -> tuple[slicer.vtkMRMLSegmentationNode, str]:
    """The selected segmentation and segment ID, or an `InputError` that names what is not selected."""
    parameters = effect.parameterSetNode()
    node = parameters.GetSegmentationNode() if parameters is not None else None
    if node is None:
        raise InputError("No segmentation is selected; choose one at the top of the Segment Editor.")
    segment_id = parameters.GetSelectedSegmentID() or ""
    if not segment_id or node.GetSegmentation().GetSegment(segment_id) is None:
        raise InputError("No segment is selected; select in the list the segment that the stroke shall correct.")
    return node, segment_id


def is_hidden(node: slicer.vtkMRMLSegmentationNode, segment_id: str) -> bool:
    """Whether no display of a segmentation shows a segment."""
    displays = [node.GetNthDisplayNode(index) for index in range(node.GetNumberOfDisplayNodes())]
    return bool(displays) and not any(
        display is not None and display.GetVisibility() and display.GetSegmentVisibility(segment_id)
        for display in displays
    )


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
    lattice = checked_unchanged(effect, job)
    after = result.segmentation.array.astype(bool)
    return np.where(editable_part(effect, lattice, job.box), after, job.segment.array.astype(bool))


def _limits(lattice: Lattice, reference: slicer.vtkOrientedImageData | None) -> IndexBox:
    """Where a segment may have voxels: Segment Editor's reference geometry, and where it has some already."""
    if reference is None:
        return lattice.stored
    if lattice.same_place(reference):
        return extent_box(reference).union(lattice.stored)
    grid = Grid(reference.GetDimensions()[::-1], image_matrix(reference))
    return box_of(grid, lattice.matrix).union(lattice.stored)


def _around(grid: Grid, stroke: np.ndarray, reach: float) -> tuple[slice, slice, slice]:
    """K,J,I slices that hold the box around a stroke that reaches `reach` mm beyond it along R, A and S."""
    low, high = stroke.min(axis=0) - reach, stroke.max(axis=0) + reach
    corners = np.stack(np.meshgrid(*np.array([low, high]).T, indexing="ij"), axis=-1).reshape(-1, 3)
    return grid.slices_around(corners, 0.0)


def _shifted(matrix: np.ndarray, start: tuple[int, int, int]) -> np.ndarray:
    """A voxel-to-world matrix counted from another first voxel."""
    out = matrix.copy()
    out[:, 3] = matrix @ (*start, 1.0)
    return out


def _transformed(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ matrix[:3, :3].T + matrix[:3, 3]
