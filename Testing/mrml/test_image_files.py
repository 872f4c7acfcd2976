"""Files read without Slicer give what Slicer's readers give; what is refused; and that a training needs no Slicer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
import slicer

from known_shape import matrix, shape_on
from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.images import read_image, read_labelmap, write_image
from SparseToPreciseLib.core.volume import Grid, Volume
from SparseToPreciseLib.mrml import files
from SparseToPreciseLib.mrml.labelmaps import labelmap_from_segmentation, segmentation_from_labelmap
from SparseToPreciseLib.mrml.segmentations import new_segment, volume_to_segment
from SparseToPreciseLib.mrml.volumes import volume_from_node

LIBRARY = Path(__file__).resolve().parents[2] / "SparseToPrecise"


def same_place(one: Volume, other: Volume, tolerance: float = 1e-5) -> None:
    np.testing.assert_array_equal(one.array, other.array)
    np.testing.assert_allclose(one.ijk_to_ras, other.ijk_to_ras, atol=tolerance)


@pytest.mark.parametrize("extension", [".nrrd", ".nii", ".nii.gz", ".mha"])
def test_images_lie_where_slicer_puts_them(scene, grid: Grid, tmp_path: Path, extension: str) -> None:
    values = np.random.default_rng(1).integers(-900, 900, grid.shape).astype(np.int16)
    path = files.write_volume(Volume(values, grid.ijk_to_ras), tmp_path / f"image{extension}")
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetForceRightHandedIJKCoordinateSystem(False)
    storage.SetFileName(str(path))
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    assert storage.ReadData(node)
    same_place(read_image(path), volume_from_node(node))
    same_place(read_image(path), volume_from_node(files.read_volume(path)))
    same_place(read_image(path), Volume(values, grid.ijk_to_ras), 1e-4)


@pytest.mark.parametrize("kind", ["uint8", "int16", "float32", "float64", "bool", "uint16"])
def test_what_is_written_comes_back(grid: Grid, tmp_path: Path, kind: str) -> None:
    values = np.random.default_rng(2).integers(0, 2, grid.shape).astype(kind)
    path = write_image(Volume(values, grid.ijk_to_ras, "x"), tmp_path / "image.nrrd")
    same_place(read_image(path), Volume(values, grid.ijk_to_ras))
    assert [one.name for one in tmp_path.iterdir()] == ["image.nrrd"]


def test_sheared_axes_come_back(tmp_path: Path) -> None:
    volume = shape_on(Grid((26, 30, 34), matrix((20, -15, 35), (1.5, 1.2, 2), (-2, -32, -5), shear=0.2)))
    same_place(read_image(write_image(volume, tmp_path / "sheared.nrrd")), volume)


def overlapping(grid: Grid):
    """Three segments, of which the last overlaps the first."""
    node = segmentation_from_labelmap(shape_on(grid).with_array(two_labels(grid)), "Organs")
    third = new_segment(node, "third")
    volume_to_segment(shape_on(grid, shift=(6, 0, 0)), node, third)
    return node


def two_labels(grid: Grid) -> np.ndarray:
    labels = shape_on(grid).array * 3
    labels[: grid.shape[0] // 2] *= 2
    return labels


def test_segments_are_read_as_slicer_reads_them(scene, grid: Grid, tmp_path: Path) -> None:
    node = overlapping(grid)
    path = files.write_segmentation(node, tmp_path / "organs.seg.nrrd")
    there = labelmap_from_segmentation(files.read_segmentation(path))
    mine = read_labelmap(path)
    assert len(np.unique(mine.array)) == 4
    np.testing.assert_array_equal(mine.resampled_to(there.grid, "nearest", fill=0).array, there.array)


def test_a_labelmap_keeps_its_values(scene, grid: Grid, tmp_path: Path) -> None:
    labels = shape_on(grid).with_array(two_labels(grid))
    path = files.write_volume(labels, tmp_path / "labels.nii.gz")
    same_place(read_labelmap(path), labels, 1e-4)


def file_of(path: Path, array: np.ndarray, vector: bool = False) -> Path:
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(array, isVector=vector), str(path))
    return path


@pytest.mark.parametrize(
    ("name", "make", "said"),
    [
        ("gone.nrrd", lambda path: None, "does not exist"),
        ("two.nrrd", lambda path: file_of(path, np.zeros((4, 5), np.uint8)), "2D"),
        ("four.nii", lambda path: file_of(path, np.zeros((2, 3, 4, 5), np.uint8)), "4D"),
        ("vector.mha", lambda path: file_of(path, np.zeros((3, 4, 5, 3), np.uint8), True), "3 values per voxel"),
        ("text.nrrd", lambda path: path.write_text("hello"), "not a valid NRRD"),
        ("folder.nrrd", lambda path: path.mkdir(), "folder"),
        ("image.png", lambda path: path.write_bytes(b"x"), "extension"),
    ],
)
@pytest.mark.parametrize("read", [read_image, read_labelmap])
def test_what_is_no_volume_is_refused(capfd, tmp_path: Path, read, name: str, make, said: str) -> None:
    make(tmp_path / name)
    with pytest.raises(InputError, match=said) as refused:
        read(tmp_path / name)
    assert str(tmp_path / name) in str(refused.value) and "\n" not in str(refused.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("extension", [".nrrd", ".nii", ".nii.gz", ".mha"])
def test_an_incomplete_file_is_refused(capfd, tmp_path: Path, extension: str) -> None:
    path = file_of(tmp_path / f"image{extension}", np.random.default_rng(0).integers(0, 99, (9, 9, 9), np.uint8))
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(InputError, match="incomplete|not a valid|cannot be read"):
        read_image(path)
    assert capfd.readouterr() == ("", "")


def test_an_image_is_no_labelmap_and_segments_are_no_image(scene, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).random((8, 9, 10)).astype(np.float32)
    path = write_image(Volume(noise, np.eye(4)), tmp_path / "noise.nrrd")
    with pytest.raises(InputError, match="whole numbers"):
        read_labelmap(path)
    grid = Grid((26, 30, 34), matrix())
    path = files.write_segmentation(overlapping(grid), tmp_path / "organs.seg.nrrd")
    with pytest.raises(InputError, match="is a segmentation"):
        read_image(path)
    text = path.read_bytes()
    path.write_bytes(text.replace(b"Segment2_Layer:=1", b"Segment2_Layer:=7"))
    with pytest.raises(InputError, match="puts its segment 2 into layer .7., and has 2"):
        read_labelmap(path)


def test_an_old_file_survives_a_failure(monkeypatch, tmp_path: Path) -> None:
    path = tmp_path / "image.nrrd"
    path.write_text("old")

    def fails(*_, **__):
        raise RuntimeError("disk full")

    monkeypatch.setattr(SimpleITK, "WriteImage", fails)
    with pytest.raises(InputError, match="disk is not full"):
        write_image(shape_on(Grid((26, 30, 34), matrix())), path)
    assert [one.name for one in tmp_path.iterdir()] == ["image.nrrd"] and path.read_text() == "old"


# The command with a small network and few cases.
SMALL = """
import runpy
from SparseToPreciseLib.core.training import recipe
real = recipe.packaged_config
def small(family, name):
    config = real(family, name)
    if name == "train.json":
        config |= {"validation_cubes": 2, "batch_size": 1}
        config["simulation"]["segmenter_share"] = 0
        arguments = {"in_channels": len(config["form"]["parameters"]["inputs"]), "out_channels": 1, "spatial_dims": 3}
        config["network"] = {"name": "UNet", "arguments": {**arguments, "channels": [4, 8], "strides": [2]}}
    return config
if __name__ == "__main__":
    recipe.packaged_config = small
    runpy.run_module("SparseToPreciseLib.cli", run_name="__main__", alter_sys=True)
"""

# As PythonSlicer does: a package of that name may be there, a scene is not.
WITHOUT_SLICER = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("slicer", "slicer_core", "vtk", "vtkmodules", "qt", "ctk", "fire"):
            raise ImportError(f"{name} is hidden by the test")
sys.meta_path.insert(0, Absent())
"""


def test_training_as_a_module_needs_no_slicer(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "usercustomize").mkdir()
    (tmp_path / "usercustomize" / "sitecustomize.py").write_text(WITHOUT_SLICER)
    datalist = folder / "cases.json"
    cases = [{"image": "image.nrrd", "label": label} for label in ("labels.nii.gz", "ball.seg.nrrd")]
    datalist.write_text(json.dumps({"training": cases}))
    paths = os.pathsep.join([str(tmp_path / "usercustomize"), str(LIBRARY)])
    (tmp_path / "small.py").write_text(SMALL)
    command = [sys.executable, tmp_path / "small.py", "train", "editing", "--dataset", datalist]
    command += ["--output", folder / "mine", "--cubes", "2", "--minutes", "0.01", "--device", "cpu", "--workers", "1"]
    done = subprocess.run(
        [*map(str, command), "--progress", "json"],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[-1]["result"]["name"] == "mine"
    assert any("validation" in line for line in lines)
    assert (folder / "mine" / "configs" / "metadata.json").is_file()
