"""Round trips through every format, with SimpleITK as an independent witness of what is in the file."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK
import slicer
import vtk

from known_shape import GRIDS, SHAPE_KJI, matrix, shape_on, world_shape
from SparseToPreciseLib.core.volume import Grid, Volume
from SparseToPreciseLib.mrml.files import (
    read_segmentation,
    read_stroke,
    read_volume,
    write_segmentation,
    write_stroke,
    write_volume,
)
from SparseToPreciseLib.mrml.labelmaps import labelmap_from_segmentation
from SparseToPreciseLib.mrml.lookup import find_segment, label_values
from SparseToPreciseLib.mrml.markups import stroke_from_node, stroke_to_node
from SparseToPreciseLib.mrml.segmentations import (
    new_segment,
    segment_to_volume,
    segmentation_grid,
    set_reference_grid,
    volume_to_segment,
)
from SparseToPreciseLib.mrml.volumes import volume_from_node, volume_to_node

IMAGES = [".nrrd", ".nii", ".nii.gz", ".mha"]
OBLIQUE = Grid(SHAPE_KJI, GRIDS["oblique"])
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
TAG = "Segmentation category and type~SCT^49755003^Morphologically Abnormal Structure~SCT^4147007^Mass~^^~Other~^^~^^"
POINTS = np.array([[0.25, 1.0, 2.0], [10.0, -1.5, 2.0], [10.0, 8.5, 2.5]])


def image_on(grid: Grid, kind="int16") -> Volume:
    values = np.random.default_rng(1).integers(0, 120, grid.shape)
    return Volume((values + 100 * shape_on(grid).array % 120).astype(kind), grid.ijk_to_ras, "image")


def seen_by_simpleitk(path) -> Volume:
    image = SimpleITK.ReadImage(str(path))
    ijk_to_lps = np.eye(4)
    ijk_to_lps[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    ijk_to_lps[:3, 3] = image.GetOrigin()
    return Volume(SimpleITK.GetArrayFromImage(image), LPS @ ijk_to_lps)


def written_by_simpleitk(volume: Volume, path, kind=None):
    ijk_to_lps = LPS @ volume.ijk_to_ras
    image = SimpleITK.GetImageFromArray(volume.array if kind is None else volume.array.astype(kind))
    image.SetSpacing(volume.spacing.tolist())
    image.SetDirection((ijk_to_lps[:3, :3] / volume.spacing).ravel().tolist())
    image.SetOrigin(ijk_to_lps[:3, 3].tolist())
    SimpleITK.WriteImage(image, str(path))
    return path


# ------------------------------------------------------------------------------------------------- images


@pytest.mark.parametrize("extension", IMAGES)
def test_an_image_survives_and_others_see_the_same(scene, tmp_path, grid, extension):
    volume = image_on(grid)
    path = write_volume(volume, tmp_path / f"scan.2{extension}")
    node = read_volume(path)
    back, witness = volume_from_node(node), seen_by_simpleitk(path)
    assert np.array_equal(back.array, volume.array) and back.array.dtype == np.int16
    assert np.array_equal(witness.array, volume.array)
    assert back.grid.same_as(grid, 1e-4) and witness.grid.same_as(grid, 1e-4)
    assert node.GetName() == "scan.2" and [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("extension", IMAGES)
def test_files_of_others_are_read_in_their_order(scene, tmp_path, grid, extension):
    """Also left-handed axes: Slicer's default would turn them round, and outputs would have another grid."""
    volume = image_on(grid)
    path = written_by_simpleitk(volume, tmp_path / f"theirs{extension}")
    back = volume_from_node(read_volume(path))
    assert np.array_equal(back.array, volume.array) and back.grid.same_as(grid, 1e-4)


@pytest.mark.parametrize("extension", IMAGES)
@pytest.mark.parametrize("kind", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "float32", "float64"])
def test_scalar_types_of_images(scene, tmp_path, extension, kind):
    volume = image_on(OBLIQUE, kind)
    path = write_volume(volume, tmp_path / f"typed{extension}")
    witness = seen_by_simpleitk(path).array
    assert witness.dtype == kind and np.array_equal(witness, volume.array)
    assert np.array_equal(volume_from_node(read_volume(path)).array, volume.array)


def test_numbered_neighbours_are_not_taken_for_slices(scene, tmp_path):
    volume = Volume(np.arange(20, dtype=np.int16).reshape(1, 4, 5), np.eye(4))
    for index in range(4):
        write_volume(volume.with_array(volume.array + index), tmp_path / f"case_{index:03d}.nrrd")
    back = volume_from_node(read_volume(tmp_path / "case_002.nrrd"))
    assert np.array_equal(back.array, volume.array + 2)


def test_one_slice_is_a_volume(scene, tmp_path):
    volume = Volume(np.arange(20, dtype=np.int16).reshape(1, 4, 5), matrix(spacing=(1, 1, 5)))
    for extension in IMAGES:
        path = write_volume(volume, tmp_path / f"slice{extension}")
        assert volume_from_node(read_volume(path)).shape == (1, 4, 5)


def test_a_single_time_point_is_a_volume(scene, tmp_path):
    values = np.arange(60, dtype=np.int16).reshape(1, 3, 4, 5)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values, isVector=False), str(tmp_path / "t.nii.gz"))
    assert volume_from_node(read_volume(tmp_path / "t.nii.gz")).shape == (3, 4, 5)


def test_a_node_is_written_in_its_own_coordinates(scene, tmp_path, grid, linear):
    node = volume_to_node(image_on(grid))
    node.SetAndObserveTransformNodeID(linear(matrix(origin=(50, 0, 0))).GetID())
    assert seen_by_simpleitk(write_volume(node, tmp_path / "own.nrrd")).grid.same_as(grid, 1e-4)


# ------------------------------------------------------------------------------------------- segmentations


def described(node) -> list:
    segmentation = node.GetSegmentation()
    out = []
    for segment_id in segmentation.GetSegmentIDs():
        segment = segmentation.GetSegment(segment_id)
        tag = vtk.reference("")
        segment.GetTag("TerminologyEntry", tag)
        array = segment_to_volume(node, segment_id).array
        out.append((segment_id, segment.GetName(), np.round(segment.GetColor(), 4).tolist(), str(tag), array.tobytes()))
    return out


@pytest.fixture
def tumours(scene, grid):
    """Two overlapping segments and an empty one, with names, colours and terminology."""
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "tumours")
    node.CreateDefaultDisplayNodes()
    set_reference_grid(node, grid)
    shape = shape_on(grid)
    for name, colour, array in (
        ('Tumour, left; "odd" ~name', (0.2, 0.4, 0.6), shape.array),
        ("Ödem", (0.9, 0.1, 0.5), np.roll(shape.array, 4, axis=1)),
        ("nothing", (0.0, 1.0, 0.0), np.zeros_like(shape.array)),
    ):
        segment_id = new_segment(node, name, colour)
        volume_to_segment(shape.with_array(array), node, segment_id)
        node.GetSegmentation().GetSegment(segment_id).SetTag("TerminologyEntry", TAG)
    return node


def test_a_seg_nrrd_reopens_as_it_was(tumours, tmp_path, grid):
    before = described(tumours)
    node = read_segmentation(write_segmentation(tumours, tmp_path / "t.seg.nrrd"))
    assert described(node) == before == described(tumours)
    assert segmentation_grid(node).same_as(grid, 1e-4) and node.GetName() == "t"
    assert segment_to_volume(node, find_segment(node, "Ödem")).array.tobytes() == before[1][4]


def test_a_seg_nrrd_after_an_edit_keeps_everything_else(tumours, tmp_path, grid):
    path = write_segmentation(tumours, tmp_path / "t.seg.nrrd")
    node = read_segmentation(path)
    before = described(node)
    edited = find_segment(node, "Ödem")
    volume_to_segment(shape_on(grid).with_array(np.roll(shape_on(grid).array, -3, axis=2)), node, edited)
    after = described(read_segmentation(write_segmentation(node, path)))
    assert after[0] == before[0] and after[2] == before[2]
    assert after[1][:4] == before[1][:4] and after[1][4] == np.roll(shape_on(grid).array, -3, axis=2).tobytes()


def test_label_values_of_a_seg_nrrd_keep_their_meaning(scene, tmp_path, grid):
    node = read_segmentation(write_volume(labels_on(grid), tmp_path / "a.nrrd"))
    node = read_segmentation(write_segmentation(node, tmp_path / "a.seg.nrrd"))
    edited = find_segment(node, 300)
    volume_to_segment(shape_on(grid), node, edited)  # overlaps the other, so Slicer gives it a layer and the value 1
    assert node.GetSegmentation().GetSegment(edited).GetLabelValue() != 300
    assert find_segment(node, 300) == edited


def test_a_cropped_seg_nrrd_opens_on_its_reference_grid(tumours, tmp_path, grid):
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.CropToMinimumExtentOn()
    storage.SetFileName(str(tmp_path / "cropped.seg.nrrd"))
    before = described(tumours)
    assert storage.WriteData(tumours)
    assert np.prod(SimpleITK.ReadImage(str(tmp_path / "cropped.seg.nrrd")).GetSize()) < np.prod(grid.shape)
    node = read_segmentation(tmp_path / "cropped.seg.nrrd")
    assert segmentation_grid(node).same_as(grid, 1e-4) and described(node) == before
    # and the image's grid can be asked for where even the reference is unknown
    node.GetSegmentation().SetConversionParameter("Reference image geometry", "")
    first = segment_to_volume(node, node.GetSegmentation().GetSegmentIDs()[0], grid)
    assert np.array_equal(first.array, shape_on(grid).array)


def labels_on(grid: Grid) -> Volume:
    array = shape_on(grid).array.astype(np.int16)
    used = np.flatnonzero(array.any(axis=(0, 1)))
    array[..., used[: len(used) // 2]] *= 7
    array[..., used[len(used) // 2 :]] *= 300
    return Volume(array, grid.ijk_to_ras, "labels")


def edited_and_written(volume: Volume, folder, extension: str, kind: str) -> Volume:
    """What SimpleITK finds after one label of a labelmap file has been moved by two voxels; checks the values."""
    path = written_by_simpleitk(volume, folder / f"labels{extension}", kind)
    node = read_segmentation(path)
    assert list(label_values(node).values()) == np.unique(volume.array)[1:].tolist()
    edited = find_segment(node, 7)
    moved = np.roll(volume.array == 7, 2, axis=0)
    volume_to_segment(volume.with_array(moved), node, edited)
    written = seen_by_simpleitk(write_segmentation(node, folder / f"out{extension}", on_top=[edited]))
    expected = np.where(moved, 7, np.where(volume.array == 7, 0, volume.array))
    assert written.array.dtype == kind and np.array_equal(written.array, expected)
    assert sorted(p.name for p in folder.iterdir()) == sorted([f"labels{extension}", f"out{extension}"])
    return written


@pytest.mark.parametrize("extension", IMAGES)
def test_a_labelmap_comes_back_with_its_grid_and_values(scene, tmp_path, grid, extension):
    assert edited_and_written(labels_on(grid), tmp_path, extension, "int16").grid.same_as(grid, 1e-4)


@pytest.mark.parametrize("extension", IMAGES)
@pytest.mark.parametrize("kind", ["uint8", "uint16", "int32", "int64", "float64"])
def test_a_labelmap_comes_back_in_its_type(scene, tmp_path, extension, kind):
    volume = labels_on(OBLIQUE)
    if kind == "uint8":
        volume = volume.with_array(np.minimum(volume.array, 200))
    edited_and_written(volume, tmp_path, extension, kind)


def test_a_labelmap_can_become_a_seg_nrrd_and_the_other_way_round(scene, tmp_path, grid):
    volume = labels_on(grid)
    node = read_segmentation(write_volume(volume, tmp_path / "a.nii.gz"))
    again = read_segmentation(write_segmentation(node, tmp_path / "a.seg.nrrd"))
    assert list(label_values(again).values()) == [7, 300]
    assert np.array_equal(segment_to_volume(again, find_segment(again, "300")).array, volume.array == 300)
    colours = [again.GetSegmentation().GetNthSegment(i).GetColor() for i in range(2)]
    assert np.abs(np.subtract(*colours)).max() > 0.2
    back = seen_by_simpleitk(write_segmentation(again, tmp_path / "b.nii.gz"))
    assert np.array_equal(back.array, volume.array) and back.grid.same_as(grid, 1e-3)


def test_a_labelmap_is_known_by_its_header_not_its_name(tumours, tmp_path, grid):
    plain = write_volume(labels_on(grid), tmp_path / "plain.nrrd").rename(tmp_path / "plain.seg.nrrd")
    assert list(label_values(read_segmentation(plain)).values()) == [7, 300]
    before = described(tumours)
    renamed = write_segmentation(tumours, tmp_path / "t.seg.nrrd").rename(tmp_path / "t.nrrd")
    assert described(read_segmentation(renamed)) == before


def test_the_whole_way_of_an_edit(scene, tmp_path, grid):
    """From files to the world and back: the segment in the output lies where the world says."""
    image = write_volume(image_on(grid), tmp_path / "image.nii.gz")
    other = Grid((40, 44, 48), matrix((5, 0, 12), (1.1, 1.1, 1.1), (-12, -22, -4)))
    segmentation = read_segmentation(write_volume(shape_on(other), tmp_path / "seg.nii.gz"))
    on_image = segment_to_volume(segmentation, find_segment(segmentation), volume_from_node(read_volume(image)).grid)
    truth = world_shape(on_image.grid.points_ras())
    both = np.count_nonzero(truth & (on_image.array != 0))
    assert 2 * both / (truth.sum() + on_image.array.sum()) > 0.9


# -------------------------------------------------------------------------------------------------- strokes


@pytest.mark.parametrize("name", ["s.mrk.json", "s.fcsv"])
def test_a_stroke_survives(scene, tmp_path, name):
    node = read_stroke(write_stroke(POINTS, tmp_path / name))
    assert node.GetName() == "s" and node.IsA("vtkMRMLMarkupsCurveNode") == (name == "s.mrk.json")
    stroke = stroke_from_node(node)
    assert np.allclose(stroke[[0, -1]], POINTS[[0, -1]], atol=1e-3)
    assert all(np.linalg.norm(stroke - point, axis=1).min() < 1e-3 for point in POINTS)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_what_is_in_the_file_is_lps_and_read_as_ras(scene, tmp_path):
    path = write_stroke(POINTS, tmp_path / "s.mrk.json")
    content = json.loads(path.read_text())["markups"][0]
    assert content["coordinateSystem"] == "LPS"
    assert np.allclose([p["position"] for p in content["controlPoints"]], POINTS * [-1, -1, 1])


@pytest.mark.parametrize("system", ["RAS", "LPS"])
@pytest.mark.parametrize("name", ["s.mrk.json", "s.fcsv"])
def test_both_coordinate_systems_are_understood(scene, tmp_path, system, name):
    sign = np.array([1, 1, 1]) if system == "RAS" else np.array([-1, -1, 1])
    stored = (POINTS * sign).tolist()
    if name.endswith(".fcsv"):
        rows = [f"p{i},{x},{y},{z},0,0,0,1,1,1,0,l,," for i, (x, y, z) in enumerate(stored)]
        head = f"# Markups fiducial file version = 4.11\n# CoordinateSystem = {system}\n"
        (tmp_path / name).write_text(head + "\n".join(rows) + "\n")
    else:
        points = [{"position": position} for position in stored]
        markup = {"type": "Fiducial", "coordinateSystem": system, "controlPoints": points}
        (tmp_path / name).write_text(json.dumps({"markups": [markup]}))
    assert np.allclose(stroke_from_node(read_stroke(tmp_path / name)), POINTS, atol=1e-6)


def test_a_spline_is_read_as_the_spline_that_it_was(scene, tmp_path):
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsCurveNode")
    for point in POINTS:
        node.AddControlPoint(*point)
    back = stroke_from_node(read_stroke(write_stroke(node, tmp_path / "c.mrk.json")))
    assert np.allclose(back, stroke_from_node(node))


@pytest.mark.parametrize("name", ["s.mrk.json", "s.fcsv"])
def test_unplaced_points_are_skipped_after_reading(scene, tmp_path, name):
    node = stroke_to_node(POINTS, curve=False)
    node.UnsetNthControlPointPosition(1)
    stroke = stroke_from_node(read_stroke(write_stroke(node, tmp_path / name)))
    assert np.allclose(stroke, POINTS[[0, 2]], atol=1e-3)


def test_labels_read_from_a_file_are_exported_unchanged(scene, tmp_path, grid):
    path = write_volume(labels_on(grid), tmp_path / "a.mha")
    assert np.array_equal(labelmap_from_segmentation(read_segmentation(path)).array, labels_on(grid).array)
