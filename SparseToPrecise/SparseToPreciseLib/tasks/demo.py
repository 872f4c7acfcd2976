"""The task of `sparse-to-precise demo`: a phantom case, written to files and edited from them as any other case."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ..core.errors import InputError
from ..core.files import reason_of
from ..core.progress import Progress
from ..core.stopping import Stopped
from .edit import Edit, EditOutcome
from .outputs import table
from .task import Option, Outcome, Task

if TYPE_CHECKING:
    from ..core.volume import Volume

FAMILY = "bean"  # kidney-like, and held out of all training
SEED = 22
SIZE = 96
SPACING_MM = 1.0
ERROR_RADIUS = 12.0


@dataclass(frozen=True)
class Demo(Task):
    """Edit a phantom of a kidney with the default editor and compare with its truth.

    Leaves image.nrrd, before.seg.nrrd and stroke.mrk.json (the input), corrected.seg.nrrd, picture.png and report.json.

    Examples
    --------
    >>> outcome = Demo(output=Path("demo")).run()
    >>> outcome.report["total"]["changed_outside"]
    0
    """

    output: Annotated[Path, Option(help="Folder for the files; made if it is not there.", names=("--output", "-o"))] = (
        Path("sparse-to-precise-demo")
    )

    def run(self, progress: Progress | None = None) -> DemoOutcome:
        """Write the phantom into the folder, and edit it."""
        progress = progress or Progress()
        try:
            self.output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"Could not make the folder {self.output}: {reason_of(error)}.") from error
        try:
            task, truth = write_phantom(self.output, progress)
            edit = task.run(progress.part(0.3, 1.0), truth=truth)
        except Stopped as stopped:
            stopped.left = f"no correction was written, but files of the phantom may be in {self.output}."
            raise
        return DemoOutcome(report=edit.report, edit=edit, truth=truth)


@dataclass(frozen=True, kw_only=True)
class DemoOutcome(Outcome):
    """Segmentation after the edit, and the truth (uint8 0/1)."""

    edit: EditOutcome
    truth: Volume

    def shown(self) -> list[Any]:
        folder = self.edit.task.output.parent
        edit, *sentences = self.edit.shown()
        there = f"Written to {folder}: " + ", ".join(sorted(path.name for path in folder.iterdir()))
        return [self._comparison(), edit, *sentences[:-1], there]

    def _comparison(self) -> Any:
        """Agreement with the truth before and after."""
        import numpy as np

        from ..core.masks import dice
        from ..editing.metrics import average_surface_distance

        truth, spacing = self.truth.array, tuple(self.truth.grid.spacing_kji)
        rows = table("Against the phantom's truth", [""], ["Dice", "average surface distance (mm)", "wrong voxels"])
        for name, segment in (("before", self.edit.before), ("after", self.edit.after)):
            there = segment.resampled_to(self.truth.grid, "nearest", fill=0).array
            rows.add_row(
                name,
                f"{dice(truth, there):.4f}",
                f"{average_surface_distance(truth, there, spacing):.3f}",
                f"{np.count_nonzero(truth != there)}",
            )
        return rows


def write_phantom(folder: Path, progress: Progress) -> tuple[Edit, Volume]:
    """Write image.nrrd, before.seg.nrrd and stroke.mrk.json into a folder; the edit of them, and the truth."""
    import numpy as np

    from ..core.volume import Volume
    from ..editing.simulated_user import draw_stroke
    from ..editing.simulation import corrupt
    from ..mrml import files
    from ..phantoms import make_phantom

    progress(0.0, "making a phantom")
    phantom = make_phantom(FAMILY, SEED, (SIZE, SIZE, SIZE))
    rng = np.random.default_rng(SEED)
    wrong, _ = corrupt(phantom.target, rng, ERROR_RADIUS, phantom.image, centre=(SIZE / 2,) * 3)
    stroke = draw_stroke(phantom.target, wrong, None)
    if stroke is None:
        raise InputError(f"Phantom {SEED} of the family {FAMILY} has no error that a stroke can correct.")
    # As scanners store it: the first voxel right, in front and below; I to the left, J to the back.
    to_ras = np.diag([-SPACING_MM, -SPACING_MM, SPACING_MM, 1.0])
    to_ras[:3, 3] = np.array([SIZE, SIZE, -SIZE]) * SPACING_MM / 2
    image = Volume(phantom.image, to_ras, "image")
    task = Edit(
        image=folder / "image.nrrd",
        segmentation=folder / "before.seg.nrrd",
        strokes=[folder / "stroke.mrk.json"],
        output=folder / "corrected.seg.nrrd",
        picture=folder / "picture.png",
        report=folder / "report.json",
    )
    progress(0.2, "writing the phantom")
    files.write_volume(image, task.image)
    _write_segmentation(image.with_array(wrong.astype(np.uint8), "before"), task.segmentation)
    files.write_stroke(image.grid.to_ras(stroke.points[:, ::-1]), task.strokes[0])
    return task, image.with_array(phantom.target.astype(np.uint8), "truth")


def _write_segmentation(labelmap: Volume, path: Path) -> None:
    from ..mrml import files
    from ..mrml.headless import scene
    from ..mrml.labelmaps import segmentation_from_labelmap

    node = segmentation_from_labelmap(labelmap)
    segmentation = node.GetSegmentation()
    segmentation.GetSegment(segmentation.GetSegmentIDs()[0]).SetName("kidney")
    try:
        files.write_segmentation(node, path)
    finally:
        scene().RemoveNode(node)
