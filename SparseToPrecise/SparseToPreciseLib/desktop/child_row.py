"""A child process that is told of in a row of a panel, with the curves of a training."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from .child import Child, Outcome
from .run_row import RunRow


class ChildRow:
    """Runs one command at a time and shows how it goes.

    Parameters
    ----------
    row
        Shows the progress, and the sentence when it fails.
    on_done
        Called with the `Outcome` of a success; gives a sentence for the row.
    on_end
        Called without arguments when it has ended, whatever the end.
    curves
        Fields of the command's "validation" to plot against its "steps", and their titles; None: nothing is plotted.
    on_row
        Called without arguments after every validation.

    Attributes
    ----------
    rows
        How many validations there were.
    """

    def __init__(
        self,
        row: RunRow,
        on_done: Callable[[Outcome], str],
        on_end: Callable[[], None],
        curves: Mapping[str, str] | None = None,
        on_row: Callable[[], None] | None = None,
    ) -> None:
        self._row, self._on_done, self._on_end, self._curves, self._on_row = row, on_done, on_end, curves, on_row
        self._child = Child(self._stepped, self._finished)
        self._plot, self._title = None, ""
        self.rows = 0

    @property
    def running(self) -> bool:
        """From start() until the end of the process."""
        return self._child.running

    def start(self, arguments: list[str], title: str = "") -> None:
        """Start `sparse-to-precise` with these arguments; the chart of its curves gets the title."""
        self._plot, self._title, self.rows = None, title, 0
        self._child.start(arguments)

    def cancel(self) -> None:
        """Stop it; nothing of it stays."""
        self._child.cancel()

    def ask_to_end(self) -> None:
        """Ask it to end early with what it has."""
        self._child.ask_to_end()

    def _stepped(self, event: dict) -> None:
        validation = event.get("validation")
        if isinstance(validation, dict):
            self.rows += 1
            if self._curves:
                self._add_point(validation)
            if self._on_row is not None:
                self._on_row()
        self._row.step(float(event["fraction"]), str(event.get("message", "")))

    def _add_point(self, row: dict) -> None:
        from ..mrml.plots import GrowingPlot

        if self._plot is None:
            self._plot = GrowingPlot(self._title, ("steps", _("steps")), self._curves)
            if slicer.app.layoutManager() is not None:
                slicer.modules.plots.logic().ShowChartInLayout(self._plot.chart)
        self._plot.add(row)

    def _finished(self, outcome: Outcome) -> None:
        if outcome.ok:
            self._row.finish(self._on_done(outcome))
        else:
            self._row.fail(outcome.sentence, "" if outcome.cancelled else outcome.log)
        self._on_end()


class ScratchFolder:
    """A temporary folder for what a child process reads; it goes at the latest when the application ends."""

    def __init__(self) -> None:
        self.path: Path | None = None

    def make(self) -> Path:
        """Make the folder."""
        self.path = Path(tempfile.mkdtemp(prefix="SparseToPrecise-"))
        slicer.app.connect("aboutToQuit()", self.remove)
        return self.path

    def remove(self) -> None:
        """Remove the folder, if there is one."""
        if self.path is not None:
            slicer.app.disconnect("aboutToQuit()", self.remove)
            shutil.rmtree(self.path, ignore_errors=True)
            self.path = None
