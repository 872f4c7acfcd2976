"""Segmentations of the scene as training cases on disk, where a process without Slicer can read them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import slicer

from ..core.errors import InputError
from ..core.images import write_image
from ..core.volume import Volume
from .headless import scene
from .labelmaps import labelmap_from_segmentation
from .volumes import parent_to_world, volume_from_node

DATALIST = "cases.json"


@dataclass(frozen=True, eq=False)
class Case:
    """An image and its segmentation as a labelmap, both in the world, each on its own grid."""

    image: Volume
    labels: Volume


def images_of_scene() -> list[slicer.vtkMRMLScalarVolumeNode]:
    """The scalar volumes, without labelmaps, in the order of the scene."""
    nodes = scene().GetNodesByClass("vtkMRMLScalarVolumeNode")
    nodes.UnRegister(None)
    found = [nodes.GetItemAsObject(index) for index in range(nodes.GetNumberOfItems())]
    return [node for node in found if node.GetClassName() == "vtkMRMLScalarVolumeNode"]


def segmentations_of_scene() -> list[tuple[slicer.vtkMRMLSegmentationNode, slicer.vtkMRMLScalarVolumeNode | None]]:
    """The segmentations that have segments, each with the image that it was made on where it says so."""
    found = []
    nodes = scene().GetNodesByClass("vtkMRMLSegmentationNode")
    nodes.UnRegister(None)
    for index in range(nodes.GetNumberOfItems()):
        node = nodes.GetItemAsObject(index)
        if not node.GetHideFromEditors() and node.GetSegmentation().GetNumberOfSegments():
            image = node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())
            found.append((node, image))
    return found


def read_case(segmentation: slicer.vtkMRMLSegmentationNode, image: slicer.vtkMRMLScalarVolumeNode | None) -> Case:
    """Copy a case, with all parent transforms applied; on the main thread.

    The segmentation keeps its own grid, which may be finer than the image's.

    Raises
    ------
    InputError
        There is no image; a node was removed, is empty or under a non-linear transform; all segments are empty.
    """
    name = segmentation.GetName() or "The segmentation"
    if image is None:
        raise InputError(f"{name} has no image to train with; choose one.")
    if segmentation.GetScene() is None or image.GetScene() is None:
        raise InputError(f"{name} or its image was removed; choose the cases again.")
    to_world = parent_to_world(segmentation)
    local = labelmap_from_segmentation(segmentation)
    if not local.array.any():
        raise InputError(f"{name} has only empty segments; untick it.")
    return Case(volume_from_node(image), Volume(local.array, to_world @ local.ijk_to_ras, name))


def write_case(case: Case, folder: Path, number: int) -> dict[str, str]:
    """Write a case; on any thread. Returns its entry in the datalist.

    Raises
    ------
    InputError
        The disk is full or read-only.
    """
    entry = {"image": f"case-{number}-image.nrrd", "label": f"case-{number}-label.nrrd"}
    write_image(case.image, folder / entry["image"])
    write_image(case.labels, folder / entry["label"])
    return entry


def write_datalist(entries: Sequence[dict[str, str]], folder: Path) -> Path:
    """Write the list of all cases, and return its path."""
    path = folder / DATALIST
    path.write_text(json.dumps({"training": list(entries)}, indent=2) + "\n", encoding="utf-8")
    return path
