"""Ctrl-C, and the desktop's request to terminate, end a command without a partial output, or early with what it has."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator

from ..core.files import called_before_replacing

END_WORD = "end"
"""On standard input, the desktop's request to end early; a signal would be unknown to Windows."""


class Stopped(BaseException):
    """A signal asked to stop. No `Exception`, so that only what cleans up after itself sees it.

    Attributes
    ----------
    signal
        Its number.
    left
        What of the command is there, to follow "Stopped; ".
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = number
        self.left = "nothing was written."


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Within it, SIGINT and SIGTERM raise `Stopped`; files being written are removed on the way out.

    Once the outputs are about to get their names it is too late: then the command runs to its end.
    """

    def ignore() -> None:
        for name in handled:
            signal.signal(name, signal.SIG_IGN)

    def stop(number: int, frame: object) -> None:
        ignore()  # a second Ctrl-C must not interrupt the cleaning up
        raise Stopped(number)

    handled = [signal.SIGINT, signal.SIGTERM]
    if threading.current_thread() is not threading.main_thread():
        yield  # Python leaves signals to the main thread
        return
    before = {name: signal.signal(name, stop) for name in handled}
    try:
        with called_before_replacing(ignore):
            yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


@contextlib.contextmanager
def ending_early() -> Iterator[Callable[[], bool]]:
    """Within it, the first Ctrl-C, or `END_WORD` on standard input, asks the work to end with what it has.

    Gives what says whether that was asked for. A second Ctrl-C, and any request to terminate, stop as always.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return

    def ask(number: int, frame: object) -> None:
        signal.signal(signal.SIGINT, before)
        asked.set()

    before = signal.signal(signal.SIGINT, ask)
    if sys.stdin is not None and not sys.stdin.closed and not os.isatty(0):
        threading.Thread(target=_listen, args=(asked,), daemon=True).start()
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, before)


def _listen(asked: threading.Event) -> None:
    # From the descriptor: a thread that waits in sys.stdin would keep Python from ending.
    heard = b""
    with contextlib.suppress(OSError):
        while chunk := os.read(0, 1024):
            heard += chunk
            if END_WORD.encode() in heard.split():
                asked.set()
                return
