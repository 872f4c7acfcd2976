"""Markups planes: nodes as `Plane` and back, and planes in files."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import numpy as np
import slicer
import vtk

from ..core.errors import InputError
from ..core.files import known_extension
from ..core.markups import ROI_EXTENSION
from ..core.plane import Plane
from .headless import scene as current_scene
from .markups import check_written
from .storage import write_node
from .volumes import matrix_to_array, parent_to_world

_PLANE = "vtkMRMLMarkupsPlaneNode"


def plane_from_node(node: slicer.vtkMRMLMarkupsPlaneNode) -> Plane:
    """The plane of a node with its linear parent transforms applied, bounded by the rectangle that Slicer shows.

    Raises
    ------
    InputError
        Another kind of markup, a plane that is not placed yet, or a transform that is not linear or shears the plane.
    """
    name = node.GetName() or "The plane"
    if not node.IsA(_PLANE):
        raise InputError(f"{name} is a markup of type {node.GetMarkupType()}; draw it as a plane.")
    if not node.GetIsPlaneValid():
        raise InputError(f"{name} has not been placed yet; place it, or leave it out.")
    local = vtk.vtkMatrix4x4()
    node.GetObjectToNodeMatrix(local)
    matrix = parent_to_world(node) @ matrix_to_array(local)
    lengths = np.linalg.norm(matrix[:3, :2], axis=0)
    axes = np.zeros((3, 3))
    axes[:, :2] = matrix[:3, :2] / lengths
    axes[:, 2] = np.cross(axes[:, 0], axes[:, 1])
    bounds = np.array(node.GetPlaneBounds()) * np.repeat(lengths, 2)
    return Plane(matrix[:3, 3], axes, bounds if bounds.any() else None, name)


def plane_to_node(
    plane: Plane, size_mm: tuple[float, float] | None = None, *, scene: slicer.vtkMRMLScene | None = None
) -> slicer.vtkMRMLMarkupsPlaneNode:
    """A new node where a plane lies in the world.

    Parameters
    ----------
    plane
        Its bounds are drawn, around their middle.
    size_mm
        Lengths along its axes where the plane has no bounds.
    scene
        None: the current scene.

    Raises
    ------
    InputError
        The plane has neither bounds nor a size.
    """
    if plane.bounds is None and size_mm is None:
        raise InputError(f"{plane.name or 'The plane'} has no end, so that it cannot be drawn; give it a size.")
    bounds = plane.bounds
    if bounds is None:
        bounds = np.array([-size_mm[0], size_mm[0], -size_mm[1], size_mm[1]]) / 2
    node = (scene or current_scene()).AddNewNodeByClass(_PLANE, plane.name or "Plane")
    node.CreateDefaultDisplayNodes()
    node.SetPlaneType(node.PlaneTypePointNormal)
    node.SetSizeMode(node.SizeModeAbsolute)
    middle = plane.from_plane([bounds[:2].mean(), bounds[2:].mean(), 0.0])
    node.SetCenterWorld(*middle)
    node.SetNormalWorld(*plane.normal)
    # The normal is the cross product of the other two.
    first = plane.axes[:, 0]
    node.SetAxesWorld(list(first), list(np.cross(plane.normal, first)), list(plane.normal))
    node.SetSize(float(np.ptp(bounds[:2])), float(np.ptp(bounds[2:])))
    return node


def write_plane(node: slicer.vtkMRMLMarkupsPlaneNode, path: str | os.PathLike[str]) -> Path:
    """Write a plane in its own coordinates, without its parent transforms, as Slicer does.

    Raises
    ------
    InputError
        Another format, or the file cannot be written; an old file survives and nothing partial is left.
    """
    path, _ = known_extension(path, (ROI_EXTENSION,), "a plane")
    return write_node(path, slicer.vtkMRMLMarkupsPlaneJsonStorageNode, node, partial(check_written, node=node))
