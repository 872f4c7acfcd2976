"""The task of `sparse-to-precise box segment`: segment the object in a box in a file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ..core.errors import InputError, in_digits
from ..core.progress import Progress, timed
from .boxes import (
    AxisName,
    BoundsRas,
    BoxOutcome,
    BoxReport,
    BoxTask,
    Coverage,
    Margin,
    Roi,
    Segment,
    write_mask,
)
from .outputs import rounded, table, written
from .task import DeviceName, ImageFile, Option

if TYPE_CHECKING:
    from ..boxes.segmenter.model import Segmenter
    from ..boxes.segmenter.segment import SegmentResult


@dataclass(frozen=True, kw_only=True)
class SegmentBox(BoxTask):
    """Segment the one object in a box; nothing outside the box becomes part of it.

    --axis, --margin and --coverage are those of tightening.

    Examples
    --------
    >>> task = SegmentBox(
    ...     image=Path("image.nrrd"), roi=Path("loose.mrk.json"), output=Path("object.seg.nrrd"), tighten_first=True
    ... )
    >>> outcome = task.run()
    >>> outcome.result.volume_mm3 <= outcome.given.volume_mm3
    True
    """

    image: ImageFile
    output: Annotated[Path, Option(help="A .seg.nrrd file or a labelmap.", names=("--output", "-o"), metavar="SEG")]
    roi: Roi = None
    bounds_ras: BoundsRas = None
    segment: Segment = None
    tighten_first: Annotated[bool, Option(help="Tighten the box, and segment within the boxes of its slices.")] = False
    axis: AxisName = "auto"
    margin_mm: Margin = 0.0
    coverage: Coverage = 0.99
    model: Annotated[
        str | None,
        Option(help="Folder or name of a bundle trained as boxes-segmenter or boxes-corrector.", metavar="BUNDLE"),
    ] = None
    corrector: Annotated[
        str | None, Option(help="With --tighten-first: a bundle trained as boxes-corrector.", metavar="BUNDLE")
    ] = None
    device: DeviceName = "auto"
    report: BoxReport = None
    picture: Annotated[Path | None, Option(help="Draw slices with the box and the segmentation.", metavar="PNG")] = None

    def run(self, progress: Progress | None = None) -> SegmentOutcome:
        """Read the image and the box, tighten the box where that is wanted, segment, write."""
        from ..boxes.corrector.model import load_corrector
        from ..boxes.segmenter.model import load_segmenter
        from ..boxes.segmenter.segment import segment
        from ..core.images import placement_notes
        from ..mrml.files import SEGMENTATION_EXTENSIONS
        from ..mrml.headless import scene
        from ..pictures.boxes import draw_boxes

        progress = progress or Progress()
        self.check(SEGMENTATION_EXTENSIONS)
        if self.corrector is not None and not self.tighten_first:
            raise InputError(f"--corrector {self.corrector} is for --tighten-first, which is not given; add it.")
        timings: dict[str, float] = {}
        with timed(timings, "read"):
            progress(0.0, "reading")
            image, node, given = self.read()
            name, color = node.GetName(), node.GetDisplayNode().GetSelectedColor()
            scene().RemoveNode(node)
        with timed(timings, "load models"):
            progress(0.1, "loading the model")
            corrector = load_corrector(self.corrector, self.device) if self.tighten_first else None
            segmenter = load_segmenter(self.model, self.device)
        tightened = None
        if corrector is not None:
            with timed(timings, "tighten"):
                tightened = self.tightened(image, given, corrector, progress.part(0.2, 0.5))
        # Boxes of slices that are not to be trusted must not cut the object.
        within = tightened if tightened is not None and tightened.safe else None
        result = segment(
            image,
            given if within is None else within.box,
            segmenter,
            slices=within,
            progress=progress.part(0.5 if corrector else 0.2, 0.9),
        )
        result = replace(result, notes=[*placement_notes(self.image, self.roi), *result.notes])
        outcome = SegmentOutcome(
            task=self, image=image, given=given, name=name, tightened=tightened, result=result, segmenter=segmenter
        )
        outcome.write(
            progress,
            timings,
            self.report,
            (self.output, lambda path: write_mask(result.segmentation, name, color, path)),
            (self.picture, lambda path: draw_boxes(path, image, given, tightened, result.segmentation)),
        )
        return outcome


@dataclass(frozen=True, kw_only=True)
class SegmentOutcome(BoxOutcome):
    """Outcome of segmenting.

    Attributes
    ----------
    result
        What the library says.
    segmenter
        What segmented.
    """

    result: SegmentResult
    segmenter: Segmenter

    @property
    def warnings(self) -> list[str]:
        notes = [] if self.tightened is None else list(self.tightened.notes)
        return list(dict.fromkeys([*notes, *self.result.notes]))

    def as_json(self) -> dict[str, Any]:
        return {
            **self.common_json(self.segmenter, self.result.device),
            "segmented": {
                "volume_mm3": self.result.volume_mm3,
                "timings": rounded(self.result.timings),
                "notes": list(self.result.notes),
            },
        }

    def shown(self) -> list[Any]:
        rows = table(f"{self.name}: segmented by {self.segmenter.name}", [""], ["volume (mm³)"])
        rows.add_row("given box", in_digits(self.given.volume_mm3))
        if self.tightened is not None:
            rows.add_row("tightened box", in_digits(self.tightened.box.volume_mm3))
        rows.add_row("segment", in_digits(self.result.volume_mm3))
        return [rows, *self.warnings, *self.advice, *written(self.task.output)]
