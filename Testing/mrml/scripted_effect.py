"""What a Segment Editor effect talks to (`scriptedEffect`), over the real segment editor logic instead of its widget.

Every method does what the application's C++ class does with the same logic; nothing is computed here.
"""

from __future__ import annotations

import slicer

from SparseToPreciseLib.mrml.headless import logic as module_logic


class ScriptedEffect:
    """The methods of `qSlicerSegmentEditorScriptedEffect` that the computing path uses."""

    def __init__(self, scene: slicer.vtkMRMLScene) -> None:
        self.logic = slicer.vtkSlicerSegmentEditorLogic()
        self.logic.SetMRMLScene(scene)
        self.logic.SetMRMLApplicationLogic(module_logic("Segmentations").GetMRMLApplicationLogic())
        self._parameters = scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
        self.logic.SetSegmentEditorNode(self._parameters)
        for mode in ("Set", "Add", "Remove", "RemoveAll"):
            name = f"ModificationMode{mode}"
            setattr(self, name, getattr(slicer.vtkSlicerSegmentEditorLogic, name))

    def select(self, segmentation, segment_id: str, volume) -> None:
        self.logic.SetSegmentationNode(segmentation)
        self.logic.SetSourceVolumeNode(volume)
        self.logic.SetCurrentSegmentID(segment_id)

    def parameterSetNode(self):  # noqa: N802
        return self._parameters

    def modifySelectedSegmentByLabelmap(self, labelmap, mode, bypass=False):  # noqa: N802
        self.logic.ModifySegmentByLabelmap(
            self._parameters.GetSegmentationNode(),
            self._parameters.GetSelectedSegmentID(),
            labelmap,
            mode,
            True,
            bypass,
        )

    def saveStateForUndo(self):  # noqa: N802
        self.logic.SaveStateForUndo()

    def undo(self) -> None:
        self.logic.Undo()

    def redo(self) -> None:
        self.logic.Redo()

    def referenceGeometryImage(self):  # noqa: N802
        return self.logic.GetReferenceGeometryImage() if self.logic.UpdateReferenceGeometryImage() else None

    def maskLabelmap(self):  # noqa: N802
        return self.logic.GetMaskLabelmap() if self.logic.UpdateMaskLabelmap() else None

    def sourceVolumeImageData(self):  # noqa: N802
        return self.logic.GetAlignedSourceVolume() if self.logic.UpdateAlignedSourceVolume() else None
