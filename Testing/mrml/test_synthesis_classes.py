"""Classes of a CT as segments, and MRs under transforms as a synthesis reads them."""

from __future__ import annotations

import numpy as np
import pytest
from synthesis_cases import GRID, GRIDS, ct_on, mr_on, tiny_model

from known_shape import matrix
from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.volume import Volume
from SparseToPreciseLib.synthesis.hu import CLASSES, COLORS, classify


@pytest.mark.parametrize("name", [*GRIDS, "straight"])
def test_each_class_is_a_segment_where_it_is_in_the_ct(scene, name: str) -> None:
    from SparseToPreciseLib.mrml.segmentations import segment_to_volume
    from SparseToPreciseLib.mrml.synthesis_nodes import classes_to_segmentation

    labels = classify(ct_on(GRIDS.get(name, GRID)))
    node = classes_to_segmentation(labels, "classes")
    segmentation = node.GetSegmentation()
    assert node.GetName() == "classes" and segmentation.GetNumberOfSegments() == len(CLASSES)
    for label, title in CLASSES.items():
        segment = segmentation.GetSegment(f"Segment_{label}")
        assert segment.GetName() == title and np.allclose(segment.GetColor(), COLORS[label])
        there = segment_to_volume(node, f"Segment_{label}", labels.grid)
        assert np.array_equal(there.array > 0, labels.array == label)


def test_a_class_that_is_not_there_is_no_segment(scene) -> None:
    from SparseToPreciseLib.mrml.synthesis_nodes import classes_to_segmentation

    soft = Volume(np.full((4, 4, 4), 40, np.int16), np.eye(4))
    node = classes_to_segmentation(classify(soft))
    assert list(node.GetSegmentation().GetSegmentIDs()) == ["Segment_2"]


@pytest.mark.parametrize("extension", [".seg.nrrd", ".nii.gz", ".mha"])
def test_written_classes_are_read_again(scene, tmp_path, extension: str) -> None:
    from SparseToPreciseLib.core.images import read_labelmap
    from SparseToPreciseLib.mrml.synthesis_nodes import write_classes

    labels = classify(ct_on(GRIDS["oblique"]))
    write_classes(labels, tmp_path / f"classes{extension}")
    again = read_labelmap(tmp_path / f"classes{extension}")
    assert np.array_equal(again.array, labels.array) and np.allclose(again.ijk_to_ras, labels.ijk_to_ras, atol=1e-4)
    assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0


def test_an_mr_under_a_transform_gets_the_ct_of_the_place_where_it_is_shown(scene, linear, tmp_path) -> None:
    pytest.importorskip("torch")
    from SparseToPreciseLib.mrml.volumes import volume_from_node, volume_to_node
    from SparseToPreciseLib.synthesis.model import load_model
    from SparseToPreciseLib.synthesis.synthesize import synthesize

    turn = matrix((10, -5, 20), origin=(30, -12, 8))
    mr = mr_on(GRID)
    moved = Volume(mr.array, np.linalg.inv(turn) @ mr.ijk_to_ras, "MR")
    node = volume_to_node(moved)
    node.SetAndObserveTransformNodeID(linear(turn).GetID())
    seen = volume_from_node(node)
    assert np.allclose(seen.ijk_to_ras, mr.ijk_to_ras, atol=1e-4)
    model = load_model(tiny_model(tmp_path / "tiny"), "cpu")
    there, straight = synthesize(seen, model).ct, synthesize(mr, model).ct
    assert there.ijk_to_ras.tobytes() == seen.ijk_to_ras.tobytes()
    assert np.abs(there.array.astype(int) - straight.array).max() <= 2


def test_an_mr_under_a_bent_transform_is_refused(scene, bent) -> None:
    from SparseToPreciseLib.mrml.volumes import volume_from_node, volume_to_node

    node = volume_to_node(mr_on(GRID))
    node.SetAndObserveTransformNodeID(bent.GetID())
    with pytest.raises(InputError, match="non-linear transform Bent; harden"):
        volume_from_node(node)
