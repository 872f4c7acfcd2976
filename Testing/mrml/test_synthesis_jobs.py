"""What the module MR to CT computes within the application, and its logic's calls, without Qt."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from synthesis_cases import GRID, ct_on, mr_on, tiny_model

pytest.importorskip("slicer")
pytest.importorskip("torch")

from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.models import opened
from SparseToPreciseLib.mrml import evaluation_nodes, synthesis_nodes
from SparseToPreciseLib.mrml.volumes import volume_from_node, volume_to_node


def test_one_model_or_several_by_name_or_folder(scene, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("SPARSE_TO_PRECISE_MODELS", str(tmp_path))
    folder = tiny_model(tmp_path / "tiny")
    tiny_model(tmp_path / "plain", bands=False)
    inputs = synthesis_nodes.read_inputs(volume_to_node(mr_on(GRID), "Head"))
    by_name = synthesis_nodes.synthesize_inputs(inputs, "tiny", classes=True, device="cpu")
    by_folder = synthesis_nodes.synthesize_inputs(inputs, [str(folder)], device="cpu")
    assert np.array_equal(by_name.ct.array, by_folder.ct.array)
    assert (by_name.models, by_name.classes is None, by_folder.classes is None) == (("tiny",), False, True)
    assert opened("synthesis", "tiny", "cpu") is opened("synthesis", str(folder), "cpu"), "the model was loaded twice"
    both = synthesis_nodes.synthesize_inputs(inputs, ["tiny", "plain"], uncertainty=True, device="cpu")
    assert both.models == ("tiny", "plain") and both.uncertainty is not None


def test_a_bundle_that_was_trained_again_is_loaded_again(scene, tmp_path) -> None:
    folder = tiny_model(tmp_path / "tiny")
    inputs = synthesis_nodes.read_inputs(volume_to_node(mr_on(GRID), "Head"))
    synthesis_nodes.synthesize_inputs(inputs, [str(folder)], bands=True, device="cpu")
    shutil.rmtree(folder)
    tiny_model(folder, bands=False)
    with pytest.raises(InputError, match="bands"):
        synthesis_nodes.synthesize_inputs(inputs, [str(folder)], bands=True, device="cpu")


def test_a_comparison(scene) -> None:
    ct, reference = volume_to_node(ct_on(GRID), "Made"), volume_to_node(ct_on(GRID), "True")
    inputs = evaluation_nodes.read_inputs(ct, reference)
    steps = []

    class Noted:
        def __call__(self, fraction, message=""):
            steps.append(fraction)

        def part(self, start, stop):
            return self

    found, shares = evaluation_nodes.evaluate_inputs(inputs, Noted())
    assert found.mae == 0 and np.array_equal(shares.ct, shares.reference) and steps[-1] == 1
    table = evaluation_nodes.show_evaluation(inputs, found, shares)
    assert volume_from_node(evaluation_nodes.error_of(table)).array.any() == 0
