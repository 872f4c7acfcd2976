"""What the networks see and say, and a network from a bundle as an editor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from SparseToPreciseLib.core.devices import Device
from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.networks import build_network
from SparseToPreciseLib.core.training.recipe import packaged_config
from SparseToPreciseLib.core.training.writing import write_bundle
from SparseToPreciseLib.editing import model
from SparseToPreciseLib.editing.guidance import attention
from SparseToPreciseLib.editing.inputs import CLIP, channels
from SparseToPreciseLib.editing.model import NetworkEditor, load_editor
from SparseToPreciseLib.editing.network import (
    PAPER_INPUTS,
    RESIDUAL_INPUTS,
    NetworkForm,
    form_from,
    form_parameters,
    network_logits,
    start_at_zero,
)
from SparseToPreciseLib.editing.warps import FOLLOW_WIDTH, image_aware_warp, moved_to_stroke
from SparseToPreciseLib.editing.working_grid import WorkingCase, distances_on, sampled, signed_distance

SIZE = 32


@pytest.fixture(scope="module")
def case() -> WorkingCase:
    """A ball whose old segmentation lacks a cap, and a stroke along the true boundary of the cap."""
    rng = np.random.default_rng(1)
    k, j, i = np.indices((SIZE,) * 3) - 15.5
    truth = k**2 + j**2 + i**2 < 10**2
    old = truth & (k < 6)
    angles = np.linspace(-0.5, 0.5, 9)
    stroke = np.stack([15.5 + 10 * np.cos(angles), 15.5 + 10 * np.sin(angles), np.full(9, 15.5)], axis=1)
    distance, nearest = distances_on(truth.shape, stroke)
    image = (0.2 + 0.6 * truth + rng.normal(0, 0.05, truth.shape)).astype(np.float32)
    return WorkingCase(image, signed_distance(old, np.ones(3)), distance, nearest, stroke)


def network_of(form: NetworkForm, name: str = "UNet") -> torch.nn.Module:
    torch.manual_seed(0)
    return build_network(description_of(form, name))


def description_of(form: NetworkForm, name: str = "UNet") -> dict:
    shape = {
        "UNet": {"channels": [4, 8], "strides": [2]},
        "UNetWithHead": {"channels": [4, 8], "strides": [2], "num_res_units": 2},
        "BasicUNet": {"features": [4, 4, 8, 8, 8, 4]},
        "DynUNet": {
            "kernel_size": [3, 3, 3],
            "strides": [1, 2, 2],
            "upsample_kernel_size": [2, 2],
            "filters": [4, 8, 8],
        },
        "SegResNet": {"init_filters": 8, "blocks_down": [1, 1], "blocks_up": [1]},
    }
    channel_numbers = {"spatial_dims": 3, "in_channels": len(form.inputs), "out_channels": 1}
    return {"name": name, "arguments": {**channel_numbers, **shape[name]}}


def tensors(case: WorkingCase) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array)[None, None] for name, array in channels(case).items()}


def test_channels_have_the_cases_shape_and_stay_in_their_ranges(case: WorkingCase) -> None:
    given = channels(case)
    assert {*PAPER_INPUTS, *RESIDUAL_INPUTS} <= set(given)
    for name, array in given.items():
        assert array.shape == case.image.shape and array.dtype == np.float32, name
        low, high = {"image": (-0.5, 1.5), "mask": (0, 1), "guidance": (0, 1)}.get(name, (-1, 1))
        assert low <= array.min() and array.max() <= high, name
        assert array.min() < array.max(), name
    np.testing.assert_array_equal(given["mask"] > 0.5, case.signed_distance > 0)
    np.testing.assert_array_equal(given["guidance"], attention(case.distance, case.sigma))
    inside = np.abs(case.signed_distance) < CLIP
    np.testing.assert_allclose(CLIP * given["signed_distance"][inside], case.signed_distance[inside], rtol=1e-5)
    near = np.abs(given["proposal"]) < 1
    held = moved_to_stroke(case, CLIP * given["proposal"], FOLLOW_WIDTH)
    np.testing.assert_allclose(held[near], image_aware_warp(case)[near], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["UNet", "UNetWithHead", "BasicUNet", "DynUNet", "SegResNet"])
def test_a_residual_network_that_starts_at_zero_returns_the_proposal_exactly(case: WorkingCase, name: str) -> None:
    form = NetworkForm()
    network, given = network_of(form, name).eval(), tensors(case)
    with torch.inference_mode():
        before = network_logits(network, form, given)
        start_at_zero(network, len(form.inputs))
        after = network_logits(network, form, given)
    assert not torch.equal(before, given["proposal"] * CLIP)
    assert torch.equal(after, given["proposal"] * CLIP)


def test_the_network_of_the_recipe_starts_at_zero() -> None:
    description = packaged_config("editing", "train.json")["network"]
    start_at_zero(build_network(description), description["arguments"]["in_channels"])


def test_a_network_that_cannot_start_at_zero_is_refused() -> None:
    """MONAI's residual units add their input to the last convolution's output."""
    description = description_of(NetworkForm())
    description["arguments"]["num_res_units"] = 2
    with pytest.raises(ValueError, match="does not end in a plain convolution"):
        start_at_zero(build_network(description), len(NetworkForm().inputs))


def test_the_papers_form_is_the_network_alone_in_the_order_of_the_inputs(case: WorkingCase) -> None:
    form = NetworkForm(PAPER_INPUTS, residual=False)
    network, given = network_of(form).eval(), tensors(case)
    with torch.inference_mode():
        expected = network(torch.cat([given["image"], given["mask"], given["guidance"]], dim=1))
        assert torch.equal(network_logits(network, form, given), expected)
        swapped = NetworkForm(("mask", "image", "guidance"), residual=False)
        assert not torch.equal(network_logits(network, swapped, given), expected)


def test_a_form_is_read_from_parameters() -> None:
    parameters = {"inputs": list(RESIDUAL_INPUTS), "residual": True}
    assert form_from(parameters) == NetworkForm()
    assert form_from({"inputs": list(PAPER_INPUTS)}) == NetworkForm(PAPER_INPUTS, residual=False)


@pytest.mark.parametrize("inputs", [None, [], "image", ["image", "depth"], [["image"]], {"image": 1}])
def test_a_form_with_unknown_inputs_is_refused(inputs: object) -> None:
    with pytest.raises(InputError, match="inputs .* are not known; choose from evidence, guidance, image"):
        form_from({"inputs": inputs})


def written(folder: Path, form: NetworkForm, network: torch.nn.Module, **parameters: object) -> str:
    own = form_parameters(form) | parameters
    metadata = {"family": "editing", "name": "tiny", "network": description_of(form), "parameters": own}
    bundle = write_bundle(folder / "tiny", metadata, network.state_dict(), inference={}, training={}, card="# tiny")
    return str(bundle.path)


def test_a_networks_bundle_edits(tmp_path: Path, case: WorkingCase) -> None:
    form = NetworkForm()
    network = network_of(form).eval()
    editor = load_editor(written(tmp_path, form, network), "cpu")
    assert (editor.name, editor.device, editor.note) == ("tiny", "cpu", "")
    answer = editor(case)
    assert answer.shape == case.image.shape and answer.dtype == np.float32
    with torch.inference_mode():
        expected = network_logits(network, form, tensors(case))[0, 0].numpy()
    np.testing.assert_array_equal(answer, moved_to_stroke(case, expected, FOLLOW_WIDTH))
    assert np.abs(sampled(answer, case.stroke)).max() < 0.5 < np.abs(sampled(expected, case.stroke)).max()
    assert ((answer > 0) != (case.signed_distance > 0)).any()


def test_a_bundle_that_corrects_nothing_is_the_image_aware_warp(tmp_path: Path, case: WorkingCase) -> None:
    form = NetworkForm()
    network = network_of(form)
    start_at_zero(network, len(form.inputs))
    answer = load_editor(written(tmp_path, form, network), "cpu")(case)
    np.testing.assert_array_equal(answer > 0, image_aware_warp(case) > 0)


@pytest.mark.parametrize("value", [20.0, None, "10"])
@pytest.mark.parametrize("name", ["sigma_voxels", "carry_width"])
def test_a_bundle_that_was_trained_on_other_channels_is_refused(tmp_path: Path, name: str, value: object) -> None:
    form = NetworkForm()
    with pytest.raises(InputError, match=f"trained with {name.replace('_', ' ')} {value}, and this version has"):
        load_editor(written(tmp_path, form, network_of(form), **{name: value}), "cpu")


def test_a_bundle_whose_network_takes_other_channels_is_refused(tmp_path: Path) -> None:
    form = NetworkForm()
    path = written(tmp_path, form, network_of(form), inputs=["image", "mask"])
    with pytest.raises(InputError, match="its network has 6 input channel.* where 2 are needed"):
        load_editor(path, "cpu")


def test_an_editor_falls_back_to_the_cpu_and_says_so(tmp_path: Path, case: WorkingCase, monkeypatch) -> None:
    form = NetworkForm()
    editor = load_editor(written(tmp_path, form, network_of(form)), "cpu")
    expected = editor(case)
    editor._device = Device("mps")
    real = NetworkEditor._result

    def run(self, case: WorkingCase, device: torch.device) -> np.ndarray:
        if device.type == "mps":
            raise RuntimeError("MPS backend out of memory")
        return real(self, case, device)

    monkeypatch.setattr(NetworkEditor, "_result", run)
    np.testing.assert_array_equal(editor(case), expected)
    assert editor.device == "cpu" and "memory of mps ran out" in editor.note


@pytest.mark.parametrize("missing", ["torch", "monai", "the model editing"])
def test_where_the_default_cannot_run_the_warp_stands_in_and_says_so(
    monkeypatch: pytest.MonkeyPatch, case: WorkingCase, missing: str
) -> None:
    if missing.startswith("the model"):
        monkeypatch.setattr(model, "find_bundles", lambda family: [])
    else:
        found = model.find_spec
        monkeypatch.setattr(model, "find_spec", lambda name: None if name == missing else found(name))
    editor = load_editor(None, "cpu")
    assert editor.note == f"Not installed: {missing}; the image-aware warp was used instead."
    np.testing.assert_array_equal(editor(case), image_aware_warp(case))


def test_the_default_is_the_shipped_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARSE_TO_PRECISE_MODELS", str(tmp_path))  # whatever this user has trained
    editor = load_editor(None, "cpu")
    assert (editor.name, editor.note) == ("editing", "")
    assert editor.form.residual
