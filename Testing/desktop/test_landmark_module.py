"""The module One-shot Landmarks in the application: teach, find, discard, a folder, with a template of some seconds."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from desktop_support import needs_slicer, needs_torch, screenshot, slot_errors, wait_until
from module_case import ModuleCase

TIMEOUT_S = 300


@needs_slicer
@needs_torch
class LandmarkModuleInTheApplication(ModuleCase):
    module = "LandmarkModule"

    @classmethod
    def make_models(cls):
        from landmark_cases import quick_template

        quick_template(cls.folder / "quick")

    def setUp(self):
        import slicer
        from landmark_cases import GRIDS, MOVED, TURN, image_on

        self.image = self.open_with(image_on(GRIDS["oblique"], TURN, MOVED), "CT")
        self.ui = self.panel.ui
        self.ui.tabs.setCurrentWidget(self.ui.findTab)
        self.ui.targetSelector.setCurrentNode(self.image)
        self.panel.finding.templates.set_model("quick")
        for section in (self.panel.finding, self.panel.teaching, self.panel.batch):
            section.set_setup(True)
        slicer.app.processEvents()

    def tearDown(self):
        self.panel.teaching.cancel()
        self.panel.batch.cancel()
        wait_until(lambda: not (self.panel.teaching.running or self.panel.batch.row.running), "the children end")
        self.panel.exit()

    def find(self):
        """Click on Find, and wait."""
        row = self.panel.finding.row
        self.assertTrue(row.run_button.enabled, row.run_button.toolTip)
        row.run_button.click()
        wait_until(lambda: self.panel.finding.job is None, "the search ends", TIMEOUT_S)
        return self.panel.logic.getParameterNode().found

    def errors(self, node) -> dict[str, float]:
        import numpy as np
        from landmark_cases import MOVED, TURN, landmarks

        from SparseToPreciseLib.mrml.landmark_lists import landmarks_from_node

        found = landmarks_from_node(node)
        return {name: float(np.linalg.norm(found[name] - point)) for name, point in landmarks(TURN, MOVED).items()}

    def reference(self):
        """The annotated image in the scene, chosen on the tab Teach."""
        import slicer
        from landmark_cases import reference

        from SparseToPreciseLib.mrml.landmark_lists import landmarks_to_node
        from SparseToPreciseLib.mrml.segmentations import new_segment, volume_to_segment
        from SparseToPreciseLib.mrml.volumes import volume_to_node

        first = reference()
        image = volume_to_node(first.image, "Reference")
        segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Parts")
        segmentation.CreateDefaultDisplayNodes()
        segmentation.SetReferenceImageGeometryParameterFromVolumeNode(image)
        segment = new_segment(segmentation, "snail")
        volume_to_segment(first.soi, segmentation, segment)
        points = landmarks_to_node(first.landmarks, "Points")
        self.ui.tabs.setCurrentWidget(self.ui.teachTab)
        self.ui.referenceSelector.setCurrentNode(image)
        self.ui.structureSelector.setCurrentNode(segmentation)
        self.ui.structureSelector.setCurrentSegmentID(segment)
        self.ui.landmarksSelector.setCurrentNode(points)
        slicer.app.processEvents()
        return image, segmentation, points

    # ------------------------------------------------------------------------------------------ find

    def test_landmarks_structure_and_deformation(self):
        import slicer

        self.ui.structureCheckBox.checked = self.ui.wayCheckBox.checked = True
        node = self.find()
        self.assertEqual(node.GetName(), "CT landmarks")
        self.assertLess(max(self.errors(node).values()), 2.0)
        self.assertIn("3 of 3 landmarks", self.ui.verdictLabel.text)
        self.assertEqual(self.ui.landmarkTable.rowCount, 3)
        self.assertIn("confidence", self.ui.landmarkTable.item(0, 1).text())
        self.assertEqual(slicer.util.getNode("CT quick").GetClassName(), "vtkMRMLSegmentationNode")
        self.assertTrue(slicer.util.getNode("quick to CT").IsA("vtkMRMLTransformNode"))
        screenshot("landmarks-found")
        again = self.find()
        self.assertNotEqual(again.GetID(), node.GetID())
        self.ui.discardButton.click()
        self.assertIsNone(slicer.mrmlScene.GetNodeByID(again.GetID()))
        self.assertIsNotNone(slicer.mrmlScene.GetNodeByID(node.GetID()))
        self.assertFalse(self.ui.discardButton.enabled)

    def test_a_click_in_the_table_shows_the_place(self):
        import numpy as np
        import slicer

        node = self.find()
        self.ui.landmarkTable.cellClicked(1, 0)
        position = [0.0] * 3
        node.GetNthControlPointPositionWorld(1, position)
        red = slicer.util.getNode("vtkMRMLSliceNodeRed").GetSliceToRAS()
        self.assertLess(
            abs(
                np.dot([red.GetElement(row, 2) for row in range(3)], position)
                - np.dot([red.GetElement(row, 2) for row in range(3)], [red.GetElement(row, 3) for row in range(3)])
            ),
            0.5,
        )

    def test_under_a_transform_with_a_seed(self):
        import slicer
        import vtk
        from landmark_cases import MOVED

        from SparseToPreciseLib.mrml.landmark_lists import landmarks_to_node

        parent = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Moved")
        matrix = vtk.vtkMatrix4x4()
        for row in range(3):
            matrix.SetElement(row, 3, (20, -10, 5)[row])
        parent.SetMatrixTransformToParent(matrix)
        self.image.SetAndObserveTransformNodeID(parent.GetID())
        seed = landmarks_to_node({"near": MOVED + (20, -10, 5)}, "Seed")
        self.ui.seedSelector.setCurrentNode(seed)
        node = self.find()
        self.assertEqual(node.GetParentTransformNode(), parent)
        node.SetAndObserveTransformNodeID(None)
        self.assertLess(max(self.errors(node).values()), 2.0)

    def test_nothing_to_find_is_said(self):
        import numpy as np
        import slicer

        array = slicer.util.arrayFromVolume(self.image)
        array[:] = np.random.default_rng(0).normal(size=array.shape)
        slicer.util.arrayFromVolumeModified(self.image)
        node = self.find()
        self.assertEqual(node.GetNumberOfDefinedControlPoints(), 0)
        self.assertIn("0 of 3", self.ui.verdictLabel.text)
        self.assertIn("unplaced", self.ui.landmarkTable.item(0, 1).text())
        screenshot("landmarks-unplaced")
        node.SetNthControlPointPosition(0, 1.0, 2.0, 3.0)
        self.assertEqual(self.ui.landmarkTable.item(0, 1).text(), "placed by hand")

    def test_cancel(self):
        import slicer

        row = self.panel.finding.row
        row.run_button.click()
        row.cancel_button.click()
        wait_until(lambda: self.panel.finding.job is None, "the search ends", TIMEOUT_S)
        self.assertIn("Cancelled", row.status_label.text)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode"), 0)

    def test_closing_the_scene_while_it_searches(self):
        import slicer

        self.panel.finding.row.run_button.click()
        slicer.mrmlScene.Clear()
        wait_until(lambda: self.panel.finding.job is None, "the search ends", TIMEOUT_S)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode"), 0)

    def test_leaving_the_module_while_it_searches(self):
        import slicer

        self.panel.finding.row.run_button.click()
        slicer.util.selectModule("Data")
        wait_until(lambda: self.panel.finding.job is None, "the search ends", TIMEOUT_S)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode"), 1)
        slicer.util.selectModule("LandmarkModule")
        self.assertEqual(self.ui.landmarkTable.rowCount, 3)

    def test_buttons_say_what_is_missing(self):
        button = self.panel.finding.row.run_button
        self.ui.targetSelector.setCurrentNode(None)
        self.assertFalse(button.enabled)
        self.assertIn("target", button.toolTip)
        self.panel.finding.templates.set_model("")
        self.assertIn("template", button.toolTip)
        self.panel.finding.set_setup(False)
        self.assertIn("Install", button.toolTip)

    def test_a_template_from_somewhere_else(self):
        elsewhere = Path(tempfile.mkdtemp()) / "mine"
        self.addCleanup(shutil.rmtree, elsewhere.parent)
        shutil.copytree(self.folder / "quick", elsewhere)
        self.panel.finding.templates.set_model(str(elsewhere))
        self.assertEqual(self.panel.logic.getParameterNode().template, str(elsewhere))
        self.panel.finding.templates.refresh()
        self.assertEqual(self.panel.finding.templates.model, str(elsewhere))
        (elsewhere / "references" / "0" / "landmarks.json").write_text("{}")
        self.find()
        self.assertIn("was changed since it was made", self.panel.finding.row.status_label.text)

    def test_a_folder(self):
        from landmark_cases import GRIDS, MOVED, TURN, image_on

        from SparseToPreciseLib.core.images import write_image

        work = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, work)
        (work / "images").mkdir()
        write_image(image_on(GRIDS["oblique"], TURN, MOVED), work / "images" / "one.nrrd")
        (work / "images" / "two.nrrd").write_text("NRRD0004\n")
        self.ui.sourceComboBox.setCurrentText("a folder")
        row = self.panel.batch.row
        self.assertIn("folder of the images", row.run_button.toolTip)
        self.ui.folderEdit.setCurrentPath(str(work / "images"))
        self.ui.outputEdit.setCurrentPath(str(work / "found"))
        self.assertTrue(row.run_button.enabled, row.run_button.toolTip)
        row.run_button.click()
        wait_until(lambda: not row.running, "the folder is searched", TIMEOUT_S)
        self.assertIn("1 of 2 images", row.status_label.text)
        table = self.ui.batchTable
        rows = [[table.item(number, column).text() for column in range(4)] for number in range(2)]
        self.assertEqual(rows[0][:2], ["one", "3 / 3"])
        self.assertEqual(rows[1][:3], ["two", "–", "–"])
        self.assertTrue((work / "found" / "one.mrk.json").is_file() and (work / "found" / "landmarks.csv").is_file())
        screenshot("landmarks-folder")
        self.assertFalse(row.run_button.enabled)
        self.assertIn("results in this folder", row.run_button.toolTip)
        self.panel.batch.open(0)
        self.assertTrue(self.ui.foundSelector.currentNode().GetName().startswith("one"))  # as the image is called
        self.assertEqual(self.ui.landmarkTable.rowCount, 3)

    # ------------------------------------------------------------------------------------------ teach

    def test_teaching_waits_for_what_is_missing(self):
        self.reference()
        button = self.panel.teaching.row.run_button
        self.assertTrue(button.enabled, button.toolTip)
        for choose, words in (
            (lambda: self.ui.landmarksSelector.setCurrentNode(None), "point list"),
            (lambda: self.ui.structureSelector.setCurrentNode(None), "structure"),
            (lambda: self.ui.referenceSelector.setCurrentNode(None), "annotated image"),
        ):
            choose()
            self.assertFalse(button.enabled)
            self.assertIn(words, button.toolTip)

    def test_what_is_wrong_with_the_lesson_is_a_sentence(self):
        image, segmentation, points = self.reference()
        points.SetNthControlPointLabel(1, points.GetNthControlPointLabel(0))
        self.panel.teaching.row.run_button.click()
        self.assertIn("two landmarks called", self.panel.teaching.row.status_label.text)
        self.assertFalse(self.panel.teaching.running)

    def test_stop_and_keep(self):
        """Ended early, the template has the weights so far, the panel offers it, and the curve is there."""
        import slicer

        self.reference()
        self.ui.nameEdit.text = "early"
        teaching = self.panel.teaching
        teaching.row.run_button.click()
        self.assertIn("no validation image", self.ui.teachNotesLabel.text)
        self.assertFalse(teaching.row.end_button.enabled)
        wait_until(lambda: not teaching.running or self.dice() > 0.6, "it has learnt something", 2 * TIMEOUT_S)
        self.assertTrue(teaching.row.end_button.enabled, teaching.row.status_label.text)
        screenshot("landmarks-teaching")
        teaching.row.end_button.click()
        wait_until(lambda: not teaching.running, "the template is written", TIMEOUT_S)
        self.assertIn("Ended early", teaching.row.status_label.text)
        self.assertTrue((self.folder / "early" / "models" / "model.pt").is_file())
        self.assertEqual(self.panel.finding.templates.model, "early")
        self.assertNotEqual(self.ui.nameEdit.text, "early")
        self.assertIsNotNone(slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLPlotChartNode"))
        shutil.rmtree(self.folder / "early")

    def dice(self) -> float:
        import slicer

        table = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLTableNode")
        count = 0 if table is None else table.GetNumberOfRows()
        return table.GetTable().GetValueByName(count - 1, "dice").ToDouble() if count else 0.0

    def test_a_training_can_be_cancelled_and_leaves_nothing(self):
        self.reference()
        self.ui.nameEdit.text = "never"
        teaching = self.panel.teaching
        teaching.row.run_button.click()
        wait_until(lambda: teaching.child.running, "the child process")
        folder = teaching._folder.path
        self.assertTrue(folder.is_dir())
        teaching.row.cancel_button.click()
        wait_until(lambda: not teaching.running, "the end of the training")
        self.assertIn("Cancelled", teaching.row.status_label.text)
        self.assertEqual([path.name for path in self.folder.iterdir() if path.name != "quick"], [])
        self.assertFalse(folder.exists())

    def test_closing_the_scene_while_it_trains(self):
        """The training goes on with the copy that it has; nothing is raised when its curve has gone."""
        import slicer

        self.reference()
        teaching = self.panel.teaching
        teaching.row.run_button.click()
        wait_until(lambda: teaching.child.rows > 0 or not teaching.running, "the first validation", TIMEOUT_S)
        with slot_errors() as caught:
            slicer.mrmlScene.Clear()
            rows = teaching.child.rows
            wait_until(lambda: teaching.child.rows > rows or not teaching.running, "the next one", TIMEOUT_S)
        self.assertEqual(caught, [])
        self.assertTrue(teaching.running, teaching.row.status_label.text)

    # ------------------------------------------------------------------------------------------ scripts, pictures

    def test_from_a_script(self):
        landmarks, structure, way = self.panel.logic.detect("quick", self.image, structure=True)
        self.assertLess(max(self.errors(landmarks).values()), 2.0)
        self.assertEqual(structure.GetClassName(), "vtkMRMLSegmentationNode")
        self.assertIsNone(way)

    def test_picture_of_the_panel_with_the_sample(self):
        """The screenshots are docs/images/landmarks-teach.png and landmarks-find.png.

        EARS_TEMPLATE names a template that was taught from the sample, which takes minutes.
        """
        import slicer
        from LandmarkModuleLib.SelfTest import TARGETS, LandmarkModuleTest

        from SparseToPreciseLib.desktop.samples import load_sample

        ears = os.environ.get("EARS_TEMPLATE", "")
        if not Path(ears).is_dir() or not ears:
            self.skipTest("EARS_TEMPLATE names no template of the sample")
        slicer.mrmlScene.Clear()
        sample = LandmarkModuleTest()
        sample.panel = self.panel
        image, segmentation, landmarks = sample.loadReference()
        segmentation.CreateClosedSurfaceRepresentation()
        self.ui.tabs.setCurrentWidget(self.ui.teachTab)
        self.show(image, landmarks)
        screenshot("landmarks-teach")
        landmarks.SetDisplayVisibility(False)
        segmentation.SetDisplayVisibility(False)
        targets = load_sample(TARGETS)
        shutil.copytree(ears, self.folder / "ears", dirs_exist_ok=True)
        self.addCleanup(shutil.rmtree, self.folder / "ears")
        self.panel.finding.refresh()
        self.panel.finding.templates.set_model("ears")
        self.ui.tabs.setCurrentWidget(self.ui.findTab)
        self.ui.targetSelector.setCurrentNode(targets[0])
        self.ui.structureCheckBox.checked = True
        node = self.find()
        slicer.util.getNode("Ear 1 ears").CreateClosedSurfaceRepresentation()
        self.show(targets[0], node)
        screenshot("landmarks-find")

    def show(self, image, points):
        import slicer

        slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)  # no longer the curve's
        slicer.util.setSliceViewerLayers(background=image, fit=True)
        points.GetDisplayNode().SetSliceProjection(True)
        position = [0.0] * 3
        points.GetNthControlPointPositionWorld(0, position)
        for view in ("Red", "Green", "Yellow"):
            node = slicer.util.getNode(f"vtkMRMLSliceNode{view}")
            width, height = node.GetDimensions()[:2]
            node.SetFieldOfView(22.0, 22.0 * height / width, 1.0)
            node.JumpSliceByCentering(*position)
        slicer.util.resetThreeDViews()
