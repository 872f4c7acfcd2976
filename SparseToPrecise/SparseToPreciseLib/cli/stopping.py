"""Ctrl-C, and the desktop's request to terminate, end a command without a partial output."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

from ..core.files import called_before_replacing


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
