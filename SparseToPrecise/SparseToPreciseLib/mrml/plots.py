"""Curves that grow while something runs, as nodes that Slicer's plot views show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import vtk

from .headless import scene

_MARGIN = 0.05
_COLORS = ((0.12, 0.47, 0.71), (0.84, 0.15, 0.16), (0.17, 0.63, 0.17), (0.58, 0.40, 0.74))


class GrowingPlot:
    """A table, a series for each of its curves, and a chart; they go with the scene, and stay in it afterwards.

    Parameters
    ----------
    title
        Title of the chart; the nodes are named after it.
    x
        (column, title) of the x axis.
    curves
        Column to title of each curve.
    y_title
        Title of the y axis; empty takes the title of a single curve.
    markers
        Whether each point has one.
    """

    def __init__(
        self, title: str, x: tuple[str, str], curves: Mapping[str, str], *, y_title: str = "", markers: bool = True
    ) -> None:
        add = scene().AddNewNodeByClass
        self.table = add("vtkMRMLTableNode", f"{title} table")
        self._columns = [x[0], *curves]
        for name in self._columns:
            column = vtk.vtkDoubleArray()
            column.SetName(name)
            self.table.AddColumn(column)
        self.chart = add("vtkMRMLPlotChartNode", title)
        self.chart.SetTitle(title)
        self.chart.SetXAxisTitle(x[1])
        self.chart.SetYAxisTitle(y_title or (next(iter(curves.values())) if len(curves) == 1 else ""))
        self.series = []
        for (column, name), color in zip(curves.items(), _COLORS, strict=False):
            series = add("vtkMRMLPlotSeriesNode", name)
            series.SetPlotType(series.PlotTypeScatter)
            series.SetMarkerStyle(series.MarkerStyleCircle if markers else series.MarkerStyleNone)
            series.SetColor(*color)
            series.SetAndObserveTableNodeID(self.table.GetID())
            series.SetXColumnName(x[0])
            series.SetYColumnName(column)
            self.chart.AddAndObservePlotSeriesNodeID(series.GetID())
            self.series.append(series)

    @property
    def alive(self) -> bool:
        """Whether the scene still has all of it."""
        return all(node.GetScene() is not None for node in (self.table, self.chart, *self.series))

    def add(self, row: Mapping[str, float | None]) -> bool:
        """Add a point to every curve. A row without one of the numbers is left out, and False is returned."""
        values = [row.get(name) for name in self._columns]
        if not self.alive or any(value is None for value in values):
            return False
        table = self.table.GetTable()
        place = table.InsertNextBlankRow()
        for column, value in enumerate(values):
            table.SetValue(place, column, vtk.vtkVariant(float(value)))
            table.GetColumn(column).Modified()  # which the table does not say, and its range would be an old one
        table.Modified()
        self.table.Modified()
        # Slicer's own choice of the ranges is made once, for the first point.
        self.chart.SetXAxisRangeAuto(False)
        self.chart.SetYAxisRangeAuto(False)
        self.chart.SetXAxisRange(*self._range(self._columns[:1]))
        self.chart.SetYAxisRange(*self._range(self._columns[1:]))
        return True

    def _range(self, columns: Sequence[str]) -> tuple[float, float]:
        """From a little below the least of some columns' values to a little above the greatest."""
        found = [self.table.GetTable().GetColumnByName(name).GetRange() for name in columns]
        low, high = min(one[0] for one in found), max(one[1] for one in found)
        margin = _MARGIN * (high - low) or _MARGIN * abs(high) or _MARGIN
        return low - margin, high + margin

    def remove(self) -> None:
        """Take everything out of the scene."""
        for node in (self.chart, *self.series, self.table):
            if node.GetScene() is not None:
                node.GetScene().RemoveNode(node)
