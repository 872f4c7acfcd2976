"""What every start of Slicer pays for the extension: the import of its module files, and nothing heavy with it.

The application's own modules (qt, ctk, slicer, vtk) are already there when it loads an extension; here stubs stand for
them. Each module file is imported when only its own folder and those before it are on the path, as in the application.
"""

from __future__ import annotations

import re
import subprocess
import sys

import house

MODULES = house.module_folders()
LIMIT_MS = 50  # for all modules together, asked for by the design
HEAVY = {"torch", "monai", "scipy", "SimpleITK", "skimage", "matplotlib", "numpy"}

STUBS = '''
import importlib.abc, importlib.machinery, logging, os, re, sys, types, typing, unittest

class StubClass(type):
    def __getattr__(cls, name):  # constants such as qt.Qt.AlignLeft
        if name.startswith("__"):
            raise AttributeError(name)
        return 0

class Stub(types.ModuleType):
    __path__ = []
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        if not re.match("(vtk|ctk|q)?[A-Z]", name):  # functions and decorators give back what they are given
            return lambda *given, **named: given[0] if given else (lambda one: one)
        made = StubClass(name, (), {"__init__": lambda self, *given, **named: None})
        setattr(self, name, made)
        return made

class Stubs(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    names = {"qt", "ctk", "slicer", "vtk", "SampleData", "SegmentEditorEffects", "vtkSegmentationCore"}
    def find_spec(self, name, path=None, target=None):
        return importlib.machinery.ModuleSpec(name, self) if name.split(".")[0] in self.names else None
    def create_module(self, spec):
        return Stub(spec.name)
    def exec_module(self, module):
        pass

sys.meta_path.insert(0, Stubs())
for name in ("qt", "ctk", "vtk", "slicer", "slicer.util", "slicer.i18n", "slicer.ScriptedLoadableModule",
             "slicer.parameterNodeWrapper", "SegmentEditorEffects"):
    __import__(name)
'''


def start(folders: list) -> tuple[float, set[str]]:
    """Milliseconds of the import of the modules in these folders, and the heavy packages that came with it."""
    code = STUBS + "".join(f"sys.path.insert(0, {str(folder)!r}); import {folder.name}\n" for folder in folders)
    code += f"print(*({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-I", "-X", "importtime", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    spent = {name: int(us) for us, name in re.findall(r"(?m)^import time: +\d+ \| +(\d+) \| (\w+)$", done.stderr)}
    return sum(spent[folder.name] for folder in folders) / 1000, set(done.stdout.split())


def test_module_files_are_imported_fast_and_bring_nothing_heavy():
    runs = [start(MODULES) for _ in range(5)]
    assert all(heavy == set() for _, heavy in runs), f"the start of Slicer would import {runs[0][1]}"
    # The least of several runs: a busy computer makes an import slower, never faster.
    assert min(spent for spent, _ in runs) < LIMIT_MS, f"{[round(spent, 1) for spent, _ in runs]} ms"


def test_each_module_file_is_imported_without_the_others():
    for folder in MODULES:
        start([folder])


def planted(tmp_path, source: str) -> list:
    folder = tmp_path / "Planted"
    folder.mkdir()
    (folder / "Planted.py").write_text("import slicer\nfrom slicer.i18n import tr as _\n" + source)
    return [folder]


def test_a_planted_heavy_import_is_found(tmp_path):
    assert start(planted(tmp_path, "import scipy.ndimage"))[1] == {"scipy", "numpy"}


def test_planted_slow_code_at_file_scope_is_found(tmp_path):
    assert start(planted(tmp_path, "import time\ntime.sleep(0.06)"))[0] > LIMIT_MS
