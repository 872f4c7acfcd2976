"""Markups in files: what Slicer's own readers take for something else, or end the process on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.markups import read_box, read_markup

VERSION = "# Markups fiducial file version = 5.0\n"
ROW = "1,1,2,3,0,0,0,1,1,1,0,F-1,here,,2,0"
SEEN = {"RAS": [1, 2, 3], "LPS": [-1, -2, 3]}


def fcsv(folder: Path, text: str) -> Path:
    path = folder / "s.fcsv"
    path.write_text(text, encoding="utf-8")
    return path


def in_json(folder: Path, **values: object) -> Path:
    path = folder / "s.mrk.json"
    markup = {"type": "Fiducial", "controlPoints": [{"position": [1, 2, 3], "label": "F-1"}]} | values
    path.write_text(json.dumps({"markups": [{k: v for k, v in markup.items() if v != "absent"}]}), encoding="utf-8")
    return path


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_markup(path, "a stroke")
    sentence = str(caught.value)
    assert "\n" not in sentence and sentence.startswith(str(path)) and sentence.endswith("save the stroke again.")
    return sentence


class TestCoordinateSystems:
    @pytest.mark.parametrize(
        ("said", "system"),
        [
            ("LPS", "LPS"), ("RAS", "RAS"), ("1", "LPS"), ("0", "RAS"), ("LPS,,,,,,,,,,,,,", "LPS"), (" lps ", "LPS"),
            ("Ras\t", "RAS"), ("0,,,", "RAS"),
        ],
    )  # fmt: skip
    def test_fcsv(self, tmp_path: Path, said: str, system: str) -> None:
        (point,) = read_markup(fcsv(tmp_path, f"{VERSION}# CoordinateSystem = {said}\n{ROW}\n")).points
        assert point.position.tolist() == SEEN[system]
        assert (point.label, point.description) == ("F-1", "here")

    def test_a_spreadsheet_s_file(self, tmp_path: Path) -> None:
        """Every line has as many commas as the longest, and a byte-order mark stands before the first."""
        text = f"\ufeff{VERSION.strip()},,,,,,,\r\n# CoordinateSystem = LPS,,,,,,,\r\n{ROW}\r\n,,,,,,,\r\n"
        (point,) = read_markup(fcsv(tmp_path, text)).points
        assert point.position.tolist() == SEEN["LPS"]

    def test_fcsv_that_does_not_say_it(self, tmp_path: Path) -> None:
        assert read_markup(fcsv(tmp_path, f"{VERSION}{ROW}\n")).points[0].position.tolist() == SEEN["LPS"]
        (point,) = read_markup(fcsv(tmp_path, "nose,1,2,3,1,1\n")).points
        assert point.position.tolist() == SEEN["RAS"] and point.label == "nose"

    @pytest.mark.parametrize(("said", "system"), [("LPS", "LPS"), ("lps", "LPS"), (" RAS ", "RAS"), ("absent", "LPS")])
    def test_json(self, tmp_path: Path, said: str, system: str) -> None:
        (point,) = read_markup(in_json(tmp_path, coordinateSystem=said)).points
        assert point.position.tolist() == SEEN[system]

    @pytest.mark.parametrize("said", ["IJK", "2", "XYZ", "LPS RAS", ""])
    def test_what_is_unknown_is_refused_by_name(self, tmp_path: Path, said: str) -> None:
        assert f'"{said}", neither LPS nor RAS' in refused(in_json(tmp_path, coordinateSystem=said))
        assert f'"{said}", neither LPS nor RAS' in refused(
            fcsv(tmp_path, f"{VERSION}# CoordinateSystem = {said}\n{ROW}\n")
        )

    @pytest.mark.parametrize("said", [None, 1, ["LPS"], {}])
    def test_json_of_another_kind(self, tmp_path: Path, said: object) -> None:
        assert "neither LPS nor RAS" in refused(in_json(tmp_path, coordinateSystem=said))

    def test_units(self, tmp_path: Path) -> None:
        for known in ("mm", ["mm", "UCUM", "millimeter"]):
            assert len(read_markup(in_json(tmp_path, coordinateUnits=known)).points) == 1
        assert 'in "um" instead of mm' in refused(in_json(tmp_path, coordinateUnits="um"))


@pytest.mark.parametrize("kind", ["absent", None, 3, "", "Nonsense", ["Curve"], {}])
def test_a_markup_without_a_known_type_is_refused(tmp_path: Path, kind: object) -> None:
    said = "null" if kind == "absent" else json.dumps(kind)
    assert f"could not be read as a markup (its type is {said})" in refused(in_json(tmp_path, type=kind))


@pytest.mark.parametrize(
    ("points", "words"),
    [
        (None, "its control points are null"),
        ([3], "its control points are [3]"),
        ([{"position": [1, 2]}], "the position of point 1 is [1, 2], not 3 numbers"),
        ([{"position": [1, 2, True]}], "not 3 numbers"),
        ([{"position": [1, 2, "3"]}], "not 3 numbers"),
        ([{"position": [1, 2, 10**400]}], "too large"),
        ([{"position": [1, 2, 3], "positionStatus": 2}], "the status of point 1 is 2"),
    ],
)
def test_points_that_are_none(tmp_path: Path, points: object, words: str) -> None:
    assert words in refused(in_json(tmp_path, controlPoints=points))


def test_points_that_are_not_placed(tmp_path: Path) -> None:
    rows = [{"position": [1, 2, 3], "positionStatus": "undefined"}, {"label": 7}]
    rows.append({"position": [4, 5, 6], "label": None})
    points = read_markup(in_json(tmp_path, controlPoints=rows)).points
    assert [point.position is None for point in points] == [True, True, False]
    assert [point.label for point in points] == ["", "7", ""]
    text = f"{VERSION}{ROW}\n{ROW[:-3]}0,0\n"
    assert [point.position is None for point in read_markup(fcsv(tmp_path, text)).points] == [False, True]


class TestROI:
    ROI = {
        "type": "ROI", "center": [1, 2, 3], "size": [4, 5, 6], "orientation": [-1, 0, 0, 0, -1, 0, 0, 0, 1],
        "controlPoints": [{"position": [1, 2, 3]}],
    }  # fmt: skip

    def test_a_box(self, tmp_path: Path) -> None:
        box = read_box(in_json(tmp_path, **self.ROI))
        assert box.center.tolist() == [-1, -2, 3] and box.size.tolist() == [4, 5, 6]
        box = read_box(in_json(tmp_path, **self.ROI, coordinateSystem="ras"))
        assert box.center.tolist() == [1, 2, 3] and np.allclose(np.abs(box.axes), np.eye(3))

    def test_without_control_points_it_lies_at_its_center(self, tmp_path: Path) -> None:
        assert read_box(in_json(tmp_path, **self.ROI | {"controlPoints": "absent"})).center.tolist() == [-1, -2, 3]

    def test_not_placed(self, tmp_path: Path) -> None:
        points = [{"position": [1, 2, 3], "positionStatus": "undefined"}]
        with pytest.raises(InputError, match="has not been placed yet"):
            read_box(in_json(tmp_path, **self.ROI | {"controlPoints": points}))

    @pytest.mark.parametrize("name", ["size", "orientation"])
    def test_what_is_missing_is_named(self, tmp_path: Path, name: str) -> None:
        assert f"its {name} is null" in refused(in_json(tmp_path, **self.ROI | {name: "absent"}))

    def test_another_markup(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="holds a markup of type Fiducial; draw the box as an ROI"):
            read_box(in_json(tmp_path))
