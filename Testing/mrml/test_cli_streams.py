"""What a command says gets through, or is lost without harm, whatever stdout and stderr are."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli_files import LIBRARY, RADIUS
from SparseToPreciseLib.cli.main import run

COMMAND = [sys.executable, "-m", "SparseToPreciseLib.cli"]
OUTPUT = "Łuk-³.seg.nrrd"


def edit(folder: Path, *more: object) -> list[str]:
    given = ["edit", folder / "image.nrrd", folder / "ball.seg.nrrd", folder / "stroke.fcsv", "--segment", "Ball"]
    given += ["--influence-radius", RADIUS, "--model", "image-aware-warp", "-o", folder / OUTPUT, *more]
    return [str(one) for one in given]


def said_on(encoding: str, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> tuple[int, str, str]:
    """The exit code of a command, and what it wrote to streams of an encoding that lacks characters."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict") for _ in range(2)]
    with monkeypatch.context() as patch:  # within the test: pytest puts its own streams back before it
        patch.setattr(sys, "stdout", streams[0])
        patch.setattr(sys, "stderr", streams[1])
        code = run(arguments)
    for stream in streams:
        stream.flush()
    out, error = (stream.buffer.getvalue().decode(encoding) for stream in streams)
    return code, out, error


@pytest.mark.parametrize("encoding", ["cp932", "gbk", "cp1251", "ascii"])
def test_characters_that_a_console_lacks(folder: Path, monkeypatch, encoding: str) -> None:
    code, out, error = said_on(encoding, monkeypatch, edit(folder))
    assert (code, error) == (0, "") and "(mm" in out and "uk-" in out and (folder / OUTPUT).is_file()
    code, out, error = said_on(encoding, monkeypatch, ["models", "show", "Ł³"])
    assert (code, out) == (2, "") and "There is no bundle" in error


def test_progress_for_programs_is_ascii(folder: Path, monkeypatch) -> None:
    code, out, error = said_on("ascii", monkeypatch, edit(folder, "--progress", "json"))
    assert (code, error) == (0, "") and out.isascii()
    assert json.loads(out.splitlines()[-1])["result"]["output"] == str(folder / OUTPUT)


@pytest.mark.skipif(os.name == "nt", reason="shells of Windows cannot close a stream")
class TestNobodyReads:
    @pytest.mark.parametrize("streams", ["<&- >&- 2>&-", "> /dev/full 2> /dev/full"])
    def test_what_was_written_counts(self, folder: Path, streams: str) -> None:
        self.ends(edit(folder), streams, 0)
        assert (folder / OUTPUT).is_file()

    @pytest.mark.parametrize("streams", [">&-", "2>&-", "<&- >&- 2>&-", "> /dev/full", "2> /dev/full"])
    def test_a_refusal_counts(self, streams: str) -> None:
        self.ends(["models", "show", "nothing"], streams, 2)

    @pytest.mark.parametrize("command", [["models", "list"], ["--version"]])
    def test_what_could_only_be_shown_is_lost(self, command: list[str]) -> None:
        self.ends(command, "> /dev/full", 2)

    def test_the_numbers_of_a_comparison_could_only_be_shown(self, folder: Path, monkeypatch) -> None:
        files = [str(folder / name) for name in ("labels.nii.gz", "ball.seg.nrrd")]
        with open("/dev/full", "w") as full:
            monkeypatch.setattr(sys, "stdout", full)
            assert run(["box", "evaluate", *files, "--predicted-segment", "3", "--reference-segment", "Ball"]) == 2

    @staticmethod
    def ends(command: list[str], streams: str, code: int) -> None:
        shell = ["sh", "-c", f'"$@" {streams}', "sh", *COMMAND, *command]
        environment = {**os.environ, "PYTHONPATH": str(LIBRARY), "OMP_NUM_THREADS": "1"}
        result = subprocess.run(shell, env=environment, capture_output=True)
        assert result.returncode == code
        for text in (result.stdout, result.stderr):
            assert b"Exception ignored" not in text and b"Traceback" not in text


@pytest.mark.parametrize("more", [["-o", ""], ["--output="], ["-o", "x.seg.nrrd", "--segment", ""]])
def test_an_empty_text_is_refused(cli, folder: Path, more: list[str]) -> None:
    inputs = [folder / name for name in ("image.nrrd", "ball.seg.nrrd", "stroke.fcsv")]
    assert "is empty; give it a value" in cli.refuses("edit", *inputs, *more)
    assert "-o is empty" in cli.refuses("synthesize", folder / "image.nrrd", "-o", "")
    assert "An argument is empty" in cli.refuses("edit", "", *inputs[1:], "-o", folder / "o.seg.nrrd")
