from typing import Annotated

import slicer
from LandmarkModuleLib.SelfTest import LandmarkModuleTest  # noqa: F401  Slicer looks for it under this name here
from slicer import vtkMRMLMarkupsFiducialNode, vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleWidget,
)


class LandmarkModule(ScriptedLoadableModule):
    """Landmarks from one annotated image: teach a template, find its landmarks on other images."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("One-shot Landmarks")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = ["SparseToPrecise", "Markups", "Segmentations"]
        self.parent.contributors = ["The SparseToPrecise developers"]
        self.parent.helpText = _(
            "Learns from one image with landmarks and a segment around them, and finds the same landmarks on other "
            "images, whatever their pose. Each landmark has a confidence; one that is not sure enough stays unplaced, "
            "and the table says why. A folder of images is searched by one click. A reference and three targets are "
            "in the module Sample Data. For research use only."
        )
        self.parent.acknowledgementText = _(
            "After Wang et al., A One-Shot Learning Framework for Landmark Detection in Volumetric Images (2021). "
            "Built on 3D Slicer, MONAI and SimpleITK."
        )
        slicer.app.connect("startupCompleted()", self.onStartupCompleted)

    def onStartupCompleted(self):
        from SparseToPreciseLib.desktop.samples import register_samples

        register_samples(self.parent.path)


@parameterNodeWrapper
class LandmarkModuleParameterNode:
    """State of the panel; saved with the scene."""

    reference: vtkMRMLScalarVolumeNode
    structure: vtkMRMLSegmentationNode
    structureID: str
    landmarks: vtkMRMLMarkupsFiducialNode
    validation: vtkMRMLScalarVolumeNode
    validationStructure: vtkMRMLSegmentationNode
    validationStructureID: str
    minutes: Annotated[float, WithinRange(0, 600)] = 0.0
    template: str
    source: Annotated[str, Choice(["one volume", "a folder"])] = "one volume"
    target: vtkMRMLScalarVolumeNode
    mirror: Annotated[str, Choice(["no", "yes", "try"])] = "no"
    seed: vtkMRMLMarkupsFiducialNode
    showStructure: bool = False
    showDeformation: bool = False
    found: vtkMRMLMarkupsFiducialNode


class LandmarkModuleWidget(ScriptedLoadableModuleWidget):
    """Connects the panel with the parameter node; what it does is in LandmarkModuleLib."""

    panel = None  # until setup() has come that far

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        from LandmarkModuleLib.BatchSection import BatchSection
        from LandmarkModuleLib.FindSection import FindSection
        from LandmarkModuleLib.TeachSection import TeachSection

        from SparseToPreciseLib.desktop.module_panel import ModulePanel

        self.logic = LandmarkModuleLogic()
        self.panel = ModulePanel(self, self.resourcePath("UI/LandmarkModule.ui"))
        self.ui = self.panel.ui
        self.finding = FindSection(self.ui, self.panel.parameters, self.logic)
        self.teaching = self.panel.add(TeachSection(self.ui, self.panel.parameters, self.finding.taught))
        self.panel.add(self.finding)
        self.batch = self.panel.add(BatchSection(self.ui, self.panel.parameters, self.finding))
        self.panel.start()

    def enter(self):
        self.panel.enter()

    def exit(self):
        self.panel.exit()

    def cleanup(self):
        if self.panel is not None:
            self.panel.cleanup()


class LandmarkModuleLogic(ScriptedLoadableModuleLogic):
    """The same work from scripts, waiting for it."""

    def getParameterNode(self):
        return LandmarkModuleParameterNode(super().getParameterNode())

    def train(self, output, image, segmentation, segmentID, landmarks, **options):
        """Teach a template: a bundle in the folder `output`.

        `options` are validation=(image, segmentation, segmentID), and those of landmarks.recipe.train_template.
        """
        from SparseToPreciseLib.landmarks.recipe import train_template
        from SparseToPreciseLib.mrml.landmark_teaching import read_lesson

        lesson = read_lesson(image, segmentation, segmentID, landmarks, *options.pop("validation", ()))
        return train_template(output, [lesson.reference], lesson.validation, **options)

    def detect(self, template, image, *, seed=None, **options):
        """Find a template's landmarks: (point list, segmentation or None, transform or None), all of them new nodes.

        `template` is a folder or the name of an installed one, `seed` a point list; `options` are mirror ("no", "yes",
        "try"), device, structure and deformation (whether these two are wanted), and progress.
        """
        from SparseToPreciseLib.mrml.landmarks_nodes import detect_inputs, read_target, show_found

        inputs = read_target(image, seed)
        return show_found(inputs, detect_inputs(inputs, template=template, **options))
