"""A series of strokes: one is computed, others wait, one is shown before it is applied, and all can be cancelled.

Qt-free: the worker and the widgets that show what happens are given by the effect. All methods are for the main thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from ..core.errors import Cancelled, InputError, in_digits
from ..core.progress import Progress
from ..editing.edit_history import PastEdit
from ..editing.edit_series import Series
from .edit_histories import EditHistories
from .stroke_editing import Job, Options, Outcome, apply, prepare, revert, transformed
from .stroke_preview import Preview
from .stroke_targets import SelectedSegment
from .volumes import parent_to_world


class Ticket(Protocol):
    """Work that was handed to a worker."""

    def cancel(self) -> None:
        """Ask it to stop."""


class Worker(Protocol):
    """See `desktop.worker.Worker`."""

    def submit(
        self,
        function: Callable[[Progress], Any],
        done: Callable[[Any, BaseException | None], None],
        stepped: Callable[[float, str], None] | None = None,
    ) -> Ticket: ...


class Session:
    """Strokes on one segment editor.

    A stroke is answered for the segment that is selected when its turn comes. When the segment, the segmentation or
    the scene changes meanwhile, what is computed and what waits is dropped (`follow_selection`, `cancel`); an answer
    that comes too late changes nothing.

    Parameters
    ----------
    effect
        The `scriptedEffect`.
    worker
        Thread that computes.
    changed
        Called without arguments when `busy`, `waiting`, `preview`, `fraction` or `message` has changed.
    failed
        Called with an exception that is neither bad input nor a cancellation.

    Attributes
    ----------
    histories
        The edits of every segment.
    preview
        Answer that waits for `accept` or `reject`; else None.
    message
        One sentence about what happened last.
    fraction
        Share of the running edit that is done.
    """

    def __init__(
        self,
        effect: Any,
        worker: Worker,
        changed: Callable[[], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self.histories = EditHistories()
        self.preview: Preview | None = None
        self.message = ""
        self.fraction = 0.0
        self._target = SelectedSegment(effect)
        self._worker, self._changed, self._failed = worker, changed, failed
        self._queue: list[tuple[np.ndarray, Options, bool]] = []
        self._running: Ticket | None = None
        self._run = 0
        self._edited: tuple[Any, str] | None = None

    @property
    def busy(self) -> bool:
        """Whether an edit is computed."""
        return self._running is not None

    @property
    def waiting(self) -> int:
        """Strokes that wait for their turn."""
        return len(self._queue)

    def draw(self, stroke_ras: np.ndarray, options: Options, preview: bool = False) -> None:
        """Answer a stroke (RAS, mm), or put it into the queue; it replaces a preview that waits."""
        self._close_preview()
        self._queue.append((np.array(stroke_ras, dtype=np.float64), options, preview))
        if not self.busy:
            self._next()
        self._changed()

    def cancel(self, why: str = "Cancelled; nothing was changed.") -> bool:
        """Drop the running edit, the queue and the preview. False when there was nothing to drop."""
        anything = self.busy or bool(self._queue) or self.preview is not None
        self._queue.clear()
        self._close_preview()
        if self._running is not None:
            running, self._running = self._running, None
            self._run += 1  # whatever it still answers is not heard
            running.cancel()
        if anything:
            self.message = why
            self._changed()
        return anything

    def follow_selection(self) -> bool:
        """Cancel when another segment is selected than the one that is edited. True when the selection is another."""
        selection = self._selection()
        if selection == self._edited:
            return False
        self._edited = selection
        self.message = ""
        self.cancel("Another segment was selected; the edit was dropped.")
        self._changed()
        return True

    def accept(self) -> None:
        """Apply what is shown."""
        preview = self.preview
        if preview is not None:
            self._close_preview()
            self._guarded(lambda: self._apply(preview.job, preview.series, None))
            self._next()
            self._changed()

    def reject(self) -> None:
        """Take away what is shown, and go on with the next stroke."""
        if self.preview is not None:
            self._close_preview()
            self.message = "The preview was dropped; nothing was changed."
            self._next()
            self._changed()

    def revert(self, number: int) -> None:
        """Undo one of the edits and keep the later ones."""

        def work() -> None:
            done = revert(self._target, number, self.histories)
            self.message = f"Edit {number} was reverted: {_amount(done)}"

        self._guarded(work)
        self._changed()

    def edits(self) -> list[PastEdit]:
        """The edits that the selected segment shows, oldest first."""
        try:
            return self.histories.in_effect(*self._target.segment())
        except InputError:
            return []

    def place(self, number: int) -> np.ndarray | None:
        """(3,) RAS, mm: the middle of the stroke of an edit that the selected segment shows; else None."""
        for edit in self.edits():
            if edit.number == number:
                node, _ = self._target.segment()
                return transformed(parent_to_world(node), edit.stroke)[len(edit.stroke) // 2]
        return None

    def _selection(self) -> tuple[Any, str] | None:
        try:
            return self._target.segment()
        except InputError:
            return None

    def _next(self) -> None:
        """Begin with the next stroke that can be answered."""
        while self._queue and not self.busy and self.preview is None:
            stroke, options, preview = self._queue.pop(0)
            self._guarded(lambda stroke=stroke, options=options, preview=preview: self._start(stroke, options, preview))

    def _start(self, stroke: np.ndarray, options: Options, preview: bool) -> None:
        begun = time.perf_counter()
        job = prepare(self._target, [stroke], options, self.histories)
        self._edited = (job.node, job.segment_id)
        self._run += 1
        run = self._run
        self.message, self.fraction = f"Correcting {job.segment.name} near the stroke…", 0.0
        self._running = self._worker.submit(
            job.work(),
            lambda series, error: self._done(run, job, series, error, begun, preview),
            lambda fraction, message: self._stepped(run, fraction),
        )

    def _stepped(self, run: int, fraction: float) -> None:
        if run == self._run and self.busy:
            self.fraction = fraction
            self._changed()

    def _done(
        self,
        run: int,
        job: Job,
        series: Series | None,
        error: BaseException | None,
        begun: float,
        preview: bool,
    ) -> None:
        if run != self._run:
            return
        self._running = None

        def work() -> None:
            if error is not None:
                raise error
            if preview:
                self.preview = Preview(self._target, job, series)
                self.message = "Preview: apply it, cancel it, or draw again."
            else:
                self._apply(job, series, begun)

        self._guarded(work)
        self._next()
        self._changed()

    def _apply(self, job: Job, series: Series, begun: float | None) -> None:
        done = apply(self._target, job, series, self.histories)
        took = "" if begun is None else f" in {time.perf_counter() - begun:.1f} s"
        title = f"Edit {done.number}{took}: " if done.number else ""
        self.message = " ".join([title + _amount(done), *(note for row in done.rows for note in row.notes)])

    def _guarded(self, work: Callable[[], None]) -> None:
        """Do something that may fail, and say why it did."""
        try:
            work()
        except Cancelled:
            self.message = "Cancelled; nothing was changed."
        except InputError as error:
            self.message = str(error)
        except Exception as error:  # the session goes on with the next stroke; the effect tells the user
            self.message = "The edit failed; nothing was changed."
            self._failed(error)

    def _close_preview(self) -> None:
        if self.preview is not None:
            self.preview.close()
            self.preview = None


def volume_text(mm3: float) -> str:
    """A volume with its unit, as short as it makes sense."""
    return f"{in_digits(mm3)} mm³"


def _amount(done: Outcome) -> str:
    """The change, as sentences."""
    text = f"{done.changed} voxels changed ({volume_text(done.changed_mm3)})." if done.changed else "No voxel changed."
    if done.withheld:
        text += f" {done.withheld} more lie outside the editable area or intensity range."
    for other in done.others:
        if other.changed:
            text += f" {other.changed} voxels of {other.name} changed."
    return text
