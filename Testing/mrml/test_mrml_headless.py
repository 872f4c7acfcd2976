"""The scene and the logics without the application."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import slicer

from SparseToPreciseLib.mrml import headless


def test_bootstrap_is_idempotent_and_fakes_nothing(scene):
    assert headless.bootstrap() is scene is headless.scene() is slicer.mrmlScene
    assert headless.logic("Markups") is headless.logic("Markups")
    assert not hasattr(slicer, "app") and not hasattr(slicer, "modules")
    assert "qt" not in sys.modules and "ctk" not in sys.modules


@pytest.mark.parametrize("name", ["Colors", "Volumes", "Transforms", "Segmentations", "Markups"])
def test_the_logics_are_real_and_work_on_the_scene(scene, name):
    assert headless.logic(name).GetMRMLScene() is scene
    assert headless.logic(name).IsA("vtkMRMLAbstractLogic")


def test_an_unknown_logic_is_named(scene):
    with pytest.raises(KeyError, match="Nonsense"):
        headless.logic("Nonsense")


def test_the_segment_editor_node_is_registered(scene):
    assert scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode") is not None


def test_in_the_desktop_the_applications_scene_and_logics_are_used(monkeypatch):
    class Application:
        def applicationLogic(self):
            return self

        def GetModuleLogic(self, name):
            return f"the application's {name}"

    desktop_scene = object()
    monkeypatch.setattr(slicer, "app", Application(), raising=False)
    monkeypatch.setattr(slicer, "mrmlScene", desktop_scene, raising=False)
    assert headless.scene() is desktop_scene
    assert headless.logic("Volumes") == "the application's Volumes"


def test_quiet_keeps_what_cpp_prints_and_lets_python_print_again(capfd):
    with headless.quiet() as printed:
        os.write(1, b"to stdout ")
        os.write(2, b"to stderr")
    os.write(2, b"after")
    assert printed.text == "to stdout to stderr"
    assert capfd.readouterr() == ("", "after")


def test_quiet_gives_the_descriptors_back_after_an_error(capfd):
    with pytest.raises(ZeroDivisionError), headless.quiet() as printed:
        os.write(2, b"noise")
        _ = 1 / 0
    os.write(2, b"after")
    assert printed.text == "noise" and capfd.readouterr().err == "after"


def test_quiet_gives_the_descriptors_back_when_it_is_stopped_half_way(capfd, monkeypatch):
    real = os.dup2

    def dup2(source, destination):
        real(source, destination)
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "dup2", dup2)
    with pytest.raises(KeyboardInterrupt), headless.quiet():
        pytest.fail("it was stopped before")
    os.write(1, b"out")
    os.write(2, b"err")
    assert capfd.readouterr() == ("out", "err")


def test_quiet_gives_the_descriptors_back_when_it_is_stopped_at_its_end(capfd, monkeypatch):
    real = os.dup2

    def dup2(source, destination):
        monkeypatch.undo()
        real(source, destination)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), headless.quiet():
        monkeypatch.setattr(os, "dup2", dup2)
    os.write(1, b"out")
    os.write(2, b"err")
    assert capfd.readouterr() == ("out", "err")


def test_a_process_starts_and_ends_without_a_word(tmp_path):
    code = "from SparseToPreciseLib.mrml import headless; headless.scene(); print('done')"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert (result.returncode, result.stdout, result.stderr) == (0, "done\n", "")
