"""Maps in HU shown over images in colours of their own: differences of two CTs, and uncertainty."""

from __future__ import annotations

import numpy as np
import slicer

from ..synthesis.hu import CLASSES, OUTSIDE, classify
from .headless import logic, scene
from .volumes import volume_from_node

UNCERTAINTY_COLORS = ("Inferno", "Iron")
"""Slicer's colours for an uncertainty, the first that the application has."""
_DIFFERENCE = "SparseToPrecise.DifferenceColors"
_STOPS = ((0.02, 0.19, 0.45), (0.35, 0.65, 0.85), (0.97, 0.97, 0.97), (0.94, 0.55, 0.38), (0.5, 0.02, 0.1))
_COLORS, _HIDDEN = 255, 0.1


def difference_colors() -> slicer.vtkMRMLColorTableNode:
    """The scene's table from blue (negative) by nothing to red (positive).

    Its middle, a tenth of the limit to either side, is transparent, so that a map hides nothing of the image under it
    where the two agree; Slicer's own diverging table would lay white over everything.
    """
    found = scene().GetNodesByClass("vtkMRMLColorTableNode")
    found.UnRegister(None)
    for index in range(found.GetNumberOfItems()):
        if found.GetItemAsObject(index).GetAttribute(_DIFFERENCE):
            return found.GetItemAsObject(index)
    node = slicer.vtkMRMLColorTableNode()
    node.SetTypeToUser()
    node.SetName("Difference (blue to red)")
    node.SetAttribute(_DIFFERENCE, "1")
    node.SetNumberOfColors(_COLORS)
    node.GetLookupTable().SetTableRange(0, _COLORS - 1)
    stops = np.linspace(-1, 1, len(_STOPS))
    for index, place in enumerate(np.linspace(-1, 1, _COLORS)):
        rgb = [float(np.interp(place, stops, channel)) for channel in np.transpose(_STOPS)]
        node.SetColor(index, f"{place:+.2f}", *rgb, float(abs(place) > _HIDDEN))
    return scene().AddNode(node)


def show_difference(node: slicer.vtkMRMLScalarVolumeNode, limit: float) -> None:
    """Show a map from -limit to limit in the diverging colours."""
    display = _display(node, -limit, limit)
    display.SetAndObserveColorNodeID(difference_colors().GetID())


def show_uncertainty(
    node: slicer.vtkMRMLScalarVolumeNode, maximum: float, hidden_below: float = 0.0, colors: str = ""
) -> None:
    """Show a map from 0 to a maximum; what is below a threshold is not shown.

    Parameters
    ----------
    colors
        Name of a colour node of Slicer's; where there is none, the first of `UNCERTAINTY_COLORS`.
    """
    display = _display(node, 0.0, maximum)
    found = (scene().GetFirstNodeByName(name) for name in (colors, *UNCERTAINTY_COLORS) if name)
    color = next(filter(None, found), None)
    if color is not None:
        display.SetAndObserveColorNodeID(color.GetID())
    lowest = np.finfo(np.float32).tiny  # 0 is what there is outside the body
    display.SetThreshold(max(hidden_below, lowest), float(np.finfo(np.float32).max))
    display.SetApplyThreshold(True)
    add_legend(node, "HU")


def means_by_class(
    node: slicer.vtkMRMLScalarVolumeNode, ct: slicer.vtkMRMLScalarVolumeNode
) -> dict[str, float]:
    """Mean of a map in air, soft tissue and bone of a CT, within its body; classes without a voxel are left out.

    Raises
    ------
    InputError
        One of them is empty or under a non-linear transform.
    """
    values, made = volume_from_node(node, copy=False), volume_from_node(ct, copy=False)
    body = made.with_array((made.array > OUTSIDE).astype(np.uint8))
    if not body.array.any():
        return {}
    labels = classify(made, body)
    if not labels.grid.same_as(values.grid):
        labels = labels.resampled_to(values.grid, "nearest", fill=0)
    where = {name: labels.array == label for label, name in CLASSES.items()}
    return {name: float(values.array[mask].mean(dtype=np.float64)) for name, mask in where.items() if mask.any()}


def add_legend(node: slicer.vtkMRMLScalarVolumeNode, title: str) -> None:
    """A colour legend for the views that show a map."""
    legend = logic("Colors").AddDefaultColorLegendDisplayNode(node)
    legend.SetTitleText(title)
    legend.SetLabelFormat("%.0f")


def round_limit(values: np.ndarray, share: float = 98.0, step: float = 50.0) -> float:
    """A round limit that a share of magnitudes (in percent) stays below; at least one step."""
    if values.size == 0:
        return step
    return float(max(1, np.ceil(np.percentile(np.abs(values), share) / step)) * step)


def _display(node: slicer.vtkMRMLScalarVolumeNode, low: float, high: float) -> slicer.vtkMRMLScalarVolumeDisplayNode:
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(low, high)
    return display
