"""A case on disk for the tests of the command line, and how they call it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from box_cases import GRID as BOX_GRID
from box_cases import LOOSE, image_on, mask_on
from edit_cases import CENTRE, Case, case_on, grid_around

from SparseToPreciseLib.cli.main import run
from SparseToPreciseLib.core.volume import Grid, Volume

LIBRARY = Path(__file__).resolve().parents[2] / "SparseToPrecise"
GRID = grid_around((1.5, 1.5, 1.5), half_mm=27)
RADIUS = "12"


@dataclass
class Answer:
    """What a call of the command line gave."""

    code: int
    out: str
    error: str


class CommandLine:
    """Calls the command line in this process, and checks what a refusal must be."""

    def __init__(self, capfd: pytest.CaptureFixture[str], folder: Path) -> None:
        self.capfd = capfd
        self.folder = folder

    def __call__(self, *arguments: object) -> Answer:
        self.capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        return Answer(code, *self.capfd.readouterr())

    def succeeds(self, *arguments: object) -> Answer:
        answer = self(*arguments)
        assert (answer.code, answer.error) == (0, "")
        return answer

    def refuses(self, *arguments: object) -> str:
        """The sentence on stderr, after checking that it is one line, and that no file is new or different."""
        before = snapshot(self.folder)
        answer = self(*arguments)
        assert answer.code == 2, answer
        assert answer.out == ""
        assert answer.error.endswith("\n") and answer.error.count("\n") == 1, answer.error
        assert snapshot(self.folder) == before
        return answer.error.strip()


def stopped_at(moment: str, number: signal.Signals, *command: object, group: bool = False) -> Answer:
    """What a process gives that gets a signal as soon as its progress tells of a moment.

    Parameters
    ----------
    moment
        A part of a message.
    command
        What Python is given; with --progress json.
    group
        The signal is for the processes that it has started, too, as a terminal's Ctrl-C.
    """
    process = subprocess.Popen(
        [sys.executable, *map(str, command)],
        env=os.environ | {"PYTHONPATH": str(LIBRARY), "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    for line in process.stdout:
        if moment in json.loads(line)["message"]:
            (os.killpg if group else os.kill)(process.pid, number)
            break
    else:
        pytest.fail(f"the command never said {moment}: {process.stderr.read()}")
    out, error = process.communicate(timeout=120)
    return Answer(process.returncode, out, error)


def snapshot(folder: Path) -> dict[Path, bytes | None]:
    """Every file below a folder with its content."""
    return {path: path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


def labels_of(case: Case) -> Volume:
    """The ball as label 3, a slab through its dent as label 7, both in one labelmap."""
    points = case.before.grid.points_ras()
    labels = np.where(case.before.array != 0, 3, 0).astype(np.int16)
    slab = (np.abs(points[..., 2] - CENTRE[2]) < 4) & (points[..., 0] > CENTRE[0] + 13)
    labels[slab & (labels == 0)] = 7
    return case.before.with_array(labels, "labels")


def write_case(folder: Path, case: Case | None = None) -> Case:
    """image.nrrd, ball.seg.nrrd (ball and slab), labels.nii.gz, stroke.mrk.json and stroke.fcsv."""
    from SparseToPreciseLib.mrml import files
    from SparseToPreciseLib.mrml.headless import scene
    from SparseToPreciseLib.mrml.labelmaps import segmentation_from_labelmap

    case = case or case_on(GRID)
    labels = labels_of(case)
    files.write_volume(case.image, folder / "image.nrrd")
    files.write_volume(labels, folder / "labels.nii.gz")
    node = segmentation_from_labelmap(labels)
    segmentation = node.GetSegmentation()
    for segment_id, name, colour in (("Segment_3", "Ball", (0.9, 0.5, 0.1)), ("Segment_7", "Slab", (0.1, 0.5, 0.9))):
        segment = segmentation.GetSegment(segment_id)
        segment.SetName(name)
        segment.SetColor(*colour)
        segment.SetTag(
            "TerminologyEntry", f"Some category~SCT^123^Organ~SCT^{len(name)}^{name}~^^~Anatomic codes~^^~^^|"
        )
    files.write_segmentation(node, folder / "ball.seg.nrrd")
    scene().RemoveNode(node)
    files.write_stroke(case.stroke, folder / "stroke.mrk.json")
    files.write_stroke(case.stroke, folder / "stroke.fcsv")
    return case


def write_box_case(folder: Path, grid: Grid = BOX_GRID) -> None:
    """image.nrrd, mask.nrrd and loose.mrk.json of `box_cases`."""
    from SparseToPreciseLib.mrml import files
    from SparseToPreciseLib.mrml.headless import scene
    from SparseToPreciseLib.mrml.rois import roi_from_box, write_roi

    files.write_volume(image_on(grid), folder / "image.nrrd")
    files.write_volume(mask_on(grid), folder / "mask.nrrd")
    node = roi_from_box(LOOSE, "loose", color=(0.2, 0.7, 0.3))
    write_roi(node, folder / "loose.mrk.json")
    scene().RemoveNode(node)
