"""The table of the slices of a tightened ROI: what the tightening said of each, and of the whole."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import slicer
import vtk

from ..boxes.corrector.slice_boxes import slice_columns, slice_texts
from ..boxes.slices import AXES
from ..core.box import Box
from ..core.errors import in_digits
from .headless import scene

if TYPE_CHECKING:
    from ..boxes.corrector.tighten import TightenResult

_TABLE, _VERDICT = "SparseToPrecise.SliceTable", "SparseToPrecise.Verdict"


@dataclass(frozen=True)
class Verdict:
    """The verdict of a tightening on the box as a whole.

    Attributes
    ----------
    safe
        The box was tightened; else it was kept.
    before_mm3, after_mm3
        Volumes of the box.
    notes
        Sentences for the user.
    """

    safe: bool
    before_mm3: float
    after_mm3: float
    notes: list[str]

    @property
    def volumes_cm3(self) -> tuple[str, str]:
        """Both volumes in fitting digits."""
        return in_digits(self.before_mm3 / 1000, 1), in_digits(self.after_mm3 / 1000, 1)


def slice_table(roi: slicer.vtkMRMLMarkupsROINode | None) -> slicer.vtkMRMLTableNode | None:
    """The table of the slices of the last tightening."""
    return None if roi is None else roi.GetNodeReference(_TABLE)


def verdict(roi: slicer.vtkMRMLMarkupsROINode | None) -> Verdict | None:
    """The verdict of the last tightening, also when the scene was saved and loaded since."""
    table = slice_table(roi)
    text = None if table is None else table.GetAttribute(_VERDICT)
    return Verdict(**json.loads(text)) if text else None


def show_table(roi: slicer.vtkMRMLMarkupsROINode, given: Box, result: TightenResult) -> None:
    """Fill the ROI's table, a new one where it has none, with the texts of `boxes.corrector.slice_boxes`."""
    node = slice_table(roi)
    if node is None:
        node = scene().AddNewNodeByClass("vtkMRMLTableNode", f"{roi.GetName()} slices")
        node.SetUseColumnTitleAsColumnHeader(True)
        node.SetLocked(True)
        roi.SetNodeReferenceID(_TABLE, node.GetID())
    table = vtk.vtkTable()
    columns = [vtk.vtkStringArray() for _ in slice_columns(result.axis)]
    for column, name in zip(columns, slice_columns(result.axis), strict=True):
        column.SetName(name)
        table.AddColumn(column)
    for row in slice_texts(result.slices, given, result.frame, 2):
        for column, text in zip(columns, row, strict=True):
            column.InsertNextValue(text)
    node.SetAndObserveTable(table)
    said = Verdict(result.safe, result.volume_before_mm3, result.volume_after_mm3, list(result.notes))
    node.SetAttribute(_VERDICT, json.dumps(asdict(said)))


def row_centre(table: slicer.vtkMRMLTableNode, row: int, given: Box) -> np.ndarray:
    """(3,) RAS: the middle of the box of one row, or of its slice of the given box where it has none."""
    cell = {table.GetColumnName(one): table.GetCellText(row, one) for one in range(table.GetNumberOfColumns())}
    at = np.zeros(3)
    for number, axis in enumerate(AXES):
        if axis == cell["axis"]:
            at[number] = float(cell["position_mm"])
        elif cell[f"low_{axis}_mm"]:
            at[number] = (float(cell[f"low_{axis}_mm"]) + float(cell[f"high_{axis}_mm"])) / 2
    return given.from_box(at)
