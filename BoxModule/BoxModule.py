from typing import Annotated

import slicer
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
    """State of the panel; saved with the scene."""

    image: vtkMRMLScalarVolumeNode
    roi: vtkMRMLMarkupsROINode
    corrector: str
    segmenter: str
    axis: Annotated[str, Choice(["auto", "I", "J", "K"])] = "auto"
    coverage: Annotated[str, Choice(["0.8", "0.9", "0.95", "0.98", "0.99", "0.995"])] = "0.99"
    margin: Annotated[float, WithinRange(0, 20)] = 0.0
    withinSlices: bool = True
    trainSegment: str = ""
    trainTightened: bool = False


class BoxModuleWidget(ScriptedLoadableModuleWidget):
    """Connects the panel with the parameter node; what it does is in BoxModuleLib."""

    panel = None  # until setup() has come that far

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        from BoxModuleLib.BoxInput import BoxInput
        from BoxModuleLib.TrainSection import TrainSection
        from BoxModuleLib.WorkPanel import WorkPanel

        from SparseToPreciseLib.desktop.module_panel import ModulePanel

        self.logic = BoxModuleLogic()
        self.panel = ModulePanel(self, self.resourcePath("UI/BoxModule.ui"))
        self.ui = self.panel.ui
        self.panel.add(BoxInput(self.ui, self.panel.parameters, self.logic))
        self.work = self.panel.add(WorkPanel(self.ui, self.panel.parameters))
        self.training = self.panel.add(TrainSection(self.ui, self.panel.parameters, self.work))
        self.panel.start()

    def enter(self):
        self.panel.enter()

    def exit(self):
        self.panel.exit()

    def cleanup(self):
        if self.panel is not None:
            self.panel.cleanup()


class BoxModuleLogic(ScriptedLoadableModuleLogic):
    """The same work from scripts, waiting for it; `parameters` are those of tighten_inputs and segment_inputs
    in SparseToPreciseLib.mrml.boxes_nodes."""

    def getParameterNode(self):
        return BoxModuleParameterNode(super().getParameterNode())

    def boxOfSegment(self, segmentation, segmentId):
        """A new ROI around a segment, with its name and colour."""
        from SparseToPreciseLib.mrml.rois import box_from_segment, roi_from_box

        segment = segmentation.GetSegmentation().GetSegment(segmentId)
        box = box_from_segment(segmentation, segmentId)
        return roi_from_box(box, segment.GetName(), color=segment.GetColor())

    def tighten(self, image, roi, **parameters):
        """Shrink an ROI around the object in it; a SparseToPreciseLib.boxes.corrector.tighten.TightenResult."""
        from SparseToPreciseLib.mrml.boxes_nodes import read_inputs, show_tightened, tighten_inputs

        inputs = read_inputs(image, roi, to_tighten=True)
        result = tighten_inputs(inputs, **parameters)
        show_tightened(inputs, result)
        return result

    def segment(self, image, roi, **parameters):
        """Segment the object in an ROI; the segmentation node and the ID of the new segment."""
        from SparseToPreciseLib.mrml.boxes_nodes import read_inputs, segment_inputs, show_segmented

        inputs = read_inputs(image, roi)
        return show_segmented(inputs, segment_inputs(inputs, **parameters))
