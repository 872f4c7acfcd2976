"""Tasks: the examples of their docstrings run, and options are what the fields say."""

from __future__ import annotations

import dataclasses
import doctest
import importlib
import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("slicer")
pytest.importorskip("torch")

from landmark_cases import GRIDS, MOVED, TURN, image_on, reference
from synthesis_cases import GRID, ct_on, mr_on

from SparseToPreciseLib import tasks
from SparseToPreciseLib.cli.main import app
from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.mrml import files
from SparseToPreciseLib.mrml.labelmaps import segmentation_from_labelmap
from SparseToPreciseLib.mrml.landmark_lists import landmarks_to_node, write_landmarks
from SparseToPreciseLib.mrml.segmentations import segment_to_volume
from SparseToPreciseLib.tasks import (
    benchmark,
    box_evaluate,
    box_segment,
    box_tighten,
    compare,
    demo,
    edit,
    landmarks_detect,
    landmarks_evaluate,
    planes_fill,
    planes_suggest,
    synthesize,
    synthesize_evaluate,
)


@pytest.fixture
def files_of_examples(case_template, box_template, landmark_template, tmp_path, scene, monkeypatch):
    """Puts what a module's examples read into the current folder."""

    def put(name: str) -> None:
        if name.startswith("box"):
            shutil.copytree(box_template, tmp_path, dirs_exist_ok=True)
        elif name.startswith("landmarks"):
            shutil.copytree(landmark_template, tmp_path / "template")
            write_landmarks(landmarks_to_node(reference().landmarks), tmp_path / "points.mrk.json")
            (tmp_path / "targets").mkdir()
            files.write_volume(image_on(GRIDS["axis-aligned"], TURN, MOVED), tmp_path / "targets" / "a.nrrd")
        elif name.startswith("synthesize"):
            files.write_volume(mr_on(GRID), tmp_path / "mr.nrrd")
            files.write_volume(ct_on(GRID), tmp_path / "truth.nrrd")
        else:
            shutil.copytree(case_template, tmp_path, dirs_exist_ok=True)
        if name.startswith("planes"):
            node = files.read_segmentation(tmp_path / "labels.nii.gz")
            ball = segment_to_volume(node, "Segment_3")
            ball.array[[k for k in range(ball.shape[0]) if k % 6 != 3]] = 0
            files.write_segmentation(segmentation_from_labelmap(ball), tmp_path / "painted.seg.nrrd")
        monkeypatch.chdir(tmp_path)

    return put


WITH_EXAMPLES = sorted(
    path.stem for path in Path(tasks.__file__).parent.glob("*.py") if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_run(name: str, files_of_examples, tmp_path: Path) -> None:
    files_of_examples(name)
    result = doctest.testmod(importlib.import_module(f"{tasks.__name__}.{name}"))
    assert result.attempted and not result.failed


def command_of(*names: str):
    from typer.main import get_command

    found = get_command(app)
    for name in names:
        found = found.commands[name]
    return found


@pytest.mark.parametrize(
    ("former", "present"),
    [
        (("box", "evaluate"), ("evaluate", "boxes")),
        (("landmarks", "evaluate"), ("evaluate", "landmarks")),
        (("synthesize-evaluate",), ("evaluate", "synthesis")),
    ],
)
def test_an_evaluation_has_two_names(former: tuple[str, ...], present: tuple[str, ...]) -> None:
    one, other = command_of(*former), command_of(*present)
    assert one.help == other.help and one.help
    assert [parameter.opts for parameter in one.params] == [parameter.opts for parameter in other.params]


@pytest.mark.parametrize(
    ("names", "task"),
    [
        (("edit",), edit.Edit),
        (("box", "tighten"), box_tighten.TightenBox),
        (("box", "segment"), box_segment.SegmentBox),
        (("evaluate", "boxes"), box_evaluate.EvaluateBox),
        (("landmarks", "detect"), landmarks_detect.DetectLandmarks),
        (("evaluate", "landmarks"), landmarks_evaluate.EvaluateLandmarks),
        (("synthesize",), synthesize.Synthesize),
        (("evaluate", "synthesis"), synthesize_evaluate.EvaluateSynthesis),
        (("compare",), compare.Compare),
        (("planes", "fill"), planes_fill.FillPlanes),
        (("planes", "suggest"), planes_suggest.SuggestPlane),
        (("demo",), demo.Demo),
        (("benchmark",), benchmark.Benchmark),
    ],
)
def test_a_command_has_the_fields_of_its_task_and_the_progress(names: tuple[str, ...], task: type) -> None:
    command = command_of(*names)
    fields = [field.name for field in dataclasses.fields(task)]
    assert [parameter.name for parameter in command.params] == [*fields, "progress"]
    assert all(parameter.help for parameter in command.params)
    assert task.__doc__.startswith(command.help.splitlines()[0]) and ">>>" not in command.help


def test_the_benchmark_of_this_computer_writes_what_it_shows(tmp_path, monkeypatch) -> None:
    row = {"first_s": 2.0, "again_s": 1.0, "peak_mb": None, "device": "cpu", "model": "mine"}
    monkeypatch.setattr(benchmark, "_of_a_child", lambda name, device: row)
    outcome = benchmark.Benchmark(report=tmp_path / "r.json").run()
    assert json.loads((tmp_path / "r.json").read_text())["works"] == [{"work": name, **row} for name in benchmark.WORKS]
    assert outcome.shown()[0].row_count == len(benchmark.WORKS)


def test_the_benchmark_of_this_computer_says_what_failed() -> None:
    with pytest.raises(InputError, match="There is no 'walk' to measure; choose from edit, box tighten"):
        benchmark.Benchmark(only=("walk",)).run()
    with pytest.raises(InputError, match="Measuring walk failed: KeyError: 'walk'."):
        benchmark._of_a_child("walk", "cpu")
