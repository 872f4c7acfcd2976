"""Runs the desktop tests inside Slicer; started by run_in_slicer.sh, which tells in DESKTOP_* what to do.

The exit code is 0 only when tests ran and all of them passed. Slicer brings no pytest; this is unittest.
"""

from __future__ import annotations

import collections
import faulthandler
import json
import os
import re
import sys
import traceback
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
HIDDEN = {name for name in os.environ.get("DESKTOP_HIDE", "").split(",") if name}

from hidden_packages import hide  # noqa: E402

hide(HIDDEN)

import desktop_support  # noqa: E402
import slicer  # noqa: E402
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest  # noqa: E402


class Result(unittest.TextTestResult):
    """Counts an exception in a slot or an observer, which Qt and VTK swallow, as an error of the running test."""

    def startTest(self, test):  # noqa: N802
        desktop_support.uncaught.clear()
        super().startTest(test)

    def addSuccess(self, test):  # noqa: N802
        if desktop_support.uncaught:
            self.addError(test, desktop_support.uncaught[0])
        else:
            super().addSuccess(test)

    def addError(self, test, err):  # noqa: N802
        super().addError(test, err)
        self._tell(test, self.errors[-1][1])

    def addFailure(self, test, err):  # noqa: N802
        super().addFailure(test, err)
        self._tell(test, self.failures[-1][1])

    def addSubTest(self, test, subtest, err):  # noqa: N802
        super().addSubTest(test, subtest, err)
        if err is not None:
            found = self.failures if issubclass(err[0], test.failureException) else self.errors
            self._tell(subtest, found[-1][1])

    def _tell(self, test, traceback_text):
        """At once, with a picture: the application may not come to the end of the tests."""
        self.stream.writeln(traceback_text)
        try:
            desktop_support.screenshot("failed-" + re.sub(r"[^\w.-]+", "_", test.id())[-120:])
        except Exception:  # the picture is an extra; what failed is already noted
            traceback.print_exc()

    def printErrors(self):  # noqa: N802
        """Nothing more at the end."""


def tests() -> unittest.TestSuite:
    """Generic checks; with a main window also each module's own tests and the files test_*.py beside this one."""
    import generic_checks

    found = [generic_checks.suite()]
    if slicer.util.mainWindow() is not None:
        loader = unittest.defaultTestLoader
        found += [loader.loadTestsFromName(name) for name in desktop_support.module_names()]
        found.append(loader.discover(str(HERE), pattern="test_*.py", top_level_dir=str(HERE)))
    only = os.environ.get("DESKTOP_ONLY", "")
    # The base class that every module file imports counts as a test that does nothing.
    all_tests = [test for suite in found for test in flat(suite) if type(test) is not ScriptedLoadableModuleTest]
    return unittest.TestSuite(test for test in all_tests if only in test.id())


def flat(suite: unittest.TestSuite):
    for one in suite:
        if isinstance(one, unittest.TestSuite):
            yield from flat(one)
        else:
            yield one


def run() -> int:
    if sys.__stderr__ is not None:  # a crash, and what hangs shortly before the time is over, leave their traceback
        faulthandler.enable(sys.__stderr__)
        faulthandler.dump_traceback_later(0.95 * float(os.environ.get("DESKTOP_TIMEOUT", 1200)), file=sys.__stderr__)
    if slicer.util.mainWindow() is not None:
        slicer.util.mainWindow().resize(1600, 1000)  # the same pictures everywhere
        slicer.app.processEvents()
    sys.excepthook = lambda *error: (desktop_support.uncaught.append(error), sys.__excepthook__(*error))
    runner = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=Result)
    result = runner.run(tests())
    ran = result.testsRun - len(result.skipped)
    summary = {
        "slicer": slicer.app.applicationVersion,
        "python": sys.version.split()[0],
        "hidden packages": sorted(HIDDEN),
        "ran": ran,
        "failed": sorted(test.id() for test, _ in [*result.failures, *result.errors]),
        "skipped": dict(collections.Counter(reason for _, reason in result.skipped)),
    }
    name = os.environ.get("DESKTOP_PASS", "desktop-tests")
    folder = Path(os.environ.get("DESKTOP_SCREENSHOTS") or slicer.app.temporaryPath)
    (folder / f"{name}.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    print(f"{ran} desktop tests ran, {len(result.skipped)} skipped", flush=True)
    return 0 if result.wasSuccessful() and ran > 0 else 1


try:
    code = run()
except BaseException:
    traceback.print_exc()
    code = 1
# With --testing Slicer ends with 1 after any uncaught exception, also after one that a test provoked and collected
# (those that nobody expected have failed their tests by now). Running code anew resets what it remembers.
slicer.app.pythonManager().executeString("pass")
slicer.util.exit(code)
