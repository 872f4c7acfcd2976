"""Volume nodes and `Volume`: voxels, world positions, transforms."""

from __future__ import annotations

import numpy as np
import pytest
import slicer

from known_shape import matrix, shape_on
from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.volume import Volume
from SparseToPreciseLib.mrml.volumes import parent_to_world, volume_from_node, volume_to_node

T1 = matrix((0, 0, 40), origin=(5, -3, 8))
T2 = matrix((15, 0, 0), (1.2, 1.2, 1.2), (-4, 1, 2))


def test_a_node_gives_back_the_volume(scene, grid):
    volume = shape_on(grid)
    back = volume_from_node(volume_to_node(volume, "copy"))
    assert np.array_equal(back.array, volume.array) and back.array.dtype == volume.array.dtype
    assert np.allclose(back.ijk_to_ras, volume.ijk_to_ras, atol=1e-12) and back.name == "copy"


def test_the_array_is_a_copy(scene, grid):
    node = volume_to_node(shape_on(grid))
    volume_from_node(node).array[:] = 7
    assert volume_from_node(node).array.max() == 1


def test_parent_transforms_compose_in_the_order_of_the_scene(scene, grid, linear):
    node = volume_to_node(shape_on(grid))
    node.SetAndObserveTransformNodeID(linear(T1, parent=linear(T2)).GetID())
    assert np.allclose(parent_to_world(node), T2 @ T1)
    assert np.allclose(volume_from_node(node).ijk_to_ras, T2 @ T1 @ grid.ijk_to_ras)


def test_world_positions_agree_with_slicers_own(scene, grid, linear):
    node = volume_to_node(shape_on(grid))
    node.SetAndObserveTransformNodeID(linear(T1).GetID())
    bounds = [0.0] * 6
    node.GetRASBounds(bounds)  # after transforms
    corners = volume_from_node(node).grid.to_ras(
        np.array([[i, j, k] for i in (-0.5, 33.5) for j in (-0.5, 29.5) for k in (-0.5, 25.5)])
    )
    assert np.allclose(bounds[::2], corners.min(axis=0)) and np.allclose(bounds[1::2], corners.max(axis=0))


def test_under_a_transform_the_voxels_stay_in_the_world(scene, grid, linear):
    volume = shape_on(grid)
    node = volume_to_node(volume, parent_transform=linear(T1, parent=linear(T2)))
    assert node.GetParentTransformNode() is not None
    assert np.allclose(volume_from_node(node).ijk_to_ras, volume.ijk_to_ras, atol=1e-9)


def test_a_non_linear_transform_is_refused_by_name(scene, grid, bent):
    node = volume_to_node(shape_on(grid), "CT")
    node.SetAndObserveTransformNodeID(bent.GetID())
    with pytest.raises(InputError, match="CT is under the non-linear transform Bent; harden"):
        volume_from_node(node)
    before = scene.GetNumberOfNodes()
    with pytest.raises(InputError, match="Bent"):
        volume_to_node(shape_on(grid), parent_transform=bent)
    assert scene.GetNumberOfNodes() == before


def test_vector_and_empty_volumes_are_refused(scene):
    colours = scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "Photo")
    slicer.util.updateVolumeFromArray(colours, np.zeros((3, 4, 5, 3), np.uint8))
    with pytest.raises(InputError, match="Photo has 3 values per voxel"):
        volume_from_node(colours)
    with pytest.raises(InputError, match="Nothing holds no image data"):
        volume_from_node(scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Nothing"))


TYPES = {"int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "float32", "float64"}
KEPT = {**{name: name for name in TYPES}, ">i2": "int16", "bool": "uint8", "float16": "float32"}


@pytest.mark.parametrize(("given", "stored"), sorted(KEPT.items()))
def test_scalar_types_are_kept_or_widened(scene, given, stored):
    array = (np.arange(24).reshape(2, 3, 4) % 2).astype(given)
    back = volume_from_node(volume_to_node(Volume(array, np.eye(4)))).array
    assert back.dtype == stored and np.array_equal(back, array)


def test_a_labelmap_node_and_a_strided_view(scene):
    array = np.arange(240).reshape(8, 6, 5).astype(np.int16)
    node = volume_to_node(Volume(array[::2, ::-1], np.eye(4)), "Labels", labelmap=True)
    assert node.IsA("vtkMRMLLabelMapVolumeNode")
    assert np.array_equal(volume_from_node(node).array, array[::2, ::-1])
