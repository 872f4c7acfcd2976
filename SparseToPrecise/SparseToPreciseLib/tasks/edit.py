"""The task of `sparse-to-precise edit`: correct one segment of a segmentation file by strokes in files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ..core.errors import InputError, in_digits
from ..core.progress import Progress, timed
from .inputs import read_segment
from .outputs import check_outputs, rounded, table, written
from .task import Argument, DeviceName, ImageFile, Option, ReportedOutcome, Task

if TYPE_CHECKING:
    import numpy as np

    from ..core.volume import Grid, Volume
    from ..editing.edit_series import AppliedStroke
    from ..editing.editors import Editor
    from ..mrml.other_segments import OtherSegment


def _millimetres(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"The influence radius must be a number of millimetres, not {text!r}.") from None


@dataclass(frozen=True)
class Edit(Task):
    """Correct a segmentation: near each stroke its boundary follows the stroke, elsewhere not one voxel changes.

    OUTPUT as .seg.nrrd keeps all other segments, names, colours and terminology. As a labelmap (.nrrd, .nii.gz,
    .mha) it keeps the other labels: a voxel that becomes part of the segment takes its label, one that leaves it
    becomes 0, both only within the influence radius of a stroke. What other
    segments lost is told; --protect keeps them.

    Examples
    --------
    >>> task = Edit(
    ...     image=Path("image.nrrd"),
    ...     segmentation=Path("ball.seg.nrrd"),
    ...     strokes=[Path("stroke.mrk.json")],
    ...     output=Path("corrected.seg.nrrd"),
    ...     segment="Ball",
    ...     model="image-aware-warp",
    ... )
    >>> task.run().report["total"]["changed_outside"]
    0
    """

    image: ImageFile
    segmentation: Annotated[
        Path, Argument("SEGMENTATION", "What to correct: .seg.nrrd, or a labelmap in one of those formats.")
    ]
    strokes: Annotated[
        Sequence[Path],
        Argument(
            "STROKE", "Strokes along the true boundary, applied in order: .mrk.json (curve or point list) or .fcsv."
        ),
    ]
    output: Annotated[Path, Option(help="Where to write; its extension says the format.", names=("--output", "-o"))]
    segment: Annotated[
        str | None, Option(help="ID, name or label value of the segment; needed when there are several.")
    ] = None
    influence_radius_mm: Annotated[
        float | None,
        Option(
            help="Nothing farther than this from a stroke changes. Default, printed with the result: the "
            "greatest of 1.5 times the distance from the stroke to the present boundary, a third of the stroke's "
            "length (up to half the segment's radius), and 3 voxels.",
            names=("--influence-radius",),
            metavar="MM",
            typed=str,
            parse=_millimetres,
        ),
    ] = None
    keep_earlier_edits: Annotated[
        bool,
        Option(help="Let a later stroke change what an earlier one put right.", names=("--no-keep-earlier-edits",)),
    ] = True
    protect: Annotated[
        tuple[str, ...],
        Option(
            help="A segment (ID, name or label value) of which not one voxel may change, or all for every other "
            "segment; may be given several times.",
            metavar="NAME",
        ),
    ] = ()
    model: Annotated[
        str | None,
        Option(
            help="Folder or name of a model bundle, or image-aware-warp or signed-distance-warp, which need no model.",
            metavar="BUNDLE",
        ),
    ] = None
    proposal: Annotated[
        Path | None,
        Option(
            help="A segmentation of the same by another tool: taken over near each stroke, in place of a model's "
            "answer, and nowhere else.",
            metavar="FILE",
        ),
    ] = None
    proposal_segment: Annotated[
        str | None, Option(help="ID, name or label value of its segment; needed when there are several.")
    ] = None
    device: DeviceName = "auto"
    picture: Annotated[
        Path | None,
        Option(help="Draw before, stroke and after on the three slices through the stroke.", metavar="PNG"),
    ] = None
    report: Annotated[
        Path | None, Option(help="Write what changed where, timings, device and model.", metavar="JSON")
    ] = None

    def run(self, progress: Progress | None = None, truth: Volume | None = None) -> EditOutcome:
        """Read, apply the strokes in order, write; `truth` is drawn into the picture where it is known."""
        from ..core.images import placement_notes, read_image
        from ..editing.edit_series import Stroke, edit_series
        from ..editing.model import load_editor
        from ..editing.proposal import Proposal
        from ..mrml import files
        from ..mrml.headless import scene
        from ..mrml.lookup import find_segment
        from ..mrml.other_segments import lost_to, overlapped_by, protected_segments, segment_at, voxels_of
        from ..mrml.segmentations import segment_to_volume, segmentation_grid, volume_to_segment
        from ..pictures.editing import draw_edit

        progress = progress or Progress()
        self._check()
        timings: dict[str, float] = {}
        with timed(timings, "read"):
            progress(0.0, "reading")
            image = read_image(self.image)
            points = [_read_stroke(path) for path in self.strokes]
            node = files.read_segmentation(self.segmentation)
            segment_id = find_segment(node, self.segment)
            strokes = [
                Stroke(str(path), stroke, self.influence_radius_mm, segment_at(node, stroke, segment_id))
                for path, stroke in zip(self.strokes, points, strict=True)
            ]
            placed = placement_notes(self.image, self.segmentation)
            before = segment_to_volume(node, segment_id)
            protected = protected_segments(node, segment_id, self.protect)
        with timed(timings, "load model"):
            progress(0.2, "loading the model")
            if self.proposal is None:
                editor = load_editor(self.model, self.device)
            else:
                editor = Proposal(_proposed(self.proposal, self.proposal_segment))
        series = edit_series(
            image,
            before,
            strokes,
            editor=editor,
            keep_earlier_edits=self.keep_earlier_edits,
            protected=voxels_of(node, protected),
            progress=progress.part(0.3, 0.9),
        )
        # In a labelmap a voxel belongs to one segment, and its grid may have to grow.
        if self.output.name.lower().endswith(".seg.nrrd"):
            others, grown = overlapped_by(node, segment_id, series.before, series.after), []
        else:
            others = lost_to(node, segment_id, series.after, on_top=protected)
            grown = _grown(segmentation_grid(node), series.after)
        outcome = EditOutcome(
            task=self,
            segment_id=segment_id,
            image=image,
            before=series.before,
            after=series.after,
            strokes=series.strokes,
            editor=editor,
            others=others,
            notes=[*placed, *_gone(others), *grown],
        )
        volume_to_segment(series.after, node, segment_id)
        outcome.write(
            progress,
            timings,
            self.report,
            (self.output, lambda path: files.write_segmentation(node, path, [segment_id, *protected])),
            (self.picture, lambda path: draw_edit(path, image, outcome, truth)),
        )
        scene().RemoveNode(node)
        return outcome

    def _check(self) -> None:
        """Refuse, before anything is read, what cannot be written or used."""
        from ..core.devices import choose_device
        from ..mrml.files import SEGMENTATION_EXTENSIONS

        if not self.strokes:
            raise InputError("No stroke was given; name at least one .mrk.json or .fcsv file.")
        if self.proposal is not None and self.model is not None:
            raise InputError(f"--proposal {self.proposal} and --model {self.model} both correct; give one of them.")
        if self.proposal_segment is not None and self.proposal is None:
            raise InputError(f"--proposal-segment {self.proposal_segment} needs a --proposal.")
        outputs = [(self.output, SEGMENTATION_EXTENSIONS), (self.picture, (".png",)), (self.report, (".json",))]
        inputs = [self.image, *self.strokes, *([] if self.proposal is None else [self.proposal])]
        check_outputs(outputs, inputs, replaced=self.segmentation)
        if self.device != "auto":
            choose_device(self.device)


@dataclass(frozen=True, kw_only=True)
class EditOutcome(ReportedOutcome):
    """Outcome of an edit.

    Attributes
    ----------
    task
        What was asked for.
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
    others
        The other segments that the output has otherwise than the input, or that the edited one now overlaps.
    notes
        Sentences for the user about the file that is written; the strokes have their own.
    """

    task: Edit
    segment_id: str
    image: Volume
    before: Volume
    after: Volume
    strokes: list[AppliedStroke]
    editor: Editor
    others: list[OtherSegment]
    notes: list[str]

    @property
    def warnings(self) -> list[str]:
        notes = [note for stroke in self.strokes for note in stroke.result.notes]
        return [note for note in dict.fromkeys([self.editor.note, *notes, *self.notes]) if note]

    def as_json(self) -> dict[str, Any]:
        task = self.task
        inside, outside = self.changed_voxels()
        return {
            "inputs": {
                "image": str(task.image),
                "segmentation": str(task.segmentation),
                "strokes": [str(path) for path in task.strokes],
                "proposal": None if task.proposal is None else str(task.proposal),
            },
            "output": str(task.output),
            "segment": {"id": self.segment_id, "name": self.before.name},
            # Warps and proposals have no weights and so no hash.
            "editor": {"name": self.editor.name, "weights_sha256": getattr(self.editor, "sha256", None)},
            "device": {"requested": task.device, "used": self.strokes[-1].result.device},
            "keep_earlier_edits": task.keep_earlier_edits,
            "protect": list(task.protect),
            "strokes": [_stroke_as_json(stroke) for stroke in self.strokes],
            "total": {
                "changed_inside": inside,
                "changed_outside": outside,
                "volume_before_mm3": self.strokes[0].result.volume_before_mm3,
                "volume_after_mm3": self.strokes[-1].result.volume_after_mm3,
            },
            "other_segments": [
                {
                    "id": one.segment_id,
                    "name": one.name,
                    "voxels_before": one.before,
                    "changed": one.changed,
                    "overlapped": one.overlapped,
                }
                for one in self.others
            ],
        }

    def changed_voxels(self) -> tuple[int, int]:
        """Voxels that differ after all strokes, within an influence radius of any stroke and beyond all of them."""
        import numpy as np

        from ..editing.guidance import densify, nearest_on_stroke

        changed = np.argwhere(self.before.array != self.after.array)[:, ::-1]
        points = self.after.grid.to_ras(changed)
        near = np.zeros(len(points), dtype=bool)
        for stroke in self.strokes:
            # Counted anew, from the files' points and far finer than the editor samples them.
            dense = densify(stroke.points, stroke.influence_radius_mm / 50)
            near |= nearest_on_stroke(points, dense)[0] <= stroke.influence_radius_mm
        return int(np.count_nonzero(near)), int(np.count_nonzero(~near))

    def shown(self) -> list[Any]:
        rows = table(
            f"{self.before.name}, corrected by {self.editor.name}",
            ["stroke"],
            ["radius\n(mm)", "changed\nnear", "changed\nfar", "before\n(mm³)", "after\n(mm³)", "seconds"],
            fixed=True,
            caption="near, far: voxels changed within and beyond the influence radius",
        )
        for stroke in self.strokes:
            result = stroke.result
            rows.add_row(
                Path(stroke.name).name,
                in_digits(stroke.influence_radius_mm, 1),
                f"{result.changed_inside}",
                f"{result.changed_outside}",
                in_digits(result.volume_before_mm3),
                in_digits(result.volume_after_mm3),
                f"{stroke.seconds:.2f}",
            )
        return [rows, *self._other_segments(), *self.warnings, *written(self.task.output)]

    def _other_segments(self) -> list[Any]:
        """A table of the other segments that changed or are overlapped, where there are some."""
        rows = table(
            "Other segments",
            ["segment"],
            ["voxels\nbefore", "changed", "newly\noverlapped"],
            fixed=True,
            caption="changed: voxels that the edited segment took",
        )
        for one in self.others:
            rows.add_row(one.name, f"{one.before}", f"{one.changed}", f"{one.overlapped}")
        return [rows] if self.others else []


def _gone(others: Sequence[OtherSegment]) -> list[str]:
    """Sentences on the segments of which nothing is left."""
    return [
        f"{one.name} has no voxel left of {one.before}; --protect {one.name} keeps it as it is."
        for one in others
        if one.changed == one.before
    ]


def _grown(grid: Grid, segment: Volume) -> list[str]:
    """A sentence where a corrected segment makes a labelmap's grid grow."""
    from ..core.lattice import grown_to_hold

    grown = grown_to_hold(grid, segment)
    if grown.shape == grid.shape:
        return []
    sizes = (" x ".join(str(size) for size in one.shape[::-1]) for one in (grid, grown))
    return ["The corrected segment reaches beyond the labelmap: its grid grew from {} to {} voxels.".format(*sizes)]


def _proposed(path: Path, segment: str | None) -> Volume:
    """The segment of a proposal, named after its file."""
    mask = read_segment(path, segment)
    return mask.with_array(mask.array, path.name)


def _read_stroke(path: Path) -> np.ndarray:
    """(N, 3) RAS points in mm of a stroke's file."""
    from ..mrml import files
    from ..mrml.headless import scene
    from ..mrml.markups import stroke_from_node

    node = files.read_stroke(path)
    try:
        return stroke_from_node(node)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    finally:
        scene().RemoveNode(node)


def _stroke_as_json(stroke: AppliedStroke) -> dict[str, Any]:
    result = stroke.result
    return {
        "file": stroke.name,
        "points": len(stroke.points),
        "influence_radius_mm": stroke.influence_radius_mm,
        "changed_inside": result.changed_inside,
        "changed_outside": result.changed_outside,
        "changed_mm3": result.changed_mm3,
        "volume_before_mm3": result.volume_before_mm3,
        "volume_after_mm3": result.volume_after_mm3,
        "seconds": round(stroke.seconds, 4),
        "timings": rounded(result.timings),
        "notes": result.notes,
    }
