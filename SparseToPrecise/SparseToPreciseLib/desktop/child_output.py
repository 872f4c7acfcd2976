"""Output of a command of ours while it runs, and its outcome when it has ended. No Qt in here."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

_LOG_CHARACTERS = 200_000


@dataclass
class Outcome:
    """How a child process ended.

    Attributes
    ----------
    ok
        It did what it was asked to.
    cancelled
        It was stopped by us.
    sentence
        For the user: what went wrong; empty when `ok`.
    log
        Everything it wrote besides the JSON lines.
    result
        What it gave as its result.
    """

    ok: bool
    cancelled: bool
    sentence: str
    log: str
    result: dict[str, Any] = field(default_factory=dict)


class ChildOutput:
    """Takes a child's bytes as they come and finds the JSON lines of `cli.reporting` in them."""

    def __init__(self) -> None:
        self._rest = b""
        self._log: list[str] = []
        self._error = ""
        self._result: dict[str, Any] | None = None

    def feed(self, chunk: bytes) -> list[dict[str, Any]]:
        """Take bytes of stdout; the events that are complete now, in order."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        return [event for line in lines if (event := self._event(line)) is not None]

    def feed_log(self, chunk: bytes) -> None:
        """Take bytes of stderr."""
        self._log.append(chunk.decode("utf-8", errors="replace"))

    @property
    def log(self) -> str:
        """Output besides the JSON lines; of very much, the end."""
        return "".join(self._log).replace("\r\n", "\n")[-_LOG_CHARACTERS:]

    def outcome(self, code: int, cancelled: bool) -> Outcome:
        """The outcome, once the process has ended with an exit code (negative: a signal)."""
        self.feed(b"\n")  # a process that is killed may leave a line without its end
        if code == 0 and not self._error and not cancelled:
            return Outcome(True, False, "", self.log, self._result or {})
        if cancelled:
            sentence = "Cancelled."
        elif self._error:
            sentence = self._error
        else:
            sentence = f"The process ended unexpectedly (code {code}); the details have what it wrote."
        return Outcome(False, cancelled, sentence, self.log)

    def _event(self, line: bytes) -> dict[str, Any] | None:
        text = line.decode("utf-8", errors="replace").rstrip("\r")
        try:
            event = json.loads(text)
        except ValueError:
            event = None
        if not isinstance(event, dict) or not event.keys() & {"fraction", "error"}:
            if text.strip():
                self._log.append(text + "\n")
            return None
        if "error" in event:
            self._error = str(event["error"])
        if isinstance(event.get("result"), dict):
            self._result = event["result"]
        return event if "fraction" in event else None
