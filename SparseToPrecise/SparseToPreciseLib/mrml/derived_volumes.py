"""Volumes that were made of another one, voxel by voxel."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import slicer
import vtk

from .headless import scene
from .volumes import fill_image

_DERIVED = "SparseToPrecise.Derived"


def new_like(
    like: slicer.vtkMRMLScalarVolumeNode, array: np.ndarray, name: str, attributes: Mapping[str, str] | None = None
) -> slicer.vtkMRMLScalarVolumeNode:
    """A new volume in the place of another; see `fill_like`. Where the name is taken, a number is added.

    In the subject hierarchy it lies beside the other, e.g. in the same study. It comes into the scene with its
    attributes: selectors that go by them would not see them later.
    """
    node = slicer.vtkMRMLScalarVolumeNode()
    node.SetName(scene().GenerateUniqueName(name))
    for key, value in (attributes or {}).items():
        node.SetAttribute(key, value)
    fill_like(node, array, like)
    node = scene().AddNode(node)
    file_beside(node, like)
    return node


def file_beside(node: slicer.vtkMRMLNode, other: slicer.vtkMRMLNode) -> None:
    """Put a node into the study or folder of another one, where the subject hierarchy knows the other."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene())
    theirs = hierarchy.GetItemByDataNode(other) if hierarchy is not None else 0
    if not theirs:
        return
    mine = hierarchy.GetItemByDataNode(node)
    if mine:
        hierarchy.SetItemParent(mine, hierarchy.GetItemParent(theirs))
    else:  # only the application adds items by itself
        hierarchy.CreateItem(hierarchy.GetItemParent(theirs), node)


def fill_like(
    node: slicer.vtkMRMLScalarVolumeNode, array: np.ndarray, like: slicer.vtkMRMLScalarVolumeNode
) -> None:
    """Give a volume a (K, J, I) array in another one's place: its matrix to the last bit, under the same transform."""
    image, matrix = vtk.vtkImageData(), vtk.vtkMatrix4x4()
    fill_image(image, array)
    like.GetIJKToRASMatrix(matrix)
    node.SetIJKToRASMatrix(matrix)
    node.SetAndObserveTransformNodeID(like.GetTransformNodeID())
    node.SetAndObserveImageData(image)
    node.SetAttribute(_DERIVED, "1")


def is_derived(node: slicer.vtkMRMLNode) -> bool:
    """Whether a volume was made here, and so is nobody's image."""
    return bool(node.GetAttribute(_DERIVED))


def has_shape(node: slicer.vtkMRMLScalarVolumeNode | None, shape: tuple[int, int, int]) -> bool:
    """Whether a node is there and has (K, J, I) voxels."""
    image = None if node is None else node.GetImageData()
    return image is not None and image.GetDimensions()[::-1] == tuple(shape)
