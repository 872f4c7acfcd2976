"""Strokes from markups nodes and back."""

from __future__ import annotations

import numpy as np
import pytest
import slicer

from known_shape import matrix
from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.mrml.markups import stroke_from_node, stroke_to_node

POINTS = np.array([[0.0, 1.0, 2.0], [10.0, 1.0, 2.0], [10.0, 8.5, 2.5], [4.0, 9.0, -3.25]])
MOVED = matrix((10, 20, 30), (1, 1, 1), (5, -6, 7))


def moved(points: np.ndarray) -> np.ndarray:
    return points @ MOVED[:3, :3].T + MOVED[:3, 3]


def test_a_point_list_gives_its_control_points(scene):
    assert np.array_equal(stroke_from_node(stroke_to_node(POINTS, curve=False)), POINTS)


def test_a_drawn_curve_goes_straight_through_its_points(scene):
    node = stroke_to_node(POINTS, "drawn")
    stroke = stroke_from_node(node)
    assert len(stroke) > len(POINTS)
    for point in POINTS:
        assert np.linalg.norm(stroke - point, axis=1).min() < 1e-6
    length = np.linalg.norm(np.diff(stroke, axis=0), axis=1).sum()
    assert length == pytest.approx(np.linalg.norm(np.diff(POINTS, axis=0), axis=1).sum(), rel=1e-6)


@pytest.mark.parametrize("node_class", ["vtkMRMLMarkupsCurveNode", "vtkMRMLMarkupsClosedCurveNode"])
def test_a_curve_gives_its_interpolated_points(scene, node_class):
    node = scene.AddNewNodeByClass(node_class)
    for angle in np.linspace(0, 2 * np.pi, 8, endpoint=False):
        node.AddControlPoint(20 * np.cos(angle), 20 * np.sin(angle), 5)
    stroke = stroke_from_node(node)
    assert np.array_equal(stroke, slicer.util.arrayFromMarkupsCurvePoints(node, world=True))
    # the chords between the control points lie up to 1.5 mm inside the circle, the spline does not
    assert np.abs(np.linalg.norm(stroke[:, :2], axis=1) - 20).max() < 1
    closed = np.linalg.norm(stroke[0] - stroke[-1]) < 1
    assert closed == (node_class == "vtkMRMLMarkupsClosedCurveNode")


@pytest.mark.parametrize("curve", [True, False])
def test_parent_transforms_are_honoured_both_ways(scene, linear, curve):
    plain = stroke_from_node(stroke_to_node(POINTS, curve=curve))
    node = stroke_to_node(POINTS, curve=curve)
    node.SetAndObserveTransformNodeID(linear(MOVED).GetID())
    assert np.allclose(stroke_from_node(node), moved(plain), atol=1e-6)
    under = stroke_to_node(POINTS, curve=curve, parent_transform=linear(MOVED))
    assert np.allclose(stroke_from_node(under), plain, atol=1e-6)


def test_points_follow_a_non_linear_transform(scene, bent):
    node = stroke_to_node(POINTS, curve=False)
    node.SetAndObserveTransformNodeID(bent.GetID())
    stroke = stroke_from_node(node)
    assert np.isfinite(stroke).all() and np.abs(stroke - POINTS).max() > 0.1


@pytest.mark.parametrize("curve", [True, False])
def test_points_that_are_not_placed_are_skipped(scene, curve):
    node = stroke_to_node(POINTS, curve=curve)
    node.UnsetNthControlPointPosition(2)
    expected = stroke_from_node(stroke_to_node(np.delete(POINTS, 2, axis=0), curve=curve))
    assert np.allclose(stroke_from_node(node), expected, atol=1e-6)


@pytest.mark.parametrize("curve", [True, False])
@pytest.mark.parametrize("count", [0, 1])
def test_too_few_points_come_back_as_they_are(scene, curve, count):
    stroke = stroke_from_node(stroke_to_node(POINTS[:count], curve=curve))
    assert stroke.shape == (count, 3) and np.array_equal(stroke, POINTS[:count])


@pytest.mark.parametrize("curve", [True, False])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_position_that_is_not_finite_is_named(scene, curve, value):
    node = stroke_to_node(POINTS, "Scribble", curve=curve)
    node.SetNthControlPointPosition(1, value, 0, 0)
    with pytest.raises(InputError, match=r"Control point 2 of Scribble has the position \((nan|inf), 0.0, 0.0\)"):
        stroke_from_node(node)
    with pytest.raises(InputError, match="finite points of shape"):
        stroke_to_node(np.array([[0, value, 0]]))


def test_lines_are_strokes_and_other_markups_are_not(scene):
    line = scene.AddNewNodeByClass("vtkMRMLMarkupsLineNode")
    line.AddControlPoint(1, 2, 3)
    line.AddControlPoint(4, 5, 6)
    assert np.array_equal(stroke_from_node(line), [[1, 2, 3], [4, 5, 6]])
    box = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Box")
    with pytest.raises(InputError, match="Box is a markup of type ROI; draw the stroke as a curve or a point list"):
        stroke_from_node(box)
