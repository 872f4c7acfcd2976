from typing import Annotated

import slicer
import vtk
from BoxModuleLib.SelfTest import BoxModuleTest  # noqa: F401  Slicer looks for it under this name here
from slicer import vtkMRMLMarkupsROINode, vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin


class BoxModule(ScriptedLoadableModule):
    """Loose boxes: tighten them, and segment the object inside."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Boxes")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = ["SparseToPrecise", "Markups", "Segmentations"]
        self.parent.contributors = ["The SparseToPrecise developers"]
        self.parent.helpText = _(
            "Tightens a box that was drawn loosely around an object, slice by slice, and segments the object in it. "
            "Where the model is unsure the box is kept and the panel says why. Draw the box so that all of the object "
            "lies in it; boxes of up to twice the object's length suit the model that comes with the extension, for "
            "looser ones train one on some of your own masks. For research use only."
        )
        self.parent.acknowledgementText = _(
            "After E. Redekop and A. Chernyavskiy, Medical Image Segmentation with Imperfect 3D Bounding Boxes (2021), "
            "and the tightness constraints of H. Kervadec et al., Bounding boxes for weakly supervised segmentation "
            "(2020). Built on 3D Slicer and MONAI."
        )
        slicer.app.connect("startupCompleted()", self.onStartupCompleted)

    def onStartupCompleted(self):
        from SparseToPreciseLib.desktop.samples import register_samples

        register_samples(self.parent.path)


@parameterNodeWrapper
class BoxModuleParameterNode:
    """What the panel shows; saved with the scene."""

    image: vtkMRMLScalarVolumeNode
    roi: vtkMRMLMarkupsROINode
    corrector: str
    segmenter: str
    axis: Annotated[str, Choice(["auto", "I", "J", "K"])] = "auto"
    coverage: Annotated[str, Choice(["0.9", "0.95", "0.98", "0.99", "0.995"])] = "0.99"
    margin: Annotated[float, WithinRange(0, 20)] = 0.0
    withinSlices: bool = True
    trainSegment: str = ""


class BoxModuleWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Connects the panel with the parameter node; what it does is in BoxModuleLib."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self._parameterNode = self._connection = self.work = self.training = None

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        from BoxModuleLib.TrainSection import TrainSection
        from BoxModuleLib.WorkPanel import WorkPanel

        from SparseToPreciseLib.desktop.setup_row import SetupRow

        self.logic = BoxModuleLogic()
        panel = slicer.util.loadUI(self.resourcePath("UI/BoxModule.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.work = WorkPanel(self.ui, lambda: self._parameterNode)
        self.training = TrainSection(self.ui, lambda: self._parameterNode, self.work.trained)
        self.setupRow = SetupRow(on_changed=self.onSetupChanged)
        self.ui.setupFrame.layout().addWidget(self.setupRow)
        self.ui.roiSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.ui.placeWidget.setCurrentNode)
        self.ui.roiSelector.connect("nodeAddedByUser(vtkMRMLNode*)", self.onBoxAdded)
        self.ui.segmentSelector.connect("currentSegmentChanged(QString)", self.onSegmentChosen)
        self.ui.boxOfSegmentButton.connect("clicked(bool)", self.onBoxOfSegment)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.NodeRemovedEvent, self.onSceneChanged)
        self.setParameterNode(self.logic.getParameterNode())

    def enter(self):
        self.setupRow.refresh()
        self.setParameterNode(self.logic.getParameterNode())
        self.work.show_models()
        self.training.refresh()

    def exit(self):
        self.ui.placeWidget.setPlaceModeEnabled(False)
        self.setParameterNode(None)

    def cleanup(self):
        self.removeObservers()
        if self.training is not None:  # else setup() failed
            self.work.forget()
            self.training.cancel()

    def onSceneStartClose(self, caller, event):
        self.work.forget()
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        if self.parent.isEntered:
            self.setParameterNode(self.logic.getParameterNode())
            self.training.refresh()

    def onSceneChanged(self, caller, event):
        if self._parameterNode is not None and not slicer.mrmlScene.IsBatchProcessing():
            self.work.refresh()

    def setParameterNode(self, node):
        """Connect the panel to a parameter node, or to none while the scene closes."""
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._connection)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onModified)
        self._parameterNode = node
        if node is not None:
            self._connection = node.connectGui(self.ui)
            self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self.onModified)
            self.work.refresh()

    def onModified(self, caller=None, event=None):
        self.work.refresh()

    def onSetupChanged(self, step):
        self.work.setSetup(step.ready)
        self.training.setSetup(step.ready)

    def onBoxAdded(self, node):
        self.ui.placeWidget.setCurrentNode(node)
        self.ui.placeWidget.setPlaceModeEnabled(True)

    def onSegmentChosen(self, segmentId):
        self.ui.boxOfSegmentButton.enabled = bool(segmentId)

    def onBoxOfSegment(self, _checked=False):
        with slicer.util.tryWithErrorDisplay(_("Could not make a box of the segment.")):
            node, segmentId = self.ui.segmentSelector.currentNode(), self.ui.segmentSelector.currentSegmentID()
            self._parameterNode.roi = self.logic.boxOfSegment(node, segmentId)


class BoxModuleLogic(ScriptedLoadableModuleLogic):
    """The same work from scripts, waiting for it; `parameters` are those of BoxModuleLib.Jobs."""

    def getParameterNode(self):
        return BoxModuleParameterNode(super().getParameterNode())

    def boxOfSegment(self, segmentation, segmentId):
        """A new ROI around a segment, with its name and colour."""
        from SparseToPreciseLib.mrml.rois import box_from_segment, roi_from_box

        segment = segmentation.GetSegmentation().GetSegment(segmentId)
        box = box_from_segment(segmentation, segmentId)
        return roi_from_box(box, segment.GetName(), color=segment.GetColor())

    def tighten(self, image, roi, **parameters):
        """Shrink an ROI around the object in it; a SparseToPreciseLib.boxes.tighten.TightenResult."""
        from BoxModuleLib.Jobs import tighten_inputs

        from SparseToPreciseLib.mrml.box_nodes import read_inputs, show_tightened

        inputs = read_inputs(image, roi)
        result = tighten_inputs(inputs, **parameters)
        show_tightened(inputs, result)
        return result

    def segment(self, image, roi, **parameters):
        """Segment the object in an ROI; the segmentation node and the ID of the new segment."""
        from BoxModuleLib.Jobs import segment_inputs

        from SparseToPreciseLib.mrml.box_nodes import read_inputs, show_segmented

        inputs = read_inputs(image, roi)
        return show_segmented(inputs, segment_inputs(inputs, **parameters))
