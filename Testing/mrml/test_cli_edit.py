"""`sparse-to-precise edit` on files: what it writes, keeps and says."""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from edit_cases import CENTRE, INFLUENCE, arc, case_on, distance_to_polyline, grid_around, rotation

from cli_files import GRID, RADIUS, labels_of, write_case
from SparseToPreciseLib.core.masks import dice
from SparseToPreciseLib.core.volume import Grid
from SparseToPreciseLib.mrml import files
from SparseToPreciseLib.mrml.labelmaps import segmentation_from_labelmap
from SparseToPreciseLib.mrml.lookup import find_segment
from SparseToPreciseLib.mrml.segmentations import (
    new_segment,
    segment_to_volume,
    segmentation_grid,
    set_reference_grid,
    volume_to_segment,
)
from SparseToPreciseLib.tasks.edit import EditOutcome

CASE = case_on(GRID)
AWAY = distance_to_polyline(GRID.points_ras().reshape(-1, 3), CASE.stroke).reshape(GRID.shape)


def read_segment(path: Path, name: str):
    node = files.read_segmentation(path)
    return segment_to_volume(node, find_segment(node, name))


def described(path: Path) -> list[tuple]:
    node = files.read_segmentation(path)
    segmentation, found = node.GetSegmentation(), []
    for segment_id in segmentation.GetSegmentIDs():
        segment, tag = segmentation.GetSegment(segment_id), ""
        # GetTag's second argument is an output in C++
        import vtk

        text = vtk.reference("")
        segment.GetTag("TerminologyEntry", text)
        tag = str(text)
        found.append((segment_id, segment.GetName(), tuple(np.round(segment.GetColor(), 3)), tag))
    return found


def test_a_segmentation_file_is_corrected_and_keeps_everything_else(cli, folder: Path) -> None:
    out = folder / "out.seg.nrrd"
    answer = cli.succeeds(
        "edit", folder / "image.nrrd", folder / "ball.seg.nrrd", folder / "stroke.mrk.json", "-o", out,
        "--segment", "Ball", "--influence-radius", RADIUS, "--picture", folder / "p.png", "--report", folder / "r.json",
    )  # fmt: skip
    assert "Ball, corrected by" in answer.out and "stroke.mrk.json" in answer.out
    before, after = read_segment(folder / "ball.seg.nrrd", "Ball"), read_segment(out, "Ball")
    assert after.grid.same_as(before.grid)
    changed = before.array != after.array
    truth = CASE.truth.array
    assert np.count_nonzero(after.array != truth) < 0.4 * np.count_nonzero(before.array != truth)
    assert not changed[AWAY > INFLUENCE].any()
    slabs = [read_segment(path, "Slab") for path in (folder / "ball.seg.nrrd", out)]
    assert np.array_equal(slabs[0].array, slabs[1].array)
    assert described(out) == described(folder / "ball.seg.nrrd")
    assert described(out)[0][3].startswith("Some category~")

    assert (folder / "p.png").read_bytes().startswith(b"\x89PNG")
    report = json.loads((folder / "r.json").read_text())
    assert report["segment"] == {"id": "Segment_3", "name": "Ball"}
    assert report["total"]["changed_inside"] == np.count_nonzero(changed) > 0
    assert report["total"]["changed_outside"] == 0
    stroke = report["strokes"][0]
    assert (stroke["changed_inside"], stroke["changed_outside"]) == (np.count_nonzero(changed), 0)
    assert stroke["influence_radius_mm"] == INFLUENCE
    assert stroke["volume_after_mm3"] == pytest.approx(np.count_nonzero(after.array) * 1.5**3)
    assert set(stroke["timings"]) == {"prepare", "editor", "apply"}
    assert report["device"] == {"requested": "auto", "used": "cpu"}
    assert set(report["editor"]) == {"name", "weights_sha256"}
    assert report["versions"]["numpy"] == np.__version__
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith(".")) == []


def test_a_proposal_is_taken_over_near_the_stroke_alone(cli, folder: Path) -> None:
    proposal = CASE.truth.with_array(5 * CASE.truth.array)
    proposal.array[0] = 9
    files.write_volume(proposal, folder / "other.nii.gz")
    inputs = [folder / name for name in ("image.nrrd", "ball.seg.nrrd", "stroke.mrk.json")]
    options = ["-o", folder / "out.nrrd", "--segment", "Ball", "--influence-radius", RADIUS]
    given = ["--proposal", folder / "other.nii.gz"]
    assert "other.nii.gz: other has 2 segments; name one" in cli.refuses("edit", *inputs, *options, *given)
    assert "both correct" in cli.refuses("edit", *inputs, *options, *given, "--model", "image-aware-warp")
    assert "needs a --proposal" in cli.refuses("edit", *inputs, *options, "--proposal-segment", "5")
    report = folder / "r.json"
    answer = cli.succeeds("edit", *inputs, *options, *given, "--proposal-segment", "5", "--report", report)
    assert "Ball, corrected by proposal other.nii.gz" in answer.out
    written = json.loads(report.read_text())
    assert written["inputs"]["proposal"] == str(folder / "other.nii.gz") and written["total"]["changed_outside"] == 0
    before, after = read_segment(folder / "ball.seg.nrrd", "Ball"), read_segment(folder / "out.nrrd", "3")
    changed = before.array != after.array
    assert changed.any() and not changed[AWAY > INFLUENCE].any()
    assert np.count_nonzero((after.array != CASE.truth.array)[AWAY < 4]) < np.count_nonzero(
        (before.array != CASE.truth.array)[AWAY < 4]
    )


@pytest.mark.parametrize("extension", [".nii.gz", ".nii", ".nrrd", ".mha"])
def test_a_labelmap_keeps_its_grid_its_type_and_every_voxel_outside_the_zone(cli, folder: Path, extension: str) -> None:
    labels = labels_of(CASE)
    source = folder / f"labels2{extension}"
    files.write_volume(labels, source)
    out = folder / f"out{extension}"
    cli.succeeds(
        "edit", folder / "image.nrrd", source, folder / "stroke.fcsv", "-o", out, "--segment", "3",
        "--influence-radius", RADIUS,
    )  # fmt: skip
    before, after = sitk.ReadImage(str(source)), sitk.ReadImage(str(out))
    assert before.GetPixelID() == after.GetPixelID() == sitk.sitkInt16
    for geometry in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
        np.testing.assert_allclose(getattr(after, geometry)(), getattr(before, geometry)(), atol=1e-4)
    was, now = sitk.GetArrayFromImage(before), sitk.GetArrayFromImage(after)
    assert np.array_equal(was, labels.array)
    changed = was != now
    assert not changed[AWAY > INFLUENCE].any()
    # The ball takes voxels of the slab with its own label, and gives none of its own to the slab.
    assert set(np.unique(now[changed])) <= {0, 3} and (was[changed] == 7).any()
    assert set(np.unique(now)) == {0, 3, 7}


@pytest.mark.parametrize("extension", [".seg.nrrd", ".nrrd", ".nii.gz", ".mha"])
def test_a_label_value_above_255(cli, folder: Path, extension: str) -> None:
    """As the only label, where Slicer would write it in one byte."""
    source, out = folder / f"large{extension}", folder / f"out{extension}"
    labels = CASE.image.with_array(CASE.before.array.astype(np.int32) * 70000)
    if extension == ".seg.nrrd":
        files.write_segmentation(segmentation_from_labelmap(labels), source)
    else:
        files.write_volume(labels, source)
    options = ("--influence-radius", RADIUS, "--model", "image-aware-warp", "--report", folder / "r.json")
    cli.succeeds("edit", folder / "image.nrrd", source, folder / "stroke.fcsv", "-o", out, *options)
    after = read_segment(out, "70000")
    report = json.loads((folder / "r.json").read_text())
    volume = np.count_nonzero(after.array) * 1.5**3
    assert volume == pytest.approx(report["total"]["volume_after_mm3"]) and volume > 20000


def test_layers_keep_label_values_above_255(cli, folder: Path) -> None:
    """Two segments that overlap, in a file of two layers."""
    node = segmentation_from_labelmap(CASE.image.with_array(CASE.before.array.astype(np.int32) * 300))
    other = new_segment(node, "Other")
    box = np.zeros(GRID.shape, np.uint8)
    box[10:-10, 10:-10, 10:-10] = 1
    volume_to_segment(CASE.image.with_array(box), node, other)
    assert node.GetSegmentation().GetNumberOfLayers() == 2
    files.write_segmentation(node, folder / "layers.seg.nrrd")
    wanted = [read_segment(folder / "layers.seg.nrrd", name).array for name in ("Segment_300", "Other")]
    assert all(array.any() for array in wanted)
    options = ("--segment", "Segment_300", "--influence-radius", RADIUS, "--model", "image-aware-warp")
    inputs = [folder / name for name in ("image.nrrd", "layers.seg.nrrd", "stroke.fcsv")]
    cli.succeeds("edit", *inputs, *options, "-o", folder / "out.seg.nrrd")
    changed = read_segment(folder / "out.seg.nrrd", "Segment_300").array
    assert changed.sum() > wanted[0].sum()
    assert np.array_equal(read_segment(folder / "out.seg.nrrd", "Other").array, wanted[1])


def write_without_reference(path: Path, labels: np.ndarray) -> None:
    """One segment in a .seg.nrrd file as other packages write it: all of the image, and no reference geometry."""
    to_lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ GRID.ijk_to_ras
    triples = ["({},{},{})".format(*column) for column in to_lps[:3].T]
    header = [
        "NRRD0005", "type: uint8", "dimension: 3", "space: left-posterior-superior",
        "sizes: {} {} {}".format(*labels.shape[::-1]), "space directions: " + " ".join(triples[:3]),
        "kinds: domain domain domain", "encoding: raw", f"space origin: {triples[3]}",
        "Segmentation_MasterRepresentation:=Binary labelmap", "Segmentation_ReferenceImageExtentOffset:=0 0 0",
        "Segment0_ID:=Segment_1", "Segment0_Name:=kidney", "Segment0_LabelValue:=1", "Segment0_Layer:=0",
        "Segment0_Extent:=0 {} 0 {} 0 {}".format(*(size - 1 for size in labels.shape[::-1])),
    ]  # fmt: skip
    path.write_bytes(("\n".join(header) + "\n\n").encode() + labels.astype(np.uint8).tobytes())


@pytest.mark.parametrize("extension", [".seg.nrrd", ".nii.gz"])
def test_without_a_reference_geometry_the_output_keeps_the_inputs_extent(cli, folder: Path, extension: str) -> None:
    write_without_reference(folder / "other.seg.nrrd", CASE.before.array)
    inputs = [folder / name for name in ("image.nrrd", "other.seg.nrrd", "stroke.fcsv")]
    options = ("--influence-radius", RADIUS, "--model", "image-aware-warp")
    cli.succeeds("edit", *inputs, *options, "-o", folder / f"out{extension}")
    written = sitk.ReadImage(str(folder / f"out{extension}"))
    assert written.GetSize() == GRID.shape[::-1]
    origin = np.diag([-1.0, -1.0, 1.0]) @ GRID.to_ras([0, 0, 0])
    np.testing.assert_allclose(written.GetOrigin(), origin, atol=1e-4)
    assert (sitk.GetArrayFromImage(written) != CASE.before.array).any()


def test_with_a_reference_geometry_the_output_has_that(cli, folder: Path) -> None:
    """It is larger than the image in one direction, and smaller in another."""
    node = segmentation_from_labelmap(CASE.before)
    sizes = np.array(GRID.shape[::-1]) + [6, -4, 0]
    reference = Grid(tuple(sizes[::-1]), GRID.ijk_to_ras)
    set_reference_grid(node, reference)
    files.write_segmentation(node, folder / "other.seg.nrrd")
    inputs = [folder / name for name in ("image.nrrd", "other.seg.nrrd", "stroke.fcsv")]
    cli.succeeds("edit", *inputs, "--influence-radius", RADIUS, "-o", folder / "out.seg.nrrd")
    assert segmentation_grid(files.read_segmentation(folder / "out.seg.nrrd")).same_as(reference)


def test_what_leaves_the_segment_becomes_background(cli, folder: Path) -> None:
    labels = np.where(np.linalg.norm(GRID.points_ras() - CENTRE, axis=-1) < 23, 5, 0).astype(np.uint8)
    files.write_volume(CASE.image.with_array(labels), folder / "large.nrrd")
    cli.succeeds(
        "edit", folder / "image.nrrd", folder / "large.nrrd", folder / "stroke.fcsv", "-o", folder / "out.nrrd",
        "--influence-radius", "14",
    )  # fmt: skip
    now = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "out.nrrd")))
    assert now.dtype == np.uint8
    changed = now != labels
    assert changed.any() and (now[changed] == 0).all()


class TestOtherSegments:
    """The slab lies in the ball's dent, where the stroke asks for voxels."""

    def edit(self, cli, folder: Path, source: str, target: str, *more: object):
        answer = cli.succeeds(
            "edit", folder / "image.nrrd", folder / source, folder / "stroke.fcsv", "-o", folder / target,
            "--segment", "3", "--influence-radius", RADIUS, "--model", "image-aware-warp",
            "--report", folder / "r.json", *more,
        )  # fmt: skip
        return answer, json.loads((folder / "r.json").read_text())

    @pytest.mark.parametrize("source", ["labels.nii.gz", "ball.seg.nrrd"])
    def test_what_a_labelmap_loses_is_told(self, cli, folder: Path, source: str) -> None:
        answer, report = self.edit(cli, folder, source, "out.nii.gz")
        was = np.count_nonzero(labels_of(CASE).array == 7)
        now = np.count_nonzero(sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "out.nii.gz"))) == 7)
        (other,) = report["other_segments"]
        assert (other["id"], other["voxels_before"], other["overlapped"]) == ("Segment_7", was, 0)
        assert other["changed"] == was - now > 0
        assert "Other segments" in answer.out and str(was - now) in answer.out

    def test_segments_that_stay_but_are_overlapped_are_told(self, cli, folder: Path) -> None:
        _, report = self.edit(cli, folder, "ball.seg.nrrd", "out.seg.nrrd")
        (other,) = report["other_segments"]
        slabs = [read_segment(folder / name, "Slab").array != 0 for name in ("ball.seg.nrrd", "out.seg.nrrd")]
        assert np.array_equal(*slabs) and other["changed"] == 0
        overlap = np.count_nonzero(slabs[1] & (read_segment(folder / "out.seg.nrrd", "Ball").array != 0))
        assert other["overlapped"] == overlap > 0

    def test_a_segment_that_is_gone_is_warned_of(self, cli, folder: Path) -> None:
        labels = labels_of(CASE).array.copy()
        slab = np.argwhere(labels == 7)
        inside = CASE.truth.array[tuple(slab.T)] != 0
        labels[labels == 7] = 0
        labels[tuple(slab[inside][:20].T)] = 7  # in the middle of what the stroke adds
        files.write_volume(CASE.image.with_array(labels), folder / "few.nii.gz")
        answer, report = self.edit(cli, folder, "few.nii.gz", "out.nii.gz")
        assert report["other_segments"][0]["changed"] == 20
        assert "Segment_7 has no voxel left of 20; --protect Segment_7 keeps it" in answer.out

    def test_nothing_is_said_where_nothing_is_met(self, cli, folder: Path) -> None:
        labels = np.where(CASE.before.array != 0, 3, 0).astype(np.uint8)
        labels[0, 0, 0] = 7
        files.write_volume(CASE.image.with_array(labels), folder / "alone.nii.gz")
        answer, report = self.edit(cli, folder, "alone.nii.gz", "out.nii.gz")
        assert report["other_segments"] == [] and "Other segments" not in answer.out

    @pytest.mark.parametrize("name", ["all", "Segment_7", "7"])
    @pytest.mark.parametrize("target", ["out.nii.gz", "out.seg.nrrd"])
    def test_a_protected_segment_never_changes(self, cli, folder: Path, target: str, name: str) -> None:
        answer, report = self.edit(cli, folder, "labels.nii.gz", target, "--protect", name)
        slab = read_segment(folder / target, "7" if target.endswith(".gz") else "Segment_7").array != 0
        ball = read_segment(folder / target, "3" if target.endswith(".gz") else "Segment_3").array != 0
        assert np.array_equal(slab, labels_of(CASE).array == 7) and not (slab & ball).any()
        assert report["other_segments"] == [] and report["total"]["changed_inside"] > 0
        assert "because they are protected" in answer.out and report["protect"] == [name]

    def test_what_cannot_be_protected_is_refused(self, cli, folder: Path) -> None:
        inputs = [folder / name for name in ("image.nrrd", "ball.seg.nrrd", "stroke.fcsv")]
        command = ("edit", *inputs, "-o", folder / "out.nrrd", "--segment", "Ball", "--protect")
        assert "has no segment Liver" in cli.refuses(*command, "Liver")
        assert "Ball is the segment to correct" in cli.refuses(*command, "Ball")


@pytest.mark.parametrize("wanted", ["Segment_3", "Ball", "3"])
def test_a_segment_is_named_by_id_name_or_label(cli, folder: Path, wanted: str) -> None:
    out = folder / "out.seg.nrrd"
    cli.succeeds(
        "edit", folder / "image.nrrd", folder / "ball.seg.nrrd", folder / "stroke.fcsv", "-o", out, "--segment", wanted
    )
    assert (read_segment(out, "Ball").array != read_segment(folder / "ball.seg.nrrd", "Ball").array).any()


@pytest.mark.parametrize(("source", "target"), [("labels.nii.gz", "o.seg.nrrd"), ("ball.seg.nrrd", "o.nii.gz")])
def test_formats_may_differ_between_input_and_output(cli, folder: Path, source: str, target: str) -> None:
    arguments = ("edit", folder / "image.nrrd", folder / source, folder / "stroke.fcsv", "--segment", "3")
    cli.succeeds(*arguments, "-o", folder / target, "--influence-radius", RADIUS)
    cli.succeeds(
        "edit", folder / "image.nrrd", folder / "ball.seg.nrrd", folder / "stroke.fcsv", "--segment", "3",
        "-o", folder / "same.seg.nrrd", "--influence-radius", RADIUS,
    )  # fmt: skip
    answer = read_segment(folder / target, "Segment_3")
    assert np.array_equal(answer.array, read_segment(folder / "same.seg.nrrd", "Segment_3").array)


def test_the_input_may_be_overwritten(cli, folder: Path) -> None:
    path = folder / "ball.seg.nrrd"
    before = read_segment(path, "Ball").array
    cli.succeeds("edit", folder / "image.nrrd", path, folder / "stroke.fcsv", "-o", path, "--segment", "Ball")
    assert (read_segment(path, "Ball").array != before).any()


def test_strokes_are_applied_in_order_and_later_ones_spare_earlier_ones(cli, folder: Path) -> None:
    strokes = []
    for name, stroke in (("first", arc(-60, -30)), ("second", arc(-10, 24))):
        strokes.append(files.write_stroke(stroke + [2.0, 0, 0], folder / f"{name}.mrk.json"))

    def edited(name: str, *arguments: object) -> np.ndarray:
        out = folder / name
        cli.succeeds(
            "edit", folder / "image.nrrd", folder / "ball.seg.nrrd", *arguments, "--segment", "Ball",
            "--influence-radius", "20", "--model", "signed-distance-warp", "--report", folder / "r.json", "-o", out,
        )  # fmt: skip
        return read_segment(out, "Ball").array

    both = edited("both.seg.nrrd", *strokes)
    report = json.loads((folder / "r.json").read_text())
    assert [Path(stroke["file"]).name for stroke in report["strokes"]] == ["first.mrk.json", "second.mrk.json"]
    assert report["total"]["changed_outside"] == 0
    assert not np.array_equal(both, edited("free.seg.nrrd", *strokes, "--no-keep-earlier-edits"))
    assert not np.array_equal(both, edited("reversed.seg.nrrd", *reversed(strokes)))


def test_the_default_radius_is_printed_and_reported(cli, folder: Path) -> None:
    answer = cli.succeeds(
        "edit", folder / "image.nrrd", folder / "ball.seg.nrrd", folder / "stroke.fcsv", "--segment", "Ball",
        "-o", folder / "out.seg.nrrd", "--report", folder / "r.json",
    )  # fmt: skip
    radius = json.loads((folder / "r.json").read_text())["strokes"][0]["influence_radius_mm"]
    assert 8.0 < radius < 16.0
    assert f"{radius:.1f}" in answer.out


@pytest.mark.parametrize("name", ["oblique", "flipped", "1:1:5"])
def test_another_storage_gives_the_same_answer(cli, folder: Path, tmp_path: Path, name: str) -> None:
    grid = {
        "oblique": grid_around((1.5, 1.5, 1.5), rotation((1, 2, 3), 33), half_mm=27),
        "flipped": grid_around((1.5, 1.5, 1.5), np.diag([-1.0, -1.0, 1.0]), half_mm=27),
        "1:1:5": grid_around((0.6, 0.6, 3.0), half_mm=27),
    }[name]
    answers = []
    other = tmp_path / "other"
    other.mkdir()
    write_case(other, case_on(grid))
    for where in (folder, other):
        cli.succeeds(
            "edit", where / "image.nrrd", where / "ball.seg.nrrd", where / "stroke.mrk.json", "--segment", "Ball",
            "-o", where / "out.seg.nrrd", "--influence-radius", RADIUS,
        )  # fmt: skip
        answers.append(read_segment(where / "out.seg.nrrd", "Ball"))
    there = answers[1].with_array(answers[1].array.astype(np.float32)).resampled_to(GRID, fill=0).array > 0.5
    assert dice(there, answers[0].array) >= (0.97 if name == "1:1:5" else 0.98)  # 3 mm slices of an 18 mm ball


def test_a_segmentation_on_another_cropped_grid_has_room_to_grow(cli, folder: Path) -> None:
    """The file holds only the segment's bounding box, which ends where the dent begins."""
    points = GRID.points_ras()
    cut = CASE.before.array * (points[..., 0] < CENTRE[0] + 9)
    box = np.stack([CENTRE - [19, 19, 19], CENTRE + [9, 19, 19]], axis=1)
    small = CASE.before.with_array(cut.astype(np.uint8)).cropped_to_box(box)
    files.write_volume(small, folder / "small.nrrd")
    arguments = (
        "edit",
        folder / "image.nrrd",
        folder / "small.nrrd",
        folder / "stroke.fcsv",
        "--influence-radius",
        "14",
    )
    cli.succeeds(*arguments, "-o", folder / "out.seg.nrrd")
    answer = cli.succeeds(*arguments, "-o", folder / "out.nrrd")
    grown = read_segment(folder / "out.seg.nrrd", "1")
    there = grown.resampled_to(GRID, "nearest", fill=0).array
    assert np.count_nonzero(there[points[..., 0] > CENTRE[0] + 12]) > 100
    assert not (there != cut)[AWAY > 14].any()
    labelmap = read_segment(folder / "out.nrrd", "1")
    assert np.array_equal(labelmap.resampled_to(GRID, "nearest", fill=0).array, there)
    sizes = [" x ".join(str(size) for size in one.shape[::-1]) for one in (small, labelmap)]
    assert f"its grid grew from {sizes[0]} to {sizes[1]} voxels" in " ".join(answer.out.split())


@pytest.mark.parametrize(
    ("margin", "radius", "extension"), [(0, None, ".nii.gz"), (0, None, ".nrrd"), (0, "9", ".mha"), (3, "16", ".nrrd")]
)
def test_a_cropped_labelmap_is_corrected_as_the_whole_one(
    cli, folder: Path, margin: int, radius: str | None, extension: str
) -> None:
    """Beyond its grid is background: the same radius, the same voxels, however near it ends."""
    files.write_volume(CASE.before, folder / f"whole{extension}")
    used = [np.flatnonzero(CASE.before.array.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    cropped = CASE.before.cropped(tuple(slice(int(one[0]) - margin, int(one[-1]) + 1 + margin) for one in used))
    files.write_volume(cropped, folder / f"cropped{extension}")
    # To the right, and mirrored to the left: the grid grows behind its last voxel, and before its first.
    strokes = [CENTRE + (CASE.stroke - CENTRE) * 1.2 * [sign, 1, 1] for sign in (1, -1)]
    outward = [files.write_stroke(one, folder / f"{number}.mrk.json") for number, one in enumerate(strokes)]
    answers, reports = [], []
    for name in ("whole", "cropped"):
        cli.succeeds(
            "edit", folder / "image.nrrd", folder / f"{name}{extension}", *outward,
            "-o", folder / f"out-{name}{extension}",
            "--report", folder / "r.json", *(() if radius is None else ("--influence-radius", radius)),
        )  # fmt: skip
        answers.append(read_segment(folder / f"out-{name}{extension}", "1").resampled_to(GRID, "nearest", fill=0).array)
        reports.append(json.loads((folder / "r.json").read_text()))
    assert np.array_equal(*answers) and (answers[0] != CASE.before.array).any()
    assert reports[0]["total"] == reports[1]["total"]
    assert reports[0]["strokes"][0]["influence_radius_mm"] == reports[1]["strokes"][0]["influence_radius_mm"]


def test_values_that_are_no_numbers_far_away_do_not_matter(cli, folder: Path) -> None:
    array = CASE.image.array.copy()
    array[:, :, :2] = np.nan
    files.write_volume(CASE.image.with_array(array), folder / "nan.nrrd")
    cli.succeeds(
        "edit", folder / "nan.nrrd", folder / "ball.seg.nrrd", folder / "stroke.fcsv", "--segment", "Ball",
        "-o", folder / "out.seg.nrrd", "--influence-radius", "6", "--picture", folder / "p.png",
    )  # fmt: skip
    assert (folder / "out.seg.nrrd").exists() and (folder / "p.png").exists()


def test_a_single_slice_is_edited(cli, folder: Path) -> None:
    k = int(round(GRID.to_ijk(CENTRE)[2]))
    for name, volume in (("image1.nrrd", CASE.image), ("mask1.nrrd", CASE.before)):
        files.write_volume(volume.cropped((slice(k, k + 1), slice(None), slice(None))), folder / name)
    cli.succeeds(
        "edit", folder / "image1.nrrd", folder / "mask1.nrrd", folder / "stroke.fcsv", "-o", folder / "out.nrrd",
        "--picture", folder / "p.png", "--influence-radius", RADIUS,
    )  # fmt: skip
    now = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "out.nrrd")))[0]
    wrong = np.count_nonzero(CASE.before.array[k] != CASE.truth.array[k])
    assert np.count_nonzero(now != CASE.truth.array[k]) < 0.5 * wrong


class TestProgress:
    def arguments(self, folder: Path, *more: object) -> tuple:
        inputs = ("edit", folder / "image.nrrd", folder / "ball.seg.nrrd", folder / "stroke.fcsv")
        return (*inputs, "-o", folder / "out.seg.nrrd", *more)

    def test_json_lines_end_with_the_result(self, cli, folder: Path) -> None:
        answer = cli.succeeds(*self.arguments(folder, "--segment", "Ball", "--progress", "json"))
        lines = [json.loads(line) for line in answer.out.splitlines()]
        fractions = [line["fraction"] for line in lines]
        assert fractions == sorted(fractions) and fractions[-1] == 1.0
        assert all(line["message"] for line in lines[:-1])
        assert lines[-1]["result"]["output"] == str(folder / "out.seg.nrrd")

    def test_json_lines_end_with_the_error(self, cli, folder: Path) -> None:
        answer = cli(*self.arguments(folder, "--segment", "Liver", "--progress", "json"))
        assert answer.code == 2
        error = json.loads(answer.out.splitlines()[-1])["error"]
        assert error == answer.error.strip()
        assert "no segment Liver" in error

    def test_none_still_shows_the_table(self, cli, folder: Path) -> None:
        answer = cli.succeeds(*self.arguments(folder, "--segment", "Ball", "--progress", "none"))
        assert "corrected by" in answer.out and "fraction" not in answer.out


def test_the_report_is_made_once(cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    real = EditOutcome.as_json
    monkeypatch.setattr(EditOutcome, "as_json", lambda *given: made.append(given) or real(*given))
    inputs = [folder / name for name in ("image.nrrd", "ball.seg.nrrd", "stroke.fcsv")]
    options = ("--segment", "Ball", "--influence-radius", RADIUS, "--progress", "json")
    answer = cli.succeeds("edit", *inputs, *options, "-o", folder / "o.nrrd", "--report", folder / "r.json")
    assert len(made) == 1
    result = json.loads(answer.out.splitlines()[-1])["result"]
    assert result["timings"].pop("write") > 0
    assert result == json.loads((folder / "r.json").read_text())


class TestNifti:
    """A labelmap whose qform and sform differ by 15 degrees, with names of labels as TotalSegmentator writes them."""

    def given(self, folder: Path, codes: tuple[int, int] = (1, 2)) -> Path:
        path = folder / "labels.nii.gz"
        content = bytearray(gzip.decompress(path.read_bytes()))
        matrix = np.reshape(struct.unpack_from("<12f", content, 280), (3, 4))
        turned = rotation((0, 0, 1), 15) @ matrix
        struct.pack_into("<2h", content, 252, *codes)
        struct.pack_into("<12f", content, 280, *turned.ravel())
        text = b"<CaretExtension><LabelTable><Label Key='3'>kidney_left</Label></LabelTable></CaretExtension>"
        extension = struct.pack("<2i", 112, 0) + text.ljust(104, b"\0")
        struct.pack_into("<f", content, 108, 352 + len(extension))
        content[348:352] = b"\1\0\0\0" + extension
        path.write_bytes(gzip.compress(bytes(content)))
        return path

    def header(self, path: Path) -> bytes:
        return gzip.decompress(path.read_bytes())[:700]

    def test_names_are_understood_and_forms_and_names_are_kept(self, cli, folder: Path) -> None:
        path, out = self.given(folder), folder / "out.nii.gz"
        answer = cli.succeeds(
            "edit", folder / "image.nrrd", path, folder / "stroke.mrk.json", "-o", out,
            "--segment", "kidney_left", "--influence-radius", RADIUS, "--report", folder / "r.json",
        )  # fmt: skip
        said = "labels.nii.gz was read by its qform; its sform places it up to"
        assert said in answer.out and said in json.loads((folder / "r.json").read_text())["warnings"][0]
        before, after = self.header(path), self.header(out)
        for start, stop in ((76, 92), (252, 328)):
            assert after[start:stop] == before[start:stop]
        assert b"Label Key='3'>kidney_left<" in after
        assert not np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(out))), 0)
        edited = read_segment(out, "kidney_left").array
        cli.succeeds(
            "edit", folder / "image.nrrd", folder / "ball.seg.nrrd", folder / "stroke.mrk.json",
            "-o", folder / "out.nrrd", "--segment", "Ball", "--influence-radius", RADIUS,
        )  # fmt: skip
        assert np.array_equal(edited, read_segment(folder / "out.nrrd", "3").array)


def test_a_stroke_on_another_segment_is_refused_with_its_name_unless_a_radius_is_given(cli, folder: Path) -> None:
    labels = labels_of(CASE)
    far = labels.array == 7
    array = np.where(far, 0, labels.array)
    array[1:9, 1:9, 1:9] = 7
    files.write_volume(labels.with_array(array), folder / "far.nrrd")
    arguments = ["edit", folder / "image.nrrd", folder / "far.nrrd", folder / "stroke.mrk.json", "--segment", "7"]
    said = cli.refuses(*arguments, "-o", folder / "o.nrrd")
    assert "stroke.mrk.json: The stroke lies on Segment_3 and is " in said
    assert "mm from the boundary of Segment_7, farther than it is long" in said
    answer = cli(*arguments, "-o", folder / "o.nrrd", "--influence-radius", "70", "--model", "image-aware-warp")
    assert answer.code == 0, answer.error
