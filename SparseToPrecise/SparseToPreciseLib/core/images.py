"""Images and labelmaps in files as volumes and back: .nrrd, .nii, .nii.gz and .mha, through SimpleITK.

The one reader and writer of the library: also Slicer's nodes are filled from what is read here. SimpleITK tells what
a header says; whether a file is whole is checked here, because the readers take a NIfTI file without its end for
whole, make zeros of a damaged MetaImage, and end the process on a damaged .seg.nrrd.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import shutil
import struct
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from .errors import InputError, one_line
from .files import readable_file, write_atomically
from .itk_images import grid_of, to_itk
from .nifti import COLOURS, NiftiHeader, differences_mm, opened, place_like, read_nifti_header, read_voxels
from .quiet import quiet
from .volume import Grid, Volume

if TYPE_CHECKING:
    import SimpleITK

IMAGE_EXTENSIONS = (".nrrd", ".nii", ".nii.gz", ".mha")

# Large label sets in use number some hundred structures; an image taken for a labelmap has thousands of values.
_MOST_LABELS = 10_000
_WHOLE = 1e-4
"""Labels in files of scaled or floating point numbers may be so far from whole ones."""
# What ITK's formats know, of the types that a volume of ours may have.
_STORED_AS = {"bool": "uint8", "float16": "float32"}
_LONGEST_TEXT_HEADER = 1 << 24
_SEGMENT_ID = re.compile(r"Segment(\d{1,6})_ID")
_WHOLE_NUMBERS = re.compile(r"-?\d{1,9}")
# Cosine between two axes; 1e-4 moves the far corner of 500 voxels by a twentieth of a voxel.
_RIGHT_ANGLE_TOLERANCE = 1e-4
_SAME_PLACE_VOXELS = 1e-2
"""Two forms of a NIfTI header agree within so many voxels; they are stored as float32."""


@dataclass(frozen=True)
class Header:
    """Size and type of the image in a file.

    Attributes
    ----------
    size
        Voxels along each spatial (and time) axis; length 2, 3 or 4.
    components
        Values per voxel.
    scalar_type
        numpy name of the type in which the voxels are stored.
    keys
        Free key/value pairs (NRRD only).
    """

    size: tuple[int, ...]
    components: int
    scalar_type: str
    keys: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def is_segmentation(self) -> bool:
        """Whether a NRRD file holds Slicer's segments rather than a plain labelmap."""
        return any(key.startswith(("Segment0_", "Segmentation_")) for key in self.keys)


def read_image(path: str | os.PathLike[str]) -> Volume:
    """An image (.nrrd, .nii, .nii.gz, .mha), voxels in the file's order; NaN is NaN in every format.

    Returns
    -------
    Volume
        (K, J, I) array of the file's scalar type; IJK to RAS in mm.

    Raises
    ------
    InputError
        Missing, empty, unreadable, damaged or incomplete file, another format, a segmentation, 2D, 4D, or several
        values per voxel.
    """
    path, extension = readable_file(path, IMAGE_EXTENSIONS, "an image")
    header = read_header(path)
    if header.is_segmentation:
        raise InputError(f"{path} is a segmentation, not an image; give the image that it belongs to.")
    check_scalar_3d(path, header)
    return Volume(*_read(path), path.name[: -len(extension)])


def read_labelmap(path: str | os.PathLike[str]) -> Volume:
    """A labelmap, or Slicer's segments (.seg.nrrd) as one: where they overlap, the later one wins.

    Returns
    -------
    Volume
        As `read_image`, but whole numbers. Of segments, the values are those of the file; one whose value is taken
        gets the next above all others.

    Raises
    ------
    InputError
        As `read_image`, and see `whole_labels` and `check_segments`.
    """
    path, extension = readable_file(path, IMAGE_EXTENSIONS, "a labelmap")
    header = read_header(path)
    name = path.name[: -len(extension)]
    if header.is_segmentation:
        segments = check_segments(path, header)
        layers, ijk_to_ras = _read(path)
        return Volume(_labelmap(layers, segments), ijk_to_ras, name)
    check_scalar_3d(path, header)
    volume = Volume(*_read(path), name)
    return volume.with_array(whole_labels(volume.array, str(path))[0])


def write_image(volume: Volume, path: str | os.PathLike[str], like: NiftiHeader | None = None) -> Path:
    """Write an image or a labelmap: .nrrd, .nii.gz and .mha compressed, .nii not.

    Parameters
    ----------
    volume
        What to write.
    path
        Its extension says the format.
    like
        The header of the NIfTI file that the volume comes from: where it places the volume's grid, a NIfTI file keeps
        its forms, codes, units and extensions.

    Raises
    ------
    InputError
        Another format, axes that a NIfTI file cannot hold, or the file cannot be written; an old file survives and
        nothing partial is left.
    """
    path = Path(path)
    extension = next((one for one in (".nii.gz", *IMAGE_EXTENSIONS) if path.name.lower().endswith(one)), "")
    if extension.startswith(".nii"):
        axes = volume.ijk_to_ras[:3, :3] / volume.spacing
        if np.abs(axes.T @ axes - np.eye(3)).max() > _RIGHT_ANGLE_TOLERANCE:
            # It would be written with the nearest rotation instead, without a word.
            raise InputError(
                f"{path} cannot hold an image whose axes are not at right angles; write a .nrrd file."
            )
    array = volume.array.astype(_STORED_AS.get(volume.array.dtype.name, volume.array.dtype), copy=False)
    image = to_itk(volume, array.dtype)

    def write(temporary: Path) -> None:
        import SimpleITK

        try:
            with quiet():
                SimpleITK.WriteImage(image, str(temporary), useCompression=extension != ".nii")
            if like is not None and extension.startswith(".nii") and _placed_by(like, volume.grid):
                place_like(temporary, like)
            read_header(temporary)  # some writers report success on a full disk
        except (RuntimeError, InputError) as error:
            raise InputError(f"{path} could not be written completely; check that the disk is not full.") from error

    return write_atomically(path, write)


def nifti_header(path: str | os.PathLike[str]) -> NiftiHeader | None:
    """The header of a NIfTI file that has been read; None for another format."""
    if not Path(path).name.lower().endswith((".nii", ".nii.gz")):
        return None
    with opened(Path(path)) as stream:
        return read_nifti_header(stream)


def placement_note(path: str | os.PathLike[str]) -> str:
    """A sentence about a file whose forms do not place it where it was read; "" for all others."""
    header = nifti_header(path)
    if header is None:
        return ""
    grid = _information(Path(path))[1]
    far = _SAME_PLACE_VOXELS * float(grid.spacing.max())
    away = {name: distance for name, distance in differences_mm(header, grid).items() if distance > far}
    if not away:
        return ""
    used = sorted(set(differences_mm(header, grid)) - set(away))
    said = " and ".join(f"its {name} places it up to {distance:.3g} mm elsewhere" for name, distance in away.items())
    return f"{path} was read by its {' and '.join(used) or 'voxel sizes'}; {said}."


def read_header(path: Path) -> Header:
    """The header of a .nrrd, .nii, .nii.gz or .mha file, after making sure that no voxel is missing.

    Raises
    ------
    InputError
        The file is not of the format that its name says, or its end is missing.
    """
    name = path.name.lower()
    kind = "NIfTI" if name.endswith((".nii", ".nii.gz")) else "NRRD" if name.endswith(".nrrd") else "MetaImage"
    try:
        return {"NIfTI": _nifti, "NRRD": _nrrd, "MetaImage": _meta}[kind](path)
    except InputError:
        raise  # which is a ValueError, too
    except OSError as error:
        # gzip.BadGzipFile is an OSError, too
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"{path} cannot be read ({reason}); copy or export it again.") from error
    except EOFError as error:
        raise InputError(f"{path} is incomplete, its end is missing; copy or export it again.") from error
    except (ValueError, KeyError, IndexError, struct.error, zlib.error, OverflowError, MemoryError) as error:
        raise InputError(f"{path} is not a valid {kind} file; export it again.") from error


def check_scalar_3d(path: Path, header: Header) -> None:
    """Refuse a 2D, 4D or vector image."""
    size = " x ".join(str(voxels) for voxels in header.size)
    if header.components != 1:
        raise InputError(f"{path} has {header.components} values per voxel (a vector image); give one with one value.")
    if len(header.size) != 3:
        raise InputError(f"{path} is a {len(header.size)}D image ({size}); give a 3D volume.")


def whole_labels(array: np.ndarray, title: str) -> tuple[np.ndarray, np.ndarray]:
    """A labelmap in whole numbers, and its label values in rising order, without 0.

    Values that are whole to 1e-4, as files of scaled or floating point numbers have them, are rounded.

    Raises
    ------
    InputError
        A voxel is not a whole number from 0 to 2147483647 (Slicer's segments cannot be negative), or there are too
        many different values.
    """
    found: set[float] = set()
    for plane in array:  # plane by plane: sorting a whole volume takes seconds
        found.update(np.unique(plane).tolist())
        if len(found) > _MOST_LABELS:
            raise InputError(
                f"{title} has more than {_MOST_LABELS} different values; it looks like an image, give a labelmap."
            )
    rounded = {value: round(value) for value in found if abs(value) < np.inf}
    wrong = [
        value
        for value in found
        if value not in rounded
        or abs(value - rounded[value]) > _WHOLE
        or not 0 <= rounded[value] <= np.iinfo(np.int32).max
    ]
    if wrong:
        raise InputError(f"{title} has the value {wrong[0]:g}; a labelmap holds whole numbers from 0 to 2147483647.")
    labels = np.array(sorted(set(rounded.values()) - {0}), dtype=np.int64)
    if array.dtype.kind == "f":
        array = np.rint(array).astype(np.min_scalar_type(int(labels.max(initial=0))))
    return array, labels


def _nifti(path: Path) -> Header:
    with opened(path) as stream:
        header = read_nifti_header(stream)
        _check_length(stream, header.data_bytes)
    space = list(header.shape[:4])
    while len(space) > 3 and space[-1] == 1:  # a single time point is a 3D image
        space.pop()
    components = prod(header.shape[4:]) * COLOURS.get(header.fields["type"][0], 1)
    if not header.scalar_type and components == 1:
        raise InputError(f"{path} has voxels of a type that is not known; export it again as whole or real numbers.")
    return Header(tuple(space), components, header.scalar_type)


def _nrrd(path: Path) -> Header:
    lines, length = _text_header(path, re.compile(rb"^\r?\n$"))
    if not lines[0].startswith("NRRD"):
        raise ValueError("magic")
    fields: dict[str, str] = {}
    keys: dict[str, str] = {}
    for line in lines[1:]:
        if ":=" in line and not re.match(r"^[a-z ]+: ", line):
            key, _, value = line.partition(":=")
            keys[key] = value
        elif ": " in line and not line.startswith("#"):
            key, _, value = line.partition(": ")
            fields[key.strip().lower()] = value.strip()
    encoding = fields["encoding"].lower()
    if "data file" in fields or "datafile" in fields:
        raise InputError(f"{path} keeps its voxels in another file; export it again as one file.")
    if encoding not in ("raw", "gzip", "gz"):
        raise InputError(f"{path} has {encoding}-encoded voxels; export it again with raw or gzip encoding.")
    header, _ = _information(path)
    with open(path, "rb") as file:
        file.seek(length)
        _check_length(file if encoding == "raw" else gzip.GzipFile(fileobj=file), _bytes_of(header))
    return Header(header.size, header.components, header.scalar_type, keys)


def _meta(path: Path) -> Header:
    lines, length = _text_header(path, re.compile(rb"^\s*ElementDataFile\s*="))
    fields = {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}
    if fields["ElementDataFile"].upper() != "LOCAL" or fields.get("BinaryData", "True").lower() != "true":
        raise InputError(f"{path} keeps its voxels as text or in another file; export it again as one binary file.")
    compressed = fields.get("CompressedData", "False").lower() == "true"
    if compressed and int(fields.get("CompressedDataSize", 0)) <= 0:
        # The reader would make zeros of it, without a word.
        raise InputError(
            f"{path} does not say how long its compressed voxels are (CompressedDataSize); export it again."
        )
    header, _ = _information(path)
    with open(path, "rb") as file:
        file.seek(length)
        _check_length(_Inflated(file) if compressed else file, _bytes_of(header))
    return header


def _bytes_of(header: Header) -> int:
    return prod(header.size) * header.components * np.dtype(header.scalar_type).itemsize


def _text_header(path: Path, last_line: re.Pattern[bytes]) -> tuple[list[str], int]:
    """Lines of a text header up to and including the one that ends it, and the bytes that they take."""
    with open(path, "rb") as file:
        lines, length = [], 0
        for line in file:
            length += len(line)
            lines.append(line.decode("utf-8", errors="replace").rstrip("\r\n"))
            if last_line.match(line):
                return lines, length
            if length > _LONGEST_TEXT_HEADER:
                break
    raise ValueError("the header does not end")


def _check_length(stream: BinaryIO | _Inflated, wanted: int) -> None:
    """Raise EOFError when fewer bytes than wanted are left.

    To the end, because a damaged or shortened compressed stream shows only there.
    """
    found = 0
    while block := stream.read(1 << 22):
        found += len(block)
    if found < wanted:
        raise EOFError


class _Inflated:
    """A zlib stream, read in blocks."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._inflate = zlib.decompressobj()

    def read(self, size: int) -> bytes:
        while not self._inflate.eof:
            block = self._inflate.unconsumed_tail or self._file.read(size)
            if not block:
                raise EOFError
            if data := self._inflate.decompress(block, size):
                return data
        return b""


def check_segments(path: Path, header: Header) -> dict[int, tuple[int, int]]:
    """Number of each of Slicer's segments in a file -> its layer and label value.

    Slicer's reader ends the process on some of the values that are refused here.

    Raises
    ------
    InputError
        A segment has no label value above 0, or a place that is not in the file.
    """
    segments = {}
    keys = header.keys
    for number in sorted(int(found[1]) for found in map(_SEGMENT_ID.fullmatch, keys) if found):
        # Files of old Slicer versions give neither; then every segment is a layer of its own.
        layer = keys.get(f"Segment{number}_Layer", str(number if header.components > 1 else 0))
        value = keys.get(f"Segment{number}_LabelValue", "1")
        if not _WHOLE_NUMBERS.fullmatch(value) or not 0 < int(value) <= np.iinfo(np.int32).max:
            raise InputError(f"{path} gives its segment {number} the label value {value[:20]!r}; save it again.")
        if not _WHOLE_NUMBERS.fullmatch(layer) or not 0 <= int(layer) < header.components:
            raise InputError(
                f"{path} puts its segment {number} into layer {layer[:20]!r}, and has {header.components}; "
                "save it again."
            )
        segments[number] = int(layer), int(value)
    for key, value in keys.items():
        if key.endswith(("_Extent", "_ReferenceImageExtentOffset")):
            numbers = value.split()
            wanted = 6 if key.endswith("_Extent") else 3
            if len(numbers) != wanted or any(not _WHOLE_NUMBERS.fullmatch(one) for one in numbers):
                raise InputError(f"{path} has the {key} {value[:40]!r}; save the segmentation again.")
    return segments


def _labelmap(layers: np.ndarray, placed: dict[int, tuple[int, int]]) -> np.ndarray:
    """One labelmap of a (K, J, I) or (K, J, I, layer) array, in which each segment has a value within a layer."""
    array = layers if layers.ndim == 4 else layers[..., np.newaxis]
    segments: dict[int, tuple[int, int]] = {}
    for layer, value in placed.values():
        segments[value if value not in segments else max(segments) + 1] = (layer, value)
    out = np.zeros(array.shape[:3], np.min_scalar_type(max(segments, default=0)))
    for label, (layer, value) in segments.items():
        out[array[..., layer] == value] = label
    return out


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The values, (K, J, I) or (K, J, I, component), and the 4x4 matrix from IJK to RAS."""
    if path.name.lower().endswith((".nii", ".nii.gz")):
        return read_voxels(path), _information(path)[1].ijk_to_ras
    import SimpleITK

    with _reader(path) as reader:
        image = reader.Execute()
    return SimpleITK.GetArrayFromImage(image), grid_of(image).ijk_to_ras


def _information(path: Path) -> tuple[Header, Grid | None]:
    """What SimpleITK says of a file without reading its voxels; no grid for other than 3D images."""
    import SimpleITK

    with _reader(path) as reader:
        reader.ReadImageInformation()
    dimension, components = reader.GetDimension(), reader.GetNumberOfComponents()
    kind = SimpleITK.Image([1] * dimension, reader.GetPixelID(), components if components > 1 else 0)
    header = Header(reader.GetSize(), components, SimpleITK.GetArrayViewFromImage(kind).dtype.name)
    try:
        return header, grid_of(reader) if dimension == 3 else None
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


@contextlib.contextmanager
def _reader(path: Path) -> Iterator[SimpleITK.ImageFileReader]:
    """SimpleITK's reader of a file, whose errors are sentences within."""
    import SimpleITK

    reader = SimpleITK.ImageFileReader()
    before = SimpleITK.ProcessObject.GetGlobalWarningDisplay()
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)  # the sentence below is all that is to be read
    try:
        with told_by_name(path) as file, quiet():
            reader.SetFileName(str(file))
            yield reader
    except RuntimeError as error:
        raise InputError(f"{path} could not be read ({_reason(error)}); export it again.") from error
    finally:
        SimpleITK.ProcessObject.SetGlobalWarningDisplay(before)


@contextlib.contextmanager
def told_by_name(path: Path) -> Iterator[Path]:
    """A file under a name by which every reader knows its format: those of ITK and Slicer take no capitals."""
    extension = "".join(path.suffixes[-2:])
    if extension == extension.lower():
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"image{extension.lower()}"
        try:
            file.symlink_to(path.resolve())
        except OSError:  # Windows lets few users make links
            shutil.copyfile(path, file)
        yield file


def _placed_by(header: NiftiHeader, grid: Grid) -> bool:
    far = _SAME_PLACE_VOXELS * float(grid.spacing.max())
    same = header.shape[:3] == grid.shape[::-1] and prod(header.shape[3:]) == 1
    return same and min(differences_mm(header, grid).values(), default=np.inf) <= far


def _reason(error: RuntimeError) -> str:
    """What ITK says, without where in its source."""
    said = str(error).rpartition("ERROR:")[2] if "ERROR:" in str(error) else str(error)
    if "orthonormal" in said:
        return "its axes are not at right angles, which a NIfTI file may not have"
    return one_line(ValueError(said.strip()))
