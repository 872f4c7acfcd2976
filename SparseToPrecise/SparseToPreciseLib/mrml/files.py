"""Images, segmentations and strokes in files as nodes of the current scene.

Images and labelmaps (.nrrd .nii .nii.gz .mha) go through `core.images`, and only Slicer's own formats through its
storage nodes: segmentations .seg.nrrd, strokes .mrk.json and .fcsv. Writing goes to a temporary name first, so that a
file is whole or absent.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import slicer
import vtk

from ..core.files import known_extension, readable_file
from ..core.image_headers import IMAGE_EXTENSIONS, check_segments, read_header
from ..core.images import nifti_header, read_image, read_labelmap, write_image
from ..core.markups import MARKUP_EXTENSIONS
from ..core.nifti import NiftiHeader, read_nifti_header
from ..core.volume import Volume
from .headless import scene
from .labelmaps import labelmap_from_segmentation, segmentation_from_labelmap
from .lookup import keep_label_values, label_values
from .markups import check_written, load_markup, stroke_to_node
from .segment_lattice import IndexBox
from .segmentations import keep_extent
from .storage import read_node, write_node
from .volumes import image_array, matrix_to_array, volume_to_node

SEGMENTATION_EXTENSIONS = (".seg.nrrd", *IMAGE_EXTENSIONS)
_NIFTI_HEADER = "SparseToPrecise.NiftiHeader"
"""Keeps at a segmentation node how the file that it comes from was placed and named its labels."""


def read_volume(path: str | os.PathLike[str]) -> slicer.vtkMRMLScalarVolumeNode:
    """Read an image into a new scalar volume node, voxels in the file's order.

    A volume of one slice is read; a file that says it is 2D is refused, because its place along the third axis is
    unknown.

    Raises
    ------
    InputError
        Missing, empty, unreadable, damaged or incomplete file, another format, 2D, 4D, or several values per voxel.
    """
    return volume_to_node(read_image(path))


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
    if header.is_segmentation:
        check_segments(path, header)
        node = read_node(
            path, slicer.vtkMRMLSegmentationStorageNode(), "vtkMRMLSegmentationNode", path.name[: -len(extension)]
        )
        keep_label_values(node)
        # Without a reference geometry Slicer would write no more than the segments' own extent.
        start = header.keys.get("Segmentation_ReferenceImageExtentOffset", "0 0 0").split()
        keep_extent(node, IndexBox.sized(start, header.size[2::-1]))
        return node
    node = segmentation_from_labelmap(read_labelmap(path), scalar_type=header.scalar_type)
    nifti = nifti_header(path)
    if nifti is not None:
        _name_segments(node, nifti.label_names())
        node.SetAttribute(_NIFTI_HEADER, base64.b64encode(nifti.packed()).decode())
    return node


def read_stroke(path: str | os.PathLike[str]) -> slicer.vtkMRMLMarkupsNode:
    """Read a stroke (curve, line or point list; LPS or RAS as the file says) into a new markups node.

    Raises
    ------
    InputError
        Missing, empty, unreadable or damaged file, another format, or no markup or several in the file.
    """
    return load_markup(path, "a stroke")


def write_volume(
    volume: Volume | slicer.vtkMRMLScalarVolumeNode,
    path: str | os.PathLike[str],
    like: NiftiHeader | None = None,
) -> Path:
    """Write an image; a node is written in its own coordinates, without its parent transforms, as Slicer does.

    Parameters and errors as `core.images.write_image`.
    """
    path, _ = known_extension(path, IMAGE_EXTENSIONS, "an image")
    if not isinstance(volume, Volume):
        matrix = vtk.vtkMatrix4x4()
        volume.GetIJKToRASMatrix(matrix)
        volume = Volume(image_array(volume.GetImageData()), matrix_to_array(matrix), volume.GetName() or "")
    return write_image(volume, path, like)


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
    packed = node.GetAttribute(_NIFTI_HEADER)
    like = read_nifti_header(BytesIO(base64.b64decode(packed))) if packed else None
    return write_image(labelmap_from_segmentation(node, on_top), path, like)


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


def _name_segments(node: slicer.vtkMRMLSegmentationNode, names: Mapping[int, str]) -> None:
    """Give segments the names that a file has for their label values."""
    for segment_id, label in label_values(node).items():
        if label in names:
            node.GetSegmentation().GetSegment(segment_id).SetName(names[label])
