"""`synthesize` and `synthesize-evaluate`: files in, files out, all or none; batches; bad input in one sentence."""

from __future__ import annotations

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

from synthesis_cases import GRID, GRIDS, ball_on, ct_on, mr_on, tiny_model  # noqa: E402

from cli_files import CommandLine, snapshot, stopped_at  # noqa: E402
from SparseToPreciseLib.core.images import read_image, read_labelmap  # noqa: E402
from SparseToPreciseLib.core.volume import Volume  # noqa: E402
from SparseToPreciseLib.mrml import files  # noqa: E402
from SparseToPreciseLib.synthesis.model import load_model  # noqa: E402
from SparseToPreciseLib.synthesis.synthesize import synthesize  # noqa: E402


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """mr.nrrd, oblique.nii.gz, truth.nrrd (a CT), body.nrrd, and the bundles tiny, plain and other."""
    folder = tmp_path_factory.mktemp("synthesis")
    files.write_volume(mr_on(GRID), folder / "mr.nrrd")
    files.write_volume(mr_on(GRIDS["oblique"]), folder / "oblique.nii.gz")
    files.write_volume(ct_on(GRID), folder / "truth.nrrd")
    files.write_volume(ball_on(GRIDS["LAS"]), folder / "body.nrrd")
    tiny_model(folder / "tiny")
    tiny_model(folder / "plain", bands=False)
    tiny_model(folder / "other", parameters={"hu_window": [-1000, 2000]})
    return folder


@pytest.fixture
def folder(template: Path, tmp_path: Path, scene) -> Path:
    return Path(shutil.copytree(template, tmp_path / "case"))


@pytest.fixture
def cli(capfd, folder: Path) -> CommandLine:
    return CommandLine(capfd, folder)


def one(folder: Path, *more: object, mr: str = "mr.nrrd", out: str = "ct.nrrd", model: str = "tiny") -> list[object]:
    return ["synthesize", folder / mr, "-o", folder / out, "--model", folder / model, "--device", "cpu", *more]


# ------------------------------------------------------------------------------------------------ one MR


@pytest.mark.parametrize("extension", [".nrrd", ".nii.gz", ".mha"])
@pytest.mark.parametrize("mr", ["mr.nrrd", "oblique.nii.gz"])
def test_the_file_holds_the_librarys_ct_on_the_mrs_grid(cli, folder: Path, mr: str, extension: str) -> None:
    out = f"ct{extension}"
    assert f"Written: {folder / out}" in cli.succeeds(*one(folder, mr=mr, out=out)).out
    ct, image = read_image(folder / out), read_image(folder / mr)
    wanted = synthesize(image, load_model(folder / "tiny", "cpu"))
    assert ct.array.dtype == np.int16 and np.array_equal(ct.array, wanted.ct.array)
    assert np.allclose(ct.ijk_to_ras, image.ijk_to_ras, atol=1e-5)


def test_the_matrix_in_the_file_is_the_mrs(cli, folder: Path) -> None:
    cli.succeeds(*one(folder))
    headers = []
    for name in ("mr.nrrd", "ct.nrrd"):
        text = (folder / name).read_bytes().split(b"\n\n")[0].decode()
        lines = [line for line in text.splitlines() if line.startswith(("space", "sizes"))]
        headers.append(lines)
    assert headers[0] == headers[1] and len(headers[0]) >= 4


def test_everything_that_can_be_wanted_of_one_mr(cli, folder: Path) -> None:
    more = ["--bands", folder / "b", "--uncertainty", folder / "u.nrrd", "--classes", folder / "c.seg.nrrd"]
    more += ["--report", folder / "r.json", "--picture", folder / "p.png", "--body-mask", folder / "body.nrrd"]
    more += ["--tile", "32", "--overlap", "0.25"]
    before = set(snapshot(folder))
    said = cli.succeeds(*one(folder, *more)).out
    names = {"ct.nrrd", "b-low.nrrd", "b-high.nrrd", "b-probability.nrrd", "u.nrrd", "c.seg.nrrd", "r.json", "p.png"}
    assert {path.name for path in set(snapshot(folder)) - before} == names
    assert all(str(folder / name) in said for name in names)
    body = ball_on(GRID).array > 0
    ct, low, high = (read_image(folder / f"{name}.nrrd").array.astype(int) for name in ("ct", "b-low", "b-high"))
    assert np.abs(low + high - ct)[body].max() <= 1 and (ct[~body] <= -1024).mean() > 0.99
    assert read_image(folder / "b-probability.nrrd").array.max() == pytest.approx(0.5)
    assert read_image(folder / "u.nrrd").array.max() < 0.1
    labels = read_labelmap(folder / "c.seg.nrrd")
    assert set(np.unique(labels.array)) == {0, 1, 2, 3} and ((labels.array == 3) == (ct > 250))[body].all()
    report = json.loads((folder / "r.json").read_text())
    assert report["models"][0]["name"] == "tiny" and len(report["models"][0]["weights_sha256"]) == 64
    (case,) = report["cases"]
    assert case["tile"] == 32 and case["network_runs"] == 8 and case["device"] == "cpu"
    assert case["voxels"] == [52, 52, 52] and set(case["timings"]) >= {"read", "prepare", "network", "apply"}
    assert (folder / "p.png").read_bytes().startswith(b"\x89PNG")


def test_the_classes_keep_their_names(cli, folder: Path) -> None:
    cli.succeeds(*one(folder, "--classes", folder / "c.seg.nrrd"))
    node = files.read_segmentation(folder / "c.seg.nrrd")
    segmentation = node.GetSegmentation()
    names = [segmentation.GetNthSegment(index).GetName() for index in range(segmentation.GetNumberOfSegments())]
    assert names == ["air", "soft tissue", "bone"]


def test_several_models_are_averaged(cli, folder: Path) -> None:
    cli.succeeds(*one(folder, "--model", folder / "plain", "--report", folder / "r.json"))
    assert [model["name"] for model in json.loads((folder / "r.json").read_text())["models"]] == ["tiny", "plain"]


def test_lines_of_json_tell_of_the_progress_and_of_the_result(cli, folder: Path) -> None:
    lines = [json.loads(line) for line in cli.succeeds(*one(folder, "--progress", "json")).out.splitlines()]
    fractions = [line["fraction"] for line in lines]
    assert fractions == sorted(fractions) and any("tile 1 of" in line["message"] for line in lines)
    assert lines[-1]["result"]["cases"][0]["ct"] == str(folder / "ct.nrrd")


# ------------------------------------------------------------------------------------------------ a batch


def test_one_bad_case_does_not_stop_the_others(cli, folder: Path) -> None:
    more = [folder / "truth.nrrd", folder / "oblique.nii.gz", folder / "gone.nrrd"]
    more += ["--classes", folder / "seg", "--bands", folder / "bands", "--uncertainty", folder / "out"]
    more += ["--report", folder / "r.json", "--picture", folder / "p.png"]
    answer = cli.succeeds(*one(folder, *more, out="out"))
    assert "truth looks like a CT" in " ".join(answer.out.split()) and "gone.nrrd does not exist" in answer.out
    written = {path.relative_to(folder).as_posix() for path in (folder / "out").iterdir()}
    assert written == {
        "out/mr-CT.nrrd",
        "out/mr-uncertainty.nrrd",
        "out/oblique-CT.nii.gz",
        "out/oblique-uncertainty.nii.gz",
    }
    assert {path.name for path in (folder / "seg").iterdir()} == {"mr-classes.seg.nrrd", "oblique-classes.seg.nrrd"}
    assert len(list((folder / "bands").iterdir())) == 6
    cases = json.loads((folder / "r.json").read_text())["cases"]
    assert [("error" in case) for case in cases] == [False, True, False, True]
    assert (folder / "p.png").is_file()


def test_a_folder_of_mrs_is_a_batch_and_its_cts_are_those_of_single_calls(cli, folder: Path) -> None:
    (folder / "mrs").mkdir()
    for name in ("mr.nrrd", "oblique.nii.gz"):
        shutil.copy(folder / name, folder / "mrs" / name)
    cli.succeeds(*one(folder, mr="mrs", out="out"))
    cli.succeeds(*one(folder, mr="mr.nrrd", out="single.nrrd"))
    assert np.array_equal(read_image(folder / "out/mr-CT.nrrd").array, read_image(folder / "single.nrrd").array)
    assert (folder / "out/oblique-CT.nii.gz").is_file()


def test_a_batch_without_one_good_case_writes_nothing(cli, folder: Path) -> None:
    sentence = cli.refuses(*one(folder, folder / "gone.nrrd", mr="truth.nrrd", out="out"))
    assert "looks like a CT" in sentence and "(2 MRs, none of which can be used)" in sentence


def test_a_folder_that_cannot_be_made_leaves_none(cli, folder: Path) -> None:
    taken = Path("/proc/out")  # where no folder can be made, whoever asks
    if not taken.parent.is_dir():
        pytest.skip("this system has no /proc")
    sentence = cli.refuses(*one(folder, folder / "oblique.nii.gz", "--uncertainty", taken, out="out"))
    assert f"Could not make the folder {taken}" in sentence and not (folder / "out").exists()


def test_two_mrs_of_one_name_are_refused(cli, folder: Path) -> None:
    (folder / "again").mkdir()
    shutil.copy(folder / "mr.nrrd", folder / "again" / "mr.nrrd")
    assert "would both write mr-CT" in cli.refuses(*one(folder, folder / "again" / "mr.nrrd", out="out"))


@pytest.mark.parametrize("again", ["mr.nrrd", "../case/mr.nrrd", "."])
def test_an_mr_that_is_given_twice_is_named(cli, folder: Path, again: str) -> None:
    sentence = cli.refuses(*one(folder, folder / again, out="out"))
    assert "mr.nrrd is given twice; give it once" in sentence and "rename" not in sentence


def test_one_mask_for_several_mrs_is_refused(cli, folder: Path) -> None:
    sentence = cli.refuses(*one(folder, folder / "oblique.nii.gz", "--body-mask", folder / "body.nrrd", out="out"))
    assert "belongs to one MR, and 2 are given" in sentence


# ------------------------------------------------------------------------------------------------ bad input


def itk(array: np.ndarray, path: Path, vector: bool = False) -> str:
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=vector), str(path))
    return path.name


def bad_mr(name: str, folder: Path) -> str:
    good = mr_on(GRID)
    if name == "NaN":
        array = good.array.copy()
        array[20, 20, 20] = np.nan
        files.write_volume(good.with_array(array), folder / "bad.nrrd")
    elif name == "constant":
        files.write_volume(good.with_array(np.full(GRID.shape, 3, np.int16)), folder / "bad.nrrd")
    elif name == "one slice":
        files.write_volume(good.cropped((slice(25, 26), slice(None), slice(None))), folder / "bad.nrrd")
    elif name == "2D":
        itk(good.array[25], folder / "bad.nrrd")
    elif name == "4D":
        itk(np.stack([good.array] * 2), folder / "bad.nii.gz")
        return "bad.nii.gz"
    elif name == "vector":
        itk(np.stack([good.array] * 3, axis=-1), folder / "bad.nrrd", vector=True)
    elif name == "cut short":
        content = (folder / "mr.nrrd").read_bytes()
        (folder / "bad.nrrd").write_bytes(content[: len(content) // 2])
    elif name == "missing":
        return "nowhere.nrrd"
    else:
        return "truth.nrrd"
    return "bad.nrrd"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("a CT", "looks like a CT"),
        ("NaN", "NaN"),
        ("constant", "the value 3 everywhere"),
        ("one slice", "single slice"),
        ("2D", "2D"),
        ("4D", "4D"),
        ("vector", "3 values per voxel"),
        ("cut short", "bad.nrrd"),
        ("missing", "does not exist"),
    ],
)
def test_bad_mrs_are_refused(cli, folder: Path, name: str, sentence: str) -> None:
    mr = bad_mr(name, folder)
    assert sentence in cli.refuses(*one(folder, "--report", folder / "r.json", mr=mr))


def test_bad_masks_are_refused(cli, folder: Path) -> None:
    empty = ball_on(GRID)
    files.write_volume(empty.with_array(np.zeros_like(empty.array)), folder / "empty.nrrd")
    assert "empty is empty" in cli.refuses(*one(folder, "--body-mask", folder / "empty.nrrd"))
    away = GRID.ijk_to_ras.copy()
    away[:3, 3] += 900
    files.write_volume(Volume(empty.array, away), folder / "away.nrrd")
    assert "lies outside mr" in cli.refuses(*one(folder, "--body-mask", folder / "away.nrrd"))
    assert "different values" in cli.refuses(*one(folder, "--body-mask", folder / "mr.nrrd"))


def test_bad_models_are_refused(cli, folder: Path) -> None:
    assert "There is no bundle" in cli.refuses(*one(folder, model="none"))
    assert "different CT windows" in cli.refuses(*one(folder, "--model", folder / "other"))
    sentence = cli.refuses("synthesize", folder / "mr.nrrd", "-o", folder / "ct.nrrd", "--model", "editing")
    assert "is of the family editing, not synthesis" in sentence
    assert "does not tell bands apart" in cli.refuses(*one(folder, "--bands", folder / "b", model="plain"))


def test_bad_options_are_refused(cli, folder: Path) -> None:
    assert "at least 32" in cli.refuses(*one(folder, "--tile", "8"))
    assert "overlap" in cli.refuses(*one(folder, "--overlap", "1.5"))
    assert "no device" in cli.refuses(
        "synthesize", folder / "mr.nrrd", "-o", folder / "ct.nrrd", "--device", "abacus", "--model", folder / "tiny"
    )
    assert "is one of the inputs" in cli.refuses(*one(folder, out="mr.nrrd"))
    assert "does not exist" in cli.refuses(*one(folder, out="nowhere/ct.nrrd"))
    assert "must end with" in cli.refuses(*one(folder, out="ct.png"))
    assert "two outputs" in cli.refuses(*one(folder, "--uncertainty", folder / "ct.nrrd"))
    (folder / "sub").mkdir()
    assert "two outputs" in cli.refuses(*one(folder, "--uncertainty", folder / "sub" / ".." / "ct.nrrd"))
    assert "must end with .png" in cli.refuses(*one(folder, "--picture", folder / "p.gif"))


def test_a_full_disk_leaves_everything_as_it_was(cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from SparseToPreciseLib.core import files as core_files

    (folder / "ct.nrrd").write_bytes(b"an old CT")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(core_files.os, "fsync", full)
    sentence = cli.refuses(*one(folder, "--classes", folder / "c.seg.nrrd", "--report", folder / "r.json"))
    assert "the disk is full" in sentence


@pytest.mark.parametrize("moment", ["loading", "tile 2", "writing"])
def test_stopping_at_any_moment_leaves_nothing_behind(folder: Path, moment: str) -> None:
    before = snapshot(folder)
    more = ["--tile", "32", "--bands", folder / "b", "--report", folder / "r.json", "--progress", "json"]
    answer = stopped_at(moment, signal.SIGINT, *one(folder, *more), ready=moment != "loading")
    after = snapshot(folder)
    if moment == "writing" and answer.code == 0:  # the signal came when all was done
        assert len(set(after) - set(before)) == 5
        return
    assert (answer.code, answer.error) == (128 + signal.SIGINT, "Stopped; nothing was written.\n")
    assert after == before


def test_a_stopped_batch_says_which_cts_are_there(cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from SparseToPreciseLib.core import images as module

    real, calls = module.read_image, []

    def reading(path: Path) -> Volume:
        calls.append(path)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGINT)
        return real(path)

    monkeypatch.setattr(module, "read_image", reading)
    answer = cli(*one(folder, folder / "oblique.nii.gz", out="out"))
    assert answer.code == 128 + signal.SIGINT
    assert answer.error == f"Stopped; the CTs of 1 of 2 MRs are in {folder / 'out'}.\n"
    assert [path.name for path in (folder / "out").iterdir()] == ["mr-CT.nrrd"]


# ------------------------------------------------------------------------------------------------ evaluate


def test_a_ct_is_compared_with_a_true_one(cli, folder: Path) -> None:
    made = ct_on(GRID)
    files.write_volume(made.with_array(made.array + 25), folder / "made.nrrd")
    more = ["--error-map", folder / "e.nii.gz", "--json", folder / "j.json", "--mask", folder / "body.nrrd"]
    answer = cli.succeeds("synthesize-evaluate", folder / "made.nrrd", folder / "truth.nrrd", *more)
    assert "MAE in bone" in answer.out and "uniform window of 7 voxels" in answer.out
    found = json.loads((folder / "j.json").read_text())
    assert found["mae"] == pytest.approx(25, abs=0.1) and found["reference"] == str(folder / "truth.nrrd")
    error = read_image(folder / "e.nii.gz")
    assert np.allclose(error.array[ball_on(GRID).array > 0], 25, atol=0.1) or error.array.max() == pytest.approx(25)


def test_bad_comparisons_are_refused(cli, folder: Path) -> None:
    truth = folder / "truth.nrrd"
    assert "does not exist" in cli.refuses("synthesize-evaluate", folder / "gone.nrrd", truth)
    flat = ct_on(GRID)
    files.write_volume(flat.with_array(np.zeros(GRID.shape, np.int16)), folder / "flat.nrrd")
    assert "flat" in cli.refuses("synthesize-evaluate", truth, folder / "flat.nrrd", "--json", folder / "j.json")
    assert "is one of the inputs" in cli.refuses("synthesize-evaluate", truth, truth, "--error-map", truth)
    assert "must end with .json" in cli.refuses("synthesize-evaluate", truth, truth, "--json", folder / "j.txt")
