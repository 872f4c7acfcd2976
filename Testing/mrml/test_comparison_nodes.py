"""Comparisons of real nodes and of files through the command: results in the scene, batches, refusals."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("slicer")

import SimpleITK as sitk
import vtk.util.numpy_support
from edit_cases import rotation

from cli_files import CommandLine
from SparseToPreciseLib.comparison.compare import compare_all
from SparseToPreciseLib.comparison.definitions import MEASURES
from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.markups import read_markup
from SparseToPreciseLib.core.volume import Grid, Volume
from SparseToPreciseLib.mrml import comparison_nodes, files
from SparseToPreciseLib.mrml.labelmaps import segmentation_from_labelmap
from SparseToPreciseLib.mrml.segmentations import segment_to_volume, volume_to_segment
from SparseToPreciseLib.tasks.compare import Compare

SHAPE = (12, 30, 30)
MATRIX = np.diag([1.0, 1.0, 2.5, 1.0])


def labelmap(*boxes: tuple[slice, slice, slice], matrix: np.ndarray = MATRIX) -> Volume:
    """Label 1 in the first box, 2 in the second, ..."""
    array = np.zeros(SHAPE, np.uint8)
    for label, box in enumerate(boxes, 1):
        array[box] = label
    return Volume(array, matrix, "labels")


KIDNEY, CYST = np.s_[2:10, 5:25, 5:15], np.s_[4:8, 10:20, 18:24]
SHIFTED = np.s_[2:10, 5:25, 5:19]
A, B = labelmap(KIDNEY, CYST), labelmap(KIDNEY, np.s_[4:8, 10:20, 18:28])


def node_of(volume: Volume, *names: str):
    node = segmentation_from_labelmap(volume, "segmentation")
    for number, name in enumerate(names):
        node.GetSegmentation().GetNthSegment(number).SetName(name)
    return node


@pytest.fixture
def here(tmp_path: Path, scene, monkeypatch) -> Path:
    """A folder with a.nii.gz and b.nii.gz, a.seg.nrrd with names, and an image; it is the current one."""
    files.write_volume(A, tmp_path / "a.nii.gz")
    files.write_volume(B, tmp_path / "b.nii.gz")
    node = node_of(A, "Kidney", "Cyst")
    files.write_segmentation(node, tmp_path / "a.seg.nrrd")
    scene.RemoveNode(node)
    files.write_volume(A.with_array((A.array * 100).astype(np.int16)), tmp_path / "image.nrrd")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def command(capfd, here: Path) -> CommandLine:
    return CommandLine(capfd, here)


# ------------------------------------------------------------------------------------------------- nodes


def test_nodes_are_compared_where_their_transforms_show_them(scene, linear) -> None:
    a = node_of(A, "Kidney", "Cyst")
    matrix = np.eye(4)
    matrix[:3, :3] = rotation((1, 2, 3), 40)
    matrix[:3, 3] = (30, -20, 10)
    b = node_of(A.with_array(A.array), "kidney", "cyst")
    for node in (a, b):
        node.SetAndObserveTransformNodeID(linear(matrix).GetID())
    found, notes = compare_all(comparison_nodes.read_pairs(a, b).pairs)
    assert [one.name for one in found] == ["Kidney", "Cyst"] and notes == []
    assert all(one.overlap.dice == 1 and one.distances.maximum == 0 for one in found)
    matrix[:3, 3] += matrix[:3, 0] * 4
    b.SetAndObserveTransformNodeID(linear(matrix).GetID())
    found, _ = compare_all(comparison_nodes.read_pairs(a, b).pairs)
    assert found[1].distances.maximum == pytest.approx(4, abs=0.1)


def test_refused_nodes(scene, bent) -> None:
    a, b = node_of(A, "Kidney", "Cyst"), node_of(B, "Lung", "Heart")
    read = comparison_nodes.read_pairs
    with pytest.raises(InputError, match="There is no second segmentation; choose one"):
        read(a, None)
    with pytest.raises(InputError, match="cannot be compared with itself"):
        read(a, a)
    with pytest.raises(InputError, match="No segment is in both: A has Kidney, Cyst, B has Lung, Heart"):
        read(a, b)
    empty = [scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name) for name in ("One", "Two")]
    with pytest.raises(InputError, match="One and Two are both empty"):
        read(*empty)
    b.SetAndObserveTransformNodeID(bent.GetID())
    with pytest.raises(InputError, match="non-linear transform Bent"):
        read(a, b, ["Kidney=Lung"])


def test_results_in_the_scene(scene) -> None:
    a, b = node_of(A, "Kidney", "Cyst"), node_of(labelmap(SHIFTED), "Kidney")
    pairs = comparison_nodes.read_pairs(a, b)
    assert pairs.notes == ["Only in A, and not compared: Cyst."]
    found, _ = compare_all(pairs.pairs)

    table = comparison_nodes.show_table(found, "A against B", pairs.notes)
    names = [table.GetColumnName(number) for number in range(table.GetNumberOfColumns())]
    assert names[0] == "segment" and set(names[1:]) <= set(MEASURES) and "cldice" not in names
    assert table.GetTable().GetValueByName(0, "dice").ToDouble() == pytest.approx(2 * 10 / 24)
    assert table.GetDescription() == pairs.notes[0]

    difference = comparison_nodes.show_difference(found[0])
    only_a, only_b = (segment_to_volume(difference, one) for one in difference.GetSegmentation().GetSegmentIDs())
    assert (only_a.name, only_b.name) == ("only A", "only B") and not only_a.array.any()
    assert only_b.array.sum() == 8 * 20 * 4
    corner = only_b.grid.to_ras(np.argwhere(only_b.array)[:, ::-1].min(axis=0))
    assert corner == pytest.approx([15, 5, 5])

    model = comparison_nodes.show_distance(found[0])
    values = vtk.util.numpy_support.vtk_to_numpy(model.GetPolyData().GetPointData().GetScalars())
    assert values.min() == pytest.approx(-4, abs=0.1) and values.max() < 0.2 * 2.5  # A lies within B
    assert model.GetDisplayNode().GetScalarVisibility()

    points = comparison_nodes.show_places(found)
    assert points.GetNumberOfControlPoints() == len(found[0].places) == 1
    assert points.GetNthControlPointLabel(0) == "Kidney 1"
    # Both faces are as far from the other one.
    either = ("A ends inside B by 4.0 mm", "B reaches beyond A by 4.0 mm")
    assert points.GetNthControlPointDescription(0) in either


def test_a_surface_without_distances_is_not_shown(scene) -> None:
    a, b = node_of(A, "Kidney", "Cyst"), node_of(A, "Kidney", "Cyst")
    volume_to_segment(A.with_array(np.zeros_like(A.array)), b, b.GetSegmentation().GetNthSegmentID(0))
    found, _ = compare_all(comparison_nodes.read_pairs(a, b).pairs)
    with pytest.raises(InputError, match="Kidney is empty in B"):
        comparison_nodes.show_distance(found[0])


# ------------------------------------------------------------------------------------------------- files


def test_a_pair_of_files(command: CommandLine, here: Path) -> None:
    out = command.succeeds("compare", "a.seg.nrrd", "b.nii.gz", "--picture", "p.png", "--image", "image.nrrd").out
    assert "Kidney" in out and "1.000" in out and "Cyst" in out and "0.750" in out
    assert "by 4.0 mm" in " ".join(out.split())
    assert (here / "p.png").stat().st_size > 10_000
    command.succeeds("compare", "a.seg.nrrd", "b.nii.gz", "--places", "where.mrk.json", "--segments", "Cyst")
    (point,) = read_markup(here / "where.mrk.json").points
    assert point.label == "Cyst 1" and point.position[0] == pytest.approx(27.5, abs=0.6)


def test_numbers_as_csv_and_json(command: CommandLine) -> None:
    out = command.succeeds("compare", "a.seg.nrrd", "b.nii.gz", "--csv", "--tubes", "--tolerance", "1.5").out
    head, kidney, cyst = (line.split(",") for line in out.strip().splitlines())
    assert head == ["a", "b", "segment", *MEASURES, "error"] and len(kidney) == len(cyst) == len(head)
    row = dict(zip(head, cyst, strict=True))
    assert (row["segment"], row["dice"], row["tolerance_mm"], row["support"]) == ("Cyst", "0.75", "1.5", "K")
    report = json.loads(command.succeeds("compare", "a.seg.nrrd", "b.nii.gz", "--json").out)
    assert set(report["definitions"]) == set(MEASURES)
    assert [row["segment"] for row in report["pairs"][0]["segments"]] == ["Kidney", "Cyst"]
    assert report["pairs"][0]["segments"][1]["places"][0]["kind"] == "difference"


def test_unmatched_segments_are_named(command: CommandLine, here: Path) -> None:
    files.write_volume(labelmap(KIDNEY), here / "one.nii.gz")
    out = command.succeeds("compare", "a.seg.nrrd", "one.nii.gz").out
    assert "Only in A, and not compared: Cyst." in out


def test_other_grids_and_extents(here: Path) -> None:
    turned = np.eye(4)
    turned[:3, :3] = rotation((0, 0, 1), 30) @ np.diag([0.9, 0.9, 1.25])
    grid = Grid((24, 60, 60), turned)
    turned[:3, 3] = A.grid.to_ras([15, 15, 6]) - turned[:3, :3] @ [30, 30, 12]
    other = A.resampled_to(Grid(grid.shape, turned), "nearest", fill=0)
    files.write_volume(other, here / "turned.nii.gz")
    files.write_volume(A.cropped(np.s_[2:10, 5:25, 5:24]), here / "cropped.nii.gz")
    numbers = {}
    for name in ("turned", "cropped"):
        found = Compare(a=here / "a.nii.gz", b=here / f"{name}.nii.gz").run().report["pairs"][0]["segments"]
        numbers[name] = [(row["dice"], row["mean_mm"]) for row in found]
    assert numbers["cropped"] == [(1, 0), (1, 0)]
    assert all(dice > 0.9 and mean < 0.35 for dice, mean in numbers["turned"])


def test_folders_and_lists_of_pairs(command: CommandLine, here: Path) -> None:
    for folder, volume in (("first", A), ("second", B)):
        (here / folder).mkdir()
        for name in ("p1", "p2"):
            files.write_volume(volume, here / folder / f"{name}.nii.gz")
    (here / "second" / "p2.nii.gz").write_bytes(b"no image")
    files.write_volume(A, here / "first" / "alone.nrrd")
    answer = command.succeeds("compare", "first", "second", "--picture", "all.png", "--progress", "none")
    assert "p1.nii.gz" in answer.out and "alone.nrrd" in answer.out and (here / "all.png").is_file()
    assert "second/p2.nii.gz" in answer.out  # why it could not be compared
    (here / "pairs.csv").write_text("a,b\na.nii.gz,b.nii.gz\na.nii.gz,gone.nii.gz\n")
    out = command.succeeds("compare", "pairs.csv", "--csv").out.strip().splitlines()
    assert len(out) == 4 and "gone.nii.gz does not exist" in out[3]


def test_boxes_are_evaluated_by_the_same_measures() -> None:
    from SparseToPreciseLib.boxes.metrics import evaluate

    mask, other = (one.with_array((one.array == 2).astype(np.uint8)) for one in (A, B))
    found = evaluate(other, mask)
    assert found["dice"] == pytest.approx(0.75) and found["coverage"] == 1
    assert found["volume_mm3"] == pytest.approx(4 * 10 * 10 * 2.5)


class TestRefusals:
    """Exit code 2, one sentence that names the value, nothing written."""

    def test_other_patients(self, command: CommandLine, here: Path) -> None:
        matrix = MATRIX.copy()
        matrix[:3, 3] = (0, 0, 900)
        files.write_volume(labelmap(KIDNEY, matrix=matrix), here / "far.nii.gz")
        sentence = command.refuses("compare", "a.nii.gz", "far.nii.gz")
        assert "a.nii.gz and far.nii.gz have no place in common, their centres are 900 mm apart" in sentence

    def test_both_empty(self, command: CommandLine, here: Path) -> None:
        for name in ("e", "f"):
            files.write_volume(labelmap(), here / f"{name}.nii.gz")
        assert command.refuses("compare", "e.nii.gz", "f.nii.gz").startswith("e.nii.gz and f.nii.gz are both empty")
        assert "No segment is in both: A has nothing" in command.refuses("compare", "e.nii.gz", "a.nii.gz")

    def test_four_dimensions(self, command: CommandLine, here: Path) -> None:
        sitk.WriteImage(sitk.GetImageFromArray(np.zeros((2, 3, 4, 5), np.uint8)), str(here / "four.nii.gz"))
        assert "four.nii.gz" in command.refuses("compare", "four.nii.gz", "a.nii.gz")

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("gone.nii.gz", "a.nii.gz"), "gone.nii.gz does not exist"),
            (("a.nii.gz",), "a.nii.gz is no CSV file of pairs; give a second segmentation"),
            (("a.nii.gz", "."), "One of a.nii.gz and . is a folder and the other is not"),
            (("a.nii.gz", "b.nii.gz", "--segments", "Lung"), "A has no segment Lung; it has Segment_1, Segment_2"),
            (("a.nii.gz", "b.nii.gz", "--tolerance", "0"), "--tolerance 0.0 is not positive"),
            (("a.nii.gz", "b.nii.gz", "--csv", "--json"), "--csv and --json both say what to print"),
            (("a.nii.gz", "b.nii.gz", "--image", "image.nrrd"), "--image image.nrrd is for the --picture"),
            (("a.nii.gz", "b.nii.gz", "--picture", "p.jpg"), "p.jpg must end with .png"),
            (("a.nii.gz", "b.nii.gz", "--places", "p.fcsv"), "p.fcsv must end with .mrk.json"),
            (("a.nii.gz", "b.nii.gz", "--common-support", "L"), "'L' is not one of"),
        ],
    )
    def test_arguments(self, command: CommandLine, arguments: tuple[str, ...], words: str) -> None:
        assert words in command.refuses("compare", *arguments)

    @pytest.mark.parametrize(
        ("text", "words"),
        [("a,b\n", "lists no pairs"), ("x,y\n1,2\n", "Line 2 of list.csv has no a and b"), ("a,b\na.nii.gz,z\n", "z")],
    )
    def test_lists(self, command: CommandLine, here: Path, text: str, words: str) -> None:
        (here / "list.csv").write_text(text)
        assert words in command.refuses("compare", "list.csv")

    def test_unreadable(self, command: CommandLine, here: Path) -> None:
        (here / "bad.nii.gz").write_bytes(b"no image at all")
        assert "bad.nii.gz" in command.refuses("compare", "bad.nii.gz", "a.nii.gz")

    def test_no_space_left(self, command: CommandLine, monkeypatch) -> None:
        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "replace", full)
        sentence = command.refuses("compare", "a.nii.gz", "b.nii.gz", "--picture", "p.png")
        assert "p.png" in sentence and "space" in sentence
