"""The section "Image and box": a box is drawn, or made of a segment."""

import slicer
from slicer.i18n import tr as _


class BoxInput:
    """Where the box comes from.

    Parameters
    ----------
    ui
        The widgets of BoxModule.ui.
    parameters
        Gives the module's parameter node, or None.
    logic
        The module's.
    """

    def __init__(self, ui, parameters, logic):
        self.ui, self._parameters, self._logic = ui, parameters, logic
        # The colour and the deleting of points are the Markups module's; here they would take the room of the views.
        ui.placeWidget.buttonsVisible = False
        ui.placeWidget.placeButton().show()
        ui.roiSelector.connect("currentNodeChanged(vtkMRMLNode*)", ui.placeWidget.setCurrentNode)
        ui.roiSelector.connect("nodeAddedByUser(vtkMRMLNode*)", self.draw)
        ui.segmentSelector.connect("currentSegmentChanged(QString)", self._segmentChosen)
        ui.boxOfSegmentButton.connect("clicked(bool)", self.boxOfSegment)

    def choose_defaults(self):
        """Where no image is chosen, take the one that the slice views show."""
        p = self._parameters()
        if p.image is None and slicer.app.layoutManager() is not None:
            shown = slicer.app.layoutManager().sliceWidget("Red")
            image = shown and shown.sliceLogic().GetBackgroundLayer().GetVolumeNode()
            if image is not None and image.GetClassName() == "vtkMRMLScalarVolumeNode":
                p.image = image

    def leave(self):
        self.ui.placeWidget.setPlaceModeEnabled(False)

    def draw(self, node):
        """The mouse draws a new box."""
        self.ui.placeWidget.setCurrentNode(node)
        self.ui.placeWidget.setPlaceModeEnabled(True)

    def boxOfSegment(self, _checked=False):
        """A new box around the chosen segment."""
        selector = self.ui.segmentSelector
        with slicer.util.tryWithErrorDisplay(_("Could not make a box of the segment.")):
            made = self._logic.boxOfSegment(selector.currentNode(), selector.currentSegmentID())
            self._parameters().roi = made

    def _segmentChosen(self, segmentId):
        self.ui.boxOfSegmentButton.enabled = bool(segmentId)
