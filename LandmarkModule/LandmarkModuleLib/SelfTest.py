"""Self-test of the module LandmarkModule, for "Reload and Test", ctest and Testing/desktop."""

import tempfile

import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

REFERENCE = "Inner ear with landmarks (phantom)"
TARGETS = "Inner ears to find landmarks on (phantoms)"


class LandmarkModuleTest(ScriptedLoadableModuleTest):
    """Loads the samples, and uses the panel as a user does; what needs a model is in Testing/desktop."""

    def setUp(self):
        slicer.mrmlScene.Clear()
        self.panel = slicer.modules.landmarkmodule.widgetRepresentation().self()
        self.panel.enter()

    def tearDown(self):
        self.panel.exit()

    def loadReference(self):
        """(image, segmentation, landmarks), chosen in the panel."""
        from SparseToPreciseLib.desktop.samples import load_sample

        image, segmentation, landmarks = load_sample(REFERENCE)
        self.panel.ui.referenceSelector.setCurrentNode(image)
        self.panel.ui.structureSelector.setCurrentNode(segmentation)
        self.panel.ui.structureSelector.setCurrentSegmentID(segmentation.GetSegmentation().GetNthSegmentID(0))
        self.panel.ui.landmarksSelector.setCurrentNode(landmarks)
        slicer.app.processEvents()
        return image, segmentation, landmarks

    def test_theSampleIsReadyToBeTaught(self):
        image, segmentation, landmarks = self.loadReference()
        from SparseToPreciseLib.mrml.landmark_teaching import read_lesson

        p = self.panel.logic.getParameterNode()
        self.assertEqual((p.reference, p.structure, p.landmarks), (image, segmentation, landmarks))
        lesson = read_lesson(p.reference, p.structure, p.structureID, p.landmarks)
        self.assertEqual(list(lesson.reference.landmarks), ["centre", "apex", "window"])
        self.panel.teaching.set_setup(True)
        self.assertTrue(self.panel.teaching.row.run_button.enabled, self.panel.teaching.row.run_button.toolTip)

    def test_theTargetsAreThere(self):
        from SparseToPreciseLib.desktop.samples import load_sample

        nodes = load_sample(TARGETS)
        self.assertEqual([node.GetName() for node in nodes], ["Ear 1", "Ear 2", "Ear 3"])
        self.panel.exit()
        self.panel.enter()
        self.assertEqual(self.panel.logic.getParameterNode().target, nodes[0])

    def test_aFolderInsteadOfAVolume(self):
        ui = self.panel.ui
        self.assertTrue(ui.targetSelector.isVisibleTo(ui.findTab))
        self.assertFalse(ui.folderEdit.isVisibleTo(ui.findTab))
        ui.sourceComboBox.setCurrentText("a folder")
        self.assertFalse(ui.targetSelector.isVisibleTo(ui.findTab))
        self.assertTrue(ui.folderEdit.isVisibleTo(ui.findTab))
        self.assertFalse(self.panel.batch.row.run_button.enabled)
        self.assertTrue(self.panel.batch.row.run_button.toolTip)

    def test_theParametersAreSavedWithTheScene(self):
        image, segmentation, landmarks = self.loadReference()
        self.panel.ui.minutesBox.value = 3.5
        self.panel.ui.mirrorComboBox.setCurrentText("try")
        self.panel.ui.structureCheckBox.checked = True
        self.panel.ui.foundSelector.setCurrentNode(landmarks)
        slicer.app.processEvents()
        self.assertEqual(self.panel.ui.landmarkTable.rowCount, 3)
        names = [node.GetName() for node in (image, segmentation, landmarks)]
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/scene.mrb"
            self.assertTrue(slicer.util.saveScene(path))
            slicer.mrmlScene.Clear()
            self.assertIsNone(self.panel.logic.getParameterNode().reference)
            self.assertEqual(self.panel.ui.landmarkTable.rowCount, 0)
            slicer.util.loadScene(path)
        p = self.panel.logic.getParameterNode()
        self.assertEqual((p.minutes, p.mirror, p.showStructure), (3.5, "try", True))
        self.assertEqual([node.GetName() for node in (p.reference, p.structure, p.landmarks)], names)
        self.assertEqual(self.panel.ui.structureSelector.currentSegmentID(), p.structureID)
        self.assertEqual(p.found.GetName(), names[2])
