"""The editing benchmark: its counts and rivals, and one tiny run from end to end."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import benchmarks
import numpy as np
import pytest
from benchmarks.harness import Benchmark

from SparseToPreciseLib.core.volume import Volume

ROOT = Path(__file__).resolve().parents[2]
RADIUS = 8.0


@pytest.fixture(autouse=True)
def _needs_slicer():
    pytest.importorskip("slicer")


@pytest.fixture
def ball():
    """Image, truth, a segmentation whose cap at high I is missing, and the stroke that shows where it was."""
    k, j, i = np.indices((40, 40, 40)) - 20.0
    inside = k**2 + j**2 + i**2 < 12**2
    matrix = np.eye(4)
    image = Volume(np.where(inside, 100.0, 10.0).astype(np.float32), matrix)
    angles = np.linspace(-0.5, 0.5, 9)
    stroke = np.stack([20 + 12 * np.cos(angles), 20 + 12 * np.sin(angles), np.full(9, 20.0)], axis=1)
    return image, Volume(inside, matrix), Volume(inside & (i < 7), matrix), stroke


def test_a_voxel_beyond_the_radius_is_counted(ball):
    from benchmarks.editing.answers import changed_outside

    _, truth, current, stroke = ball
    grid, before = truth.grid, current.array
    after = before.copy()
    after[20, 20, 32 + int(RADIUS) - 1] = True  # nearer than the radius
    assert changed_outside(grid, before, after, stroke, RADIUS) == 0
    after[20, 20, 2] = True
    assert changed_outside(grid, before, after, stroke, RADIUS) == 1


@pytest.mark.parametrize("erases", [False, True], ids=["adds", "erases"])
def test_rivals_mend_the_cap_and_stay_in_the_zone(ball, erases):
    from benchmarks.editing.answers import changed_outside
    from benchmarks.editing.rivals import grow_from_seeds, sphere_brush

    image, truth, current, stroke = ball
    if erases:  # the old segmentation reaches four voxels too far instead
        i = np.arange(40)[None, None, :] - 20
        j = np.arange(40)[None, :, None] - 20
        k = np.arange(40)[:, None, None] - 20
        current = truth.with_array(truth.array | ((k**2 + j**2 < 36) & (i > 0) & (i < 16)))
    wrong = np.count_nonzero(truth.array ^ current.array)
    for answer in (
        sphere_brush(truth, current, stroke, RADIUS),
        grow_from_seeds(image, truth, current, stroke, RADIUS),
    ):
        assert np.count_nonzero(truth.array ^ answer) < 0.7 * wrong
        assert changed_outside(truth.grid, current.array, answer, stroke, RADIUS) == 0


def test_no_rival_changes_what_it_was_given(ball):
    from benchmarks.editing.rivals import grow_from_seeds, sphere_brush

    image, truth, current, stroke = ball
    before = current.array.copy()
    sphere_brush(truth, current, stroke, RADIUS)
    grow_from_seeds(image, truth, current, stroke, RADIUS)
    np.testing.assert_array_equal(current.array, before)


def test_the_interval_of_a_constant_difference_is_that_difference():
    from benchmarks.editing.scores import paired_interval

    first = [{"case": n, "name": n % 3, "dice": 0.8 + n / 100} for n in range(12)]
    second = [{**record, "dice": record["dice"] - 0.05} for record in reversed(first)]
    found = paired_interval(first, second, "dice")
    np.testing.assert_allclose(list(found.values()), 0.05, atol=1e-12)


def test_intercnn_sees_its_own_answer_and_all_strokes_so_far():
    import torch
    from benchmarks.editing.intercnn import STEPS, InterCNNTrainer

    from SparseToPreciseLib.core.training.loop import LoopOptions
    from SparseToPreciseLib.editing.cases import FIELDS
    from SparseToPreciseLib.editing.network import PAPER_INPUTS, NetworkForm

    size = 16
    case = {name: np.zeros((size,) * 3, np.float32) for name in FIELDS}
    case["truth"][4:12, 4:12, 4:12] = 1
    trainer = InterCNNTrainer(
        torch.nn.Conv3d(3, 1, 1),
        NetworkForm(PAPER_INPUTS, False),
        "cross-entropy",
        [case],
        [case],
        LoopOptions(batch_size=1, steps=1),
    )
    rng = np.random.default_rng(0)
    given = trainer._batch(rng)
    assert given["guidance"].max() == 0
    last = given["guidance"]
    answer = torch.full((1, 1, size, size, size), -1.0, requires_grad=True)
    for _ in range(STEPS - 1):
        trainer.objective(answer + torch.rand_like(answer) * 1.1, given)
        given = trainer._batch(rng)
        assert (given["guidance"] >= last).all()
        assert given["guidance"].max() > 0.9
        assert given["mask"].any()
        last = given["guidance"]
    trainer.objective(answer, given)
    assert trainer._batch(rng)["guidance"].max() == 0  # a new case


def _run(cache: Path, output: Path, *options: str) -> str:
    command = [sys.executable, "-m", "benchmarks.editing", "--size", "tiny", "--workers", "1"]
    command += ["--cache", cache, "--output", output, *options]
    done = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return (output / "editing.md").read_text(encoding="utf-8")


def test_a_tiny_run_writes_the_page_and_its_numbers(tmp_path):
    output = tmp_path / "docs" / "benchmarks"
    page = _run(tmp_path, output, "--only", "promise,phantoms")
    assert "**0 voxels** changed outside" in page
    assert "| sphere brush |" in page and "image-aware warp" in page
    assert "Not trained on this machine" in page
    assert page.count("Not part of this run.") == 7
    numbers = json.loads((output / "editing.json").read_text(encoding="utf-8"))
    assert numbers["sections"]["phantoms"]["cases"] == 3
    rows = {row["row"]: row for row in numbers["sections"]["phantoms"]["summary"]}
    assert rows["none"]["removed_median"] == 0
    assert all(entry["outside"] == 0 for entry in numbers["sections"]["promise"]["tally"].values())

    # Results of another seed do not get onto the same page.
    page = _run(tmp_path, output, "--only", "promise", "--seed", "1")
    assert "the last results are of other code, weights or settings" in page
    assert "| sphere brush |" not in page


def test_only_whole_sources_for_tests_are_measured(tmp_path, monkeypatch):
    from benchmarks.editing import section_sources
    from benchmarks.editing.context import TINY, Context
    from edit_cases import case_on, grid_around

    from SparseToPreciseLib.core.images import write_image

    case = case_on(grid_around((1.5, 1.5, 3.0)))
    write_image(case.image, tmp_path / "image.nrrd")
    write_image(case.truth.with_array(case.truth.array.astype("uint8")), tmp_path / "label.nrrd")
    lines = [("a", "kept", "test"), ("b", "learnt", "test"), ("c", "learnt", "train")]
    rows = "".join(f"{name}\timage.nrrd\tlabel.nrrd\t{source}\t{role}\n" for name, source, role in lines)
    (tmp_path / "table.tsv").write_text("name\timage\tlabel\tsource\trole\n" + rows)
    monkeypatch.setattr(section_sources, "ANATOMY", tmp_path)
    monkeypatch.setattr(section_sources, "ROWS", ("none", "image-aware-warp", "residual"))
    found = section_sources.run(Context(TINY, 0, 1, tmp_path / "cache", "cpu", tmp_path))
    assert list(found["sources"]) == ["kept"] and found["structures"] == 1 and found["cases"] >= 1
    assert found["all"]["none"]["dice_change"] == 0 and found["all"]["image-aware-warp"]["off_target"] == 0
    page = section_sources.render(found)
    assert "| kept |" in page and "the goal of 50 % is" in page


def test_boxes_around_structures_of_sources_for_tests(tmp_path, monkeypatch):
    from benchmarks.boxes import section_sources
    from benchmarks.boxes.context import QUICK, Context
    from edit_cases import case_on, grid_around

    from SparseToPreciseLib.boxes.corrector.model import load_corrector
    from SparseToPreciseLib.core.images import write_image

    case = case_on(grid_around((1.5, 1.5, 3.0)))
    write_image(case.image, tmp_path / "image.nrrd")
    write_image(case.truth.with_array(case.truth.array.astype("uint8")), tmp_path / "label.nrrd")
    rows = "name\timage\tlabel\tsource\trole\na\timage.nrrd\tlabel.nrrd\tkept\ttest\n"
    (tmp_path / "table.tsv").write_text(rows)
    monkeypatch.setattr(section_sources, "ANATOMY", tmp_path)
    monkeypatch.setattr(section_sources, "MARGINS", (0.25,))
    found = section_sources.run(Context(QUICK, tmp_path, tmp_path, 0, load_corrector(None, "cpu")))
    means = {name: by["0.25"] for name, by in found["segmented"]["kept"].items()}
    assert means["default segmenter"] > 0.7 > means["box"]
    rows = {name: by["0.25"] for name, by in found["tightened"].items()}
    assert rows["corrector, coverage 0.9"]["iou"] > rows["corrector"]["iou"] > rows["loose box"]["iou"]
    page = section_sources.render(found)
    assert "the worst source at 25 % is kept" in page and "| segmenter from boxes alone |" in page


BENCHMARKS = sorted(path.parent.name for path in Path(benchmarks.__file__).parent.glob("*/__main__.py"))


@pytest.mark.parametrize("family", BENCHMARKS)
def test_every_benchmark_names_its_sections_and_each_has_its_parts(family: str):
    main = import_module(f"benchmarks.{family}.__main__")
    for name, section in main.BENCHMARK.sections.items():
        assert section.TITLE and callable(section.run) and callable(section.render), name
    assert "python -m benchmarks." + family in main.BENCHMARK.parser("").format_usage()


def _section(title: str, value: float):
    def run(context):
        return {"value": value, "records": [1], "missing": float("nan")}

    return SimpleNamespace(TITLE=title, run=run, render=lambda found: f"It is {found['value']:g}.")


def test_a_page_holds_what_was_measured_now_and_before_and_tells_what_was_not(tmp_path, capsys):
    first, second, third = (_section(name, value) for name, value in (("One", 1.0), ("Two", 2.0), ("Three", 3.0)))
    first.verdict = lambda found: ["falls short"]
    benchmark = Benchmark("toys", "Toys", "Small.", {"a": first, "b": second, "c": third}, lambda entries, stamp: ["x"])
    benchmark.measure("a", None, {"seed": (0, 1)}, tmp_path)
    benchmark.measure("b", None, {"seed": (0, 2)}, tmp_path)
    page = benchmark.write({"seed": (0, 1)}, tmp_path, tmp_path / "pages").read_text(encoding="utf-8")
    assert "## One\n\nIt is 1." in page and "- falls short" in page and "- x" in page
    assert "## Two\n\nNot part of this run: the last results are of other code" in page
    assert "## Three\n\nNot part of this run.\n" in page
    numbers = json.loads((tmp_path / "pages" / "toys.json").read_text(encoding="utf-8"))
    assert numbers["sections"] == {"a": {"value": 1.0, "missing": None}}
