"""The home module and the Qt pieces that all modules share, in the application.

Nothing is installed here: the set-up is driven with an application made of answers.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
import time
import unittest
from pathlib import Path

from desktop_support import ROOT, needs_slicer, needs_torch, screenshot, wait_until
from module_case import use_models


def home_widget():
    import slicer

    slicer.util.selectModule("SparseToPrecise")
    slicer.app.processEvents()
    return slicer.modules.sparsetoprecise.widgetRepresentation().self()


def parent_for(test):
    """A parent for a widget of ours: Qt must own it, as in a module, or PythonQt deletes it a second time."""
    import qt

    parent = qt.QWidget()
    test.addCleanup(parent.deleteLater)
    return parent


class Answers:
    """An application for the set-up: each step changes what it answers next, or raises."""

    slicer_version = "5.12.0"

    def __init__(self):
        self.pending = self.installed = self.loaded = False
        self.packaging = True
        self.torch_version, self.missing, self.fails = None, ["monai>=1.5"], None
        self.calls = []

    def restart_pending(self):
        return self.pending

    def has_packaging(self):
        return self.packaging

    def torch_is_made(self):
        return True

    def can_install_extensions(self):
        return True

    def extension_installed(self):
        return self.installed

    def extension_loaded(self):
        return self.loaded

    def torch(self):
        from SparseToPreciseLib.core.requirements import RequirementState

        return RequirementState("torch", ">=2.8", self.torch_version, self.torch_version is not None)

    def missing_packages(self):
        return self.missing

    def _call(self, name):
        self.calls.append(name)
        print(f"working on {name}")
        if self.fails:
            raise self.fails

    def install_extension(self):
        self._call("extension")
        self.installed = True
        return True

    def install_torch(self, versions):
        self._call("torch" + versions)
        self.torch_version = "2.9.0"
        return True

    def install_packages(self, requirements):
        self._call(list(requirements))
        self.missing = []

    def restart(self):
        self._call("restart")
        self.pending, self.loaded = False, self.installed


@needs_slicer
class SetupRowTest(unittest.TestCase):
    def setUp(self):
        from SparseToPreciseLib.desktop.setup_row import SetupRow

        self.answers, self.readies = Answers(), []
        self.parent = parent_for(self)
        self.row = SetupRow(
            self.parent, lambda: self.readies.append(1), meanwhile="Warps work without.", environment=self.answers
        )

    def test_one_button_leads_from_nothing_to_ready(self):
        from SparseToPreciseLib.core.setup_states import SetupState

        seen = []
        while not self.row.ready and len(seen) < 10:
            seen.append(self.row.step.state)
            self.assertTrue(self.row.label.text.endswith("Warps work without."))
            self.assertFalse(self.row.isHidden())
            calls = len(self.answers.calls)
            self.row.refresh()  # looking does nothing
            self.assertEqual(len(self.answers.calls), calls)
            self.row.button.click()
            self.assertEqual(len(self.answers.calls), calls + 1)
        states = [SetupState.EXTENSION_MISSING, SetupState.RESTART_NEEDED, SetupState.TORCH_MISSING]
        self.assertEqual(seen, [*states, SetupState.PACKAGES_MISSING])
        self.assertEqual(self.answers.calls, ["extension", "restart", "torch>=2.8", ["monai>=1.5"]])
        self.assertTrue(self.row.isHidden())
        self.assertEqual(self.readies, [1])
        self.row.refresh()
        self.assertEqual(self.readies, [1])

    def test_failure_is_one_sentence_with_the_output_behind_details(self):
        import subprocess

        self.answers.torch_version = "2.9.0"
        self.row.refresh()
        self.answers.fails = subprocess.CalledProcessError(1, "pip install")
        self.row.button.click()
        self.assertIn("failed (code 1)", self.row.failure_label.text)
        log = self.row.details.findChild("QPlainTextEdit", "DetailsText").plainText
        self.assertIn("working on ['monai>=1.5']", log)
        self.assertIn("Traceback", log)
        self.assertFalse(self.row.details.isHidden())
        self.assertTrue(self.row.details.collapsed)
        self.assertTrue(self.row.button.enabled)
        self.answers.fails = None
        self.row.button.click()
        self.assertTrue(self.row.ready and self.row.failure_label.isHidden() and self.row.details.isHidden())

    def test_what_is_declined_is_said(self):
        self.answers.install_extension = lambda: False
        self.row.button.click()
        self.assertIn("extension was not installed", self.row.failure_label.text)
        self.assertTrue(self.row.details.isHidden())

    def test_too_old_a_slicer_has_a_sentence_and_no_button(self):
        self.answers.packaging = False
        self.row.refresh()
        self.assertIn("5.12", self.row.label.text)
        self.assertTrue(self.row.button.isHidden())

    def test_two_rows_do_not_install_twice(self):
        from SparseToPreciseLib.desktop.setup_row import SetupRow

        other = SetupRow(self.parent, environment=self.answers)
        other.button.click()
        self.row.button.click()
        self.assertEqual(self.answers.calls, ["extension"])

    def test_the_applications_own_answers(self):
        import slicer

        from SparseToPreciseLib.desktop.setup_environment import SlicerEnvironment, _noticing_replaced_packages

        environment = SlicerEnvironment()
        self.assertTrue(environment.has_packaging())
        self.assertEqual(environment.slicer_version, slicer.app.applicationVersion)
        self.assertIsInstance(environment.extension_installed(), bool)
        self.assertFalse(environment.restart_pending())
        self.assertNotIn("numpy", " ".join(environment.missing_packages()))
        with _noticing_replaced_packages():
            pass
        self.assertFalse(environment.restart_pending())
        slicer.app.setProperty("SparseToPreciseRestartPending", True)
        self.addCleanup(slicer.app.setProperty, "SparseToPreciseRestartPending", False)
        self.assertTrue(environment.restart_pending())

    def test_a_package_that_was_replaced_under_us_asks_for_a_restart(self):
        import slicer

        from SparseToPreciseLib.desktop import setup_environment

        self.addCleanup(slicer.app.setProperty, "SparseToPreciseRestartPending", False)
        real, versions = setup_environment.installed_versions, iter([{"numpy": "1"}, {"numpy": "2"}])
        setup_environment.installed_versions = lambda: next(versions)
        try:
            with setup_environment._noticing_replaced_packages():
                pass
        finally:
            setup_environment.installed_versions = real
        self.assertTrue(setup_environment.SlicerEnvironment().restart_pending())

    def test_pytorch_comes_through_its_extension(self):
        import sys
        import types

        from SparseToPreciseLib.desktop.setup_environment import SlicerEnvironment

        asked = []

        class Logic:
            def installTorch(self, askConfirmation=False, torchVersionRequirement=None):  # noqa: N802, N803
                asked.append((askConfirmation, torchVersionRequirement))
                return None if len(asked) > 1 else "torch"

        sys.modules["PyTorchUtils"] = types.SimpleNamespace(PyTorchUtilsLogic=Logic)
        self.addCleanup(sys.modules.pop, "PyTorchUtils")
        self.assertTrue(SlicerEnvironment().install_torch(">=2.8"))
        self.assertFalse(SlicerEnvironment().install_torch(">=2.8"))  # the user declined
        self.assertEqual(asked, [(True, ">=2.8")] * 2)

    def test_a_row_without_a_parent_opens_no_window(self):
        import qt

        from SparseToPreciseLib.desktop.setup_row import SetupRow

        row = SetupRow(environment=self.answers)
        self.assertFalse(row.visible)
        qt.QVBoxLayout(self.parent).addWidget(row)
        self.parent.show()
        self.assertTrue(row.visible)

    def test_in_testing_mode_nothing_is_installed(self):
        from SparseToPreciseLib.desktop.setup_environment import SlicerEnvironment

        SlicerEnvironment().install_packages(["no-such-package-of-sparse-to-precise"])  # pip would fail
        self.assertFalse(SlicerEnvironment().restart_pending())

    def test_the_home_module_is_resumed_once(self):
        import slicer

        from SparseToPreciseLib.desktop import settings

        self.assertFalse(settings.resumes())
        settings.resume_after_restart()
        slicer.util.selectModule("Data")
        from SparseToPrecise import SparseToPrecise

        SparseToPrecise.resumeSetup(None)  # as at the next start
        self.assertEqual(slicer.util.selectedModule(), "SparseToPrecise")
        self.assertFalse(settings.resumes())


@needs_slicer
class ModelsTest(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.addCleanup(lambda: self.panel.refresh())  # when the user's own models are back
        use_models(self.folder / "mine", self.addCleanup)
        self.widget = home_widget()
        self.panel, self.ui = self.widget.modelsPanel, self.widget.ui
        self.panel.refresh()
        self.given = self.folder / "given"
        shutil.copytree(ROOT / "SparseToPrecise" / "Resources" / "Models" / "editing", self.given)

    def own(self):
        return [one.path.name for one in self.panel.bundles if one.own]

    def finish(self):
        wait_until(lambda: self.panel.job is None, "the models panel's work", 300)

    @needs_torch
    def test_a_bundle_is_added_shown_and_removed(self):
        import slicer

        self.panel.add(self.given)
        self.assertFalse(self.ui.addModelButton.enabled)
        self.finish()
        self.assertIn("was added", self.ui.modelStatusLabel.text)
        self.assertEqual(self.own(), ["given"])
        row = [one.path.name for one in self.panel.bundles].index("given")
        self.assertEqual(self.ui.modelsTable.currentRow(), row)
        metadata = json.loads((self.given / "configs" / "metadata.json").read_text(encoding="utf-8"))
        cells = [self.ui.modelsTable.item(row, column) for column in range(7)]
        self.assertEqual(cells[0].text(), "editing")
        self.assertEqual(cells[1].text(), "editing (given)")
        self.assertEqual(cells[3].text(), "Apache-2.0")
        self.assertEqual(cells[5].text(), metadata["weights_sha256"][:12])
        self.assertEqual(cells[5].toolTip(), metadata["weights_sha256"])
        self.assertEqual(cells[6].text(), "yours")
        screenshot("home-module-with-a-bundle")
        width = slicer.util.mainWindow().width
        for _ in range(5):  # a stretched column that counts as content makes its table grow at each look
            self.panel.refresh()
            slicer.app.processEvents()
        self.assertEqual(slicer.util.mainWindow().width, width)
        self.assertLess(self.ui.modelsTable.width, 1000)

        self.panel.add(self.given)  # the name is in use; in testing mode nobody is asked
        self.finish()
        self.assertIn("already a model given", self.ui.modelStatusLabel.text)
        self.panel.add(self.given, "second")
        self.finish()
        self.assertEqual(self.own(), ["given", "second"])

        self.ui.checkModelButton.click()
        self.finish()
        self.assertIn("is whole", self.ui.modelStatusLabel.text)
        self.panel.remove(self.panel.selected(), ask=False)
        self.assertEqual(self.own(), ["given"])
        shipped = [one for one in self.panel.bundles if not one.own]
        self.panel.remove(shipped, ask=False)
        self.assertIn("left alone", self.ui.modelStatusLabel.text)
        self.panel.remove([one for one in self.panel.bundles if one.own], ask=False)
        self.assertEqual(self.own(), [])
        self.assertTrue(self.given.is_dir() and [one for one in self.panel.bundles if not one.own] == shipped)

    @needs_torch
    def test_a_tampered_bundle_is_refused_with_its_reason(self):
        weights = self.given / "models" / "model.pt"
        weights.write_bytes(weights.read_bytes()[:-1] + b"x")
        self.panel.add(self.given)
        self.finish()
        self.assertIn("SHA-256", self.ui.modelStatusLabel.text)
        self.assertEqual(self.own(), [])

    def test_a_broken_bundle_is_listed_with_its_reason(self):
        shutil.copytree(self.given, self.folder / "mine" / "broken")
        (self.folder / "mine" / "broken" / "models" / "model.pt").unlink()
        self.panel.refresh()
        self.panel.select(self.folder / "mine" / "broken")
        self.assertIn("it lacks models/model.pt", self.ui.modelCardBrowser.toPlainText())
        self.ui.checkModelButton.click()
        self.assertIn("it lacks models/model.pt", self.ui.modelStatusLabel.text)
        self.assertTrue(self.ui.removeModelButton.enabled)
        self.panel.remove(self.panel.selected(), ask=False)
        self.assertEqual(self.own(), [])

    def test_a_module_shows_the_familys_models_and_keeps_the_choice(self):
        from SparseToPreciseLib.desktop.model_selector import ModelSelector

        told = []
        warp = [("image-aware-warp", "Looks at the image.")]
        selector = ModelSelector("editing", warp, told.append, parent_for(self))
        names = [selector.combo_box.itemText(number) for number in range(selector.combo_box.count)]
        self.assertEqual(names, ["editing", "image-aware-warp"])
        selector.set_model("image-aware-warp")
        self.assertEqual((selector.model, told), ("image-aware-warp", ["image-aware-warp"]))
        self.assertIn("Looks at the image.", selector.combo_box.toolTip)  # Slicer wraps tooltips into a paragraph
        shutil.copytree(self.given, self.folder / "mine" / "another")
        selector.refresh()
        self.assertEqual((selector.model, len(told), selector.combo_box.count), ("image-aware-warp", 1, 3))
        selector.set_model("another")
        shutil.rmtree(self.folder / "mine" / "another")
        selector.refresh()
        self.assertEqual(selector.model, "another")  # from a saved scene, say: shown, not silently replaced
        self.assertIn("not installed", selector.combo_box.currentText)
        selector.set_model("editing")
        selector.refresh()
        self.assertEqual(selector.combo_box.count, 2)
        self.assertEqual(told, ["image-aware-warp", "another", "editing"])


@needs_slicer
class DeviceTest(unittest.TestCase):
    def setUp(self):
        from SparseToPreciseLib.desktop import settings

        self.settings = settings
        self.addCleanup(settings.set_device, settings.device())
        self.widget = home_widget()

    def test_the_choice_is_remembered(self):
        box = self.widget.ui.deviceComboBox
        box.setCurrentText("cpu")
        self.assertEqual(self.settings.device(), "cpu")
        box.setCurrentText("auto")
        self.assertEqual(self.settings.device(), "auto")
        self.settings.set_device("cuda:7")  # of another computer with the same settings: shown, not forgotten
        self.widget.enter()
        self.assertEqual(box.currentText, "cuda:7")

    @needs_torch
    def test_pytorch_tells_its_devices(self):
        self.widget.devicePanel.find()
        label = self.widget.ui.deviceLabel
        wait_until(lambda: "cpu:" in label.text, "the devices", 300)
        self.assertIn("auto takes", label.text)
        self.assertTrue(self.widget.ui.findDevicesButton.enabled)


@needs_slicer
class WorkerTest(unittest.TestCase):
    def setUp(self):
        from SparseToPreciseLib.desktop.worker import Worker

        self.worker, self.told = Worker(), []
        self.addCleanup(self.worker.stop)

    def done(self, result, error):
        self.told.append((result, error, threading.current_thread() is threading.main_thread()))

    def test_jobs_run_in_order_on_one_other_thread(self):
        names = [self.worker.submit(lambda progress: threading.get_ident(), self.done) for _ in range(3)]
        self.worker.wait(names[-1], 30)
        self.assertEqual(len({result for result, _, _ in self.told}), 1)
        self.assertNotEqual(self.told[0][0], threading.get_ident())
        self.assertEqual([told[1:] for told in self.told], [(None, True)] * 3)

    def test_steps_and_errors_come_on_the_main_thread(self):
        steps, go = [], threading.Event()

        def work(progress):
            progress(0.25, "a quarter")
            go.wait(30)
            raise KeyError("x")

        def stepped(fraction, message):
            steps.append((fraction, message, threading.current_thread() is threading.main_thread()))
            go.set()

        self.worker.wait(self.worker.submit(work, self.done, stepped), 30)
        self.assertEqual(steps, [(0.25, "a quarter", True)])
        self.assertIsInstance(self.told[0][1], KeyError)
        self.worker.wait(self.worker.submit(lambda progress: 1, self.done), 30)  # the thread lives on
        self.assertEqual(self.told[1][0], 1)

    def test_cancel_stops_the_running_one_and_skips_the_waiting_one(self):
        from SparseToPreciseLib.core.errors import Cancelled

        ran = []

        def endless(progress):
            while True:
                progress.check()
                time.sleep(0.001)

        jobs = [self.worker.submit(endless, self.done), self.worker.submit(lambda progress: ran.append(1), self.done)]
        for job in jobs:
            job.cancel()
        last = self.worker.submit(lambda progress: "last", self.done)
        self.worker.wait(last, 30)
        self.assertEqual([type(error) for _, error, _ in self.told], [Cancelled, Cancelled, type(None)])
        self.assertEqual((ran, self.told[2][0]), ([], "last"))

    def test_a_result_that_comes_after_cancel_is_not_handed_over(self):
        from SparseToPreciseLib.core.errors import Cancelled

        job = self.worker.submit(lambda progress: "result", self.done)
        job._ended.wait(30)
        job.cancel()
        self.worker.wait(job, 30)
        self.assertEqual((self.told[0][0], type(self.told[0][1])), (None, Cancelled))

    def test_who_waits_within_a_callback_is_served(self):
        def outer(result, error):
            self.worker.wait(self.worker.submit(lambda progress: "inner", self.done), 30)
            self.done(result, error)

        self.worker.wait(self.worker.submit(lambda progress: "outer", outer), 60)
        self.assertEqual([result for result, _, _ in self.told], ["inner", "outer"])

    def test_an_error_in_a_callback_keeps_nobody_else_waiting(self):
        def wrong(result, error):
            raise ValueError("in the callback")

        first, second = (self.worker.submit(lambda progress: 1, one) for one in (wrong, self.done))
        second._ended.wait(30)
        with self.assertRaises(ValueError):  # not from the timer: an error in a slot makes --testing fail
            self.worker._poll()
        self.assertTrue(first.finished)
        self.worker.wait(second, 30)

    def test_stop_waits_for_what_cannot_be_cancelled(self):
        ended = []

        def work(progress):
            time.sleep(5)  # as the first import of PyTorch; Python would crash if it ended meanwhile
            ended.append(True)

        self.worker.submit(work, self.done)
        time.sleep(0.2)
        self.worker.stop()
        self.assertEqual(ended, [True])

    def test_stop_tells_those_who_wait(self):
        from SparseToPreciseLib.core.errors import Cancelled

        go = threading.Event()
        self.worker.submit(lambda progress: go.wait(1), self.done)
        self.worker.submit(lambda progress: 1, self.done)
        self.worker.stop()
        self.assertEqual([type(error) for _, error, _ in self.told], [Cancelled, Cancelled])
        self.worker.wait(self.worker.submit(lambda progress: "again", self.done), 30)
        self.assertEqual(self.told[2][0], "again")


@needs_slicer
class ChildTest(unittest.TestCase):
    def setUp(self):
        from SparseToPreciseLib.desktop.child import Child

        self.events, self.outcomes = [], []
        self.child = Child(self.events.append, self.outcomes.append)
        self.addCleanup(self.child._quit)
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    @needs_torch
    def test_a_command_reports_and_gives_its_result(self):
        self.child.start(["demo", "--output", str(self.folder / "demo")])
        self.assertTrue(self.child.running)
        with self.assertRaises(RuntimeError):
            self.child.start(["demo"])
        wait_until(lambda: self.outcomes, "the end of the command", 300)
        (outcome,) = self.outcomes
        self.assertTrue(outcome.ok, outcome.sentence + outcome.log)
        self.assertFalse(self.child.running)
        fractions = [event["fraction"] for event in self.events]
        self.assertEqual(fractions[-1], 1)
        self.assertTrue(outcome.result and list((self.folder / "demo").iterdir()))

    @needs_torch
    def test_bad_input_is_one_sentence(self):
        self.child.start(["edit", "no.nrrd", "no.nrrd", "no.json", "--output", str(self.folder / "out.nrrd")])
        wait_until(lambda: self.outcomes, "the end of the command", 120)
        (outcome,) = self.outcomes
        self.assertFalse(outcome.ok or outcome.cancelled)
        self.assertIn("no.nrrd", outcome.sentence + outcome.log)

    @needs_torch
    def test_cancel_leaves_nothing(self):
        self.child.start(["demo", "--output", str(self.folder / "demo")])
        wait_until(lambda: self.events, "the first step", 120)
        self.child.cancel()
        wait_until(lambda: self.outcomes, "the end of the command", 60)
        self.assertTrue(self.outcomes[0].cancelled and not self.outcomes[0].ok)
        left = list(self.folder.rglob("*.nrrd"))
        self.assertEqual(left, [])


@needs_slicer
class RunRowTest(unittest.TestCase):
    def setUp(self):
        from SparseToPreciseLib.desktop.run_row import RunRow

        self.clicks = []
        run, cancel = (lambda name=name: self.clicks.append(name) for name in ("run", "cancel"))
        self.row = RunRow("Apply", run, cancel, parent_for(self))

    def test_from_apply_to_the_end(self):
        row = self.row
        row.set_ready(False, "Choose an image.")
        row.run_button.click()
        self.assertEqual(self.clicks, [])
        self.assertIn("Choose an image.", row.run_button.toolTip)
        row.set_ready(True, "")
        row.run_button.click()
        row.begin("starting")
        self.assertTrue(row.running and row.bar.maximum == 0 and not row.run_button.enabled)
        row.set_ready(True, "")  # a change in the scene while it runs must not allow a second run
        self.assertFalse(row.run_button.enabled)
        row.step(0.5, "half")
        self.assertEqual((row.bar.value, row.bar.maximum, row.status_label.text), (500, 1000, "half"))
        row.cancel_button.click()
        self.assertFalse(row.cancel_button.enabled)
        row.finish("done")
        self.assertEqual((self.clicks, row.status_label.text), (["run", "cancel"], "done"))
        self.assertTrue(row.run_button.enabled and row.bar.isHidden() and row.cancel_button.isHidden())

    def test_failure_has_details_until_the_next_run(self):
        self.row.fail("It failed.", "a log\nof lines")
        self.assertEqual(self.row.status_label.text, "It failed.")
        self.assertFalse(self.row.details.isHidden())
        self.assertTrue(self.row.details.collapsed)
        self.row.begin()
        self.assertTrue(self.row.details.isHidden())


@needs_slicer
class ReloadTest(unittest.TestCase):
    def test_reload_ends_the_thread_and_the_panel_works_again(self):
        import sys

        from SparseToPreciseLib.desktop.worker import shared_worker

        told = []
        worker = shared_worker()
        worker.wait(worker.submit(lambda progress: 1, lambda *given: told.append(given)), 30)
        thread = worker._thread
        home_widget().onReload()
        self.assertFalse(thread.is_alive())
        self.assertIsNot(sys.modules["SparseToPreciseLib.desktop.setup_row"], None)
        widget = home_widget()
        widget.enter()
        self.assertGreater(widget.ui.modelsTable.rowCount, 0)
