"""Choosing a model of one family."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import qt
from slicer.i18n import tr as _


class ModelSelector(qt.QWidget):
    """A drop-down list of the model bundles that do a family's work, and of what else can do it.

    Parameters
    ----------
    family
        A key of `families.FAMILIES`.
    extra
        (name, tooltip) of further entries, e.g. algorithms without a model.
    on_changed
        Called with the new model's name when it has changed, by whomever.
    """

    def __init__(
        self,
        family: str,
        extra: Sequence[tuple[str, str]] = (),
        on_changed: Callable[[str], None] | None = None,
        parent: qt.QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._family, self._extra, self._on_changed, self._told = family, tuple(extra), None, ""
        self.combo_box = qt.QComboBox(self)
        row = qt.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.combo_box, 1)
        self.refresh()
        self._on_changed, self._told = on_changed, self.model  # who makes it knows what it shows at first
        self.combo_box.connect("currentIndexChanged(int)", self._changed)

    @property
    def model(self) -> str:
        """The chosen model's name, as `open_bundle` and the families take it; empty when there is none."""
        return str(self.combo_box.currentData or "")

    def set_model(self, name: str) -> None:
        """Choose a model; one that is not installed is shown as such rather than replaced by another.

        The path of a folder chooses the bundle in it.
        """
        index = self.combo_box.findData(name)
        if index < 0 and name:
            path = Path(name)
            elsewhere = path.is_absolute() and path.is_dir()
            self._add(path.name if elsewhere else _("{name} (not installed)").format(name=name), name, name)
            index = self.combo_box.count - 1
        self.combo_box.setCurrentIndex(index)

    def refresh(self) -> None:
        """Look again which bundles there are; the choice stays."""
        from ..core.models import bundles_for

        chosen = self.model
        blocked = self.combo_box.blockSignals(True)
        self.combo_box.clear()
        for bundle in bundles_for(self._family):
            self._add(bundle.label, bundle.path.name, str(bundle.metadata.get("description", "")))
        for name, tooltip in self._extra:
            self._add(name, name, tooltip)
        if chosen:
            self.set_model(chosen)
        self.combo_box.blockSignals(blocked)
        self._changed()

    def _add(self, text: str, name: str, tooltip: str) -> None:
        self.combo_box.addItem(text, name)
        self.combo_box.setItemData(self.combo_box.count - 1, tooltip, qt.Qt.ToolTipRole)

    def _changed(self, _index: int = 0) -> None:
        self.combo_box.toolTip = self.combo_box.itemData(self.combo_box.currentIndex, qt.Qt.ToolTipRole) or ""
        if self._on_changed is not None and self._told != self.model:
            self._told = self.model
            self._on_changed(self.model)
