"""Self-test of the module EditingModule, for "Reload and Test", ctest and Testing/desktop."""

import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

SAMPLES = ("Dent (phantom)", "Bulge, oblique (phantom)")
WITHOUT_MODEL = "image-aware-warp"
TIMEOUT_S = 120


class EditingModuleTest(ScriptedLoadableModuleTest):
    """Loads a sample, and edits it as a user does, by the widgets of the module's panel."""

    def setUp(self):
        slicer.mrmlScene.Clear()
        self.panel = slicer.modules.editingmodule.widgetRepresentation().self()
        self.panel.enter()

    def tearDown(self):
        self.panel.exit()

    def choose(self, image, segmentation, stroke):
        """Fill in the panel's inputs."""
        ui = self.panel.ui
        ui.imageSelector.setCurrentNode(image)
        ui.segmentSelector.setCurrentNode(segmentation)
        ui.segmentSelector.setCurrentSegmentID(segmentation.GetSegmentation().GetNthSegmentID(0))
        ui.strokeSelector.setCurrentNode(stroke)
        self.panel.edits.models.set_model(WITHOUT_MODEL)
        slicer.app.processEvents()

    def loadSample(self, number=0):
        """(image, segmentation, stroke), chosen in the panel."""
        from SparseToPreciseLib.desktop.samples import load_sample

        nodes = load_sample(SAMPLES[number])
        self.assertEqual([node is not None for node in nodes], [True] * 3)
        self.choose(*nodes)
        return nodes

    def click(self, button):
        """Click, and wait for what it starts."""
        from SparseToPreciseLib.desktop.worker import shared_worker

        self.assertTrue(button.enabled, button.toolTip)
        button.click()
        if self.panel.edits.job is not None:
            shared_worker().wait(self.panel.edits.job, TIMEOUT_S)
        slicer.app.processEvents()

    def mask(self, segmentation, segmentId=None):
        from SparseToPreciseLib.mrml.segmentations import segment_to_volume

        segmentId = segmentId or segmentation.GetSegmentation().GetNthSegmentID(0)
        return segment_to_volume(segmentation, segmentId).array.astype(bool)

    def test_applyUndoRedo(self):
        image, segmentation, stroke = self.loadSample()
        before = self.mask(segmentation)
        self.click(self.panel.edits.runRow.run_button)
        after = self.mask(segmentation)
        self.assertGreater((before != after).sum(), 0)
        table = self.panel.ui.resultTable
        self.assertEqual(table.item(0, 0).text(), stroke.GetName())
        self.assertEqual(int(table.item(0, 2).text()), (before != after).sum())
        self.assertEqual(table.item(0, 3).text(), "0")
        self.click(self.panel.ui.undoButton)
        self.assertTrue((self.mask(segmentation) == before).all())
        self.click(self.panel.ui.redoButton)
        self.assertTrue((self.mask(segmentation) == after).all())

    def test_newSegment(self):
        image, segmentation, stroke = self.loadSample(1)
        before = self.mask(segmentation)
        self.panel.ui.outputComboBox.setCurrentIndex(1)
        self.click(self.panel.edits.runRow.run_button)
        ids = segmentation.GetSegmentation().GetSegmentIDs()
        self.assertEqual(len(ids), 2)
        self.assertTrue(segmentation.GetSegmentation().GetSegment(ids[1]).GetName().endswith(" edited"))
        self.assertTrue((self.mask(segmentation) == before).all())
        self.assertTrue((self.mask(segmentation, ids[1]) != before).any())

    def test_allCurvesInOrder(self):
        image, segmentation, stroke = self.loadSample()
        far = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsCurveNode", "Far")
        far.AddControlPoint(900, 0, 0)
        far.AddControlPoint(910, 0, 0)
        hidden = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsCurveNode", "Hidden")
        hidden.CreateDefaultDisplayNodes()
        hidden.SetDisplayVisibility(False)
        before = self.mask(segmentation)
        self.click(self.panel.ui.batchButton)
        table = self.panel.ui.resultTable
        self.assertEqual([table.item(row, 0).text() for row in range(table.rowCount)], [stroke.GetName(), "Far"])
        self.assertIn("outside the image", table.item(1, 7).text())
        self.assertTrue((self.mask(segmentation) != before).any())

    def test_applyWaitsForWhatIsMissing(self):
        button = self.panel.edits.runRow.run_button
        self.assertFalse(button.enabled)
        image, segmentation, stroke = self.loadSample()
        self.assertTrue(button.enabled)
        self.panel.ui.strokeSelector.setCurrentNode(None)
        self.assertFalse(button.enabled)
        self.assertTrue(button.toolTip)

    def test_theSceneKeepsWhatIsChosen(self):
        import os

        image, segmentation, stroke = self.loadSample()
        self.panel.ui.automaticCheckBox.checked = False
        self.panel.ui.radiusSlider.value = 12.5
        self.panel.ui.keepCheckBox.checked = False
        self.panel.ui.outputComboBox.setCurrentIndex(1)
        self.panel.ui.othersComboBox.setCurrentIndex(1)
        names = [node.GetName() for node in (image, segmentation, stroke)]
        path = os.path.join(slicer.app.temporaryPath, "EditingModuleTest.mrb")
        self.assertTrue(slicer.util.saveScene(path))
        slicer.mrmlScene.Clear()
        self.assertIsNone(self.panel.ui.imageSelector.currentNode())
        try:
            slicer.util.loadScene(path)
        finally:
            os.remove(path)
        self.panel.enter()
        ui, p = self.panel.ui, self.panel.logic.getParameterNode()
        self.assertEqual([node.GetName() for node in (p.image, p.segmentation, p.stroke)], names)
        self.assertEqual((p.influenceRadius, p.automaticRadius, p.keepEarlierEdits), (12.5, False, False))
        self.assertEqual((p.output, p.model), ("new segment", WITHOUT_MODEL))
        self.assertEqual(p.otherSegments, "are protected")
        self.assertEqual((ui.radiusSlider.value, ui.outputComboBox.currentIndex), (12.5, 1))
        self.assertEqual(ui.segmentSelector.currentNode(), p.segmentation)
        self.assertEqual(ui.segmentSelector.currentSegmentID(), p.segmentID)
        self.assertEqual(self.panel.edits.models.model, WITHOUT_MODEL)
