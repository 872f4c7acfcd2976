"""The committed configs under MONAI's own launcher, on one process and on two."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from SparseToPreciseLib.core.bundles import open_bundle
from SparseToPreciseLib.core.training.recipe import packaged_config
from SparseToPreciseLib.editing.recipe import train_editing
from tiny_training import TINY, tiny_options

LIBRARY = Path(__file__).resolve().parents[2] / "SparseToPrecise"
CONFIGS = LIBRARY / "Resources" / "Models" / "editing" / "configs"

pytest.importorskip("fire")

#: Of the paper's form, so that the first steps surely lower the loss: the weights that are kept are trained ones.
PAPER = {
    "form::parameters": {"inputs": ["image", "mask", "guidance"], "residual": False},
    "network::arguments::in_channels": 3,
    "objective": "cross-entropy",
    "learning_rate": 0.02,
    "validations": 1,
    "steps": 4,
}


def launched(launcher: list[str], config: str, folder: Path, **overrides: object) -> str:
    """Run the recipe under a launcher; its output."""
    command = [sys.executable, "-m", *launcher, "monai.bundle", "run", "training", "--config_file", config]
    tiny = {**TINY, "phantoms": 3, "steps": 2, "workers": 0, "cache": str(folder / "cache"), **overrides}
    for key, value in tiny.items():
        command += [f"--{key}", value if isinstance(value, str) else repr(value)]
    environment = os.environ | {"PYTHONPATH": str(LIBRARY), "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]
    return result.stdout


def test_monais_launcher_trains_the_same_as_the_library(tmp_path: Path) -> None:
    said = launched([], str(CONFIGS / "train.json"), tmp_path, device="cpu")
    bundle = open_bundle(tmp_path / "training-output")
    bundle.verify()
    assert "step 2: validation loss" in said and "written: " in said
    assert bundle.sha256 == train_editing(tmp_path / "library", **tiny_options(tmp_path)).sha256


def test_two_processes_train_one_network(tmp_path: Path) -> None:
    # On top of the two committed configs, one that writes down what each process ended with.
    keep = {
        "result": "$@recipe.train(@output, device=@device, cache=@cache, workers=@workers, progress=@progress)",
        "training": ["$@result", "$torch.save(@result.network.state_dict(), os.environ['RANK'] + '.pt')"],
    }
    (tmp_path / "keep.json").write_text(json.dumps(keep))
    files = [str(path) for path in (CONFIGS / "train.json", CONFIGS / "multi_gpu_train.json", tmp_path / "keep.json")]
    # MASTER_PORT 0: the launcher finds a free port.
    launcher = [
        "torch.distributed.run",
        "--nproc_per_node=2",
        "--rdzv-backend=c10d",
        "--rdzv-endpoint=localhost:0",
        "-m",
    ]
    said = launched(launcher, str(files), tmp_path, output=str(tmp_path / "two"), **PAPER)
    assert said.count("written: ") == 1, "only the first process tells and writes"

    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
    bundle = open_bundle(tmp_path / "two")
    assert bundle.metadata["training"]["processes"] == 2
    written = bundle.load_network().state_dict()
    assert all(torch.equal(written[name], first[name]) for name in first)

    # The second process's cases count: alone, the first one comes to other weights.
    options = tiny_options(tmp_path) | {"steps": PAPER["steps"]}
    options["overrides"] = {**TINY, **{key: value for key, value in PAPER.items() if key != "steps"}}
    alone = train_editing(tmp_path / "one", **options)
    assert alone.metadata["training"]["best"]["steps"] == bundle.metadata["training"]["best"]["steps"] == 4
    state = alone.load_network().state_dict()
    assert not all(torch.equal(state[name], first[name]) for name in first)


def test_monai_finds_the_network_and_its_channels_in_a_bundle(tmp_path: Path) -> None:
    from monai.bundle import verify_net_in_out

    bundle = train_editing(tmp_path / "mine", **tiny_options(tmp_path))
    configs = bundle.path / "configs"
    # Feeds zeros of the size and channels of the metadata, and compares what comes out with them.
    verify_net_in_out(
        net_id="network_def",
        meta_file=str(configs / "metadata.json"),
        config_file=str(configs / "inference.json"),
        n=1,
        device="cpu",
    )


@pytest.mark.parametrize("name", ["train.json", "inference.json", "multi_gpu_train.json"])
def test_committed_configs_keep_the_form_in_which_bundles_are_written(name: str) -> None:
    text = (CONFIGS / name).read_text(encoding="utf-8")
    assert text == json.dumps(packaged_config("editing", name), indent=2, ensure_ascii=False) + "\n"
