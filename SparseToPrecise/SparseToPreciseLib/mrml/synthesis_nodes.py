"""Synthetic CTs as nodes: read from the MR's node on the main thread, shown there when the work is done.

Bands, uncertainty and classes of a CT hang on its node by node references, and what there is to know of it
by attributes, so that both are saved with the scene.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import slicer
import vtk

from ..core.errors import InputError
from ..core.models import opened
from ..core.progress import Progress
from ..core.volume import Volume
from ..synthesis.hu import CLASSES, COLORS, classify
from .derived_volumes import file_beside, fill_like, has_shape, new_like
from .files import write_segmentation
from .headless import scene
from .labelmaps import segmentation_from_labelmap
from .segmentations import segment_to_volume
from .volumes import matrix_to_array, volume_from_node

if TYPE_CHECKING:
    from ..synthesis.synthesize import SynthesisResult

SYNTHETIC = "SparseToPrecise.SyntheticCT"
"""Attribute of every CT that was made here; only such a node is ever filled anew."""
WINDOWS = {
    "Soft tissue": (400.0, 40.0),
    "Brain": (100.0, 40.0),
    "Bone": (2000.0, 500.0),
    "Everything": (4024.0, 988.0),
}
"""Title to window and level of a CT, HU."""
COMPANIONS = {
    "low": ("low band", WINDOWS["Soft tissue"]),
    "high": ("high band", (1500.0, 0.0)),
    "high_probability": ("high-band probability", (1.0, 0.5)),
    "uncertainty": ("uncertainty", (200.0, 100.0)),
}
"""Volumes that a CT may come with: what their nodes are called after the CT's, and window and level."""
_MR, _CLASSES, _WARNINGS, _MODELS = (f"SparseToPrecise.{one}" for one in ("MR", "Classes", "Warnings", "Models"))


@dataclass(frozen=True)
class SynthesisInputs:
    """Inputs of a synthesis, without the scene.

    Attributes
    ----------
    mr
        A copy, where the node shows it.
    body
        Mask of the body; None: it is to be found.
    mr_id, output_id
        The MR's node, and the node to fill; empty: a new one.
    """

    mr: Volume
    body: Volume | None
    mr_id: str
    output_id: str = ""


@dataclass(frozen=True)
class Synthetic:
    """A synthetic CT and what belongs to it, on the MR's voxels; `None` was not wanted."""

    ct: Volume
    low: Volume | None = None
    high: Volume | None = None
    high_probability: Volume | None = None
    uncertainty: Volume | None = None
    classes: Volume | None = None
    warnings: tuple[str, ...] = ()
    models: tuple[str, ...] = ()

    @staticmethod
    def of(result: SynthesisResult, classes: bool = False) -> Synthetic:
        """The library's answer; with its three classes, where they are wanted."""
        return Synthetic(
            ct=result.ct,
            low=result.low,
            high=result.high,
            high_probability=result.high_probability,
            uncertainty=result.uncertainty,
            classes=classify(result.ct, result.body) if classes else None,
            warnings=tuple(result.warnings),
            models=tuple(result.models),
        )


def read_inputs(
    mr: slicer.vtkMRMLScalarVolumeNode | None,
    body: tuple[slicer.vtkMRMLSegmentationNode, str] | None = None,
    output: slicer.vtkMRMLScalarVolumeNode | None = None,
) -> SynthesisInputs:
    """An MR, the segment of its body and the node to fill, with all parent transforms applied.

    Raises
    ------
    InputError
        There is no MR; one of the nodes is not as it should be or under a non-linear transform; the output is a
        volume that was not made here.
    """
    if mr is None:
        raise InputError("There is no MR; choose one.")
    if output is not None and (output is mr or not output.GetAttribute(SYNTHETIC)):
        raise InputError(f"{output.GetName()} is no synthetic CT and will not be overwritten; let a new one be made.")
    mask = None if body is None or body[0] is None else segment_to_volume(*body)
    if mask is not None and not mask.array.any():
        raise InputError(f"The segment {mask.name} is empty; choose another body mask or none.")
    return SynthesisInputs(volume_from_node(mr), mask, mr.GetID(), "" if output is None else output.GetID())


def show_synthetic(inputs: SynthesisInputs, made: Synthetic) -> slicer.vtkMRMLScalarVolumeNode:
    """Add a CT and what came with it to the scene, on the MR's voxels, under its transform and in its study or folder.

    A CT that is filled anew keeps what it came with before in the scene, but no longer refers to it.

    Raises
    ------
    InputError
        The MR or the node to fill was removed or has other voxels now; nothing has been changed.
    """
    mr = scene().GetNodeByID(inputs.mr_id)
    if not has_shape(mr, inputs.mr.shape):
        raise InputError("The MR was removed or changed while it was being worked on; choose it and start again.")
    ct = scene().GetNodeByID(inputs.output_id) if inputs.output_id else None
    if inputs.output_id and ct is None:
        raise InputError("The CT to fill was removed while the new one was being made; start again.")
    if ct is None:
        ct = new_like(mr, made.ct.array, f"{mr.GetName()} CT", {SYNTHETIC: "1"})
    else:
        fill_like(ct, made.ct.array, mr)
    set_window(ct, *WINDOWS["Soft tissue"])
    ct.SetAttribute(_WARNINGS, json.dumps(made.warnings))
    ct.SetAttribute(_MODELS, json.dumps(made.models))
    ct.SetDescription(f"Synthetic CT of {mr.GetName()} by {' + '.join(made.models)}; HU are estimates, not measured.")
    ct.SetNodeReferenceID(_MR, mr.GetID())
    for what, (title, window) in COMPANIONS.items():
        volume = getattr(made, what)
        node = None
        if volume is not None:
            node = new_like(ct, volume.array, f"{ct.GetName()} {title}")
            set_window(node, *window)
        ct.SetNodeReferenceID(_role(what), None if node is None else node.GetID())
    segmentation = None if made.classes is None else _classes(ct, made.classes)
    ct.SetNodeReferenceID(_CLASSES, None if segmentation is None else segmentation.GetID())
    return ct


def is_synthetic(node: slicer.vtkMRMLNode | None) -> bool:
    """Whether a volume is a CT that was made here."""
    return node is not None and bool(node.GetAttribute(SYNTHETIC)) and node.GetImageData() is not None


def mr_of(ct: slicer.vtkMRMLScalarVolumeNode | None) -> slicer.vtkMRMLScalarVolumeNode | None:
    """The MR that a CT was made of, while it is in the scene."""
    return None if ct is None else ct.GetNodeReference(_MR)


def companion(ct: slicer.vtkMRMLScalarVolumeNode | None, what: str) -> slicer.vtkMRMLScalarVolumeNode | None:
    """One of `COMPANIONS` of a CT; None: it came without, or it was removed."""
    return None if ct is None else ct.GetNodeReference(_role(what))


def classes_of(ct: slicer.vtkMRMLScalarVolumeNode | None) -> slicer.vtkMRMLSegmentationNode | None:
    """Air, soft tissue and bone of a CT, where they were wanted."""
    return None if ct is None else ct.GetNodeReference(_CLASSES)


def ct_of_uncertainty(node: slicer.vtkMRMLNode | None) -> slicer.vtkMRMLScalarVolumeNode | None:
    """The CT that an uncertainty map came with."""
    found = scene().GetNodesByClass("vtkMRMLScalarVolumeNode")
    found.UnRegister(None)
    volumes = (found.GetItemAsObject(index) for index in range(found.GetNumberOfItems()))
    return next((one for one in volumes if node is not None and companion(one, "uncertainty") is node), None)


def warnings_of(ct: slicer.vtkMRMLScalarVolumeNode | None) -> list[str]:
    """The sentences that a CT came with."""
    return [] if ct is None else json.loads(ct.GetAttribute(_WARNINGS) or "[]")


def classes_to_segmentation(labels: Volume, name: str | None = None) -> slicer.vtkMRMLSegmentationNode:
    """A segmentation with a segment for each of `synthesis.hu.CLASSES` that is there.

    Parameters
    ----------
    labels
        A result of `synthesis.hu.classify`.
    name
        The node's name; None takes the volume's.
    """
    node = segmentation_from_labelmap(labels, name)
    segmentation = node.GetSegmentation()
    for label, title in CLASSES.items():
        segment = segmentation.GetSegment(f"Segment_{label}")
        if segment is not None:
            segment.SetName(title)
            segment.SetColor(*COLORS[label])
    return node


def write_classes(labels: Volume, path: str | os.PathLike[str]) -> Path:
    """Write the classes as .seg.nrrd with names and colours, or as a labelmap; errors as `files.write_segmentation`."""
    node = classes_to_segmentation(labels)
    try:
        return write_segmentation(node, path)
    finally:
        scene().RemoveNode(node)


def set_window(node: slicer.vtkMRMLScalarVolumeNode, window: float, level: float) -> None:
    """Show a volume in a window, in grey unless it has other colours."""
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevel(window, level)


def _role(what: str) -> str:
    return f"SparseToPrecise.Synthesis.{what}"


def _classes(ct: slicer.vtkMRMLScalarVolumeNode, labels: Volume) -> slicer.vtkMRMLSegmentationNode:
    matrix = vtk.vtkMatrix4x4()
    ct.GetIJKToRASMatrix(matrix)
    local = Volume(labels.array, matrix_to_array(matrix))
    node = classes_to_segmentation(local, scene().GenerateUniqueName(f"{ct.GetName()} classes"))
    node.SetAndObserveTransformNodeID(ct.GetTransformNodeID())
    node.SetReferenceImageGeometryParameterFromVolumeNode(ct)
    file_beside(node, ct)
    node.GetDisplayNode().SetOpacity2DFill(0.4)
    return node


def synthesize_inputs(
    inputs: SynthesisInputs,
    models: str | Sequence[str] | None = None,
    *,
    uncertainty: bool = False,
    bands: bool = False,
    classes: bool = False,
    device: str = "auto",
    progress: Progress | None = None,
) -> Synthetic:
    """Make the CT of an MR, on any thread; the models stay loaded. Errors as of `synthesis.synthesize`."""
    from ..synthesis.model import FAMILY
    from ..synthesis.synthesize import synthesize

    (progress or Progress())(0.0, "loading the model")
    names = [models] if models is None or isinstance(models, str) else models
    loaded = [opened(FAMILY, one, device) for one in names or [None]]
    result = synthesize(inputs.mr, loaded, inputs.body, bands=bands, uncertainty=uncertainty, progress=progress)
    return Synthetic.of(result, classes)
