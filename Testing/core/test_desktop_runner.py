"""The script that runs the desktop tests fails when it should, seen with programs that only pretend to be Slicer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import house

DESKTOP = house.ROOT / "Testing" / "desktop"
COUNTS = 'echo "{}" > "$DESKTOP_SCREENSHOTS/$DESKTOP_PASS.json"'

pytestmark = pytest.mark.skipif(os.name != "posix", reason="a shell script")


def run(folder: Path, body: str, **environment: str) -> subprocess.CompletedProcess[str]:
    slicer = folder / "Slicer"
    slicer.write_text(f"#!/usr/bin/env bash\n{body}\n")
    slicer.chmod(0o755)
    return subprocess.run(
        [str(DESKTOP / "run_in_slicer.sh"), str(slicer), str(folder / "output")],
        env={**os.environ, "DISPLAY": ":0", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_success_needs_both_passes_to_succeed(tmp_path: Path):
    done = run(tmp_path, f'{COUNTS}; printf "%s\\n" "$@" > "$DESKTOP_SCREENSHOTS/$DESKTOP_PASS.arguments"')
    assert done.returncode == 0, done.stderr
    arguments = (tmp_path / "output" / "main-window.arguments").read_text().splitlines()
    folders = arguments[arguments.index("--additional-module-paths") + 1 : arguments.index("--python-script")]
    assert folders == [str(folder) for folder in house.module_folders()]
    assert "--no-main-window" in (tmp_path / "output" / "no-main-window.arguments").read_text()


@pytest.mark.parametrize(
    "body",
    [
        "exit 0",  # the script was never run
        f"{COUNTS}; exit 1",  # a test failed
        f"{COUNTS}; kill -SEGV $$",
        f'{COUNTS}; [ "$DESKTOP_PASS" = main-window ]',  # only the second pass failed
        f"{COUNTS}; sleep 60",
    ],
)
def test_failure_is_the_exit_status(tmp_path: Path, body: str):
    assert run(tmp_path, body, DESKTOP_TIMEOUT="1").returncode == 1


def test_a_summary_of_an_earlier_run_does_not_count(tmp_path: Path):
    assert run(tmp_path, COUNTS).returncode == 0
    assert run(tmp_path, "exit 0").returncode == 1


def test_a_program_that_is_not_there_is_said(tmp_path: Path):
    command = [str(DESKTOP / "run_in_slicer.sh"), str(tmp_path / "no-slicer")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "is no program" in done.stderr


def test_hidden_packages_are_gone_for_imports_and_for_metadata():
    code = (
        "from hidden_packages import hide; hide({'skimage', 'monai'})\n"
        "import importlib.metadata as m, importlib.util as u, numpy\n"
        "assert u.find_spec('skimage') is None and u.find_spec('monai') is None and u.find_spec('scipy')\n"
        "names = {d.metadata['Name'].lower() for d in m.distributions()}\n"
        "assert 'scipy' in names and not names & {'monai', 'scikit-image'}\n"
        "m.version('scipy')\n"
        "try: m.version('scikit-image')\n"
        "except m.PackageNotFoundError: print('hidden')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=DESKTOP, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "hidden", done.stderr
