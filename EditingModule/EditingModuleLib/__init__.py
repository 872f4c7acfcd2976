"""The Segment Editor effect "Scribble edit".

The effect class must be importable from the package that bears its folder's name, and the registering module imports
this package: otherwise Slicer loads the file alone, and its relative imports fail. Nothing here imports more than Qt
and VTK before the effect is used.
"""

import os

from .SegmentEditorEffect import SegmentEditorEffect

__all__ = ["SegmentEditorEffect", "register"]


def register():
    """Make the effect known to the Segment Editor; call it once, when the application has started."""
    import qSlicerSegmentationsEditorEffectsPythonQt as effects

    effect = effects.qSlicerSegmentEditorScriptedEffect(None)
    path = os.path.join(os.path.dirname(__file__), "SegmentEditorEffect.py")
    effect.setPythonSource(path.replace("\\", "/"))
    effect.self().register()
