"""What the module One-shot Landmarks computes and shows, without its panel."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("slicer")
pytest.importorskip("torch")

from landmark_cases import GRIDS, MOVED, TURN, image_on, landmarks

from SparseToPreciseLib.core.errors import Cancelled, InputError
from SparseToPreciseLib.core.progress import Progress
from SparseToPreciseLib.mrml.landmark_lists import landmarks_from_node, landmarks_to_node
from SparseToPreciseLib.mrml.landmarks_nodes import TargetInputs, read_target
from SparseToPreciseLib.mrml.volumes import volume_to_node

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def jobs(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT / "LandmarkModule")])
    from LandmarkModuleLib import Jobs

    Jobs._template.cache_clear()
    return Jobs


@pytest.fixture
def inputs(scene) -> TargetInputs:
    image = volume_to_node(image_on(GRIDS["anisotropic"], TURN, MOVED), "CT")
    return read_target(image, landmarks_to_node({"near": MOVED}, "Seed"))


def test_everything_that_was_wanted(jobs, inputs, landmark_template: Path) -> None:
    said = []
    progress = Progress(lambda fraction, message: said.append(fraction))
    given = {"template": str(landmark_template), "device": "cpu", "progress": progress}
    answer = jobs.find(inputs, structure=True, deformation=True, **given)
    points, structure, way = jobs.show(inputs, answer)
    found = landmarks_from_node(points)
    assert max(np.linalg.norm(found[name] - point) for name, point in landmarks(TURN, MOVED).items()) < 1.8
    assert structure.GetName() == "CT template" and way.GetName() == "template to CT"
    assert said == sorted(said) and said[0] == 0 and said[-1] > 0.5


def test_the_template_stays_loaded_until_it_is_taught_again(jobs, landmark_template: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(landmark_template, tmp_path / "mine")
    first = jobs._template(str(folder), "one", "cpu")
    assert jobs._template(str(folder), "one", "cpu") is first
    assert jobs._template(str(folder), "two", "cpu") is not first


def test_cancelled_and_refused(jobs, inputs, landmark_template: Path, tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        jobs.find(inputs, template=str(landmark_template), device="cpu", progress=Progress(None, lambda: True))
    with pytest.raises(InputError, match="There is no bundle nothing"):
        jobs.find(inputs, template="nothing")
    with pytest.raises(InputError, match="is refused: it lacks"):
        jobs.find(inputs, template=str(tmp_path))
