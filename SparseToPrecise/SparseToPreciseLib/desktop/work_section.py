"""A section of a panel that has one job at a time done by the shared worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from slicer.i18n import tr as _

from ..core.progress import Progress
from .messages import sentence
from .run_row import RunRow
from .worker import Job, shared_worker

_Given, _Result = TypeVar("_Given"), TypeVar("_Result")


class WorkSection:
    """Reads nodes, has the worker compute, and shows what came out; `follow` is called whenever that changes.

    Attributes
    ----------
    job
        What runs; None: nothing does.
    """

    job: Job | None = None

    def follow(self) -> None:
        """Show what is chosen, and what can run; for the subclass."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Stop the job; nothing is changed."""
        if self.job is not None:
            self.job.cancel()

    def work(
        self,
        row: RunRow,
        prepare: Callable[[], _Given],
        compute: Callable[[_Given, Progress], _Result],
        show: Callable[[_Given, _Result], Any],
    ) -> None:
        """Do one job, told in a row; whatever goes wrong is a sentence in it.

        Parameters
        ----------
        prepare
            Called at once: reads the nodes.
        compute
            Called on the worker's thread with what was read; touches neither Qt nor MRML.
        show
            Called on the main thread with what was read and computed; may give a sentence for the row.
        """

        def done(result: _Result, error: BaseException | None) -> None:
            self.job = None
            try:
                if error is not None:
                    raise error
                row.finish(show(given, result) or "")
            except Exception as problem:  # whatever went wrong is for the user to read
                row.fail(*sentence(problem))
            self.follow()

        try:
            given = prepare()
        except Exception as problem:
            row.fail(*sentence(problem))
            return
        row.begin(_("Starting…"))
        self.job = shared_worker().submit(lambda progress: compute(given, progress), done, row.step)
        self.follow()
