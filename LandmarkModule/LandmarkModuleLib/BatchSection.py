"""The tab "Find", for a folder: a child process searches every image file in it, and a table sums it up."""

from pathlib import Path

import ctk
import qt
import slicer
from slicer.i18n import tr as _

from .FindSection import FOLDER

TABLE_FILE = "landmarks.csv"


class BatchSection:
    """Finds landmarks on files; a section of `desktop.module_panel`.

    Parameters
    ----------
    ui
        The widgets of LandmarkModule.ui.
    parameters
        Gives the module's parameter node, or None.
    finding
        The section for one volume, which has the template.
    """

    def __init__(self, ui, parameters, finding):
        from SparseToPreciseLib.desktop.child_row import ChildRow
        from SparseToPreciseLib.desktop.run_row import RunRow

        self.ui, self._parameters, self._finding = ui, parameters, finding
        self._targets, self._output = [], None  # of the last run: what the table shows
        self.row = RunRow(_("Find on every image"), self.find, self.cancel)
        self.child = ChildRow(self.row, self._done, self.follow)
        ui.batchFrame.layout().addWidget(self.row)
        for edit in (ui.folderEdit, ui.outputEdit):
            edit.filters = ctk.ctkPathLineEdit.Dirs
            edit.connect("currentPathChanged(QString)", self._pathChanged)
        table = ui.batchTable
        titles = (_("Image"), _("Placed"), _("Lowest"), _("Remark"))
        table.setColumnCount(len(titles))
        table.setHorizontalHeaderLabels(titles)
        table.horizontalHeader().setStretchLastSection(True)
        table.verticalHeader().visible = False
        table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        table.connect("cellDoubleClicked(int,int)", self.open)
        self.follow()

    def set_setup(self, ready):
        self.follow()

    def follow(self):
        """Follow the parameter node: what can run."""
        p = self._parameters()
        folder = bool(p and p.source == FOLDER)
        for widget in (self.ui.folderLabel, self.ui.folderEdit, self.ui.outputLabel, self.ui.outputEdit, self.row):
            widget.visible = folder
        self.ui.batchTable.visible = folder and self.ui.batchTable.rowCount > 0
        reason = self._finding.missing() or self._lacking()
        self.row.set_ready(not reason, reason)

    def find(self):
        from SparseToPreciseLib.desktop import settings

        given = [self._finding.templates.model, self.ui.folderEdit.currentPath, "-o", self.ui.outputEdit.currentPath]
        options = ["--mirror", self._parameters().mirror, "--device", settings.device()]
        self.ui.batchTable.setRowCount(0)
        self.row.begin(_("Starting…"))
        self.child.start(["landmarks", "detect", *given, *options])
        self.follow()

    def cancel(self):
        """Stop it; nothing is written."""
        self.child.cancel()

    def open(self, row, _column=0):
        """Load an image of the last run with its landmarks."""
        target = self._targets[row]
        with slicer.util.tryWithErrorDisplay(_("Could not load the image.")):
            image = slicer.util.loadVolume(target["path"])
            slicer.util.setSliceViewerLayers(background=image, fit=True)
            if "error" not in target:
                self._parameters().found = slicer.util.loadMarkups(str(self._output / f"{target['name']}.mrk.json"))

    def _lacking(self):
        images, output = (Path(edit.currentPath or "?") for edit in (self.ui.folderEdit, self.ui.outputEdit))
        if not images.is_dir():
            return _("Choose the folder of the images")
        if not output.parent.is_dir() or not self.ui.outputEdit.currentPath:
            return _("Choose a folder for the results")
        if (output / TABLE_FILE).exists():
            return _("There are results in this folder already; choose another one")
        return ""

    def _done(self, outcome):
        self._targets, self._output = outcome.result["targets"], Path(outcome.result["output"])
        targets, table = self._targets, self.ui.batchTable
        table.setRowCount(len(targets))
        for row, target in enumerate(targets):
            for column, text in enumerate(summary(target)):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(text)
                table.setItem(row, column, item)
        table.resizeColumnsToContents()
        said = _("{n} of {all} images could be used; the results are in {folder}.")
        used = sum("error" not in target for target in targets)
        return said.format(n=used, all=len(targets), folder=self._output)

    def _pathChanged(self, _path):
        self.follow()


def summary(target):
    """(name, how many are placed, the lowest confidence of those, remark) of a target in the command's report."""
    if "error" in target:
        return target["name"], "–", "–", target["error"]
    marks = target["landmarks"]
    placed = [one["confidence"] for one in marks if one["ras"] is not None]
    remarks = [f"{one['name']}: {one['reason']}" for one in marks if one["ras"] is None]
    if target["mirrored"]:
        remarks.insert(0, _("the other side"))
    lowest = f"{min(placed):.2f}" if placed else "–"
    return target["name"], f"{len(placed)} / {len(marks)}", lowest, "; ".join(remarks)
