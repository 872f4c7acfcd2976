"""Ctrl-C and the desktop's request to stop, in a process of their own: no partial output."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from cli_files import RADIUS, snapshot, stopped_at
from SparseToPreciseLib.cli import demo_case
from SparseToPreciseLib.core import files as core_files


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
    command = ["-m", "SparseToPreciseLib.cli.main", "edit", *inputs, "--segment", "Ball"]
    command += ["--influence-radius", RADIUS, "-o", folder / "o.seg.nrrd", "--picture", folder / "p.png"]
    answer = stopped_at(moment, number, *command, "--report", folder / "r.json", "--progress", "json")
    after = snapshot(folder)
    if moment == "writing" and answer.code == 0:
        # The signal came when all was done.
        assert set(after) - set(before) == outputs
        return
    assert (answer.code, answer.error) == (128 + number, "Stopped; nothing was written.\n")
    assert after == before


def test_a_signal_between_two_outputs_comes_too_late(cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = [folder / name for name in ("o.seg.nrrd", "p.png", "r.json")]
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    real, stopped = os.replace, []

    def replace(source, destination) -> None:
        real(source, destination)
        if Path(destination) in outputs:
            stopped.append(destination)
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.raise_signal(number)

    monkeypatch.setattr(core_files.os, "replace", replace)
    inputs = [folder / name for name in ("image.nrrd", "ball.seg.nrrd", "stroke.fcsv")]
    options = ("--segment", "Ball", "--influence-radius", RADIUS)
    cli.succeeds("edit", *inputs, *options, "-o", outputs[0], "--picture", outputs[1], "--report", outputs[2])
    assert stopped == outputs and all(path.is_file() for path in outputs)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_a_stopped_demonstration_says_what_may_be_there(cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_case, "edit_files", lambda *_, **__: signal.raise_signal(signal.SIGINT))
    answer = cli("demo", "--output", folder / "demo")
    assert answer.code == 128 + signal.SIGINT
    assert (
        answer.error == f"Stopped; no correction was written, but files of the phantom may be in {folder / 'demo'}.\n"
    )
    assert {path.name for path in (folder / "demo").iterdir()} == {"image.nrrd", "before.seg.nrrd", "stroke.mrk.json"}
