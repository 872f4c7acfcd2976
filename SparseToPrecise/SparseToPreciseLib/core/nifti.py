"""NIfTI files: what ITK's reader does not tell, and the voxels that it changes.

ITK takes one of the two forms that say where a NIfTI image lies and forgets the other, forgets extensions, makes 0 of
NaN, and reads the voxels of `x.nii` for `x.nii.gz` where both are there. ITK goes on saying where the image lies;
everything else is read here (https://nifti.nimh.nih.gov/nifti-1, NIfTI-2 of 2011).
"""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree

import numpy as np
from scipy.spatial.transform import Rotation

from .volume import Grid

TYPES = {
    2: "uint8", 4: "int16", 8: "int32", 16: "float32", 64: "float64", 256: "int8",
    512: "uint16", 768: "uint32", 1024: "int64", 1280: "uint64",
}  # fmt: skip
COLOURS = {128: 3, 2304: 4}
"""Types with so many values per voxel."""

_LAYOUTS = {
    348: {
        "dim": (40, "8h"), "type": (70, "2h"), "pixdim": (76, "4f"), "offset": (108, "f"), "scale": (112, "2f"),
        "units": (123, "B"), "codes": (252, "2h"), "quaternion": (256, "6f"), "rows": (280, "12f"),
    },
    540: {
        "dim": (16, "8q"), "type": (12, "2h"), "pixdim": (104, "4d"), "offset": (168, "q"), "scale": (176, "2d"),
        "units": (500, "i"), "codes": (344, "2i"), "quaternion": (352, "6d"), "rows": (400, "12d"),
    },
}  # fmt: skip
"""Length of a header (NIfTI-1 and 2) -> where its fields stand."""
_PLACE = ("pixdim", "units", "codes", "quaternion", "rows")
_MM_PER_UNIT = {1: 1e3, 2: 1.0, 3: 1e-3}
_LONGEST_EXTENSIONS = 1 << 24
_LABEL_NAMES = 0
"""Code of the extension in which label names are kept, as XML after Caret."""


@dataclass(frozen=True)
class NiftiHeader:
    """The header of a NIfTI file.

    Attributes
    ----------
    order
        "<" or ">".
    length
        Bytes, which tell the version.
    fields
        As in `_LAYOUTS`.
    extensions
        Everything between the header and the voxels.
    """

    order: str
    length: int
    fields: dict[str, tuple[float, ...]]
    extensions: bytes = field(default=b"", repr=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along each axis, the first of which varies fastest."""
        return tuple(self.fields["dim"][1 : self.fields["dim"][0] + 1])

    @property
    def data_bytes(self) -> int:
        """Length of the voxels."""
        return prod(self.shape) * self.fields["type"][1] // 8

    @property
    def scalar_type(self) -> str:
        """numpy name of the type in which voxels are stored, "" when unknown."""
        return TYPES.get(self.fields["type"][0], "")

    def forms(self) -> dict[str, np.ndarray]:
        """Name to 4x4 matrix, IJK to RAS in mm, of the forms that the header declares to hold; else by its sizes."""
        mm = _MM_PER_UNIT.get(self.fields["units"][0] & 7, 1.0)
        codes = dict(zip(("qform", "sform"), self.fields["codes"], strict=True))
        found = {}
        if codes["qform"] > 0:
            b, c, d, *origin = self.fields["quaternion"]
            a = np.sqrt(max(0.0, 1.0 - b * b - c * c - d * d))
            handed, *sizes = self.fields["pixdim"]
            matrix = np.eye(4)
            matrix[:3, :3] = Rotation.from_quat([b, c, d, a]).as_matrix() * sizes
            matrix[:3, 2] *= -1 if handed < 0 else 1
            matrix[:3, 3] = origin
            found["qform"] = matrix
        if codes["sform"] > 0:
            found["sform"] = np.vstack([np.reshape(self.fields["rows"], (3, 4)), (0, 0, 0, 1)])
        if max(self.fields["codes"]) <= 0:  # as ITK lays it, with which Slicer agrees
            found["voxel sizes"] = np.diag([*self.fields["pixdim"][1:], 1.0]) * (-1, -1, 1, 1)
        for matrix in found.values():
            matrix[:3] *= mm
        return {name: matrix for name, matrix in found.items() if np.isfinite(matrix).all()}

    def label_names(self) -> dict[int, str]:
        """Label value to name, from an extension as TotalSegmentator writes it."""
        names: dict[int, str] = {}
        for code, content in self._extensions():
            if code != _LABEL_NAMES or b"LabelTable" not in content:
                continue
            try:
                root = ElementTree.fromstring(content.rstrip(b"\0 \n"))
                names |= {int(one.get("Key", "")): (one.text or "").strip() for one in root.iter("Label")}
            except (ElementTree.ParseError, ValueError):
                continue
        return {value: name for value, name in names.items() if name}

    def packed(self, start: bytes = b"") -> bytes:
        """All bytes before the voxels; other fields are those of a header that is given, else 0."""
        more = self.extensions.ljust(-(-(self.length + len(self.extensions)) // 16) * 16 - self.length, b"\0")
        fields = self.fields | {"offset": (self.length + len(more),)}
        content = bytearray(start or struct.pack(f"{self.order}i", self.length).ljust(self.length, b"\0"))
        for name, (at, kind) in _LAYOUTS[self.length].items():
            struct.pack_into(self.order + kind, content, at, *fields[name])
        return bytes(content) + more

    def _extensions(self) -> Iterator[tuple[int, bytes]]:
        rest = self.extensions[4:] if self.extensions[:1] == b"\x01" else b""
        while len(rest) >= 8:
            size, code = struct.unpack(f"{self.order}2i", rest[:8])
            if not 8 <= size <= len(rest):
                return
            yield code, rest[8:size]
            rest = rest[size:]


def opened(path: Path) -> BinaryIO:
    """A .nii or .nii.gz file to be read, uncompressed."""
    return gzip.open(path) if path.name.lower().endswith(".gz") else open(path, "rb")


def read_nifti_header(stream: BinaryIO) -> NiftiHeader:
    """The header at the beginning of an uncompressed stream, which is then at its voxels.

    Raises
    ------
    ValueError, struct.error
        It is none.
    """
    start = stream.read(348)
    for order in "<>":
        length = struct.unpack(f"{order}i", start[:4])[0]
        if length in _LAYOUTS:
            break
    else:
        raise ValueError("magic")
    start += stream.read(length - len(start))
    header = NiftiHeader(order, length, _unpacked(start, order, length))
    dimensions, *sizes = header.fields["dim"]
    offset = header.fields["offset"][0]
    if not 1 <= dimensions <= 7 or min(sizes[:dimensions]) < 1 or not 0 <= offset <= _LONGEST_EXTENSIONS:
        raise ValueError("dimensions")
    extensions = stream.read(max(int(offset) - length, 4))
    return NiftiHeader(order, length, header.fields, extensions)


def _unpacked(start: bytes, order: str, length: int) -> dict[str, tuple[float, ...]]:
    return {name: struct.unpack_from(order + kind, start, at) for name, (at, kind) in _LAYOUTS[length].items()}


def read_voxels(path: Path) -> np.ndarray:
    """The (K, J, I) voxels of a 3D image, scaled as the header says, NaN and infinite values kept.

    The type is the file's; scaled whole numbers become float32, as ITK has it.
    """
    with opened(path) as stream:
        header = read_nifti_header(stream)
        content = stream.read(header.data_bytes)
    stored = np.frombuffer(content, np.dtype(header.scalar_type).newbyteorder(header.order))
    array = stored.reshape(header.shape[2::-1]).astype(header.scalar_type)
    slope, intercept = header.fields["scale"]
    if not np.isfinite([slope, intercept]).all() or slope == 0 or (slope, intercept) == (1, 0):
        return array
    scaled = np.empty(array.shape, np.float64 if array.dtype == np.float64 else np.float32)
    for target, plane in zip(scaled, array, strict=True):  # plane by plane: float64 takes 8 bytes per voxel
        target[:] = plane.astype(np.float64) * slope + intercept
    return scaled


def differences_mm(header: NiftiHeader, grid: Grid) -> dict[str, float]:
    """How far each declared form places a corner of the image from where it lies on a grid, mm."""
    ends = [(0, size - 1) for size in grid.shape[::-1]]
    corners = np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1).reshape(-1, 3)
    there = grid.to_ras(corners)
    return {
        name: float(np.linalg.norm(corners @ matrix[:3, :3].T + matrix[:3, 3] - there, axis=1).max())
        for name, matrix in header.forms().items()
    }


def place_like(path: Path, given: NiftiHeader) -> None:
    """Give a NIfTI file both forms, their codes, the units and the label names of another header.

    Both must place the same grid; see `differences_mm`.
    """
    with opened(path) as stream:
        header = read_nifti_header(stream)
        voxels = stream.read()
    fields = header.fields | {name: given.fields[name] for name in _PLACE}
    extensions = header.extensions
    if given.label_names() and given.order == header.order:
        extensions = given.extensions
    with opened(path) as stream:
        start = stream.read(header.length)
    content = NiftiHeader(header.order, header.length, fields, extensions).packed(start) + voxels
    path.write_bytes(gzip.compress(content, 6, mtime=0) if path.name.lower().endswith(".gz") else content)
