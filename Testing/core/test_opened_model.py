"""A bundle as a model that runs: its parameters are refused in one sentence, and it knows where it ran."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from SparseToPreciseLib.core.errors import InputError, as_reason

pytest.importorskip("monai")

from SparseToPreciseLib.core.bundles import METADATA, Bundle, find_bundles, open_bundle  # noqa: E402
from SparseToPreciseLib.core.devices import Device  # noqa: E402
from SparseToPreciseLib.core.models import (  # noqa: E402
    OpenedModel,
    bundles_for,
    open_model,
    opened,
    reading_parameters,
)
from SparseToPreciseLib.core.networks import build_network  # noqa: E402
from SparseToPreciseLib.core.training.writing import write_bundle  # noqa: E402
from SparseToPreciseLib.families import FAMILIES  # noqa: E402
from SparseToPreciseLib.synthesis.hu import HuWindow  # noqa: E402

ARGUMENTS = {"spatial_dims": 2, "in_channels": 2, "out_channels": 1, "channels": [4, 8], "strides": [2]}


class Model(OpenedModel):
    def __init__(self, bundle: Bundle, device: Device) -> None:
        with reading_parameters(bundle) as parameters:
            self.size = int(parameters["size"])
            if self.size < 1:
                raise InputError("A size must be positive.")
            self.window = HuWindow.from_parameters(parameters.get("window", [0, 1]))
        super().__init__(bundle, device, 2, 1)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    network = {"name": "UNet", "arguments": ARGUMENTS}
    metadata = {"name": "mine", "family": "editing", "network": network, "parameters": {"size": 3}}
    state = build_network(network).state_dict()
    return write_bundle(tmp_path / "mine", metadata, state, inference={}, training={}, card="")


def with_parameters(bundle: Bundle, parameters: dict) -> Bundle:
    path = bundle.path / METADATA
    path.write_text(json.dumps(json.loads(path.read_text()) | {"parameters": parameters}))
    return open_bundle(bundle.path)


def test_it_has_what_its_bundle_has(bundle: Bundle) -> None:
    model = open_model(Model, bundle.path, "editing", "cpu", 0)
    assert (model.name, model.sha256, model.device, model.note) == ("mine", bundle.sha256, "cpu", "")
    assert model.size == 3 and not model.network.training
    assert model.run(lambda device: device.type) == "cpu"


def test_device_and_family_must_be_there(bundle: Bundle) -> None:
    with pytest.raises(InputError, match="There is no device 'tpu'"):
        open_model(Model, bundle.path, "editing", "tpu", 0)
    with pytest.raises(InputError, match="is of the family editing, not boxes-corrector"):
        open_model(Model, bundle.path, "boxes-corrector", "cpu", 0)


@pytest.mark.parametrize("family", ["editing", "boxes-corrector", "boxes-segmenter", "synthesis"])
def test_the_users_own_models_are_offered_first_and_then_the_default(bundle: Bundle, monkeypatch, family: str) -> None:
    monkeypatch.setenv("SPARSE_TO_PRECISE_MODELS", str(bundle.path.parent))
    own = ["mine"] if family == "editing" else []
    offered = [one.path.name for one in bundles_for(family)]
    assert offered[: len(own) + 1] == [*own, FAMILIES[family].default_model]
    assert set(offered) == {one.path.name for one in find_bundles(FAMILIES[family].served_by)}


def test_segmenters_and_correctors_segment_in_this_order(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPARSE_TO_PRECISE_MODELS", str(tmp_path))
    offered = [(one.path.name, one.family) for one in bundles_for("boxes-segmenter")]
    assert offered == [
        ("boxes", "boxes-corrector"),
        ("boxes-segmenter", "boxes-segmenter"),
        ("boxes-corrector", "boxes-corrector"),
    ]


def test_a_family_without_a_default_model_says_so() -> None:
    with pytest.raises(InputError, match="No model of the family landmarks came with the software; choose a bundle"):
        opened("landmarks")


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({}, r"its parameters are not in order \(KeyError\('size'\)\)"),
        ({"size": None}, r"its parameters are not in order \(TypeError\(.*\)\)"),
        ({"size": "many"}, r"its parameters are not in order \(ValueError\(.*\)\)"),
        ({"size": float("inf")}, r"its parameters are not in order \(OverflowError\(.*\)\)"),
        ({"size": 0}, "a size must be positive"),
        ({"size": 1, "window": [3000, -1024]}, "a CT window must rise from -32768 to 32767 HU, not 3000 to -1024"),
        ({"size": 1, "window": 5}, "hu_window must be two numbers, not 5"),
    ],
)
def test_what_is_wrong_with_the_parameters_is_one_sentence(bundle: Bundle, parameters: dict, reason: str) -> None:
    wrong = with_parameters(bundle, parameters)
    with pytest.raises(InputError, match=rf"^The bundle mine \(.*mine\) is refused: {reason}\.$"):
        Model(wrong, Device("cpu"))
    with (
        pytest.raises(InputError, match=r"^The template mine \(.*mine\) is refused: its size\.$"),
        reading_parameters(wrong, "template"),
    ):
        raise InputError("Its size.")


def test_weights_that_do_not_fit_are_refused_too(bundle: Bundle) -> None:
    with pytest.raises(InputError, match=r"is refused: its network has 2 input channel\(s\) where 5 are needed\."):
        OpenedModel(bundle, Device("cpu"), 5, 1)


def test_it_stays_where_there_was_memory(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.empty_cache", lambda: None)
    model, tried = Model(bundle, Device("cuda:0")), []

    def work(device) -> str:
        tried.append(device.type)
        if device.type == "cuda":
            raise RuntimeError("CUDA out of memory")
        return "done"

    assert model.device == "cuda:0" and model.note == ""
    assert model.run(work) == model.run(work) == "done"
    assert tried == ["cuda", "cpu", "cpu"]
    assert model.device == "cpu" and "cuda:0 ran out" in model.note


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("A CT window must rise.", "a CT window must rise"),
        ("There is no network 'X'.", "there is no network 'X'"),
        ("CT and MR are the same.", "CT and MR are the same"),
        ("SHA-256 is another", "SHA-256 is another"),
        ("PyTorch is missing.", "PyTorch is missing"),
        ("models/model.pt is gone", "models/model.pt is gone"),
        ("", ""),
    ],
)
def test_a_sentence_within_another_has_no_capital(sentence: str, reason: str) -> None:
    assert as_reason(sentence) == reason
