"""The shipped bundles are MONAI's: its own functions load, export and run them, from any folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

bundle = pytest.importorskip("monai.bundle")

from SparseToPreciseLib.core.bundles import open_bundle  # noqa: E402
from SparseToPreciseLib.core.training.recipe import packaged_config  # noqa: E402
from SparseToPreciseLib.families import FAMILIES  # noqa: E402

MODELS = Path(__file__).resolve().parents[2] / "SparseToPrecise" / "Resources" / "Models"
SHIPPED = sorted(weights.parents[1].name for weights in MODELS.glob("*/models/model.pt"))


@pytest.mark.parametrize("name", SHIPPED)
def test_monai_loads_it_by_its_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    network = bundle.load(name, bundle_dir=str(MODELS), device="cpu")
    ours = open_bundle(MODELS / name).load_network().state_dict()
    assert all(torch.equal(value, ours[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize("name", SHIPPED)
def test_monai_exports_it_as_torchscript(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    root = MODELS / name
    bundle.ckpt_export(
        "network_def",
        filepath=str(tmp_path / "model.ts"),
        ckpt_file=str(root / "models" / "model.pt"),
        meta_file=str(root / "configs" / "metadata.json"),
        config_file=str(root / "configs" / "inference.json"),
        bundle_root=str(root),
    )
    opened = open_bundle(root)
    given = opened.metadata["network"]["arguments"]
    image = torch.randn(1, given["in_channels"], *[32] * given.get("spatial_dims", 3))
    with torch.inference_mode():
        script, network = torch.jit.load(tmp_path / "model.ts").eval(), opened.load_network()
        assert torch.allclose(script(image), network(image), atol=1e-5)


@pytest.mark.parametrize("name", SHIPPED)
def test_its_metadata_have_what_monai_asks_for(name: str) -> None:
    """The keys and types of MONAI's bundle specification; its schema itself is on the network."""
    metadata = json.loads((MODELS / name / "configs" / "metadata.json").read_text(encoding="utf-8"))
    texts = ("schema", "version", "monai_version", "pytorch_version", "numpy_version", "task", "description")
    assert all(isinstance(metadata[key], str) and metadata[key] for key in (*texts, "authors", "copyright"))
    for key in ("changelog", "required_packages_version"):
        assert all(isinstance(value, str) for value in metadata[key].values())
    for tensors in metadata["network_data_format"].values():
        for one in tensors.values():
            assert {"type", "format", "num_channels", "spatial_shape", "dtype", "value_range"} <= one.keys()
            assert isinstance(one["is_patch_data"], bool) and len(one["channel_def"]) == one["num_channels"]
            assert all(isinstance(size, str | int) for size in one["spatial_shape"])


@pytest.mark.parametrize("family", FAMILIES)
def test_without_an_id_monai_runs_the_whole(family: str) -> None:
    for name, id_ in (("train.json", "training"), ("inference.json", "inferring")):
        config = packaged_config(family, name)
        assert config["run"] == [f"$@{id_}"] and id_ in config
        assert config["network_def"]["description"] == "@network"


def test_without_an_id_a_training_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    overrides = {"phantoms": 1, "validation_phantoms": 1, "minutes": None, "steps": 1, "validations": 1}
    overrides |= {"device": "cpu", "sampling::side": 32, "sampling::planes": 3, "batch_size": 1}
    overrides["output"] = str(tmp_path / "made")
    bundle.run(config_file=str(MODELS / "boxes-segmenter" / "configs" / "train.json"), **overrides)
    assert open_bundle(tmp_path / "made", "boxes-segmenter").metadata["training"]["steps"] == 1
