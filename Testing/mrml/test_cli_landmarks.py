"""`sparse-to-precise landmarks` on files: teach, find, compare; what it writes, says and refuses."""

from __future__ import annotations

import contextlib
import csv
import errno
import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("slicer")
pytest.importorskip("torch")

from landmark_cases import GRIDS, MOVED, ORIGIN, TURN, grid_around, image_on, landmarks, reference

from cli_files import CommandLine, snapshot
from SparseToPreciseLib.core.progress import Progress
from SparseToPreciseLib.core.volume import Volume
from SparseToPreciseLib.landmarks.localize import Place
from SparseToPreciseLib.landmarks.model import load_template
from SparseToPreciseLib.mrml import files
from SparseToPreciseLib.mrml.landmark_lists import landmarks_to_node, read_landmarks, write_landmarks

TRUTH = landmarks(TURN, MOVED)
FEW = ("--steps", 3)


@pytest.fixture(scope="session")
def landmark_files(tmp_path_factory, landmark_template: Path) -> Path:
    """A template and the files that it was taught from, and three targets."""
    from SparseToPreciseLib.mrml import headless

    headless.scene()
    folder = tmp_path_factory.mktemp("landmarks")
    shutil.copytree(landmark_template, folder / "template")
    first = reference()
    files.write_volume(first.image, folder / "ref.nrrd")
    files.write_volume(first.soi, folder / "soi.nrrd")
    write_landmarks(landmarks_to_node(first.landmarks), folder / "points.mrk.json")
    (folder / "targets").mkdir()
    files.write_volume(image_on(GRIDS["axis-aligned"], TURN, MOVED), folder / "targets" / "a.nrrd")
    files.write_volume(image_on(GRIDS["oblique"], TURN, MOVED), folder / "targets" / "b.nrrd")
    grid = grid_around(MOVED, half_mm=12)  # few places to search, where nothing is found
    noise = np.random.default_rng(1).normal(size=grid.shape).astype(np.float32)
    files.write_volume(Volume(noise, grid.ijk_to_ras), folder / "targets" / "noise.nrrd")
    return folder


@pytest.fixture
def folder(landmark_files: Path, tmp_path: Path, scene) -> Path:
    return Path(shutil.copytree(landmark_files, tmp_path / "case"))


@pytest.fixture
def cli(capfd, folder: Path) -> CommandLine:
    return CommandLine(capfd, folder)


def rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "landmarks.csv", newline="") as file:
        return list(csv.DictReader(file))


class TestDetect:
    def test_a_folder_of_targets_with_everything(self, cli: CommandLine, folder: Path) -> None:
        image = sitk.GetImageFromArray(np.zeros((20, 20), np.float32))
        sitk.WriteImage(image, str(folder / "targets" / "flat.nrrd"))
        more = ("--report", folder / "r.json", "--picture", folder / "p.png", "--device", "cpu")
        given = (folder / "template", folder / "targets", "-o", folder / "out")
        answer = cli.succeeds("landmarks", "detect", *given, *more)
        assert "flat" in answer.out and "2D image" in answer.out
        for name in "ab":
            found = read_landmarks(folder / "out" / f"{name}.mrk.json")
            for label, point in TRUTH.items():
                assert np.linalg.norm(found[label] - point) < 1.8
        assert read_landmarks(folder / "out" / "noise.mrk.json") == {}
        (markup,) = json.loads((folder / "out" / "noise.mrk.json").read_text())["markups"]
        assert all("unplaced" in point["description"] for point in markup["controlPoints"])
        assert not (folder / "out" / "flat.mrk.json").exists()

        status = {(row["target"], row["landmark"]): row["status"] for row in rows(folder / "out")}
        assert len(status) == 12
        wanted = {"a": "placed", "b": "placed", "noise": "unplaced", "flat": "failed"}
        assert all(value == wanted[target] for (target, _), value in status.items())
        report = json.loads((folder / "r.json").read_text())
        by_name = {one["name"]: one for one in report["targets"]}
        assert "2D image" in by_name["flat"]["error"]
        assert by_name["a"]["stages"]["references"][0]["rigid"]["score"] > 0.5
        assert (folder / "p.png").read_bytes().startswith(b"\x89PNG")

    def test_progress_for_programs(self, cli: CommandLine, folder: Path) -> None:
        target = folder / "targets" / "a.nrrd"
        options = ("--seed-point", ",".join(str(v) for v in MOVED), "--progress", "json", "--device", "cpu")
        answer = cli.succeeds("landmarks", "detect", folder / "template", target, "-o", folder / "out", *options)
        lines = [json.loads(line) for line in answer.out.splitlines()]
        assert lines[-1]["result"]["targets"][0]["landmarks"][0]["name"] == "big"
        fractions = [line["fraction"] for line in lines]
        assert fractions == sorted(fractions) and any("a: " in line["message"] or line["message"] for line in lines)

    def test_stages_and_mirror(self, cli: CommandLine, folder: Path) -> None:
        target = folder / "targets" / "a.nrrd"
        written = folder / "out" / "r.json"
        options = ("--stages", "localize, pose", "--mirror", "no", "--device", "cpu", "--report", written)
        cli.succeeds("landmarks", "detect", folder / "template", target, "-o", folder / "out", *options)
        report = json.loads(written.read_text())
        assert list(report["targets"][0]["stages"]["references"][0]) == ["pose"]

    def test_refused(self, cli: CommandLine, folder: Path) -> None:
        target, template = folder / "targets" / "a.nrrd", folder / "template"

        def sentence(*more: object, given=(template, target), out="out") -> str:
            return cli.refuses("landmarks", "detect", *given, "-o", folder / out, "--device", "cpu", *more)

        assert "--stages takes some of" in sentence("--stages", "dance")
        assert "three numbers of millimetres R,A,S, not '1,2'" in sentence("--seed-point", "1,2")
        assert "lies outside a" in sentence("--seed-point", "900,0,0")
        assert "There is no bundle nothing" in sentence(given=("nothing", target))
        assert "none.nrrd does not exist" in sentence(given=(template, folder / "none.nrrd"))
        assert "is a file; name a folder" in sentence(out="ref.nrrd")
        (folder / "empty").mkdir()
        assert "holds no images" in sentence(given=(template, folder / "empty"))
        files.write_volume(image_on(GRIDS["LAS"]), folder / "a.nrrd")
        assert "would both write a.mrk.json" in sentence(given=(template, target, folder / "a.nrrd"))
        assert "must end with .png" in sentence("--picture", folder / "p.jpg")
        assert "Could not make the folder /proc/new" in sentence(out="/proc/new")
        own = folder / "targets" / "a.mrk.json"
        own.write_text("my own")
        assert "lies beside its image and would be overwritten" in sentence(out="targets")
        assert own.read_text() == "my own"
        own.unlink()
        image = folder / "template" / "references" / "0" / "image.nrrd"
        image.write_bytes(image.read_bytes()[:-1] + b"x")
        assert "references/0/image.nrrd was changed" in sentence()

    def test_disk_full(self, cli: CommandLine, folder: Path, monkeypatch) -> None:
        from SparseToPreciseLib.core import files as core_files

        def full(path: Path) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(core_files, "_flush", full)
        given = (folder / "template", folder / "targets" / "a.nrrd", "-o", folder / "out")
        sentence = cli.refuses("landmarks", "detect", *given, "--stages", "localize")
        assert "the disk is full" in sentence

    def test_a_stopped_batch_loses_nothing_and_goes_on(self, cli: CommandLine, folder: Path, monkeypatch) -> None:
        from SparseToPreciseLib.landmarks import detect as module

        real, asked = module.detect, []

        def detect(template, image, **options):
            asked.append(image.name)
            if len(asked) == 2:
                signal.raise_signal(signal.SIGINT)
            return real(template, image, **options)

        monkeypatch.setattr(module, "detect", detect)
        given = ("landmarks", "detect", folder / "template", folder / "targets", "-o", folder / "out")
        given += ("--stages", "localize,pose", "--device", "cpu", "--report", folder / "r.json")
        answer = cli(*given)
        assert answer.code == 128 + signal.SIGINT
        out = folder / "out"
        left = f"the landmarks of 1 of 3 targets are in {out}; the same command goes on from there."
        assert answer.error == f"Stopped; {left}\n"
        assert sorted(path.name for path in out.iterdir()) == [".landmarks-unfinished.jsonl", "a.mrk.json"]
        first = (out / "a.mrk.json").read_bytes()
        answer = cli.succeeds(*given, "--picture", folder / "p.png")
        assert asked == ["a", "b", "b", "noise"]
        assert (out / "a.mrk.json").read_bytes() == first
        names = ["a.mrk.json", "b.mrk.json", "landmarks.csv", "noise.mrk.json"]
        assert sorted(path.name for path in out.iterdir()) == names
        went_on, table = json.loads((folder / "r.json").read_text()), (out / "landmarks.csv").read_bytes()
        # Complete: the next run begins anew, and gives the same.
        cli.succeeds(*given)
        assert asked[4:] == ["a", "b", "noise"] and (out / "landmarks.csv").read_bytes() == table
        again = json.loads((folder / "r.json").read_text())
        for one, other in zip(went_on["targets"], again["targets"], strict=True):
            assert {**one, "timings": 0} == {**other, "timings": 0}

    def test_other_options_or_another_image_begin_anew(self, folder: Path) -> None:
        from SparseToPreciseLib.tasks.journal import Journal

        path, image = folder / "journal", folder / "targets" / "a.nrrd"
        Journal(path, {"stages": ["pose"]}).add(image, {"found": [1.25]})
        assert Journal(path, {"stages": ["pose"]}).entry(image) == {"found": [1.25]}
        assert Journal(path, {"stages": ["rigid"]}).entry(image) is None
        with open(path, "a") as file:  # a run that was killed while it wrote
            file.write('{"half')
        assert Journal(path, {"stages": ["pose"]}).entry(image) == {"found": [1.25]}
        shutil.copyfile(folder / "targets" / "b.nrrd", image)
        assert Journal(path, {"stages": ["pose"]}).entry(image) is None

    def test_many_unplaced_landmarks_are_counted(self) -> None:
        from SparseToPreciseLib.landmarks.fusion import Landmark
        from SparseToPreciseLib.tasks.landmarks_target import TargetOutcome

        unplaced = [Landmark(f"L{number}", None, 0.1, f"reason {number}") for number in range(3)]
        found = TargetOutcome(Path("a.nrrd"), "a", landmarks=[Landmark("P", ORIGIN, 0.75), *unplaced], mass=0.5)
        assert found.row == ("a", "1 of 4", "0.75", "0.50", "0.0", "3 unplaced")

    def test_a_template_that_was_tampered_with_is_not_in_order(self, cli: CommandLine, folder: Path) -> None:
        template = folder / "template"
        assert "is in order" in cli.succeeds("models", "verify", template).out
        metadata = template / "configs" / "metadata.json"
        before = metadata.read_text()
        content = json.loads(before)
        content["parameters"]["diameter_mm"] = -1
        metadata.write_text(json.dumps(content))
        assert "is refused" in cli.refuses("models", "verify", template)
        metadata.write_text(before)
        image = template / "references" / "0" / "image.nrrd"
        image.write_bytes(image.read_bytes()[:-1] + b"x")
        assert "references/0/image.nrrd was changed" in cli.refuses("models", "verify", template)


def lesson(folder: Path) -> tuple[object, ...]:
    """Arguments of `landmarks train`."""
    return folder / "ref.nrrd", folder / "points.mrk.json", "--soi", folder / "soi.nrrd", "-o", folder / "new"


def place(*_) -> Place:
    """Where the structure is, for a network that has learnt nothing."""
    first = reference()
    return Place(first.centre, 1.0, first.moments, None)


class TestTrain:
    def test_from_files(self, cli: CommandLine, folder: Path, monkeypatch) -> None:
        monkeypatch.setattr("SparseToPreciseLib.landmarks.recipe.place_in", place)
        given = lesson(folder)
        other = f"{folder / 'ref.nrrd'}:{folder / 'points.mrk.json'}:{folder / 'soi.nrrd'}"
        validation = ("--validation-image", folder / "ref.nrrd", "--validation-soi", folder / "soi.nrrd")
        answer = cli.succeeds("landmarks", "train", *given, *FEW, "--reference", other, *validation)
        assert "another image" in answer.out and "holds the reference image" in answer.out
        metadata = json.loads((folder / "new" / "configs" / "metadata.json").read_text())
        assert metadata["training"]["references"] == 2 and metadata["parameters"]["landmarks"] == list(TRUTH)
        assert (folder / "new" / "references" / "1" / "image.nrrd").is_file()

    @pytest.mark.parametrize("keep", [True, False])
    def test_ctrl_c(self, cli: CommandLine, folder: Path, monkeypatch, keep: bool) -> None:
        """The first one ends a training that is to keep its weights; any other training leaves nothing."""

        def after_some_steps(row: dict) -> dict:
            if row["steps"] > 0:
                signal.raise_signal(signal.SIGINT)
            return row

        monkeypatch.setattr("SparseToPreciseLib.landmarks.recipe.place_in", place)
        monkeypatch.setattr("SparseToPreciseLib.cli.train_options.without_nan", after_some_steps)
        before = snapshot(folder)
        options = ["--steps", 40, "--device", "cpu"] + ["--keep-on-cancel"] * keep
        answer = cli("landmarks", "train", *lesson(folder), *options)
        if not keep:
            assert answer.code == 128 + signal.SIGINT and snapshot(folder) == before
            return
        assert answer.code == 0 and "Ended early" in answer.out
        trained = json.loads((folder / "new" / "configs" / "metadata.json").read_text())["training"]
        assert trained["cancelled"] and 0 < trained["steps"] < 40
        assert load_template(folder / "new", "cpu").landmarks == list(TRUTH)

    @pytest.mark.parametrize("keep", [True, False])
    def test_a_request_that_was_swallowed_is_heard(self, cli: CommandLine, folder: Path, monkeypatch, keep) -> None:
        def swallow_and_ask(family, output, *, progress: Progress, **given) -> None:
            with contextlib.suppress(BaseException):
                signal.raise_signal(signal.SIGTERM)
            progress.part(0.1, 0.9).check()

        monkeypatch.setattr("SparseToPreciseLib.core.training.recipe.train", swallow_and_ask)
        answer = cli("landmarks", "train", *lesson(folder), *["--keep-on-cancel"] * keep)
        assert (answer.code, answer.error) == (128 + signal.SIGTERM, "Stopped; nothing was written.\n")

    def test_ctrl_c_before_there_is_anything_to_keep(self, cli: CommandLine, folder: Path, monkeypatch) -> None:
        monkeypatch.setattr(
            "SparseToPreciseLib.landmarks.recipe.checked_together", lambda given: signal.raise_signal(signal.SIGINT)
        )
        sentence = cli.refuses("landmarks", "train", *lesson(folder), "--keep-on-cancel")
        assert sentence == "The training was ended before there was anything to keep; nothing was written."

    def test_refused(self, cli: CommandLine, folder: Path) -> None:
        def sentence(*more, image="ref.nrrd", points="points.mrk.json", soi="soi.nrrd", out="new") -> str:
            given = (folder / image, folder / points, "--soi", folder / soi, "-o", folder / out)
            return cli.refuses("landmarks", "train", *given, "--device", "cpu", *FEW, *more)

        def stored(**points) -> str:
            named = {name: np.array(point, float) for name, point in points.items()}
            write_landmarks(landmarks_to_node(named), folder / "p.mrk.json")
            return "p.mrk.json"

        assert "There are no landmarks" in sentence(points=stored())
        assert "Landmark far at (400.00, 0.00, 0.00)" in sentence(points=stored(far=(400, 0, 0)))
        node = landmarks_to_node({"one": ORIGIN, "two": ORIGIN})
        node.SetNthControlPointLabel(1, "one")
        write_landmarks(node, folder / "p.mrk.json")
        assert "two landmarks called 'one'" in sentence(points="p.mrk.json")
        assert "does not exist" in sentence(points="none.fcsv")
        assert "has no segment Liver" in sentence("--segment", "Liver")
        soi = reference().soi
        files.write_volume(soi.with_array(np.zeros_like(soi.array)), folder / "zero.nrrd")
        assert "has no segments" in sentence(soi="zero.nrrd")
        files.write_volume(soi.with_array(np.ones_like(soi.array)), folder / "full.nrrd")
        assert "fills its image" in sentence(soi="full.nrrd")
        assert "belong together" in sentence("--validation-image", folder / "ref.nrrd")
        assert "takes IMAGE:LANDMARKS:SEG, not 'x'" in sentence("--reference", "x")
        assert "Minutes must be a positive number, not -1.0" in sentence("--minutes", "-1")
        assert "is no model bundle" in sentence(out="targets")

    def test_what_was_not_learnt_is_said(self, cli: CommandLine, folder: Path) -> None:
        answer = cli.succeeds("landmarks", "train", *lesson(folder), "--device", "cpu", *FEW)
        assert "did not learn to find" in answer.out


class TestEvaluate:
    def test_errors_by_name(self, cli: CommandLine, folder: Path) -> None:
        first = reference().landmarks
        moved = {name: point + (0, 3, 4) for name, point in first.items() if name != "horn"}
        write_landmarks(landmarks_to_node(moved), folder / "found.mrk.json")
        lists = (folder / "found.mrk.json", folder / "points.mrk.json")
        answer = cli.succeeds("landmarks", "evaluate", *lists, "--csv", folder / "e.csv")
        assert "5.000" in answer.out and "unplaced" in answer.out
        assert (folder / "e.csv").read_text().splitlines() == ["landmark,error_mm", "big,5.0000", "tip,5.0000", "horn,"]
        answer = cli.succeeds("landmarks", "evaluate", *lists, "--progress", "json")
        assert json.loads(answer.out.splitlines()[-1])["result"]["mean_mm"] == pytest.approx(5)

    def test_refused(self, cli: CommandLine, folder: Path) -> None:
        write_landmarks(landmarks_to_node({"other": ORIGIN}), folder / "found.mrk.json")
        sentence = cli.refuses("landmarks", "evaluate", folder / "found.mrk.json", folder / "points.mrk.json")
        assert "No name is in both lists" in sentence
