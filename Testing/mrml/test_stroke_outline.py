"""What is drawn on a slice view while a stroke is drawn: its line, and the band in which voxels may change."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk.util.numpy_support
from edit_cases import distance_to_polyline, rotation

from SparseToPreciseLib.mrml.stroke_outline import band, line, pixel_size, points_in_view
from SparseToPreciseLib.mrml.volumes import array_to_matrix, matrix_to_array


def vertices(polydata) -> np.ndarray:
    return vtk.util.numpy_support.vtk_to_numpy(polydata.GetPoints().GetData())[:, :2].astype(float)


@pytest.mark.parametrize("radius", [3.0, 25.0, 200.0])
@pytest.mark.parametrize("kind", ["point", "straight", "bent", "long"])
def test_the_band_lies_at_the_radius_from_the_line(radius, kind) -> None:
    angles = np.linspace(0, 4, 60)
    points = {
        "point": np.array([[120.0, 80.0]]),
        "straight": np.array([[10.0, 10.0], [110.0, 40.0]]),
        "bent": 200 + 60 * np.stack([np.cos(angles), np.sin(angles)], axis=1),
        "long": np.stack([np.linspace(0, 900, 400), 300 + 50 * np.sin(np.linspace(0, 9, 400))], axis=1),
    }[kind]
    outline = band(points, radius)
    found = vertices(outline)
    # Within a cell of the sampling grid.
    flat = np.pad(points if len(points) > 1 else points.repeat(2, axis=0), ((0, 0), (0, 1)))
    distance = distance_to_polyline(np.pad(found, ((0, 0), (0, 1))), flat)
    assert np.abs(distance - radius).max() < max(0.1 * radius, 1.0)
    assert outline.GetNumberOfLines() == len(found)  # closed curves
    for axis in (0, 1):
        assert found[:, axis].min() == pytest.approx(points[:, axis].min() - radius, abs=max(0.1 * radius, 1.0))
        assert found[:, axis].max() == pytest.approx(points[:, axis].max() + radius, abs=max(0.1 * radius, 1.0))


def test_nothing_to_draw() -> None:
    assert band(np.empty((0, 2)), 5.0).GetNumberOfPoints() == 0
    assert band(np.array([[1.0, 2.0]]), 0.0).GetNumberOfPoints() == 0
    assert line(np.empty((0, 2))).GetNumberOfLines() == 0
    assert line(np.array([[1.0, 2.0]])).GetNumberOfLines() == 0


def test_the_line_goes_through_its_points() -> None:
    points = np.array([[1.0, 2.0], [3.0, 4.0], [9.0, 4.0]])
    drawn = line(points)
    np.testing.assert_allclose(vertices(drawn), points)
    assert drawn.GetNumberOfLines() == 1


def test_an_oblique_slice_view() -> None:
    node = slicer.vtkMRMLSliceNode()
    node.SetDimensions(400, 300, 1)
    node.SetFieldOfView(200, 150, 1)
    matrix = np.eye(4)
    matrix[:3, :3] = rotation((1, 2, 3), 50)
    matrix[:3, 3] = (5, -7, 11)
    node.GetSliceToRAS().DeepCopy(array_to_matrix(matrix))
    node.UpdateMatrices()
    xy_to_ras = matrix_to_array(node.GetXYToRAS())
    assert pixel_size(node.GetXYToRAS()) == pytest.approx(0.5)
    points = np.array([[10.0, 20.0], [399.0, 0.0]])
    ras = np.c_[points, np.zeros(2), np.ones(2)] @ xy_to_ras.T
    np.testing.assert_allclose(points_in_view(ras[:, :3], node.GetXYToRAS()), points, atol=1e-9)
