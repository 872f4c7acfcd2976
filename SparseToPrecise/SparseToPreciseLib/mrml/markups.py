"""Strokes: markups curves, lines and point lists as points in RAS."""

from __future__ import annotations

import numpy as np
import slicer
import vtk
import vtk.util.numpy_support

from ..core.errors import InputError
from .headless import scene as current_scene

_CURVE = "vtkMRMLMarkupsCurveNode"  # closed curves derive from it
_POINTS = ("vtkMRMLMarkupsFiducialNode", "vtkMRMLMarkupsLineNode")


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
