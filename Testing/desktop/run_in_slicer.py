"""Run the desktop tests inside Slicer; the exit code is 0 only when tests ran and all of them passed.

Slicer --no-splash --testing --disable-settings --ignore-slicerrc --additional-module-paths SparseToPrecise \
    --python-script Testing/desktop/run_in_slicer.py
"""

import os
import sys
import traceback
import unittest

import slicer


def run() -> int:
    """Find and run test_*.py beside this file; without pytest, which Slicer does not bring."""
    folder = os.path.dirname(os.path.abspath(__file__))
    suite = unittest.defaultTestLoader.discover(folder, pattern="test_*.py", top_level_dir=folder)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    ran = result.testsRun - len(result.skipped)
    print(f"Slicer {slicer.app.applicationVersion}: {ran} desktop tests ran, {len(result.skipped)} skipped", flush=True)
    return 0 if result.wasSuccessful() and ran > 0 else 1


try:
    code = run()
except BaseException:
    traceback.print_exc()
    code = 1
slicer.util.exit(code)
