"""What "Reload and Test", ctest and Testing/desktop run for the module SynthesisModule."""

import tempfile

import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

SAMPLE = "Head, MR and CT (phantom)"


class SynthesisModuleTest(ScriptedLoadableModuleTest):
    """Loads the sample, and uses the panel as a user does; what needs a model is in Testing/desktop."""

    def setUp(self):
        slicer.mrmlScene.Clear()
        self.panel = slicer.modules.synthesismodule.widgetRepresentation().self()
        self.panel.enter()

    def tearDown(self):
        self.panel.exit()

    def loadSample(self):
        """(MR, CT), the MR chosen as what to work on and the CT as the reference."""
        from SparseToPreciseLib.desktop.samples import load_sample

        mr, ct = load_sample(SAMPLE)
        self.panel.ui.mrSelector.setCurrentNode(mr)
        self.panel.ui.referenceSelector.setCurrentNode(ct)
        slicer.app.processEvents()
        return mr, ct

    def test_theSampleIsReady(self):
        mr, ct = self.loadSample()
        from SparseToPreciseLib.mrml.synthesis_nodes import read_inputs
        from SparseToPreciseLib.mrml.training_pairs import pairs_of_scene, read_pair

        self.assertEqual(read_inputs(mr).mr.name, mr.GetName())
        self.assertEqual(pairs_of_scene(), [(mr, ct)])
        self.assertEqual(read_pair(mr, ct).labels.name, ct.GetName())
        parameters = self.panel.logic.getParameterNode()
        self.assertEqual((parameters.mr, parameters.reference), (mr, ct))

    def test_theCtIsComparedWithItselfShifted(self):
        import numpy as np

        mr, ct = self.loadSample()
        other = slicer.modules.volumes.logic().CloneVolume(slicer.mrmlScene, ct, "Shifted")
        slicer.util.arrayFromVolume(other)[:] = np.maximum(slicer.util.arrayFromVolume(ct) - 24, -1024)
        table = self.panel.logic.evaluate(other, ct)
        from SparseToPreciseLib.mrml.evaluation_nodes import chart_of, error_of

        values = {table.GetCellText(row, 0): table.GetCellText(row, 1) for row in range(table.GetNumberOfRows())}
        self.assertAlmostEqual(float(values["mean error"]), -24, delta=1)
        self.assertEqual(error_of(table).GetImageData().GetDimensions(), other.GetImageData().GetDimensions())
        self.assertEqual(chart_of(table).GetNumberOfPlotSeriesNodes(), 2)
        self.panel.logic.getParameterNode().evaluation = table
        slicer.app.processEvents()
        self.assertEqual(self.panel.ui.evaluationTableView.mrmlTableNode(), table)
        self.assertTrue(self.panel.ui.showErrorButton.enabled)

    def test_theParametersAreSavedWithTheScene(self):
        mr, ct = self.loadSample()
        self.panel.ui.uncertaintyCheckBox.checked = True
        self.panel.ui.maximumSlider.value = 150
        slicer.app.processEvents()
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/scene.mrb"
            self.assertTrue(slicer.util.saveScene(path))
            slicer.mrmlScene.Clear()
            self.assertIsNone(self.panel.logic.getParameterNode().mr)
            slicer.util.loadScene(path)
        parameters = self.panel.logic.getParameterNode()
        self.assertEqual((parameters.uncertainty, parameters.maximum), (True, 150))
        self.assertEqual((parameters.mr.GetName(), parameters.reference.GetName()), (mr.GetName(), ct.GetName()))
