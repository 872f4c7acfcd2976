"""Two segmentations of the scene compared: a table, the differences as segments, a coloured surface, and places.

`read_pairs` copies what is needed (main thread), `comparison.compare.compare_all` works on any thread, and the `show_…`
functions add the result to the scene (main thread).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import slicer
import vtk
import vtk.util.numpy_support

from ..comparison.compare import Comparison, Pair
from ..comparison.definitions import MEASURES
from ..comparison.grids import refuse_apart
from ..comparison.matching import Label, Matching, match
from ..comparison.place import Place
from ..core.errors import InputError
from ..core.masks import bounding_slices
from ..core.volume import Volume
from .headless import logic, scene
from .lookup import label_values
from .segmentations import new_segment, segment_to_volume, segmentation_grid, set_reference_grid, volume_to_segment

ONLY_A, ONLY_B = (1.0, 0.69, 0.0), (0.18, 0.83, 1.0)
"""Colours of what only A and only B has, as in the picture."""
_OPACITY = 0.5
_SEGMENT = "segment"


@dataclass(frozen=True)
class Pairs:
    """The structures that two segmentations have in common, without the scene.

    Attributes
    ----------
    pairs
        Masks in the world, with one voxel around them where there is one.
    only_a, only_b
        Names of the segments without a partner.
    """

    pairs: tuple[Pair, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]

    @property
    def notes(self) -> list[str]:
        """Sentences on what was not compared."""
        both = ((self.only_a, "A"), (self.only_b, "B"))
        return [f"Only in {which}, and not compared: {', '.join(names)}." for names, which in both if names]


def read_pairs(
    a: slicer.vtkMRMLSegmentationNode | None,
    b: slicer.vtkMRMLSegmentationNode | None,
    segments: Sequence[str] = (),
) -> Pairs:
    """The segments of two segmentations that belong together (`comparison.matching.match`), transforms applied.

    Parameters
    ----------
    a, b
        The segmentations.
    segments
        Only these, see `match`.

    Raises
    ------
    InputError
        One is not there, both are the same, they have no segment or no place in common, or one is under a transform
        that is not linear.
    """
    for node, what in ((a, "first"), (b, "second")):
        if node is None:
            raise InputError(f"There is no {what} segmentation; choose one.")
    if a is b:
        raise InputError(f"{a.GetName()} cannot be compared with itself; choose another segmentation.")
    labels = [_labels(node) for node in (a, b)]
    if not any(labels):
        raise InputError(f"{a.GetName()} and {b.GetName()} are both empty, so that nothing can be compared.")
    matching: Matching = match(*labels, segments)
    refuse_apart(segmentation_grid(a), segmentation_grid(b), a.GetName(), b.GetName())
    pairs = [Pair(one.name, _cut(a, one.key), _cut(b, other.key)) for one, other in matching.pairs]
    return Pairs(tuple(pairs), *(tuple(one.name for one in left) for left in (matching.only_a, matching.only_b)))


def show_table(comparisons: Sequence[Comparison], title: str, notes: Sequence[str] = ()) -> slicer.vtkMRMLTableNode:
    """A new table with a row for each structure; numbers are numbers, so that a table view can sort them."""
    node = scene().AddNewNodeByClass("vtkMRMLTableNode", scene().GenerateUniqueName(title))
    table = vtk.vtkTable()
    rows = [one.row() for one in comparisons]
    names = vtk.vtkStringArray()
    names.SetName(_SEGMENT)
    for one in comparisons:
        names.InsertNextValue(one.name)
    table.AddColumn(names)
    for measure in MEASURES:
        values = [row[measure] for row in rows]
        if all(value is None for value in values):
            continue
        is_text = any(isinstance(value, str) for value in values)
        column = vtk.vtkStringArray() if is_text else vtk.vtkDoubleArray()
        column.SetName(measure)
        for value in values:
            column.InsertNextValue((value or "") if is_text else math.nan if value is None else float(value))
        table.AddColumn(column)
    node.SetAndObserveTable(table)
    node.SetLocked(True)
    node.SetUseColumnTitleAsColumnHeader(True)
    node.SetDescription(" ".join(notes))
    return node


def show_difference(comparison: Comparison, title: str = "") -> slicer.vtkMRMLSegmentationNode:
    """A new segmentation with two translucent segments: what only A has, and what only B has."""
    title = title or f"{comparison.name}: difference"
    node = scene().AddNewNodeByClass("vtkMRMLSegmentationNode", scene().GenerateUniqueName(title))
    node.CreateDefaultDisplayNodes()
    set_reference_grid(node, comparison.a.grid)
    a, b = comparison.a, comparison.b
    for name, mask, color in (("only A", a.array & ~b.array, ONLY_A), ("only B", b.array & ~a.array, ONLY_B)):
        segment_id = new_segment(node, name, color)
        volume_to_segment(a.with_array(mask.astype(np.uint8), name), node, segment_id)
        node.GetDisplayNode().SetSegmentOpacity2DFill(segment_id, _OPACITY)
        node.GetDisplayNode().SetSegmentOpacity3D(segment_id, _OPACITY)
    return node


def show_distance(comparison: Comparison, title: str = "") -> slicer.vtkMRMLModelNode:
    """A new model of A's surface, coloured by its distance to B in mm: above 0 outside of B, below 0 inside.

    Raises
    ------
    InputError
        One of the two is empty.
    """
    surface, other = comparison.a_surface, comparison.b_surface
    if not len(surface.points) or not len(other.points):
        empty = "A" if not len(surface.points) else "B"
        raise InputError(f"{comparison.name} is empty in {empty}, so that there are no distances to show.")
    distances, places, triangles = other.nearest(surface.points)
    outwards = ((surface.points - places) * other.normals[triangles]).sum(axis=1)
    signed = np.where(outwards >= 0, distances, -distances)
    data = vtk.vtkPolyData()
    points, cells = vtk.vtkPoints(), vtk.vtkCellArray()
    points.SetData(vtk.util.numpy_support.numpy_to_vtk(surface.points, deep=True))
    flat = np.insert(surface.triangles, 0, 3, axis=1).ravel()
    cells.SetCells(
        len(surface.triangles),
        vtk.util.numpy_support.numpy_to_vtk(flat, deep=True, array_type=vtk.VTK_ID_TYPE),
    )
    data.SetPoints(points)
    data.SetPolys(cells)
    values = vtk.util.numpy_support.numpy_to_vtk(signed, deep=True)
    values.SetName("distance")
    data.GetPointData().SetScalars(values)
    title = title or f"{comparison.name}: distance of A to B"
    node = scene().AddNewNodeByClass("vtkMRMLModelNode", scene().GenerateUniqueName(title))
    node.SetAndObservePolyData(data)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetActiveScalarName("distance")
    display.SetScalarVisibility(True)
    display.SetScalarRangeFlag(slicer.vtkMRMLDisplayNode.UseManualScalarRange)
    limit = float(np.abs(signed).max()) or 1.0
    display.SetScalarRange(-limit, limit)
    color = scene().GetFirstNodeByName("ColdToHotRainbow")
    if color is not None:
        display.SetAndObserveColorNodeID(color.GetID())
        legend = logic("Colors").AddDefaultColorLegendDisplayNode(node)
        legend.SetTitleText("mm")
        legend.SetLabelFormat("%.1f")
    return node


def show_places(
    comparisons: Sequence[Comparison], title: str = "Places to look at"
) -> slicer.vtkMRMLMarkupsFiducialNode:
    """A new point list of all places, by structure, with what is to be seen there as the description."""
    node = scene().AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", scene().GenerateUniqueName(title))
    node.CreateDefaultDisplayNodes()
    for comparison, number, place in places_of(comparisons):
        index = node.AddControlPointWorld(vtk.vtkVector3d(*map(float, place.position)), f"{comparison.name} {number}")
        node.SetNthControlPointDescription(index, place.text)
    return node


def places_of(comparisons: Sequence[Comparison]) -> list[tuple[Comparison, int, Place]]:
    """Every place with its comparison and its number there, in the order of `show_places`' points."""
    return [(one, number, place) for one in comparisons for number, place in enumerate(one.places, 1)]


def _labels(node: slicer.vtkMRMLSegmentationNode) -> list[Label]:
    segmentation = node.GetSegmentation()
    return [
        Label(key, segmentation.GetSegment(key).GetName() or key, value) for key, value in label_values(node).items()
    ]


def _cut(node: slicer.vtkMRMLSegmentationNode, segment_id: str) -> Volume:
    volume = segment_to_volume(node, segment_id)
    return volume.cropped(bounding_slices(volume.array, 1) or tuple(slice(0, min(2, size)) for size in volume.shape))
