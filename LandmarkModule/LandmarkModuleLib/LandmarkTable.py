"""The landmarks of a list, how sure they are, and where: a click shows the place."""

import qt
import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

_SURE, _UNSURE, _UNPLACED = "#2e9e44", "#c06a00", "#808080"


class LandmarkTable(VTKObservationMixin):
    """Fills a QTableWidget from a point list, and follows it: an unplaced landmark may be placed by hand.

    Parameters
    ----------
    table
        The widget.
    """

    def __init__(self, table):
        VTKObservationMixin.__init__(self)
        self._table, self._node = table, None
        table.setColumnCount(2)
        table.setHorizontalHeaderLabels([_("Landmark"), _("How sure")])
        table.horizontalHeader().setStretchLastSection(True)
        table.verticalHeader().visible = False
        table.wordWrap = True
        table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        table.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
        table.setSelectionMode(qt.QAbstractItemView.SingleSelection)
        table.connect("cellClicked(int,int)", self._clicked)
        self._fill()

    def show(self, node):
        """Show another list, or none."""
        if node is self._node:
            return
        self.removeObservers()
        self._node = node
        if node is not None:
            markups = slicer.vtkMRMLMarkupsNode
            for event in (
                markups.PointPositionDefinedEvent,
                markups.PointPositionUndefinedEvent,
                markups.PointAddedEvent,
                markups.PointRemovedEvent,
            ):
                self.addObserver(node, event, self._fill)
        self._fill()

    def _fill(self, _caller=None, _event=None):
        from SparseToPreciseLib.mrml.landmarks_nodes import landmark_rows

        rows = landmark_rows(self._node)
        self._table.visible = bool(rows)
        self._table.setRowCount(len(rows))
        for number, (name, placed, said) in enumerate(rows):
            unsure = self._node is not None and not self._node.GetNthControlPointSelected(number)
            color = qt.QColor(_UNPLACED if not placed else _UNSURE if unsure else _SURE)
            for column, text in enumerate((name, said)):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(text)
                if column:
                    item.setForeground(qt.QBrush(color))
                self._table.setItem(number, column, item)
        self._table.resizeColumnToContents(0)
        self._table.resizeRowsToContents()

    def _clicked(self, row, _column):
        from SparseToPreciseLib.mrml.landmarks_nodes import jump_to

        jump_to(self._node, row)
