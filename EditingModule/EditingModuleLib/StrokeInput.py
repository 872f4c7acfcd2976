"""The stroke that is chosen or drawn."""

import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin


class StrokeInput(VTKObservationMixin):
    """Makes new curves, and tells when the chosen stroke gets or loses points.

    Parameters
    ----------
    ui
        The widgets of EditingModule.ui.
    parameters
        Gives the module's parameter node, or None while a scene closes.
    onChanged
        Called when the points have changed.
    """

    def __init__(self, ui, parameters, onChanged):
        VTKObservationMixin.__init__(self)
        self._ui, self._parameters, self._onChanged = ui, parameters, onChanged
        self._node = None
        ui.drawButton.connect("clicked(bool)", self.draw)
        ui.strokeSelector.connect("currentNodeChanged(vtkMRMLNode*)", ui.placeWidget.setCurrentNode)

    @property
    def complete(self):
        """Whether it can be applied."""
        return self._node is not None and self._node.GetNumberOfDefinedControlPoints() > 1

    @property
    def advice(self):
        """Action for it."""
        if self.complete:
            return _("Correct the segment near the stroke")
        return _("Choose or draw a stroke") if self._node is None else _("Place at least two points of the stroke")

    def follow(self, node):
        """Watch the points of another node, or of none."""
        if node is self._node:
            return
        for event in (slicer.vtkMRMLMarkupsNode.PointPositionDefinedEvent, slicer.vtkMRMLMarkupsNode.PointRemovedEvent):
            if self._node is not None:
                self.removeObserver(self._node, event, self._pointsChanged)
            if node is not None:
                self.addObserver(node, event, self._pointsChanged)
        self._node = node

    def draw(self, _checked=False):
        """A new curve, and the mouse places its points."""
        name = slicer.mrmlScene.GenerateUniqueName(_("Stroke"))
        # Its points are joined by a spline, Slicer's default: a few clicks follow a smooth boundary.
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsCurveNode", name)
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetPointLabelsVisibility(False)
        self._parameters().stroke = node
        self._ui.placeWidget.setCurrentNode(node)
        self._ui.placeWidget.setPlaceModeEnabled(True)

    def stopPlacing(self):
        """The mouse places no more points."""
        self._ui.placeWidget.setPlaceModeEnabled(False)

    def _pointsChanged(self, _caller=None, _event=None):
        self._onChanged()
