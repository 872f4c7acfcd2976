"""A process with its children, read without waiting and ended as a whole. No Qt in here."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from typing import IO, Any

from .child_output import ChildOutput, Outcome

_PATIENCE_S = 3.0
_END = b"end\n"  # as `core.stopping` hears it
_WINDOWS = os.name == "nt"


class ChildProcess:
    """A command of ours as a process.

    Parameters
    ----------
    command
        Program and arguments.
    environment
        Of the process.

    Raises
    ------
    OSError
        It could not be started.

    Notes
    -----
    Not a QProcess, which on every system ends only the process that it started: PythonSlicer may be a launcher, and
    a training has workers.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        # A group or session of its own can be ended as a whole.
        group: dict[str, Any] = {"start_new_session": True}
        if _WINDOWS:
            group = {"creationflags": subprocess.CREATE_NO_WINDOW}
        self._process = subprocess.Popen(
            list(command),
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **group,
        )
        self._output = ChildOutput()
        self._chunks: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        self._readers = [
            threading.Thread(target=self._read, args=(name, stream), daemon=True)
            for name, stream in (("out", self._process.stdout), ("log", self._process.stderr))
        ]
        for reader in self._readers:
            reader.start()
        self._cancelled_at: float | None = None
        self._killed = False

    def poll(self) -> tuple[list[dict[str, Any]], Outcome | None]:
        """The events since the last call and, when the process has ended, its outcome. Never waits."""
        cancelled = self._cancelled_at is not None
        if cancelled and not self._killed and time.monotonic() - self._cancelled_at > _PATIENCE_S:
            self.kill()
        # In this order: what was written before the end is read before the end is believed.
        code = self._process.poll()
        # A grandchild may hold the pipes open; once we have cancelled, nobody waits for its last words.
        ended = code is not None and (cancelled or not any(reader.is_alive() for reader in self._readers))
        events = []
        with contextlib.suppress(queue.Empty):
            while True:
                name, chunk = self._chunks.get_nowait()
                if name == "log":
                    self._output.feed_log(chunk)
                else:
                    events += self._output.feed(chunk)
        if not ended:
            return events, None
        if cancelled and not self._killed:
            self.kill()  # what of the group outlived its leader
        return events, self._output.outcome(code, cancelled)

    def cancel(self) -> None:
        """Ask the process to clean up and end; `poll` ends it by force when it takes too long."""
        if self._cancelled_at is None:
            self._cancelled_at = time.monotonic()
            if _WINDOWS:  # which knows no polite way for a process without a window
                self.kill()
            else:
                self._signal(signal.SIGTERM)

    def ask_to_end(self) -> None:
        """Ask a command that can do so to end early with what it has; to others it means nothing."""
        with contextlib.suppress(OSError):  # it has ended by itself
            self._process.stdin.write(_END)
            self._process.stdin.flush()

    def kill(self) -> None:
        """End the process and its children at once."""
        self._killed = True
        if _WINDOWS:
            subprocess.run(
                ["taskkill", "/PID", str(self._process.pid), "/T", "/F"],
                capture_output=True,
                check=False,
                creationflags=subprocess.CREATE_NO_WINDOW,
            )
        else:
            self._signal(signal.SIGKILL)

    def wait(self, timeout_s: float) -> None:
        """Wait for the end after a cancel, by force when it does not come in time."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _read(self, name: str, stream: IO[bytes]) -> None:
        with stream:
            while chunk := stream.read1(65536):
                self._chunks.put((name, chunk))
