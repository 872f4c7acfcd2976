"""Bad input on the command line: exit code 2, one sentence that names the value, nothing written."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from edit_cases import CENTRE, arc, case_on

from cli_files import GRID
from SparseToPreciseLib.mrml import files


@pytest.fixture
def refused(cli, folder: Path):
    """The sentence with which `edit` refuses the good case when some of its inputs are replaced."""

    def sentence(
        *more: object, image="image.nrrd", segmentation="ball.seg.nrrd", strokes=("stroke.fcsv",), out="o.nrrd"
    ):
        inputs = [folder / name for name in (image, segmentation, *strokes)]
        options = [] if "--segment" in more or segmentation != "ball.seg.nrrd" else ["--segment", "Ball"]
        return cli.refuses("edit", *inputs, "-o", folder / out, *options, *more)

    return sentence


class TestImage:
    def test_missing(self, refused) -> None:
        assert "nothing.nrrd does not exist" in refused(image="nothing.nrrd")

    def test_folder(self, refused, folder: Path) -> None:
        (folder / "folder.nrrd").mkdir()
        assert "folder.nrrd is a folder" in refused(image="folder.nrrd")

    def test_empty(self, refused, folder: Path) -> None:
        (folder / "empty.nrrd").touch()
        assert "empty.nrrd is empty (0 bytes)" in refused(image="empty.nrrd")

    @pytest.mark.parametrize("extension", [".nrrd", ".nii", ".nii.gz", ".mha"])
    def test_unreadable(self, refused, folder: Path, extension: str) -> None:
        (folder / f"bad{extension}").write_bytes(np.random.default_rng(0).bytes(2000))
        assert f"bad{extension}" in refused(image=f"bad{extension}")

    @pytest.mark.parametrize("extension", [".nrrd", ".nii", ".nii.gz", ".mha"])
    def test_cut_short(self, refused, folder: Path, extension: str) -> None:
        files.write_volume(case_on(GRID).image, folder / f"cut{extension}")
        content = (folder / f"cut{extension}").read_bytes()
        (folder / f"cut{extension}").write_bytes(content[: len(content) * 2 // 3])
        assert f"cut{extension}" in refused(image=f"cut{extension}")

    def test_unknown_format(self, refused, folder: Path) -> None:
        (folder / "image.png").write_bytes(b"\x89PNG")
        assert "image.png does not have a known extension" in refused(image="image.png")

    @pytest.mark.parametrize(
        ("shape", "vector", "words"),
        [
            ((20, 20), False, "2D image (20 x 20)"),
            ((3, 20, 20, 20), False, "4D image"),
            ((20, 20, 20, 3), True, "3 values"),
        ],
    )
    def test_not_three_axes_with_one_value(self, refused, folder: Path, shape, vector: bool, words: str) -> None:
        for extension in (".nrrd", ".nii.gz", ".mha"):
            image = sitk.GetImageFromArray(np.zeros(shape, np.float32), isVector=vector)
            sitk.WriteImage(image, str(folder / f"other{extension}"))
            assert words in refused(image=f"other{extension}")

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_values_that_are_no_numbers(self, refused, folder: Path, value: float) -> None:
        image = case_on(GRID).image
        array = image.array.copy()
        k, j, i = np.round(GRID.to_ijk(arc()[4])).astype(int)[::-1]
        array[k, j, i] = value
        files.write_volume(image.with_array(array), folder / "nan.nrrd")
        sentence = refused("--influence-radius", "6", image="nan.nrrd")
        assert "NaN or infinite values near the stroke" in sentence

    def test_a_segmentation_instead(self, refused) -> None:
        assert "ball.seg.nrrd is a segmentation, not an image" in refused(image="ball.seg.nrrd")


class TestSegmentation:
    def test_no_such_segment(self, refused) -> None:
        assert "has no segment Liver; it has Segment_3 (Ball, label 3)" in refused("--segment", "Liver")

    def test_several_and_none_named(self, refused) -> None:
        assert "labels has 2 segments; name one of them" in refused(segmentation="labels.nii.gz")

    def test_empty_segment(self, refused, folder: Path) -> None:
        node = files.read_segmentation(folder / "ball.seg.nrrd")
        node.GetSegmentation().AddEmptySegment("New", "New")
        files.write_segmentation(node, folder / "more.seg.nrrd")
        assert "The segment New is empty" in refused("--segment", "New", segmentation="more.seg.nrrd")

    def test_no_segment_at_all(self, refused, folder: Path) -> None:
        image = case_on(GRID).image
        files.write_volume(image.with_array(np.zeros(image.shape, np.uint8)), folder / "zero.nrrd")
        assert "zero has no segments" in refused(segmentation="zero.nrrd")

    def test_an_image_instead(self, refused) -> None:
        assert "image.nrrd" in refused(segmentation="image.nrrd")

    @pytest.mark.parametrize("name", ["none.seg.nrrd", "none.nii.gz"])
    def test_missing_or_empty(self, refused, folder: Path, name: str) -> None:
        assert f"{name} does not exist" in refused(segmentation=name)
        (folder / name).touch()
        assert f"{name} is empty" in refused(segmentation=name)

    def test_elsewhere(self, refused, folder: Path) -> None:
        before = case_on(GRID).before
        matrix = before.ijk_to_ras.copy()
        matrix[:3, 3] += 400
        files.write_volume(type(before)(before.array, matrix), folder / "far.nrrd")
        for out in ("o.nrrd", "o.seg.nrrd"):
            assert "does not reach the stroke" in refused(segmentation="far.nrrd", out=out)


class TestStrokes:
    @pytest.mark.parametrize("extension", [".mrk.json", ".fcsv"])
    @pytest.mark.parametrize(
        ("points", "words"),
        [
            (np.zeros((0, 3)), "0 point(s)"),
            (arc()[:1], "1 point(s)"),
            (arc() + [300.0, 0, 0], "lie outside the image"),
            (np.concatenate([arc(), [[0.0, 0, 300]]]), "lie outside the image"),
        ],
        ids=["none", "one", "outside", "partly outside"],
    )
    def test_points(self, refused, folder: Path, extension: str, points: np.ndarray, words: str) -> None:
        files.write_stroke(points, folder / f"s{extension}")
        sentence = refused(strokes=[f"s{extension}"])
        assert words in sentence and f"s{extension}" in sentence

    def test_nan_in_markups(self, refused, folder: Path) -> None:
        content = json.loads((folder / "stroke.mrk.json").read_text())
        content["markups"][0]["controlPoints"][2]["position"][1] = float("nan")
        (folder / "nan.mrk.json").write_text(json.dumps(content))
        assert "nan.mrk.json" in refused(strokes=["nan.mrk.json"])

    def test_nan_in_a_table(self, refused, folder: Path) -> None:
        lines = (folder / "stroke.fcsv").read_text().splitlines()
        cells = lines[-1].split(",")
        cells[2] = "nan"
        (folder / "nan.fcsv").write_text("\n".join([*lines[:-1], ",".join(cells)]) + "\n")
        assert "nan.fcsv" in refused(strokes=["nan.fcsv"])

    def test_files(self, refused, folder: Path) -> None:
        assert "none.fcsv does not exist" in refused(strokes=["stroke.fcsv", "none.fcsv"])
        (folder / "empty.mrk.json").touch()
        assert "empty.mrk.json is empty" in refused(strokes=["empty.mrk.json"])
        (folder / "text.mrk.json").write_text("{")
        assert "text.mrk.json" in refused(strokes=["text.mrk.json"])
        assert "a stroke is stored as .mrk.json, .fcsv" in refused(strokes=["image.nrrd"])

    def test_the_second_of_two_is_named(self, refused, folder: Path) -> None:
        files.write_stroke(arc()[:1], folder / "short.fcsv")
        assert "short.fcsv: The stroke has 1 point(s)" in refused(strokes=["stroke.fcsv", "short.fcsv"])

    def test_too_far_from_the_boundary(self, refused, folder: Path) -> None:
        files.write_stroke(CENTRE + [[0.0, 0, 0], [1, 0, 0]], folder / "inner.fcsv")
        assert "farther from the boundary" in refused("--influence-radius", "2", strokes=["inner.fcsv"])


@pytest.mark.parametrize(
    ("radius", "words"),
    [
        ("0", "positive number of millimetres, not 0"),
        ("-4", "positive number of millimetres, not -4"),
        ("nan", "positive number of millimetres, not nan"),
        ("inf", "positive number of millimetres, not inf"),
        ("900", "900 mm is larger than the image"),
        ("wide", "must be a number of millimetres, not 'wide'"),
    ],
)
def test_influence_radius(refused, radius: str, words: str) -> None:
    assert words in refused("--influence-radius", radius)


class TestOutputs:
    def test_missing_folder(self, refused) -> None:
        assert "missing does not exist" in refused(out="missing/o.nrrd")

    def test_a_file_as_folder(self, refused) -> None:
        assert "stroke.fcsv does not exist" in refused(out="stroke.fcsv/o.nrrd")

    def test_a_folder_as_file(self, refused, folder: Path) -> None:
        (folder / "o.nrrd").mkdir()
        assert "o.nrrd is a folder; name a file" in refused()

    @pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a file system that takes no files")
    @pytest.mark.parametrize("option", ["--output", "--picture", "--report"])
    def test_a_read_only_place(self, refused, option: str) -> None:
        name = {"--output": "o.nrrd", "--picture": "p.png", "--report": "r.json"}[option]
        assert f"Could not write /proc/{name}" in refused(option, f"/proc/{name}")

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--output", "o.stl"], "must end with .seg.nrrd or .nrrd"),
            (["--picture", "p.jpg"], "must end with .png"),
            (["--report", "r.txt"], "must end with .json"),
        ],
    )
    def test_unknown_formats(self, refused, arguments: list[str], words: str) -> None:
        assert words in refused(*arguments)

    def test_inputs_are_not_overwritten_by_mistake(self, refused, folder: Path) -> None:
        assert "is one of the inputs" in refused(out="image.nrrd")
        assert "is one of the inputs" in refused("--report", folder / "stroke.mrk.json", strokes=["stroke.mrk.json"])
        assert "is named for two outputs" in refused("--report", folder / "x.json", "--picture", folder / "x.json")

    @pytest.mark.parametrize("out", ["o.seg.nrrd", "o.nii.gz", "o.nrrd"])
    def test_the_old_file_survives_a_full_disk(self, refused, folder: Path, monkeypatch, out: str) -> None:
        (folder / out).write_text("old")

        def full(descriptor: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("SparseToPreciseLib.core.files.os.fsync", full)
        assert "the disk is full" in refused("--report", folder / "r.json", "--picture", folder / "p.png", out=out)

    def test_on_a_disk_that_is_really_full(self, cli, folder: Path, tmp_path: Path) -> None:
        disk = tmp_path / "disk"
        disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", disk], capture_output=True)
        if mounted.returncode:
            pytest.skip("no permission to mount a small disk")
        try:
            (disk / "out.nrrd").write_bytes(b"old" * 3000)
            arguments = ("edit", folder / "image.nrrd", folder / "ball.seg.nrrd", folder / "stroke.fcsv")
            options = ("--segment", "Ball", "--picture", disk / "p.png")
            for name in ("out.nrrd", "out.nii.gz"):
                answer = cli(*arguments, "-o", disk / name, *options)
                assert (answer.code, answer.error.count("\n")) == (2, 1)
                assert str(disk) in answer.error and "full" in answer.error
                assert [path.name for path in disk.iterdir()] == ["out.nrrd"]
                assert (disk / "out.nrrd").read_bytes() == b"old" * 3000
        finally:
            subprocess.run(["umount", disk], check=True)


class TestDevices:
    def test_cuda_where_there_is_none(self, refused) -> None:
        torch = pytest.importorskip("torch")
        if torch.cuda.is_available():
            pytest.skip("this computer has CUDA")
        assert "The device cuda is not available" in refused("--device", "cuda")

    def test_unknown(self, refused) -> None:
        assert "There is no device 'gpu'" in refused("--device", "gpu")


class TestUsage:
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["edit"], "Missing argument 'IMAGE'"),
            (["edit", "a.nrrd", "b.nrrd", "c.fcsv"], "Missing option '--output'"),
            (["edit", "a.nrrd", "b.nrrd", "c.fcsv", "-o", "d.nrrd", "--progress", "loud"], "'loud'"),
            (["edit", "--colour"], "No such option: --colour"),
            (["draw"], "No such command 'draw'"),
            (["models", "show"], "Missing argument 'BUNDLE'"),
        ],
    )
    def test_errors_of_usage(self, cli, arguments: list[str], words: str) -> None:
        assert words in cli.refuses(*arguments)

    def test_unexpected_errors_are_one_sentence_and_a_traceback_on_request(self, cli, folder, monkeypatch) -> None:
        def broken(path: Path) -> None:
            raise ZeroDivisionError("division\nby zero")

        monkeypatch.setattr("SparseToPreciseLib.core.images.read_image", broken)
        arguments = (
            "edit",
            folder / "image.nrrd",
            folder / "ball.seg.nrrd",
            folder / "stroke.fcsv",
            "-o",
            folder / "o.nrrd",
        )
        sentence = cli.refuses(*arguments)
        assert "ZeroDivisionError: division by zero" in sentence and "--debug" in sentence
        with pytest.raises(ZeroDivisionError):
            cli("--debug", *arguments)
        with pytest.raises(ZeroDivisionError):
            cli(*arguments, "--debug")
