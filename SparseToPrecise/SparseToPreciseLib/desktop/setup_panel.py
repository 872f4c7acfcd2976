"""The home module's section on what is installed."""

from __future__ import annotations

from collections.abc import Callable

import qt
from slicer.i18n import tr as _

from ..core.requirements import requirement_states
from ..core.setup_states import SetupStep
from .setup_environment import REQUIREMENTS
from .setup_row import SetupRow


class SetupPanel:
    """Fills the section of the .ui file: the row with the next step, and a table of all requirements.

    Parameters
    ----------
    ui
        With setupFrame and requirementsTable.
    environment
        Of the application; tests bring their own.
    on_changed
        Called after every look, with the `SetupStep`.
    """

    def __init__(self, ui, environment=None, on_changed: Callable[[SetupStep], None] | None = None) -> None:
        self._table, self._on_changed = ui.requirementsTable, on_changed
        self.row = SetupRow(ui.setupFrame, environment=environment, stays=True, on_changed=self._show)
        ui.setupFrame.layout().addWidget(self.row)

    @property
    def step(self) -> SetupStep:
        return self.row.step

    def refresh(self) -> None:
        """Look again what is installed."""
        self.row.refresh()

    def _show(self, step: SetupStep) -> None:
        states = [step.torch, *requirement_states(REQUIREMENTS.read_text(encoding="utf-8").splitlines())]
        self._table.setRowCount(len(states))
        for row, state in enumerate(states):
            verdict = _("ready") if state.satisfied else _("too old") if state.installed else _("not installed")
            for column, text in enumerate((state.name, state.wanted, state.installed or "", verdict)):
                self._table.setItem(row, column, qt.QTableWidgetItem(text))
        self._table.resizeColumnsToContents()
        if self._on_changed is not None:
            self._on_changed(step)
