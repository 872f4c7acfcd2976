"""`sparse-to-precise train editing` from phantoms and from files, tiny; and what is left when it is stopped."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest

from cli_files import RADIUS, snapshot, stopped_at
from SparseToPreciseLib.core.bundles import open_bundle
from SparseToPreciseLib.core.training import recipe
from SparseToPreciseLib.core.volume import Volume
from SparseToPreciseLib.mrml import files


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch):
    """The shipped recipe with a small network and few cases; nothing else of it is changed."""
    real = recipe.packaged_config

    def small(family: str, name: str) -> dict:
        config = real(family, name)
        if name == "train.json":
            config |= {"batch_size": 1, "validations": 2, "validation_phantoms": 1, "validation_cubes": 2, "cubes": 3}
            config["simulation"] |= {"segmenter_share": 0, "edits_per_phantom": 1}
            config["network"]["name"] = "UNet"
            config["network"]["arguments"] = {
                "spatial_dims": 3,
                "in_channels": len(config["form"]["parameters"]["inputs"]),
                "out_channels": 1,
                "channels": [4, 8],
                "strides": [2],
            }
        return config

    monkeypatch.setattr(recipe, "packaged_config", small)


@pytest.fixture
def datalist(folder: Path) -> Path:
    path = folder / "cases.json"
    case = {"image": "image.nrrd", "label": "labels.nii.gz"}
    path.write_text(json.dumps({"training": [case, {"image": "image.nrrd", "label": "ball.seg.nrrd"}]}))
    return path


OPTIONS = ("--epochs", "1", "--device", "cpu", "--workers", "0")


def test_phantoms_with_progress_for_the_desktop(cli, tiny, folder: Path, tmp_path: Path) -> None:
    answer = cli.succeeds(
        "train", "editing", "--phantoms", 3, "-o", folder / "mine", *OPTIONS, "--cache", tmp_path, "--progress", "json"
    )
    lines = [json.loads(line) for line in answer.out.splitlines()]
    fractions = [line["fraction"] for line in lines]
    assert fractions == sorted(fractions) and fractions[-1] == 1
    validations = [line["validation"] for line in lines if "validation" in line]
    assert [row["steps"] for row in validations] == sorted(row["steps"] for row in validations)
    assert len(validations) >= 2
    assert validations[0]["training_loss"] is None and validations[-1]["training_loss"] > 0
    assert all(0 < row["validation_loss"] < 10 for row in validations)
    bundle = open_bundle(folder / "mine", "editing")
    bundle.verify()
    result = lines[-1]["result"]
    assert result["sha256"] == bundle.sha256 and result["training"]["data"] == "phantoms"


def test_a_datalist_of_labelmap_and_segmentation(cli, tiny, folder: Path, datalist: Path, scene) -> None:
    answer = cli.succeeds("train", "editing", "--dataset", datalist, "--output", folder / "mine", *OPTIONS)
    assert "Trained on user cases (2): " in answer.out and f"Written: {folder / 'mine'}" in answer.out
    bundle = open_bundle(folder / "mine")
    assert bundle.metadata["training"]["data"] == "user cases (2)"
    assert "from the same images" in " ".join(bundle.card.replace("**", "").split())
    assert scene.GetNumberOfNodesByClass("vtkMRMLVolumeNode") == 0
    assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0
    # What was trained edits, by its folder.
    inputs = [folder / name for name in ("image.nrrd", "ball.seg.nrrd", "stroke.fcsv")]
    edited = ("--segment", "Ball", "--influence-radius", RADIUS, "-o", folder / "o.seg.nrrd")
    assert "corrected by mine" in cli.succeeds("edit", *inputs, *edited, "--model", folder / "mine").out


def test_a_datalist_with_validation_cases(cli, tiny, folder: Path, datalist: Path) -> None:
    content = json.loads(datalist.read_text())
    datalist.write_text(json.dumps(content | {"validation": content["training"][:1]}))
    (folder / "kept").mkdir()
    cli.succeeds("train", "editing", "--dataset", datalist, "-o", folder / "m", *OPTIONS, "--cache", folder / "kept")
    assert open_bundle(folder / "m").metadata["training"]["validation_cases_from_training_cases"] is False
    kept = {path.name for path in (folder / "kept").iterdir()}
    assert kept == {"cases", "validation-cases", "training-cubes", "validation-cubes"}


def test_monais_launcher_edits_files_with_a_bundle(cli, tiny, folder: Path, tmp_path: Path) -> None:
    from monai.bundle import ConfigParser

    cli.succeeds("train", "editing", "--phantoms", 2, "-o", folder / "mine", *OPTIONS, "--cache", tmp_path)
    parser = ConfigParser()
    parser.read_config(str(folder / "mine" / "configs" / "inference.json"))
    parser["bundle_root"] = str(folder / "mine")
    parser["image"] = str(folder / "image.nrrd")
    parser["segmentation"] = str(folder / "labels.nii.gz")
    parser["request::segment"] = "3"
    parser["strokes"] = [str(folder / "stroke.fcsv")]
    parser["output"] = str(folder / "o.nii.gz")
    parser["influence_radius_mm"] = float(RADIUS)
    (outcome,) = parser.get_parsed_content("inferring")
    assert outcome.editor.name == "mine"
    assert outcome.strokes[0].result.changed_inside > 0 and outcome.strokes[0].result.changed_outside == 0
    assert (folder / "o.nii.gz").is_file()


class TestRefusals:
    @pytest.fixture
    def refused(self, cli, tiny, folder: Path):
        def sentence(content: object = None, *more: object, name: str = "cases.json") -> str:
            if content is not None:
                text = content if isinstance(content, str) else json.dumps(content)
                (folder / name).write_text(text)
            given = ("--dataset", folder / name) if name else ()
            return cli.refuses("train", "editing", *given, "-o", folder / "mine", *OPTIONS, *more)

        return sentence

    def test_missing(self, refused) -> None:
        assert "nothing.json cannot be read (No such file or directory)" in refused(name="nothing.json")

    @pytest.mark.parametrize("content", ["", "{", "image,label", '{"training": [1,}'])
    def test_no_json(self, refused, content: str) -> None:
        assert "cases.json is no JSON (" in refused(content)

    def test_not_text(self, refused, folder: Path) -> None:
        (folder / "cases.json").write_bytes(b"\xff\xfe\x00image")
        assert "cases.json is no JSON (" in refused()

    def test_a_byte_order_mark_is_none_of_the_json(self, refused, folder: Path) -> None:
        (folder / "cases.json").write_text('{"training": [{"image": "gone.nrrd", "label": "l"}]}', encoding="utf-8-sig")
        assert "gone.nrrd of case 1" in refused()

    def test_no_object(self, refused) -> None:
        assert 'is no JSON object with a list "training"' in refused(["image.nrrd"])

    @pytest.mark.parametrize("content", [{}, {"training": []}, {"validation": []}, {"training": None}])
    def test_no_cases(self, refused, content: object) -> None:
        assert 'lists no cases under "training"' in refused(content)

    def test_no_list(self, refused) -> None:
        assert '"training" in' in refused({"training": "image.nrrd"})

    @pytest.mark.parametrize(
        "case", ["image.nrrd", {}, {"image": "image.nrrd"}, {"image": ["image.nrrd"], "label": "labels.nii.gz"}]
    )
    def test_a_case_without_image_and_label(self, refused, case: object) -> None:
        good = {"image": "image.nrrd", "label": "labels.nii.gz"}
        assert 'Case 2 of "training" in ' in refused({"training": [good, case]})

    @pytest.mark.parametrize("part", ["training", "validation"])
    def test_a_missing_file(self, refused, part: str) -> None:
        good = {"image": "image.nrrd", "label": "labels.nii.gz"}
        content = {"training": [good]} | {part: [{"image": "image.nrrd", "label": "gone.nrrd"}]}
        assert f'gone.nrrd of case 1 of "{part}"' in refused(content)

    def test_an_unreadable_image(self, refused, folder: Path) -> None:
        (folder / "bad.nrrd").write_bytes(np.random.default_rng(0).bytes(999))
        assert "bad.nrrd" in refused({"training": [{"image": "bad.nrrd", "label": "labels.nii.gz"}]})

    def test_an_empty_labelmap(self, refused, folder: Path) -> None:
        files.write_volume(Volume(np.zeros((6, 6, 6), np.uint8), np.eye(4)), folder / "none.nrrd")
        sentence = refused({"training": [{"image": "image.nrrd", "label": "none.nrrd"}]})
        assert "has no segment with a boundary inside the image" in sentence

    def test_options_that_exclude_each_other(self, refused) -> None:
        assert "--phantoms 3 exclude each other" in refused({"training": []}, "--phantoms", 3)
        assert "--cubes 3 are cut from the cases of --dataset" in refused(None, "--cubes", 3, name="")

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (("--phantoms", 0), "Phantoms must be a positive whole number, not 0"),
            (("--phantoms", "many"), "--phantoms"),
            (("--phantoms", 1, "--minutes", "-2"), "Minutes must be a positive number, not -2"),
            (("--phantoms", 1, "--epochs", "nan"), "Epochs must be a positive number, not nan"),
            (("--phantoms", 1, "--workers", "-1"), "--workers"),
            (("--phantoms", 1, "--seed", "-1"), "--seed"),
            (("--phantoms", 1, "--device", "tpu"), "There is no device 'tpu'"),
            (("--phantoms", 1, "--output", "/proc/nowhere/bundle"), "/proc/nowhere does not exist"),
            (("--phantoms", 1, "--output", "/proc/bundle"), "Could not write /proc/bundle"),
        ],
    )
    def test_values(self, refused, options: tuple, words: str) -> None:
        assert words in refused(None, *options, name="")

    def test_an_output_that_is_something_else(self, cli, tiny, folder: Path) -> None:
        sentence = cli.refuses("train", "editing", "--phantoms", 1, "-o", folder, *OPTIONS)
        assert "exists and is no model bundle, so it is left alone" in sentence


@pytest.mark.parametrize("moment", ["simulating", "step 0"])
def test_stopping_leaves_no_bundle(folder: Path, tmp_path: Path, moment: str) -> None:
    options = ["--phantoms", "2", "--minutes", "5", "--workers", "1", "--device", "cpu", "--progress", "json"]
    code = (
        "import sys; from SparseToPreciseLib.core.training import recipe as c\n"
        "real = c.packaged_config\n"
        "def small(family, name):\n"
        "    config = real(family, name)\n"
        "    if name == 'train.json':\n"
        "        config['simulation']['segmenter_share'] = 0\n"
        "        config['validation_phantoms'] = 1\n"
        "        config['network'] = {'name': 'UNet', 'arguments': {'spatial_dims': 3, 'out_channels': 1,\n"
        "            'in_channels': len(config['form']['parameters']['inputs']), 'channels': [4, 8], 'strides': [2]}}\n"
        "    return config\n"
        "c.packaged_config = small\n"
        "from SparseToPreciseLib.cli.main import run\n"
        "if __name__ == '__main__': sys.exit(run(sys.argv[1:]))\n"
    )
    (tmp_path / "small.py").write_text(code)
    before = snapshot(folder)
    command = ("train", "editing", "-o", folder / "mine", *options, "--cache", tmp_path / "cache")
    program, ready = tmp_path / "small.py", moment == "step 0"
    answer = stopped_at(moment, signal.SIGINT, *command, program=program, group=True, ready=ready)
    assert (answer.code, answer.error) == (130, "Stopped; nothing was written.\n")
    assert snapshot(folder) == before
