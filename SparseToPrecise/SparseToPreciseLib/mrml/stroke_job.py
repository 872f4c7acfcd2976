"""Strokes to apply, with copies of all that is needed, so that they can be computed on any thread; no node is used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import slicer

from ..core.progress import Progress
from ..core.volume import Volume
from ..editing.edit_series import Series, Stroke, edit_series
from ..editing.model import ready_editor
from .segment_lattice import IndexBox


@dataclass(frozen=True)
class Options:
    """Choices of the user.

    Attributes
    ----------
    influence_radius_mm
        None: chosen for every stroke, see `editing.influence.default_influence_radius`; not in the Segment Editor.
    keep_earlier_edits
        See `editing.edit.edit`.
    new_segment
        Leave the segment as it is and make the result a new one beside it; not in the Segment Editor.
    protect
        Segments of which no voxel may change, see `other_segments.protected_segments`.
    model
        Name of an editor, see `editing.model.load_editor`; empty for the default.
    device
        auto, cpu, cuda, cuda:N or mps.
    """

    influence_radius_mm: float | None = None
    keep_earlier_edits: bool = True
    new_segment: bool = False
    protect: Sequence[str] = ()
    model: str = ""
    device: str = "auto"


@dataclass(frozen=True, eq=False)
class Job:
    """Strokes with copies of all that is needed to apply them.

    Attributes
    ----------
    node, segment_id
        Segment that is corrected; `work` does not know the node.
    options
        Choices of the user.
    image, segment
        The image and the segment in the world, whole or near the strokes.
    strokes
        In order.
    refused
        (name, sentence) of the strokes that could not be read, by their place among all.
    earlier_strokes
        (N, 3) RAS, mm, of edits that the segment shows already.
    protected
        Voxels that must not change, in the world; None for none.
    near
        See `stroke_targets.Target`.
    box
        The part of the segment's lattice that was copied.
    lattice_matrix, to_world
        4x4, of the segment's voxels and of the segmentation when the strokes were drawn.
    """

    node: slicer.vtkMRMLSegmentationNode
    segment_id: str
    options: Options
    image: Volume
    segment: Volume
    strokes: list[Stroke]
    refused: dict[int, tuple[str, str]]
    earlier_strokes: list[np.ndarray]
    protected: Volume | None
    near: bool
    box: IndexBox
    lattice_matrix: np.ndarray
    to_world: np.ndarray

    def work(self) -> Callable[[Progress | None], Series]:
        """The computation, without any node: on whatever thread it ends, no node can end with it."""
        return partial(
            _compute,
            self.image,
            self.segment,
            self.strokes,
            self.options,
            self.earlier_strokes,
            self.protected,
            self.near,
        )

    def run(self, progress: Progress | None = None) -> Series:
        """Compute the corrected segment; it may reach beyond `box` where the job is not near.

        Raises
        ------
        InputError
            The job is near and its stroke is refused. Else a stroke that is refused says why in the series and leaves
            the others alone.
        """
        return self.work()(progress)


def _compute(
    image: Volume,
    segment: Volume,
    strokes: list[Stroke],
    options: Options,
    earlier_strokes: list[np.ndarray],
    protected: Volume | None,
    near: bool,
    progress: Progress | None,
) -> Series:
    progress = progress or Progress()
    progress(0.0, "loading the model")
    return edit_series(
        image,
        segment,
        strokes,
        editor=ready_editor(options.model, options.device),
        earlier_strokes=earlier_strokes,
        keep_earlier_edits=options.keep_earlier_edits,
        protected=protected,
        may_grow=not near,
        skip_refused=not near,
        progress=progress.part(0.05, 1.0),
    )
