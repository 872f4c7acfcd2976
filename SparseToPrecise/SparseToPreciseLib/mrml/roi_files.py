"""Boxes in files: ROIs as .mrk.json, and segments or labelmaps whose bounding box is meant."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import slicer

from ..core.errors import InputError
from ..core.files import known_extension, readable_file
from .files import SEGMENTATION_EXTENSIONS, read_segmentation
from .headless import scene
from .lookup import find_segment
from .rois import box_from_roi, box_from_segment, roi_from_box
from .storage import load_markup, markup_in_json, write_node
from .volumes import array_to_matrix, matrix_to_array

ROI_EXTENSION = ".mrk.json"


def read_roi(path: str | os.PathLike[str], segment: str | None = None) -> slicer.vtkMRMLMarkupsROINode:
    """Read a box into a new ROI node, which is checked to be one.

    Parameters
    ----------
    path
        An ROI as .mrk.json, or a segmentation or labelmap: the ROI is then the bounding box of one segment along the
        axes of the voxels, with the segment's name and colour.
    segment
        ID, name or label value of that segment; needed when there are several.

    Raises
    ------
    InputError
        Missing, empty, unreadable or damaged file, another kind of markup, an ROI without volume or right angles,
        no such segment, or an empty one.
    """
    path, extension = readable_file(path, (ROI_EXTENSION, *SEGMENTATION_EXTENSIONS), "a box")
    if extension != ROI_EXTENSION:
        return _bounding_roi(path, segment)
    if segment is not None:
        raise InputError(f"{path} is an ROI and has no segment {segment}; leave the segment out.")
    markup = markup_in_json(path, "ROI")
    kind = markup.get("type")
    if kind != "ROI":
        raise InputError(f"{path} holds a markup of type {kind}; draw the box as an ROI.")
    node = load_markup(path, path.name[: -len(extension)], "ROI")
    if markup.get("coordinateSystem") == "RAS" and "orientation" in markup:
        _take_directions(node, markup)
    try:
        box_from_roi(node)
    except InputError as error:
        scene().RemoveNode(node)
        raise InputError(f"{path}: {error}") from error
    return node


def write_roi(node: slicer.vtkMRMLMarkupsROINode, path: str | os.PathLike[str]) -> Path:
    """Write an ROI in its own coordinates, without its parent transforms, as Slicer does.

    Raises
    ------
    InputError
        Another format, or the file cannot be written; an old file survives and nothing partial is left.
    """
    path, _ = known_extension(path, (ROI_EXTENSION,), "an ROI")
    # The storage node of other markups would leave out the size and the directions without a word.
    return write_node(path, slicer.vtkMRMLMarkupsROIJsonStorageNode, node, partial(markup_in_json, kind="ROI"))


def _take_directions(node: slicer.vtkMRMLMarkupsROINode, markup: dict[str, Any]) -> None:
    """Slicer's reader (5.13) takes an ROI's directions for LPS before it looks what the file says."""
    matrix = matrix_to_array(node.GetObjectToNodeMatrix())
    matrix[:3, :3] = np.reshape(markup["orientation"], (3, 3))
    node.SetAndObserveObjectToNodeMatrix(array_to_matrix(matrix))


def _bounding_roi(path: Path, segment: str | None) -> slicer.vtkMRMLMarkupsROINode:
    node = read_segmentation(path)
    try:
        segment_id = find_segment(node, segment)
        box = box_from_segment(node, segment_id)
        found = node.GetSegmentation().GetSegment(segment_id)
        return roi_from_box(box, found.GetName(), color=found.GetColor())
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    finally:
        scene().RemoveNode(node)
