"""The real MRML scene on slicer-core, emptied for every test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import vtk

from known_shape import GRIDS, SHAPE_KJI
from SparseToPreciseLib.core.volume import Grid


@pytest.fixture(params=GRIDS.values(), ids=GRIDS.keys())
def grid(request) -> Grid:
    return Grid(SHAPE_KJI, request.param)


@pytest.fixture
def scene():
    """The scene, without what earlier tests left in it."""
    pytest.importorskip("slicer")
    from SparseToPreciseLib.mrml import headless

    scene = headless.scene()
    scene.Clear(False)
    yield scene
    scene.Clear(False)


@pytest.fixture
def segmentation(scene):
    """An empty segmentation node called Organs."""
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Organs")
    node.CreateDefaultDisplayNodes()
    return node


@pytest.fixture
def linear(scene):
    """Make a linear transform node from a 4x4 matrix, optionally under another one."""

    def make(array: np.ndarray, parent=None):
        node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        values = vtk.vtkMatrix4x4()
        values.DeepCopy(np.asarray(array, float).ravel())
        node.SetMatrixTransformToParent(values)
        if parent is not None:
            node.SetAndObserveTransformNodeID(parent.GetID())
        return node

    return make


@pytest.fixture
def bent(scene):
    """A transform that is not linear: a grid of displacements of some mm."""
    import slicer

    displacement = vtk.vtkImageData()
    displacement.SetDimensions(3, 3, 3)
    displacement.SetSpacing(30, 30, 30)
    displacement.SetOrigin(-30, -30, -30)
    displacement.AllocateScalars(vtk.VTK_DOUBLE, 3)
    for point in range(27):
        displacement.GetPointData().GetScalars().SetTuple3(point, point % 3, 0, point % 2)
    transform = slicer.vtkOrientedGridTransform()
    transform.SetDisplacementGridData(displacement)
    node = scene.AddNewNodeByClass("vtkMRMLGridTransformNode", "Bent")
    node.SetAndObserveTransformToParent(transform)
    return node


@pytest.fixture(scope="session")
def case_template(tmp_path_factory):
    """A folder with the files of `cli_files.write_case`."""
    pytest.importorskip("slicer")
    from cli_files import write_case

    folder = tmp_path_factory.mktemp("case")
    write_case(folder)
    return folder


@pytest.fixture
def folder(case_template, tmp_path, scene):
    """A fresh copy of the case, and a clean scene."""
    import shutil

    return Path(shutil.copytree(case_template, tmp_path / "case"))


@pytest.fixture
def cli(capfd, folder):
    from cli_files import CommandLine

    return CommandLine(capfd, folder)


@pytest.fixture(scope="session")
def box_template(tmp_path_factory, corrector_bundle: Path, segmenter_bundle: Path):
    """A folder with the files of `cli_files.write_box_case` and two bundles, corrector/ and segmenter/."""
    pytest.importorskip("slicer")
    import shutil

    from cli_files import write_box_case

    folder = tmp_path_factory.mktemp("box")
    write_box_case(folder)
    shutil.copytree(corrector_bundle, folder / "corrector")
    shutil.copytree(segmenter_bundle, folder / "segmenter")
    return folder


@pytest.fixture
def box_folder(box_template, tmp_path, scene):
    """A fresh copy of the case with a box, and a clean scene."""
    import shutil

    return Path(shutil.copytree(box_template, tmp_path / "box"))


@pytest.fixture
def box_cli(capfd, box_folder):
    from cli_files import CommandLine

    return CommandLine(capfd, box_folder)
