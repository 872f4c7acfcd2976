"""A stroke on a slice view, checked, with copies of what is needed to answer it on any thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
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
from .segment_lattice import IndexBox, Lattice, lattice_of
from .segment_writing import is_masked
from .segmentations import stored_segment
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
        What is edited; `work` does not know the node.
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

    def work(self) -> Callable[[Progress | None], EditResult]:
        """What is to be computed, without any node: on whatever thread it ends, no node can end with it."""
        return partial(_answer, self.image, self.segment, self.stroke, self.options, self.earlier_strokes)

    def run(self, progress: Progress | None = None) -> EditResult:
        """The corrected segment within `box`; volumes in the result count that part only."""
        return self.work()(progress)


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


def _answer(
    image: Volume,
    segment: Volume,
    stroke: np.ndarray,
    options: Options,
    earlier_strokes: tuple[np.ndarray, ...],
    progress: Progress | None,
) -> EditResult:
    return edit(
        image,
        segment,
        stroke,
        options.influence_radius_mm,
        editor=ready_editor(options.model, options.device),
        earlier_strokes=earlier_strokes,
        keep_earlier_edits=options.keep_earlier_edits,
        progress=progress,
    )


def prepare(effect: Any, stroke_ras: np.ndarray, options: Options, histories: EditHistories) -> Job:
    """Check a stroke and copy what is needed to answer it.

    Parameters
    ----------
    effect
        The `scriptedEffect`.
    stroke_ras
        (N, 3) RAS points, mm; repeated ones count once.
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
    name = checked_visible(node, segment_id)
    to_world = parent_to_world(node)
    lattice = lattice_of(node, segment_id)
    # The volume node itself, not the copy that Segment Editor resamples to the segmentation's grid: it may be finer.
    image = volume_from_node(volume_node, copy=False)
    stroke = checked_stroke(_without_repeats(stroke_ras), options.influence_radius_mm, image)
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
    box = limits.part(slices)
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
        earlier_strokes=tuple(transformed(to_world, one) for one in earlier),
    )


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


def checked_visible(node: slicer.vtkMRMLSegmentationNode, segment_id: str) -> str:
    """The name of a segment, or an `InputError` where every display of the segmentation hides it."""
    name = node.GetSegmentation().GetSegment(segment_id).GetName() or segment_id
    displays = [node.GetNthDisplayNode(index) for index in range(node.GetNumberOfDisplayNodes())]
    displays = [display for display in displays if display is not None]
    if displays and not any(one.GetVisibility() and one.GetSegmentVisibility(segment_id) for one in displays):
        raise InputError(f"The segment {name} is hidden; show it (the eye in the list of segments) to edit it.")
    return name


def _without_repeats(stroke: np.ndarray) -> np.ndarray:
    """A stroke without the points at which the mouse stood still; a click has one point left."""
    stroke = np.asarray(stroke, dtype=np.float64)
    if stroke.ndim != 2 or len(stroke) < 2:
        return stroke
    return stroke[np.append(True, (np.diff(stroke, axis=0) != 0).any(axis=1))]


def _limits(lattice: Lattice, reference: slicer.vtkOrientedImageData | None) -> IndexBox:
    """Where a segment may have voxels: Segment Editor's reference geometry, and where it has some already."""
    if reference is None:
        return lattice.stored
    theirs = Lattice(reference)
    if lattice.same_place(reference):
        return theirs.stored.union(lattice.stored)
    return lattice.box_of(theirs.grid(theirs.stored)).union(lattice.stored)


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


def transformed(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(N, 3) points under a 4x4 matrix."""
    return points @ matrix[:3, :3].T + matrix[:3, 3]
