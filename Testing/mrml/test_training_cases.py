"""Segmentations of the scene on disk as training cases, and the curve of a training as nodes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from known_shape import GRIDS, SHAPE_KJI, matrix, shape_on
from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.volume import Grid, Volume
from SparseToPreciseLib.mrml.labelmaps import segmentation_from_labelmap
from SparseToPreciseLib.mrml.plots import GrowingPlot
from SparseToPreciseLib.mrml.segmentations import new_segment, segment_to_volume, volume_to_segment
from SparseToPreciseLib.mrml.training_cases import (
    images_of_scene,
    read_case,
    segmentations_of_scene,
    write_case,
    write_datalist,
)
from SparseToPreciseLib.mrml.volumes import volume_from_node, volume_to_node
from SparseToPreciseLib.tasks.datalist import read_datalist

OTHER = Grid(SHAPE_KJI, GRIDS["anisotropic"])


def nodes_on(grid: Grid, segments: Grid = OTHER):
    noise = np.random.default_rng(4).normal(0, 50, grid.shape).astype(np.int16)
    image = volume_to_node(Volume(noise, grid.ijk_to_ras, "image"))
    return image, segmentation_from_labelmap(shape_on(segments), "Organs")


def test_cases_come_back_where_they_were_shown(scene, grid: Grid, linear, tmp_path: Path) -> None:
    image, segmentation = nodes_on(grid)
    second = new_segment(segmentation, "second")
    volume_to_segment(shape_on(OTHER, shift=(5, 0, 0)), segmentation, second)
    image.SetAndObserveTransformNodeID(linear(matrix((5, 10, -20), origin=(3, 4, 5))).GetID())
    segmentation.SetAndObserveTransformNodeID(linear(matrix((-30, 10, 4), (1, 1.2, 1), (9, 0, 1))).GetID())
    entries = [write_case(read_case(segmentation, image), tmp_path, number) for number in range(2)]
    cases = list(read_datalist(write_datalist(entries, tmp_path))["cases"])
    assert len(cases) == 2
    for there, labels in cases:
        shown = volume_from_node(image)
        np.testing.assert_array_equal(there.array, shown.array)
        np.testing.assert_allclose(there.ijk_to_ras, shown.ijk_to_ras, atol=1e-6)
        first = segment_to_volume(segmentation, "Segment_1", labels.grid).array.astype(bool)
        later = segment_to_volume(segmentation, second, labels.grid).array.astype(bool)
        assert (first & later).any()
        np.testing.assert_array_equal(labels.array, np.where(later, 2, first))


def test_the_list_names_files_relative_to_itself(scene, tmp_path: Path) -> None:
    image, segmentation = nodes_on(OTHER)
    path = write_datalist([write_case(read_case(segmentation, image), tmp_path, 0)], tmp_path)
    (entry,) = json.loads(path.read_text())["training"]
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted([path.name, *entry.values()])


def test_segmentations_know_their_image(scene) -> None:
    image, segmentation = nodes_on(OTHER)
    lonely = segmentation_from_labelmap(shape_on(OTHER), "Lonely")
    scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "No segments")
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(image)
    assert segmentations_of_scene() == [(segmentation, image), (lonely, None)]


def test_what_cannot_be_trained_on_is_refused(scene, bent) -> None:
    image, segmentation = nodes_on(OTHER)
    with pytest.raises(InputError, match="Organs has no image"):
        read_case(segmentation, None)
    empty = segmentation_from_labelmap(shape_on(OTHER).with_array(np.zeros(OTHER.shape, np.uint8)), "Empty")
    new_segment(empty, "nothing")
    with pytest.raises(InputError, match="Empty has only empty segments"):
        read_case(empty, image)
    image.SetAndObserveTransformNodeID(bent.GetID())
    with pytest.raises(InputError, match="non-linear"):
        read_case(segmentation, image)


ROW = {"steps": 10, "minutes": 0.5, "training_loss": None, "validation_loss": 0.25, "dice": 0.5}


def test_a_plot_grows(scene) -> None:
    curves = {"validation_loss": "validation loss", "training_loss": "training loss"}
    plot = GrowingPlot("Training of mine", ("steps", "steps"), curves)
    assert not plot.add(ROW)  # before the first step there is no training loss
    assert plot.add(ROW | {"training_loss": 0.5})
    assert plot.chart.GetXAxisRange() == pytest.approx((9.5, 10.5))  # one point
    assert plot.add(ROW | {"steps": 20, "training_loss": 0.125})
    table = plot.table.GetTable()
    rows = [[table.GetValue(row, c).ToDouble() for c in range(3)] for row in range(table.GetNumberOfRows())]
    assert rows == [[10, 0.25, 0.5], [20, 0.25, 0.125]]
    assert plot.chart.GetNumberOfPlotSeriesNodes() == 2
    assert plot.chart.GetXAxisRange() == pytest.approx((9.5, 20.5))
    assert plot.chart.GetYAxisRange() == pytest.approx((0.125 - 0.01875, 0.5 + 0.01875))
    assert [one.GetYColumnName() for one in plot.series] == list(curves)


def test_a_plot_survives_the_end_of_the_scene(scene) -> None:
    plot = GrowingPlot("Training", ("steps", "steps"), {"validation_loss": "validation loss"})
    scene.Clear(False)
    assert not plot.alive and not plot.add(ROW)
    plot.remove()
    second = GrowingPlot("Training", ("steps", "steps"), {"validation_loss": "validation loss"})
    second.remove()
    assert scene.GetNumberOfNodesByClass("vtkMRMLPlotSeriesNode") == 0
    assert scene.GetNumberOfNodesByClass("vtkMRMLTableNode") == 0


def test_images_are_volumes_without_labelmaps(scene) -> None:
    first = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
    scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    second = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "MR")
    assert images_of_scene() == [first, second]
