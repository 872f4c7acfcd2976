"""Ctrl-C, and the desktop's request to terminate, end a command without a partial output."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator


class Stopped(BaseException):
    """A signal asked to stop. No `Exception`, so that only what cleans up after itself sees it.

    Attributes
    ----------
    signal
        Its number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = number


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Within it, SIGINT and SIGTERM raise `Stopped`; files being written are removed on the way out."""

    def stop(number: int, frame: object) -> None:
        # Once is enough: a second Ctrl-C must not interrupt the cleaning up.
        for name in handled:
            signal.signal(name, signal.SIG_IGN)
        raise Stopped(number)

    handled = [signal.SIGINT, signal.SIGTERM]
    if threading.current_thread() is not threading.main_thread():
        yield  # Python leaves signals to the main thread
        return
    before = {name: signal.signal(name, stop) for name in handled}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
