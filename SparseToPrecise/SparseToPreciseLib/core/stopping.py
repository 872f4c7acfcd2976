"""Ctrl-C, a closed terminal and the desktop's request end a command without a partial output, or early as it is."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import weakref
from collections.abc import Callable, Iterator

from .files import called_before_replacing

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


class _Handler:
    """Raises `Stopped` for a signal, once, and again where it was lost.

    Python raises it wherever the main thread is. That may be code that swallows every exception (a bare `except`, a
    question for an attribute in C), after which the work would go on as if nothing had been asked.
    """

    def __init__(self) -> None:
        self._number: int | None = None
        self._raised: Callable[[], Stopped | None] = lambda: None

    def __call__(self, number: int, frame: object) -> None:
        self._number = number
        self.again_if_lost()

    def again_if_lost(self) -> None:
        # What is on its way is alive; a second Ctrl-C must not interrupt the cleaning up.
        if self._number is not None and self._raised() is None:
            stopped = Stopped(self._number)
            self._raised = weakref.ref(stopped)
            try:
                raise stopped
            finally:
                del stopped  # its traceback holds this frame, which must not hold it


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Within it, SIGINT, SIGTERM and SIGHUP raise `Stopped`; files being written are removed on the way out.

    Once the outputs are about to get their names it is too late: then the command runs to its end.
    """

    def ignore() -> None:
        for name in handled:
            signal.signal(name, signal.SIG_IGN)

    handled = [signal.SIGINT, signal.SIGTERM]
    hang_up = getattr(signal, "SIGHUP", None)  # the terminal was closed; Windows has none
    if hang_up is not None and signal.getsignal(hang_up) is not signal.SIG_IGN:  # as nohup sets it
        handled.append(hang_up)
    if threading.current_thread() is not threading.main_thread():
        yield  # Python leaves signals to the main thread
        return
    handler = _Handler()
    before = {name: signal.signal(name, handler) for name in handled}
    try:
        with called_before_replacing(ignore):
            yield
    finally:
        for name, previous in before.items():
            signal.signal(name, previous)


def lost_stop() -> bool:
    """Raise `Stopped` again where one was swallowed; else false, so that a `Progress` can ask at every step."""
    handler = signal.getsignal(signal.SIGTERM)
    if isinstance(handler, _Handler) and threading.current_thread() is threading.main_thread():
        handler.again_if_lost()
    return False


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
