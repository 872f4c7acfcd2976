"""One line and one button at the top of a family's module while something is missing."""

from __future__ import annotations

from collections.abc import Callable

import qt


class SetupRow(qt.QWidget):
    """Says what is missing, and is not there when nothing is; refresh() it in the module's enter()."""

    def __init__(self, parent: qt.QWidget | None = None, on_ready: Callable[[], None] | None = None) -> None:
        super().__init__(parent)
        self._on_ready = on_ready
        self.refresh()

    @property
    def ready(self) -> bool:
        """Nothing is missing."""
        return True

    def refresh(self) -> None:
        """Look again."""
        self.visible = not self.ready
