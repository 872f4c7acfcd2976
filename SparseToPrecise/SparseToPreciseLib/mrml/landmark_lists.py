"""Named landmarks as point lists: nodes and files (.mrk.json, .fcsv), placed and unplaced."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import slicer
import vtk

from ..core.errors import InputError
from ..core.files import known_extension
from ..core.markups import read_markup
from .headless import scene as current_scene
from .markups import check_written
from .storage import write_node

if TYPE_CHECKING:
    from ..landmarks.detect import Landmark

LANDMARK_EXTENSION = ".mrk.json"
UNPLACED = "unplaced"
"""Begins the description of a landmark that was not placed; the reason follows."""


def landmarks_from_node(node: slicer.vtkMRMLMarkupsFiducialNode, complete: bool = False) -> dict[str, np.ndarray]:
    """Name to RAS position (mm) of the placed points, with the node's parent transforms (of any kind) applied.

    Parameters
    ----------
    node
        A point list; a point that is just being placed does not count.
    complete
        Whether a point without a position is refused, as in a reference, whose names become a template's.

    Raises
    ------
    InputError
        Another kind of markup, a placed point without a name or with a position that is not finite, or a name twice;
        with `complete`, a point that is not placed.
    """
    title = node.GetName() or "The landmark list"
    if not node.IsA("vtkMRMLMarkupsFiducialNode"):
        raise InputError(f"{title} is a markup of type {node.GetMarkupType()}; landmarks are a point list.")
    points: list[tuple[str, np.ndarray | None]] = []
    for index in range(node.GetNumberOfControlPoints()):
        position = np.zeros(3)
        status = node.GetNthControlPointPositionStatus(index)
        if status == node.PositionPreview:
            continue
        if status == node.PositionDefined:
            node.GetNthControlPointPositionWorld(index, position)
        points.append((node.GetNthControlPointLabel(index), position if status == node.PositionDefined else None))
    return _by_name(points, title, complete)


def landmarks_to_node(
    landmarks: Sequence[Landmark] | Mapping[str, np.ndarray],
    name: str = "Landmarks",
    *,
    parent_transform: slicer.vtkMRMLTransformNode | None = None,
    scene: slicer.vtkMRMLScene | None = None,
) -> slicer.vtkMRMLMarkupsFiducialNode:
    """A new point list; points that were not placed are undefined, and descriptions tell confidence or reason.

    Parameters
    ----------
    landmarks
        Landmarks of a detection, or names with RAS positions.
    name
        Name of the node.
    parent_transform
        A transform to put the node under; the points stay where they are in the world.
    scene
        None: the current scene.
    """
    node = (scene or current_scene()).AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
    if parent_transform is not None:
        node.SetAndObserveTransformNodeID(parent_transform.GetID())
    if isinstance(landmarks, Mapping):
        rows = [(label, position, "") for label, position in landmarks.items()]
    else:
        rows = [(one.name, one.position, _description(one)) for one in landmarks]
    for label, position, description in rows:
        where = (0.0, 0.0, 0.0) if position is None else position
        index = node.AddControlPointWorld(vtk.vtkVector3d(*(float(value) for value in where)), label)
        node.SetNthControlPointDescription(index, description)
        if position is None:
            node.UnsetNthControlPointPosition(index)
    return node


def read_landmarks(path: str | os.PathLike[str], complete: bool = False) -> dict[str, np.ndarray]:
    """Name to RAS position (mm) of a file's placed points; nothing stays in the scene.

    Parameters
    ----------
    path
        A list of points, .mrk.json or .fcsv.
    complete
        Whether a point without a position is refused.

    Raises
    ------
    InputError
        Missing, empty, unreadable or damaged file, another format, no markup or several in the file, and as
        `landmarks_from_node`.
    """
    markup = read_markup(path, "a landmark list")
    if markup.kind != "Fiducial":
        raise InputError(f"{path} holds a markup of type {markup.kind}; landmarks are a point list.")
    return _by_name([(point.label, point.position) for point in markup.points], str(path), complete)


def write_landmarks(node: slicer.vtkMRMLMarkupsFiducialNode, path: str | os.PathLike[str]) -> Path:
    """Write a point list as .mrk.json, in its own coordinates, without its parent transforms, as Slicer does.

    Raises
    ------
    InputError
        Another format, or the file cannot be written; an old file survives and nothing partial is left.
    """
    path, _ = known_extension(path, (LANDMARK_EXTENSION,), "a landmark list")
    return write_node(path, slicer.vtkMRMLMarkupsJsonStorageNode, node, partial(check_written, node=node))


def _by_name(points: Sequence[tuple[str, np.ndarray | None]], title: str, complete: bool) -> dict[str, np.ndarray]:
    """Name to position of the points that have one; errors as `landmarks_from_node`."""
    found: dict[str, np.ndarray] = {}
    for number, (label, position) in enumerate(points, start=1):
        name = label.strip()
        if name in found:
            raise InputError(f"{title} has two landmarks called {name!r}; give each its own name.")
        if position is None and complete:
            called = f"Landmark {name}" if name else f"Point {number}"
            raise InputError(f"{called} of {title} has no position; place it, or delete it from the list.")
        if position is None:
            continue
        if not name:
            raise InputError(f"Point {number} of {title} has no name; name every landmark.")
        if not np.isfinite(position).all():
            where = tuple(position.tolist())
            raise InputError(f"Landmark {name} of {title} has the position {where}; place it again.")
        found[name] = position
    return found


def remove_with_display(node: slicer.vtkMRMLDisplayableNode) -> None:
    """Take a node out of its scene with its display nodes, which would stay."""
    scene = node.GetScene()
    displays = [node.GetNthDisplayNode(index) for index in range(node.GetNumberOfDisplayNodes())]
    scene.RemoveNode(node)
    for display in displays:
        if display is not None and display.GetScene() is scene:
            scene.RemoveNode(display)


def _description(one: Landmark) -> str:
    if one.position is None:
        return f"{UNPLACED}: {one.reason}"
    return f"confidence {one.confidence:.2f}"
