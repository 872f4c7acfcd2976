"""Common part of the tasks for sparse planes: the options that say what was painted where, and what is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ..core.errors import InputError
from .outputs import check_outputs
from .task import Argument, Option, ReportedOutcome, Task

if TYPE_CHECKING:
    from ..core.plane import Plane
    from ..core.volume import Volume
    from ..mrml.planes_nodes import Painted
    from ..planes.fill import FillResult

_SLICES = ("auto", "I", "J", "K")

PaintedFile = Annotated[
    Path, Argument("SEGMENTATION", "What was painted: .seg.nrrd, or a labelmap in one of the image's formats.")
]
Segments = Annotated[
    tuple[str, ...],
    Option(
        help="Only this segment, by ID, name or label value; may be given several times. Default: all painted ones.",
        names=("--segment",),
        metavar="NAME",
    ),
]
PlaneFiles = Annotated[
    tuple[Path, ...],
    Option(
        help="A plane that was painted, in any direction: a markups plane (.mrk.json); may be given several times. "
        "Default: the slices that hold paint.",
        metavar="PLANE.mrk.json",
    ),
]
Slices = Annotated[
    str,
    Option(
        help="Slices that hold paint are found across this axis of the voxels; auto: across all, where the paint is "
        "flat.",
        choices=_SLICES,
    ),
]


class PlanesTask(Task):
    """Base of the tasks, which declare these options each in its own order."""

    image: Path
    segmentation: Path
    output: Path
    segment: tuple[str, ...]
    planes: tuple[Path, ...]
    slices: str
    report: Path | None

    def check(self, extensions: Sequence[str], *more: tuple[Path | None, tuple[str, ...]], replaced: bool) -> None:
        """Refuse, before anything is read, what cannot be written or does not go together.

        Parameters
        ----------
        extensions
            Of the main output.
        more
            Other outputs with their extensions.
        replaced
            Whether the main output may be the segmentation itself.
        """
        if self.planes and self.slices != "auto":
            raise InputError(
                f"--slices {self.slices} finds slices where no planes are named; leave it or --planes {self.planes[0]} "
                "out."
            )
        inputs = [self.image, *self.planes, *([] if replaced else [self.segmentation])]
        outputs = [(self.output, extensions), *more, (self.report, (".json",))]
        check_outputs(outputs, inputs, replaced=self.segmentation if replaced else None)

    def read(self) -> PlanesInputs:
        """Everything that is read; the caller removes the node."""
        from ..core.images import placement_notes, read_image
        from ..core.markups import read_plane
        from ..mrml.files import read_segmentation
        from ..mrml.headless import scene
        from ..mrml.planes_nodes import read_painted

        image = read_image(self.image)
        planes = [read_plane(path) for path in self.planes] or None
        node = read_segmentation(self.segmentation)
        try:
            painted = read_painted(node, self.segment)
        except InputError as error:
            scene().RemoveNode(node)
            raise InputError(f"{self.segmentation}: {error}") from error
        return PlanesInputs(image, painted, planes, node, placement_notes(self.image, self.segmentation))


@dataclass(frozen=True)
class PlanesInputs:
    """Inputs of a task.

    Attributes
    ----------
    image
        As it was read.
    painted
        The segments.
    planes
        Those named; None: slices are to be found.
    node
        The segmentation.
    notes
        Sentences on the files.
    """

    image: Volume
    painted: Painted
    planes: list[Plane] | None
    node: Any = field(repr=False)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class PlanesOutcome(ReportedOutcome):
    """Outcome of a task with painted planes.

    Attributes
    ----------
    task
        What was asked for.
    painted
        The segments.
    result
        What the planes gave.
    notes
        Sentences on the files.
    """

    task: PlanesTask
    painted: Painted
    result: FillResult
    notes: list[str]

    @property
    def warnings(self) -> list[str]:
        return list(dict.fromkeys([*self.notes, *self.result.notes]))

    def common_json(self) -> dict[str, Any]:
        """Beginning of the reports of all tasks."""
        task = self.task
        return {
            "inputs": {
                "image": str(task.image),
                "segmentation": str(task.segmentation),
                "planes": [str(path) for path in task.planes],
            },
            "output": str(task.output),
            "planes": [plane_as_json(plane) for plane in self.result.planes],
        }


def plane_as_json(plane: Plane) -> dict[str, Any]:
    """A plane for a report: RAS, mm."""
    center, normal = ([round(float(value), 6) + 0.0 for value in vector] for vector in (plane.center, plane.normal))
    return {"name": plane.name, "center": center, "normal": normal}
