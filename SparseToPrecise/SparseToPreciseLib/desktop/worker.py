"""Interactive work on one long-lived thread, while the main thread keeps the application alive."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import qt
import slicer

from ..core.errors import Cancelled
from ..core.progress import Progress

_INTERVAL_MS = 20
# Longer than the first import of PyTorch takes, which cannot be cancelled: Python must not end in the midst of it.
_LAST_WAIT_S = 60.0


class Job:
    """One piece of work: waiting, running or finished.

    Attributes
    ----------
    finished
        True from when its `done` is called.
    """

    def __init__(self, function: Callable, done: Callable, stepped: Callable | None) -> None:
        self.finished = False
        self._function, self._done, self._stepped = function, done, stepped
        self._cancelled, self._ended = threading.Event(), threading.Event()
        self._step: tuple[float, str] | None = None
        self._result: Any = None
        self._error: BaseException | None = None

    def cancel(self) -> None:
        """Ask the job to stop. Whatever it still computes, its `done` gets `Cancelled`."""
        self._cancelled.set()

    def _run(self) -> None:
        """On the worker's thread."""
        try:
            progress = Progress(self._note_step, self._cancelled.is_set)
            progress.check()
            self._result = self._function(progress)
        except BaseException as error:  # the thread must live on; the caller gets it in done()
            self._error = error
        finally:
            self._function = None  # with the arrays that it holds
            self._ended.set()

    def _note_step(self, fraction: float, message: str) -> None:
        self._step = (fraction, message)

    def _tell(self) -> bool:
        """On the main thread: hand over the newest step, or the end. True when that was the end."""
        ended = self._ended.is_set() or self._cancelled.is_set() and self._function is None
        step, self._step = self._step, None
        if step and self._stepped and not self._cancelled.is_set():
            self._stepped(*step)
        return ended

    def _finish(self) -> None:
        self.finished = True
        result, error = self._result, self._error
        if self._cancelled.is_set():
            result, error = None, Cancelled("cancelled")
        done, self._done, self._stepped, self._result = self._done, None, None, None
        done(result, error)


class Worker:
    """Runs functions that touch neither Qt nor MRML, one after another.

    One thread for all, because cuDNN keeps its plans for each thread; a daemon, so that it never holds up the end of
    the application. All methods are for the main thread.
    """

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._jobs: list[Job] = []
        self._thread: threading.Thread | None = None
        self._timer = qt.QTimer()
        self._timer.setInterval(_INTERVAL_MS)
        self._timer.connect("timeout()", self._poll)

    def submit(
        self,
        function: Callable[[Progress], Any],
        done: Callable[[Any, BaseException | None], None],
        stepped: Callable[[float, str], None] | None = None,
    ) -> Job:
        """Put work into the queue.

        Parameters
        ----------
        function
            Called on the thread with a `Progress`, which raises `Cancelled` after the job's cancel().
        done
            Called on the main thread with (result, None) or (None, error).
        stepped
            Called on the main thread with the newest (fraction, message); steps in between may be left out.
        """
        job = Job(function, done, stepped)
        if self._thread is None:
            self._thread = threading.Thread(target=_work, args=(self._queue,), name="SparseToPrecise", daemon=True)
            self._thread.start()
        self._jobs.append(job)
        self._queue.put(job)
        self._timer.start()
        return job

    def wait(self, job: Job, timeout_s: float | None = None) -> None:
        """Let the application go on until the job's done() has been called.

        Raises
        ------
        TimeoutError
            It took longer than `timeout_s`.
        """
        end = None if timeout_s is None else time.monotonic() + timeout_s
        while not job.finished:
            if end is not None and time.monotonic() > end:
                raise TimeoutError(f"the work was not done within {timeout_s:g} s")
            job._ended.wait(_INTERVAL_MS / 1000)  # a wait, not a spin, which would keep the thread from its work
            slicer.app.processEvents()
            self._poll()  # the timer is mute when this is called from within one of its callbacks

    def stop(self) -> None:
        """Cancel everything, tell those who wait for it, and let the thread end."""
        jobs, self._jobs = self._jobs, []
        for job in jobs:
            job.cancel()
        self._queue.put(None)
        self._timer.stop()
        for job in jobs:
            job._finish()
        if self._thread is not None:
            self._thread.join(_LAST_WAIT_S)
            self._thread = None
            self._queue = queue.SimpleQueue()

    def _poll(self) -> None:
        for job in list(self._jobs):
            if job in self._jobs and job._tell():
                # Before done(), which may pump events and come here again, or raise.
                with contextlib.suppress(ValueError):
                    self._jobs.remove(job)
                if not job.finished:
                    job._finish()
        if not self._jobs:
            self._timer.stop()


def _work(jobs: queue.SimpleQueue[Job | None]) -> None:
    while (job := jobs.get()) is not None:
        job._run()
        del job  # waiting for the next one must not keep this one's arrays


_shared: Worker | None = None


def shared_worker() -> Worker:
    """The application's worker: loaded models and cuDNN's plans belong to its thread."""
    global _shared
    if _shared is None:
        _shared = Worker()
        slicer.app.connect("aboutToQuit()", stop_shared_worker)
    return _shared


def stop_shared_worker() -> None:
    """End the shared worker, before the application or this module's code goes; the next user gets a new one."""
    global _shared
    worker, _shared = _shared, None
    if worker is not None:
        slicer.app.disconnect("aboutToQuit()", stop_shared_worker)
        worker.stop()
