"""The scene and the logics, in the one way that works in the desktop application and on slicer-core.

slicer-core is Slicer without Qt: the real MRML scene and the real module logics. Nothing is imitated here;
`slicer.app` stays absent where there is no application, and code that needs it does not belong into `mrml`.
"""

from __future__ import annotations

import contextlib
import importlib
from types import SimpleNamespace

import slicer

from ..core.quiet import quiet

# Name under which the desktop registers a logic -> class. Order matters: colours before what is displayed with them.
_LOGICS = {
    "Colors": "vtkSlicerColorLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Markups": "vtkSlicerMarkupsLogic",
}
# What bootstrap() made; MRML keeps weak references only, so somebody has to hold the logics.
_made = SimpleNamespace(application_logic=None, logics={})


def is_desktop() -> bool:
    """Whether this is the desktop application, with Qt."""
    return getattr(slicer, "app", None) is not None


def bootstrap() -> slicer.vtkMRMLScene:
    """Make the scene and the module logics where there is no application; any later call changes nothing.

    Returns
    -------
    vtkMRMLScene
        `slicer.mrmlScene`, the application's own in the desktop.
    """
    if is_desktop():
        return slicer.mrmlScene
    if _made.application_logic is not None:
        return _made.application_logic.GetMRMLScene()
    _import_module_classes()
    scene = getattr(slicer, "mrmlScene", None) or slicer.vtkMRMLScene()
    application_logic = slicer.vtkSlicerApplicationLogic()
    with quiet():
        application_logic.SetMRMLScene(scene)
        for name, class_name in _LOGICS.items():
            module_logic = getattr(slicer, class_name)()
            module_logic.SetMRMLApplicationLogic(application_logic)
            module_logic.SetMRMLScene(scene)
            application_logic.SetModuleLogic(name, module_logic)
            _made.logics[name] = module_logic
    _made.application_logic = application_logic
    slicer.mrmlScene = scene
    return scene


def _import_module_classes() -> None:
    # slicer-core has them all; in PythonSlicer only the application would bring the modules' classes into `slicer`.
    for name, class_name in _LOGICS.items():
        for part in () if hasattr(slicer, class_name) else ("MRML", "Logic"):
            with contextlib.suppress(ModuleNotFoundError):  # not every module has nodes of its own
                module = importlib.import_module(f"vtkSlicer{name}Module{part}Python")
                vars(slicer).update({name: value for name, value in vars(module).items() if name.startswith("vtk")})


def scene() -> slicer.vtkMRMLScene:
    """The MRML scene: the application's in the desktop, else one that is made on the first call."""
    return bootstrap()


def logic(name: str) -> slicer.vtkMRMLAbstractLogic:
    """A module's logic by the module's name, e.g. `logic("Markups")`.

    Raises
    ------
    KeyError
        No such module is loaded.
    """
    bootstrap()
    application_logic = slicer.app.applicationLogic() if is_desktop() else _made.application_logic
    found = application_logic.GetModuleLogic(name)
    if found is None:
        raise KeyError(f"no logic of a module called {name}")
    return found
