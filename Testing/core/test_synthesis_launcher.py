"""The committed recipe of synthesis under MONAI's own launcher, on one process and, with a discriminator, on two."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from SparseToPreciseLib.core.bundles import open_bundle

LIBRARY = Path(__file__).resolve().parents[2] / "SparseToPrecise"
CONFIGS = LIBRARY / "Resources" / "Models" / "synthesis" / "configs"
TINY = {
    "phantoms": 1,
    "validation_phantoms": 1,
    "minutes": None,
    "steps": 2,
    "validations": 1,
    "spacing_mm": 6.0,
    "tile": 32,
    "sampling::patch": 32,
    "network::arguments::backbone::arguments::features": [4, 4, 4, 4, 4, 4],
    "network::arguments::head::arguments::kernel": 3,
    "adversarial::channels": 4,
    "adversarial::weight": 0.001,
    "adversarial::warm_up": 0.0,
}

#: A module that makes the trainer write down its two networks.
KEEPING = """
import os, torch
from SparseToPreciseLib.synthesis.trainer import SynthesisTrainer as Trainer
run = Trainer.run
def kept(self):
    log = run(self)
    torch.save([self.network.state_dict(), self.adversary.network.state_dict()], os.environ["RANK"] + ".pt")
    return log
Trainer.run = kept
"""

pytest.importorskip("fire")


def test_monais_launcher_trains_a_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    from monai.bundle import run

    monkeypatch.chdir(tmp_path)
    run("training", config_file=str(CONFIGS / "train.json"), device="cpu", **TINY)
    said = capsys.readouterr().out
    bundle = open_bundle(tmp_path / "training-output", "synthesis")
    bundle.verify()
    assert "step 2: validation MAE" in said and "written: " in said
    assert bundle.metadata["training"]["adversarial_weight"] == 0.001


def test_two_processes_train_one_network_beside_one_discriminator(tmp_path: Path) -> None:
    # On top of the two committed configs, one that writes down what each process ended with.
    (tmp_path / "keeping.py").write_text(KEEPING)
    first_steps = json.loads((CONFIGS / "multi_gpu_train.json").read_text())["initialize"]
    keep = {"initialize": [*first_steps, "$__import__('runpy').run_path('keeping.py')"]}
    (tmp_path / "keep.json").write_text(json.dumps(keep))
    files = [str(path) for path in (CONFIGS / "train.json", CONFIGS / "multi_gpu_train.json", tmp_path / "keep.json")]
    # MASTER_PORT 0: the launcher finds a free port.
    launcher = ["torch.distributed.run", "--nproc_per_node=2", "--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0"]
    command = [sys.executable, "-m", *launcher, "-m", "monai.bundle", "run", "training", "--config_file", str(files)]
    for key, value in {**TINY, "output": str(tmp_path / "two")}.items():
        command += [f"--{key}", value if isinstance(value, str) else repr(value)]
    environment = os.environ | {"PYTHONPATH": str(LIBRARY), "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]
    said = result.stdout
    assert said.count("written: ") == 1, "only the first process tells and writes"
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    for one, other in zip(first, second, strict=True):
        assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    bundle = open_bundle(tmp_path / "two")
    assert bundle.metadata["training"]["processes"] == 2
    written = bundle.load_network().state_dict()
    assert all(torch.equal(written[name], first[0][name]) for name in written)
