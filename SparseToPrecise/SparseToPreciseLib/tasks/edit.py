"""From files to files: read, apply the strokes in order, write. The commands `edit` and `demo` call this."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..core.devices import choose_device
from ..core.errors import InputError
from ..core.files import write_together
from ..core.images import read_image
from ..core.progress import Progress, timed
from ..core.volume import Grid, Volume
from ..editing.edit_series import AppliedStroke, Stroke, edit_series
from ..editing.editors import Editor
from ..editing.model import load_editor
from ..mrml import files
from ..mrml.headless import scene
from ..mrml.lookup import find_segment
from ..mrml.markups import stroke_from_node
from ..mrml.other_segments import OtherSegment, lost_to, overlapped_by, protected_segments, voxels_of
from ..mrml.segmentations import grown_to_hold, segment_to_volume, segmentation_grid, volume_to_segment
from .edit_report import edit_report
from .outputs import check_outputs


@dataclass(frozen=True)
class EditRequest:
    """What `sparse-to-precise edit` was asked for; see its --help."""

    image: Path
    segmentation: Path
    strokes: Sequence[Path]
    output: Path
    segment: str | None = None
    influence_radius_mm: float | None = None
    keep_earlier_edits: bool = True
    protect: Sequence[str] = ()
    model: str | None = None
    device: str = "auto"
    picture: Path | None = None
    report: Path | None = None


@dataclass(frozen=True)
class EditOutcome:
    """What `edit_files` did.

    Attributes
    ----------
    segment_id
        The edited segment.
    image
        As it was read.
    before, after
        The segment, uint8 0/1, on one grid.
    strokes
        In the order in which they were applied; their names are their paths.
    editor
        What corrected the segment.
    timings
        Seconds for reading, loading the model and writing; the strokes have their own.
    others
        The other segments that the output has otherwise than the input, or that the edited one now overlaps.
    notes
        Sentences for the user about the file that is written; the strokes have their own.
    report
        The content of --report, and the time for writing, which the file itself cannot have.
    """

    segment_id: str
    image: Volume
    before: Volume
    after: Volume
    strokes: list[AppliedStroke]
    editor: Editor
    timings: dict[str, float]
    others: list[OtherSegment] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def warnings(self) -> list[str]:
        """What the user should know, each sentence once."""
        notes = [note for stroke in self.strokes for note in stroke.result.notes]
        return [note for note in dict.fromkeys([self.editor.note, *notes, *self.notes]) if note]


def edit_files(request: EditRequest, progress: Progress | None = None, truth: Volume | None = None) -> EditOutcome:
    """Correct one segment of a segmentation file by strokes in files, and write it with the picture and the report.

    Either every requested file is written, or none. In a labelmap, a voxel that becomes part of the segment takes its
    label, whatever it had before, and one that leaves it becomes 0; both happen within the influence zones only.
    In a .seg.nrrd the other segments stay as they are, and may overlap the edited one afterwards.

    Parameters
    ----------
    request
        What to do.
    progress
        Told about the stages; may cancel.
    truth
        Drawn into the picture where it is known.

    Raises
    ------
    InputError
        An input or an output is not as it should be; nothing has been written.
    """
    progress = progress or Progress()
    _check_outputs(request)
    if request.device != "auto":
        choose_device(request.device)  # one that is not there is refused before anything is read
    timings: dict[str, float] = {}
    with timed(timings, "read"):
        progress(0.0, "reading")
        image = read_image(request.image)
        strokes = [_read_stroke(path) for path in request.strokes]
        node = files.read_segmentation(request.segmentation)
        segment_id = find_segment(node, request.segment)
        before = segment_to_volume(node, segment_id)
        protected = protected_segments(node, segment_id, request.protect)
    with timed(timings, "load model"):
        progress(0.2, "loading the model")
        editor = load_editor(request.model, request.device)

    series = edit_series(
        image,
        before,
        [
            Stroke(str(path), points, request.influence_radius_mm)
            for path, points in zip(request.strokes, strokes, strict=True)
        ],
        editor=editor,
        keep_earlier_edits=request.keep_earlier_edits,
        protected=voxels_of(node, protected),
        progress=progress.part(0.3, 0.9),
    )
    labelmap = not is_segmentation_file(request.output)
    if labelmap:
        others = lost_to(node, segment_id, series.after, on_top=protected)
    else:
        others = overlapped_by(node, segment_id, series.before, series.after)
    notes = [
        f"{one.name} has no voxel left of {one.before}; --protect {one.name} keeps it as it is."
        for one in others
        if one.changed == one.before
    ]
    if labelmap:
        notes += _grown(segmentation_grid(node), series.after)
    outcome = EditOutcome(
        segment_id, image, series.before, series.after, series.strokes, editor, timings, others, notes
    )
    outcome.report.update(edit_report(request, outcome))
    with timed(timings, "write"):
        progress(0.9, "writing")
        volume_to_segment(series.after, node, segment_id)
        on_top = [segment_id, *protected]
        _write(request, outcome, truth, lambda path: files.write_segmentation(node, path, on_top))
    outcome.report["timings"]["write"] = round(timings["write"], 4)
    scene().RemoveNode(node)
    progress(1.0, "done")
    return outcome


def is_segmentation_file(path: Path) -> bool:
    """Whether a path is one of the format that holds segments, on any extent, and not a labelmap."""
    return path.name.lower().endswith(".seg.nrrd")


def _grown(grid: Grid, segment: Volume) -> list[str]:
    """A sentence where a corrected segment makes a labelmap's grid grow."""
    grown = grown_to_hold(grid, segment)
    if grown.shape == grid.shape:
        return []
    sizes = (" x ".join(str(size) for size in one.shape[::-1]) for one in (grid, grown))
    return ["The corrected segment reaches beyond the labelmap: its grid grew from {} to {} voxels.".format(*sizes)]


def _check_outputs(request: EditRequest) -> None:
    if not request.strokes:
        raise InputError("No stroke was given; name at least one .mrk.json or .fcsv file.")
    check_outputs(
        [
            (request.output, files.SEGMENTATION_EXTENSIONS),
            (request.picture, (".png",)),
            (request.report, (".json",)),
        ],
        [request.image, *request.strokes],
        replaced=request.segmentation,
    )


def _read_stroke(path: Path) -> np.ndarray:
    node = files.read_stroke(path)
    try:
        return stroke_from_node(node)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    finally:
        scene().RemoveNode(node)


def _write(
    request: EditRequest, outcome: EditOutcome, truth: Volume | None, write_segmentation: Callable[[Path], object]
) -> None:
    outputs = [(request.output, write_segmentation)]
    if request.picture is not None:
        from ..pictures.edit import draw_edit

        outputs.append((request.picture, lambda path: draw_edit(path, outcome.image, outcome, truth)))
    if request.report is not None:
        text = json.dumps(outcome.report, indent=2, ensure_ascii=False) + "\n"
        outputs.append((request.report, lambda path: path.write_text(text, encoding="utf-8")))
    write_together(outputs)
