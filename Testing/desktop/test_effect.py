"""The Segment Editor effect in the application: real mouse events on real slice views, the real editor widget.

Run by run_in_slicer.sh; plain pytest skips it. What the effect computes is tested in Testing/mrml.
"""

from __future__ import annotations

import math
import os
import tempfile
import time
import unittest

from desktop_support import PANEL_WIDTH, needs_slicer, screenshot, wait_until

EFFECT = "Scribble edit"
WARP = "image-aware-warp"
CENTRE, RADIUS = 30.0, 14.0  # of the segment; the bright ball in the image is larger by 4 mm


@needs_slicer
class EffectTest(unittest.TestCase):
    def setUp(self):
        import numpy as np
        import slicer
        import vtk

        slicer.mrmlScene.Clear()
        grid = np.mgrid[0:60, 0:60, 0:60]
        distance = np.sqrt(((grid - CENTRE) ** 2).sum(axis=0))
        image = (300 / (1 + np.exp(np.clip(distance - RADIUS - 4, -40, 40)))).astype(np.float32)
        # A flipped image in an odd place, so that voxel and world differ.
        matrix = vtk.vtkMatrix4x4()
        for row, (scale, shift) in enumerate(((-1, 20), (-1, 35), (1, -12))):
            matrix.SetElement(row, row, scale)
            matrix.SetElement(row, 3, shift)
        self.volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Image")
        self.volume.SetIJKToRASMatrix(matrix)
        slicer.util.updateVolumeFromArray(self.volume, image)
        self.volume.CreateDefaultDisplayNodes()
        self.segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Organs")
        self.segmentation.CreateDefaultDisplayNodes()
        self.segmentation.SetReferenceImageGeometryParameterFromVolumeNode(self.volume)
        self.segment = self.segmentation.GetSegmentation().AddEmptySegment("Ball")
        slicer.util.updateSegmentBinaryLabelmapFromArray(
            (distance < RADIUS).astype(np.uint8), self.segmentation, self.segment, self.volume
        )
        slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        slicer.util.setSliceViewerLayers(background=self.volume, fit=True)
        slicer.util.selectModule("SegmentEditor")
        self.editor = slicer.modules.segmenteditor.widgetRepresentation().self().editor
        self.editor.setSegmentationNode(self.segmentation)
        self.editor.setSourceVolumeNode(self.volume)
        self.editor.setCurrentSegmentID(self.segment)
        slicer.app.processEvents()
        self.editor.setActiveEffectByName(EFFECT)
        self.assertIsNotNone(self.editor.activeEffect(), "the effect is not registered")
        self.scripted = self.editor.activeEffect()
        self.effect = self.scripted.self()
        self.scripted.setParameter("Model", WARP)
        self.scripted.setParameter("InfluenceRadiusMm", 8.0)
        slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *self.world(CENTRE, CENTRE, CENTRE))
        for _ in range(10):  # the panel takes its width, and with it the views theirs
            slicer.app.processEvents()
            time.sleep(0.02)
        self.before = self.voxels()

    def tearDown(self):
        self.editor.setActiveEffect(None)

    def world(self, i, j, k):
        import vtk

        matrix = vtk.vtkMatrix4x4()
        self.volume.GetIJKToRASMatrix(matrix)
        return matrix.MultiplyPoint((i, j, k, 1))[:3]

    def voxels(self):
        import slicer

        array = slicer.util.arrayFromSegmentBinaryLabelmap(self.segmentation, self.segment, self.volume)
        return array.copy()

    def view(self, name="Red"):
        import slicer

        return slicer.app.layoutManager().sliceWidget(name)

    def pixel(self, ijk, name="Red"):
        import vtk

        matrix = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self.view(name).mrmlSliceNode().GetXYToRAS(), matrix)
        return tuple(round(value) for value in matrix.MultiplyPoint((*self.world(*ijk), 1))[:2])

    def drag(self, name="Red", shift=4.0, along=1, steps=20):
        """Draw a straight stroke beside the ball, `shift` mm outside it, along an axis of the image."""
        import slicer

        ends = []
        for side in (-8.0, 8.0):
            ijk = [CENTRE, CENTRE, CENTRE]
            ijk[0] += math.sqrt((RADIUS + shift) ** 2 - 64.0)
            ijk[along] += side
            ends.append(self.pixel(ijk, name))
        slicer.util.clickAndDrag(self.view(name), start=ends[0], end=ends[1], steps=steps)

    def session(self):
        return self.effect._session

    def done(self):
        wait_until(lambda: self.session() is not None and not self.session().busy, "the edit", 300)

    def changed(self):
        return int((self.voxels() != self.before).sum())

    def listed(self):
        import slicer

        slicer.app.processEvents()
        self.effect._showEdits()
        return self.effect._panel.edits.count

    def escape_shortcuts(self):
        """How many shortcuts of the main window hear Esc."""
        import qt
        import slicer

        escape = qt.QKeySequence(qt.Qt.Key_Escape).toString()
        children = slicer.util.mainWindow().children()
        shortcuts = [child for child in children if child.className() == "QShortcut" and child.enabled]
        return sum(shortcut.key.toString() == escape for shortcut in shortcuts)

    def test_a_drag_corrects_and_undo_restores(self):
        self.drag()
        self.assertTrue(self.session().busy)
        self.done()
        self.assertGreater(self.changed(), 100, self.session().message)
        self.assertIn("voxels changed", self.effect._panel.message.text)
        self.assertEqual(self.listed(), 1)
        screenshot("effect-after-a-stroke")
        after = self.voxels()
        self.editor.undo()
        self.assertEqual(self.changed(), 0)
        wait_until(lambda: self.effect._panel.edits.count == 0, "the list follows undo")
        self.editor.redo()
        self.assertTrue((self.voxels() == after).all())
        wait_until(lambda: self.effect._panel.edits.count == 1, "the list follows redo")

    def test_the_options_are_narrow_and_the_radius_is_short(self):
        panel = self.effect._panel
        frame = panel.radius.parent()
        self.assertLessEqual(frame.minimumSizeHint.width(), PANEL_WIDTH)
        self.scripted.setParameter("InfluenceRadiusMm", 7.125)
        self.assertEqual(panel.radius.decimals, 1)
        self.assertAlmostEqual(self.scripted.doubleParameter("InfluenceRadiusMm"), 7.125)  # only shown shorter

    def test_the_default_model_or_what_stands_in_for_it(self):
        import importlib.util

        self.scripted.setParameter("Model", "editing")
        self.drag()
        self.done()
        self.assertGreater(self.changed(), 100, self.session().message)
        missing = [name for name in ("torch", "monai") if importlib.util.find_spec(name) is None]
        self.assertEqual("Not installed" in self.effect._panel.message.text, bool(missing))

    def test_every_slice_view(self):
        for number, (name, along) in enumerate((("Red", 1), ("Green", 2)), 1):
            self.drag(name, along=along)
            self.done()
            self.assertEqual(len(self.session().edits()), number, f"{name}: {self.session().message}")

    def test_an_oblique_slice_view(self):
        import slicer

        node = self.view("Yellow").mrmlSliceNode()
        node.SetSliceToRASByNTP(0.5, 0.5, 0.707, 0.707, -0.707, 0, *self.world(CENTRE, CENTRE, CENTRE), 0)
        slicer.app.processEvents()
        ras = self.world(CENTRE, CENTRE, CENTRE)
        # Along the boundary that the view cuts: a chord outside the ball, in the view's own pixels.
        pixel_mm = node.GetFieldOfView()[0] / node.GetDimensions()[0]
        import vtk

        to_xy = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(node.GetXYToRAS(), to_xy)
        x, y = to_xy.MultiplyPoint((*ras, 1))[:2]
        out, half = (RADIUS + 2) / pixel_mm, 7 / pixel_mm
        start, end = (round(x + out), round(y - half)), (round(x + out), round(y + half))
        slicer.util.clickAndDrag(self.view("Yellow"), start=start, end=end, steps=20)
        self.done()
        self.assertGreater(self.changed(), 50, self.session().message)

    def test_transforms_on_image_and_segmentation(self):
        import slicer
        import vtk

        for node, shift in ((self.volume, 12.0), (self.segmentation, 12.0)):
            transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
            matrix = vtk.vtkMatrix4x4()
            matrix.SetElement(0, 3, shift)
            transform.SetMatrixTransformToParent(matrix)
            node.SetAndObserveTransformNodeID(transform.GetID())
        slicer.app.processEvents()
        original = self.world
        self.world = lambda *ijk: (original(*ijk)[0] + 12.0, *original(*ijk)[1:])
        self.drag()
        self.done()
        self.assertGreater(self.changed(), 100, self.session().message)

    def test_the_stroke_and_its_band_are_drawn(self):
        view = self.view()
        interactor = view.interactorStyle().GetInteractor()
        start, end = self.pixel((CENTRE + 16, CENTRE - 6, CENTRE)), self.pixel((CENTRE + 16, CENTRE + 6, CENTRE))
        interactor.SetEventPosition(*start)
        interactor.LeftButtonPressEvent()
        for step in range(1, 11):
            interactor.SetEventPosition(*(round(a + (b - a) * step / 10) for a, b in zip(start, end, strict=True)))
            interactor.MouseMoveEvent()
        feedback = self.effect._feedback[view]
        self.assertGreater(feedback._line.GetNumberOfPoints(), 5)
        self.assertGreater(feedback._band.GetNumberOfPoints(), 20)
        screenshot("effect-while-drawing")
        low, high = [0.0] * 6, feedback._band.GetBounds()
        radius = 8.0 * view.mrmlSliceNode().GetDimensions()[0] / view.mrmlSliceNode().GetFieldOfView()[0]
        low[0] = min(start[0], end[0]) - radius
        self.assertAlmostEqual(high[0], low[0], delta=0.1 * radius)
        self.effect.onCancel()
        self.assertEqual(feedback._line.GetNumberOfPoints(), 0)
        interactor.LeftButtonReleaseEvent()
        self.assertFalse(self.session() is not None and self.session().busy)
        self.assertEqual(self.changed(), 0)

    def test_a_click_is_no_stroke(self):
        import slicer

        slicer.util.clickAndDrag(self.view(), start=(150, 150), end=(150, 150), steps=1)
        self.done()
        self.assertEqual(self.changed(), 0)
        self.assertIn("at least two", self.effect._panel.message.text)

    def test_shift_and_wheel_change_the_radius(self):
        interactor = self.view().interactorStyle().GetInteractor()
        offset = self.view().sliceLogic().GetSliceOffset()
        interactor.SetShiftKey(1)
        interactor.MouseWheelForwardEvent()
        interactor.SetShiftKey(0)
        self.assertAlmostEqual(self.scripted.doubleParameter("InfluenceRadiusMm"), 9.6)
        self.assertAlmostEqual(self.effect._panel.radius.value, 9.6, places=1)
        self.assertEqual(self.view().sliceLogic().GetSliceOffset(), offset)
        self.effect._panel.radius.value = 5.0
        self.assertAlmostEqual(self.scripted.doubleParameter("InfluenceRadiusMm"), 5.0)

    def test_a_second_stroke_waits_visibly(self):
        self.drag()
        self.drag("Green", along=2)
        self.assertEqual(self.session().waiting, 1)
        self.assertIn("1 stroke waits", self.effect._panel.message.text)
        wait_until(lambda: not self.session().busy and not self.session().waiting, "both edits", 300)
        self.assertEqual(len(self.session().edits()), 2, self.session().message)

    def test_escape_cancels_the_running_edit_and_leaves_the_effect_active(self):
        import slicer

        self.drag()
        self.drag("Green", along=2)
        taken = self.effect._escape._shortcut
        self.assertIsNotNone(taken)
        self.assertTrue(self.effect._escape._others)
        self.assertEqual(self.escape_shortcuts(), 1)  # with two, Qt would hear neither
        taken.activated()
        self.assertFalse(self.session().busy)
        self.assertEqual(self.session().waiting, 0)
        for _ in range(20):
            slicer.app.processEvents()
        self.assertEqual(self.changed(), 0)
        self.assertTrue(self.scripted.active())
        self.assertIsNone(self.effect._escape._shortcut)
        self.assertEqual(self.escape_shortcuts(), 1)  # Segment Editor's own, again

    def test_the_cursor_says_that_an_edit_is_computed(self):
        import qt

        self.drag()
        self.assertEqual(self.effect.createCursor(None).shape(), qt.Qt.BusyCursor)
        self.done()
        self.assertEqual(self.effect.createCursor(None).shape(), qt.Qt.CrossCursor)

    def test_preview(self):
        import slicer

        self.scripted.setParameter("PreviewBeforeApplying", 1)
        self.drag()
        self.done()
        self.assertEqual(self.changed(), 0)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode"), 2)
        self.assertTrue(self.effect._panel.applyButton.visible)
        screenshot("effect-preview")
        self.effect._panel.cancelButton.click()
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode"), 1)
        self.assertEqual(self.changed(), 0)
        self.drag()
        self.done()
        self.effect._panel.applyButton.click()
        self.assertGreater(self.changed(), 100)
        self.assertFalse(self.effect._panel.applyButton.visible)
        self.editor.undo()
        self.assertEqual(self.changed(), 0)

    def test_enter_applies_a_preview_and_escape_in_a_view_drops_it(self):
        interactor = self.view().interactorStyle().GetInteractor()
        self.scripted.setParameter("PreviewBeforeApplying", 1)
        for key, changes in (("Escape", False), ("Return", True)):
            self.drag()
            self.done()
            self.assertIsNotNone(self.session().preview)
            interactor.SetKeySym(key)
            interactor.KeyPressEvent()
            self.assertIsNone(self.session().preview)
            self.assertEqual(self.changed() > 100, changes, key)

    def test_the_3d_view_follows(self):
        import slicer

        self.segmentation.CreateClosedSurfaceRepresentation()
        slicer.util.forceRenderAllViews()
        renderer = (
            slicer.app.layoutManager().threeDWidget(0).threeDView().renderWindow().GetRenderers().GetFirstRenderer()
        )

        def extent():  # of what the view shows of the segment, not of what could be made of it
            slicer.app.processEvents()
            slicer.util.forceRenderAllViews()
            name = slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()
            surface = self.segmentation.GetSegmentation().GetSegment(self.segment).GetRepresentation(name)
            shown = [
                actor.GetMapper().GetInput()
                for actor in renderer.GetActors()
                if actor.GetVisibility() and actor.GetMapper() is not None
            ]
            counts = [data.GetNumberOfPoints() for data in shown if data is not None]
            self.assertIn(surface.GetNumberOfPoints(), counts)
            return surface.GetBounds()[1] - surface.GetBounds()[0]

        before = extent()
        self.drag()
        self.done()
        self.assertGreater(extent(), before + 2)
        screenshot("effect-3d")

    def test_reverting_one_of_two_edits(self):
        self.drag()
        self.done()
        self.drag("Green", along=2)
        self.done()
        self.assertEqual(self.listed(), 2)
        panel = self.effect._panel
        self.assertFalse(panel.revertButton.enabled)
        panel.edits.setCurrentRow(0)
        self.assertTrue(panel.revertButton.enabled)
        panel.revertButton.click()
        self.assertEqual([edit.number for edit in self.session().edits()], [2])
        self.editor.undo()
        self.assertEqual([edit.number for edit in self.session().edits()], [1, 2])

    def test_closing_the_scene_during_an_edit(self):
        import slicer

        self.drag()
        slicer.mrmlScene.Clear()
        for _ in range(50):
            slicer.app.processEvents()
        self.assertFalse(self.session().busy)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode"), 0)

    def test_selecting_another_segment_during_an_edit(self):
        import slicer

        other = self.segmentation.GetSegmentation().AddEmptySegment("Other")
        self.drag()
        self.editor.setCurrentSegmentID(other)
        slicer.app.processEvents()
        self.assertFalse(self.session().busy)
        self.assertEqual(self.changed(), 0)

    def test_removing_the_segment_during_an_edit(self):
        import slicer

        self.drag()
        self.segmentation.GetSegmentation().RemoveSegment(self.segment)
        for _ in range(50):
            slicer.app.processEvents()
        wait_until(lambda: not self.session().busy, "the end")

    def test_leaving_the_effect_during_an_edit(self):
        import slicer

        self.drag()
        self.editor.setActiveEffect(None)
        for _ in range(50):
            slicer.app.processEvents()
        self.assertFalse(self.session().busy)
        self.assertEqual(self.changed(), 0)
        self.assertEqual(self.effect._feedback, {})

    def test_a_stroke_outside_the_image_is_refused_with_a_sentence(self):
        import slicer

        slicer.util.clickAndDrag(self.view(), start=(2, 2), end=(2, 40), steps=10)
        self.done()
        self.assertIn("outside the image", self.effect._panel.message.text)
        self.assertEqual(self.changed(), 0)

    def test_saved_and_loaded(self):
        import slicer

        self.drag()
        self.done()
        after = self.voxels()
        self.scripted.setParameter("PreviewBeforeApplying", 1)
        self.drag("Green", along=2)  # its preview must not be saved
        self.done()
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "scene.mrb")
            self.assertTrue(slicer.util.saveScene(path))
            slicer.mrmlScene.Clear()
            slicer.util.loadScene(path)
        self.segmentation = slicer.util.getNode("Organs")
        self.volume = slicer.util.getNode("Image")
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode"), 1)
        self.assertTrue((self.voxels() == after).all())
        self.editor.setActiveEffectByName(EFFECT)
        self.assertAlmostEqual(self.scripted.doubleParameter("InfluenceRadiusMm"), 8.0)
