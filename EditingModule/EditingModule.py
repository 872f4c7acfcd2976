from typing import Annotated, Union

import EditingModuleLib
import slicer
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
    """State of the panel; saved with the scene."""

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
    otherSegments: Annotated[str, Choice(["may be overlapped", "are protected"])] = "may be overlapped"


class EditingModuleWidget(ScriptedLoadableModuleWidget):
    """Connects the panel with the parameter node; what it does is in EditingModuleLib."""

    panel = None  # until setup() has come that far

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        from EditingModuleLib.EditPanel import EditPanel

        from SparseToPreciseLib.desktop.module_panel import ModulePanel
        from SparseToPreciseLib.desktop.train_panel import TrainPanel

        self.logic = EditingModuleLogic()
        meanwhile = _("Until then strokes are applied without a model.")
        self.panel = ModulePanel(self, self.resourcePath("UI/EditingModule.ui"), meanwhile=meanwhile)
        self.ui = self.panel.ui
        self.edits = self.panel.add(EditPanel(self.ui, self.panel.parameters))
        self.training = self.panel.add(TrainPanel(["train", "editing"], "my-editing", self.onTrained))
        self.ui.trainFrame.layout().addWidget(self.training)
        self.ui.trainCollapsibleButton.connect("contentsCollapsed(bool)", self.onTrainCollapsed)
        self.panel.start()

    def enter(self):
        self.panel.enter()

    def exit(self):
        self.panel.exit()

    def cleanup(self):
        if self.panel is not None:
            self.panel.cleanup()

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
        """Correct a segment by markups; `options` are those of SparseToPreciseLib.mrml.stroke_editing.Options."""
        from SparseToPreciseLib.mrml.edit_histories import EditHistories
        from SparseToPreciseLib.mrml.segment_undo import SegmentUndo
        from SparseToPreciseLib.mrml.stroke_editing import Options, apply, prepare
        from SparseToPreciseLib.mrml.stroke_targets import SceneSegment

        histories = EditHistories()
        target = SceneSegment(image, segmentation, segmentID, SegmentUndo())
        job = prepare(target, strokes, Options(**options), histories)
        return apply(target, job, job.run(), histories)
