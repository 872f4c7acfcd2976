"""Ctrl-C and a request to terminate in the midst of a training of boxes: no bundle, and none is replaced."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from cli_files import snapshot, stopped_at

#: The command line with little to validate with, so that the training begins soon.
SMALL = """
import sys
from SparseToPreciseLib.core.training import recipe as packaged_configs

real = packaged_configs.packaged_config

def small(family, name):
    config = real(family, name)
    if name == "train.json":
        config |= {key: 1 for key in ("validation_phantoms", "calibration_boxes", "batch_size") if key in config}
    return config

packaged_configs.packaged_config = small
from SparseToPreciseLib.cli.main import run

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
"""
PHANTOMS = ("--phantoms", "2")
DATASET = ("--dataset", "cases.json")


@pytest.mark.parametrize(
    ("kind", "options", "moment", "number", "replacing"),
    [
        ("corrector", PHANTOMS, "phantoms: 2", signal.SIGINT, False),
        ("corrector", PHANTOMS, "step 0", signal.SIGTERM, True),
        ("corrector", DATASET, "deformed copies: 2", signal.SIGINT, True),
        ("segmenter", PHANTOMS, "step 0", signal.SIGINT, True),
        ("segmenter", DATASET, "step 0", signal.SIGTERM, False),
    ],
)
def test_stopping_leaves_what_was_there(
    box_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    options: tuple[str, str],
    moment: str,
    number: signal.Signals,
    replacing: bool,
) -> None:
    (tmp_path / "small.py").write_text(SMALL)
    case = {"image": "image.nrrd", "label": "mask.nrrd"}
    (box_folder / "cases.json").write_text(json.dumps({"training": [case], "validation": [case]}))
    monkeypatch.chdir(box_folder)
    before = snapshot(box_folder)
    # The name of a bundle of the family, which a training may replace.
    output = box_folder / (kind if replacing else "mine")
    command = ("train", f"boxes-{kind}", *options, "-o", output, "--minutes", 5, "--device", "cpu")
    program, ready = tmp_path / "small.py", moment != "phantoms: 2"
    answer = stopped_at(moment, number, *command, "--progress", "json", program=program, ready=ready)
    assert (answer.code, answer.error) == (128 + number, "Stopped; nothing was written.\n")
    assert '"result"' not in answer.out
    assert snapshot(box_folder) == before
