"""What must hold for every module, whatever it does; run_in_slicer.py makes one class of tests for each module.

Slicer's own generic tests (WITH_GENERIC_TESTS) check the same attributes after a build; here they run in a downloaded
Slicer too, and an exception in setup(), enter() or exit(), which Slicer only prints, fails the test.
"""

from __future__ import annotations

import contextlib
import os
import sys
import unittest

import slicer
from desktop_support import LOADED_AT_START, PANEL_WIDTH, ROOT, module_names, screenshot


class StartUp(unittest.TestCase):
    def test_start_up_imports_no_deep_learning(self):
        self.assertEqual(LOADED_AT_START & {"torch", "monai"}, set())


@contextlib.contextmanager
def visiting(widget):
    """Between enter() and exit() of a module's widget, where it has them, as Slicer calls them."""
    getattr(widget, "enter", lambda: None)()
    yield
    slicer.app.processEvents()
    getattr(widget, "exit", lambda: None)()


class _ModuleChecks(unittest.TestCase):
    name = ""

    def setUp(self):
        slicer.mrmlScene.Clear()
        self.assertTrue(hasattr(slicer.modules, self.name.lower()), f"{self.name} was not loaded")
        self.module = getattr(slicer.modules, self.name.lower())

    def test_module_is_loaded_from_this_checkout(self):
        self.assertTrue(os.path.samefile(self.module.path, ROOT / self.name / f"{self.name}.py"))

    def test_module_says_what_it_is(self):
        self.assertEqual(self.module.name, self.name)
        self.assertTrue(self.module.title and self.module.title != self.name)
        for attribute in ("categories", "contributors", "helpText", "acknowledgementText"):
            self.assertTrue(getattr(self.module, attribute), attribute)
        self.assertFalse(self.module.icon.isNull())

    def test_logic_is_one(self):
        self.assertEqual(self.module.logic(), self.module.logic())

    def test_panel_comes_up_and_imports_no_deep_learning(self):
        loaded = {"torch", "monai"} & set(sys.modules)
        representation = self.module.widgetRepresentation()
        self.assertEqual(representation, self.module.widgetRepresentation())
        widget = representation.self()
        self.assertTrue(hasattr(widget, "ui"), "setup() did not come to the end of loading its .ui file")
        with visiting(widget):
            pass
        self.assertEqual({"torch", "monai"} & set(sys.modules), loaded)

    def test_panel_is_narrow(self):
        representation = self.module.widgetRepresentation()
        with visiting(representation.self()):
            slicer.app.processEvents()
            self.assertLessEqual(representation.minimumSizeHint.width(), PANEL_WIDTH)

    def test_panel_survives_the_end_of_a_scene(self):
        widget = self.module.widgetRepresentation().self()
        with visiting(widget):
            slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
            slicer.mrmlScene.Clear()

    def test_module_takes_another_scene(self):
        other = slicer.vtkMRMLScene()
        self.module.setMRMLScene(other)
        self.assertEqual(self.module.mrmlScene(), other)
        self.module.setMRMLScene(slicer.mrmlScene)
        self.assertEqual(self.module.mrmlScene(), slicer.mrmlScene)

    def test_module_can_be_selected(self):
        if slicer.util.mainWindow() is None:
            self.skipTest("there is no main window in this pass")
        slicer.util.selectModule(self.name)
        slicer.app.processEvents()
        self.assertEqual(slicer.util.selectedModule(), self.name)
        screenshot(f"module-{self.name}")

    def test_module_has_tests_of_its_own(self):
        self.assertTrue(issubclass(getattr(sys.modules[self.name], f"{self.name}Test"), unittest.TestCase))


def suite() -> unittest.TestSuite:
    """The checks of the start and of every module of the repository."""
    classes = [StartUp, *(type(f"{name}Checks", (_ModuleChecks,), {"name": name}) for name in module_names())]
    load = unittest.defaultTestLoader.loadTestsFromTestCase
    return unittest.TestSuite(load(one) for one in classes)
