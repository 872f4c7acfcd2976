"""The panel of the module EditingModule in the application: what its own self-test leaves out."""

from __future__ import annotations

import json
import os
import tempfile
import unittest
from pathlib import Path

from desktop_support import needs_slicer, needs_torch, screenshot, wait_until
from module_case import use_models

OUTSIDE = 500.0


@needs_slicer
class EditingModuleWidgetTest(unittest.TestCase):
    def setUp(self):
        import slicer
        from EditingModuleLib.SelfTest import EditingModuleTest

        slicer.mrmlScene.Clear()
        slicer.util.selectModule("EditingModule")
        slicer.app.processEvents()
        self.panel = slicer.modules.editingmodule.widgetRepresentation().self()
        self.ui, self.edits = self.panel.ui, self.panel.edits
        self.user = EditingModuleTest()
        self.user.panel = self.panel

    def tearDown(self):
        import slicer

        slicer.mrmlScene.Clear()
        slicer.app.processEvents()

    # ------------------------------------------------------------------------------------------ samples

    def sources(self):
        import SampleData
        from EditingModuleLib.SelfTest import SAMPLES

        from SparseToPreciseLib.desktop.samples import CATEGORY

        offered = SampleData.SampleDataLogic().sampleDataSourcesByCategory(CATEGORY)
        return [source for name in SAMPLES for source in offered if source.sampleName == name]

    def test_samples_are_offered_with_thumbnails_and_load_ready_to_edit(self):
        import slicer

        for number, source in enumerate(self.sources()):
            self.assertTrue(os.path.isfile(source.thumbnailFileName), source.thumbnailFileName)
            slicer.mrmlScene.Clear()
            image, segmentation, stroke = self.user.loadSample(number)
            self.assertEqual(
                [node.GetName() for node in (image, segmentation, stroke)],
                [source.nodeNames[0], source.nodeNames[1], source.nodeNames[2]],
            )
            before = self.user.mask(segmentation)
            self.user.click(self.edits.runRow.run_button)
            self.assertTrue((self.user.mask(segmentation) != before).any())

    # ------------------------------------------------------------------------------------------ choices

    def test_who_enters_finds_an_image_and_a_segment_chosen(self):
        import slicer

        slicer.util.selectModule("Data")
        slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "No image")
        slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Another image")
        slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Without segments")
        source, other = self.sources()
        import SampleData

        image, segmentation, stroke = SampleData.SampleDataLogic().downloadFromSource(source)
        segmentation.SetReferenceImageGeometryParameterFromVolumeNode(image)
        slicer.util.selectModule("EditingModule")
        slicer.app.processEvents()
        self.assertEqual(self.ui.imageSelector.currentNode(), image)
        self.assertEqual(self.ui.segmentSelector.currentNode(), segmentation)
        self.assertEqual(
            self.ui.segmentSelector.currentSegmentID(), segmentation.GetSegmentation().GetNthSegmentID(0)
        )
        # What was chosen stays chosen.
        image, segmentation, stroke = SampleData.SampleDataLogic().downloadFromSource(other)
        self.user.choose(image, segmentation, stroke)
        slicer.util.selectModule("Data")
        slicer.util.selectModule("EditingModule")
        self.assertEqual(self.ui.imageSelector.currentNode(), image)
        self.assertEqual(self.ui.segmentSelector.currentNode(), segmentation)

    # ------------------------------------------------------------------------------------------ strokes

    def test_draw_a_new_stroke(self):
        import slicer

        image, segmentation, stroke = self.user.loadSample()
        run = self.edits.runRow.run_button
        self.ui.drawButton.click()
        drawn = self.ui.strokeSelector.currentNode()
        self.assertIsNot(drawn, stroke)
        self.assertTrue(self.ui.placeWidget.placeModeEnabled)
        self.assertFalse(run.enabled)
        self.assertIn("two points", run.toolTip)
        for index in range(stroke.GetNumberOfControlPoints()):
            position = [0.0] * 3
            stroke.GetNthControlPointPositionWorld(index, position)
            drawn.AddControlPointWorld(position)
        slicer.app.processEvents()
        self.assertTrue(run.enabled, run.toolTip)
        self.ui.placeWidget.setPlaceModeEnabled(False)
        self.user.click(run)
        self.assertEqual(self.ui.resultTable.item(0, 0).text(), drawn.GetName())
        drawn.RemoveAllControlPoints()
        slicer.app.processEvents()
        self.assertFalse(run.enabled)
        screenshot("editing-module")

    def test_the_radius_is_the_users_or_chosen(self):
        self.user.loadSample()
        self.ui.automaticCheckBox.checked = False
        self.assertTrue(self.ui.radiusSlider.enabled)
        self.ui.radiusSlider.value = 5.5
        self.user.click(self.edits.runRow.run_button)
        self.assertEqual(self.ui.resultTable.item(0, 1).text(), "5.50")
        self.ui.automaticCheckBox.checked = True
        self.assertFalse(self.ui.radiusSlider.enabled)

    def test_what_is_refused_is_said_in_the_row(self):
        image, segmentation, stroke = self.user.loadSample()
        before = self.user.mask(segmentation)
        for index in range(stroke.GetNumberOfControlPoints()):
            stroke.SetNthControlPointPositionWorld(index, OUTSIDE, index, 0)
        self.user.click(self.edits.runRow.run_button)
        self.assertIn("outside the image", self.ui.resultTable.item(0, 7).text())
        self.assertFalse(self.ui.undoButton.enabled)
        self.assertTrue((self.user.mask(segmentation) == before).all())

    # ------------------------------------------------------------------------------------- in the midst

    def start(self):
        """Press Apply, and come back while it runs."""
        nodes = self.user.loadSample()
        self.edits.runRow.run_button.click()
        self.assertIsNotNone(self.edits.job)
        self.assertFalse(self.ui.batchButton.enabled)
        return nodes

    def test_cancel(self):
        image, segmentation, stroke = self.start()
        before = self.user.mask(segmentation)
        self.edits.runRow.cancel_button.click()
        wait_until(lambda: self.edits.job is None, "the end of the job")
        self.assertTrue((self.user.mask(segmentation) == before).all())
        self.assertIn("nothing was changed", self.edits.runRow.status_label.text)

    def test_the_scene_may_be_closed_meanwhile(self):
        import slicer

        self.start()
        slicer.mrmlScene.Clear()
        wait_until(lambda: self.edits.job is None, "the end of the job")
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode"), 0)
        self.assertFalse(self.edits.runRow.run_button.enabled)

    def test_the_segmentation_may_be_removed_meanwhile(self):
        import slicer

        image, segmentation, stroke = self.start()
        slicer.mrmlScene.RemoveNode(segmentation)
        wait_until(lambda: self.edits.job is None, "the end of the job")
        self.assertIn("was removed", self.edits.runRow.status_label.text)

    def test_another_module_may_be_chosen_meanwhile(self):
        import slicer

        image, segmentation, stroke = self.start()
        before = self.user.mask(segmentation)
        slicer.util.selectModule("Data")
        wait_until(lambda: self.edits.job is None, "the end of the job")
        self.assertTrue((self.user.mask(segmentation) != before).any())
        slicer.util.selectModule("EditingModule")
        self.assertTrue(self.ui.undoButton.enabled)

    # ------------------------------------------------------------------------------------------ training

    def training(self, models: str):
        """The section for training, with a folder for its models."""
        use_models(models, self.addCleanup)
        self.ui.trainCollapsibleButton.collapsed = False
        panel = self.panel.training
        panel.refresh()
        return panel

    def temporary_folders(self):
        return set(Path(tempfile.gettempdir()).glob("SparseToPrecise-*"))

    def test_training_waits_for_what_is_missing(self):
        import slicer

        panel = self.training(tempfile.mkdtemp())
        panel.set_setup(True)
        button = panel.run_row.run_button
        self.assertFalse(button.enabled)
        self.user.loadSample()
        slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Another")
        panel.refresh()
        self.assertEqual(panel.cases.rowCount, 1)
        panel.cases.cellWidget(0, 1).setCurrentNode(None)
        self.assertFalse(button.enabled)
        self.assertIn("Choose the image", button.toolTip)
        panel.cases.cellWidget(0, 1).setCurrentNode(slicer.util.getNode("ScribbleDent"))
        self.assertTrue(button.enabled, button.toolTip)
        panel.cases.set_ticked(0, False)
        self.assertIn("Tick", button.toolTip)
        panel.source_combo.setCurrentIndex(1)
        self.assertIn("datalist", button.toolTip)
        panel.source_combo.setCurrentIndex(0)
        panel.cases.set_ticked(0, True)
        panel.set_setup(False)
        self.assertFalse(button.enabled)

    @needs_torch
    def test_training_gives_a_model_and_a_curve(self):
        import slicer

        self.user.loadSample()
        folders = self.temporary_folders()
        with tempfile.TemporaryDirectory() as models:
            panel = self.training(models)
            panel._command = ["train", "editing", "--cubes", "2", "--workers", "0"]
            self.addCleanup(setattr, panel, "_command", ["train", "editing"])
            panel.minutes_box.value = 0.01
            panel.name_edit.text = "mine"
            panel.set_setup(True)
            self.assertTrue(panel.run_row.run_button.enabled, panel.run_row.run_button.toolTip)
            panel.run_row.run_button.click()
            self.assertTrue(panel.running)
            wait_until(lambda: not panel.running, "the end of the training", 600)
            self.assertIn("is ready", panel.run_row.status_label.text, panel.run_row.details)
            self.assertTrue((Path(models) / "mine" / "configs" / "metadata.json").is_file())
            self.assertEqual(self.edits.models.model, "mine")
            chart = slicer.util.getNode("Training of mine")
            table = chart.GetNthPlotSeriesNode(0).GetTableNode().GetTable()
            self.assertGreater(table.GetNumberOfRows(), 0)
            screenshot("editing-module-training")
            self.assertEqual(self.temporary_folders(), folders)
            self.assertNotEqual(panel.name_edit.text, "mine")
        self.edits.models.refresh()
        self.edits.models.set_model("editing")

    @needs_torch
    def test_a_training_can_be_cancelled_and_leaves_nothing(self):
        self.user.loadSample()
        folders = self.temporary_folders()
        with tempfile.TemporaryDirectory() as models:
            panel = self.training(models)
            panel.set_setup(True)
            panel.run_row.run_button.click()
            wait_until(lambda: panel._child.running, "the child process")
            panel.run_row.cancel_button.click()
            wait_until(lambda: not panel.running, "the end of the training")
            self.assertIn("Cancelled", panel.run_row.status_label.text)
            self.assertEqual(list(Path(models).iterdir()), [])
            self.assertEqual(self.temporary_folders(), folders)

    @needs_torch
    def test_what_is_wrong_with_a_datalist_is_said(self):
        with tempfile.TemporaryDirectory() as models:
            panel = self.training(models)
            panel.set_setup(True)
            wrong = Path(models) / "cases.txt.json"
            wrong.write_text(json.dumps({"training": [{"image": "gone.nrrd", "label": "gone.nrrd"}]}))
            panel.source_combo.setCurrentIndex(1)
            self.addCleanup(panel.source_combo.setCurrentIndex, 0)
            panel.datalist_edit.setCurrentPath(str(wrong))
            panel.run_row.run_button.click()
            wait_until(lambda: not panel.running, "the end of the training")
            self.assertIn("does not exist", panel.run_row.status_label.text)
            panel.datalist_edit.setCurrentPath("")

    def test_a_taken_name_is_refused(self):
        self.user.loadSample()
        panel = self.training(tempfile.mkdtemp())
        panel.set_setup(True)
        panel.name_edit.text = "editing"
        panel.run_row.run_button.click()
        self.assertFalse(panel.running)
        self.assertIn("already a model", panel.run_row.status_label.text)
        panel.name_edit.text = ""
        panel.refresh()
        self.assertTrue(panel.name_edit.text)
