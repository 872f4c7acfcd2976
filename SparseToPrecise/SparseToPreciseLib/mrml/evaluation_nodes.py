"""Two CTs compared with the scene's nodes: a table, a map of the error and the histograms of both."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import slicer
import vtk

from ..core.errors import InputError
from ..core.progress import Progress
from ..core.volume import Volume
from ..synthesis.hu import HuWindow
from .derived_volumes import has_shape, new_like
from .headless import scene
from .overlays import add_legend, round_limit, show_difference
from .plots import GrowingPlot
from .segmentations import segment_to_volume
from .volumes import volume_from_node

if TYPE_CHECKING:
    from ..synthesis.metrics import Evaluation

BIN_HU = 25.0
_LEAST_PERCENT = 1e-3  # of the logarithmic axis: an empty bin has no logarithm
_ROLES = {what: f"SparseToPrecise.Evaluation.{what}" for what in ("error", "chart", "ct", "reference")}


@dataclass(frozen=True)
class EvaluationInputs:
    """Inputs of a comparison, without the scene: copies in the nodes' places, and the nodes of CT and reference."""

    ct: Volume
    reference: Volume
    mask: Volume | None
    ct_id: str
    reference_id: str


@dataclass(frozen=True)
class Histograms:
    """Percent of the compared voxels per `BIN_HU`, at the bins' middles, of both CTs."""

    middles: np.ndarray
    ct: np.ndarray
    reference: np.ndarray


def read_inputs(
    ct: slicer.vtkMRMLScalarVolumeNode | None,
    reference: slicer.vtkMRMLScalarVolumeNode | None,
    mask: tuple[slicer.vtkMRMLSegmentationNode, str] | None = None,
) -> EvaluationInputs:
    """Two CTs and the segment within which to compare them, with all parent transforms applied.

    Raises
    ------
    InputError
        One of them is not there, empty, or under a non-linear transform, or both are the same.
    """
    for node, what in ((ct, "synthetic CT"), (reference, "reference CT")):
        if node is None:
            raise InputError(f"There is no {what}; choose one.")
    if ct is reference:
        raise InputError(f"{ct.GetName()} cannot be compared with itself; choose another reference.")
    given = None if mask is None or mask[0] is None else segment_to_volume(*mask)
    return EvaluationInputs(
        volume_from_node(ct), volume_from_node(reference), given, ct.GetID(), reference.GetID()
    )


def histograms(ct: Volume, evaluation: Evaluation, window: HuWindow | None = None) -> Histograms:
    """Both histograms within the mask; the reference on the CT's grid is the CT less the error."""
    window = window or HuWindow()
    inside = evaluation.mask.array > 0
    made = np.clip(ct.array[inside].astype(np.float32), window.minimum, window.maximum)
    edges = np.arange(window.minimum, window.maximum + BIN_HU, BIN_HU)
    shares = [
        np.histogram(values, edges)[0] * (100 / max(values.size, 1))
        for values in (made, made - evaluation.error.array[inside])
    ]
    return Histograms((edges[:-1] + edges[1:]) / 2, *shares)


def show_evaluation(
    inputs: EvaluationInputs, evaluation: Evaluation, shares: Histograms
) -> slicer.vtkMRMLTableNode:
    """Add the table, the map of the error on the CT's voxels, and the plot to the scene.

    Returns
    -------
    vtkMRMLTableNode
        See `error_of` and `chart_of` for what hangs on it.

    Raises
    ------
    InputError
        The CT or the reference was removed, or the CT has other voxels now; nothing has been changed.
    """
    ct, reference = (scene().GetNodeByID(one) for one in (inputs.ct_id, inputs.reference_id))
    if not has_shape(ct, inputs.ct.shape) or reference is None:
        raise InputError("A CT was removed or changed while they were being compared; choose both and start again.")
    title = f"{ct.GetName()} against {reference.GetName()}"
    table = _table(title, evaluation)
    error = new_like(ct, evaluation.error.array, f"{title}: error")
    show_difference(error, round_limit(evaluation.error.array[evaluation.mask.array > 0]))
    add_legend(error, "HU")
    plot = _plot(title, ct.GetName(), reference.GetName(), shares)
    for what, node in (("error", error), ("chart", plot.chart), ("ct", ct), ("reference", reference)):
        table.SetNodeReferenceID(_ROLES[what], node.GetID())
    return table


def error_of(table: slicer.vtkMRMLTableNode | None) -> slicer.vtkMRMLScalarVolumeNode | None:
    """The map of an evaluation."""
    return _hanging(table, "error")


def chart_of(table: slicer.vtkMRMLTableNode | None) -> slicer.vtkMRMLPlotChartNode | None:
    """The histograms of an evaluation."""
    return _hanging(table, "chart")


def compared(table: slicer.vtkMRMLTableNode | None) -> tuple:
    """(CT, reference) of an evaluation."""
    return _hanging(table, "ct"), _hanging(table, "reference")


def _hanging(table: slicer.vtkMRMLTableNode | None, what: str) -> slicer.vtkMRMLNode | None:
    return None if table is None else table.GetNodeReference(_ROLES[what])


def _table(title: str, evaluation: Evaluation) -> slicer.vtkMRMLTableNode:
    node = scene().AddNewNodeByClass("vtkMRMLTableNode", scene().GenerateUniqueName(title))
    table = vtk.vtkTable()
    columns = [vtk.vtkStringArray() for _ in range(2)]
    for column, name in zip(columns, ("measure", "value"), strict=True):
        column.SetName(name)
        table.AddColumn(column)
    for name, value, unit in evaluation.rows:
        shown = "" if math.isnan(value) else f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
        for column, cell in zip(columns, (f"{name}, {unit}" if unit else name, shown), strict=True):
            column.InsertNextValue(cell)
    node.SetAndObserveTable(table)
    node.SetLocked(True)
    node.SetUseColumnTitleAsColumnHeader(True)
    node.SetDescription(" ".join([*evaluation.notes, *evaluation.definitions]))
    return node


def _plot(title: str, ct: str, reference: str, shares: Histograms) -> GrowingPlot:
    curves = {"ct": ct, "reference": reference}
    plot = GrowingPlot(f"{title}: histograms", ("HU", "HU"), curves, y_title="% of the voxels", markers=False)
    for middle, one, other in zip(shares.middles, shares.ct, shares.reference, strict=True):
        plot.add({"HU": middle, "ct": max(one, _LEAST_PERCENT), "reference": max(other, _LEAST_PERCENT)})
    plot.chart.SetYAxisLogScale(True)
    plot.chart.SetYAxisRange(_LEAST_PERCENT, 100.0)
    return plot


def evaluate_inputs(inputs: EvaluationInputs, progress: Progress | None = None) -> tuple[Evaluation, np.ndarray]:
    """Compare two CTs, on any thread: the numbers with the map of the error, and the `histograms`."""
    from ..synthesis.metrics import evaluate

    found = evaluate(inputs.ct, inputs.reference, inputs.mask, progress=progress)
    return found, histograms(inputs.ct, found)
