from typing import Annotated, Union

import EditingModuleLib
import slicer
import vtk
from EditingModuleLib.SelfTest import EditingModuleTest  # noqa: F401  Slicer looks for it under this name here
from slicer import (
    vtkMRMLMarkupsCurveNode,
    vtkMRMLMarkupsFiducialNode,
    vtkMRMLMarkupsLineNode,
    vtkMRMLScalarVolumeNode,
    vtkMRMLSegmentationNode,
)
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin


class EditingModule(ScriptedLoadableModule):
    """Corrects segments by strokes that are markups; the Segment Editor effect "Scribble edit" is registered here."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Scribble Editing")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = ["SparseToPrecise", "Markups", "Segmentations"]
        self.parent.contributors = ["The SparseToPrecise developers"]
        self.parent.helpText = _(
            "Corrects a segment by strokes. Draw a curve along the boundary where it should be and press Apply: near "
            "the stroke the segment follows it, and farther than the influence radius not one voxel changes. Many "
            "curves are applied in order by one click, and a model can be trained on segmentations of your own. For "
            "drawing with the mouse, use the effect Scribble edit of the Segment Editor. Two example cases are in the "
            "module Sample Data. For research use only."
        )
        self.parent.acknowledgementText = _(
            "After A. H. Shahin, Y. Zhuang and N. El-Zehiry, From Sparse to Precise: A Practical Editing Approach for "
            "Intracardiac Echocardiography Segmentation (2023). Built on 3D Slicer and MONAI."
        )
        slicer.app.connect("startupCompleted()", self.onStartupCompleted)

    def onStartupCompleted(self):
        EditingModuleLib.register()
        from SparseToPreciseLib.desktop.samples import register_samples

        register_samples(self.parent.path)


@parameterNodeWrapper
class EditingModuleParameterNode:
    """What the panel shows; saved with the scene."""

    image: vtkMRMLScalarVolumeNode
    segmentation: vtkMRMLSegmentationNode
    segmentID: str
    # Slicer's wrapper knows this form of a union only.
    stroke: Union[vtkMRMLMarkupsCurveNode, vtkMRMLMarkupsLineNode, vtkMRMLMarkupsFiducialNode, None]  # noqa: UP007
    model: str
    influenceRadius: Annotated[float, WithinRange(0.5, 100)] = 8.0
    automaticRadius: bool = True
    keepEarlierEdits: bool = True
    output: Annotated[str, Choice(["in place", "new segment"])] = "in place"


class EditingModuleWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Connects the panel with the parameter node; what it does is in EditingModuleLib."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self._parameterNode = self._connection = self.edits = None

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        from EditingModuleLib.EditPanel import EditPanel

        from SparseToPreciseLib.desktop.setup_row import SetupRow
        from SparseToPreciseLib.desktop.train_panel import TrainPanel

        self.logic = EditingModuleLogic()
        panel = slicer.util.loadUI(self.resourcePath("UI/EditingModule.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.training = TrainPanel(["train", "editing"], "my-editing", self.onTrained)
        self.ui.trainFrame.layout().addWidget(self.training)
        meanwhile = _("Until then strokes are applied without a model.")
        self.setupRow = SetupRow(on_changed=self.onSetupChanged, meanwhile=meanwhile)
        self.ui.setupFrame.layout().addWidget(self.setupRow)
        self.training.set_setup(self.setupRow.ready)
        self.edits = EditPanel(self.ui, lambda: self._parameterNode)
        self.ui.strokeSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.ui.placeWidget.setCurrentNode)
        self.ui.trainCollapsibleButton.connect("contentsCollapsed(bool)", self.onTrainCollapsed)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent):
            self.addObserver(scene, event, self.onSceneChanged)
        self.setParameterNode(self.logic.getParameterNode())

    def enter(self):
        self.setupRow.refresh()
        self.edits.models.refresh()
        self.training.refresh()
        self.setParameterNode(self.logic.getParameterNode())

    def exit(self):
        self.ui.placeWidget.setPlaceModeEnabled(False)
        self.setParameterNode(None)

    def cleanup(self):
        self.removeObservers()
        if self.edits is not None:  # else setup() failed
            self.edits.forget()
            self.training.cancel()

    def onSceneStartClose(self, caller, event):
        self.edits.forget()
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        if self.parent.isEntered:
            self.setParameterNode(self.logic.getParameterNode())
            self.training.refresh()

    def onSceneChanged(self, caller, event):
        if self._parameterNode is not None and not slicer.mrmlScene.IsBatchProcessing():
            self.edits.refresh()

    def setParameterNode(self, node):
        """Connect the panel to a parameter node, or to none while the scene closes or the panel is not shown."""
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._connection)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onModified)
        self._parameterNode = node
        if node is not None:
            self._connection = node.connectGui(self.ui)
            self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self.onModified)
            self.edits.chooseDefaults()
            self.edits.refresh()

    def onModified(self, caller=None, event=None):
        self.edits.refresh()

    def onSetupChanged(self, step):
        self.training.set_setup(step.ready)

    def onTrainCollapsed(self, collapsed):
        if not collapsed:
            self.training.refresh()

    def onTrained(self, name):
        self.edits.models.refresh()
        self.edits.models.set_model(name)


class EditingModuleLogic(ScriptedLoadableModuleLogic):
    """The same work from scripts, waiting for it."""

    def getParameterNode(self):
        return EditingModuleParameterNode(super().getParameterNode())

    def apply(self, image, segmentation, segmentID, strokes, **options):
        """Correct a segment by markups; `options` are those of SparseToPreciseLib.mrml.segment_edits.EditOptions."""
        from SparseToPreciseLib.mrml.edit_histories import EditHistories
        from SparseToPreciseLib.mrml.segment_edits import EditOptions, apply, prepare
        from SparseToPreciseLib.mrml.segment_undo import SegmentUndo

        histories = EditHistories()
        job = prepare(image, segmentation, segmentID, strokes, EditOptions(**options), histories)
        return apply(job, job.run(), SegmentUndo(), histories)
