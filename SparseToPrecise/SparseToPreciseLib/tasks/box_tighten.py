"""The task of `sparse-to-precise box tighten`: tighten a loose box in a file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ..core.errors import in_digits
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
from .outputs import csv_text, table, text_writer, written
from .task import DeviceName, ImageFile, Option

if TYPE_CHECKING:
    import numpy as np

    from ..boxes.corrector.model import Corrector
    from ..boxes.corrector.tighten import TightenResult
    from ..core.box import Box


@dataclass(frozen=True, kw_only=True)
class TightenBox(BoxTask):
    """Tighten a loose box around the one object in it.

    Where the model is unsure the box stays as it was given, and a sentence says why.

    Examples
    --------
    >>> task = TightenBox(image=Path("image.nrrd"), roi=Path("loose.mrk.json"), output=Path("tight.mrk.json"))
    >>> outcome = task.run()
    >>> outcome.tightened.volume_after_mm3 <= outcome.tightened.volume_before_mm3
    True
    """

    image: ImageFile
    output: Annotated[Path, Option(help="The tightened box, as .mrk.json.", names=("--output", "-o"), metavar="ROI")]
    roi: Roi = None
    bounds_ras: BoundsRas = None
    segment: Segment = None
    slices_csv: Annotated[
        Path | None, Option(help="Write the box of every slice, in mm from the box's centre.", metavar="CSV")
    ] = None
    slices_segmentation: Annotated[
        Path | None,
        Option(help="Write the boxes of the slices as a segment: .seg.nrrd or a labelmap.", metavar="SEG"),
    ] = None
    axis: AxisName = "auto"
    margin_mm: Margin = 0.0
    coverage: Coverage = 0.99
    model: Annotated[
        str | None, Option(help="Folder or name of a bundle trained as boxes-corrector.", metavar="BUNDLE")
    ] = None
    device: DeviceName = "auto"
    report: BoxReport = None
    picture: Annotated[
        Path | None, Option(help="Draw slices with the given, the slices' and the tightened box.", metavar="PNG")
    ] = None

    def run(self, progress: Progress | None = None) -> TightenOutcome:
        """Read the image and the box, tighten the box, write."""
        from ..boxes.corrector.model import load_corrector
        from ..core.images import placement_notes
        from ..mrml.files import SEGMENTATION_EXTENSIONS
        from ..mrml.headless import scene
        from ..mrml.rois import ROI_EXTENSION, place_roi, write_roi
        from ..pictures.boxes import draw_boxes

        progress = progress or Progress()
        self.check(
            (ROI_EXTENSION,),
            (self.slices_csv, (".csv",)),
            (self.slices_segmentation, SEGMENTATION_EXTENSIONS),
        )
        timings: dict[str, float] = {}
        node = None
        try:
            with timed(timings, "read"):
                progress(0.0, "reading")
                image, node, given = self.read()
                name, color = node.GetName(), node.GetDisplayNode().GetSelectedColor()
            with timed(timings, "load model"):
                progress(0.2, "loading the model")
                corrector = load_corrector(self.model, self.device)
            result = self.tightened(image, given, corrector, progress.part(0.3, 0.9))
            result = replace(result, notes=[*placement_notes(self.image, self.roi), *result.notes])
            outcome = TightenOutcome(
                task=self, image=image, given=given, name=name, tightened=result, corrector=corrector
            )
            place_roi(node, result.box)
            slices = result.slices_as_volume(image.grid) if self.slices_segmentation is not None else None
            outcome.write(
                progress,
                timings,
                self.report,
                (self.output, lambda path: write_roi(node, path)),
                (self.slices_csv, text_writer(_slices_csv(given, result))),
                (self.slices_segmentation, lambda path: write_mask(slices, f"{name} slices", color, path)),
                (self.picture, lambda path: draw_boxes(path, image, given, result)),
            )
        finally:
            if node is not None:
                scene().RemoveNode(node)
        return outcome


@dataclass(frozen=True, kw_only=True)
class TightenOutcome(BoxOutcome):
    """Outcome of tightening with `corrector`."""

    corrector: Corrector

    @property
    def result(self) -> TightenResult:
        """Result of the library."""
        return self.tightened

    @property
    def warnings(self) -> list[str]:
        return list(dict.fromkeys(self.result.notes))

    def as_json(self) -> dict[str, Any]:
        return self.common_json(self.corrector, self.result.device)

    def shown(self) -> list[Any]:
        from ..boxes.slices import AXES

        result = self.result
        found = sum(one.bounds_mm is not None for one in result.slices)
        rows = table(
            f"{self.name}: {'tightened' if result.safe else 'kept'} by {self.corrector.name}",
            [""],
            ["size I x J x K (mm)", "centre R, A, S (mm)", "volume (mm³)"],
            caption=f"object on {found} of {len(result.slices)} slices along {AXES[result.axis]}; "
            f"calibrated for coverage {result.coverage:g}",
        )
        for name, box in (("before", self.given), ("after", result.box)):
            rows.add_row(name, _listed(box.size, " x "), _listed(box.center, ", "), in_digits(box.volume_mm3))
        return [rows, *self.warnings, *self.advice, *written(self.task.output)]


def _slices_csv(given: Box, result: TightenResult) -> str:
    """The rows of `boxes.corrector.slice_boxes`, a line each, after a line of names."""
    from ..boxes.corrector.slice_boxes import slice_columns, slice_texts

    return csv_text([slice_columns(result.axis), *slice_texts(result.slices, given, result.frame, 3)])


def _listed(numbers: np.ndarray, between: str) -> str:
    return between.join(in_digits(number, 1) for number in numbers)
