"""Volumes of the scene as pairs of MR and CT to train on."""

from __future__ import annotations

import os

import slicer

from ..core.errors import InputError
from ..synthesis.modality import looks_like_ct, refuse_no_hu
from .derived_volumes import is_derived
from .headless import scene
from .training_cases import Case
from .volumes import image_array, volume_from_node


def pairs_of_scene() -> list[tuple[slicer.vtkMRMLScalarVolumeNode, slicer.vtkMRMLScalarVolumeNode | None]]:
    """Every MR of the scene with the CT that it may belong to; empty where there is no CT.

    Volumes that look like a CT by their intensities are CTs, the rest are MRs. Of several CTs the one whose name
    begins like the MR's is proposed, and none when several do. What was made here is neither.
    """
    mrs, cts = [], []
    nodes = scene().GetNodesByClass("vtkMRMLScalarVolumeNode")
    nodes.UnRegister(None)
    for index in range(nodes.GetNumberOfItems()):
        node = nodes.GetItemAsObject(index)
        if _is_given(node):
            (cts if looks_like_ct(image_array(node.GetImageData())) else mrs).append(node)
    return [(mr, _proposed(mr, cts)) for mr in mrs] if cts else []


def read_pair(mr: slicer.vtkMRMLScalarVolumeNode, ct: slicer.vtkMRMLScalarVolumeNode | None) -> Case:
    """Copy an MR and its CT, each on its own grid, with all parent transforms applied; on the main thread.

    Raises
    ------
    InputError
        There is no CT, it does not look like one, or one of the nodes was removed, is empty or under a non-linear
        transform.
    """
    if ct is None:
        raise InputError(f"{mr.GetName()} has no CT to train with; choose one.")
    if mr.GetScene() is None or ct.GetScene() is None:
        raise InputError("An MR or its CT was removed; choose the pairs again.")
    pair = Case(volume_from_node(mr), volume_from_node(ct))
    refuse_no_hu(pair.labels, "is no CT in HU (air near -1000, soft tissue near 0); choose another one")
    return pair


def _is_given(node: slicer.vtkMRMLScalarVolumeNode) -> bool:
    image = node.GetImageData()
    scalars = image is not None and image.GetPointData().GetScalars() is not None
    plain = node.GetClassName() == "vtkMRMLScalarVolumeNode"  # no labelmap, no colours
    shown = not (is_derived(node) or node.GetHideFromEditors())
    return bool(scalars and plain and shown and image.GetNumberOfScalarComponents() == 1)


def _proposed(
    mr: slicer.vtkMRMLScalarVolumeNode, cts: list[slicer.vtkMRMLScalarVolumeNode]
) -> slicer.vtkMRMLScalarVolumeNode | None:
    if len(cts) == 1:
        return cts[0]
    lengths = [len(os.path.commonprefix([mr.GetName(), ct.GetName()])) for ct in cts]
    return cts[lengths.index(max(lengths))] if lengths.count(max(lengths)) == 1 else None
