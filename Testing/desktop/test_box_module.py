"""The module Boxes in the application: tighten, undo, segment, hand over, with models trained for seconds."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

from desktop_support import ROOT, needs_slicer, needs_torch, screenshot, wait_until

TIMEOUT_S = 120


@needs_slicer
@needs_torch
class BoxModuleInTheApplication(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        sys.path.insert(0, str(ROOT / "Testing"))
        from box_cases import tiny_corrector, tiny_segmenter

        cls.folder = Path(tempfile.mkdtemp())
        cls.before = os.environ.get("SPARSE_TO_PRECISE_MODELS")
        os.environ["SPARSE_TO_PRECISE_MODELS"] = str(cls.folder)
        tiny_corrector(cls.folder / "tiny-corrector")
        tiny_segmenter(cls.folder / "tiny-segmenter")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder, ignore_errors=True)
        if cls.before is None:
            del os.environ["SPARSE_TO_PRECISE_MODELS"]
        else:
            os.environ["SPARSE_TO_PRECISE_MODELS"] = cls.before

    def setUp(self):
        import slicer
        from box_cases import GRID, LOOSE, image_on

        from SparseToPreciseLib.mrml.rois import roi_from_box
        from SparseToPreciseLib.mrml.volumes import volume_to_node

        slicer.mrmlScene.Clear()
        slicer.util.selectModule("BoxModule")
        self.panel = slicer.modules.boxmodule.widgetRepresentation().self()
        self.panel.enter()
        self.image = volume_to_node(image_on(GRID), "CT")
        self.image.CreateDefaultDisplayNodes()
        self.roi = roi_from_box(LOOSE, "Organ")
        slicer.util.setSliceViewerLayers(background=self.image, fit=True)
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

    def test_tighten_and_undo(self):
        from box_cases import LOOSE

        from SparseToPreciseLib.mrml.box_nodes import SLICES_ID, loose_roi

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
        slicer.util.selectModule("BoxModule")

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
        cases = self.panel.training.panels["boxes-segmenter"].cases.cases()
        self.assertEqual([(one.GetName(), image.GetName()) for one, image in cases], [("CT Organ box", "CT")])
