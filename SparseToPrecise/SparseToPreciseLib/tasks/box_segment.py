"""From files to files: segment the object in a box. The command `box segment` calls this."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..boxes.corrector.model import load_corrector
from ..boxes.corrector.tighten import TightenResult
from ..boxes.corrector.tighten import tighten as tighten_box
from ..boxes.segmenter.model import Segmenter, load_segmenter
from ..boxes.segmenter.segment import SegmentResult
from ..boxes.segmenter.segment import segment as segment_box
from ..core.box import Box
from ..core.errors import InputError
from ..core.files import write_together
from ..core.progress import Progress, timed
from ..core.volume import Volume
from ..mrml.files import SEGMENTATION_EXTENSIONS
from ..mrml.headless import scene
from .box_report import segment_report
from .box_tighten import SegmentRequest, check_box_outputs, read_image_and_box, report_writer, write_mask


@dataclass(frozen=True)
class SegmentOutcome:
    """What `segment_files` did.

    Attributes
    ----------
    image
        As it was read.
    given
        The box as it was given.
    name
        Of the box.
    tightened
        With --tighten-first.
    result
        What the library says.
    segmenter
        What segmented.
    timings
        Seconds for reading, loading models, tightening and writing; the library's own are in the results.
    report
        The content of --report, and the time for writing, which the file itself cannot have.
    """

    image: Volume
    given: Box
    name: str
    tightened: TightenResult | None
    result: SegmentResult
    segmenter: Segmenter
    timings: dict[str, float]
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def warnings(self) -> list[str]:
        """What the user should know, each sentence once."""
        notes = [] if self.tightened is None else list(self.tightened.notes)
        return list(dict.fromkeys([*notes, *self.result.notes]))


def segment_files(request: SegmentRequest, progress: Progress | None = None) -> SegmentOutcome:
    """Segment the object in a box and write it with everything else that is wanted.

    Either every requested file is written, or none.

    Raises
    ------
    InputError
        An input or an output is not as it should be; nothing has been written.
    """
    progress = progress or Progress()
    check_box_outputs(request, SEGMENTATION_EXTENSIONS)
    if request.corrector is not None and not request.tighten_first:
        raise InputError(f"--corrector {request.corrector} is for --tighten-first, which is not given; add it.")
    timings: dict[str, float] = {}
    with timed(timings, "read"):
        progress(0.0, "reading")
        image, node, given = read_image_and_box(request)
        name, color = node.GetName(), node.GetDisplayNode().GetSelectedColor()
        scene().RemoveNode(node)
    with timed(timings, "load models"):
        progress(0.1, "loading the model")
        corrector = load_corrector(request.corrector, request.device) if request.tighten_first else None
        segmenter = load_segmenter(request.model, request.device)
    tightened = None
    if corrector is not None:
        with timed(timings, "tighten"):
            tightened = tighten_box(
                image,
                given,
                corrector,
                axis=request.axis,
                margin_mm=request.margin_mm,
                coverage=request.coverage,
                progress=progress.part(0.2, 0.5),
            )
    # Boxes of slices that are not to be trusted must not cut the object.
    within = tightened if tightened is not None and tightened.safe else None
    result = segment_box(
        image,
        given if within is None else within.box,
        segmenter,
        slices=within,
        progress=progress.part(0.5 if corrector else 0.2, 0.9),
    )
    outcome = SegmentOutcome(image, given, name, tightened, result, segmenter, timings)
    outcome.report.update(segment_report(request, outcome))
    with timed(timings, "write"):
        progress(0.9, "writing")
        outputs = [(request.output, lambda path: write_mask(result.segmentation, name, color, path))]
        if request.picture is not None:
            from ..pictures.boxes import draw_boxes

            shown = (image, given, tightened, result.segmentation)
            outputs.append((request.picture, lambda path: draw_boxes(path, *shown)))
        if request.report is not None:
            outputs.append((request.report, report_writer(outcome.report)))
        write_together(outputs)
    outcome.report["timings"]["write"] = round(timings["write"], 4)
    progress(1.0, "done")
    return outcome
