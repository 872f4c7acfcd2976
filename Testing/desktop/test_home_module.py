"""What only the application can check: the home module loads, and its own tests pass inside it.

Run by run_in_slicer.py inside Slicer; plain pytest skips it.
"""

from __future__ import annotations

import importlib.util
import os
import unittest


@unittest.skipUnless(importlib.util.find_spec("qt"), "needs the 3D Slicer application, see run_in_slicer.py")
class HomeModuleTest(unittest.TestCase):
    def test_module_is_loaded_from_this_checkout(self):
        import slicer

        root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        expected = os.path.join(root, "SparseToPrecise", "SparseToPrecise.py")
        self.assertTrue(os.path.samefile(slicer.modules.sparsetoprecise.path, expected))

    def test_start_up_imports_no_torch(self):
        import sys

        # No test of this level imports them in the application's own process.
        self.assertEqual(set(sys.modules) & {"torch", "monai"}, set())

    def test_panel_opens(self):
        import slicer

        slicer.util.selectModule("SparseToPrecise")
        slicer.app.processEvents()
        widget = slicer.modules.sparsetoprecise.widgetRepresentation().self()
        self.assertGreater(widget.ui.requirementsTable.rowCount, 0)

    def test_self_test_passes(self):
        import slicer
        import slicer.testing

        folder = os.path.dirname(slicer.modules.sparsetoprecise.path)
        slicer.testing.runUnitTest([folder], "SparseToPrecise")
