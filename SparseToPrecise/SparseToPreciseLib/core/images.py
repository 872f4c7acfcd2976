"""Images and labelmaps in files as volumes and back: .nrrd, .nii, .nii.gz and .mha, through SimpleITK.

The one reader and writer of the library: also Slicer's nodes are filled from what is read here.
"""

from __future__ import annotations

import os
from itertools import combinations
from math import prod
from pathlib import Path

import numpy as np

from .errors import InputError
from .files import readable_file, write_atomically
from .image_headers import IMAGE_EXTENSIONS, check_scalar_3d, check_segments, information, read_header, reading
from .itk_images import grid_of, to_itk
from .nifti import NiftiHeader, differences_mm, opened, place_like, read_nifti_header, read_voxels
from .quiet import quiet
from .volume import Grid, Volume

_MANY_LABELS = 1000
"""Few labelmaps have more values; whether one that has is an image instead is told by its neighbouring voxels."""
_WHOLE = 1e-4
"""Labels in files of scaled or floating point numbers may be so far from whole ones."""
# What ITK's formats know, of the types that a volume of ours may have.
_STORED_AS = {"bool": "uint8", "float16": "float32"}
# Cosine between two axes; 1e-4 moves the far corner of 500 voxels by a twentieth of a voxel.
_RIGHT_ANGLE_TOLERANCE = 1e-4
_SAME_PLACE_VOXELS = 1e-2
"""Two forms of a NIfTI header agree within so many voxels; they are stored as float32."""


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


def _in_pieces(array: np.ndarray) -> bool:
    """Whether most voxels that are not 0 have a neighbour (along I) of the same value, as labels do."""
    filled = array[..., :-1] != 0
    same = array[..., :-1] == array[..., 1:]
    return np.count_nonzero(filled & same) > np.count_nonzero(filled) / 2


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
            raise InputError(f"{path} cannot hold an image whose axes are not at right angles; write a .nrrd file.")
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


def placement_notes(*paths: str | os.PathLike[str] | None) -> list[str]:
    """Sentences about files that have been read and belong together, where their headers leave doubt where they lie.

    One for each NIfTI file of which a form places it elsewhere than where it was read, and one for two files that were
    read by different forms and do not lie on each other. Other formats, and None, have nothing to say.
    """
    notes, read = [], []
    for path in paths:
        header = None if path is None else nifti_header(path)
        if header is None:
            continue
        grid = information(Path(path))[1]
        far = _SAME_PLACE_VOXELS * float(grid.spacing.max())
        distances = differences_mm(header, grid)
        used = [name for name, distance in distances.items() if distance <= far] or ["voxel sizes"]
        away = [f"its {name} places it up to {mm:.3g} mm elsewhere" for name, mm in distances.items() if mm > far]
        if away:
            notes.append(f"{path} was read by its {' and '.join(used)}; {' and '.join(away)}.")
        read.append((path, used, grid))
    for (one, used, grid), (other, also, there) in combinations(read, 2):
        if not set(used) & set(also) and not grid.same_as(there, _SAME_PLACE_VOXELS * float(grid.spacing.max())):
            notes.append(
                f"{one} was read by its {' and '.join(used)} and {other} by its {' and '.join(also)}, and they lie "
                "differently; check that they lie on each other."
            )
    return notes


def whole_labels(array: np.ndarray, title: str) -> tuple[np.ndarray, np.ndarray]:
    """A labelmap in whole numbers, and its label values in rising order, without 0.

    Values that are whole to 1e-4, as files of scaled or floating point numbers have them, are rounded.

    Raises
    ------
    InputError
        A voxel is not a whole number from 0 to 2147483647 (Slicer's segments cannot be negative), or there are so
        many different values, which so seldom have neighbours of their own, that it is an image.
    """
    found: set[float] = set()
    checked = False
    for plane in array:  # plane by plane: sorting a whole volume takes seconds
        found.update(np.unique(plane).tolist())
        if len(found) > _MANY_LABELS and not checked:
            checked = True
            if not _in_pieces(array):
                raise InputError(
                    f"{title} has more than {_MANY_LABELS} different values; it looks like an image, give a labelmap."
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
        return read_voxels(path), information(path)[1].ijk_to_ras
    import SimpleITK

    with reading(path) as reader:
        image = reader.Execute()
    return SimpleITK.GetArrayFromImage(image), grid_of(image).ijk_to_ras


def _placed_by(header: NiftiHeader, grid: Grid) -> bool:
    far = _SAME_PLACE_VOXELS * float(grid.spacing.max())
    same = header.shape[:3] == grid.shape[::-1] and prod(header.shape[3:]) == 1
    return same and min(differences_mm(header, grid).values(), default=np.inf) <= far
