"""Self-test of the module BoxModule, for "Reload and Test", ctest and Testing/desktop."""

import tempfile

import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

SAMPLE = "Loose box (phantom)"


class BoxModuleTest(ScriptedLoadableModuleTest):
    """Loads the sample, and uses the panel as a user does; what needs a model is in Testing/desktop."""

    def setUp(self):
        slicer.mrmlScene.Clear()
        self.panel = slicer.modules.boxmodule.widgetRepresentation().self()
        self.panel.enter()

    def tearDown(self):
        self.panel.exit()

    def loadSample(self):
        """(image, ROI), chosen in the panel."""
        from SparseToPreciseLib.desktop.samples import load_sample

        image, roi = load_sample(SAMPLE)
        self.panel.ui.imageSelector.setCurrentNode(image)
        self.panel.ui.roiSelector.setCurrentNode(roi)
        slicer.app.processEvents()
        return image, roi

    def test_theSampleIsReady(self):
        image, roi = self.loadSample()
        from SparseToPreciseLib.mrml.boxes_nodes import read_inputs

        inputs = read_inputs(image, roi)
        self.assertGreater(inputs.box.volume_mm3, 0)
        parameters = self.panel.logic.getParameterNode()
        self.assertEqual((parameters.image, parameters.roi), (image, roi))
        self.assertTrue(self.panel.ui.cropButton.enabled)

    def test_aBoxOfASegment(self):
        import numpy as np

        image, roi = self.loadSample()
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Organs")
        node.CreateDefaultDisplayNodes()
        node.SetReferenceImageGeometryParameterFromVolumeNode(image)
        from SparseToPreciseLib.mrml.rois import box_from_roi
        from SparseToPreciseLib.mrml.segmentations import new_segment, volume_to_segment
        from SparseToPreciseLib.mrml.volumes import volume_from_node

        volume = volume_from_node(image)
        mask = np.zeros(volume.shape, np.uint8)
        mask[10:20, 12:25, 8:30] = 1
        segmentId = new_segment(node, "Liver")
        volume_to_segment(volume.with_array(mask), node, segmentId)
        self.panel.ui.segmentSelector.setCurrentNode(node)
        self.panel.ui.segmentSelector.setCurrentSegmentID(segmentId)
        slicer.app.processEvents()
        self.panel.ui.boxOfSegmentButton.click()
        made = self.panel.logic.getParameterNode().roi
        self.assertEqual(made.GetName(), "Liver")
        np.testing.assert_allclose(box_from_roi(made).size, np.array([22, 13, 10]) * volume.spacing, rtol=1e-4)

    def test_theParametersAreSavedWithTheScene(self):
        image, roi = self.loadSample()
        self.panel.ui.marginSlider.value = 3.5
        self.panel.ui.axisComboBox.setCurrentText("J")
        slicer.app.processEvents()
        parameters = self.panel.logic.getParameterNode()
        self.assertEqual((parameters.margin, parameters.axis), (3.5, "J"))
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/scene.mrb"
            self.assertTrue(slicer.util.saveScene(path))
            slicer.mrmlScene.Clear()
            self.assertIsNone(self.panel.logic.getParameterNode().image)
            slicer.util.loadScene(path)
        parameters = self.panel.logic.getParameterNode()
        self.assertEqual((parameters.margin, parameters.axis), (3.5, "J"))
        self.assertEqual((parameters.image.GetName(), parameters.roi.GetName()), ("LooseBox", "Organ"))
