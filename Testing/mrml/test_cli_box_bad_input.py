"""Bad input of the commands for boxes: exit code 2, one sentence that names the value, nothing written."""

from __future__ import annotations

import errno
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from box_cases import CENTRE, GRID, image_on
from edit_cases import rotation

from cli_files import snapshot, stopped_at
from SparseToPreciseLib.core.box import Box
from SparseToPreciseLib.mrml import files
from SparseToPreciseLib.mrml.rois import roi_from_box, write_roi


@pytest.fixture
def refused(box_cli, box_folder: Path):
    """The sentence with which `box tighten` refuses the good case when some of its inputs are replaced."""

    def sentence(*more: object, image="image.nrrd", roi="loose.mrk.json", out="o.mrk.json") -> str:
        given = [box_folder / roi] if roi else []
        model = () if "--model" in more else ("--model", box_folder / "corrector")
        return box_cli.refuses("box", "tighten", box_folder / image, *given, "-o", box_folder / out, *model, *more)

    return sentence


@pytest.fixture
def stored(box_folder: Path):
    """Write a box and give its file's name."""

    def name(box: Box) -> str:
        write_roi(roi_from_box(box), box_folder / "b.mrk.json")
        return "b.mrk.json"

    return name


def with_values(folder: Path, **values: object) -> str:
    """The loose ROI's file with something in it replaced."""
    content = json.loads((folder / "loose.mrk.json").read_text())
    content["markups"][0] |= values
    (folder / "bad.mrk.json").write_text(json.dumps(content))
    return "bad.mrk.json"


class TestBox:
    def test_outside_the_image(self, refused, stored) -> None:
        sentence = refused(roi=stored(Box(CENTRE + [300, 0, 0], np.eye(3), [20, 20, 20])))
        assert "b.mrk.json: The box around RAS [305.0, -8.0, 12.0] lies outside the image" in sentence

    def test_partly_outside_the_image(self, refused, stored) -> None:
        sentence = refused(roi=stored(Box(CENTRE + [30, 0, 0], np.eye(3), [20, 20, 20])))
        assert "The box reaches beyond the image along the image's axis I (by " in sentence

    def test_a_turned_one_with_a_corner_outside(self, refused, stored) -> None:
        sentence = refused(roi=stored(Box(CENTRE, rotation((0, 0, 1), 45), [60, 60, 20])))
        assert "The box is larger than the image along the image's axis" in sentence

    def test_larger_than_the_image(self, refused, stored) -> None:
        sentence = refused(roi=stored(Box(CENTRE, np.eye(3), [20, 200, 20])))
        assert "The box is larger than the image along the image's axis J (by " in sentence

    @pytest.mark.parametrize(
        ("size", "words"), [([0, 20, 20], "[0.0, 20.0, 20.0]"), ([20, -3, 20], "[20.0, -3.0, 20.0]")]
    )
    def test_zero_or_negative_size(self, refused, box_folder: Path, size: list[float], words: str) -> None:
        sentence = refused(roi=with_values(box_folder, size=size))
        assert "bad.mrk.json" in sentence and f"three positive lengths (mm), not {words}" in sentence

    def test_thinner_than_a_slice(self, refused, stored) -> None:
        sentence = refused(roi=stored(Box(CENTRE, np.eye(3), [20, 20, 0.9])))
        assert "The box is 0.90 mm thin along its axis K, less than one voxel (1.50 mm)" in sentence

    def test_sheared(self, refused, box_folder: Path) -> None:
        sentence = refused(roi=with_values(box_folder, orientation=[1, 0.3, 0, 0, 1, 0, 0, 0, 1]))
        assert "bad.mrk.json" in sentence and "not at right angles" in sentence

    def test_numbers(self, refused) -> None:
        assert "from 10 to 0 mm along R; give the lower" in refused("--bounds-ras", 10, 0, -20, 0, 0, 20, roi=None)
        assert "lies outside the image" in refused("--bounds-ras", 900, 920, -20, 0, 0, 20, roi=None)
        sentence = refused("--bounds-ras", "x", 0, -20, 0, 0, 20, roi=None)
        assert "six numbers of millimetres are needed, not 'x 0 -20 0 0 20'" in sentence
        assert "three finite coordinates (mm), not [nan, " in refused("--bounds-ras", "nan", 0, -20, 0, 0, 20, roi=None)

    def test_four_numbers_that_swallow_the_next_option(self, box_cli, box_folder: Path) -> None:
        given = box_folder / "image.nrrd", "--bounds-ras", 1, 2, 3, 4, "--output", box_folder / "o.mrk.json"
        sentence = box_cli.refuses("box", "tighten", *given)
        assert "'--bounds-ras': six numbers of millimetres are needed, not '1 2 3 4 --output " in sentence

    def test_none_or_two(self, refused) -> None:
        assert "not neither; give one of them" in refused(roi=None)
        assert "not both; give one of them" in refused("--bounds-ras", 0, 9, -9, 0, 0, 9)
        assert "--segment 3 belongs to a segmentation" in refused(
            "--bounds-ras", 0, 9, -9, 0, 0, 9, "--segment", "3", roi=None
        )

    def test_files(self, refused, box_folder: Path) -> None:
        assert "none.mrk.json does not exist" in refused(roi="none.mrk.json")
        assert "is an ROI and has no segment 3" in refused("--segment", "3")
        assert "has no segment Liver" in refused("--segment", "Liver", roi="mask.nrrd")
        files.write_stroke(np.zeros((2, 3)), box_folder / "stroke.mrk.json")
        assert "stroke.mrk.json holds a markup of type Curve" in refused(roi="stroke.mrk.json")
        files.write_volume(image_on(GRID).with_array(np.zeros(GRID.shape, np.uint8)), box_folder / "zero.nrrd")
        assert "zero has no segments" in refused(roi="zero.nrrd")


class TestImage:
    @pytest.mark.parametrize(("shape", "words"), [((20, 20), "2D image"), ((3, 20, 20, 20), "4D image")])
    def test_not_three_axes(self, refused, box_folder: Path, shape: tuple[int, ...], words: str) -> None:
        image = sitk.GetImageFromArray(np.zeros(shape, np.float32), isVector=False)
        sitk.WriteImage(image, str(box_folder / "other.nrrd"))
        assert words in refused(image="other.nrrd")

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_values_that_are_no_numbers_in_the_box(self, refused, box_folder: Path, value: float) -> None:
        image = image_on(GRID)
        array = image.array.copy()
        array[10:30, 10:30, 20:30] = value
        files.write_volume(image.with_array(array), box_folder / "nan.nrrd")
        assert "has values that are no numbers in" in refused(image="nan.nrrd")

    @pytest.mark.parametrize("place", [(22, 22, 22), (12, 30, 17)])
    def test_one_value_that_is_no_number_in_the_box(self, refused, box_folder: Path, place) -> None:
        image = image_on(GRID)
        array = image.array.copy()
        array[place] = np.nan
        files.write_volume(image.with_array(array), box_folder / "nan.nrrd")
        assert "has values that are no numbers in" in refused(image="nan.nrrd")

    def test_missing(self, refused) -> None:
        assert "nothing.nrrd does not exist" in refused(image="nothing.nrrd")


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--margin", "-1", "The margin must be 0 mm or more, not -1"),
        ("--margin", "nan", "The margin must be 0 mm or more, not nan"),
        ("--coverage", "0", "The coverage must lie between 0 and 1, not 0"),
        ("--coverage", "1.5", "The coverage must lie between 0 and 1, not 1.5"),
        ("--coverage", "0.9999", "A coverage of 0.9999 is more than this model was calibrated for"),
        ("--axis", "Z", "'Z'"),
        ("--device", "gpu", "There is no device 'gpu'"),
    ],
)
def test_options(refused, option: str, value: str, words: str) -> None:
    assert words in refused(option, value)


class TestModels:
    def test_none_of_that_name(self, refused, box_folder: Path) -> None:
        assert "There is no bundle nothing" in refused("--model", "nothing")

    def test_of_another_family(self, refused) -> None:
        assert "is of the family editing, not boxes-corrector" in refused("--model", "editing")

    def test_damaged_weights(self, refused, box_folder: Path) -> None:
        weights = box_folder / "corrector" / "models" / "model.pt"
        weights.write_bytes(weights.read_bytes()[:-7] + b"another")
        sentence = refused()
        assert "The bundle tiny" in sentence and "is refused: the SHA-256" in sentence

    @pytest.mark.parametrize("key", ["patch", "calibration", "side", "typical_mm", "oriented"])
    def test_parameters_missing(self, refused, box_folder: Path, key: str) -> None:
        path = box_folder / "corrector" / "configs" / "metadata.json"
        metadata = json.loads(path.read_text())
        del metadata["parameters"][key]
        path.write_text(json.dumps(metadata))
        assert "The bundle tiny" in refused() and "is refused" in refused()


class TestOutputs:
    def test_places(self, refused, box_folder: Path) -> None:
        assert "missing does not exist" in refused(out="missing/o.mrk.json")
        (box_folder / "folder.mrk.json").mkdir()
        assert "folder.mrk.json is a folder" in refused(out="folder.mrk.json")

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--output", "o.nrrd"], "must end with .mrk.json"),
            (["--slices-csv", "s.txt"], "must end with .csv"),
            (["--slices-segmentation", "s.stl"], "must end with .seg.nrrd or .nrrd"),
            (["--picture", "p.jpg"], "must end with .png"),
            (["--report", "r.txt"], "must end with .json"),
        ],
    )
    def test_formats(self, refused, arguments: list[str], words: str) -> None:
        assert words in refused(*arguments)

    def test_inputs_are_not_overwritten_by_mistake(self, refused, box_folder: Path) -> None:
        assert "is one of the inputs" in refused("--slices-segmentation", box_folder / "image.nrrd")
        assert "is one of the inputs" in refused("--report", box_folder / "loose.mrk.json")
        assert "is named for two outputs" in refused("--report", box_folder / "o.mrk.json")

    def test_old_files_survive_a_full_disk(self, refused, box_folder: Path, monkeypatch) -> None:
        outputs = {name: box_folder / name for name in ("o.mrk.json", "s.csv", "s.seg.nrrd", "r.json", "p.png")}
        for path in outputs.values():
            path.write_text("old")

        def full(descriptor: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("SparseToPreciseLib.core.files.os.fsync", full)
        sentence = refused(
            "--slices-csv", outputs["s.csv"], "--slices-segmentation", outputs["s.seg.nrrd"],
            "--report", outputs["r.json"], "--picture", outputs["p.png"],
        )  # fmt: skip
        assert "the disk is full" in sentence


@pytest.mark.skipif(os.name == "nt", reason="signals as Unix has them")
@pytest.mark.parametrize("moment", ["reading", "loading", "looking", "writing"])
def test_stopping_at_any_moment_leaves_nothing_behind(box_folder: Path, moment: str) -> None:
    outputs = {box_folder / name for name in ("o.mrk.json", "s.seg.nrrd", "r.json")}
    before = snapshot(box_folder)
    command = ["box", "tighten", box_folder / "image.nrrd", box_folder / "loose.mrk.json"]
    command += ["-o", box_folder / "o.mrk.json", "--model", box_folder / "corrector", "--progress", "json"]
    command += ["--slices-segmentation", box_folder / "s.seg.nrrd", "--report", box_folder / "r.json"]
    answer = stopped_at(moment, signal.SIGTERM, *command, ready=moment in ("looking", "writing"))
    after = snapshot(box_folder)
    if moment == "writing" and answer.code == 0:
        assert set(after) - set(before) == outputs  # the signal came when all was done
        return
    assert (answer.code, answer.error) == (128 + signal.SIGTERM, "Stopped; nothing was written.\n")
    assert after == before


class TestSegment:
    """What `box segment` refuses besides."""

    def test_a_corrector_that_is_not_asked_for(self, box_cli, box_folder: Path) -> None:
        inputs = (box_folder / "image.nrrd", box_folder / "loose.mrk.json", "-o", box_folder / "o.seg.nrrd")
        assert "is for --tighten-first, which is not given" in box_cli.refuses(
            "box", "segment", *inputs, "--corrector", box_folder / "corrector"
        )

    def test_a_model_of_another_family(self, box_cli, box_folder: Path) -> None:
        inputs = (box_folder / "image.nrrd", box_folder / "loose.mrk.json", "-o", box_folder / "o.seg.nrrd")
        assert "is of the family editing, not boxes-segmenter or boxes-corrector" in box_cli.refuses(
            "box", "segment", *inputs, "--model", "editing"
        )

    def test_outputs(self, box_cli, box_folder: Path) -> None:
        inputs = (box_folder / "image.nrrd", box_folder / "loose.mrk.json")
        assert "must end with .seg.nrrd or .nrrd" in box_cli.refuses("box", "segment", *inputs, "-o", "o.mrk.json")
