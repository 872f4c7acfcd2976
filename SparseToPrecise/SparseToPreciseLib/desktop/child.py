"""Long work as a child process: the application stays responsive, and cancel really stops the work."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer

from .child_output import Outcome
from .child_process import ChildProcess

__all__ = ["Child", "Outcome"]

_INTERVAL_MS = 50
_LAST_WAIT_S = 3.0


class Child:
    """Runs `PythonSlicer -m SparseToPreciseLib.cli ARGUMENTS --progress json`.

    Parameters
    ----------
    on_step
        Called with each JSON line about the progress: "fraction", "message", maybe more.
    on_finished
        Called once with the `Outcome`.

    Both are called on the main thread. Temporary files are the caller's; remove them in `on_finished`.
    """

    def __init__(
        self, on_step: Callable[[dict[str, Any]], None], on_finished: Callable[[Outcome], None]
    ) -> None:
        self._on_step, self._on_finished = on_step, on_finished
        self._process: ChildProcess | None = None
        self._timer = qt.QTimer()
        self._timer.setInterval(_INTERVAL_MS)
        self._timer.connect("timeout()", self._poll)

    @property
    def running(self) -> bool:
        """From start() until `on_finished` is called."""
        return self._process is not None

    def start(self, arguments: list[str]) -> None:
        """Start the command with these arguments; `--progress json` is added.

        Raises
        ------
        RuntimeError
            The last one is still running.
        """
        if self.running:
            raise RuntimeError("the last process is still running")
        program = shutil.which("PythonSlicer")
        if program is None:
            self._on_finished(Outcome(False, False, "Slicer's own Python (PythonSlicer) was not found.", ""))
            return
        command = [program, "-m", "SparseToPreciseLib.cli", *map(str, arguments), "--progress", "json"]
        try:
            self._process = ChildProcess(command, _environment())
        except OSError as error:
            sentence = f"Slicer's own Python could not be started: {error.strerror or error}."
            self._on_finished(Outcome(False, False, sentence, program))
            return
        slicer.app.connect("aboutToQuit()", self._quit)
        self._timer.start()

    def cancel(self) -> None:
        """Ask the process to end; `on_finished` follows. The process has three seconds to clean up."""
        if self._process is not None:
            self._process.cancel()

    def ask_to_end(self) -> None:
        """Ask a command that can do so to end early with what it has; `on_finished` follows when it has done that."""
        if self._process is not None:
            self._process.ask_to_end()

    def _poll(self) -> None:
        if self._process is None:
            return
        process = self._process
        events, outcome = process.poll()
        if outcome is not None:
            # Before the callbacks, which may start the next one.
            self._timer.stop()
            slicer.app.disconnect("aboutToQuit()", self._quit)
            self._process = None
        try:
            for event in events:
                self._on_step(event)
        finally:
            if outcome is not None:
                self._on_finished(outcome)

    def _quit(self) -> None:
        if self._process is not None:
            self._process.cancel()
            self._process.wait(_LAST_WAIT_S)


def _environment() -> dict[str, str]:
    folder = str(Path(__file__).resolve().parents[2])
    paths = [folder, *filter(None, [os.environ.get("PYTHONPATH")])]
    # Windows would write another code page into a pipe.
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}
