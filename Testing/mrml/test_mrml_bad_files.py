"""Bad files: one sentence that names the file, nothing printed, nothing written, the old file alive."""

from __future__ import annotations

import contextlib
import gzip
import os
import resource
import signal

import numpy as np
import pytest
import SimpleITK

from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.volume import Volume
from SparseToPreciseLib.mrml import files
from SparseToPreciseLib.mrml.files import (
    read_segmentation,
    read_stroke,
    read_volume,
    write_segmentation,
    write_stroke,
    write_volume,
)
from SparseToPreciseLib.mrml.labelmaps import segmentation_from_labelmap
from SparseToPreciseLib.mrml.markups import stroke_from_node
from SparseToPreciseLib.mrml.volumes import volume_from_node

IMAGES = [".nrrd", ".nii", ".nii.gz", ".mha"]
NOISE = np.random.default_rng(3)


@pytest.fixture
def refused(scene, capfd):
    """Call something and get the one sentence with which it is refused."""

    def call(function, *arguments) -> str:
        before = scene.GetNumberOfNodes()
        capfd.readouterr()
        with pytest.raises(InputError) as caught:
            function(*arguments)
        text = str(caught.value)
        assert "\n" not in text and text.endswith(".") and len(text) < 400
        assert str(arguments[-1]) in text
        assert capfd.readouterr() == ("", ""), "the readers' noise must not reach the terminal"
        assert scene.GetNumberOfNodes() == before, "nothing is left in the scene"
        return text

    return call


def image_file(path, array, is_vector=False, compressed=False):
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(array, isVector=is_vector), str(path), compressed)
    return path


def voxels(*shape) -> np.ndarray:
    return NOISE.integers(0, 5, shape).astype(np.int16)


@pytest.mark.parametrize("read", [read_volume, read_segmentation, read_stroke])
def test_missing_folder_empty_and_foreign_files(refused, tmp_path, read):
    extension = ".fcsv" if read is read_stroke else ".nrrd"
    assert "does not exist" in refused(read, tmp_path / f"gone{extension}")
    folder = tmp_path / f"folder{extension}"
    folder.mkdir()
    assert "is a folder" in refused(read, folder)
    empty = tmp_path / f"empty{extension}"
    empty.touch()
    assert "is empty (0 bytes)" in refused(read, empty)
    assert "does not have a known extension" in refused(read, tmp_path / "scan.dcm")
    assert "does not have a known extension" in refused(read, tmp_path / extension)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(refused, tmp_path):
    path = image_file(tmp_path / "mine.nrrd", voxels(3, 4, 5))
    path.chmod(0)
    assert "may not be read" in refused(read_volume, path)


@pytest.mark.parametrize("read", [read_volume, read_segmentation])
@pytest.mark.parametrize("extension", IMAGES)
def test_files_that_are_something_else(refused, tmp_path, extension, read):
    path = tmp_path / f"junk{extension}"
    path.write_bytes(b"<html>404 Not Found</html>\n" * 40)
    refused(read, path)
    path.write_bytes(bytes(NOISE.integers(0, 256, 2000, dtype=np.uint8)))
    refused(read, path)
    path.write_bytes(b"N")
    refused(read, path)


@pytest.mark.parametrize("read", [read_volume, read_segmentation])
@pytest.mark.parametrize("extension", IMAGES)
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kept", [0.98, 0.6, 0.2])
def test_files_whose_end_is_missing(refused, tmp_path, extension, compressed, kept, read):
    path = image_file(tmp_path / f"cut{extension}", voxels(12, 13, 14), compressed=compressed)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    refused(read, path)


def test_a_nifti_that_is_short_inside_its_gzip_stream(refused, tmp_path):
    """Slicer reads this one without a word."""
    whole = gzip.decompress(image_file(tmp_path / "whole.nii.gz", voxels(12, 13, 14)).read_bytes())
    path = tmp_path / "short.nii.gz"
    path.write_bytes(gzip.compress(whole[:-1]))
    assert "is incomplete, its end is missing" in refused(read_volume, path)


@pytest.mark.parametrize("read", [read_volume, read_segmentation])
@pytest.mark.parametrize("extension", IMAGES)
def test_2d_4d_and_vector_images(refused, tmp_path, extension, read):
    flat = image_file(tmp_path / f"flat{extension}", voxels(6, 5))
    assert "is a 2D image (5 x 6); give a 3D volume" in refused(read, flat)
    series = image_file(tmp_path / f"series{extension}", voxels(3, 6, 5, 4))
    assert "is a 4D image (4 x 5 x 6 x 3)" in refused(read, series)
    vectors = image_file(tmp_path / f"vectors{extension}", voxels(6, 5, 4, 3), is_vector=True)
    assert "has 3 values per voxel" in refused(read, vectors)


def test_a_segmentation_is_not_an_image(refused, scene, tmp_path):
    node = segmentation_from_labelmap(Volume(voxels(3, 4, 5), np.eye(4)))
    path = write_segmentation(node, tmp_path / "s.seg.nrrd")
    assert "is a segmentation, not an image" in refused(read_volume, path)


def test_an_image_is_not_a_labelmap(refused, tmp_path):
    path = image_file(tmp_path / "ct.nii.gz", NOISE.normal(size=(6, 7, 8)).astype(np.float32))
    text = str(path)
    with pytest.raises(InputError, match="a labelmap holds whole numbers") as caught:
        read_segmentation(path)
    assert text in str(caught.value)


def test_a_damaged_seg_nrrd(refused, scene, tmp_path):
    node = segmentation_from_labelmap(Volume(voxels(12, 13, 14), np.eye(4)))
    path = write_segmentation(node, tmp_path / "s.seg.nrrd")
    content = path.read_bytes()
    for kept in (0.95, 0.5, 0.1):
        path.write_bytes(content[: int(len(content) * kept)])
        refused(read_segmentation, path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("hello", "not a valid markups file"),
        ('{"markups": [', "not a valid markups file"),
        ('{"a": 1}', "not a valid markups file"),
        ("[1]", "not a valid markups file"),
        ('{"markups": []}', "holds 0 markups"),
        ('{"markups": [{"type": "Curve"}, {"type": "Curve"}]}', "holds 2 markups"),
        ('{"markups": [{"type": "Nonsense", "coordinateSystem": "LPS"}]}', "could not be read as a markup"),
    ],
)
def test_bad_markups_json(refused, tmp_path, content, words):
    path = tmp_path / "s.mrk.json"
    path.write_text(content)
    assert words in refused(read_stroke, path)


def test_bad_fcsv(refused, tmp_path):
    path = tmp_path / "s.fcsv"
    head = "# Markups fiducial file version = 4.11\n# CoordinateSystem = LPS\n"
    for row in ("hello", "1,2", "p1,1.0,two,3.0,0,0,0,1"):
        path.write_text(f"{head}p0,1,2,3,0,0,0,1,1,1,0,l,,\n{row}\n")
        assert f"no coordinates x,y,z in line 4 ({row!r})" in refused(read_stroke, path)
    path.write_bytes(b"\xff\xfe\x00\x80" * 20)
    assert "is not a text file" in refused(read_stroke, path)


@pytest.mark.parametrize("name", ["s.mrk.json", "s.fcsv"])
def test_a_stroke_file_with_nan_is_refused_when_it_is_used(scene, tmp_path, name):
    path = write_stroke(np.array([[-4.5, 1, 2], [3, 4, 5.0]]), tmp_path / name)
    path.write_text(path.read_text().replace("4.5", "NaN" if name.endswith("json") else "nan"))
    with pytest.raises(InputError, match="Control point 1 of s has the position"):
        stroke_from_node(read_stroke(path))


# -------------------------------------------------------------------------------------------------- writing


@contextlib.contextmanager
def full_disk():
    """No file can grow beyond 2000 bytes within; the limit is off again before pytest writes to its own log."""
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)


def writers():
    noise = Volume(NOISE.integers(0, 30000, (20, 20, 20)).astype(np.int16), np.eye(4))
    labels = Volume(voxels(30, 30, 30), np.eye(4))
    yield from ((f"image{extension}", lambda path: write_volume(noise, path)) for extension in IMAGES)
    for extension in (".seg.nrrd", ".nii.gz"):
        yield f"labels{extension}", lambda path: write_segmentation(segmentation_from_labelmap(labels), path)
    for name in ("s.mrk.json", "s.fcsv"):
        yield name, lambda path: write_stroke(NOISE.normal(size=(100, 3)), path)


@pytest.mark.parametrize(("name", "write"), list(writers()), ids=lambda value: value if isinstance(value, str) else "")
def test_on_a_full_disk_the_old_file_survives_and_nothing_is_left(scene, tmp_path, capfd, name, write):
    (tmp_path / name).write_text("the old file")
    with full_disk(), pytest.raises(InputError) as caught:
        write(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value) and "\n" not in str(caught.value)
    assert "disk" in str(caught.value) and len(str(caught.value)) < 400
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "the old file"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("name", "write"), list(writers()), ids=lambda value: value if isinstance(value, str) else "")
def test_a_file_is_replaced_without_a_word(scene, tmp_path, capfd, name, write):
    for _ in range(2):
        write(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name] and capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("name", "write"), list(writers()), ids=lambda value: value if isinstance(value, str) else "")
def test_ctrl_c_while_writing_leaves_nothing(scene, tmp_path, monkeypatch, name, write):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_written(refused, scene, tmp_path):
    volume = Volume(voxels(3, 4, 5), np.eye(4))
    with pytest.raises(InputError, match="The folder .*gone does not exist"):
        write_volume(volume, tmp_path / "gone" / "a.nrrd")
    assert "does not have a known extension" in refused(write_volume, volume, tmp_path / "a.png")
    assert "does not have a known extension" in refused(write_stroke, np.zeros((2, 3)), tmp_path / "a.csv")
    (tmp_path / "b.nrrd").mkdir()
    assert "is a folder" in refused(write_volume, volume, tmp_path / "b.nrrd")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(refused, scene, tmp_path):
    tmp_path.chmod(0o500)
    assert "read-only" in refused(write_volume, Volume(voxels(3, 4, 5), np.eye(4)), tmp_path / "a.nrrd")


@pytest.mark.parametrize("extension", IMAGES)
def test_a_sheared_image_is_written_as_it_is_or_refused(refused, scene, tmp_path, extension):
    """Slicer writes a rotation in its place into NIfTI files."""
    sheared = np.eye(4)
    sheared[0, 1] = 0.4
    volume, path = Volume(voxels(3, 4, 5), sheared), tmp_path / f"sheared{extension}"
    if extension.startswith(".nii"):
        assert "axes are not at right angles; write a .nrrd file" in refused(write_volume, volume, path)
        assert list(tmp_path.iterdir()) == []
    else:
        back = volume_from_node(read_volume(write_volume(volume, path)))
        assert np.allclose(back.ijk_to_ras, sheared, atol=1e-6)
