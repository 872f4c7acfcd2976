from typing import Annotated

import slicer
from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode, vtkMRMLTableNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleWidget,
)
from SynthesisModuleLib.SelfTest import SynthesisModuleTest  # noqa: F401  Slicer looks for it under this name here


class SynthesisModule(ScriptedLoadableModule):
    """A CT of an MR, judged against a true one, with its uncertainty; and models of one's own."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("MR to CT")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = ["SparseToPrecise", "Volumes", "Segmentations", "Plots", "Colors"]
        self.parent.contributors = ["The SparseToPrecise developers"]
        self.parent.helpText = _(
            "Makes a synthetic CT of an MR, in Hounsfield units on the MR's own voxels, with its uncertainty where it "
            "is wanted; compares it with a true CT; trains models on pairs of MR and CT. The model that comes with the "
            "extension has only seen phantoms of heads: its anatomy is plausible, its Hounsfield units are not "
            "validated. For research use only: neither for diagnosis nor for planning a treatment."
        )
        self.parent.acknowledgementText = _(
            "After Z. Shi et al., Frequency-Supervised MR-to-CT Image Synthesis (2021). Built on 3D Slicer and MONAI."
        )
        slicer.app.connect("startupCompleted()", self.onStartupCompleted)

    def onStartupCompleted(self):
        from SparseToPreciseLib.desktop.samples import register_samples

        register_samples(self.parent.path)


@parameterNodeWrapper
class SynthesisModuleParameterNode:
    """State of the panel; saved with the scene."""

    mr: vtkMRMLScalarVolumeNode
    model: str
    body: vtkMRMLSegmentationNode
    bodyID: str
    ensemble: list[str]
    output: vtkMRMLScalarVolumeNode
    uncertainty: bool = False
    bands: bool = False
    classes: bool = False
    ct: vtkMRMLScalarVolumeNode
    evaluated: vtkMRMLScalarVolumeNode
    reference: vtkMRMLScalarVolumeNode
    mask: vtkMRMLSegmentationNode
    maskID: str
    evaluation: vtkMRMLTableNode
    map: vtkMRMLScalarVolumeNode
    under: vtkMRMLScalarVolumeNode
    colors: Annotated[str, Choice(["Inferno", "Viridis", "Plasma", "ColdToHotRainbow", "Iron"])] = "Inferno"
    maximum: Annotated[float, WithinRange(0, 500)] = 200.0
    hiddenBelow: Annotated[float, WithinRange(0, 200)] = 20.0
    opacity: Annotated[float, WithinRange(0, 1)] = 0.7
    registerPairs: bool = True


class SynthesisModuleWidget(ScriptedLoadableModuleWidget):
    """Connects the panel with the parameter node; what it does is in SynthesisModuleLib."""

    panel = None  # until setup() has come that far

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        from SynthesisModuleLib.EvaluateTab import EvaluateTab
        from SynthesisModuleLib.ResultBox import ResultBox
        from SynthesisModuleLib.SynthesizeTab import SynthesizeTab
        from SynthesisModuleLib.TrainTab import TrainTab
        from SynthesisModuleLib.UncertaintyTab import UncertaintyTab

        from SparseToPreciseLib.desktop.module_panel import ModulePanel

        self.logic = SynthesisModuleLogic()
        self.panel = ModulePanel(self, self.resourcePath("UI/SynthesisModule.ui"))
        self.ui = self.panel.ui
        given = self.ui, self.panel.parameters
        self.result = self.panel.add(ResultBox(*given))
        self.work = self.panel.add(SynthesizeTab(*given, self.logic, self.result.show))
        self.evaluation = self.panel.add(EvaluateTab(*given, self.logic))
        self.uncertainty = self.panel.add(UncertaintyTab(*given))
        self.training = self.panel.add(TrainTab(*given, self.work.trained))
        self.panel.start()

    def enter(self):
        self.panel.enter()

    def exit(self):
        self.panel.exit()

    def cleanup(self):
        if self.panel is not None:
            self.panel.cleanup()


class SynthesisModuleLogic(ScriptedLoadableModuleLogic):
    """The same work from scripts, waiting for it."""

    def getParameterNode(self):
        return SynthesisModuleParameterNode(super().getParameterNode())

    def synthesize(self, mr, models=None, body=None, output=None, **options):
        """The CT of an MR node as a volume node; what came with it: SparseToPreciseLib.mrml.synthesis_nodes.

        `models` are names or folders of bundles; None: the one that comes with the extension. `body` is a segmentation
        node and the ID of a segment. `output` is an earlier synthetic CT to fill anew; None: a new node. Options:
        uncertainty, bands and classes (all False), device ("auto"), progress.
        """
        from SparseToPreciseLib.mrml.synthesis_nodes import read_inputs, show_synthetic, synthesize_inputs

        inputs = read_inputs(mr, body, output)
        return show_synthetic(inputs, synthesize_inputs(inputs, models, **options))

    def evaluate(self, ct, reference, mask=None):
        """A table node; SparseToPreciseLib.mrml.evaluation_nodes gives the error map and the histograms of it.

        `mask` is a segmentation node and the ID of a segment; None: the body in the reference.
        """
        from SparseToPreciseLib.mrml.evaluation_nodes import evaluate_inputs, read_inputs, show_evaluation

        inputs = read_inputs(ct, reference, mask)
        return show_evaluation(inputs, *evaluate_inputs(inputs))
