"""What a file's header says, where Slicer's readers do not tell or do not check.

Slicer reads a 2D file as one slice, 64-bit integers as float, and a NIfTI file whose end is missing without an
error; its NIfTI writer reports success on a full disk. These few fields settle all of that.
"""

from __future__ import annotations

import gzip
import re
import struct
import zlib
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import BinaryIO

import numpy as np

from .errors import InputError

IMAGE_EXTENSIONS = (".nrrd", ".nii", ".nii.gz", ".mha")

_NIFTI_TYPES = {
    2: "uint8", 4: "int16", 8: "int32", 16: "float32", 64: "float64", 256: "int8",
    512: "uint16", 768: "uint32", 1024: "int64", 1280: "uint64",
}  # fmt: skip
_NRRD_TYPES = {
    "int8": ("signed char", "int8", "int8_t"),
    "uint8": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "int16": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "uint16": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "int32": ("int", "signed int", "int32", "int32_t"),
    "uint32": ("uint", "unsigned int", "uint32", "uint32_t"),
    "int64": ("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"),
    "uint64": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "float32": ("float",),
    "float64": ("double",),
}
_NRRD_OPENERS = {"raw": lambda file: file, **dict.fromkeys(("gzip", "gz"), lambda file: gzip.GzipFile(fileobj=file))}
_META_TYPES = {
    "MET_CHAR": "int8", "MET_UCHAR": "uint8", "MET_SHORT": "int16", "MET_USHORT": "uint16", "MET_INT": "int32",
    "MET_UINT": "uint32", "MET_LONG": "int32", "MET_ULONG": "uint32", "MET_LONG_LONG": "int64",
    "MET_ULONG_LONG": "uint64", "MET_FLOAT": "float32", "MET_DOUBLE": "float64",
}  # fmt: skip
_LONGEST_TEXT_HEADER = 1 << 24
_NRRD_SPATIAL = {"domain", "space", "???", "none", ""}


@dataclass(frozen=True)
class Header:
    """Size and type of the image in a file.

    Parameters
    ----------
    size
        Voxels along each spatial (and time) axis; length 2, 3 or 4.
    components
        Values per voxel.
    scalar_type
        numpy name, "" when unknown.
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
    """Read the header of a .nrrd, .nii, .nii.gz or .mha file, and make sure that no voxel is missing.

    Raises
    ------
    InputError
        The file is not of the format that its name says, or its end is missing.
    """
    name = path.name.lower()
    try:
        if name.endswith((".nii", ".nii.gz")):
            return _nifti(path)
        return _nrrd(path) if name.endswith(".nrrd") else _meta(path)
    except OSError as error:
        # gzip.BadGzipFile is an OSError, too
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"{path} cannot be read ({reason}); copy or export it again.") from error
    except EOFError as error:
        raise InputError(f"{path} is incomplete, its end is missing; copy or export it again.") from error
    except (ValueError, KeyError, IndexError, struct.error, zlib.error, OverflowError) as error:
        kind = "NIfTI" if ".nii" in name else "NRRD" if name.endswith(".nrrd") else "MetaImage"
        raise InputError(f"{path} is not a valid {kind} file; export it again.") from error


def image_header(path: Path) -> Header:
    """`read_header` of an image.

    Raises
    ------
    InputError
        As `read_header` and `check_scalar_3d`, or it is a segmentation.
    """
    header = read_header(path)
    if header.is_segmentation:
        raise InputError(f"{path} is a segmentation, not an image; give the image that it belongs to.")
    check_scalar_3d(path, header)
    return header


def check_scalar_3d(path: Path, header: Header) -> None:
    """Refuse a 2D, 4D or vector image."""
    size = " x ".join(str(voxels) for voxels in header.size)
    if header.components != 1:
        raise InputError(f"{path} has {header.components} values per voxel (a vector image); give one with one value.")
    if len(header.size) != 3:
        raise InputError(f"{path} is a {len(header.size)}D image ({size}); give a 3D volume.")


def _nifti(path: Path) -> Header:
    compressed = path.name.lower().endswith(".gz")
    with gzip.open(path) if compressed else open(path, "rb") as file:
        start = file.read(544)
        orders = [order for order in "<>" if struct.unpack(order + "i", start[:4])[0] in (348, 540)]
        if not orders:
            raise ValueError("magic")
        order = orders[0]
        if struct.unpack(order + "i", start[:4])[0] == 348:
            dims = struct.unpack(order + "8h", start[40:56])
            code, bits = struct.unpack(order + "2h", start[70:74])
            offset = int(struct.unpack(order + "f", start[108:112])[0])
        else:
            dims = struct.unpack(order + "8q", start[16:80])
            code, bits = struct.unpack(order + "2h", start[12:16])
            offset = struct.unpack(order + "q", start[168:176])[0]
        shape = dims[1 : dims[0] + 1]
        if not 1 <= dims[0] <= 7 or min(shape) < 1:
            raise ValueError("dimensions")
        _check_length(file, offset + prod(shape) * bits // 8 - len(start))
    space = list(shape[:4])
    while len(space) > 3 and space[-1] == 1:  # a single time point is a 3D image
        space.pop()
    rgb = {128: 3, 2304: 4}.get(code, 1)
    return Header(tuple(space), prod(shape[4:]) * rgb, _NIFTI_TYPES.get(code, ""))


def _check_length(stream: BinaryIO, wanted: int) -> None:
    """Raise EOFError when fewer bytes than wanted are left.

    To the end, because a damaged or shortened compressed stream shows only there, and Slicer's readers of it may
    take it for whole (NIfTI) or end the process (.seg.nrrd).
    """
    found = 0
    while block := stream.read(1 << 22):
        found += len(block)
    if found < wanted:
        raise EOFError


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
    sizes = [int(size) for size in fields["sizes"].split()]
    kinds = [kind.lower() for kind in fields.get("kinds", "").split()] or [""] * len(sizes)
    if len(sizes) != int(fields["dimension"]) or len(kinds) != len(sizes) or min(sizes) < 1:
        raise ValueError("sizes")
    kind = next((name for name, known in _NRRD_TYPES.items() if fields["type"].lower() in known), "")
    encoding = fields["encoding"].lower()
    if "data file" in fields or "datafile" in fields:
        raise InputError(f"{path} keeps its voxels in another file; export it again as one file.")
    if not kind or encoding not in _NRRD_OPENERS:
        raise InputError(
            f"{path} has {encoding}-encoded voxels of type {fields['type']}; export it again with raw or gzip encoding."
        )
    with open(path, "rb") as file:
        file.seek(length)
        _check_length(_NRRD_OPENERS[encoding](file), prod(sizes) * np.dtype(kind).itemsize)
    space = [s for s, k in zip(sizes, kinds, strict=True) if k in _NRRD_SPATIAL]
    other = [s for s, k in zip(sizes, kinds, strict=True) if k not in _NRRD_SPATIAL | {"time"}]
    space += [s for s, k in zip(sizes, kinds, strict=True) if k == "time"]
    return Header(tuple(space), prod(other), kind, keys)


def _meta(path: Path) -> Header:
    lines, length = _text_header(path, re.compile(rb"^\s*ElementDataFile\s*="))
    fields = {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}
    size = tuple(int(size) for size in fields["DimSize"].split())
    if len(size) != int(fields["NDims"]) or min(size) < 1:
        raise ValueError("DimSize")
    kind = _META_TYPES[fields["ElementType"]]
    components = int(fields.get("ElementNumberOfChannels", "1"))
    if fields["ElementDataFile"].upper() != "LOCAL" or fields.get("BinaryData", "True").lower() != "true":
        raise InputError(f"{path} keeps its voxels as text or in another file; export it again as one binary file.")
    with open(path, "rb") as file:
        file.seek(length)
        stream = _Inflated(file) if fields.get("CompressedData", "False").lower() == "true" else file
        _check_length(stream, prod(size) * components * np.dtype(kind).itemsize)
    return Header(size, components, kind)


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
