"""Self-test of the module SynthesisModule, for "Reload and Test", ctest and Testing/desktop."""

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

    def test_aResultIsShown(self):
        """A threshold here in place of a model."""
        import numpy as np

        from SparseToPreciseLib.mrml.synthesis_nodes import Synthetic, read_inputs, show_synthetic

        mr, _ct = self.loadSample()
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "Today")
        hierarchy.SetItemParent(hierarchy.GetItemByDataNode(mr), study)
        inputs = read_inputs(mr)
        array = np.where(inputs.mr.array > inputs.mr.array.mean(), 40, -1024).astype(np.int16)
        made = Synthetic(inputs.mr.with_array(array), warnings=("It is a threshold.",), models=("none",))
        made = show_synthetic(inputs, made)
        self.assertEqual(hierarchy.GetItemParent(hierarchy.GetItemByDataNode(made)), study)
        self.panel.logic.getParameterNode().ct = made
        slicer.app.processEvents()
        self.assertEqual(self.panel.ui.resultSelector.currentNode(), made)
        self.assertEqual(self.panel.ui.warningLabel.text, "It is a threshold.")
        self.panel.result.show(made)
        view = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
        if view is not None:
            self.assertEqual((view.GetBackgroundVolumeID(), view.GetForegroundVolumeID()), (mr.GetID(), made.GetID()))

    def test_theParametersAreSavedWithTheScene(self):
        mr, ct = self.loadSample()
        self.panel.ui.uncertaintyCheckBox.checked = True
        self.panel.ui.maximumSlider.value = 150
        segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Regions")
        selectors = {"Body": self.panel.ui.bodySelector, "Within": self.panel.ui.maskSelector}
        for name, selector in selectors.items():
            segment = segmentation.GetSegmentation().AddEmptySegment(name, name)
            selector.setCurrentNode(segmentation)
            selector.setCurrentSegmentID(segment)
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
        for name, selector in selectors.items():
            self.assertEqual((selector.currentNode().GetName(), selector.currentSegmentID()), ("Regions", name))
