"""Ctrl-C and the desktop's request to stop, in a process of their own: no partial output."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path

import pytest

from cli_files import RADIUS, snapshot, stopped_at
from SparseToPreciseLib.cli.reporting import ProgressMode, reporting
from SparseToPreciseLib.core import files as core_files
from SparseToPreciseLib.core.stopping import Stopped, lost_stop, stoppable
from SparseToPreciseLib.tasks import demo as demo_case


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("starting", signal.SIGINT),
        ("reading", signal.SIGINT),
        ("loading", signal.SIGINT),
        ("correcting", signal.SIGINT),
        ("writing", signal.SIGINT),
        ("correcting", signal.SIGTERM),
        ("correcting", signal.SIGHUP),
    ],
)
def test_stopping_at_any_moment_leaves_nothing_behind(folder: Path, moment: str, number: signal.Signals) -> None:
    outputs = {folder / name for name in ("o.seg.nrrd", "p.png", "r.json")}
    before = snapshot(folder)
    inputs = [folder / name for name in ("image.nrrd", "ball.seg.nrrd", "stroke.fcsv")]
    command = ["edit", *inputs, "--segment", "Ball"]
    command += ["--influence-radius", RADIUS, "-o", folder / "o.seg.nrrd", "--picture", folder / "p.png"]
    command += ["--report", folder / "r.json", "--progress", "json"]
    answer = stopped_at(moment, number, *command, ready=moment in ("correcting", "writing"))
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


def swallowed(number: signal.Signals) -> None:
    """A signal while code runs that ignores every exception."""
    with contextlib.suppress(BaseException):
        signal.raise_signal(number)


@pytest.mark.parametrize("mode", list(ProgressMode))
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_request_that_was_swallowed_is_heard_at_the_next_step(
    mode: ProgressMode, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)  # or there would be no bar
    with stoppable(), reporting(mode) as reporter:
        reporter.progress(0.1, "going on")
        swallowed(number)
        with pytest.raises(Stopped) as stopped:
            reporter.progress.part(0.2, 0.8).check()
        assert stopped.value.signal == number


def test_whom_nohup_started_outlives_the_terminal() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stoppable():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_second_request_stops_what_swallowed_the_first() -> None:
    with stoppable(), pytest.raises(Stopped) as stopped:
        swallowed(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
    assert stopped.value.signal == signal.SIGTERM


def test_cleaning_up_is_not_interrupted() -> None:
    cleaned = []
    with stoppable(), pytest.raises(Stopped):
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGINT)
            assert not lost_stop()
            cleaned.append(True)
    assert cleaned


def test_what_was_swallowed_before_the_outputs_got_their_names_comes_too_late() -> None:
    with stoppable(), reporting(ProgressMode.NONE) as reporter:
        swallowed(signal.SIGINT)
        core_files.about_to_replace()
        reporter.progress(1.0, "done")


def test_a_stopped_demonstration_says_what_may_be_there(cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_case.Edit, "run", lambda *_, **__: signal.raise_signal(signal.SIGINT))
    answer = cli("demo", "--output", folder / "demo")
    assert answer.code == 128 + signal.SIGINT
    assert (
        answer.error == f"Stopped; no correction was written, but files of the phantom may be in {folder / 'demo'}.\n"
    )
    assert {path.name for path in (folder / "demo").iterdir()} == {"image.nrrd", "before.seg.nrrd", "stroke.mrk.json"}
