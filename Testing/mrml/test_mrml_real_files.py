"""The real cases: read as SimpleITK reads them, edited through files, nothing else changed."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK

from SparseToPreciseLib.core.volume import Grid
from SparseToPreciseLib.mrml.files import read_segmentation, read_stroke, read_volume, write_segmentation
from SparseToPreciseLib.mrml.lookup import find_segment, label_values
from SparseToPreciseLib.mrml.markups import stroke_from_node
from SparseToPreciseLib.mrml.segmentations import segment_to_volume, segmentation_grid, volume_to_segment
from SparseToPreciseLib.mrml.volumes import volume_from_node

IMAGES = [
    "abdomen_ct_3mm.nii.gz",
    "abdomen_mr_slab_3mm.nii.gz",
    "brain_tumor1_t1gd.nrrd",
    "colin27_t1_1mm.nii.gz",
    "ct_template_head_2mm_hu.nii.gz",
]
CASES = {
    "abdomen_ct_3mm_labels.nii.gz": ("abdomen_ct_3mm.nii.gz", 2),
    "abdomen_mr_slab_3mm_labels.nii.gz": ("abdomen_mr_slab_3mm.nii.gz", 5),
    "brain_tumor1_label.nrrd": ("brain_tumor1_t1gd.nrrd", 1),
}


def grid_of(image: SimpleITK.Image) -> Grid:
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    matrix[:3, 3] = image.GetOrigin()
    return Grid(image.GetSize()[::-1], np.diag([-1.0, -1.0, 1.0, 1.0]) @ matrix)


@pytest.mark.parametrize("name", IMAGES)
def test_images(scene, shared_data, name):
    witness = SimpleITK.ReadImage(str(shared_data / name))
    volume = volume_from_node(read_volume(shared_data / name))
    assert np.array_equal(volume.array, SimpleITK.GetArrayViewFromImage(witness))
    assert volume.grid.same_as(grid_of(witness), 1e-3)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("extension", [".nii.gz", ".nrrd", ".mha", ".seg.nrrd"])
def test_one_structure_changes_and_the_others_do_not(scene, shared_data, tmp_path, name, extension):
    image_name, label = CASES[name]
    witness = SimpleITK.ReadImage(str(shared_data / name))
    before = SimpleITK.GetArrayFromImage(witness)
    node = read_segmentation(shared_data / name)
    assert list(label_values(node).values()) == np.unique(before)[1:].tolist()
    assert segmentation_grid(node).same_as(volume_from_node(read_volume(shared_data / image_name)).grid, 1e-2)
    edited = find_segment(node, label)
    segment = segment_to_volume(node, edited)
    assert np.array_equal(segment.array, before == label)
    moved = np.roll(segment.array, 1, axis=2)
    volume_to_segment(segment.with_array(moved), node, edited)
    path = write_segmentation(node, tmp_path / f"out{extension}", on_top=[edited])
    if extension == ".seg.nrrd":
        again = read_segmentation(path)
        assert segmentation_grid(again).same_as(grid_of(witness), 1e-3)
        for segment_id in again.GetSegmentation().GetSegmentIDs():
            expected = moved if segment_id == edited else before == label_values(node)[segment_id]
            assert np.array_equal(segment_to_volume(again, segment_id).array, expected)
    else:
        after = SimpleITK.ReadImage(str(path))
        expected = np.where(moved != 0, label, np.where(before == label, 0, before))
        assert np.array_equal(SimpleITK.GetArrayFromImage(after), expected)
        assert after.GetPixelID() == witness.GetPixelID() and grid_of(after).same_as(grid_of(witness), 1e-3)


def test_landmarks(scene, shared_data):
    """32 anatomical points in RAS, within the head they were placed in."""
    path = shared_data / "colin27_afids32.fcsv"
    points = stroke_from_node(read_stroke(path))
    rows = [line.split(",") for line in path.read_text().splitlines() if not line.startswith("#")]
    assert "CoordinateSystem = " in path.read_text() and points.shape == (32, 3)
    assert np.allclose(np.abs(points), np.abs([[float(value) for value in row[1:4]] for row in rows]), atol=1e-3)
    head = volume_from_node(read_volume(shared_data / "colin27_t1_1mm.nii.gz"))
    assert head.grid.contains(points).all()
    # AC and PC lie in the middle, PC behind AC
    assert np.abs(points[:2, 0]).max() < 2 and points[1, 1] < points[0, 1] - 20
