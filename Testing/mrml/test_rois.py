"""ROI nodes and boxes: rotated, under transforms, from segments, in files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from known_shape import GRIDS, SHAPE_KJI, matrix, shape_on
from SparseToPreciseLib.core.box import Box
from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.volume import Grid

pytest.importorskip("slicer")

from SparseToPreciseLib.core.markups import read_box
from SparseToPreciseLib.mrml import files
from SparseToPreciseLib.mrml.headless import logic
from SparseToPreciseLib.mrml.labelmaps import segmentation_from_labelmap
from SparseToPreciseLib.mrml.rois import (
    box_from_roi,
    box_from_segment,
    copy_roi,
    place_roi,
    read_roi,
    roi_from_box,
    write_roi,
)
from SparseToPreciseLib.mrml.volumes import array_to_matrix

BOX = Box([12.0, -7.0, 31.0], matrix((20, -15, 35))[:3, :3], [10.0, 25.0, 40.0])
PARENTS = {
    "rigid": matrix((10, 40, -25), origin=(3, -20, 8)),
    "similarity": matrix((10, 40, -25), spacing=(2, 2, 2), origin=(3, -20, 8)),
    "mirror": matrix((10, 40, -25), origin=(3, -20, 8), flip=(1, -1, 1)),
}


def same_place(box: Box, other: Box, atol: float = 1e-5) -> bool:
    """Whether two boxes fill the same space, however their axes are numbered or turned."""
    distances = np.linalg.norm(box.corners()[:, None] - other.corners()[None], axis=-1)
    return bool(distances.min(axis=0).max() < atol and distances.min(axis=1).max() < atol)


def write_line(folder: Path, ends: Sequence, kind: str = "Line") -> None:
    """A markup of points in line.mrk.json, as Slicer's users draw a longest diameter."""
    points = [{"id": str(n), "label": f"L-{n}", "position": list(map(float, end))} for n, end in enumerate(ends)]
    markup = {"type": kind, "coordinateSystem": "RAS", "controlPoints": points}
    (folder / "line.mrk.json").write_text(json.dumps({"markups": [markup]}))


def test_there_and_back(scene) -> None:
    node = roi_from_box(BOX, "Loose", color=(0.1, 0.6, 0.2))
    box = box_from_roi(node)
    np.testing.assert_allclose(box.axes, BOX.axes, atol=1e-12)
    np.testing.assert_allclose(box.size, BOX.size)
    assert node.GetName() == "Loose" and node.GetDisplayNode().GetSelectedColor() == (0.1, 0.6, 0.2)
    for point in (BOX.from_box([4.9, 0, 0]), BOX.from_box([0, -12.4, 19.9])):
        assert node.IsPointInROIWorld(point.tolist())
    for point in (BOX.from_box([5.1, 0, 0]), BOX.from_box([0, -12.6, 19.9])):
        assert not node.IsPointInROIWorld(point.tolist())


@pytest.mark.parametrize("name", PARENTS)
def test_under_a_transform_it_is_where_slicer_shows_it(scene, linear, name: str) -> None:
    parent = linear(PARENTS[name], linear(matrix((5, 0, 0), origin=(0, 0, 100))))
    node = roi_from_box(BOX, parent_transform=parent)
    assert same_place(box_from_roi(node), BOX)
    shown = [0.0] * 6
    node.GetRASBounds(shown)
    np.testing.assert_allclose(np.reshape(shown, (3, 2)), BOX.bounds_ras, atol=1e-6)


@pytest.mark.parametrize("name", PARENTS)
def test_a_transform_moves_the_box(scene, linear, name: str) -> None:
    node = roi_from_box(BOX)
    node.SetAndObserveTransformNodeID(linear(PARENTS[name]).GetID())
    corners = BOX.corners() @ PARENTS[name][:3, :3].T + PARENTS[name][:3, 3]
    moved = box_from_roi(node).corners()
    distances = np.linalg.norm(corners[:, None] - moved[None], axis=-1)
    assert distances.min(axis=1).max() < 1e-9 and distances.min(axis=0).max() < 1e-9


def test_a_bounding_box_roi_is_the_box_of_its_points(scene) -> None:
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Points")
    node.SetROIType(node.ROITypeBoundingBox)
    for point in ((0, 0, 0), (10, 5, 3), (2, 8, -4)):
        node.AddControlPoint(*point)
    assert same_place(box_from_roi(node), Box.from_bounds([[0, 10], [0, 8], [-4, 3]]))
    place_roi(node, BOX)
    node.UpdateROIFromControlPoints()
    assert same_place(box_from_roi(node), BOX)


def test_placing_keeps_the_node_under_its_transform(scene, linear) -> None:
    parent = linear(PARENTS["similarity"])
    node = roi_from_box(BOX, "Mine", parent_transform=parent)
    smaller = BOX.shrunk([1, 2, 3], [0, 4, 5])
    place_roi(node, smaller)
    assert same_place(box_from_roi(node), smaller)
    assert node.GetParentTransformNode() is parent


@pytest.mark.parametrize("turn", [np.eye(4), matrix((20, -15, 35))])
def test_a_copy_of_a_bounding_box_roi_keeps_its_points(scene, turn) -> None:
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Points")
    node.SetROIType(node.ROITypeBoundingBox)
    node.SetAndObserveObjectToNodeMatrix(array_to_matrix(turn))
    for point in ((0, 0, 0), (10, 5, 3), (2, 8, -4)):
        node.AddControlPoint(*point)
    copy = roi_from_box(BOX)
    copy_roi(node, copy)
    assert copy.GetROIType() == node.ROITypeBoundingBox and copy.GetNumberOfControlPoints() == 3
    assert same_place(box_from_roi(copy), box_from_roi(node))
    copy_roi(roi_from_box(BOX), node)
    assert same_place(box_from_roi(node), BOX)


class TestRefusals:
    def test_not_placed(self, scene) -> None:
        node = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "New")
        with pytest.raises(InputError, match="New has not been placed yet"):
            box_from_roi(node)

    def test_another_markup(self, scene) -> None:
        node = scene.AddNewNodeByClass("vtkMRMLMarkupsPlaneNode", "Flat")
        with pytest.raises(InputError, match="Flat is a markup of type Plane; draw the box as an ROI"):
            box_from_roi(node)

    @pytest.mark.parametrize("size", [(0, 5, 5), (5, -5, 5), (5, 5, np.nan)])
    def test_no_volume(self, scene, size) -> None:
        node = roi_from_box(BOX, "Thin")
        node.SetSize(*size)
        with pytest.raises(InputError, match=r"Thin: A box needs three positive lengths \(mm\), not \["):
            box_from_roi(node)

    def test_sheared(self, scene, linear) -> None:
        node = roi_from_box(BOX, "Sheared")
        node.SetAndObserveTransformNodeID(linear(matrix(shear=0.2)).GetID())
        with pytest.raises(InputError, match="Sheared: The axes of the box are not at right angles"):
            box_from_roi(node)
        with pytest.raises(InputError, match="Sheared: The axes of the box are not at right angles"):
            place_roi(node, BOX)

    def test_a_new_node_that_cannot_be_placed_does_not_stay(self, scene, linear) -> None:
        sheared = linear(matrix(shear=0.2))
        with pytest.raises(InputError, match="not at right angles"):
            roi_from_box(BOX, parent_transform=sheared)
        assert scene.GetNumberOfNodesByClass("vtkMRMLMarkupsROINode") == 0

    def test_stretched_along_its_own_axes_is_a_box(self, scene, linear) -> None:
        node = roi_from_box(Box([0, 0, 0], np.eye(3), [2, 3, 4]))
        node.SetAndObserveTransformNodeID(linear(matrix(spacing=(2, 1, 0.5))).GetID())
        np.testing.assert_allclose(box_from_roi(node).size, [4, 3, 2])

    def test_bent(self, scene, bent) -> None:
        node = roi_from_box(BOX, "Loose")
        node.SetAndObserveTransformNodeID(bent.GetID())
        with pytest.raises(InputError, match="Loose is under the non-linear transform Bent"):
            box_from_roi(node)
        with pytest.raises(InputError, match="Loose is under the non-linear transform Bent"):
            place_roi(node, BOX)


@pytest.mark.parametrize("name", GRIDS)
def test_a_segment_s_box_holds_it_tightly_along_its_image(scene, linear, name: str) -> None:
    mask = shape_on(Grid(SHAPE_KJI, GRIDS[name]))
    node = segmentation_from_labelmap(mask, "Organs")
    node.SetAndObserveTransformNodeID(linear(PARENTS["rigid"]).GetID())
    box = box_from_segment(node, "Segment_1")
    k, j, i = (np.flatnonzero(mask.array.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1)))
    edges = [(along[0] - 0.5, along[-1] + 0.5) for along in (i, j, k)]
    corners = mask.grid.to_ras(np.stack(np.meshgrid(*edges), axis=-1).reshape(-1, 3))
    corners = corners @ PARENTS["rigid"][:3, :3].T + PARENTS["rigid"][:3, 3]
    np.testing.assert_allclose(np.sort(np.abs(box.to_box(corners)), axis=0)[0], box.size / 2, atol=1e-6)
    assert box.contains(corners, 1e-6).all()


class TestFiles:
    def test_written_and_read(self, scene, tmp_path: Path) -> None:
        path = write_roi(roi_from_box(BOX, "Loose", color=(0.1, 0.6, 0.2)), tmp_path / "mine.mrk.json")
        node = read_roi(path)
        np.testing.assert_allclose(box_from_roi(node).axes, BOX.axes, atol=1e-9)
        assert same_place(box_from_roi(node), BOX)
        assert node.GetName() == "mine"
        assert node.GetDisplayNode().GetSelectedColor() == pytest.approx((0.1, 0.6, 0.2))
        assert [item.name for item in tmp_path.iterdir()] == ["mine.mrk.json"]

    def test_a_file_in_ras(self, scene, tmp_path: Path) -> None:
        path = write_roi(roi_from_box(BOX), tmp_path / "lps.mrk.json")
        content = json.loads(path.read_text())
        markup = content["markups"][0]
        markup["coordinateSystem"] = "RAS"
        for point in (markup["center"], markup["controlPoints"][0]["position"]):
            point[:2] = [-value for value in point[:2]]
        markup["orientation"][:6] = [-value for value in markup["orientation"][:6]]
        (tmp_path / "ras.mrk.json").write_text(json.dumps(content))
        assert same_place(box_from_roi(read_roi(tmp_path / "ras.mrk.json")), BOX)

    @pytest.mark.parametrize("kind", ["Box", "BoundingBox"])
    def test_an_roi_whose_centre_is_elsewhere_lies_where_slicer_shows_it(self, scene, tmp_path: Path, kind) -> None:
        points = [{"position": position} for position in ([9.0, 8.0, 7.0], [0.0, 1.0, 2.0])]
        path = self.changed(tmp_path, roiType=kind, controlPoints=points if kind == "BoundingBox" else points[:1])
        shown = scene.GetNodeByID(logic("Markups").LoadMarkups(str(path), "shown"))
        box = box_from_roi(shown)
        assert not np.allclose(box.center, BOX.center)
        assert same_place(read_box(path), box) and same_place(box_from_roi(read_roi(path)), box)

    def test_how_it_is_drawn_survives(self, scene, tmp_path: Path) -> None:
        node = roi_from_box(BOX, "Loose", color=(0.1, 0.6, 0.2))
        node.GetDisplayNode().SetOpacity(0.25)
        node.GetDisplayNode().SetPropertiesLabelVisibility(False)
        node.SetInsideOut(True)
        node.SetNthControlPointLabel(0, "kidney")
        again = read_roi(write_roi(node, tmp_path / "a.mrk.json"))
        assert again.GetDisplayNode().GetOpacity() == 0.25 and again.GetInsideOut()
        assert not again.GetDisplayNode().GetPropertiesLabelVisibility()
        assert again.GetNthControlPointLabel(0) == "kidney"

    @pytest.mark.parametrize("name", ["labels.nii.gz", "labels.nrrd", "labels.seg.nrrd"])
    def test_the_bounding_box_of_a_label(self, scene, tmp_path: Path, name: str) -> None:
        mask = shape_on(Grid(SHAPE_KJI, GRIDS["oblique"]))
        labels = mask.with_array(np.where(mask.array, 3, 0).astype(np.uint8))
        labels.array[0, 0, 0] = 7
        node = segmentation_from_labelmap(labels)
        files.write_segmentation(node, tmp_path / name)
        roi = read_roi(tmp_path / name, "3")
        assert same_place(box_from_roi(roi), Box.bounding(mask), 1e-4)
        assert roi.GetName() == "Segment_3"
        with pytest.raises(InputError, match="labels has 2 segments; name one of them"):
            read_roi(tmp_path / name)

    def changed(self, folder: Path, **values: object) -> Path:
        path = write_roi(roi_from_box(BOX), folder / "good.mrk.json")
        content = json.loads(path.read_text())
        content["markups"][0] |= values
        (folder / "bad.mrk.json").write_text(json.dumps(content))
        return folder / "bad.mrk.json"

    @pytest.mark.parametrize(
        ("values", "words"),
        [
            ({"size": [0, 1, 2]}, r"bad.mrk.json: A box needs three positive lengths \(mm\), not \[0.0, 1.0, 2.0"),
            ({"size": [4, -1, 2]}, r"not \[4.0, -1.0, 2.0\]"),
            ({"size": [4, 2]}, r"\(its size is \[4, 2\], not 3 numbers\)"),
            ({"coordinateSystem": "IJK"}, 'its coordinate system is "IJK", neither LPS nor RAS'),
            ({"coordinateUnits": "um"}, 'its coordinates are in "um" instead of mm'),
            ({"size": [4, float("nan"), 2]}, r"bad.mrk.json: .*not \[4.0, nan, 2.0\]"),
            ({"center": [4, 1]}, r"could not be read as a markup \(its center is \[4, 1\], not 3 numbers\); save the"),
            ({"orientation": [1, 0.3, 0, 0, 1, 0, 0, 0, 1]}, "bad.mrk.json: The axes .* not at right angles"),
            ({"orientation": [0] * 9}, "bad.mrk.json: The box's matrix .* is singular"),
            ({"roiType": "Sphere"}, "bad.mrk.json: It is an ROI of the type \"Sphere\", which is not known"),
            ({"type": "Plane"}, "bad.mrk.json holds a markup of type Plane; draw the box as an ROI"),
        ],
    )
    def test_what_is_no_box(self, scene, tmp_path: Path, values: dict, words: str) -> None:
        with pytest.raises(InputError, match=words):
            read_roi(self.changed(tmp_path, **values))
        assert scene.GetNumberOfNodesByClass("vtkMRMLMarkupsNode") == 1  # the good one

    def test_what_is_no_file_with_a_box(self, scene, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="none.mrk.json does not exist"):
            read_roi(tmp_path / "none.mrk.json")
        with pytest.raises(InputError, match="a box is stored as .mrk.json, .seg.nrrd, .nrrd"):
            read_roi(tmp_path / "box.txt")
        for text in ("", "{", "[]", '{"markups": 3}', '{"markups": [3]}'):
            (tmp_path / "text.mrk.json").write_text(text)
            with pytest.raises(InputError, match="text.mrk.json is"):
                read_roi(tmp_path / "text.mrk.json")
        files.write_stroke(np.zeros((2, 3)), tmp_path / "stroke.mrk.json")
        with pytest.raises(InputError, match="stroke.mrk.json holds a markup of type Curve"):
            read_roi(tmp_path / "stroke.mrk.json")

    @pytest.mark.parametrize("name", ["oblique", "flipped LPS", "anisotropic"])
    @pytest.mark.parametrize("kind", ["Line", "Fiducial"])
    def test_a_longest_diameter(self, scene, tmp_path: Path, name: str, kind: str) -> None:
        image = Grid(SHAPE_KJI, GRIDS[name])
        middle = image.to_ras((np.array(SHAPE_KJI[::-1]) - 1) / 2)
        length = 0.3 * (np.array(SHAPE_KJI[::-1]) * image.spacing).min()
        ends = middle + np.outer([-0.5, 0.5], np.array([0.6, 0.0, 0.8]) * length)
        write_line(tmp_path, ends, kind)
        box = box_from_roi(read_roi(tmp_path / "line.mrk.json", image=image))
        assert np.allclose(box.center, middle) and np.allclose(box.size, 1.2 * length)
        assert np.allclose(np.abs(box.axes.T @ image.ijk_to_ras[:3, :3] / image.spacing), np.eye(3), atol=1e-6)
        with pytest.raises(InputError, match=f"line.mrk.json holds a markup of type {kind}; draw the box as an ROI"):
            read_roi(tmp_path / "line.mrk.json")

    def test_a_diameter_near_the_border_ends_with_the_image(self, scene, tmp_path: Path) -> None:
        image = Grid(SHAPE_KJI, GRIDS["oblique"])
        ends = image.to_ras([[0.0, 4.0, 4.0], [6.0, 4.0, 4.0]])
        write_line(tmp_path, ends)
        box = box_from_roi(read_roi(tmp_path / "line.mrk.json", image=image))
        corners = image.to_ijk(box.corners())
        assert corners.min() == pytest.approx(-0.5) and box.volume_mm3 < (1.2 * 6 * image.spacing[0]) ** 3

    @pytest.mark.parametrize(
        ("ends", "words"),
        [
            ([[0, 0, 0]], r"has 1 placed point\(s\); a box is made of two, the ends of the longest diameter"),
            ([[0, 0, 0], [1, 0, 0], [2, 0, 0]], r"has 3 placed point\(s\)"),
            ([[1, 2, 3], [1, 2, 3]], "lie at the same place"),
        ],
    )
    def test_what_is_no_diameter(self, scene, tmp_path: Path, ends: list, words: str) -> None:
        write_line(tmp_path, ends, "Fiducial")
        with pytest.raises(InputError, match=words):
            read_roi(tmp_path / "line.mrk.json", image=Grid(SHAPE_KJI, GRIDS["oblique"]))

    def test_an_empty_label(self, scene, tmp_path: Path) -> None:
        mask = shape_on(Grid(SHAPE_KJI, GRIDS["oblique"]))
        files.write_volume(mask.with_array(mask.array * 0), tmp_path / "zero.nrrd")
        with pytest.raises(InputError, match="zero has no segments"):
            read_roi(tmp_path / "zero.nrrd")

    def test_other_formats_are_not_written(self, scene, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="an ROI is stored as .mrk.json"):
            write_roi(roi_from_box(BOX), tmp_path / "box.json")
