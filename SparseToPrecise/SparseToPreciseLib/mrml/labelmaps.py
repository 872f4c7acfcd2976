"""Labelmaps (one integer per voxel) as segmentation nodes and back, with the label values they had."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
import slicer

from ..core.images import whole_labels
from ..core.lattice import grown_to_hold, onto_grid
from ..core.volume import Volume
from .headless import scene as current_scene
from .lookup import keep_label_values, unique_label_values
from .segment_lattice import binary_labelmap, layers_of, stored_type
from .segmentations import segmentation_grid, set_reference_grid, stored_segment
from .volumes import array_to_matrix, fill_image, parent_to_world

_SCALAR_TYPE = "SparseToPrecise.LabelmapScalarType"
_GOLDEN_RATIO = 0.618034


def segmentation_from_labelmap(
    volume: Volume, name: str | None = None, *, scalar_type: str | None = None, scene: slicer.vtkMRMLScene | None = None
) -> slicer.vtkMRMLSegmentationNode:
    """A segmentation with one segment per label value, on the labelmap's grid.

    Parameters
    ----------
    volume
        Whole numbers, of any scalar type; 0 is the background. An empty labelmap gives no segments.
    name
        The node's name; None takes the volume's.
    scalar_type
        numpy name of the type in which `labelmap_from_segmentation` gives it back; None takes the array's.
    scene
        None: the current scene.

    Returns
    -------
    vtkMRMLSegmentationNode
        Segments `Segment_<label>`, as Slicer names them, sharing one labelmap; their label values are the file's.

    Raises
    ------
    InputError
        A voxel is not a whole number from 0 to 2147483647 (Slicer's segments cannot be negative), or there are too
        many different values.
    """
    title = name or volume.name or "The labelmap"
    array, labels = whole_labels(volume.array, title)
    image = slicer.vtkOrientedImageData()
    image.SetGeometryFromImageToWorldMatrix(array_to_matrix(volume.ijk_to_ras))
    fill_image(image, array.astype(stored_type(labels.max(initial=0))))
    node = (scene or current_scene()).AddNewNodeByClass("vtkMRMLSegmentationNode", name or volume.name)
    node.CreateDefaultDisplayNodes()
    set_reference_grid(node, volume.grid)
    for index, label in enumerate(labels):
        segment = slicer.vtkSegment()
        segment.SetName(f"Segment_{label}")
        segment.SetColor(*colorsys.hsv_to_rgb(index * _GOLDEN_RATIO % 1.0, 0.6, 0.9))
        segment.SetLabelValue(int(label))
        segment.AddRepresentation(binary_labelmap(), image)
        node.GetSegmentation().AddSegment(segment, f"Segment_{label}")
    keep_label_values(node)
    node.SetAttribute(_SCALAR_TYPE, scalar_type or volume.array.dtype.name)
    return node


def labelmap_from_segmentation(node: slicer.vtkMRMLSegmentationNode, on_top: Sequence[str] = ()) -> Volume:
    """All segments in one labelmap, in the segmentation's own coordinates (before its parent transforms).

    Parameters
    ----------
    node
        The segmentation. Label values are those of the file it was read from, see `lookup.unique_label_values`.
    on_top
        IDs of segments that win where segments overlap, e.g. the edited one; else the later segment wins.

    Returns
    -------
    Volume
        On the segmentation's grid, in the scalar type of the labelmap it was read from where the labels fit,
        else in the smallest that holds them.
    """
    grid = segmentation_grid(node)
    grid = type(grid)(grid.shape, np.linalg.inv(parent_to_world(node)) @ grid.ijk_to_ras)
    labels = unique_label_values(node)
    layers = [
        (Volume(lattice.array(lattice.stored), lattice.grid(lattice.stored).ijk_to_ras), segments)
        for lattice, segments in layers_of(node)
    ]
    for layer, _ in layers:
        grid = grown_to_hold(grid, layer)
    out = np.zeros(grid.shape, _scalar_type(node, list(labels.values())))
    for layer, segments in layers:
        stored = {value: labels[segment_id] for value, segment_id in segments.items()}
        values = onto_grid(layer.with_array(_relabelled(layer.array, stored, out.dtype)), grid)
        np.copyto(out, values, where=values != 0)
    for segment_id in on_top:
        segment = stored_segment(node, segment_id)
        if segment is not None:
            out[onto_grid(segment, grid) != 0] = labels[segment_id]
    return Volume(out, grid.ijk_to_ras, node.GetName() or "")


def _relabelled(array: np.ndarray, values: dict[int, int], kind: np.dtype) -> np.ndarray:
    # A segment that has no voxel there may have a value for which the type is too small.
    keys = np.array(sorted(key for key in values if key <= np.iinfo(array.dtype).max), dtype=array.dtype)
    if not len(keys):
        return np.zeros(array.shape, kind)
    results = np.array([values[int(key)] for key in keys], dtype=kind)
    out = np.zeros(array.shape, kind)
    for plane, target in zip(array, out, strict=True):  # plane by plane: the places take 8 bytes per voxel
        place = np.minimum(np.searchsorted(keys, plane), len(keys) - 1)
        np.copyto(target, results[place], where=keys[place] == plane)
    return out


def _scalar_type(node: slicer.vtkMRMLSegmentationNode, labels: list[int]) -> np.dtype:
    wanted = node.GetAttribute(_SCALAR_TYPE)
    if wanted and all(np.asarray(label).astype(wanted) == label for label in labels):
        return np.dtype(wanted)
    return np.min_scalar_type(max(labels, default=0))
