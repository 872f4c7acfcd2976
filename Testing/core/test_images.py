"""Image files that readers take for something else: what is read, what is refused, and what an output keeps."""

from __future__ import annotations

import bz2
import gzip
import os
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.images import nifti_header, placement_notes, read_image, read_labelmap, write_image
from SparseToPreciseLib.core.volume import Volume

VOXELS = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
TURNED = np.array([[0.0, -2, 0, 7], [2, 0, 0, 8], [0, 0, 2, 9]])
CODES = {"int16": 4, "float32": 16, "uint8": 2, "float64": 64}


def nifti(path: Path, array: np.ndarray = VOXELS, extension: bytes = b"", **fields) -> Path:
    """A NIfTI-1 file, byte by byte."""
    header = bytearray(348)
    values = {
        "pixdim": (1, 2, 2, 2), "quaternion": (0, 0, 0, 1, 2, 3), "rows": TURNED.ravel(), "codes": (0, 1),
        "scale": (1, 0), "units": (2,),
    } | fields  # fmt: skip
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *array.shape[::-1], 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, CODES[array.dtype.name], array.dtype.itemsize * 8)
    struct.pack_into("<4f", header, 76, *values["pixdim"])
    struct.pack_into("<3f", header, 108, 352 + len(extension), *values["scale"])
    header[123] = values["units"][0]
    struct.pack_into("<2h", header, 252, *values["codes"])
    struct.pack_into("<6f", header, 256, *values["quaternion"])
    struct.pack_into("<12f", header, 280, *values["rows"])
    header[344:348] = b"n+1\0"
    content = bytes(header) + (b"\1\0\0\0" if extension else b"\0" * 4) + extension + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.name.lower().endswith(".gz") else content)
    return path


def label_table(names: dict[int, str]) -> bytes:
    """The extension with which TotalSegmentator names labels."""
    rows = "".join(f'<Label Key="{key}" Red="1"><![CDATA[{name}]]></Label>' for key, name in names.items())
    text = f'<?xml version="1.0" encoding="UTF-8"?> <CaretExtension><LabelTable>{rows}</LabelTable></CaretExtension>'
    content = text.encode().ljust(-(-(len(text.encode()) + 8) // 16) * 16 - 8, b"\0")
    return struct.pack("<2i", len(content) + 8, 0) + content


def refused(path: Path, read=read_image) -> str:
    with pytest.raises(InputError) as caught:
        read(path)
    sentence = str(caught.value)
    assert "\n" not in sentence and sentence.startswith(str(path)) and sentence.endswith("."), sentence
    return sentence


class TestNames:
    @pytest.mark.parametrize("other", [".nii", ".nii.gz", ".hdr", ".img", ".img.gz"])
    @pytest.mark.parametrize("extension", [".nii", ".nii.gz"])
    def test_the_file_that_was_named_is_read(self, tmp_path: Path, extension: str, other: str) -> None:
        if other == extension:
            return
        nifti(tmp_path / f"seg{other}", VOXELS + 100, rows=TURNED.ravel() + 5)
        volume = read_image(nifti(tmp_path / f"seg{extension}"))
        np.testing.assert_array_equal(volume.array, VOXELS)
        np.testing.assert_allclose(volume.ijk_to_ras[:3], TURNED)

    @pytest.mark.parametrize("extension", [".NII", ".NII.GZ", ".Nii.gz", ".MHA", ".NRRD"])
    def test_capitals(self, tmp_path: Path, extension: str) -> None:
        volume = Volume(VOXELS, np.diag([-2.0, 1, 1, 1]), "x")
        path = write_image(volume, tmp_path / f"Scan{extension}")
        assert [file.name for file in tmp_path.iterdir()] == [f"Scan{extension}"]
        shutil.copy(path, tmp_path / f"Scan{extension.lower()}")
        for file in (path, tmp_path / f"Scan{extension.lower()}"):
            again = read_image(file)
            np.testing.assert_array_equal(again.array, VOXELS)
            np.testing.assert_allclose(again.ijk_to_ras, volume.ijk_to_ras)
            assert again.name == "Scan"

    def test_a_folder_whose_name_is_not_utf8(self, tmp_path: Path) -> None:
        folder = os.fsencode(tmp_path) + b"/caf\xe9"
        os.mkdir(folder)
        path = Path(os.fsdecode(folder)) / "a.nrrd"
        for call in (lambda: read_image(path), lambda: write_image(Volume(VOXELS, np.eye(4)), path)):
            with pytest.raises(InputError, match=r"caf\\xe9/a.nrrd has a name that is not UTF-8; rename"):
                call()


class TestDamage:
    def mha(self, path: Path) -> bytes:
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(VOXELS), str(path), useCompression=True)
        return path.read_bytes()

    def test_compressed_metaimage_without_its_size(self, tmp_path: Path) -> None:
        path = tmp_path / "a.mha"
        lines = self.mha(path).split(b"\n")
        path.write_bytes(b"\n".join(line for line in lines if not line.startswith(b"CompressedDataSize")))
        assert "does not say how long its compressed voxels are (CompressedDataSize)" in refused(path)

    def nrrd(self, path: Path, body: bytes, **fields: str) -> Path:
        values = {"type": "short", "dimension": "3", "sizes": "5 4 3", "encoding": "raw", "endian": "little"} | fields
        text = "".join(f"{key.replace('_', ' ')}: {value}\n" for key, value in values.items())
        path.write_bytes(f"NRRD0004\n{text}\n".encode() + body)
        return path

    def test_encodings(self, tmp_path: Path) -> None:
        path = tmp_path / "a.nrrd"
        np.testing.assert_array_equal(read_image(self.nrrd(path, VOXELS.tobytes())).array, VOXELS)
        for encoding, body in (("bzip2", bz2.compress(VOXELS.tobytes())), ("ascii", b"1 2 3"), ("hex", b"00")):
            said = refused(self.nrrd(path, body, encoding=encoding))
            assert f"has {encoding}-encoded voxels; export it again with raw or gzip encoding" in said

    def test_detached_data(self, tmp_path: Path) -> None:
        (tmp_path / "a.raw").write_bytes(VOXELS.tobytes())
        path = self.nrrd(tmp_path / "a.nrrd", b"", data_file="a.raw")
        assert "keeps its voxels in another file; export it again as one file" in refused(path)


class TestNaN:
    @pytest.mark.parametrize("extension", [".nrrd", ".nii", ".nii.gz", ".mha"])
    @pytest.mark.parametrize("kind", ["float32", "float64"])
    def test_nan_and_infinity_are_read_as_such(self, tmp_path: Path, extension: str, kind: str) -> None:
        array = VOXELS.astype(kind)
        array[0, 0, :3] = (np.nan, np.inf, -np.inf)
        path = write_image(Volume(array, np.eye(4)), tmp_path / f"a{extension}")
        np.testing.assert_array_equal(read_image(path).array, array)
        assert "has the value" in refused(path, read_labelmap)

    def test_scaled(self, tmp_path: Path) -> None:
        array = VOXELS.astype(np.float32)
        array[0, 0, 0] = np.nan
        read = read_image(nifti(tmp_path / "a.nii", array, scale=(0.5, 3))).array
        np.testing.assert_array_equal(read, array * 0.5 + 3)
        read = read_image(nifti(tmp_path / "b.nii", VOXELS, scale=(0.5, 3))).array
        assert read.dtype == np.float32
        np.testing.assert_array_equal(read, VOXELS * np.float32(0.5) + 3)


class TestLabels:
    def test_scaled_and_almost_whole_ones_are_accepted(self, tmp_path: Path) -> None:
        labels = np.zeros((3, 4, 5), np.uint8)
        labels[1, 1:3, 1:4] = 30
        path = nifti(tmp_path / "a.nii", labels, scale=(0.1, 0))
        np.testing.assert_array_equal(read_labelmap(path).array, labels // 10)
        path = nifti(tmp_path / "b.nii", labels.astype(np.float32) + np.float32(5e-5))
        np.testing.assert_array_equal(read_labelmap(path).array, labels)
        path = nifti(tmp_path / "c.nii", labels.astype(np.float32) * np.float32(0.999))
        assert "has the value 29.97; a labelmap holds whole numbers" in refused(path, read_labelmap)

    def test_names_in_an_extension(self, tmp_path: Path) -> None:
        path = nifti(tmp_path / "a.nii.gz", extension=label_table({3: "kidney_left", 4: "Größe & Form"}))
        assert nifti_header(path).label_names() == {3: "kidney_left", 4: "Größe & Form"}
        np.testing.assert_array_equal(read_image(path).array, VOXELS)
        for damaged in (b"\x20\0\0\0\0\0\0\0<LabelTable", struct.pack("<2i", 10**9, 0) + b"x" * 8):
            header = nifti_header(nifti(tmp_path / "b.nii", extension=damaged.ljust(32, b"\0")))
            assert header.label_names() == {}


class TestForms:
    @pytest.mark.parametrize("codes", [(1, 2), (2, 1), (4, 2), (0, 2), (1, 0), (0, 0)])
    @pytest.mark.parametrize("extension", [".nii", ".nii.gz"])
    def test_an_output_keeps_both_forms_codes_units_and_names(
        self, tmp_path: Path, codes: tuple[int, int], extension: str
    ) -> None:
        fields = {"codes": codes, "quaternion": (0.1, 0.2, 0.3, 4, 5, 6), "pixdim": (-1, 2, 2, 2), "units": (3,)}
        path = nifti(tmp_path / f"in{extension}", extension=label_table({3: "three"}), **fields)
        given, header = read_image(path), nifti_header(path)
        out = write_image(given.with_array(VOXELS[::-1]), tmp_path / f"out{extension}", like=header)
        again, written = read_image(out), nifti_header(out)
        np.testing.assert_array_equal(again.array, VOXELS[::-1])
        np.testing.assert_array_equal(again.ijk_to_ras, given.ijk_to_ras)
        for name in ("codes", "quaternion", "pixdim", "rows", "units"):
            assert written.fields[name] == header.fields[name], name
        assert written.label_names() == {3: "three"}
        witness = SimpleITK.ReadImage(str(out))
        np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(witness), VOXELS[::-1])

    def test_an_output_elsewhere_has_its_own_place(self, tmp_path: Path) -> None:
        header = nifti_header(nifti(tmp_path / "in.nii", codes=(1, 2)))
        volume = Volume(VOXELS, np.diag([1.0, 1, 3, 1]))
        np.testing.assert_allclose(
            read_image(write_image(volume, tmp_path / "out.nii", like=header)).ijk_to_ras, volume.ijk_to_ras
        )

    def test_a_disagreement_is_said_with_its_size(self, tmp_path: Path) -> None:
        path = nifti(tmp_path / "a.nii", codes=(1, 2))
        assert placement_notes(path) == [f"{path} was read by its qform; its sform places it up to 15.4 mm elsewhere."]
        path = nifti(tmp_path / "b.nii", codes=(1, 1))
        assert placement_notes(path) == [f"{path} was read by its sform; its qform places it up to 15.4 mm elsewhere."]
        path = nifti(tmp_path / "c.nii", codes=(0, 1), pixdim=(1, 3, 3, 3))
        (said,) = placement_notes(path)
        assert "c.nii was read by its voxel sizes; its sform places it up to 5.39 mm elsewhere" in said

    def test_two_files_that_were_read_by_different_forms(self, tmp_path: Path) -> None:
        one, other = nifti(tmp_path / "a.nii", codes=(1, 0)), nifti(tmp_path / "b.nii", codes=(0, 1))
        (said,) = placement_notes(one, other, None, tmp_path / "x.nrrd")
        assert said.startswith(f"{one} was read by its qform and {other} by its sform, and they lie differently")
        there = nifti(tmp_path / "b.nii", codes=(0, 1), rows=(2, 0, 0, 1, 0, 2, 0, 2, 0, 0, 2, 3))
        assert placement_notes(one, there) == []

    def test_forms_that_agree_need_no_word(self, tmp_path: Path) -> None:
        volume = Volume(VOXELS, np.array([[0, -2.0, 0, 7], [2, 0, 0, 8], [0, 0, 2, 9], [0, 0, 0, 1]]))
        for extension in (".nii", ".nrrd"):
            assert placement_notes(write_image(volume, tmp_path / f"a{extension}")) == []
        for codes in ((0, 1), (1, 0), (0, 0)):
            assert placement_notes(nifti(tmp_path / "b.nii", codes=codes)) == []

    def test_sheared_axes_are_refused_with_the_reason(self, tmp_path: Path) -> None:
        sheared = TURNED.copy()
        sheared[0, 0] = 0.5
        assert refused(nifti(tmp_path / "a.nii", rows=sheared.ravel())) == (
            f"{tmp_path / 'a.nii'} could not be read (its axes are not at right angles, which a NIfTI file may not "
            "have); export it again."
        )

    @pytest.mark.parametrize("units", [1, 2, 3])
    def test_units(self, tmp_path: Path, units: int) -> None:
        scale = {1: 1e-3, 2: 1.0, 3: 1e3}[units]
        path = nifti(tmp_path / "a.nii", rows=TURNED.ravel() * scale, pixdim=(1, *[2 * scale] * 3), units=(units,))
        np.testing.assert_allclose(read_image(path).ijk_to_ras[:3], TURNED, rtol=1e-5)
        assert placement_notes(path) == []
