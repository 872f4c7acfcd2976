"""One line and one button that lead through the first-run set-up, shared by all modules."""

from __future__ import annotations

from collections.abc import Callable

import qt
import slicer
from slicer.i18n import tr as _

from ..core.setup_states import SetupState, SetupStep, next_step, take
from .messages import sentence
from .run_row import details_box, show_details
from .setup_environment import SlicerEnvironment, captured_output


class SetupRow(qt.QWidget):
    """Says what is missing and has the button for the next step; not visible when nothing is missing.

    Parameters
    ----------
    on_ready
        Called when the last step is done.
    meanwhile
        A sentence on what works without it.
    environment
        Of the application; tests bring their own.
    stays
        Remain visible when everything is ready.
    on_changed
        Called after every look, with the `SetupStep`.

    Looking is cheap and imports nothing: call refresh() in a module's enter() and an effect's activate().
    """

    def __init__(
        self,
        parent: qt.QWidget | None = None,
        on_ready: Callable[[], None] | None = None,
        *,
        meanwhile: str = "",
        environment=None,
        stays: bool = False,
        on_changed: Callable[[SetupStep], None] | None = None,
    ) -> None:
        super().__init__(parent)
        self._on_ready, self._on_changed, self._stays, self._meanwhile = None, on_changed, stays, meanwhile
        self._environment = environment or SlicerEnvironment()
        self._step: SetupStep | None = None
        self._busy = False
        self.label = qt.QLabel(self)
        self.button = qt.QPushButton(self)
        self.bar = qt.QProgressBar(self)
        self.failure_label = qt.QLabel(self)
        self.details = details_box(self)
        for label in (self.label, self.failure_label):
            label.wordWrap = True
            label.setTextInteractionFlags(qt.Qt.TextSelectableByMouse)
        self.button.setSizePolicy(qt.QSizePolicy.Maximum, qt.QSizePolicy.Fixed)
        self.bar.setRange(0, 0)
        row = qt.QHBoxLayout()
        row.addWidget(self.label, 1)
        row.addWidget(self.button)
        column = qt.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(row)
        for widget in (self.bar, self.failure_label, self.details):
            column.addWidget(widget)
        self.button.connect("clicked(bool)", self._clicked)
        self._say_failure("")
        self.refresh()
        self._on_ready = on_ready  # from here on: who makes the row sees for themselves how it stands

    @property
    def ready(self) -> bool:
        """Nothing is missing, as of the last look."""
        return self._step.ready

    @property
    def step(self) -> SetupStep:
        """Where the set-up stands, as of the last look."""
        return self._step

    def refresh(self) -> None:
        """Look again what is installed."""
        if self._busy:
            return
        before, self._step = self._step, next_step(self._environment)
        step = self._step
        if before is not None and before.state is not step.state:
            self._say_failure("")
        self.label.text = step.sentence if step.ready else f"{step.sentence} {self._meanwhile}".rstrip()
        self.button.text = step.button
        self._update_widgets()
        if self._on_changed is not None:
            self._on_changed(step)
        if step.ready and before is not None and not before.ready and self._on_ready is not None:
            self._on_ready()

    def _update_widgets(self) -> None:
        wanted = self._stays or not self._step.ready
        if not wanted or self.parent() is not None:  # else it would become a window of its own
            self.visible = wanted
        self.button.visible = bool(self._step.button)
        self.button.enabled = not self._busy
        self.bar.visible = self._busy

    def _say_failure(self, text: str, details: str = "") -> None:
        self.failure_label.text = text
        self.failure_label.visible = bool(text)
        show_details(self.details, details)

    def _clicked(self, _checked: bool = False) -> None:
        if self._busy:
            return
        before, log, failure = next_step(self._environment), [], None
        if before != self._step:  # another module's row was faster
            self.refresh()
            return
        self._busy = True
        self._say_failure("")
        self._update_widgets()
        slicer.app.processEvents()
        try:
            with captured_output(log.append):
                take(before, self._environment)
        except Exception as error:  # whatever an installer may raise is for the user to read
            failure = error
        finally:
            self._busy = False
        self.refresh()
        if failure is not None:
            text, details = sentence(failure)
            self._say_failure(text, "\n".join(filter(None, ["".join(log), details])))
        elif self._step == before and before.state is not SetupState.RESTART_NEEDED:
            self._say_failure(_("Nothing was installed."), "".join(log))
