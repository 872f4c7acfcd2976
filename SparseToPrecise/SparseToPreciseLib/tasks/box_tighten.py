"""From files to files: read an image and a box, tighten the box, write. `box segment` shares the reading."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..boxes.corrector.model import Corrector, load_corrector
from ..boxes.corrector.tighten import TightenResult
from ..boxes.corrector.tighten import tighten as tighten_box
from ..boxes.slices import check_within
from ..core.box import Box
from ..core.devices import choose_device
from ..core.errors import InputError
from ..core.files import write_together
from ..core.images import read_image
from ..core.progress import Progress, timed
from ..core.volume import Volume
from ..mrml.files import SEGMENTATION_EXTENSIONS, write_segmentation
from ..mrml.headless import scene
from ..mrml.labelmaps import segmentation_from_labelmap
from ..mrml.rois import ROI_EXTENSION, box_from_roi, place_roi, read_roi, roi_from_box, write_roi
from .box_report import slices_csv, tighten_report
from .outputs import check_outputs


@dataclass(frozen=True, kw_only=True)
class BoxRequest:
    """What commands that take an image and a box were asked for; see their --help."""

    image: Path
    output: Path
    roi: Path | None = None
    bounds_ras: tuple[float, ...] | None = None
    segment: str | None = None
    axis: str = "auto"
    margin_mm: float = 0.0
    coverage: float = 0.99
    model: str | None = None
    device: str = "auto"
    report: Path | None = None
    picture: Path | None = None


@dataclass(frozen=True, kw_only=True)
class TightenRequest(BoxRequest):
    """What `sparse-to-precise box tighten` was asked for."""

    slices_csv: Path | None = None
    slices_segmentation: Path | None = None


@dataclass(frozen=True, kw_only=True)
class SegmentRequest(BoxRequest):
    """What `sparse-to-precise box segment` was asked for."""

    tighten_first: bool = False
    corrector: str | None = None


@dataclass(frozen=True)
class TightenOutcome:
    """What `tighten_files` did.

    Attributes
    ----------
    image
        As it was read.
    given
        The box before.
    name
        Of the box.
    result
        What the library says.
    corrector
        What tightened.
    timings
        Seconds for reading, loading the model and writing; the library's own are in the result.
    report
        The content of --report, and the time for writing, which the file itself cannot have.
    """

    image: Volume
    given: Box
    name: str
    result: TightenResult
    corrector: Corrector
    timings: dict[str, float]
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def warnings(self) -> list[str]:
        """What the user should know, each sentence once."""
        return list(dict.fromkeys(self.result.notes))


def tighten_files(request: TightenRequest, progress: Progress | None = None) -> TightenOutcome:
    """Tighten a box in a file and write it with everything else that is wanted.

    Either every requested file is written, or none.

    Raises
    ------
    InputError
        An input or an output is not as it should be; nothing has been written.
    """
    progress = progress or Progress()
    check_box_outputs(
        request,
        (ROI_EXTENSION,),
        (request.slices_csv, (".csv",)),
        (request.slices_segmentation, SEGMENTATION_EXTENSIONS),
    )
    timings: dict[str, float] = {}
    node = None
    try:
        with timed(timings, "read"):
            progress(0.0, "reading")
            image, node, given = read_image_and_box(request)
        with timed(timings, "load model"):
            progress(0.2, "loading the model")
            corrector = load_corrector(request.model, request.device)
        result = tighten_box(
            image,
            given,
            corrector,
            axis=request.axis,
            margin_mm=request.margin_mm,
            coverage=request.coverage,
            progress=progress.part(0.3, 0.9),
        )
        outcome = TightenOutcome(image, given, node.GetName(), result, corrector, timings)
        outcome.report.update(tighten_report(request, outcome))
        with timed(timings, "write"):
            progress(0.9, "writing")
            place_roi(node, result.box)
            write_together(_outputs(request, outcome, node))
    finally:
        if node is not None:
            scene().RemoveNode(node)
    outcome.report["timings"]["write"] = round(timings["write"], 4)
    progress(1.0, "done")
    return outcome


def check_box_outputs(
    request: BoxRequest, extensions: tuple[str, ...], *more: tuple[Path | None, tuple[str, ...]]
) -> None:
    """Refuse, before anything is read, what cannot be written or does not go together."""
    if (request.roi is None) == (request.bounds_ras is None):
        given = "neither" if request.roi is None else "both"
        raise InputError(f"The box is given as a file ROI or with --bounds-ras, not {given}; give one of them.")
    if request.roi is None and request.segment is not None:
        raise InputError(f"--segment {request.segment} belongs to a segmentation as ROI, which is not given.")
    outputs = [(request.output, extensions), *more, (request.picture, (".png",)), (request.report, (".json",))]
    check_outputs(outputs, [request.image], replaced=request.roi)
    if request.device != "auto":
        choose_device(request.device)  # one that is not there is refused before anything is read


def read_image_and_box(request: BoxRequest) -> tuple[Volume, Any, Box]:
    """The image, the box as a new ROI node that the caller removes, and the box, which lies in the image."""
    image = read_image(request.image)
    if request.roi is None:
        bounds = request.bounds_ras
        node = roi_from_box(Box.from_bounds([bounds[:2], bounds[2:4], bounds[4:]]), "ROI")
    else:
        node = read_roi(request.roi, request.segment)
    box = box_from_roi(node)
    try:
        check_within(box, image.grid)
    except InputError as error:
        scene().RemoveNode(node)
        raise InputError(f"{request.roi}: {error}" if request.roi else str(error)) from error
    return image, node, box


def write_mask(mask: Volume, name: str, color: tuple[float, float, float], path: Path) -> None:
    """Write a uint8 0/1 volume as a segmentation with one segment, which may be empty, or as a labelmap."""
    node = segmentation_from_labelmap(mask.with_array(mask.array, name))
    segmentation = node.GetSegmentation()
    ids = list(segmentation.GetSegmentIDs()) or [segmentation.AddEmptySegment("Segment_1")]
    segment = segmentation.GetSegment(ids[0])
    segment.SetName(name)
    segment.SetColor(*color)
    try:
        write_segmentation(node, path)
    finally:
        scene().RemoveNode(node)


def report_writer(report: dict[str, Any]) -> Callable[[Path], object]:
    """Writes a report as JSON."""
    text = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
    return lambda path: path.write_text(text, encoding="utf-8")


def _outputs(
    request: TightenRequest, outcome: TightenOutcome, node: Any
) -> list[tuple[Path, Callable[[Path], object]]]:
    outputs: list[tuple[Path, Callable[[Path], object]]] = [(request.output, lambda path: write_roi(node, path))]
    if request.slices_csv is not None:
        text = slices_csv(outcome.given, outcome.result)
        outputs.append((request.slices_csv, lambda path: path.write_text(text, encoding="utf-8")))
    if request.slices_segmentation is not None:
        mask = outcome.result.slices_as_volume(outcome.image.grid)
        color = node.GetDisplayNode().GetSelectedColor()
        name = f"{outcome.name} slices"
        outputs.append((request.slices_segmentation, lambda path: write_mask(mask, name, color, path)))
    if request.picture is not None:
        from ..pictures.boxes import draw_boxes

        outputs.append((request.picture, lambda path: draw_boxes(path, outcome.image, outcome.given, outcome.result)))
    if request.report is not None:
        outputs.append((request.report, report_writer(outcome.report)))
    return outputs
