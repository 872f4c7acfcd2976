"""An edit on nodes under parent transforms gives what it gives without them, carried along."""

from __future__ import annotations

import numpy as np
from edit_cases import INFLUENCE, case_on, rotation

from cli_files import GRID
from SparseToPreciseLib.core.masks import dice
from SparseToPreciseLib.core.volume import Volume
from SparseToPreciseLib.editing.edit import edit
from SparseToPreciseLib.mrml.labelmaps import segmentation_from_labelmap
from SparseToPreciseLib.mrml.markups import stroke_from_node, stroke_to_node
from SparseToPreciseLib.mrml.segmentations import segment_to_volume, volume_to_segment
from SparseToPreciseLib.mrml.volumes import volume_from_node, volume_to_node


def moved(degrees: float, shift: tuple[float, float, float]) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = rotation((3, -1, 2), degrees)
    matrix[:3, 3] = shift
    return matrix


def test_an_edit_under_different_transforms_of_image_segmentation_and_stroke(scene, linear) -> None:
    case = case_on(GRID)
    expected = edit(case.image, case.before, case.stroke, INFLUENCE).segmentation
    whole = moved(25, (10, -20, 30))  # where everything lies in the end
    for_image, for_segments = moved(-40, (5, 0, 90)), moved(70, (-60, 8, 0))

    image = volume_to_node(Volume(case.image.array, np.linalg.inv(for_image) @ whole @ GRID.ijk_to_ras))
    image.SetAndObserveTransformNodeID(linear(for_image).GetID())
    segmentation = segmentation_from_labelmap(
        Volume(case.before.array, np.linalg.inv(for_segments) @ whole @ GRID.ijk_to_ras, "ball")
    )
    segmentation.SetAndObserveTransformNodeID(linear(for_segments).GetID())
    stroke = stroke_to_node(case.stroke)
    stroke.SetAndObserveTransformNodeID(linear(whole).GetID())

    segment = segment_to_volume(segmentation, "Segment_1")
    result = edit(volume_from_node(image), segment, stroke_from_node(stroke), INFLUENCE)
    volume_to_segment(result.segmentation, segmentation, "Segment_1")
    after = segment_to_volume(segmentation, "Segment_1")
    np.testing.assert_allclose(after.ijk_to_ras, whole @ GRID.ijk_to_ras, atol=1e-6)
    dent = (case.truth.array != 0) & (case.before.array == 0)
    assert dice(after.array, expected.array) >= 0.98
    assert dice((after.array != 0) & dent, (expected.array != 0) & dent) >= 0.95
    assert np.count_nonzero((after.array != 0) & dent) > 0.7 * np.count_nonzero(dent)
