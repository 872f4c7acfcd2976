"""Slice and 3D views of the real MRML scene, rendered off screen into arrays; for the pictures of the documentation.

What is drawn comes from Slicer's own displayable managers, so a picture shows a segmentation, a curve or an ROI as the
application shows it in its views.
"""

from __future__ import annotations

import numpy as np
import slicer
import vtk
import vtk.util.numpy_support

from SparseToPreciseLib.core.quiet import quiet
from SparseToPreciseLib.mrml.headless import logic, scene

_SLICE_MANAGERS = ("vtkMRMLSegmentationsDisplayableManager2D", "vtkMRMLMarkupsDisplayableManager")
_SURFACE_MANAGERS = ("vtkMRMLSegmentationsDisplayableManager3D", "vtkMRMLMarkupsDisplayableManager")


def slice_picture(
    volume: slicer.vtkMRMLScalarVolumeNode,
    center_ras: np.ndarray,
    *,
    orientation: str = "Axial",
    field_of_view_mm: float = 120.0,
    size: tuple[int, int] = (480, 480),
    overlay: slicer.vtkMRMLScalarVolumeNode | None = None,
    opacity: float = 1.0,
) -> np.ndarray:
    """A slice view of the current scene.

    Parameters
    ----------
    volume
        The background; its display node's window and level count.
    center_ras
        Where the view's centre lies, mm.
    orientation
        Axial, Coronal or Sagittal; the slices are then turned onto the volume's own axes.
    field_of_view_mm
        Width of the view.
    size
        (width, height) of the picture in pixels.
    overlay, opacity
        A volume over the background, in its own colours.

    Returns
    -------
    numpy.ndarray
        (height, width, 3) uint8.
    """
    application = logic("Segmentations").GetMRMLApplicationLogic()
    slice_logic = slicer.vtkMRMLSliceLogic()
    slice_logic.SetMRMLApplicationLogic(application)
    slice_logic.SetMRMLScene(scene())
    slice_node = slice_logic.AddSliceNode(scene().GenerateUniqueName("Picture"))
    slice_logic.GetSliceCompositeNode().SetBackgroundVolumeID(volume.GetID())
    if overlay is not None:
        slice_logic.GetSliceCompositeNode().SetForegroundVolumeID(overlay.GetID())
        slice_logic.GetSliceCompositeNode().SetForegroundOpacity(opacity)
    slice_node.SetOrientation(orientation)
    slice_logic.RotateSliceToLowestVolumeAxes(True)
    slice_node.SetDimensions(*size, 1)
    slice_node.SetFieldOfView(field_of_view_mm, field_of_view_mm * size[1] / size[0], 1.0)
    slice_node.JumpSliceByCentering(*center_ras)
    slice_node.UpdateMatrices()

    window, renderer = _window(size)
    renderer.GetActiveCamera().ParallelProjectionOn()
    mapper = vtk.vtkImageMapper()
    mapper.SetColorWindow(255)
    mapper.SetColorLevel(127.5)
    mapper.SetInputConnection(slice_logic.GetImageDataConnection())
    background = vtk.vtkActor2D()
    background.SetMapper(mapper)
    background.GetProperty().SetDisplayLocationToBackground()
    renderer.AddViewProp(background)  # before what lies on it, which would blend with nothing else
    managers = _managers(slicer.vtkMRMLSliceViewDisplayableManagerFactory, _SLICE_MANAGERS, renderer, slice_node)
    picture = _rendered(window)
    managers.SetMRMLDisplayableNode(None)
    scene().RemoveNode(slice_logic.GetSliceCompositeNode())
    scene().RemoveNode(slice_node)
    return picture


def surface_picture(
    center_ras: np.ndarray,
    *,
    from_direction_ras: tuple[float, float, float] = (0.5, 1.0, 0.4),
    field_of_view_mm: float = 120.0,
    size: tuple[int, int] = (480, 480),
) -> np.ndarray:
    """A 3D view of the current scene (closed surfaces of the segmentations, markups), looked at from a direction.

    Returns
    -------
    numpy.ndarray
        (height, width, 3) uint8.
    """
    view_node = scene().AddNewNodeByClass("vtkMRMLViewNode", scene().GenerateUniqueName("Picture"))
    window, renderer = _window(size)
    renderer.SetBackground(0.16, 0.17, 0.2)
    managers = _managers(slicer.vtkMRMLThreeDViewDisplayableManagerFactory, _SURFACE_MANAGERS, renderer, view_node)
    direction = np.asarray(from_direction_ras, dtype=float)
    camera = renderer.GetActiveCamera()
    camera.SetFocalPoint(*center_ras)
    camera.SetPosition(*(np.asarray(center_ras) + direction / np.linalg.norm(direction) * 4 * field_of_view_mm))
    camera.SetViewUp(0, 0, 1)
    camera.ParallelProjectionOn()
    camera.SetParallelScale(field_of_view_mm / 2)
    renderer.ResetCameraClippingRange()
    picture = _rendered(window)
    managers.SetMRMLDisplayableNode(None)
    scene().RemoveNode(view_node)
    return picture


def _window(size: tuple[int, int]) -> tuple[vtk.vtkRenderWindow, vtk.vtkRenderer]:
    window, renderer = vtk.vtkRenderWindow(), vtk.vtkRenderer()
    window.SetOffScreenRendering(True)
    window.SetMultiSamples(8)
    window.SetSize(*size)
    window.AddRenderer(renderer)
    interactor = vtk.vtkRenderWindowInteractor()  # the managers of markups ask for it
    interactor.SetRenderWindow(window)
    return window, renderer


def _managers(factory_class, names, renderer, view_node) -> slicer.vtkMRMLDisplayableManagerGroup:
    factory = factory_class.GetInstance()
    factory.SetMRMLApplicationLogic(logic("Segmentations").GetMRMLApplicationLogic())
    for name in names:
        if not factory.IsDisplayableManagerRegistered(name):
            factory.RegisterDisplayableManager(name)
    group = slicer.vtkMRMLDisplayableManagerGroup()
    group.SetRenderer(renderer)
    group.Initialize(factory, renderer)
    group.SetMRMLDisplayableNode(view_node)
    return group


def _rendered(window: vtk.vtkRenderWindow) -> np.ndarray:
    with quiet():  # without a display, VTK says that it takes another way
        window.Render()
        grabber = vtk.vtkWindowToImageFilter()
        grabber.SetInput(window)
        grabber.ReadFrontBufferOff()
        grabber.Update()
    image = grabber.GetOutput()
    width, height, _ = image.GetDimensions()
    values = vtk.util.numpy_support.vtk_to_numpy(image.GetPointData().GetScalars())
    return values.reshape(height, width, -1)[::-1, :, :3].copy()
