"""Landmarks as point lists: names, places in the world, unplaced points, files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from known_shape import matrix
from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.landmarks.detect import Landmark
from SparseToPreciseLib.mrml import landmark_lists

POINTS = {"apex": np.array([3.5, -20.25, 7.0]), "round window": np.array([-11.0, 4.5, 60.125])}
FOUND = [Landmark("apex", POINTS["apex"], 0.87), Landmark("window", None, 0.1, "unsure (0.10): because")]


def assert_points(found: dict[str, np.ndarray]) -> None:
    assert list(found) == list(POINTS)
    for name, position in POINTS.items():
        np.testing.assert_allclose(found[name], position, atol=1e-5)


def test_there_and_back(scene) -> None:
    assert_points(landmark_lists.landmarks_from_node(landmark_lists.landmarks_to_node(POINTS)))


def test_under_a_transform_the_world_counts(linear) -> None:
    parent = linear(matrix((10, 20, 30), (2, 1, 1), (5, 6, 7)))
    node = landmark_lists.landmarks_to_node(POINTS, parent_transform=parent)
    own = [0.0] * 3
    node.GetNthControlPointPosition(0, own)
    assert np.abs(np.array(own) - POINTS["apex"]).max() > 1
    assert_points(landmark_lists.landmarks_from_node(node))


def test_under_a_bent_transform_too(scene, bent) -> None:
    node = landmark_lists.landmarks_to_node(POINTS, parent_transform=bent)
    assert_points(landmark_lists.landmarks_from_node(node))


def test_unplaced_points_have_a_name_and_a_reason(scene) -> None:
    node = landmark_lists.landmarks_to_node(FOUND, "ear")
    assert node.GetName() == "ear" and node.GetNumberOfControlPoints() == 2
    assert node.GetNthControlPointPositionStatus(0) == node.PositionDefined
    assert node.GetNthControlPointDescription(0) == "confidence 0.87"
    assert node.GetNthControlPointPositionStatus(1) != node.PositionDefined
    assert node.GetNthControlPointLabel(1) == "window"
    assert "unsure (0.10): because" in node.GetNthControlPointDescription(1)
    assert list(landmark_lists.landmarks_from_node(node)) == ["apex"]


def test_an_unset_point_of_a_reference_is_named(scene, tmp_path: Path) -> None:
    node = landmark_lists.landmarks_to_node(FOUND, "ear")
    with pytest.raises(InputError, match="Landmark window of ear has no position; place it, or delete it"):
        landmark_lists.landmarks_from_node(node, complete=True)
    path = landmark_lists.write_landmarks(node, tmp_path / "ear.mrk.json")
    with pytest.raises(InputError, match=r"Landmark window of .*ear.mrk.json has no position"):
        landmark_lists.read_landmarks(path, complete=True)
    node.RemoveNthControlPoint(1)
    assert list(landmark_lists.landmarks_from_node(node, complete=True)) == ["apex"]


def test_file_keeps_names_places_and_what_is_unplaced(scene, tmp_path: Path) -> None:
    path = tmp_path / "found.mrk.json"
    landmark_lists.write_landmarks(landmark_lists.landmarks_to_node(FOUND), path)
    np.testing.assert_allclose(landmark_lists.read_landmarks(path)["apex"], POINTS["apex"], atol=1e-5)
    points = json.loads(path.read_text())["markups"][0]["controlPoints"]
    assert [point["label"] for point in points] == ["apex", "window"]
    assert points[1]["positionStatus"] != "defined"


@pytest.mark.parametrize("system", ["LPS", "RAS"])
def test_coordinates_of_the_file(scene, tmp_path: Path, system: str) -> None:
    path = tmp_path / "points.mrk.json"
    landmark_lists.write_landmarks(landmark_lists.landmarks_to_node(POINTS), path)
    content = json.loads(path.read_text())
    markup = content["markups"][0]
    assert markup["coordinateSystem"] == "LPS"
    if system == "RAS":
        markup["coordinateSystem"] = "RAS"
        for point in markup["controlPoints"]:
            point["position"] = (np.array(point["position"]) * (-1, -1, 1)).tolist()
        path.write_text(json.dumps(content))
    assert_points(landmark_lists.read_landmarks(path))


def test_fcsv(scene, tmp_path: Path) -> None:
    path = tmp_path / "points.fcsv"
    rows = [f"id{i},{p[0]},{p[1]},{p[2]},0,0,0,1,1,1,0,{n},," for i, (n, p) in enumerate(POINTS.items())]
    head = ["# Markups fiducial file version = 4.10", "# CoordinateSystem = RAS"]
    columns = "# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID"
    path.write_text("\n".join([*head, columns, *rows]))
    assert_points(landmark_lists.read_landmarks(path))


def test_real_landmarks(scene, shared_data: Path) -> None:
    found = landmark_lists.read_landmarks(shared_data / "colin27_afids32.fcsv")
    assert len(found) == 32
    np.testing.assert_allclose(found["2"], (0.31921995625, -23.23456875, -3.72751125))


def test_refused(scene, tmp_path: Path) -> None:
    node = landmark_lists.landmarks_to_node(POINTS)
    node.SetNthControlPointLabel(1, "apex")
    with pytest.raises(InputError, match="two landmarks called 'apex'"):
        landmark_lists.landmarks_from_node(node)
    node.SetNthControlPointLabel(1, " ")
    with pytest.raises(InputError, match="Point 2 of Landmarks has no name"):
        landmark_lists.landmarks_from_node(node)
    curve = scene.AddNewNodeByClass("vtkMRMLMarkupsCurveNode", "c")
    with pytest.raises(InputError, match="c is a markup of type Curve; landmarks are a point list"):
        landmark_lists.landmarks_from_node(curve)
    with pytest.raises(InputError, match="does not exist"):
        landmark_lists.read_landmarks(tmp_path / "none.fcsv")
    (tmp_path / "bad.fcsv").write_text("id,x,y,1\n")
    with pytest.raises(InputError, match="save the landmark list again"):
        landmark_lists.read_landmarks(tmp_path / "bad.fcsv")
    (tmp_path / "bad.mrk.json").write_text("{")
    with pytest.raises(InputError, match="not a valid markups file"):
        landmark_lists.read_landmarks(tmp_path / "bad.mrk.json")
    with pytest.raises(InputError, match="known extension"):
        landmark_lists.write_landmarks(node, tmp_path / "x.txt")


def test_nothing_stays_in_the_scene(scene, tmp_path: Path) -> None:
    path = tmp_path / "points.mrk.json"
    node = landmark_lists.landmarks_to_node(POINTS)
    landmark_lists.write_landmarks(node, path)
    before = scene.GetNumberOfNodesByClass("vtkMRMLMarkupsNode")
    landmark_lists.read_landmarks(path)
    assert scene.GetNumberOfNodesByClass("vtkMRMLMarkupsNode") == before
