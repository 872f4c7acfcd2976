import hashlib
import sys
from pathlib import Path

import qt
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
            "This module shows what is installed and which models are there. For research use only."
        )
        self.parent.acknowledgementText = _("Built on 3D Slicer and MONAI.")


class SparseToPreciseWidget(ScriptedLoadableModuleWidget):
    """Shows what the logic reads; changes nothing."""

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        self.logic = SparseToPreciseLogic()
        self.bundles = []
        panel = slicer.util.loadUI(self.resourcePath("UI/SparseToPrecise.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        self.ui.modelComboBox.connect("currentIndexChanged(int)", self.showModelCard)
        self.refresh()

    def enter(self):
        self.refresh()

    def refresh(self):
        states = self.logic.requirementStates()
        table = self.ui.requirementsTable
        table.setRowCount(len(states))
        for row, state in enumerate(states):
            verdict = _("ready") if state.satisfied else _("too old") if state.installed else _("not installed")
            for column, text in enumerate((state.name, state.wanted, state.installed or "", verdict)):
                table.setItem(row, column, qt.QTableWidgetItem(text))

        self.bundles = self.logic.bundles()
        self.ui.modelComboBox.clear()
        self.ui.modelComboBox.addItems([f"{bundle.family}: {bundle.name}" for bundle in self.bundles])
        self.ui.noModelsLabel.visible = not self.bundles
        self.ui.modelComboBox.visible = self.ui.modelCardBrowser.visible = bool(self.bundles)
        self.showModelCard(self.ui.modelComboBox.currentIndex)

    def showModelCard(self, index):
        self.ui.modelCardBrowser.setMarkdown(self.bundles[index].card if 0 <= index < len(self.bundles) else "")

    def onReload(self):
        # Slicer reloads this file only; the library's modules would stay as they were.
        for name in [name for name in sys.modules if name.split(".")[0] == "SparseToPreciseLib"]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)


class SparseToPreciseLogic(ScriptedLoadableModuleLogic):
    """Reads package metadata and model bundles; imports neither PyTorch nor MONAI."""

    def requirementStates(self):
        from SparseToPreciseLib.core.requirements import PYTORCH, requirement_states

        file = Path(__file__).parent / "Resources" / "requirements.txt"
        return requirement_states([PYTORCH, *file.read_text(encoding="utf-8").splitlines()])

    def bundles(self):
        from SparseToPreciseLib.core.bundles import find_bundles

        return find_bundles()


class SparseToPreciseTest(ScriptedLoadableModuleTest):
    """Reload & Test, ctest and Testing/desktop run these."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def test_readingTheStateImportsNoTorch(self):
        loaded = {"torch", "monai"} & set(sys.modules)
        logic = SparseToPreciseLogic()
        names = [state.name for state in logic.requirementStates()]
        self.assertEqual(names[0], "torch")
        self.assertIn("monai", names)
        logic.bundles()
        self.assertEqual({"torch", "monai"} & set(sys.modules), loaded)

    def test_installedModelsAreWhole(self):
        bundles = SparseToPreciseLogic().bundles()
        self.assertIn("editing", {bundle.family for bundle in bundles})
        for bundle in bundles:  # the weights' hash only: loading them needs PyTorch, which may not be installed yet
            weights = (bundle.path / "models" / "model.pt").read_bytes()
            self.assertEqual(hashlib.sha256(weights).hexdigest(), bundle.sha256, bundle.name)
            self.assertTrue(bundle.card.strip(), f"{bundle.name} has no model card")

    def test_panelShowsWhatTheLogicReads(self):
        widget = slicer.modules.sparsetoprecise.widgetRepresentation().self()
        widget.refresh()
        states, bundles = widget.logic.requirementStates(), widget.logic.bundles()
        table = widget.ui.requirementsTable
        shown = [(table.item(row, 0).text(), table.item(row, 2).text()) for row in range(table.rowCount)]
        self.assertEqual(shown, [(state.name, state.installed or "") for state in states])
        self.assertEqual(widget.ui.modelComboBox.count, len(bundles))
        for index, bundle in enumerate(bundles):
            widget.ui.modelComboBox.setCurrentIndex(index)
            self.assertEqual(bool(widget.ui.modelCardBrowser.toPlainText()), bool(bundle.card.strip()))
