"""Bad boxes, images and masks through `box segment` and `box evaluate`: one sentence each, and nothing written.

`box tighten` has them in test_cli_box_bad_input.py.
"""

from __future__ import annotations

import errno
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from box_cases import CENTRE, GRID, LOOSE, image_on, mask_on

from cli_files import snapshot, stopped_at
from SparseToPreciseLib.core.box import Box
from SparseToPreciseLib.mrml import files
from SparseToPreciseLib.mrml.rois import roi_from_box, write_roi
from SparseToPreciseLib.tasks.boxes import write_mask

EYE = np.eye(3)
BOXES = {
    "outside": (Box(CENTRE + [300, 0, 0], EYE, [20, 20, 20]), "lies outside the image"),
    "partly outside": (Box(CENTRE + [30, 0, 0], EYE, [20, 20, 20]), "reaches beyond the image along"),
    "larger": (Box(CENTRE, EYE, [20, 200, 20]), "is larger than the image along the image's axis J"),
    "thin": (Box(CENTRE, EYE, [20, 20, 0.9]), "is 0.90 mm thin along its axis K, less than one voxel (1.50 mm)"),
}
VALUES = {
    "zero": ({"size": [0, 20, 20]}, "three positive lengths (mm), not [0.0, 20.0, 20.0]"),
    "negative": ({"size": [20, -3, 20]}, "three positive lengths (mm), not [20.0, -3.0, 20.0]"),
    "sheared": ({"orientation": [1, 0.3, 0, 0, 1, 0, 0, 0, 1]}, "not at right angles"),
}


@pytest.fixture(params=["as given", "tightened first"])
def segmenting(request, box_folder: Path):
    """Arguments of `box segment` for an image and a box, of both kinds."""

    def arguments(image="image.nrrd", roi="loose.mrk.json", out="o.seg.nrrd", **models: str) -> list[object]:
        given = ["box", "segment", box_folder / image, box_folder / roi, "-o", box_folder / out, "--device", "cpu"]
        given += ["--model", box_folder / models.get("segmenter", "segmenter")]
        if request.param == "tightened first":
            given += ["--tighten-first", "--corrector", box_folder / models.get("corrector", "corrector")]
        return given

    return arguments


def with_values(folder: Path, **values: object) -> str:
    """The loose ROI's file with something in it replaced."""
    content = json.loads((folder / "loose.mrk.json").read_text())
    content["markups"][0] |= values
    (folder / "bad.mrk.json").write_text(json.dumps(content))
    return "bad.mrk.json"


def damaged(folder: Path, kind: str) -> None:
    weights = folder / kind / "models" / "model.pt"
    weights.write_bytes(weights.read_bytes()[:-7] + b"another")


class TestSegment:
    @pytest.mark.parametrize("kind", BOXES)
    def test_boxes_that_do_not_fit(self, box_cli, segmenting, box_folder: Path, kind: str) -> None:
        box, words = BOXES[kind]
        write_roi(roi_from_box(box), box_folder / "b.mrk.json")
        sentence = box_cli.refuses(*segmenting(roi="b.mrk.json"))
        assert "b.mrk.json: The box" in sentence and words in sentence

    @pytest.mark.parametrize("kind", VALUES)
    def test_boxes_that_are_none(self, box_cli, segmenting, box_folder: Path, kind: str) -> None:
        values, words = VALUES[kind]
        sentence = box_cli.refuses(*segmenting(roi=with_values(box_folder, **values)))
        assert "bad.mrk.json" in sentence and words in sentence

    @pytest.mark.parametrize(("shape", "words"), [((20, 20), "2D image"), ((3, 20, 20, 20), "4D image")])
    def test_images_of_other_dimensions(self, box_cli, segmenting, box_folder: Path, shape, words: str) -> None:
        image = sitk.GetImageFromArray(np.zeros(shape, np.float32), isVector=False)
        sitk.WriteImage(image, str(box_folder / "other.nrrd"))
        assert words in box_cli.refuses(*segmenting(image="other.nrrd"))

    def test_values_that_are_no_numbers(self, box_cli, segmenting, box_folder: Path) -> None:
        array = image_on(GRID).array.copy()
        array[22, 22, 22] = np.nan
        files.write_volume(image_on(GRID).with_array(array), box_folder / "nan.nrrd")
        assert "has values that are no numbers in" in box_cli.refuses(*segmenting(image="nan.nrrd"))

    def test_damaged_weights(self, box_cli, segmenting, box_folder: Path) -> None:
        damaged(box_folder, "segmenter")
        assert "is refused: the SHA-256" in box_cli.refuses(*segmenting())

    def test_a_damaged_corrector(self, box_cli, box_folder: Path) -> None:
        damaged(box_folder, "corrector")
        given = (box_folder / "image.nrrd", box_folder / "loose.mrk.json", "-o", box_folder / "o.nrrd")
        models = ("--model", box_folder / "segmenter", "--corrector", box_folder / "corrector")
        assert "is refused: the SHA-256" in box_cli.refuses("box", "segment", *given, *models, "--tighten-first")

    def test_old_files_survive_a_full_disk(self, box_cli, segmenting, box_folder: Path, monkeypatch) -> None:
        outputs = {name: box_folder / name for name in ("o.seg.nrrd", "r.json", "p.png")}
        for path in outputs.values():
            path.write_text("old")

        def full(descriptor: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("SparseToPreciseLib.core.files.os.fsync", full)
        more = ("--report", outputs["r.json"], "--picture", outputs["p.png"])
        assert "the disk is full" in box_cli.refuses(*segmenting(), *more)

    @pytest.mark.skipif(os.name == "nt", reason="signals as Unix has them")
    @pytest.mark.parametrize("moment", ["loading", "writing"])
    def test_stopping_leaves_nothing_behind(self, segmenting, box_folder: Path, moment: str) -> None:
        (box_folder / "o.seg.nrrd").write_text("old")
        before = snapshot(box_folder)
        command = [*segmenting(), "--report", box_folder / "r.json", "--progress", "json"]
        answer = stopped_at(moment, signal.SIGTERM, *command, ready=moment == "writing")
        after = snapshot(box_folder)
        if moment == "writing" and answer.code == 0:
            assert set(after) - set(before) == {box_folder / "r.json"}  # the signal came when all was done
            return
        assert answer.code == 128 + signal.SIGTERM
        assert answer.error == "Stopped; nothing was written.\n"
        assert after == before


def test_nothing_in_the_box_keeps_it_with_a_warning(box_cli, box_folder: Path) -> None:
    image = image_on(GRID)
    files.write_volume(image.with_array(np.full(GRID.shape, 7, np.float32)), box_folder / "flat.nrrd")
    answer = box_cli.succeeds(
        "box", "tighten", box_folder / "flat.nrrd", box_folder / "loose.mrk.json", "-o", box_folder / "o.mrk.json",
        "--model", box_folder / "corrector", "--report", box_folder / "r.json",
    )  # fmt: skip
    told = " ".join(answer.out.split())
    assert "The box was kept as it is: the image is the same everywhere in the box." in told
    assert "train boxes-corrector" in told
    report = json.loads((box_folder / "r.json").read_text())["tightened"]
    assert not report["safe"] and report["volume_after_mm3"] == pytest.approx(LOOSE.volume_mm3)


class TestEvaluate:
    @pytest.fixture
    def refused(self, box_cli, box_folder: Path):
        def sentence(predicted="loose.mrk.json", reference="mask.nrrd", *more: object) -> str:
            return box_cli.refuses("box", "evaluate", box_folder / predicted, box_folder / reference, *more)

        return sentence

    def test_files_that_are_not_there(self, refused) -> None:
        assert "none.mrk.json does not exist" in refused("none.mrk.json")
        assert "none.nrrd does not exist" in refused("none.nrrd")
        assert "none.nrrd does not exist" in refused(reference="none.nrrd")

    @pytest.mark.parametrize("kind", VALUES)
    def test_boxes_that_are_none(self, refused, box_folder: Path, kind: str) -> None:
        values, words = VALUES[kind]
        sentence = refused(with_values(box_folder, **values))
        assert "bad.mrk.json" in sentence and words in sentence

    def test_other_markups(self, refused, box_folder: Path) -> None:
        files.write_stroke(np.zeros((2, 3)), box_folder / "stroke.mrk.json")
        assert "stroke.mrk.json holds a markup of type Curve" in refused("stroke.mrk.json")

    def test_a_reference_that_is_no_mask(self, refused, box_folder: Path) -> None:
        assert "loose.mrk.json" in refused(reference="loose.mrk.json")
        assert "image.nrrd" in refused(reference="image.nrrd")

    @pytest.mark.parametrize(("shape", "words"), [((20, 20), "2D"), ((3, 20, 20, 20), "4D")])
    def test_references_of_other_dimensions(self, refused, box_folder: Path, shape, words: str) -> None:
        image = sitk.GetImageFromArray(np.ones(shape, np.uint8), isVector=False)
        sitk.WriteImage(image, str(box_folder / "other.nrrd"))
        assert words in refused(reference="other.nrrd")

    def test_one_of_several_segments(self, refused, box_folder: Path) -> None:
        labels = mask_on(GRID).array * 3
        labels[0, 0, 0] = 1
        files.write_volume(mask_on(GRID).with_array(labels), box_folder / "labels.nii.gz")
        assert "labels.nii.gz" in refused(reference="labels.nii.gz")
        assert "labels.nii.gz" in refused("labels.nii.gz", "labels.nii.gz", "--reference-segment", "3")
        assert "9" in refused("loose.mrk.json", "labels.nii.gz", "--reference-segment", "9")
        assert "is an ROI and has no segment 3" in refused("loose.mrk.json", "mask.nrrd", "--predicted-segment", "3")

    @pytest.mark.parametrize("name", ["none.nii.gz", "none.seg.nrrd"])
    def test_a_prediction_in_which_nothing_was_found_is_no_error(self, box_cli, box_folder: Path, name: str) -> None:
        write_mask(mask_on(GRID).with_array(np.zeros(GRID.shape, np.uint8)), "Liver", (1, 0, 0), box_folder / name)
        answer = box_cli.succeeds("box", "evaluate", box_folder / name, box_folder / "mask.nrrd", "--csv")
        found = dict(zip(*(line.split(",") for line in answer.out.splitlines()), strict=True))
        assert float(found["coverage"]) == float(found["dice"]) == float(found["volume_mm3"]) == 0

    def test_what_does_not_touch_the_reference_is_no_error(self, box_cli, box_folder: Path) -> None:
        write_roi(roi_from_box(Box(CENTRE + [300, 0, 0], EYE, [20, 20, 20])), box_folder / "far.mrk.json")
        answer = box_cli.succeeds("box", "evaluate", box_folder / "far.mrk.json", box_folder / "mask.nrrd", "--csv")
        found = dict(zip(*(line.split(",") for line in answer.out.splitlines()), strict=True))
        assert float(found["coverage"]) == float(found["dice"]) == 0
