"""Progress and cancel, in one object that long work carries along; and how long its stages took."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from .errors import Cancelled


class Progress:
    """Tells how far the work is and stops it when the user has cancelled.

    Parameters
    ----------
    report
        Called with (fraction between 0 and 1, message). None: nobody listens.
    cancelled
        Asked at every step; true ends the work with `Cancelled`.
    """

    def __init__(
        self,
        report: Callable[[float, str], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> None:
        self._report = report
        self._cancelled = cancelled

    def __call__(self, fraction: float, message: str = "") -> None:
        """Report a fraction (clipped to 0..1) and a message; raises `Cancelled` when the user has cancelled."""
        self.check()
        self._tell(fraction, message)

    def _tell(self, fraction: float, message: str) -> None:
        if self._report is not None:
            self._report(min(max(float(fraction), 0.0), 1.0), message)

    def check(self) -> None:
        """Raise `Cancelled` when the user has cancelled; cheap enough for inner loops."""
        if self._cancelled is not None and self._cancelled():
            raise Cancelled("cancelled")

    def also(self, cancelled: Callable[[], bool]) -> Progress:
        """A view that a second question can cancel, too."""
        return Progress(self._tell, lambda: bool(self._cancelled and self._cancelled()) or cancelled())

    def to_the_end(self) -> Progress:
        """A view for what must still be done after the user has cancelled."""
        return Progress(self._tell)

    def part(self, start: float, stop: float) -> Progress:
        """A view for a sub-task: its 0..1 is start..stop of this one."""
        return Progress(
            lambda fraction, message: self._tell(start + (stop - start) * fraction, message), self._cancelled
        )


@contextlib.contextmanager
def timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    """Add the wall time of a block, in seconds, to `timings[stage]`."""
    started = time.perf_counter()
    yield
    timings[stage] = timings.get(stage, 0.0) + time.perf_counter() - started
