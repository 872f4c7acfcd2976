"""The module MR to CT in the application: synthesize, judge, uncertainty, train, with a model of hand-set weights."""

from __future__ import annotations

import shutil

from desktop_support import needs_slicer, needs_torch, screenshot, wait_until
from module_case import ModuleCase

TIMEOUT_S = 600


@needs_slicer
@needs_torch
class SynthesisModuleInTheApplication(ModuleCase):
    module = "SynthesisModule"

    @classmethod
    def make_models(cls):
        from synthesis_cases import tiny_model

        tiny_model(cls.folder / "tiny")
        tiny_model(cls.folder / "plain", bands=False, parameters={"seen": {"extent_mm": [[10, 20]] * 3}})

    def setUp(self):
        import slicer
        from synthesis_cases import GRID, mr_on

        self.mr = self.open_with(mr_on(GRID), "Head")
        self.ui, self.work = self.panel.ui, self.panel.work
        self.ui.mrSelector.setCurrentNode(self.mr)
        self.choose("tiny")
        for section in (self.work, self.panel.evaluation):
            section.set_setup(True)
        self.panel.training.set_setup(True)
        slicer.app.processEvents()

    def tearDown(self):
        self.work.cancel()
        wait_until(lambda: not self.work.run.running, "the child process ends", TIMEOUT_S)
        self.panel.exit()

    def choose(self, model):
        self.work.models.set_model(model)

    def parameters(self):
        return self.panel.panel.parameters()

    def make(self):
        """Click, and wait for the CT."""
        button = self.work.row.run_button
        self.assertTrue(button.enabled, button.toolTip)
        button.click()
        self.assertTrue(self.work.run.running)
        wait_until(lambda: not self.work.run.running, "the synthesis ends", TIMEOUT_S)
        self.assertIsNotNone(self.parameters().ct, self.work.row.status_label.text)
        return self.parameters().ct

    def made(self, model):
        """A CT of a model, without the panel: where not the child process is what counts."""
        ct = self.panel.logic.synthesize(self.mr, model, device="cpu")
        self.parameters().ct = self.parameters().evaluated = ct
        return ct

    def foreground(self):
        import slicer

        view = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
        return slicer.mrmlScene.GetNodeByID(view.GetForegroundVolumeID() or "")

    def test_a_ct_is_made_and_shown(self):
        from SparseToPreciseLib.mrml.synthesis_nodes import mr_of
        from SparseToPreciseLib.mrml.volumes import volume_from_node

        ct = self.make()
        self.assertEqual((ct.GetName(), mr_of(ct)), ("Head CT", self.mr))
        self.assertTrue(volume_from_node(ct).grid.same_as(volume_from_node(self.mr).grid))
        self.assertEqual(volume_from_node(ct).array.min(), -1024)
        self.assertEqual(self.foreground(), ct)
        self.assertEqual((ct.GetDisplayNode().GetWindow(), ct.GetDisplayNode().GetLevel()), (400, 40))
        self.assertIn("Head CT by tiny", self.work.row.status_label.text)
        self.assertEqual(self.ui.evaluatedSelector.currentNode(), ct)
        self.ui.windowComboBox.setCurrentText("Bone")
        self.ui.windowComboBox.activated(self.ui.windowComboBox.currentIndex)
        self.assertEqual(ct.GetDisplayNode().GetWindow(), 2000)
        screenshot("synthesis-made")

    def test_another_ct_is_another_node_and_an_earlier_one_can_be_replaced(self):
        first, second = self.made("tiny"), self.made("plain")
        self.assertNotEqual(first, second)
        self.ui.outputSelector.setCurrentNode(first)
        self.assertEqual(self.ui.outputSelector.currentNode(), first)
        self.assertEqual(self.make(), first)
        self.ui.outputSelector.setCurrentNode(self.mr)
        self.assertNotEqual(self.ui.outputSelector.currentNode(), self.mr)

    def test_bands_classes_and_uncertainty(self):
        import slicer

        from SparseToPreciseLib.mrml.synthesis_nodes import classes_of, companion

        self.ui.optionsGroup.collapsed = False
        for box in (self.ui.uncertaintyCheckBox, self.ui.bandsCheckBox, self.ui.classesCheckBox):
            self.assertTrue(box.enabled)
            box.checked = True
        ct = self.make()
        combo = self.ui.shownComboBox
        self.assertEqual([combo.itemData(row) for row in range(combo.count)], ["ct", "low", "high", "high_probability"])
        combo.setCurrentIndex(2)
        combo.activated(2)
        self.assertEqual(self.foreground(), companion(ct, "high"))
        self.assertGreaterEqual(classes_of(ct).GetSegmentation().GetNumberOfSegments(), 2)
        screenshot("synthesis-high-band")
        self.ui.tabs.setCurrentWidget(self.ui.uncertaintyTab)
        map_node = companion(ct, "uncertainty")
        self.assertEqual((self.ui.mapSelector.currentNode(), self.ui.underSelector.currentNode()), (map_node, self.mr))
        self.assertIn("HU in soft tissue", self.ui.meansLabel.text)
        self.ui.showMapButton.click()
        self.assertEqual(self.foreground(), map_node)
        self.ui.maximumSlider.value = 90
        self.ui.hiddenSlider.value = 0
        slicer.app.processEvents()
        self.assertEqual(map_node.GetDisplayNode().GetWindowLevelMax(), 90)
        self.ui.opacitySlider.value = 0.4
        view = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
        self.assertAlmostEqual(view.GetForegroundOpacity(), 0.4)
        screenshot("synthesis-uncertainty")
        self.ui.tabs.setCurrentWidget(self.ui.synthesizeTab)

    def test_warnings_are_seen_and_stay_with_the_ct(self):
        self.ui.optionsGroup.collapsed = False
        self.choose("plain")
        self.assertFalse(self.ui.bandsCheckBox.enabled)
        ct = self.make()
        self.assertTrue(self.ui.warningLabel.isVisibleTo(self.ui.resultGroup))
        self.assertIn("mm", self.ui.warningLabel.text)
        self.made("tiny")
        self.assertEqual(self.ui.warningLabel.text, "")
        self.ui.resultSelector.setCurrentNode(ct)
        self.assertIn("mm", self.ui.warningLabel.text)
        screenshot("synthesis-warning")

    def test_an_ensemble(self):
        import qt

        from SparseToPreciseLib.mrml.synthesis_nodes import is_synthetic

        names = [self.work.ensemble.item(row).text() for row in range(self.work.ensemble.count)]
        self.assertIn("plain", names)
        self.assertNotIn("tiny", names)
        self.work.ensemble.item(names.index("plain")).setCheckState(qt.Qt.Checked)
        self.assertEqual(self.work.chosenModels(), ["tiny", "plain"])
        self.assertEqual(list(self.parameters().ensemble), ["plain"])
        self.assertTrue(is_synthetic(self.make()))
        self.assertIn("tiny, plain", self.work.row.status_label.text)

    def test_a_ct_is_judged(self):
        import slicer
        from synthesis_cases import GRIDS, ct_on

        from SparseToPreciseLib.mrml.evaluation_nodes import error_of
        from SparseToPreciseLib.mrml.volumes import volume_to_node

        ct = self.made("tiny")
        reference = volume_to_node(ct_on(GRIDS["oblique"]), "True")
        self.ui.tabs.setCurrentWidget(self.ui.evaluateTab)
        self.ui.referenceSelector.setCurrentNode(reference)
        button = self.panel.evaluation.row.run_button
        self.assertTrue(button.enabled, button.toolTip)
        button.click()
        wait_until(lambda: self.panel.evaluation.job is None, "the comparison ends", TIMEOUT_S)
        table = self.parameters().evaluation
        self.assertIsNotNone(table, self.panel.evaluation.row.status_label.text)
        self.assertEqual(table.GetName(), f"{ct.GetName()} against True")
        self.assertIn("MAE", self.panel.evaluation.row.status_label.text)
        self.assertEqual(self.ui.evaluationTableView.mrmlTableNode(), table)
        self.assertEqual(self.foreground(), error_of(table))
        self.ui.errorLimitSlider.value = 300
        self.assertEqual(error_of(table).GetDisplayNode().GetWindowLevelMin(), -300)
        screenshot("synthesis-evaluated")
        self.ui.showHistogramsButton.click()
        slicer.app.processEvents()
        screenshot("synthesis-histograms")
        self.ui.tabs.setCurrentWidget(self.ui.synthesizeTab)
        slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)

    def test_what_is_wrong_is_a_sentence_in_the_panel(self):
        from synthesis_cases import GRID, ct_on

        from SparseToPreciseLib.mrml.volumes import volume_to_node

        self.ui.mrSelector.setCurrentNode(volume_to_node(ct_on(GRID), "A CT"))
        self.work.row.run_button.click()
        wait_until(lambda: not self.work.run.running, "the synthesis ends", TIMEOUT_S)
        self.assertIn("A CT looks like a CT", self.work.row.status_label.text)
        self.assertIsNone(self.parameters().ct)

    def test_cancel(self):
        self.work.row.run_button.click()
        self.work.row.cancel_button.click()
        wait_until(lambda: not self.work.run.running, "the synthesis ends", TIMEOUT_S)
        self.assertIn("Cancelled", self.work.row.status_label.text)
        self.work.row.run_button.click()
        wait_until(lambda: self.work.run._child.running, "the child process runs", TIMEOUT_S)
        self.work.row.cancel_button.click()
        wait_until(lambda: not self.work.run.running, "the synthesis ends", TIMEOUT_S)
        self.assertIn("Cancelled", self.work.row.status_label.text)
        self.assertIsNone(self.parameters().ct)
        self.assertIsNone(self.work.run._folder.path)

    def test_closing_the_scene_while_it_works(self):
        import slicer

        self.work.row.run_button.click()
        slicer.mrmlScene.Clear()
        wait_until(lambda: not self.work.run.running, "the synthesis ends", TIMEOUT_S)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode"), 0)

    def test_the_result_comes_also_when_another_module_is_open(self):
        import slicer

        self.work.row.run_button.click()
        slicer.util.selectModule("Data")
        wait_until(lambda: not self.work.run.running, "the synthesis ends", TIMEOUT_S)
        self.assertIsNone(self.foreground())
        slicer.util.selectModule("SynthesisModule")
        self.assertEqual(self.parameters().ct.GetName(), "Head CT")

    def test_buttons_say_what_is_missing(self):
        self.ui.mrSelector.setCurrentNode(None)
        self.assertIn("MR", self.work.row.run_button.toolTip)
        self.assertFalse(self.work.row.run_button.enabled)
        self.assertIn("synthetic CT", self.panel.evaluation.row.run_button.toolTip)
        self.work.set_setup(False)
        self.ui.mrSelector.setCurrentNode(self.mr)
        self.assertIn("Install", self.work.row.run_button.toolTip)
        self.assertFalse(self.ui.showMapButton.enabled)

    def test_pictures_of_the_panel_with_the_sample(self):
        """The screenshots are docs/images/synthesis-module.png, and those with -evaluate and -uncertainty."""
        import slicer
        from SynthesisModuleLib.SelfTest import SynthesisModuleTest

        from SparseToPreciseLib.core.bundles import find_bundles

        if "synthesis" not in {bundle.path.name for bundle in find_bundles("synthesis")}:
            self.skipTest("the default model is not there")
        slicer.mrmlScene.Clear()
        sample = SynthesisModuleTest()
        sample.panel = self.panel
        mr, reference = sample.loadSample()
        self.choose("synthesis")
        self.ui.optionsGroup.collapsed = False
        self.ui.uncertaintyCheckBox.checked = True
        ct = self.make()
        slicer.util.resetSliceViews()
        self.ui.fadeSlider.value = 0.6
        screenshot("synthesis-module")
        self.ui.tabs.setCurrentWidget(self.ui.uncertaintyTab)
        self.ui.showMapButton.click()
        screenshot("synthesis-module-uncertainty")
        self.ui.tabs.setCurrentWidget(self.ui.evaluateTab)
        self.panel.evaluation.row.run_button.click()
        wait_until(lambda: self.panel.evaluation.job is None, "the comparison ends", TIMEOUT_S)
        self.ui.showHistogramsButton.click()
        screenshot("synthesis-module-evaluate")
        self.assertEqual(self.parameters().evaluation.GetName(), f"{ct.GetName()} against {reference.GetName()}")
        self.ui.tabs.setCurrentWidget(self.ui.synthesizeTab)
        self.ui.optionsGroup.collapsed = True
        self.mr = mr
        slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)

    def test_pairs_of_the_scene_are_trained_on(self):
        import slicer
        from synthesis_cases import GRID, ct_on

        from SparseToPreciseLib.mrml.volumes import volume_to_node

        training = self.panel.training.panel
        self.ui.tabs.setCurrentWidget(self.ui.trainTab)
        self.assertIn("pair", training.run_row.run_button.toolTip)
        ct = volume_to_node(ct_on(GRID), "Head true CT")
        slicer.app.processEvents()
        training.refresh()
        self.assertEqual([(mr, found) for mr, found in training.cases.cases()], [(self.mr, ct)])
        self.ui.registerCheckBox.checked = False
        training.name_edit.text = "learnt"
        training.minutes_box.value = 0.05
        self.assertTrue(training.run_row.run_button.enabled, training.run_row.run_button.toolTip)
        training.run_row.run_button.click()
        wait_until(lambda: not training.running, "the training ends", TIMEOUT_S)
        self.assertIn("learnt is ready", training.run_row.status_label.text)
        self.assertEqual(self.work.models.model, "learnt")
        screenshot("synthesis-trained")
        self.ui.tabs.setCurrentWidget(self.ui.synthesizeTab)
        self.choose("tiny")
        shutil.rmtree(self.folder / "learnt")
