"""The row that starts work and shows how it goes: Apply, Cancel, a bar, one line, and the log behind "Details"."""

from __future__ import annotations

from collections.abc import Callable

import ctk
import qt
from slicer.i18n import tr as _


class RunRow(qt.QWidget):
    """Apply and Cancel with a progress bar, a line of status and a collapsed log.

    Parameters
    ----------
    text
        On the button that runs.
    on_run, on_cancel
        Called without arguments when the user clicks.
    on_end
        The same, for a button that ends the work early and keeps what there is; None: there is no such button.
    """

    def __init__(
        self,
        text: str,
        on_run: Callable[[], None],
        on_cancel: Callable[[], None],
        parent: qt.QWidget | None = None,
        on_end: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(parent)
        self._on_run, self._on_cancel, self._on_end = on_run, on_cancel, on_end
        self._ready, self._reason, self._running = True, "", False
        self.run_button = qt.QPushButton(text, self)
        self.end_button = qt.QPushButton(_("Stop and keep"), self)
        self.end_button.toolTip = _("End now, and keep the best so far")
        self.cancel_button = qt.QPushButton(_("Cancel"), self)
        self.cancel_button.toolTip = _("Stop; nothing is changed or kept")
        self.bar = qt.QProgressBar(self)
        self.status_label = qt.QLabel(self)
        self.details = details_box(self)
        self.bar.setRange(0, 1000)
        self.status_label.wordWrap = True
        self.status_label.setTextInteractionFlags(qt.Qt.TextSelectableByMouse)
        buttons = qt.QHBoxLayout()
        buttons.addWidget(self.run_button, 1)
        buttons.addWidget(self.end_button)
        buttons.addWidget(self.cancel_button)
        column = qt.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(buttons)
        for widget in (self.bar, self.status_label, self.details):
            column.addWidget(widget)
        self.run_button.connect("clicked(bool)", self._run_clicked)
        self.end_button.connect("clicked(bool)", self._end_clicked)
        self.cancel_button.connect("clicked(bool)", self._cancel_clicked)
        self._show(running=False, message="")

    @property
    def running(self) -> bool:
        """Between begin() and finish() or fail()."""
        return self._running

    def set_ready(self, ready: bool, reason: str = "") -> None:
        """Enable the button, or disable it with the reason as its tooltip; while it runs, it stays disabled."""
        self._ready, self._reason = bool(ready), reason
        self._update_buttons()

    def begin(self, message: str = "") -> None:
        """Work begins; until the first step() the bar only says that something happens."""
        self._show(running=True, message=message)
        self.bar.setRange(0, 0)

    def step(self, fraction: float, message: str = "") -> None:
        """Work has come to a fraction between 0 and 1."""
        self.bar.setRange(0, 1000)
        self.bar.setValue(int(round(1000 * min(max(fraction, 0.0), 1.0))))
        if message:
            self.status_label.text = message

    def allow_end(self) -> None:
        """From now on there is something to keep."""
        self.end_button.enabled = self._running

    def finish(self, message: str = "") -> None:
        """Work is done."""
        self._show(running=False, message=message)

    def fail(self, sentence: str, details: str = "") -> None:
        """Work has failed: one sentence, and the log behind "Details"."""
        self._show(running=False, message=sentence, details=details)

    def _show(self, running: bool, message: str, details: str = "") -> None:
        self._running = running
        self.bar.setRange(0, 1000)
        self.bar.setValue(0)
        self.bar.visible = self.cancel_button.visible = running
        self.end_button.visible = running and self._on_end is not None
        self.end_button.enabled = False
        self.status_label.text = message
        self.status_label.visible = running or bool(message)
        show_details(self.details, details)
        self._update_buttons()

    def _update_buttons(self) -> None:
        self.run_button.enabled = self._ready and not self._running
        self.run_button.toolTip = self._reason
        self.cancel_button.enabled = self._running

    def _run_clicked(self, _checked: bool = False) -> None:
        self._on_run()

    def _end_clicked(self, _checked: bool = False) -> None:
        self.end_button.enabled = False
        self.status_label.text = _("Ending…")
        self._on_end()

    def _cancel_clicked(self, _checked: bool = False) -> None:
        self.cancel_button.enabled = self.end_button.enabled = False  # once is enough; finish() or fail() follows
        self.status_label.text = _("Cancelling…")
        self._on_cancel()


def details_box(parent: qt.QWidget) -> ctk.ctkCollapsibleGroupBox:
    """A collapsed "Details" with room for a log; see `show_details`."""
    box = ctk.ctkCollapsibleGroupBox(parent)
    box.title = _("Details")
    text = qt.QPlainTextEdit(box)
    text.objectName = "DetailsText"
    text.readOnly = True
    text.setMaximumHeight(200)
    qt.QVBoxLayout(box).addWidget(text)
    box.collapsed = True
    box.visible = False
    return box


def show_details(box: ctk.ctkCollapsibleGroupBox, details: str) -> None:
    """Put a log into a `details_box`, which is not visible without one."""
    box.findChild(qt.QPlainTextEdit, "DetailsText").plainText = details
    box.visible = bool(details)
