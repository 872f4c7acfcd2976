"""Common part of the tasks with an image and a box: options, reading, checking, and reports of a box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ..core.errors import InputError
from .outputs import check_outputs, rounded
from .task import Argument, Option, ReportedOutcome, Task

if TYPE_CHECKING:
    from ..boxes.corrector.tighten import TightenResult
    from ..core.box import Box
    from ..core.volume import Volume


def _bounds(texts: Sequence[str]) -> tuple[float, ...]:
    try:
        return tuple(float(text) for text in texts)
    except ValueError:
        raise ValueError(f"six numbers of millimetres are needed, not {' '.join(texts)!r}.") from None


Roi = Annotated[
    Path | None,
    Argument(
        "ROI",
        "The box: .mrk.json (an ROI, possibly rotated; or a line or two points, the object's longest diameter), or a "
        "segmentation or labelmap for its bounding box.",
    ),
]
BoundsRas = Annotated[
    tuple[float, ...] | None,
    Option(
        help="Instead of ROI: lower and upper bound along R, A and S in mm.",
        metavar="R R A A S S",
        typed=tuple[str, str, str, str, str, str],
        parse=_bounds,
    ),
]
Segment = Annotated[
    str | None, Option(help="ID, name or label value of the segment in ROI; needed when there are several.")
]
AxisName = Annotated[
    str,
    Option(
        help="Axis of the box along which slices are cut; auto: the image's axis of the thickest slices.",
        choices=("auto", "I", "J", "K"),
    ),
]
Margin = Annotated[
    float, Option(help="Left around what was found, within the given box.", names=("--margin",), metavar="MM")
]
Coverage = Annotated[
    float,
    Option(
        help="Share of the object that is to stay inside: 0.99 is careful, 0.9 much tighter and may cut a tenth of it."
    ),
]
BoxReport = Annotated[Path | None, Option(help="Write boxes, volumes, timings, device and model.", metavar="JSON")]


class BoxTask(Task):
    """Base of the tasks with an image and a box, which declare these options each in its own order."""

    image: Path
    output: Path
    roi: Path | None
    bounds_ras: tuple[float, ...] | None
    segment: str | None
    axis: str
    margin_mm: float
    coverage: float
    device: str
    report: Path | None
    picture: Path | None

    def check(self, extensions: tuple[str, ...], *more: tuple[Path | None, tuple[str, ...]]) -> None:
        """Refuse, before anything is read, what cannot be written or does not go together.

        Parameters
        ----------
        extensions
            Of the main output.
        more
            Other outputs with their extensions.
        """
        from ..core.devices import choose_device

        if (self.roi is None) == (self.bounds_ras is None):
            given = "neither" if self.roi is None else "both"
            raise InputError(f"The box is given as a file ROI or with --bounds-ras, not {given}; give one of them.")
        if self.roi is None and self.segment is not None:
            raise InputError(f"--segment {self.segment} belongs to a segmentation as ROI, which is not given.")
        for name, low, high in zip("RAS", *[iter(self.bounds_ras or ())] * 2, strict=False):
            if low >= high:
                raise InputError(
                    f"--bounds-ras goes from {low:g} to {high:g} mm along {name}; give the lower bound first."
                )
        outputs = [(self.output, extensions), *more, (self.picture, (".png",)), (self.report, (".json",))]
        check_outputs(outputs, [self.image], replaced=self.roi)
        if self.device != "auto":
            choose_device(self.device)

    def read(self) -> tuple[Volume, Any, Box]:
        """The image, the box as a new ROI node that the caller removes, and the box, which lies in the image."""
        from ..boxes.slices import check_within
        from ..core.box import Box
        from ..core.images import read_image
        from ..mrml.headless import scene
        from ..mrml.rois import box_from_roi, read_roi, roi_from_box

        image = read_image(self.image)
        if self.roi is None:
            bounds = self.bounds_ras
            node = roi_from_box(Box.from_bounds([bounds[:2], bounds[2:4], bounds[4:]]), "ROI")
        else:
            node = read_roi(self.roi, self.segment, image.grid)
        box = box_from_roi(node)
        try:
            check_within(box, image.grid)
        except InputError as error:
            scene().RemoveNode(node)
            raise InputError(f"{self.roi}: {error}" if self.roi else str(error)) from error
        return image, node, box

    def tightened(self, image: Volume, given: Box, corrector: Any, progress: Any) -> TightenResult:
        """The box, tightened by the task's options."""
        from ..boxes.corrector.tighten import tighten

        return tighten(
            image,
            given,
            corrector,
            axis=self.axis,
            margin_mm=self.margin_mm,
            coverage=self.coverage,
            progress=progress,
        )


@dataclass(frozen=True, kw_only=True)
class BoxOutcome(ReportedOutcome):
    """Outcome of a task with a box.

    Attributes
    ----------
    task
        What was asked for.
    image
        As it was read.
    given
        The box as it was given.
    name
        Of the box.
    tightened
        What tightening made of it; None where that was not asked for.
    """

    task: BoxTask
    image: Volume
    given: Box
    name: str
    tightened: TightenResult | None

    def common_json(self, model: Any, device: str) -> dict[str, Any]:
        """Beginning of the reports of all tasks."""
        task = self.task
        return {
            "inputs": {
                "image": str(task.image),
                "roi": list(task.bounds_ras) if task.roi is None else str(task.roi),
            },
            "output": str(task.output),
            "margin_mm": task.margin_mm,
            "given": _box_as_json(self.given),
            "model": {"name": model.name, "weights_sha256": model.sha256},
            "device": {"requested": task.device, "used": device},
            "tightened": None if self.tightened is None else _tightened_as_json(self.tightened),
        }

    @property
    def advice(self) -> list[str]:
        """Advice where the box was kept."""
        if self.tightened is None or self.tightened.safe:
            return []
        return [
            "Check that it holds the whole object and no second one, or train a model on a few masks of your own: "
            "sparse-to-precise train boxes-corrector --dataset CASES --output MODEL."
        ]


def write_mask(mask: Volume, name: str, color: tuple[float, float, float], path: Path) -> None:
    """Write a uint8 0/1 volume as a segmentation with one segment, which may be empty, or as a labelmap."""
    from ..mrml.files import write_segmentation
    from ..mrml.headless import scene
    from ..mrml.labelmaps import segmentation_from_labelmap

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


def _box_as_json(box: Box) -> dict[str, Any]:
    """In RAS; axes are the unit directions of I, J, K, one after another."""
    return {"center": box.center.tolist(), "axes": box.axes.T.tolist(), "size_mm": box.size.tolist()}


def _tightened_as_json(result: TightenResult) -> dict[str, Any]:
    from ..boxes.slices import AXES

    return {
        **_box_as_json(result.box),
        "safe": result.safe,
        "reason": result.reason,
        "coverage": result.coverage,
        "axis": AXES[result.axis],
        "volume_before_mm3": result.volume_before_mm3,
        "volume_after_mm3": result.volume_after_mm3,
        "slices": len(result.slices),
        "slices_with_object": sum(one.bounds_mm is not None for one in result.slices),
        "timings": rounded(result.timings),
        "notes": list(result.notes),
    }
