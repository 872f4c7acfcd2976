"""A case on disk for the tests of the command line, and how they call it."""

from __future__ import annotations

import json
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection
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


def stopped_at(
    moment: str,
    number: signal.Signals,
    *command: object,
    program: Path | None = None,
    group: bool = False,
    ready: bool = False,
) -> Answer:
    """What a process of the command line gives that gets a signal as soon as its progress tells of a moment.

    Parameters
    ----------
    moment
        A part of a message.
    command
        What it is given; with --progress json.
    program
        A file of Python to run in place of the command line's.
    group
        The signal is for the processes that it has started, too, as a terminal's Ctrl-C.
    ready
        For moments after all imports: the process is a copy of one that has imported what is heavy.
    """
    process = (_Copy if ready else _Fresh)(program, [str(part) for part in command])
    for line in process.stdout:
        if moment in json.loads(line)["message"]:
            (os.killpg if group else os.kill)(process.pid, number)
            break
    else:
        pytest.fail(f"the command never said {moment}: {process.stderr.read()}")
    out, error = process.communicate(timeout=120)
    return Answer(process.returncode, out, error)


class _Fresh(subprocess.Popen):
    """A process of Python in a session of its own."""

    def __init__(self, program: Path | None, arguments: list[str]) -> None:
        named = ["-m", run.__module__] if program is None else [program]
        super().__init__(
            [sys.executable, *named, *arguments],
            env=os.environ | {"PYTHONPATH": str(LIBRARY), "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


class _Copy:
    """The same without its imports, which take ten seconds: a fork of a process that did them once for all tests.

    That process runs nothing else, so that no thread and no scene of earlier tests is copied.
    """

    def __init__(self, program: Path | None, arguments: list[str]) -> None:
        forks = multiprocessing.get_context("forkserver")
        forks.set_forkserver_preload(["slicer", "monai", "torch._dynamo"])
        (out, its_out), (error, its_error) = forks.Pipe(duplex=False), forks.Pipe(duplex=False)
        given = (program, arguments, dict(os.environ), its_out, its_error)
        self._process = forks.Process(target=_as_main, args=given)
        self._process.start()
        its_out.close()
        its_error.close()
        self.pid = self._process.pid
        self.stdout, self.stderr = (os.fdopen(os.dup(pipe.fileno())) for pipe in (out, error))

    def communicate(self, timeout: float) -> tuple[str, str]:
        self._process.join(timeout)  # what it says after a signal fits into the pipes
        self._process.kill()
        with self.stdout, self.stderr:
            return self.stdout.read(), self.stderr.read()

    @property
    def returncode(self) -> int:
        return self._process.exitcode


def _as_main(
    program: Path | None, arguments: list[str], environment: dict[str, str], out: Connection, error: Connection
) -> None:
    """What the copy does."""
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    for number, pipe in ((1, out), (2, error)):
        os.dup2(pipe.fileno(), number)
        pipe.close()
    sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, closefd=False) for number in (1, 2))
    # As nobody's child: those of what nohup started, or of a shell in the background, ignore these.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if program is None:
        sys.exit(run(arguments))
    sys.argv[1:] = arguments
    runpy.run_path(str(program), run_name="__main__")


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
