"""A command of ours as a process: its lines become events, its end becomes a sentence, cancel ends all of it."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest

import house
from SparseToPreciseLib.core.errors import Cancelled, InputError
from SparseToPreciseLib.desktop.child_output import ChildOutput
from SparseToPreciseLib.desktop.child_process import ChildProcess
from SparseToPreciseLib.desktop.messages import sentence


def line(**content) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode() + b"\n"


def test_lines_are_found_however_they_are_cut():
    text = line(fraction=0.25, message="Größe", validation={"dice": 0.5})
    text += b"a warning\n\n" + line(fraction=1, message="done", result={"a": 1})
    for size in (1, 2, 7, len(text)):
        output, events = ChildOutput(), []
        for start in range(0, len(text), size):
            events += output.feed(text[start : start + size])
        assert [event["fraction"] for event in events] == [0.25, 1]
        assert events[0]["message"] == "Größe" and events[0]["validation"] == {"dice": 0.5}
        outcome = output.outcome(0, cancelled=False)
        assert outcome.ok and outcome.result == {"a": 1} and outcome.log == "a warning\n" and not outcome.sentence


def test_what_is_no_event_goes_to_the_log():
    output = ChildOutput()
    assert output.feed(b'[1]\n"x"\n{"a": 1}\n\xff\xfe\r\n12\n') == []
    output.feed_log(b"Traceback\r\n")
    assert output.log == '[1]\n"x"\n{"a": 1}\n\ufffd\ufffd\n12\nTraceback\n'
    output.feed_log(b"x" * 300_000)
    assert len(output.log) == 200_000


@pytest.mark.parametrize(
    ("given", "code", "cancelled", "words"),
    [
        (line(error="The stroke is empty; draw one."), 2, False, "The stroke is empty; draw one."),
        (line(error="The stroke is empty; draw one.")[:-1], 2, False, "The stroke is empty; draw one."),
        (b"", -11, False, "unexpectedly (code -11)"),
        (line(fraction=1, message="done", result={}), 1, False, "unexpectedly (code 1)"),
        (line(error="x"), 0, False, "x"),
        (line(fraction=1, message="done", result={"a": 1}), 0, True, "Cancelled"),
    ],
)
def test_other_ends_have_a_sentence(given, code, cancelled, words):
    output = ChildOutput()
    output.feed(given)
    outcome = output.outcome(code, cancelled)
    assert not outcome.ok and outcome.cancelled == cancelled and words in outcome.sentence and outcome.result == {}


def run(process: ChildProcess, until=None, timeout_s: float = 120.0):
    """All events and the outcome; `until` is asked with the events so far and may cancel."""
    events, end = [], time.monotonic() + timeout_s
    while time.monotonic() < end:
        more, outcome = process.poll()
        events += more
        if outcome is not None:
            return events, outcome
        if until is not None and until(events):
            process.cancel()
        time.sleep(0.01)
    process.kill()
    raise AssertionError(f"no end within {timeout_s:g} s; events: {events}")


def python(code: str) -> ChildProcess:
    return ChildProcess([sys.executable, "-u", "-c", code], os.environ)


STEP = "import json; print(json.dumps({'fraction': 0.5, 'message': 'half'}))\n"


def test_both_channels_are_read_to_the_end_and_apart():
    events, outcome = run(python(f"import sys\n{STEP}print('o' * 200000)\nsys.stderr.write('e' * 200000)\nsys.exit(3)"))
    assert events == [{"fraction": 0.5, "message": "half"}]
    assert outcome.sentence == "The process ended unexpectedly (code 3); the details have what it wrote."
    assert "e" * 1000 in outcome.log or "o" * 1000 in outcome.log


def test_a_program_that_is_not_there_is_an_error_at_the_start(tmp_path: Path):
    with pytest.raises(OSError):
        ChildProcess([str(tmp_path / "nothing")], os.environ)


@pytest.mark.skipif(os.name == "nt", reason="Windows ends processes without asking them")
def test_cancel_asks_first(tmp_path: Path):
    trace = tmp_path / "cleaned"
    code = f"""{STEP}
import signal, sys, time
def stop(*_):
    open({str(trace)!r}, "w").close()
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
print(json.dumps({{"fraction": 0.6, "message": "listening"}}))
time.sleep(100)
"""
    events, outcome = run(python(code), until=lambda events: len(events) == 2)
    assert trace.exists() and outcome.cancelled and not outcome.ok and len(events) == 2


def test_a_command_is_asked_to_end_early():
    """Through `core.stopping`, which waits in the background and does not keep Python from ending."""
    code = f"""{STEP}
import time
from SparseToPreciseLib.core.stopping import ending_early
with ending_early() as asked:
    print(json.dumps({{"fraction": 0.6, "message": "listening"}}))
    while not asked():
        time.sleep(0.01)
print(json.dumps({{"fraction": 1, "message": "done", "result": {{"early": True}}}}))
"""
    environment = {**os.environ, "PYTHONPATH": str(house.ROOT / "SparseToPrecise")}
    process = ChildProcess([sys.executable, "-u", "-c", code], environment)
    told = []

    def tell(events) -> bool:
        if len(events) == 2 and not told:
            process.ask_to_end()
            told.append(True)
        return False

    _, outcome = run(process, until=tell)
    assert outcome.ok and outcome.result == {"early": True}
    process.ask_to_end()  # it has ended; nothing happens


def test_who_is_never_asked_ends_as_always():
    """A thread that still waits for a word does not hold the process up."""
    code = "from SparseToPreciseLib.core.stopping import ending_early\n"
    code += "with ending_early() as asked:\n    print(asked())"
    environment = {**os.environ, "PYTHONPATH": str(house.ROOT / "SparseToPrecise")}
    _, outcome = run(ChildProcess([sys.executable, "-u", "-c", code], environment))
    assert outcome.ok and "False" in outcome.log


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    stat = Path(f"/proc/{pid}/stat")  # ended, and only waits to be fetched by its parent
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z"


@pytest.mark.skipif(os.name == "nt", reason="asks about processes as POSIX does")
@pytest.mark.parametrize("deaf", [True, False])
def test_cancel_ends_its_children_too_and_by_force_where_it_must(tmp_path: Path, deaf: bool, monkeypatch):
    monkeypatch.setattr("SparseToPreciseLib.desktop.child_process._PATIENCE_S", 0.2)
    # The grandchild does not listen and keeps the pipes open; whether the child does is the parameter.
    code = f"""
import json, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; print('up', flush=True); time.sleep(100)"])
if not {deaf}:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
print(json.dumps({{"fraction": 0, "message": str(child.pid)}}), flush=True)
time.sleep(100)
"""
    events, outcome = run(python(code), until=bool)
    assert outcome.cancelled
    end = time.monotonic() + 30
    while not gone(int(events[0]["message"])):
        assert time.monotonic() < end, "the grandchild lives on"
        time.sleep(0.05)


def test_our_own_command_line_speaks_the_language():
    environment = {**os.environ, "PYTHONPATH": str(house.ROOT / "SparseToPrecise")}
    command = [sys.executable, "-m", "SparseToPreciseLib.cli", "edit", "no.nrrd", "no.nrrd", "no.json", "-o", "x.nrrd"]
    events, outcome = run(ChildProcess([*command, "--progress", "json"], environment))
    assert not outcome.ok and not outcome.cancelled and "no.nrrd" in (outcome.sentence + outcome.log)


# ---------------------------------------------------------------------------------------------- messages


@pytest.mark.parametrize(
    ("error", "words", "has_details"),
    [
        (InputError("The stroke\nis empty."), "The stroke is empty.", False),
        (Cancelled("cancelled"), "Cancelled; nothing was changed.", False),
        (ModuleNotFoundError("no", name="torch._C"), "PyTorch is not installed", True),
        (ModuleNotFoundError("no", name="typer"), "typer is not installed", True),
        (RuntimeError("CUDA out of memory. Tried to allocate"), "memory did not suffice", True),
        (KeyError("x"), "Something went wrong that should not have (KeyError: 'x').", True),
    ],
)
def test_every_error_is_one_sentence(error, words, has_details):
    try:
        raise error
    except type(error) as raised:
        text, details = sentence(raised)
    assert words in text and text.endswith(".") and "\n" not in text
    assert bool(details) == has_details and (not details or "Traceback" in details)
