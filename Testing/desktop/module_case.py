"""What the tests of a module share: models of their own, and the module open on a clean scene with one image."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import unittest
from collections.abc import Callable
from pathlib import Path

from desktop_support import ROOT

MODELS = "SPARSE_TO_PRECISE_MODELS"


def use_models(folder: str | Path, clean_up: Callable) -> None:
    """Make a folder that of the user's models, until what is given to `clean_up` (e.g. `addCleanup`) is called."""
    before = os.environ.get(MODELS)
    os.environ[MODELS] = str(folder)

    def restore() -> None:
        if before is None:
            os.environ.pop(MODELS, None)
        else:
            os.environ[MODELS] = before

    clean_up(restore)


class ModuleCase(unittest.TestCase):
    """The tests of one module.

    Attributes
    ----------
    module
        Its name, said by the tests' class.
    folder
        Of the models that the module finds, next to those that are shipped.
    panel
        The module's widget, after `open_with`.
    """

    module: str
    folder: Path

    @classmethod
    def setUpClass(cls):
        testing = str(ROOT / "Testing")
        if testing not in sys.path:
            sys.path.insert(0, testing)
        cls.folder = Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        use_models(cls.folder, cls.addClassCleanup)
        cls.make_models()

    @classmethod
    def make_models(cls):
        """Put what the tests need into `folder`; `Testing` can be imported from."""

    def open_with(self, volume, name: str):
        """Open the module on an empty scene and show an image in the slice views.

        Parameters
        ----------
        volume
            A `core.volume.Volume`.
        name
            Of its node.

        Returns
        -------
        vtkMRMLScalarVolumeNode
            The image.
        """
        import slicer

        from SparseToPreciseLib.mrml.volumes import volume_to_node

        slicer.mrmlScene.Clear()
        slicer.util.selectModule(self.module)
        self.panel = getattr(slicer.modules, self.module.lower()).widgetRepresentation().self()
        self.panel.enter()
        image = volume_to_node(volume, name)
        image.CreateDefaultDisplayNodes()
        slicer.util.setSliceViewerLayers(background=image, fit=True)
        return image
