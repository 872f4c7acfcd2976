"""Images and labelmaps in files as volumes, without Slicer: a child process of the application has no scene."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .errors import InputError
from .files import readable_file, write_atomically
from .image_headers import IMAGE_EXTENSIONS, check_scalar_3d, image_header, read_header
from .volume import Volume

if TYPE_CHECKING:
    import SimpleITK

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
# Large label sets in use number some hundred structures; an image taken for a labelmap has thousands of values.
_MOST_LABELS = 1000
# What ITK's formats know, of the types that a volume of ours may have.
_STORED_AS = {"bool": "uint8", "float16": "float32"}


def read_image(path: str | os.PathLike[str]) -> Volume:
    """An image (.nrrd, .nii, .nii.gz, .mha), voxels in the file's order.

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
    image_header(path)
    return Volume(*_read(path), path.name[: -len(extension)])


def read_labelmap(path: str | os.PathLike[str]) -> Volume:
    """A labelmap, or Slicer's segments (.seg.nrrd) as one: where they overlap, the later one wins.

    Returns
    -------
    Volume
        As `read_image`. Of segments, the values are those of the file; one whose value is taken gets the next above
        all others.

    Raises
    ------
    InputError
        As `read_image`, and see `label_values`.
    """
    path, extension = readable_file(path, IMAGE_EXTENSIONS, "a labelmap")
    header = read_header(path)
    name = path.name[: -len(extension)]
    if header.is_segmentation:
        layers, ijk_to_ras = _read(path)
        try:
            return Volume(_labelmap(layers, header.keys), ijk_to_ras, name)
        except (ValueError, IndexError) as error:
            raise InputError(f"{path} names segments that are not in it; save the segmentation again.") from error
    check_scalar_3d(path, header)
    volume = Volume(*_read(path), name)
    label_values(volume.array, str(path))
    return volume


def write_image(volume: Volume, path: str | os.PathLike[str]) -> Path:
    """Write an image or a labelmap as .nrrd, compressed.

    Raises
    ------
    InputError
        The file cannot be written; an old file survives and nothing partial is left.
    """
    import SimpleITK

    array = np.ascontiguousarray(volume.array, dtype=_STORED_AS.get(volume.array.dtype.name))
    image = SimpleITK.GetImageFromArray(array)
    to_lps = _LPS_TO_RAS @ volume.ijk_to_ras
    image.SetSpacing(volume.spacing.tolist())
    image.SetDirection((to_lps[:3, :3] / volume.spacing).ravel().tolist())
    image.SetOrigin(to_lps[:3, 3].tolist())

    def write(temporary: Path) -> None:
        try:
            SimpleITK.WriteImage(image, str(temporary), useCompression=True)
            read_header(temporary)  # some writers report success on a full disk
        except (RuntimeError, InputError) as error:
            raise InputError(f"{path} could not be written completely; check that the disk is not full.") from error

    return write_atomically(path, write)


def label_values(array: np.ndarray, title: str) -> np.ndarray:
    """The label values of a labelmap in rising order, without 0.

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
    found.discard(0)
    wrong = [value for value in found if value != value or value % 1 or not 0 < value <= np.iinfo(np.int32).max]
    if wrong:
        raise InputError(f"{title} has the value {wrong[0]:g}; a labelmap holds whole numbers from 0 to 2147483647.")
    return np.array(sorted(int(value) for value in found), dtype=np.int64)


def _labelmap(layers: np.ndarray, keys: dict[str, str]) -> np.ndarray:
    """One labelmap of a (K, J, I) or (K, J, I, layer) array, in which each segment has a value within a layer."""
    array = layers if layers.ndim == 4 else layers[..., np.newaxis]
    numbers = sorted(int(found[1]) for found in map(re.compile(r"Segment(\d+)_ID").fullmatch, keys) if found)
    segments: dict[int, tuple[int, int]] = {}
    for number in numbers:
        # Files of old Slicer versions give neither; then every segment is a layer of its own.
        layer = int(keys.get(f"Segment{number}_Layer", number if array.shape[3] > 1 else 0))
        value = int(keys.get(f"Segment{number}_LabelValue", 1))
        free = value > 0 and value not in segments
        segments[value if free else max(segments, default=0) + 1] = (layer, value)
    out = np.zeros(array.shape[:3], np.min_scalar_type(max(segments, default=0)))
    for label, (layer, value) in segments.items():
        out[array[..., layer] == value] = label
    return out


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The values, (K, J, I) or (K, J, I, component), and the 4x4 matrix from IJK to RAS."""
    import SimpleITK

    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    before = SimpleITK.ProcessObject.GetGlobalWarningDisplay()
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)  # the sentence below is all that is to be read
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise InputError(f"{path} could not be read ({_reason(error)}); export it again.") from error
    finally:
        SimpleITK.ProcessObject.SetGlobalWarningDisplay(before)
    return SimpleITK.GetArrayFromImage(image), _LPS_TO_RAS @ _to_lps(image)


def _to_lps(image: SimpleITK.Image) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    matrix[:3, 3] = image.GetOrigin()
    return matrix


def _reason(error: RuntimeError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = [line for line in lines if "ERROR" in line.upper()] or lines
    return said[-1].rpartition("ERROR:")[2].strip().rstrip(".")[:160]
