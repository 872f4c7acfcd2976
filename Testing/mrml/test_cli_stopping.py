"""Ctrl-C and the desktop's request to stop, in a process of their own: no partial output."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli_files import RADIUS, snapshot

LIBRARY = Path(__file__).resolve().parents[2] / "SparseToPrecise"


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("starting", signal.SIGINT),
        ("reading", signal.SIGINT),
        ("loading", signal.SIGINT),
        ("correcting", signal.SIGINT),
        ("writing", signal.SIGINT),
        ("correcting", signal.SIGTERM),
    ],
)
def test_stopping_at_any_moment_leaves_nothing_behind(folder: Path, moment: str, number: signal.Signals) -> None:
    outputs = {folder / name for name in ("o.seg.nrrd", "p.png", "r.json")}
    before = snapshot(folder)
    inputs = [folder / name for name in ("image.nrrd", "ball.seg.nrrd", "stroke.fcsv")]
    command = [sys.executable, "-m", "SparseToPreciseLib.cli.main", "edit", *inputs, "--segment", "Ball"]
    command += ["--influence-radius", RADIUS, "-o", folder / "o.seg.nrrd", "--picture", folder / "p.png"]
    command += ["--report", folder / "r.json", "--progress", "json"]
    environment = os.environ | {"PYTHONPATH": str(LIBRARY), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [str(part) for part in command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for line in process.stdout:
        if moment in json.loads(line)["message"]:
            process.send_signal(number)
            break
    else:
        pytest.fail(f"the command never said {moment}: {process.stderr.read()}")
    _, error = process.communicate(timeout=60)
    after = snapshot(folder)
    if moment == "writing" and process.returncode == 0:
        # The signal came when all was done.
        assert set(after) - set(before) == outputs
        return
    assert process.returncode == 128 + number
    assert error == "Stopped; nothing was written.\n"
    assert after == before
