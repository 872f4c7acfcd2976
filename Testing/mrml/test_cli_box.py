"""`sparse-to-precise box` on files: what it writes and says, and the same answer from every storage."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from box_cases import CENTRE, GRID, GRIDS, LOOSE, TIGHT, find_nothing, image_on, mask_on
from edit_cases import rotation

from SparseToPreciseLib.boxes.corrector.slice_boxes import SliceBox
from SparseToPreciseLib.boxes.corrector.tighten import TightenResult
from SparseToPreciseLib.boxes.slices import Frame
from SparseToPreciseLib.core.box import Box
from SparseToPreciseLib.core.images import read_labelmap
from SparseToPreciseLib.mrml import files
from SparseToPreciseLib.mrml.rois import box_from_roi, read_roi, roi_from_box, write_roi
from SparseToPreciseLib.pictures import boxes as box_picture

TURNED = Box(CENTRE, rotation((1, 1, 2), 25), [33.0, 38.0, 42.0])
OPTIONS = ("--device", "cpu")


def box_in(path: Path) -> Box:
    return box_from_roi(read_roi(path))


def tighten(cli, folder: Path, *more: object, image="image.nrrd", roi="loose.mrk.json", out="out.mrk.json") -> Box:
    """What `box tighten` makes of a case."""
    roi = [folder / roi] if roi else []
    arguments = (folder / image, *roi, "-o", folder / out, "--model", folder / "corrector", *OPTIONS)
    cli.succeeds("box", "tighten", *arguments, *more)
    return box_in(folder / out)


def assert_tightened(tight: Box, given: Box, thick: float = 1.5) -> None:
    """It holds the object, is smaller than the given box, and lies in it."""
    # Nine tenths of a voxel: the object's faces are where its softened edge is half.
    inner = Box(tight.center, tight.axes, tight.size + 2 * 0.9 * np.array([1.5, 1.5, thick]))
    sphere = np.random.default_rng(0).normal(size=(2000, 3))
    sphere /= np.linalg.norm(sphere, axis=1, keepdims=True)
    assert inner.contains(CENTRE + sphere * TIGHT.size / 2).all()
    assert tight.volume_mm3 < 0.6 * given.volume_mm3
    assert given.contains(tight.corners(), 1e-3).all()


def sides(box: Box) -> np.ndarray:
    return np.sort(box.bounds_ras, axis=1)


def test_everything_that_is_asked_for_is_written(box_cli, box_folder: Path) -> None:
    outputs = {
        "--slices-csv": "s.csv",
        "--slices-segmentation": "s.seg.nrrd",
        "--report": "r.json",
        "--picture": "p.png",
    }
    more = [part for option, name in outputs.items() for part in (option, box_folder / name)]
    tight = tighten(box_cli, box_folder, *more, "--margin", "1.5")
    assert_tightened(tight, LOOSE)
    assert read_roi(box_folder / "out.mrk.json").GetDisplayNode().GetSelectedColor() == pytest.approx((0.2, 0.7, 0.3))

    report = json.loads((box_folder / "r.json").read_text())
    assert report["tightened"]["safe"] is True and report["tightened"]["axis"] == "K"
    np.testing.assert_allclose(report["tightened"]["center"], tight.center, atol=1e-5)
    np.testing.assert_allclose(report["tightened"]["size_mm"], tight.size, atol=1e-5)
    np.testing.assert_allclose(report["given"]["size_mm"], LOOSE.size, atol=1e-5)
    assert report["tightened"]["volume_before_mm3"] == pytest.approx(LOOSE.volume_mm3)
    assert report["tightened"]["volume_after_mm3"] == pytest.approx(tight.volume_mm3, rel=1e-5)
    assert report["model"]["name"] == "tiny" and len(report["model"]["weights_sha256"]) == 64
    assert report["device"] == {"requested": "cpu", "used": "cpu"}
    assert report["margin_mm"] == 1.5 and report["warnings"] == []

    with open(box_folder / "s.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["slice"]) for row in rows] == list(range(30))  # 45 mm in slices of 1.5 mm
    found = [row for row in rows if row["low_I_mm"]]
    assert 0 < len(found) == report["tightened"]["slices_with_object"] < 30
    low_i = min(float(row["low_I_mm"]) for row in found)
    assert LOOSE.from_box([low_i, 0, 0])[0] == pytest.approx(sides(tight)[0, 0], abs=2e-3)
    middle = min(found, key=lambda row: abs(float(row["center_s"]) - CENTRE[2]))
    assert abs(float(middle["center_r"]) - CENTRE[0]) < 1.5 and int(middle["parts"]) == 1
    assert float(middle["confidence"]) > float(rows[0]["confidence"])

    slices = read_labelmap(box_folder / "s.seg.nrrd").resampled_to(GRID, "nearest", fill=0)
    truth = mask_on(GRID).array != 0
    assert (slices.array[truth] != 0).mean() > 0.98
    inside = GRID.to_ras(np.argwhere(slices.array)[:, ::-1])
    assert tight.contains(inside).all()
    assert np.count_nonzero(slices.array) * GRID.voxel_volume_mm3 < 0.9 * tight.volume_mm3  # smaller at the ends
    assert (box_folder / "p.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in box_folder.iterdir() if path.name.startswith(".")] == []


def test_a_margin_is_added_within_the_given_box(box_cli, box_folder: Path) -> None:
    without = tighten(box_cli, box_folder)
    # One slice: along the slices' axis a margin is made of whole ones.
    wider = tighten(box_cli, box_folder, "--margin", "1.5")
    low, high = LOOSE.bounds_ras.T
    expected = np.clip(without.bounds_ras + (-1.5, 1.5), low[:, None], high[:, None])
    np.testing.assert_allclose(wider.bounds_ras, expected, atol=1e-3)
    assert (wider.size > without.size + 2.5).all()
    assert sides(tighten(box_cli, box_folder, "--margin", "50")) == pytest.approx(sides(LOOSE), abs=1e-3)


@pytest.mark.parametrize("axis", ["I", "J", "K"])
def test_slices_along_any_axis_of_the_box(box_cli, box_folder: Path, axis: str) -> None:
    more = ("--report", box_folder / "r.json", "--slices-csv", box_folder / "s.csv")
    tight = tighten(box_cli, box_folder, "--axis", axis, *more)
    assert json.loads((box_folder / "r.json").read_text())["tightened"]["axis"] == axis
    with open(box_folder / "s.csv", newline="") as file:
        names = next(csv.reader(file))
    others = {"I": ("J", "K"), "J": ("K", "I"), "K": ("I", "J")}[axis]
    assert [name for name in names if name.startswith("low")] == [f"low_{other}_mm" for other in others]
    assert_tightened(tight, LOOSE)


class TestBoxes:
    def test_six_numbers(self, box_cli, box_folder: Path) -> None:
        numbers = [f"{bound:g}" for bound in LOOSE.bounds_ras.ravel()]
        tight = tighten(box_cli, box_folder, "--bounds-ras", *numbers, roi=None, out="b.mrk.json")
        assert sides(tight) == pytest.approx(sides(tighten(box_cli, box_folder)), abs=1e-3)

    @pytest.mark.parametrize("name", ["labels.nii.gz", "labels.seg.nrrd"])
    def test_the_bounding_box_of_a_label(self, box_cli, box_folder: Path, name: str) -> None:
        from SparseToPreciseLib.mrml.labelmaps import segmentation_from_labelmap

        points = GRID.points_ras()
        labels = np.where(LOOSE.contains(points), 3, 0).astype(np.uint8)
        labels[0, 0, 0] = 1
        node = segmentation_from_labelmap(image_on(GRID).with_array(labels))
        files.write_segmentation(node, box_folder / name)
        tight = tighten(box_cli, box_folder, "--segment", "3", roi=name)
        assert np.abs(sides(tight) - sides(tighten(box_cli, box_folder))).max() < 1.6  # the box ends between voxels

    def test_a_turned_one(self, box_cli, box_folder: Path) -> None:
        write_roi(roi_from_box(TURNED), box_folder / "turned.mrk.json")
        tight = tighten(box_cli, box_folder, roi="turned.mrk.json")
        np.testing.assert_allclose(tight.axes, TURNED.axes, atol=1e-6)
        assert_tightened(tight, TURNED)

    def test_the_input_may_be_replaced(self, box_cli, box_folder: Path) -> None:
        tight = tighten(box_cli, box_folder, out="loose.mrk.json")
        assert_tightened(tight, LOOSE)


@pytest.mark.parametrize("name", GRIDS)
def test_another_storage_of_the_image_gives_the_same_answer(box_cli, box_folder: Path, name: str) -> None:
    tight = tighten(box_cli, box_folder, "--axis", "K")
    files.write_volume(image_on(GRIDS[name]), box_folder / "other.nrrd")
    other = tighten(box_cli, box_folder, "--axis", "K", image="other.nrrd", out="other.mrk.json")
    # Slices follow the image's own, which are twice as thick in the anisotropic one.
    thick = 3.0 if name == "anisotropic" else 1.5
    assert (np.abs(sides(other) - sides(tight)).max(axis=1) < [0.8, 0.8, thick + 0.1]).all()
    assert_tightened(other, LOOSE, thick)


@pytest.mark.parametrize("extension", [".nii.gz", ".mha"])
def test_formats_of_images(box_cli, box_folder: Path, extension: str) -> None:
    sitk.WriteImage(sitk.ReadImage(str(box_folder / "image.nrrd")), str(box_folder / f"image{extension}"))
    tight = tighten(box_cli, box_folder, image=f"image{extension}")
    assert sides(tight) == pytest.approx(sides(tighten(box_cli, box_folder)), abs=1e-3)


@pytest.mark.parametrize("name", ["s.nii.gz", "s.nrrd"])
def test_slices_as_a_labelmap_on_the_image_s_grid(box_cli, box_folder: Path, name: str) -> None:
    tighten(box_cli, box_folder, "--slices-segmentation", box_folder / name)
    image, slices = sitk.ReadImage(str(box_folder / "image.nrrd")), sitk.ReadImage(str(box_folder / name))
    assert slices.GetSize() == image.GetSize() and slices.GetPixelID() == sitk.sitkUInt8
    np.testing.assert_allclose(slices.GetOrigin(), image.GetOrigin(), atol=1e-4)
    assert set(np.unique(sitk.GetArrayFromImage(slices))) == {0, 1}


@pytest.mark.parametrize("count", [12, 24, 36])
def test_a_view_between_two_slices_shows_one_of_them(tmp_path: Path, monkeypatch, count: int) -> None:
    size = LOOSE.size[2]
    bounds = np.array([[-8.0, 8.0], [-9.0, 9.0]])
    middles = ((np.arange(count) + 0.5) / count - 0.5) * size
    slices = [SliceBox(number, at, bounds, (), 1.0, False) for number, at in enumerate(middles)]
    volumes = (LOOSE.volume_mm3, LOOSE.volume_mm3)
    frame = Frame.cut(LOOSE, 2, size / count)
    result = TightenResult(LOOSE, slices, 2, True, "", *volumes, 0.99, frame, {}, "cpu", "none")
    drawn = []
    real = box_picture._outline

    def noted(axes, view, frame, bounds, color, **style) -> None:
        drawn.append((view.position, color))
        real(axes, view, frame, bounds, color, **style)

    monkeypatch.setattr(box_picture, "_outline", noted)
    box_picture.draw_boxes(tmp_path / "p.png", image_on(GRID), LOOSE, result)
    shown = [position for position, color in drawn if color == box_picture.SLICE]
    assert len(shown) == len(set(shown)) == box_picture.SLICES


class TestUnsure:
    """Nothing in the box that looks like the object: the box is kept, with a warning."""

    def test_the_box_is_kept(self, box_cli, box_folder: Path) -> None:
        find_nothing(box_folder / "corrector")
        answer = box_cli.succeeds(
            "box", "tighten", box_folder / "image.nrrd", box_folder / "loose.mrk.json", "-o", box_folder / "o.mrk.json",
            "--model", box_folder / "corrector", "--report", box_folder / "r.json", "--picture", box_folder / "p.png",
            "--slices-csv", box_folder / "s.csv", "--slices-segmentation", box_folder / "s.seg.nrrd",
        )  # fmt: skip
        np.testing.assert_allclose(sides(box_in(box_folder / "o.mrk.json")), sides(LOOSE), atol=1e-5)
        report = json.loads((box_folder / "r.json").read_text())
        assert report["tightened"]["safe"] is False and "nothing like an object" in report["tightened"]["reason"]
        assert len(report["warnings"]) == 1 and report["tightened"]["reason"] in report["warnings"][0]
        assert report["warnings"][0] in " ".join(answer.out.split()) and "kept by tiny" in answer.out


class TestEvaluate:
    def numbers(self, cli, *arguments: object) -> dict[str, float]:
        names, values = cli.succeeds("box", "evaluate", *arguments, "--csv").out.splitlines()
        return dict(zip(names.split(","), map(float, values.split(",")), strict=True))

    def test_a_box(self, box_cli, box_folder: Path) -> None:
        found = self.numbers(box_cli, box_folder / "loose.mrk.json", box_folder / "mask.nrrd")
        assert found["coverage"] == 1.0 and found["volume_mm3"] == pytest.approx(LOOSE.volume_mm3, rel=1e-5)
        tight = Box.bounding(mask_on(GRID), np.eye(3)).bounds_ras
        errors = np.array([found[f"error_{axis}_{side}_mm"] for axis in "IJK" for side in ("low", "high")])
        wanted = np.stack([tight[:, 0] - LOOSE.bounds_ras[:, 0], LOOSE.bounds_ras[:, 1] - tight[:, 1]], axis=1)
        np.testing.assert_allclose(errors, wanted.ravel(), atol=1e-4)

    def test_a_mask_against_itself(self, box_cli, box_folder: Path) -> None:
        found = self.numbers(box_cli, box_folder / "mask.nrrd", box_folder / "mask.nrrd")
        assert (found["slice_iou"], found["coverage"], found["dice"]) == (1, 1, 1)
        assert "error_I_low_mm" not in found

    def test_a_tightened_box_is_better_and_a_table_says_so(self, box_cli, box_folder: Path) -> None:
        tighten(box_cli, box_folder, "--slices-segmentation", box_folder / "s.seg.nrrd")
        before, after, slices = (
            self.numbers(box_cli, box_folder / name, box_folder / "mask.nrrd")
            for name in ("loose.mrk.json", "out.mrk.json", "s.seg.nrrd")
        )
        assert before["slice_iou"] < after["slice_iou"] < slices["slice_iou"]
        answer = box_cli.succeeds("box", "evaluate", box_folder / "out.mrk.json", box_folder / "mask.nrrd")
        assert "slice_iou" in answer.out and "out.mrk.json against mask.nrrd" in answer.out

    def test_an_empty_reference(self, box_cli, box_folder: Path) -> None:
        files.write_volume(mask_on(GRID).with_array(mask_on(GRID).array * 0), box_folder / "zero.nrrd")
        assert "zero has no segments" in box_cli.refuses(
            "box", "evaluate", box_folder / "loose.mrk.json", box_folder / "zero.nrrd"
        )


def test_json_lines_end_with_the_result(box_cli, box_folder: Path) -> None:
    answer = box_cli.succeeds(
        "box", "tighten", box_folder / "image.nrrd", box_folder / "loose.mrk.json", "-o", box_folder / "o.mrk.json",
        "--model", box_folder / "corrector", "--report", box_folder / "r.json", "--progress", "json",
    )  # fmt: skip
    lines = [json.loads(line) for line in answer.out.splitlines()]
    fractions = [line["fraction"] for line in lines]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    result = lines[-1]["result"]
    assert result["timings"].pop("write") > 0
    assert result == json.loads((box_folder / "r.json").read_text())


def test_a_case_on_a_grid_turned_and_cropped_far_away(box_cli, box_folder: Path, tmp_path: Path) -> None:
    """Image and box moved together: the answer moves with them."""
    shift = np.array([312.0, -205.0, 1400.0])
    image = image_on(GRID)
    matrix = image.ijk_to_ras.copy()
    matrix[:3, 3] += shift
    files.write_volume(type(image)(image.array, matrix), box_folder / "far.nrrd")
    write_roi(roi_from_box(Box(LOOSE.center + shift, LOOSE.axes, LOOSE.size)), box_folder / "far.mrk.json")
    far = tighten(box_cli, box_folder, image="far.nrrd", roi="far.mrk.json", out="o.mrk.json")
    np.testing.assert_allclose(sides(far) - shift[:, None], sides(tighten(box_cli, box_folder)), atol=2e-2)


def test_nothing_stays_in_the_scene(box_cli, box_folder: Path, scene) -> None:
    box_cli.succeeds(
        "box", "tighten", box_folder / "image.nrrd", box_folder / "loose.mrk.json", "-o", box_folder / "o.mrk.json",
        "--model", box_folder / "corrector", "--slices-segmentation", box_folder / "s.seg.nrrd",
    )  # fmt: skip
    for kind in ("vtkMRMLMarkupsNode", "vtkMRMLVolumeNode", "vtkMRMLSegmentationNode"):
        assert scene.GetNumberOfNodesByClass(kind) == 0
