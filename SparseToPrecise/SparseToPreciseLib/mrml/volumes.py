"""Scalar volume nodes as `Volume` and back; the world is RAS after the parent transforms."""

from __future__ import annotations

import numpy as np
import slicer
import vtk
import vtk.util.numpy_support

from ..core.errors import InputError
from ..core.volume import Volume
from .headless import scene as current_scene

# VTK's writers know `long` but not `long long`, and vtk.util makes `long long` of 64-bit integers.
_VTK_TYPES = {"int8": vtk.VTK_CHAR, "int64": vtk.VTK_LONG, "uint64": vtk.VTK_UNSIGNED_LONG}
_STORED_AS = {"bool": "uint8", "float16": "float32"}


def parent_to_world(node: slicer.vtkMRMLTransformableNode) -> np.ndarray:
    """4x4 matrix of all parent transforms of a node, node coordinates to RAS in mm.

    Raises
    ------
    InputError
        One of the transforms is not linear: voxels would no longer lie on a grid.
    """
    transform = node.GetParentTransformNode()
    if transform is None:
        return np.eye(4)
    if not transform.IsTransformToWorldLinear():
        raise InputError(
            f"{node.GetName()} is under the non-linear transform {transform.GetName()}; "
            "harden the transform on it, or take the node out of the transform."
        )
    matrix = vtk.vtkMatrix4x4()
    transform.GetMatrixTransformToWorld(matrix)
    return matrix_to_array(matrix)


def matrix_to_array(matrix: vtk.vtkMatrix4x4) -> np.ndarray:
    """A VTK matrix as a (4, 4) float64 array."""
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def array_to_matrix(array: np.ndarray) -> vtk.vtkMatrix4x4:
    """A (4, 4) array as a VTK matrix."""
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(np.asarray(array, dtype=np.float64).ravel())
    return matrix


def image_array(image: vtk.vtkImageData) -> np.ndarray:
    """(K, J, I) view of the scalars of an image with one component."""
    scalars = vtk.util.numpy_support.vtk_to_numpy(image.GetPointData().GetScalars())
    return scalars.reshape(image.GetDimensions()[::-1])


def fill_image(image: vtk.vtkImageData, array: np.ndarray, start_ijk: tuple[int, int, int] = (0, 0, 0)) -> None:
    """Copy a (K, J, I) array into an image whose extent begins at `start_ijk`."""
    array = np.asarray(array)
    array = np.ascontiguousarray(array, dtype=_STORED_AS.get(array.dtype.name))
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    scalars = vtk.util.numpy_support.numpy_to_vtk(array.ravel(), deep=True, array_type=_VTK_TYPES.get(array.dtype.name))
    sizes = zip(start_ijk, array.shape[::-1], strict=True)
    image.SetExtent(*(int(bound) for start, size in sizes for bound in (start, start + size - 1)))
    image.GetPointData().SetScalars(scalars)


def volume_from_node(node: slicer.vtkMRMLScalarVolumeNode, *, copy: bool = True) -> Volume:
    """A volume node's voxels, placed where the node shows them.

    Parameters
    ----------
    node
        A scalar volume (an image or a labelmap) with one value per voxel.
    copy
        False gives a view of the node's own memory, for use on the main thread before the node changes.

    Returns
    -------
    Volume
        (K, J, I) array of the node's scalar type; IJK to RAS with all parent transforms applied.

    Raises
    ------
    InputError
        The node is empty, has several components per voxel, or is under a non-linear transform.
    """
    name = node.GetName() or "The volume"
    image = node.GetImageData()
    if image is None or image.GetPointData().GetScalars() is None or image.GetNumberOfPoints() == 0:
        raise InputError(f"{name} holds no image data; load or choose another volume.")
    components = image.GetNumberOfScalarComponents()
    if components != 1:
        raise InputError(
            f"{name} has {components} values per voxel (a vector or colour volume); "
            "choose a volume with one value per voxel."
        )
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    array = image_array(image).copy() if copy else image_array(image)
    return Volume(array, parent_to_world(node) @ matrix_to_array(matrix), node.GetName() or "")


def volume_to_node(
    volume: Volume,
    name: str | None = None,
    *,
    labelmap: bool = False,
    parent_transform: slicer.vtkMRMLTransformNode | None = None,
    scene: slicer.vtkMRMLScene | None = None,
) -> slicer.vtkMRMLScalarVolumeNode:
    """A new node that shows the volume where it lies in the world.

    Parameters
    ----------
    volume
        Voxels to show; the array is copied.
    name
        The node's name; None takes the volume's.
    labelmap
        Make a labelmap volume node.
    parent_transform
        A linear transform to put the node under, e.g. the input's; the voxels stay where the volume says.
    scene
        None: the current scene.

    Raises
    ------
    InputError
        `parent_transform` is not linear.
    """
    node_class = "vtkMRMLLabelMapVolumeNode" if labelmap else "vtkMRMLScalarVolumeNode"
    image = vtk.vtkImageData()
    fill_image(image, volume.array)
    node = (scene or current_scene()).AddNewNodeByClass(node_class, volume.name if name is None else name)
    try:
        if parent_transform is not None:
            node.SetAndObserveTransformNodeID(parent_transform.GetID())
        node.SetIJKToRASMatrix(array_to_matrix(np.linalg.inv(parent_to_world(node)) @ volume.ijk_to_ras))
    except InputError:
        node.GetScene().RemoveNode(node)
        raise
    node.SetAndObserveImageData(image)
    return node
