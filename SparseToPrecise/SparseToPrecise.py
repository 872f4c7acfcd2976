import sys

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)


class SparseToPrecise(ScriptedLoadableModule):
    """Home of the extension: what is installed, which models are there.

    Loading it puts this folder, and with it SparseToPreciseLib, on sys.path for the other modules.
    """

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Sparse to Precise")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = []
        self.parent.contributors = ["The SparseToPrecise developers"]
        self.parent.helpText = _(
            "Turns sparse input, such as one stroke along the true boundary, into a precise result. "
            "This module installs what the models need, and shows which models are there. For research use only."
        )
        self.parent.acknowledgementText = _("Built on 3D Slicer and MONAI.")
        slicer.app.connect("startupCompleted()", self.resumeSetup)

    def resumeSetup(self):
        """Come back to this module when the set-up has restarted Slicer; installing goes on only by a click."""
        from SparseToPreciseLib.desktop.settings import resumes

        if resumes() and slicer.util.mainWindow() is not None:
            slicer.util.selectModule("SparseToPrecise")


class SparseToPreciseWidget(ScriptedLoadableModuleWidget):
    """Three sections, each with its own object: what is installed, the device, the models."""

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        from SparseToPreciseLib.desktop.device_panel import DevicePanel
        from SparseToPreciseLib.desktop.models_panel import ModelsPanel
        from SparseToPreciseLib.desktop.setup_panel import SetupPanel

        self.logic = SparseToPreciseLogic()
        panel = slicer.util.loadUI(self.resourcePath("UI/SparseToPrecise.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        self.devicePanel = DevicePanel(self.ui)
        self.modelsPanel = ModelsPanel(self.ui)
        self.setupPanel = SetupPanel(self.ui, on_changed=self.showStep)

    def enter(self):
        self.setupPanel.refresh()
        self.modelsPanel.refresh()

    def showStep(self, step):
        self.devicePanel.refresh(step.torch.installed)

    def cleanup(self):
        if hasattr(self, "setupPanel"):  # else setup() failed
            self.devicePanel.cleanup()
            self.modelsPanel.cleanup()

    def onReload(self):
        # Slicer reloads this file only; the library's modules would stay as they were, and so would their thread.
        worker = sys.modules.get("SparseToPreciseLib.desktop.worker")
        if worker is not None:
            worker.stop_shared_worker()
        for name in [name for name in sys.modules if name.split(".")[0] == "SparseToPreciseLib"]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)


class SparseToPreciseLogic(ScriptedLoadableModuleLogic):
    """For other modules and scripts; imports neither PyTorch nor MONAI."""

    def setupStep(self):
        """How far the set-up has come: a SparseToPreciseLib.core.setup_states.SetupStep."""
        from SparseToPreciseLib.core.setup_states import next_step
        from SparseToPreciseLib.desktop.setup_environment import SlicerEnvironment

        return next_step(SlicerEnvironment())

    def bundles(self, family=None):
        """The usable model bundles, of one family or of all."""
        from SparseToPreciseLib.core.bundles import find_bundles

        return find_bundles(family)


class SparseToPreciseTest(ScriptedLoadableModuleTest):
    """Reload & Test, ctest and Testing/desktop run these; nothing is installed by them."""

    def setUp(self):
        slicer.mrmlScene.Clear()
        self.widget = slicer.modules.sparsetoprecise.widgetRepresentation().self()
        self.widget.enter()

    def test_readingTheStateImportsNoTorch(self):
        loaded = {"torch", "monai"} & set(sys.modules)
        logic = SparseToPreciseLogic()
        self.assertEqual(logic.setupStep().torch.name, "torch")
        logic.bundles()
        self.assertEqual({"torch", "monai"} & set(sys.modules), loaded)

    def test_installedModelsAreWhole(self):
        bundles = SparseToPreciseLogic().bundles()
        self.assertIn("editing", {bundle.family for bundle in bundles})
        for bundle in bundles:  # the weights' hash only: loading them needs PyTorch, which may not be installed yet
            bundle.check_hash()
            self.assertTrue(bundle.card.strip(), f"{bundle.name} has no model card")

    def test_setupRowSaysWhatIsMissing(self):
        step, row = self.widget.logic.setupStep(), self.widget.setupPanel.row
        self.assertEqual(row.step, step)
        self.assertTrue(row.label.text.startswith(step.sentence))
        self.assertEqual(row.button.text, step.button)
        table = self.widget.ui.requirementsTable
        self.assertEqual([table.item(0, column).text() for column in (0, 2)], ["torch", step.torch.installed or ""])

    def test_tableShowsEveryModelWithItsCard(self):
        ui, panel = self.widget.ui, self.widget.modelsPanel
        self.assertEqual(ui.modelsTable.rowCount, len(panel.bundles))
        for row, one in enumerate(panel.bundles):
            ui.modelsTable.selectRow(row)
            self.assertTrue(ui.modelCardBrowser.toPlainText().strip(), one.path)
            self.assertEqual(ui.removeModelButton.enabled, one.own)
