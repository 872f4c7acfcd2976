"""Headers of image files, and whether a file is whole.

SimpleITK reads the headers; only what its readers do not check is checked here: they take a NIfTI file without its
end for whole, make zeros of a damaged MetaImage, and Slicer's ends the process on a damaged .seg.nrrd.
"""

from __future__ import annotations

import contextlib
import gzip
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
from .itk_images import grid_of
from .nifti import COLOURS, opened, read_nifti_header
from .quiet import quiet
from .volume import Grid

if TYPE_CHECKING:
    import SimpleITK

IMAGE_EXTENSIONS = (".nrrd", ".nii", ".nii.gz", ".mha")

_LONGEST_TEXT_HEADER = 1 << 24
_NRRD_FIELDS = {
    "type", "dimension", "sizes", "space", "space dimension", "space units", "space origin", "space directions",
    "measurement frame", "kinds", "encoding", "endian", "content", "min", "max", "old min", "oldmin", "old max",
    "oldmax", "block size", "blocksize", "line skip", "lineskip", "byte skip", "byteskip", "number", "sample units",
    "sampleunits", "spacings", "thicknesses", "axis mins", "axismins", "axis maxs", "axismaxs", "centers",
    "centerings", "labels", "units", "data file", "datafile",
}  # fmt: skip
_LONGEST_NRRD_FIELD = 500
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f]")
_SEGMENT_ID = re.compile(r"Segment(\d{1,6})_ID")
_WHOLE_NUMBERS = re.compile(r"-?\d{1,9}")


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
    for line in lines[1:-1]:
        field, separator, value = line.partition(": ")
        key, assignment, text = line.partition(":=")
        if line.startswith("#"):
            continue
        # The reader ends the process on a long line of which it has to say that it is wrong.
        is_field = separator and field.strip().lower() in _NRRD_FIELDS and len(line) <= _LONGEST_NRRD_FIELD
        if not is_field and not assignment or _CONTROL.search(line):
            raise ValueError("a line that is no field")
        if is_field:
            fields[field.strip().lower()] = value.strip()
        else:
            keys[key] = text
    encoding = fields["encoding"].lower()
    if "data file" in fields or "datafile" in fields:
        raise InputError(f"{path} keeps its voxels in another file; export it again as one file.")
    if encoding not in ("raw", "gzip", "gz"):
        raise InputError(f"{path} has {encoding}-encoded voxels; export it again with raw or gzip encoding.")
    header, _ = information(path)
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
    header, _ = information(path)
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
    if any("\ufffd" in text for key, value in keys.items() if key.startswith("Segment") for text in (key, value)):
        raise InputError(f"{path} has names of segments that are not in UTF-8; save the segmentation again.")
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


def information(path: Path) -> tuple[Header, Grid | None]:
    """Header of a file by SimpleITK, without its voxels; no grid for other than 3D images."""
    import SimpleITK

    with reading(path) as reader:
        reader.ReadImageInformation()
    dimension, components = reader.GetDimension(), reader.GetNumberOfComponents()
    kind = SimpleITK.Image([1] * dimension, reader.GetPixelID(), components if components > 1 else 0)
    header = Header(reader.GetSize(), components, SimpleITK.GetArrayViewFromImage(kind).dtype.name)
    try:
        return header, grid_of(reader) if dimension == 3 else None
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


@contextlib.contextmanager
def reading(path: Path) -> Iterator[SimpleITK.ImageFileReader]:
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


def _reason(error: RuntimeError) -> str:
    """Message of ITK without the place in its source."""
    said = str(error).rpartition("ERROR:")[2] if "ERROR:" in str(error) else str(error)
    if "orthonormal" in said:
        return "its axes are not at right angles, which a NIfTI file may not have"
    return one_line(ValueError(said.strip()))
