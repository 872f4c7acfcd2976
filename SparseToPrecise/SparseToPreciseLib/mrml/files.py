"""Images, segmentations and strokes in files, through Slicer's own storage nodes.

Reading gives nodes in the current scene; writing goes to a temporary name first, so that a file is whole or absent.
Formats: images and labelmaps .nrrd .nii .nii.gz .mha; segmentations also .seg.nrrd; strokes .mrk.json and .fcsv.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import slicer

from ..core.errors import InputError
from ..core.files import known_extension, readable_file
from ..core.image_headers import IMAGE_EXTENSIONS, Header, check_scalar_3d, image_header, read_header
from ..core.markups import MARKUP_EXTENSIONS
from ..core.volume import Volume
from .headless import scene
from .labelmaps import labelmap_from_segmentation, segmentation_from_labelmap
from .lookup import keep_label_values
from .markups import check_written, load_markup, stroke_to_node
from .segment_lattice import IndexBox
from .segmentations import keep_extent
from .storage import read_node, write_node
from .volumes import volume_from_node, volume_to_node

SEGMENTATION_EXTENSIONS = (".seg.nrrd", *IMAGE_EXTENSIONS)
# Cosine between two axes; 1e-4 moves the far corner of 500 voxels by a twentieth of a voxel.
_RIGHT_ANGLE_TOLERANCE = 1e-4


def read_volume(path: str | os.PathLike[str]) -> slicer.vtkMRMLScalarVolumeNode:
    """Read an image into a new scalar volume node, voxels in the file's order.

    A volume of one slice is read; a file that says it is 2D is refused, because its place along the third axis is
    unknown.

    Raises
    ------
    InputError
        Missing, empty, unreadable, damaged or incomplete file, another format, 2D, 4D, or several values per voxel.
    """
    path, extension = readable_file(path, IMAGE_EXTENSIONS, "an image")
    image_header(path)
    return _read_scalar(path, path.name[: -len(extension)])


def read_segmentation(path: str | os.PathLike[str]) -> slicer.vtkMRMLSegmentationNode:
    """Read a segmentation, or a labelmap as a segmentation, into a new node.

    A labelmap gives one segment per label value, called `Segment_<value>`; its values, grid and scalar type come
    back when it is written as a labelmap again.

    Raises
    ------
    InputError
        As `read_volume`, or the labelmap holds other values than whole numbers.
    """
    path, extension = readable_file(path, SEGMENTATION_EXTENSIONS, "a segmentation")
    header = read_header(path)
    name = path.name[: -len(extension)]
    if header.is_segmentation:
        return _read_segments(path, name, header)
    check_scalar_3d(path, header)
    node = _read_scalar(path, name)
    try:
        return segmentation_from_labelmap(volume_from_node(node), name, scalar_type=header.scalar_type)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    finally:
        scene().RemoveNode(node)


def read_stroke(path: str | os.PathLike[str]) -> slicer.vtkMRMLMarkupsNode:
    """Read a stroke (curve, line or point list; LPS or RAS as the file says) into a new markups node.

    Raises
    ------
    InputError
        Missing, empty, unreadable or damaged file, another format, or no markup or several in the file.
    """
    return load_markup(path, "a stroke")


def write_volume(volume: Volume | slicer.vtkMRMLScalarVolumeNode, path: str | os.PathLike[str]) -> Path:
    """Write an image; a node is written in its own coordinates, without its parent transforms, as Slicer does.

    Raises
    ------
    InputError
        Another format, or the file cannot be written; an old file survives and nothing partial is left.
    """
    path, extension = known_extension(path, IMAGE_EXTENSIONS, "an image")
    node = volume_to_node(volume) if isinstance(volume, Volume) else volume
    try:
        if extension in (".nii", ".nii.gz"):
            _check_right_angles(path, node)
        return write_node(path, slicer.vtkMRMLVolumeArchetypeStorageNode, node, read_header)
    finally:
        if node is not volume:
            scene().RemoveNode(node)


def write_segmentation(
    node: slicer.vtkMRMLSegmentationNode, path: str | os.PathLike[str], on_top: Sequence[str] = ()
) -> Path:
    """Write all segments, in the segmentation's own coordinates: .seg.nrrd, or one labelmap for the other formats.

    Parameters
    ----------
    node
        The segmentation.
    path
        Its extension decides the format. Only .seg.nrrd keeps names, colours, terminology and overlaps.
    on_top
        For a labelmap: IDs of the segments that win where segments overlap, e.g. the edited one.

    Raises
    ------
    InputError
        As `write_volume`.
    """
    path, extension = known_extension(path, SEGMENTATION_EXTENSIONS, "a segmentation")
    if extension == ".seg.nrrd":
        return write_node(path, slicer.vtkMRMLSegmentationStorageNode, node, read_header)
    return write_volume(labelmap_from_segmentation(node, on_top), path)


def write_stroke(stroke: np.ndarray | slicer.vtkMRMLMarkupsNode, path: str | os.PathLike[str]) -> Path:
    """Write a stroke; (N, 3) points in RAS become a curve in .mrk.json and a point list in .fcsv.

    Raises
    ------
    InputError
        As `write_volume`.
    """
    path, extension = known_extension(path, MARKUP_EXTENSIONS, "a stroke")
    as_curve = extension == ".mrk.json"
    name = path.name[: -len(extension)]
    node = stroke_to_node(stroke, name, curve=as_curve) if isinstance(stroke, np.ndarray) else stroke
    storage = slicer.vtkMRMLMarkupsJsonStorageNode if as_curve else slicer.vtkMRMLMarkupsFiducialStorageNode
    try:
        return write_node(path, storage, node, partial(check_written, node=node))
    finally:
        if node is not stroke:
            scene().RemoveNode(node)


def _check_right_angles(path: Path, node: slicer.vtkMRMLScalarVolumeNode) -> None:
    """NIfTI is written with the nearest rotation instead of the image's axes, without a word."""
    axes = [[0.0] * 3 for _ in range(3)]
    node.GetIJKToRASDirections(axes)
    if np.abs(np.transpose(axes) @ axes - np.eye(3)).max() > _RIGHT_ANGLE_TOLERANCE:
        raise InputError(f"{path} cannot hold an image whose axes are not at right angles; write a .nrrd file.")


def _read_scalar(path: Path, name: str) -> slicer.vtkMRMLScalarVolumeNode:
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetSingleFile(True)  # else other files with a number in their name are taken for further slices
    storage.SetForceRightHandedIJKCoordinateSystem(False)  # keep the file's order of voxels, so that outputs have it
    return read_node(path, storage, "vtkMRMLScalarVolumeNode", name)


def _read_segments(path: Path, name: str, header: Header) -> slicer.vtkMRMLSegmentationNode:
    node = read_node(path, slicer.vtkMRMLSegmentationStorageNode(), "vtkMRMLSegmentationNode", name)
    keep_label_values(node)
    start = re.findall(r"-?\d+", header.keys.get("Segmentation_ReferenceImageExtentOffset", "0 0 0"))
    if len(start) == 3:  # without a reference geometry Slicer would write no more than the segments' own extent
        keep_extent(node, IndexBox.sized(start, header.size[2::-1]))
    return node
