"""What the module One-shot Landmarks computes and shows, without its panel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("slicer")
pytest.importorskip("torch")

from landmark_cases import GRIDS, MOVED, TURN, image_on, landmarks

from SparseToPreciseLib.core.errors import Cancelled, InputError
from SparseToPreciseLib.core.progress import Progress
from SparseToPreciseLib.mrml.landmark_lists import landmarks_from_node, landmarks_to_node
from SparseToPreciseLib.mrml.landmarks_nodes import TargetInputs, detect_inputs, read_target, show_found
from SparseToPreciseLib.mrml.volumes import volume_to_node


@pytest.fixture
def inputs(scene) -> TargetInputs:
    image = volume_to_node(image_on(GRIDS["anisotropic"], TURN, MOVED), "CT")
    return read_target(image, landmarks_to_node({"near": MOVED}, "Seed"))


def test_everything_that_was_wanted(inputs, landmark_template: Path) -> None:
    said = []
    progress = Progress(lambda fraction, message: said.append(fraction))
    given = {"template": str(landmark_template), "device": "cpu", "progress": progress}
    answer = detect_inputs(inputs, structure=True, deformation=True, **given)
    points, structure, way = show_found(inputs, answer)
    found = landmarks_from_node(points)
    assert max(np.linalg.norm(found[name] - point) for name, point in landmarks(TURN, MOVED).items()) < 1.8
    assert structure.GetName() == "CT template" and way.GetName() == "template to CT"
    assert said == sorted(said) and said[0] == 0 and said[-1] > 0.5


def test_cancelled_and_refused(inputs, landmark_template: Path, tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        detect_inputs(inputs, template=str(landmark_template), device="cpu", progress=Progress(None, lambda: True))
    with pytest.raises(InputError, match="There is no bundle nothing"):
        detect_inputs(inputs, template="nothing")
    with pytest.raises(InputError, match="is refused: it lacks"):
        detect_inputs(inputs, template=str(tmp_path))
