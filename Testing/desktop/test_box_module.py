"""The module Boxes in the application: tighten, undo, segment, hand over, with models trained for seconds."""

from __future__ import annotations

import shutil
import tempfile

from desktop_support import needs_slicer, needs_torch, screenshot, wait_until
from module_case import ModuleCase

TIMEOUT_S = 120


@needs_slicer
@needs_torch
class BoxModuleInTheApplication(ModuleCase):
    module = "BoxModule"

    @classmethod
    def make_models(cls):
        from box_cases import tiny_corrector, tiny_segmenter

        tiny_corrector(cls.folder / "tiny-corrector")
        tiny_segmenter(cls.folder / "tiny-segmenter")

    def setUp(self):
        import slicer
        from box_cases import GRID, LOOSE, image_on

        from SparseToPreciseLib.mrml.rois import roi_from_box

        self.image = self.open_with(image_on(GRID), "CT")
        self.roi = roi_from_box(LOOSE, "Organ")
        self.panel.ui.imageSelector.setCurrentNode(self.image)
        self.panel.ui.roiSelector.setCurrentNode(self.roi)
        self.panel.work.correctors.set_model("tiny-corrector")
        self.panel.work.segmenters.set_model("tiny-segmenter")
        self.panel.work.set_setup(True)
        slicer.app.processEvents()

    def tearDown(self):
        self.panel.exit()

    def click(self, button):
        self.assertTrue(button.enabled, button.toolTip)
        button.click()
        wait_until(lambda: self.panel.work.job is None, "the job ends", TIMEOUT_S)

    def box(self):
        from SparseToPreciseLib.mrml.rois import box_from_roi

        return box_from_roi(self.roi)

    # ------------------------------------------------------------------------------------------ where the box is from

    def clickIn(self, view, x, y):
        import slicer

        slicer.util.clickAndDrag(view, start=(x, y), end=(x, y), steps=1)
        slicer.app.processEvents()

    def test_a_new_box_is_drawn_with_two_clicks(self):
        import slicer

        ui = self.panel.ui
        view = slicer.app.layoutManager().sliceWidget("Red").sliceView()
        ui.roiSelector.addNode()  # what "Create new" of the list calls
        slicer.app.processEvents()
        drawn = self.panel.logic.getParameterNode().roi
        self.assertNotEqual(drawn, self.roi)
        self.assertTrue(ui.placeWidget.placeModeEnabled)
        low, high = view.width // 2 - 50, view.height // 2 - 60
        self.clickIn(view, low, high)
        self.clickIn(view, low + 100, high + 120)
        self.assertFalse(ui.placeWidget.placeModeEnabled)
        self.roi = drawn
        self.assertGreater(self.box().volume_mm3, 1000)
        screenshot("boxes-drawn")
        self.click(self.panel.work.tightenRow.run_button)
        self.assertIn("cm³", self.panel.ui.verdictLabel.text + self.panel.work.tightenRow.status_label.text)

    def test_the_button_beside_the_box_draws_one_that_is_not_there_yet(self):
        import slicer

        ui = self.panel.ui
        empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Later")
        ui.roiSelector.setCurrentNode(empty)
        slicer.app.processEvents()
        self.click(self.panel.work.tightenRow.run_button)
        self.assertIn("Later has not been placed yet", self.panel.work.tightenRow.status_label.text)
        ui.placeWidget.placeButton().click()
        self.assertTrue(ui.placeWidget.placeModeEnabled)
        view = slicer.app.layoutManager().sliceWidget("Green").sliceView()
        self.clickIn(view, view.width // 2 - 40, view.height // 2 - 50)
        self.clickIn(view, view.width // 2 + 40, view.height // 2 + 50)
        self.roi = empty
        self.assertGreater(self.box().size.min(), 10)
        ui.roiSelector.addNode()
        self.assertTrue(ui.placeWidget.placeModeEnabled)
        slicer.util.selectModule("Data")  # leaving the panel ends the drawing
        self.assertFalse(ui.placeWidget.placeModeEnabled)
        slicer.util.selectModule("BoxModule")

    def test_the_shown_image_is_taken_where_none_was_chosen(self):
        import slicer
        from box_cases import GRID, image_on

        from SparseToPreciseLib.mrml.volumes import volume_to_node

        self.panel.ui.imageSelector.setCurrentNode(None)
        slicer.util.selectModule("Data")
        shown = volume_to_node(image_on(GRID), "shown")
        slicer.util.setSliceViewerLayers(background=shown)
        slicer.util.selectModule("BoxModule")
        self.assertEqual(self.panel.ui.imageSelector.currentNode(), shown)

    def test_a_segment_under_a_transform_becomes_a_box(self):
        import numpy as np
        import slicer
        from box_cases import GRID, TIGHT

        ui = self.panel.ui
        truth = self.mask()
        truth.SetAndObserveTransformNodeID(self.moving(20).GetID())
        ui.segmentSelector.setCurrentNode(truth)
        ui.segmentSelector.setCurrentSegmentID(truth.GetSegmentation().GetNthSegmentID(0))
        slicer.app.processEvents()
        self.assertTrue(ui.boxOfSegmentButton.enabled)
        ui.boxOfSegmentButton.click()
        slicer.app.processEvents()
        self.roi = ui.roiSelector.currentNode()
        self.assertEqual(self.roi.GetName(), "Liver")
        np.testing.assert_allclose(np.sort(self.box().size), np.sort(TIGHT.size), atol=2.1 * GRID.spacing.max())
        np.testing.assert_allclose(self.box().center, TIGHT.center + [20, 0, 0], atol=GRID.spacing.max())

    def moving(self, mm):
        """A transform along R."""
        import numpy as np
        import slicer

        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Moved")
        matrix = np.eye(4)
        matrix[0, 3] = mm
        node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
        return node

    def mask(self, name="Truth"):
        """A segmentation of the image with the true object as "Liver"."""
        from box_cases import GRID, mask_on

        from SparseToPreciseLib.mrml.box_training import segmentation_of
        from SparseToPreciseLib.mrml.segmentations import new_segment, volume_to_segment

        node = segmentation_of(self.image, name)
        volume_to_segment(mask_on(GRID), node, new_segment(node, "Liver"))
        return node

    # ------------------------------------------------------------------------------------------ tighten

    def test_nodes_under_transforms(self):
        """The image and the box lie under two hidden transforms; where the box comes out is the world's business."""
        import numpy as np
        import slicer
        from box_cases import GRID, LOOSE, mask_on

        from SparseToPreciseLib.core.box import Box
        from SparseToPreciseLib.mrml.rois import place_roi
        from SparseToPreciseLib.mrml.segmentations import segment_to_volume

        self.click(self.panel.work.tightenRow.run_button)
        plain = self.box()
        self.panel.ui.undoButton.click()
        self.image.SetAndObserveTransformNodeID(self.moving(35).GetID())
        self.roi.SetAndObserveTransformNodeID(self.moving(-12).GetID())
        place_roi(self.roi, Box(LOOSE.center + [35, 0, 0], LOOSE.axes, LOOSE.size))
        self.click(self.panel.work.tightenRow.run_button)
        np.testing.assert_allclose(self.box().center, plain.center + [35, 0, 0], atol=0.01)
        np.testing.assert_allclose(self.box().size, plain.size, atol=0.01)
        self.click(self.panel.work.segmentRow.run_button)
        self.assertIsNotNone(self.panel.work._segment, self.panel.work.segmentRow.status_label.text)
        node, segmentId = self.panel.work._segment
        self.assertEqual(node.GetParentTransformNode(), self.image.GetParentTransformNode())
        truth = mask_on(GRID)
        ijkToRas = truth.ijk_to_ras.copy()
        ijkToRas[0, 3] += 35
        found = segment_to_volume(node, segmentId, type(truth)(truth.array, ijkToRas).grid).array != 0
        self.assertGreater(2 * (found & (truth.array != 0)).sum() / (found.sum() + truth.array.sum()), 0.85)
        self.panel.ui.undoButton.click()
        np.testing.assert_allclose(self.box().center, LOOSE.center + [35, 0, 0], atol=0.01)
        slicer.app.processEvents()

    def test_again_makes_no_more_nodes(self):
        import slicer

        self.click(self.panel.work.tightenRow.run_button)
        first, before = self.box().volume_mm3, slicer.mrmlScene.GetNumberOfNodes()
        self.panel.ui.marginSlider.value = 2
        self.click(self.panel.work.tightenRow.run_button)
        self.assertGreater(self.box().volume_mm3, first)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), before)
        self.panel.ui.marginSlider.value = 0

    def test_a_scene_that_is_loaded_again_goes_on_where_it_was(self):
        import slicer
        from box_cases import LOOSE

        ui = self.panel.ui
        self.click(self.panel.work.tightenRow.run_button)
        text, tight = ui.verdictLabel.text, self.box()
        with tempfile.TemporaryDirectory() as folder:
            self.assertTrue(slicer.util.saveScene(f"{folder}/scene.mrb"))
            slicer.mrmlScene.Clear()
            slicer.app.processEvents()
            self.assertTrue(ui.verdictLabel.isHidden())
            slicer.util.loadScene(f"{folder}/scene.mrb")
        slicer.app.processEvents()
        self.image, self.roi = slicer.util.getNode("CT"), slicer.util.getNode("Organ")
        self.assertEqual((ui.imageSelector.currentNode(), ui.roiSelector.currentNode()), (self.image, self.roi))
        self.assertEqual(ui.verdictLabel.text, text)
        self.click(self.panel.work.tightenRow.run_button)  # from the loose box again
        self.assertAlmostEqual(self.box().volume_mm3, tight.volume_mm3, delta=1)
        ui.undoButton.click()
        self.assertAlmostEqual(self.box().volume_mm3, LOOSE.volume_mm3, delta=1)
        self.assertFalse(ui.undoButton.enabled)

    def test_a_click_on_a_row_shows_the_slice(self):
        import qt
        import slicer

        from SparseToPreciseLib.mrml.boxes_nodes import slice_centre

        self.click(self.panel.work.tightenRow.run_button)
        view = self.panel.ui.sliceTableView
        view.sortFilterProxyModel().sort(0, qt.Qt.DescendingOrder)
        model = view.model()
        row = next(row for row in range(model.rowCount()) if model.index(row, 0).data() == "7")
        self.assertNotEqual(row, 7)
        view.scrollTo(model.index(row, 0))
        slicer.app.processEvents()
        at = view.visualRect(model.index(row, 2)).center()
        for kind in (qt.QEvent.MouseButtonPress, qt.QEvent.MouseButtonRelease):
            button = qt.Qt.LeftButton if kind == qt.QEvent.MouseButtonPress else qt.Qt.NoButton
            event = qt.QMouseEvent(kind, qt.QPointF(at), qt.Qt.LeftButton, button, qt.Qt.NoModifier)
            slicer.app.sendEvent(view.viewport(), event)
        slicer.app.processEvents()
        centre = slice_centre(self.roi, 7)
        for name, axis in (("Red", 2), ("Green", 1), ("Yellow", 0)):
            plane = slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode().GetSliceToRAS()
            self.assertAlmostEqual(plane.GetElement(axis, 3), centre[axis], delta=0.8)  # half a voxel
        self.assertGreater(abs(centre[2] - self.box().center[2]), 5)

    def test_the_verdict_is_that_of_the_chosen_box(self):
        import slicer
        from box_cases import LOOSE

        from SparseToPreciseLib.mrml.rois import roi_from_box

        ui = self.panel.ui
        self.click(self.panel.work.tightenRow.run_button)
        text = ui.verdictLabel.text
        ui.roiSelector.setCurrentNode(roi_from_box(LOOSE, "Another"))
        slicer.app.processEvents()
        self.assertTrue(ui.verdictLabel.isHidden() and ui.sliceTableView.isHidden())
        self.assertFalse(ui.undoButton.enabled)
        ui.roiSelector.setCurrentNode(self.roi)
        slicer.app.processEvents()
        self.assertEqual(ui.verdictLabel.text, text)
        slicer.mrmlScene.RemoveNode(self.roi)
        slicer.app.processEvents()
        self.assertTrue(ui.verdictLabel.isHidden())

    def test_tighten_and_undo(self):
        from box_cases import LOOSE

        from SparseToPreciseLib.mrml.boxes_nodes import SLICES_ID, loose_roi

        ui = self.panel.ui
        self.assertFalse(ui.undoButton.enabled)
        self.click(self.panel.work.tightenRow.run_button)
        self.assertLess(self.box().volume_mm3, 0.7 * LOOSE.volume_mm3, ui.verdictLabel.text)
        self.assertIn("Tightened from", ui.verdictLabel.text)
        self.assertTrue(ui.sliceTableView.isVisibleTo(ui.tightenCollapsibleButton))
        self.assertEqual(ui.sliceTableView.mrmlTableNode().GetNumberOfRows(), 30)
        import slicer

        segmentation = slicer.util.getNode("CT Organ")
        self.assertIsNotNone(segmentation.GetSegmentation().GetSegment(SLICES_ID))
        screenshot("boxes-tightened")
        self.assertFalse(loose_roi(self.roi).GetDisplayVisibility())
        self.click(ui.undoButton)
        self.assertAlmostEqual(self.box().volume_mm3, LOOSE.volume_mm3, delta=1)
        self.assertFalse(ui.undoButton.enabled)
        self.assertEqual(ui.verdictLabel.text, "")

    def test_unsure_is_said_plainly(self):
        from box_cases import LOOSE, find_nothing, tiny_corrector

        blind = self.folder / "blind"
        if not blind.exists():
            shutil.copytree(self.folder / "tiny-corrector", blind)
            find_nothing(blind)
        self.assertTrue(callable(tiny_corrector))
        self.panel.work.refresh()
        self.panel.work.correctors.set_model("blind")
        self.click(self.panel.work.tightenRow.run_button)
        self.assertAlmostEqual(self.box().volume_mm3, LOOSE.volume_mm3, delta=1)
        self.assertIn("nothing like an object", self.panel.ui.verdictLabel.text)
        self.assertIn("Train on my cases", self.panel.ui.verdictLabel.text)
        self.assertIn("bold", self.panel.ui.verdictLabel.styleSheet)
        self.assertFalse(self.panel.ui.undoButton.enabled)
        screenshot("boxes-unsure")

    def test_segment_and_hand_over(self):
        import slicer

        ui = self.panel.ui
        self.assertFalse(ui.editButton.enabled)
        self.click(self.panel.work.tightenRow.run_button)
        self.click(self.panel.work.segmentRow.run_button)
        segmentation = slicer.util.getNode("CT Organ").GetSegmentation()
        names = [segmentation.GetSegment(one).GetName() for one in segmentation.GetSegmentIDs()]
        self.assertEqual(sorted(names), ["Organ", "Organ slices"])
        screenshot("boxes-segmented")
        ui.editButton.click()
        editor = slicer.modules.segmenteditor.widgetRepresentation().self().editor
        self.assertEqual(editor.segmentationNode().GetName(), "CT Organ")
        slicer.util.selectModule("BoxModule")
        ui.cropButton.click()
        node = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCropVolumeParametersNode")
        self.assertEqual((node.GetInputVolumeNode(), node.GetROINode()), (self.image, self.roi))
        self.assertEqual(slicer.util.selectedModule(), "CropVolume")
        widget = slicer.modules.cropvolume.widgetRepresentation()
        self.assertEqual(slicer.util.findChild(widget, "InputVolumeComboBox").currentNode(), self.image)
        self.assertEqual(slicer.util.findChild(widget, "InputROIComboBox").currentNode(), self.roi)
        slicer.util.findChild(widget, "CropButton").click()
        cropped = slicer.util.getNode("CT cropped")
        voxels = slicer.util.arrayFromVolume(cropped).shape[::-1]
        for count, size in zip(voxels, self.box().size, strict=True):
            self.assertAlmostEqual(count * 1.5, size, delta=3.1)
        slicer.util.selectModule("BoxModule")
        slicer.mrmlScene.RemoveNode(slicer.util.getNode("CT Organ"))
        slicer.app.processEvents()
        self.assertFalse(ui.editButton.enabled)  # what it would edit is gone

    def test_picture_of_the_panel_with_the_sample(self):
        """The screenshot is docs/images/boxes-module.png."""
        import slicer
        from BoxModuleLib.SelfTest import BoxModuleTest

        from SparseToPreciseLib.core.bundles import find_bundles

        names = {bundle.name for family in ("boxes-corrector", "boxes-segmenter") for bundle in find_bundles(family)}
        if not {"boxes-corrector", "boxes-segmenter"} <= names:
            self.skipTest("the default models are not there")
        slicer.mrmlScene.Clear()
        sample = BoxModuleTest()
        sample.panel = self.panel
        self.image, self.roi = sample.loadSample()
        self.panel.work.refresh()
        self.panel.work.correctors.set_model("boxes-corrector")
        self.panel.work.segmenters.set_model("boxes-segmenter")
        slicer.util.setSliceViewerLayers(background=self.image, fit=True)
        loose = self.box()
        ui = self.panel.work.ui
        ui.coverageComboBox.setCurrentText("0.9")  # at which the default model has something to show
        self.click(self.panel.work.tightenRow.run_button)
        if self.box().volume_mm3 < loose.volume_mm3:
            center = self.box().center
            for view in ("Red", "Green", "Yellow"):
                slicer.util.getNode(f"vtkMRMLSliceNode{view}").JumpSliceByCentering(*center)
        self.click(self.panel.work.segmentRow.run_button)
        slicer.util.getNode("LooseBox Organ").CreateClosedSurfaceRepresentation()
        slicer.util.resetThreeDViews()
        screenshot("boxes-module")

    def test_a_box_outside_is_refused_in_one_sentence(self):
        import numpy as np
        from box_cases import CENTRE

        from SparseToPreciseLib.core.box import Box
        from SparseToPreciseLib.mrml.rois import place_roi

        place_roi(self.roi, Box(CENTRE + [400, 0, 0], np.eye(3), [20, 20, 20]))
        self.click(self.panel.work.tightenRow.run_button)
        self.assertIn("lies outside the image", self.panel.work.tightenRow.status_label.text)

    def test_closing_the_scene_while_it_works(self):
        import slicer

        self.panel.work.tightenRow.run_button.click()
        slicer.mrmlScene.Clear()
        wait_until(lambda: self.panel.work.job is None, "the job ends", TIMEOUT_S)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsROINode"), 0)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode"), 0)

    def test_cancel(self):
        from box_cases import LOOSE

        self.panel.work.tightenRow.run_button.click()
        self.panel.work.tightenRow.cancel_button.click()
        wait_until(lambda: self.panel.work.job is None, "the job ends", TIMEOUT_S)
        self.assertAlmostEqual(self.box().volume_mm3, LOOSE.volume_mm3, delta=1)
        self.assertIn("Cancelled", self.panel.work.tightenRow.status_label.text)

    def test_buttons_say_what_is_missing(self):
        button = self.panel.work.tightenRow.run_button
        self.panel.ui.roiSelector.setCurrentNode(None)
        self.assertFalse(button.enabled)
        self.assertIn("box", button.toolTip)
        self.panel.ui.imageSelector.setCurrentNode(None)
        self.assertIn("image", button.toolTip)

    def test_a_box_becomes_a_case(self):
        import slicer

        self.panel.training.refresh()
        self.assertTrue(self.panel.ui.boxCaseButton.enabled)
        self.panel.ui.boxCaseButton.click()
        node = slicer.util.getNode("CT Organ box")
        self.assertEqual(node.GetSegmentation().GetNumberOfSegments(), 1)
        self.mask()
        self.click(self.panel.work.tightenRow.run_button)  # the boxes of slices are no case
        self.panel.training.refresh()
        for family, names in (("segmenter", ["CT Organ box", "Truth"]), ("corrector", ["Truth"])):
            cases = self.panel.training.panels[f"boxes-{family}"].cases.cases()
            self.assertEqual([(one.GetName(), image.GetName()) for one, image in cases], [(one, "CT") for one in names])

    def trainPanel(self, family):
        """The tab of a family, open, with one mask and a name for the model."""
        ui = self.panel.ui
        self.mask()
        ui.trainCollapsibleButton.collapsed = False
        ui.trainTabs.setCurrentIndex(0 if family == "boxes-corrector" else 1)
        panel = self.panel.training.panels[family]
        panel.set_setup(True)
        panel.refresh()
        panel.name_edit.text = "mine"
        panel.minutes_box.value = 0.02
        self.assertTrue(panel.run_row.run_button.enabled, panel.run_row.run_button.toolTip)
        self.addCleanup(setattr, ui.trainCollapsibleButton, "collapsed", True)
        return panel

    def test_a_training_gives_a_model_that_is_chosen(self):
        import slicer

        layout = slicer.app.layoutManager()
        self.addCleanup(layout.setLayout, slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        for family, selector in (
            ("boxes-corrector", self.panel.work.correctors),
            ("boxes-segmenter", self.panel.work.segmenters),
        ):
            with self.subTest(family):
                panel = self.trainPanel(family)
                panel.run_row.run_button.click()
                wait_until(lambda panel=panel: not panel.running, "the training ends", 600)
                self.assertIn("mine is ready", panel.run_row.status_label.text)
                self.assertEqual(selector.model, "mine")
                self.assertGreater(slicer.util.getNode("Training of mine").GetNumberOfPlotSeriesNodes(), 0)
                screenshot(f"boxes-trained-{family}")
                shutil.rmtree(self.folder / "mine")
                slicer.mrmlScene.RemoveNode(slicer.util.getNode("Truth"))
                slicer.mrmlScene.RemoveNode(slicer.util.getNode("Training of mine"))

    def test_boxes_are_tightened_before_a_segmenter_learns_from_them(self):
        import json

        panel, ui = self.trainPanel("boxes-segmenter"), self.panel.ui
        ui.trainTightenedCheckBox.checked = True
        self.addCleanup(setattr, ui.trainTightenedCheckBox, "checked", False)
        panel.run_row.run_button.click()
        wait_until(lambda: not panel.running, "the training ends", 600)
        self.assertIn("mine is ready", panel.run_row.status_label.text)
        metadata = json.loads((self.folder / "mine" / "configs" / "metadata.json").read_text(encoding="utf-8"))
        shutil.rmtree(self.folder / "mine")
        made = metadata["training"]["correction"]
        self.assertEqual((made["corrector"], made["coverage"], made["boxes"]), ("tiny-corrector", 0.9, 1))

    def test_a_training_can_be_cancelled_and_leaves_nothing(self):
        panel = self.trainPanel("boxes-corrector")
        panel.minutes_box.value = 0
        panel.run_row.run_button.click()
        wait_until(lambda: panel._child.running, "the child process")
        panel.run_row.cancel_button.click()
        wait_until(lambda: not panel.running, "the training ends")
        self.assertIn("Cancelled", panel.run_row.status_label.text)
        self.assertFalse((self.folder / "mine").exists())
        self.assertEqual(self.panel.work.correctors.model, "tiny-corrector")
