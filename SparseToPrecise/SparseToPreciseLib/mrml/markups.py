"""Markups: files as nodes, and strokes (curves, lines and point lists) as points in RAS."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk
import vtk.util.numpy_support

from ..core.errors import InputError
from ..core.markups import Markup, read_markup
from .headless import scene as current_scene

_CURVE = "vtkMRMLMarkupsCurveNode"  # closed curves derive from it
_POINTS = ("vtkMRMLMarkupsFiducialNode", "vtkMRMLMarkupsLineNode")
_DISPLAY = (
    "visibility", "opacity", "color", "selectedColor", "activeColor", "fillVisibility", "fillOpacity",
    "outlineVisibility", "outlineOpacity", "propertiesLabelVisibility", "pointLabelsVisibility", "textScale",
    "glyphScale", "glyphSize", "useGlyphScale", "sliceProjection", "sliceProjectionUseFiducialColor",
    "sliceProjectionOutlinedBehindSlicePlane", "sliceProjectionColor", "sliceProjectionOpacity", "lineThickness",
    "handlesInteractive", "translationHandleVisibility", "rotationHandleVisibility", "scaleHandleVisibility",
    "interactionHandleScale",
)  # fmt: skip
"""Names in files of what a display node sets by Set<Name>."""


def load_markup(
    path: str | os.PathLike[str], what: str = "a markup", name: str | None = None
) -> slicer.vtkMRMLMarkupsNode:
    """The one markup of a .mrk.json or .fcsv file as a new node of the scene.

    Parameters
    ----------
    path
        The file.
    what
        What it is taken for, with its article; for the sentences.
    name
        The node's name; None takes the file's.

    Raises
    ------
    InputError
        As `core.markups.read_markup`, or an ROI.
    """
    markup = read_markup(path, what)
    if markup.kind == "ROI":
        raise InputError(f"{path} holds a markup of type ROI; give {what}.")
    node = current_scene().AddNewNodeByClass(
        f"vtkMRMLMarkups{markup.kind}Node", os.path.basename(path).partition(".")[0] if name is None else name
    )
    add_points(node, markup)
    show_as(node, markup.display)
    return node


def add_points(node: slicer.vtkMRMLMarkupsNode, markup: Markup) -> None:
    """Give a node the control points of a markup, placed and announced ones, in its own coordinates."""
    for point in markup.points:
        position = np.zeros(3) if point.position is None else point.position
        index = node.AddControlPoint(vtk.vtkVector3d(*position.tolist()), point.label)
        node.SetNthControlPointDescription(index, point.description)
        if point.position is None:
            node.UnsetNthControlPointPosition(index)


def check_written(path: Path, node: slicer.vtkMRMLMarkupsNode) -> None:
    """Whether every control point of a node is in a file: Slicer 5.12 is silent on lost rows.

    Raises
    ------
    InputError
        The file cannot be read or has fewer points.
    """
    found, wanted = len(read_markup(path).points), node.GetNumberOfControlPoints()
    if found != wanted or not path.read_bytes().endswith((b"\n", b"}")):
        raise InputError(f"{path} holds {found} of {wanted} points; save it again.")


def show_as(node: slicer.vtkMRMLMarkupsNode, display: Mapping[str, Any]) -> None:
    """Draw a node as a file says, as far as its values are of the kind that they should be."""
    node.CreateDefaultDisplayNodes()
    for name in set(display) & set(_DISPLAY):
        value = display[name]
        setter = getattr(node.GetDisplayNode(), f"Set{name[0].upper()}{name[1:]}", None)
        if setter is not None:
            with contextlib.suppress(TypeError, ValueError, OverflowError):
                setter(*value) if isinstance(value, list) else setter(value)


def stroke_from_node(node: slicer.vtkMRMLMarkupsNode) -> np.ndarray:
    """The points of a stroke, with the node's parent transforms (of any kind) applied.

    Parameters
    ----------
    node
        A curve or closed curve (its interpolated points), or a line or point list (its control points).
        Control points that have been announced but not placed are skipped.

    Returns
    -------
    numpy.ndarray
        (N, 3) float64 RAS positions in mm; N is 0 for an empty node.

    Raises
    ------
    InputError
        Another kind of markup, or a placed point whose position is not finite.
    """
    name = node.GetName() or "the stroke"
    if not node.IsA(_CURVE) and not any(node.IsA(kind) for kind in _POINTS):
        raise InputError(
            f"{name} is a markup of type {node.GetMarkupType()}; draw the stroke as a curve or a point list."
        )
    control = _placed_points(node, name)
    if not node.IsA(_CURVE) or len(control) < 2:
        return control
    curve = node.GetCurvePointsWorld()
    if curve is None or curve.GetNumberOfPoints() == 0:
        return control
    return np.array(vtk.util.numpy_support.vtk_to_numpy(curve.GetData()), dtype=np.float64)


def _placed_points(node: slicer.vtkMRMLMarkupsNode, name: str) -> np.ndarray:
    points = []
    for index in range(node.GetNumberOfControlPoints()):
        if node.GetNthControlPointPositionStatus(index) != node.PositionDefined:
            continue
        position = [0.0, 0.0, 0.0]
        node.GetNthControlPointPositionWorld(index, position)
        if not np.isfinite(position).all():
            raise InputError(
                f"Control point {index + 1} of {name} has the position {tuple(position)}; place it again or remove it."
            )
        points.append(position)
    return np.array(points, dtype=np.float64).reshape(-1, 3)


def curves_of_scene() -> list[slicer.vtkMRMLMarkupsCurveNode]:
    """The visible curves, open and closed, in the order of the scene; hiding a curve is how to leave it out."""
    found = current_scene().GetNodesByClass("vtkMRMLMarkupsCurveNode")
    found.UnRegister(None)
    curves = [found.GetItemAsObject(index) for index in range(found.GetNumberOfItems())]
    return [curve for curve in curves if not curve.GetHideFromEditors() and _visible(curve)]


def stroke_to_node(
    points_ras: np.ndarray,
    name: str = "Stroke",
    *,
    curve: bool = True,
    parent_transform: slicer.vtkMRMLTransformNode | None = None,
    scene: slicer.vtkMRMLScene | None = None,
) -> slicer.vtkMRMLMarkupsNode:
    """A new node with one control point per stroke point.

    Parameters
    ----------
    points_ras
        (N, 3) RAS positions in mm.
    name
        The node's name.
    curve
        True: a curve that goes straight from point to point; False: a point list.
    parent_transform
        A transform to put the node under; the points stay where `points_ras` says.
    scene
        None: the current scene.

    Raises
    ------
    InputError
        The points are not (N, 3) finite numbers.
    """
    points = np.asarray(points_ras, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise InputError(f"A stroke needs finite points of shape (N, 3), not an array of shape {points.shape}.")
    node_class = _CURVE if curve else _POINTS[0]
    node = (scene or current_scene()).AddNewNodeByClass(node_class, name)
    if parent_transform is not None:
        node.SetAndObserveTransformNodeID(parent_transform.GetID())
    if curve:
        node.SetCurveTypeToLinear()
    positions = vtk.vtkPoints()
    positions.SetDataTypeToDouble()
    for point in points:
        positions.InsertNextPoint(*point)
    node.SetControlPointPositionsWorld(positions)
    return node


def _visible(node: slicer.vtkMRMLDisplayableNode) -> bool:
    displays = [node.GetNthDisplayNode(index) for index in range(node.GetNumberOfDisplayNodes())]
    displays = [display for display in displays if display is not None]
    return not displays or any(display.GetVisibility() for display in displays)
