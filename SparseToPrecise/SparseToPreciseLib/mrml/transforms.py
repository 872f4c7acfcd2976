"""Matrices and displacements as transform nodes."""

from __future__ import annotations

import numpy as np
import slicer
import vtk
import vtk.util.numpy_support

from ..core.volume import Grid
from .headless import scene
from .volumes import array_to_matrix


def transform_to_node(
    matrix: np.ndarray, displacement: np.ndarray | None, grid: Grid, name: str = "Transform"
) -> slicer.vtkMRMLTransformNode:
    """A new transform node: what is under it is displaced, and then goes through the matrix.

    Parameters
    ----------
    matrix
        4x4, RAS, mm.
    displacement
        (K, J, I, 3) mm along R, A and S; None: none, and the node is a linear transform.
    grid
        Grid of the displacement; beyond it that of its border counts.
    name
        Name of the node.
    """
    if displacement is None:
        node = scene().AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
        node.SetMatrixTransformToParent(array_to_matrix(matrix))
        return node
    spacing = grid.spacing
    image = vtk.vtkImageData()
    image.SetDimensions(*grid.shape[::-1])
    image.SetSpacing(*spacing)
    image.SetOrigin(*grid.ijk_to_ras[:3, 3])
    values = np.ascontiguousarray(displacement, dtype=np.float64).reshape(-1, 3)
    scalars = vtk.util.numpy_support.numpy_to_vtk(values, deep=True)
    image.GetPointData().SetScalars(scalars)
    directions = np.eye(4)
    directions[:3, :3] = grid.ijk_to_ras[:3, :3] / spacing
    bent = slicer.vtkOrientedGridTransform()
    bent.SetDisplacementGridData(image)
    bent.SetGridDirectionMatrix(array_to_matrix(directions))
    straight = vtk.vtkTransform()
    straight.SetMatrix(array_to_matrix(matrix))
    both = vtk.vtkGeneralTransform()
    both.PostMultiply()
    both.Concatenate(bent)
    both.Concatenate(straight)
    node = scene().AddNewNodeByClass("vtkMRMLTransformNode", name)
    node.SetAndObserveTransformToParent(both)
    return node
