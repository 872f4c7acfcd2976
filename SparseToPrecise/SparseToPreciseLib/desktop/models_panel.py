"""The home module's section on models: what is there, adding, checking and removing bundles."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from ..core.bundles import user_folder
from ..core.errors import Cancelled
from ..core.user_bundles import (
    InstalledBundle,
    NameTaken,
    add_bundle,
    free_name,
    installed_bundles,
    remove_bundle,
)
from .messages import sentence
from .run_row import details_box, show_details
from .worker import Job, shared_worker


class ModelsPanel:
    """Fills the section of the .ui file.

    Parameters
    ----------
    ui
        With modelsTable, modelCardBrowser, modelStatusLabel, modelDetailsFrame and the buttons addModelButton,
        checkModelButton, openModelsFolderButton, removeModelButton and removeAllModelsButton.
    """

    def __init__(self, ui) -> None:
        self._ui = ui
        self._bundles: list[InstalledBundle] = []
        self.job: Job | None = None
        self._details = details_box(ui.modelDetailsFrame)
        ui.modelDetailsFrame.layout().addWidget(self._details)
        ui.modelsTable.connect("itemSelectionChanged()", self._show_selected)
        ui.addModelButton.connect("clicked(bool)", self._choose_and_add)
        ui.checkModelButton.connect("clicked(bool)", self.check_selected)
        ui.openModelsFolderButton.connect("clicked(bool)", self._open_folder)
        ui.removeModelButton.connect("clicked(bool)", lambda checked: self.remove(self.selected()))
        ui.removeAllModelsButton.connect("clicked(bool)", lambda checked: self.remove(self._own()))
        self._say("")
        self.refresh()

    @property
    def bundles(self) -> Sequence[InstalledBundle]:
        """The bundles of the table, row by row."""
        return tuple(self._bundles)

    def refresh(self) -> None:
        """Look again which bundles there are; the selection stays."""
        chosen = {one.path for one in self.selected()}
        table = self._ui.modelsTable
        blocked = table.blockSignals(True)
        self._bundles = installed_bundles()
        table.clearSelection()
        table.setRowCount(len(self._bundles))
        for row, one in enumerate(self._bundles):
            for column, (text, tooltip) in enumerate(_cells(one)):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(tooltip)
                table.setItem(row, column, item)
        table.resizeColumnsToContents()
        rows = [row for row, one in enumerate(self._bundles) if one.path in chosen]
        if rows or self._bundles:
            table.selectRow(rows[0] if rows else 0)
        table.blockSignals(blocked)
        self._show_selected()

    def selected(self) -> list[InstalledBundle]:
        """The bundle of the selected row, if any."""
        row = self._ui.modelsTable.currentRow()
        return self._bundles[row : row + 1] if row >= 0 else []

    def select(self, path: Path) -> None:
        """Select the row of a bundle's folder."""
        self._ui.modelsTable.selectRow([one.path for one in self._bundles].index(Path(path)))

    def add(self, folder: str | Path, name: str | None = None, *, replace: bool = False) -> None:
        """Check a bundle and copy it into the user's folder, on the worker's thread."""

        def done(bundle, error) -> None:
            if isinstance(error, NameTaken):
                choice = _ask_name(error)
                if choice is not None:
                    self.add(folder, choice[0], replace=choice[1])
                    return
            self._finished(error, lambda: _("{name} was added.").format(name=bundle.label))
            if error is None:
                self.select(bundle.path)

        self._start(
            lambda progress: add_bundle(folder, name, replace=replace, progress=progress),
            done,
            _("{folder} is checked…").format(folder=Path(folder).name),
        )

    def check_selected(self, _checked: bool = False) -> None:
        """Check the selected bundle: its hash, and with PyTorch also that its weights fit its network."""
        for one in self.selected():
            if one.bundle is None:
                self._say(one.problem)
                return
            whole = all(importlib.util.find_spec(package) for package in ("torch", "monai"))
            check = one.bundle.verify if whole else one.bundle.check_hash
            text = _("{name} is whole: its weights have the SHA-256 {sha256} and fit its network.")
            if not whole:
                text = _("The weights of {name} have the SHA-256 {sha256}; without PyTorch nothing else is checked.")
            text = text.format(name=one.bundle.label, sha256=one.bundle.sha256)
            self._start(
                lambda progress, check=check: check(),
                lambda result, error, text=text: self._finished(error, lambda: text),
                _("{name} is checked…").format(name=one.bundle.label),
            )

    def remove(self, bundles: Sequence[InstalledBundle], ask: bool = True) -> None:
        """Remove bundles of the user's; what came with the software is refused."""
        if not bundles:
            return
        if ask:
            names = "\n".join(str(one.path) for one in bundles)
            text = _("These models are removed from the disk:") + f"\n{names}"
            if not slicer.util.confirmOkCancelDisplay(text, windowTitle=_("Remove models")):
                return
        error = None
        try:
            for one in bundles:
                remove_bundle(one.path)
        except Exception as raised:  # told below, with what is still there
            error = raised
        self._finished(error, lambda: _("{count} model(s) removed.").format(count=len(bundles)))

    def cleanup(self) -> None:
        """The widgets are about to go."""
        self._ui = None
        if self.job is not None:
            self.job.cancel()

    def _own(self) -> list[InstalledBundle]:
        return [one for one in self._bundles if one.own and one.path.is_dir()]

    def _choose_and_add(self, _checked: bool = False) -> None:
        folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Folder of a model bundle"))
        if folder:
            self.add(folder)

    def _open_folder(self, _checked: bool = False) -> None:
        try:
            user_folder().mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._say(f"{user_folder()}: {error.strerror}")
            return
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(user_folder())))

    def _start(self, work: Callable, done: Callable, message: str) -> None:
        self._say(message)
        self.job = shared_worker().submit(work, done, lambda fraction, text: self._say(f"{message} {text}"))
        self._update_buttons()

    def _finished(self, error: BaseException | None, message: Callable[[], str]) -> None:
        self.job = None
        if self._ui is None:
            return
        self.refresh()
        if error is None:
            self._say(message())
        elif isinstance(error, Cancelled):
            self._say("")
        else:
            self._say(*sentence(error))

    def _say(self, text: str, details: str = "") -> None:
        if self._ui is not None:
            self._ui.modelStatusLabel.text = text
            self._ui.modelStatusLabel.visible = bool(text)
            show_details(self._details, details)

    def _show_selected(self) -> None:
        browser = self._ui.modelCardBrowser
        browser.clear()
        for one in self.selected():
            browser.searchPaths = [str(one.path / "docs"), str(one.path)]
            if one.problem:
                browser.plainText = one.problem
            else:
                browser.setMarkdown(one.bundle.card)
        self._update_buttons()

    def _update_buttons(self) -> None:
        idle, selected = self.job is None, self.selected()
        self._ui.addModelButton.enabled = idle
        self._ui.checkModelButton.enabled = idle and bool(selected)
        self._ui.removeModelButton.enabled = idle and bool(selected) and selected[0].own
        self._ui.removeAllModelsButton.enabled = idle and bool(self._own())


def _cells(one: InstalledBundle) -> list[tuple[str, str]]:
    """(text, tooltip) of each column."""
    where = _("yours") if one.own else _("came with Sparse to Precise")
    size = f"{one.size_bytes / 2**20:.1f} MiB"
    if one.bundle is None:
        return [(text, one.problem) for text in ("", one.path.name, _("refused"), "", size, "", where)]
    bundle = one.bundle
    texts = [
        (bundle.family, ""),
        (bundle.label, str(bundle.metadata.get("description", ""))),
        (str(bundle.metadata.get("version", "")), str(bundle.metadata.get("data_source", ""))),
        (bundle.licence, ""),
        (size, ""),
        (bundle.sha256[:12], bundle.sha256),
        (where, str(one.path)),
    ]
    return [(text, one.problem or tooltip) for text, tooltip in texts]


def _ask_name(taken: NameTaken) -> tuple[str, bool] | None:
    """(name, replace) for a bundle whose name is in use; None: the user changed their mind."""
    if slicer.app.testingEnabled() or slicer.util.mainWindow() is None:
        return None
    other = free_name(taken.name)
    box = qt.QMessageBox(slicer.util.mainWindow())
    box.windowTitle = _("Add a model")
    box.text = _("There is already a model {name}.").format(name=taken.name)
    both, instead = _("Add it as {name}").format(name=other), _("Replace it")
    box.addButton(both, qt.QMessageBox.AcceptRole)
    if taken.replaceable:
        box.addButton(instead, qt.QMessageBox.DestructiveRole)
    box.addButton(qt.QMessageBox.Cancel)
    box.exec_()
    clicked = box.clickedButton().text
    box.deleteLater()
    return {both: (other, False), instead: (taken.name, True)}.get(clicked)
