"""The phantom case of the demonstration, written to files and edited from them as any other case."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..core.errors import InputError
from ..core.files import reason_of
from ..core.progress import Progress
from ..core.volume import Volume
from ..editing.metrics import average_surface_distance, dice
from ..editing.simulated_user import draw_stroke
from ..editing.simulation import corrupt
from ..mrml import files
from ..mrml.headless import scene
from ..mrml.labelmaps import segmentation_from_labelmap
from ..phantoms import make_phantom
from .edit import EditOutcome, EditRequest, edit_files

if TYPE_CHECKING:
    from rich.table import Table

FAMILY = "bean"  # kidney-like, and held out of all training
SEED = 22
SIZE = 96
SPACING_MM = 1.0
ERROR_RADIUS = 12.0


@dataclass(frozen=True)
class Demo:
    """What the demonstration made: the request, what came of it, and the truth (uint8 0/1)."""

    request: EditRequest
    outcome: EditOutcome
    truth: Volume


def make_demo(folder: Path, progress: Progress) -> Demo:
    """Write image.nrrd, before.seg.nrrd and stroke.mrk.json into a folder, and edit them.

    Raises
    ------
    InputError
        The folder cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"Could not make the folder {folder}: {reason_of(error)}.") from error
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
    request = EditRequest(
        image=folder / "image.nrrd",
        segmentation=folder / "before.seg.nrrd",
        strokes=[folder / "stroke.mrk.json"],
        output=folder / "corrected.seg.nrrd",
        picture=folder / "picture.png",
        report=folder / "report.json",
    )
    progress(0.2, "writing the phantom")
    files.write_volume(image, request.image)
    _write_segmentation(image.with_array(wrong.astype(np.uint8), "before"), request.segmentation)
    files.write_stroke(image.grid.to_ras(stroke.points[:, ::-1]), request.strokes[0])
    outcome = edit_files(request, progress.part(0.3, 1.0), truth=image.with_array(phantom.target.astype(np.uint8)))
    return Demo(request, outcome, image.with_array(phantom.target.astype(np.uint8), "truth"))


def comparison(made: Demo) -> Table:
    """Agreement with the truth before and after."""
    from rich.table import Table

    truth, spacing = made.truth.array, tuple(made.truth.grid.spacing_kji)
    table = Table(title="Against the phantom's truth")
    table.add_column("")
    for title in ("Dice", "average surface distance (mm)", "wrong voxels"):
        table.add_column(title, justify="right")
    for name, segment in (("before", made.outcome.before), ("after", made.outcome.after)):
        there = segment.resampled_to(made.truth.grid, "nearest", fill=0).array
        table.add_row(
            name,
            f"{dice(truth, there):.4f}",
            f"{average_surface_distance(truth, there, spacing):.3f}",
            f"{np.count_nonzero(truth != there)}",
        )
    return table


def _write_segmentation(labelmap: Volume, path: Path) -> None:
    node = segmentation_from_labelmap(labelmap)
    segmentation = node.GetSegmentation()
    segmentation.GetSegment(segmentation.GetSegmentIDs()[0]).SetName("kidney")
    try:
        files.write_segmentation(node, path)
    finally:
        scene().RemoveNode(node)
