"""`train boxes-corrector` and `train boxes-segmenter` from phantoms and from files, tiny; refusals; without Slicer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from box_cases import CENTRE, GRID, LOOSE, find_nothing, mask_on

from SparseToPreciseLib.boxes.corrector import cases as corrector_scenes
from SparseToPreciseLib.boxes.corrector import recipe as corrector_recipe
from SparseToPreciseLib.core.box import Box
from SparseToPreciseLib.core.bundles import open_bundle
from SparseToPreciseLib.core.markups import read_box
from SparseToPreciseLib.core.training import recipe
from SparseToPreciseLib.mrml import files
from SparseToPreciseLib.mrml.rois import roi_from_box, write_roi

LIBRARY = Path(__file__).resolve().parents[2] / "SparseToPrecise"
OPTIONS = ("--epochs", "0.1", "--device", "cpu")


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch):
    """The shipped recipes with small networks and few cases; nothing else of them is changed."""
    real = recipe.packaged_config

    def small(family: str, name: str) -> dict:
        config = real(family, name)
        if name == "train.json":
            shipped = config["network"]["arguments"]
            arguments = {key: shipped[key] for key in ("spatial_dims", "in_channels", "out_channels")}
            config["network"] = {"name": "UNet", "arguments": arguments | {"channels": [4, 8], "strides": [2]}}
            config |= {"batch_size": 1, "validations": 2, "validation_phantoms": 1}
            config["sampling"].get("view", config["sampling"])["side"] = 48
            if "calibration_boxes" in config:
                config["calibration_boxes"] = 2
        return config

    monkeypatch.setattr(recipe, "packaged_config", small)
    monkeypatch.setitem(corrector_recipe.CORRECTOR_CASES, "calibration_boxes", 3)
    # Else the shipped weights are of another size.
    monkeypatch.setattr(corrector_recipe, "find_bundles", lambda family: [])
    monkeypatch.setattr(corrector_scenes, "COPIES", 2)


@pytest.fixture
def datalist(box_folder: Path):
    def write(*training: dict, **more: object) -> Path:
        path = box_folder / "cases.json"
        path.write_text(json.dumps({"training": list(training)} | more))
        return path

    return write


MASK = {"image": "image.nrrd", "label": "mask.nrrd"}
BOX = {"image": "image.nrrd", "box": "loose.mrk.json"}


@pytest.mark.parametrize("family", ["boxes-corrector", "boxes-segmenter"])
def test_phantoms_with_progress_for_the_desktop(box_cli, tiny, box_folder: Path, family: str) -> None:
    out = box_folder / "mine"
    answer = box_cli.succeeds("train", family, "--phantoms", 2, "-o", out, *OPTIONS, "--progress", "json")
    lines = [json.loads(line) for line in answer.out.splitlines()]
    fractions = [line["fraction"] for line in lines]
    assert fractions == sorted(fractions) and fractions[-1] == 1
    validations = [line["validation"] for line in lines if "validation" in line]
    assert len(validations) >= 2 and validations[0]["training_loss"] is None
    bundle = open_bundle(out, family)
    bundle.verify()
    result = lines[-1]["result"]
    assert result["sha256"] == bundle.sha256 and result["bundle"] == str(out)


def test_a_corrector_of_one_mask_tightens(box_cli, tiny, box_folder: Path, datalist) -> None:
    out = box_folder / "mine"
    answer = box_cli.succeeds("train", "boxes-corrector", "--dataset", datalist(MASK), "-o", out, *OPTIONS)
    assert "Trained on user cases (1)" in answer.out and f"Written: {out}" in answer.out
    given = (box_folder / "image.nrrd", box_folder / "loose.mrk.json", "-o", box_folder / "o.mrk.json")
    box_cli.succeeds("box", "tighten", *given, "--model", out)


def test_a_label_among_several(box_cli, tiny, box_folder: Path, datalist) -> None:
    labels = mask_on(GRID).array * 3
    labels[0, 0, 0] = 1
    many = labels.copy()
    many[0, 0, 4:16] = np.arange(4, 16)
    files.write_volume(mask_on(GRID).with_array(labels), box_folder / "labels.nii.gz")
    path = datalist({"image": "image.nrrd", "label": "labels.nii.gz"})
    assert "has the labels 1, 3; say by --label which one is the object" in box_cli.refuses(
        "train", "boxes-corrector", "--dataset", path, "-o", box_folder / "mine", *OPTIONS
    )
    box_cli.succeeds("train", "boxes-corrector", "--dataset", path, "-o", box_folder / "mine", "--label", 3, *OPTIONS)
    files.write_volume(mask_on(GRID).with_array(many), box_folder / "labels.nii.gz")
    assert "has no label 2, but 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, and 4 more; leave the case out" in box_cli.refuses(
        "train", "boxes-corrector", "--dataset", path, "-o", box_folder / "other", "--label", 2, *OPTIONS
    )


@pytest.mark.parametrize("case", [BOX, {"image": "image.nrrd", "box": ["loose.mrk.json"] * 2}, MASK])
def test_a_segmenter_of_boxes_segments(box_cli, tiny, box_folder: Path, datalist, case: dict) -> None:
    out = box_folder / "mine"
    path = datalist(case, validation=[BOX])
    box_cli.succeeds("train", "boxes-segmenter", "--dataset", path, "-o", out, *OPTIONS)
    given = (box_folder / "image.nrrd", box_folder / "loose.mrk.json", "-o", box_folder / "o.nrrd")
    box_cli.succeeds("box", "segment", *given, "--model", out)


def test_a_segmenter_of_loose_boxes_that_are_tightened_first(box_cli, tiny, box_folder: Path, datalist) -> None:
    out, path = box_folder / "mine", datalist(BOX, MASK, validation=[BOX])
    train = ("train", "boxes-segmenter", "--dataset", path, "-o", out, *OPTIONS)
    first = ("--tighten-first", "--corrector", box_folder / "corrector")
    assert "3 of 3 boxes were tightened by tiny first." in box_cli.succeeds(*train, *first).out
    made = open_bundle(out).metadata["training"]["correction"]
    assert (made["boxes"], made["kept"], made["coverage"]) == (3, 0, 0.9)
    box_cli.succeeds(*train, *first, "--coverage", 0.95)
    assert open_bundle(out).metadata["training"]["correction"]["coverage"] == 0.95
    find_nothing(box_folder / "corrector")
    assert "The corrector tiny could tighten none of the 2 box(es)" in box_cli.refuses(*train, *first)


def test_an_empty_label_file_is_left_out_by_name(box_cli, tiny, box_folder: Path, datalist) -> None:
    files.write_volume(mask_on(GRID).with_array(np.zeros(GRID.shape, np.uint8)), box_folder / "zero.nrrd")
    path = datalist({"image": "image.nrrd", "label": "zero.nrrd"}, MASK)
    command = ("train", "boxes-corrector", "--dataset", path, "-o", box_folder / "mine", *OPTIONS)
    out = box_cli.succeeds(*command).out
    assert f"{box_folder / 'zero.nrrd'} of case 1" in out and "is empty; the case was left out." in out
    lines = box_cli.succeeds(*command, "--progress", "json").out.splitlines()
    assert "zero.nrrd" in json.loads(lines[-1])["result"]["left_out"][0]


class TestRefusals:
    @pytest.fixture
    def refused(self, box_cli, tiny, box_folder: Path):
        def sentence(path: Path | None, *more: object, family="boxes-corrector") -> str:
            given = () if path is None else ("--dataset", path)
            return box_cli.refuses("train", family, *given, "-o", box_folder / "mine", *OPTIONS, *more)

        return sentence

    def test_a_mask_without_the_object(self, refused, box_folder: Path, datalist) -> None:
        files.write_volume(mask_on(GRID).with_array(np.zeros(GRID.shape, np.uint8)), box_folder / "zero.nrrd")
        path = datalist({"image": "image.nrrd", "label": "zero.nrrd"})
        assert 'zero.nrrd of case 1 of "training" in ' in refused(path)
        assert "is empty: there is no object to learn from; leave the case out." in refused(path)
        assert 'mask.nrrd of case 1 of "training" in ' in refused(datalist(MASK), "--label", 7)
        assert "has no label 7, but 1; leave the case out." in refused(datalist(MASK), "--label", 7)

    def test_a_mask_without_surroundings(self, refused, box_folder: Path, datalist) -> None:
        files.write_volume(mask_on(GRID).with_array(np.ones(GRID.shape, np.uint8)), box_folder / "full.nrrd")
        assert "is all object" in refused(datalist({"image": "image.nrrd", "label": "full.nrrd"}))

    def test_a_list_with_a_class_missing(self, refused, datalist) -> None:
        assert 'Case 2 of "training" in ' in refused(datalist(MASK, {"image": "image.nrrd"}))
        assert 'Case 1 of "training" in ' in refused(datalist({"label": "mask.nrrd"}))

    def test_a_box_that_does_not_fit(self, refused, box_folder: Path, datalist) -> None:
        write_roi(roi_from_box(Box(CENTRE + [500, 0, 0], np.eye(3), [20, 20, 20])), box_folder / "far.mrk.json")
        sentence = refused(datalist({"image": "image.nrrd", "box": "far.mrk.json"}), family="boxes-segmenter")
        assert "far.mrk.json: The box around RAS" in sentence and "outside the image" in sentence

    @pytest.mark.parametrize(
        ("case", "words"),
        [
            ({"image": "image.nrrd"}, 'names no "box" (an ROI, or a list of them) and no "label"'),
            ({"image": "image.nrrd", "box": []}, 'names no "box"'),
            ({"image": "image.nrrd", "box": [3]}, 'names no "box"'),
            ({"image": "image.nrrd", "box": "gone.mrk.json"}, 'gone.mrk.json of case 1 of "training"'),
            ({"image": "image.nrrd", "box": "mask.nrrd"}, "mask.nrrd does not have a known extension"),
            ({"image": "gone.nrrd", "box": "loose.mrk.json"}, 'gone.nrrd of case 1 of "training"'),
        ],
    )
    def test_cases_of_boxes(self, refused, datalist, case: dict, words: str) -> None:
        assert words in refused(datalist(case), family="boxes-segmenter")

    def test_options(self, refused, datalist) -> None:
        assert "--phantoms 3 exclude each other" in refused(datalist(MASK), "--phantoms", 3)
        assert "--label 3 is of the label files of --dataset" in refused(None, "--label", 3)
        assert "A patch must have 2, 4, 8, 16 or 32 pixels, not 20" in refused(None, "--phantoms", 1, "--patch", 20)
        assert "There is no device 'tpu'" in refused(None, "--phantoms", 1, "--device", "tpu")
        for family in ("boxes-corrector", "boxes-segmenter"):
            assert "Epochs must be a positive number" in refused(None, "--phantoms", 1, "--epochs", "-1", family=family)
            assert "/proc/nowhere does not exist" in refused(
                None, "--phantoms", 1, "--output", "/proc/nowhere/b", family=family
            )

    def test_options_of_tightening_first(self, refused, box_folder: Path, datalist) -> None:
        of_boxes = {"family": "boxes-segmenter"}
        assert "--tighten-first is for the boxes of --dataset" in refused(None, "--tighten-first", **of_boxes)
        given = datalist(BOX)
        assert "--corrector x is for --tighten-first" in refused(given, "--corrector", "x", **of_boxes)
        assert "--coverage 0.9 is for --tighten-first" in refused(given, "--coverage", 0.9, **of_boxes)
        first = ("--tighten-first", "--corrector", box_folder / "corrector", "--coverage")
        assert "between 0 and 1, not 1.5" in refused(given, *first, 1.5, **of_boxes)
        assert "more than this model was calibrated for" in refused(given, *first, 0.9999, **of_boxes)
        wrong = ("--tighten-first", "--corrector", box_folder / "segmenter")
        assert "is of the family boxes-segmenter, not boxes-corrector" in refused(given, *wrong, **of_boxes)

    def test_an_output_that_is_something_else(self, box_cli, tiny, box_folder: Path) -> None:
        train = ("train", "boxes-corrector", "--phantoms", 1, *OPTIONS, "-o")
        assert "exists and is no model bundle" in box_cli.refuses(*train, box_folder)
        sentence = box_cli.refuses(*train, box_folder / "segmenter")
        assert "is a bundle of the family boxes-segmenter, not boxes-corrector" in sentence


def test_cases_are_read_without_slicer(box_folder: Path, datalist) -> None:
    """As in a child process of the application, where there is no scene."""
    path = datalist(BOX, MASK)
    code = (
        "import sys\n"
        "sys.modules.update(slicer=None, vtk=None)\n"
        "from pathlib import Path\n"
        "import SparseToPreciseLib.cli.main\n"
        "from SparseToPreciseLib.tasks.box_cases import corrector_cases, segmenter_cases\n"
        f"cases = list(segmenter_cases(Path({str(path)!r}), None)['cases'])\n"
        "print(len(cases), cases[0][1][0].size.round(3).tolist(), int(cases[1][1].array.sum()))\n"
    )
    environment = os.environ | {"PYTHONPATH": str(LIBRARY)}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert ran.stderr == ""
    assert ran.stdout == f"2 {LOOSE.size.tolist()} {int(mask_on(GRID).array.sum())}\n"


class TestRoisWithoutSlicer:
    """The reader of ROI files for child processes gives what Slicer's gives."""

    @pytest.mark.parametrize("system", ["LPS", "RAS"])
    def test_a_turned_box(self, scene, tmp_path: Path, system: str) -> None:
        from edit_cases import rotation

        from SparseToPreciseLib.mrml.rois import box_from_roi, read_roi

        path = write_roi(roi_from_box(Box(CENTRE, rotation((1, 1, 2), 25), [33, 38, 42])), tmp_path / "a.mrk.json")
        content = json.loads(path.read_text())
        content["markups"][0]["coordinateSystem"] = system
        path.write_text(json.dumps(content))
        box, other = read_box(path), box_from_roi(read_roi(path))
        np.testing.assert_allclose(box.size, other.size)
        # Read as RAS, the file says another place; the reader of control points agrees with Slicer's.
        if system == "LPS":
            np.testing.assert_allclose(box.center, other.center, atol=1e-5)
            np.testing.assert_allclose(box.axes, other.axes, atol=1e-9)
        else:
            np.testing.assert_allclose(box.center, CENTRE * [-1, -1, 1], atol=1e-5)

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("{", "is not a valid markups file"),
            ('{"markups": []}', "holds 0 markups; save one ROI per file"),
            ('{"markups": [{"type": "Curve"}]}', "holds a markup of type Curve"),
            ('{"markups": [{"type": "ROI"}]}', "its size is null, not 3 numbers"),
            (
                '{"markups": [{"type": "ROI", "center": [0,0,0], "orientation": [1,0,0,0,1,0,0,0,1],'
                ' "size": [1,0,1]}]}',
                "three positive lengths",
            ),
        ],
    )
    def test_refusals(self, tmp_path: Path, text: str, words: str) -> None:
        from SparseToPreciseLib.core.errors import InputError

        (tmp_path / "a.mrk.json").write_text(text)
        with pytest.raises(InputError, match=words):
            read_box(tmp_path / "a.mrk.json")
