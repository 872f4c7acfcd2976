"""Results of every stroke, as a table."""

import qt
from slicer.i18n import tr as _

from SparseToPreciseLib.core.errors import in_digits


class ResultTable:
    """Fills a QTableWidget with the rows of `mrml.stroke_editing.Outcome`."""

    def __init__(self, table):
        self._table = table
        titles = (_("Stroke"), _("Radius (mm)"), _("Voxels changed near"), _("Voxels changed far"))
        titles += (_("Before (mm³)"), _("After (mm³)"), _("Seconds"), _("Notes"))
        table.setColumnCount(len(titles))
        table.setHorizontalHeaderLabels(titles)
        table.visible = False

    def clear(self):
        self._table.setRowCount(0)
        self._table.visible = False

    def show(self, outcome):
        """Show it, and give the sentence that sums it up."""
        self._table.setRowCount(0)
        for row in outcome.rows:
            values = (row.influence_radius_mm, row.changed_near, row.changed_far)
            values += (row.volume_before_mm3, row.volume_after_mm3, row.seconds)
            self._add([row.name, *(_number(value) for value in values), " ".join(row.notes)])
        for other in outcome.others:
            said = _("Another segment: {changed} of {before} voxels changed, {overlapped} are now overlapped.").format(
                changed=other.changed, before=other.before, overlapped=other.overlapped
            )
            self._add([other.name, "–", _number(other.changed), *["–"] * 4, said])
        self._table.resizeColumnsToContents()
        self._table.visible = True
        refused = sum(row.refused for row in outcome.rows)
        said = _("{voxels} voxels changed.").format(voxels=outcome.changed)
        if refused:
            more = _("{n} of {all} strokes were not applied; the table says why.")
            said += " " + more.format(n=refused, all=len(outcome.rows))
        return said

    def _add(self, texts):
        row = self._table.rowCount
        self._table.insertRow(row)
        for column, text in enumerate(texts):
            item = qt.QTableWidgetItem(text)
            item.setToolTip(text)
            self._table.setItem(row, column, item)


def _number(value):
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else in_digits(value, 2 if value < 100 else 0)
