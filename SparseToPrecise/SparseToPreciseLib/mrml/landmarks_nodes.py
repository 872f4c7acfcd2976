"""Landmarks in the scene: targets are read there, and what was found on them is shown as new nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import slicer

from ..core.errors import InputError
from ..core.models import opened
from ..core.progress import Progress
from ..core.volume import Volume
from .headless import logic, scene
from .landmark_lists import UNPLACED, landmarks_to_node, remove_with_display
from .segmentations import new_segment, volume_to_segment
from .transforms import transform_to_node
from .volumes import parent_to_world, volume_from_node

if TYPE_CHECKING:
    from ..landmarks.detect import Detection, Landmark
    from ..landmarks.propagation import ReferenceTransform

SURE = 0.5
"""Points with less confidence are not selected, which gives them the unselected colour."""

TEMPLATE_ATTRIBUTE = "SparseToPrecise.LandmarkTemplate"
_SURE_COLOR, _UNSURE_COLOR = (0.25, 0.85, 0.35), (1.0, 0.6, 0.1)
_STRUCTURE_COLOR = (0.3, 0.75, 0.95)


@dataclass(frozen=True)
class TargetInputs:
    """Inputs of a detection, without the scene.

    Attributes
    ----------
    image
        A copy, where the node shows it.
    to_world
        4x4, of the image's parent transforms.
    seed
        (3,) RAS point near the structure; None: there is none.
    image_id
        The node.
    """

    image: Volume
    to_world: np.ndarray
    seed: np.ndarray | None
    image_id: str

    @property
    def image_node(self) -> slicer.vtkMRMLScalarVolumeNode:
        node = scene().GetNodeByID(self.image_id)
        if node is None:
            raise InputError("The target was removed while it was being searched; choose another one and start again.")
        return node


def read_target(
    image: slicer.vtkMRMLScalarVolumeNode | None, seed: slicer.vtkMRMLMarkupsFiducialNode | None = None
) -> TargetInputs:
    """An image and, maybe, a point near the structure, with the parent transforms of both.

    Raises
    ------
    InputError
        There is no image, it is empty or under a non-linear transform, or the point is not placed.
    """
    if image is None:
        raise InputError("There is no target; choose the image to find landmarks on.")
    point = None
    if seed is not None:
        point = first_point(seed)
        if point is None:
            raise InputError(f"{seed.GetName()} has no point yet; place it near the structure, or choose none.")
    return TargetInputs(volume_from_node(image), parent_to_world(image), point, image.GetID())


def first_point(node: slicer.vtkMRMLMarkupsFiducialNode) -> np.ndarray | None:
    """(3,) RAS position of the first placed point of a list; None: there is none."""
    for index in range(node.GetNumberOfControlPoints()):
        if node.GetNthControlPointPositionStatus(index) == node.PositionDefined:
            position = [0.0, 0.0, 0.0]
            node.GetNthControlPointPositionWorld(index, position)
            return np.array(position)
    return None


def show_landmarks(inputs: TargetInputs, found: Detection, template: str = "") -> slicer.vtkMRMLMarkupsFiducialNode:
    """A new point list, named after the target and under its transforms, so that it goes wherever the target goes.

    Unplaced landmarks have a name, no position, and the reason as description; unsure ones are not selected.

    Raises
    ------
    InputError
        The target is gone.
    """
    image = inputs.image_node
    to_image = np.linalg.inv(inputs.to_world)
    local = [_moved(one, to_image) for one in found.landmarks]
    node = landmarks_to_node(local, scene().GenerateUniqueName(f"{image.GetName()} landmarks"))
    node.SetAttribute(TEMPLATE_ATTRIBUTE, template)
    # Under the image's transform as it is now: whoever has moved the image meanwhile has moved its landmarks, too.
    node.SetAndObserveTransformNodeID(image.GetTransformNodeID())
    for index, one in enumerate(found.landmarks):
        node.SetNthControlPointSelected(index, one.position is not None and one.confidence >= SURE)
    node.SetFixedNumberOfControlPoints(True)  # an unplaced one is placed by hand, not added to
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetSelectedColor(*_SURE_COLOR)
    display.SetColor(*_UNSURE_COLOR)
    display.SetPropertiesLabelVisibility(False)
    return node


def show_structure(inputs: TargetInputs, structure: Volume, template: str = "") -> slicer.vtkMRMLSegmentationNode:
    """A new segmentation with the structure of interest as it lies in the target, on the target's grid.

    Raises
    ------
    InputError
        The target is gone, or is now under a non-linear transform.
    """
    image = inputs.image_node
    parent_to_world(image)
    name = f"{image.GetName()} {template or 'structure'}"
    node = scene().AddNewNodeByClass("vtkMRMLSegmentationNode", scene().GenerateUniqueName(name))
    node.CreateDefaultDisplayNodes()
    node.SetAndObserveTransformNodeID(image.GetTransformNodeID())
    node.SetReferenceImageGeometryParameterFromVolumeNode(image)
    now = parent_to_world(node) @ np.linalg.inv(inputs.to_world)
    segment = new_segment(node, template or "structure", _STRUCTURE_COLOR)
    volume_to_segment(replace(structure, ijk_to_ras=now @ structure.ijk_to_ras), node, segment)
    return node


def show_transform(inputs: TargetInputs, way: ReferenceTransform, template: str = "") -> slicer.vtkMRMLTransformNode:
    """A new transform that takes a reference and what lies on it to the target; it is under the target's transforms.

    Raises
    ------
    InputError
        The target is gone.
    """
    image = inputs.image_node
    name = f"{template or 'reference'} to {image.GetName()}"
    matrix = np.linalg.inv(inputs.to_world) @ way.matrix
    node = transform_to_node(matrix, way.displacement, way.grid, scene().GenerateUniqueName(name))
    node.SetAndObserveTransformNodeID(image.GetTransformNodeID())
    return node


def landmark_rows(node: slicer.vtkMRMLMarkupsFiducialNode | None) -> list[tuple[str, bool, str]]:
    """(name, whether it is placed, confidence or reason) of each landmark of a list."""
    rows = []
    for index in range(0 if node is None else node.GetNumberOfControlPoints()):
        placed = node.GetNthControlPointPositionStatus(index) == node.PositionDefined
        said = node.GetNthControlPointDescription(index)
        if placed and said.startswith(UNPLACED):
            said = "placed by hand"
        rows.append((node.GetNthControlPointLabel(index), placed, said))
    return rows


def jump_to(node: slicer.vtkMRMLMarkupsFiducialNode, index: int) -> bool:
    """Show a landmark's place in all slice views; False: it has none."""
    if node.GetNthControlPointPositionStatus(index) != node.PositionDefined:
        return False
    logic("Markups").JumpSlicesToNthPointInMarkup(node.GetID(), index, True)
    return True


def remove_nodes(ids: Sequence[str]) -> None:
    """Take results out of the scene again."""
    for one in ids:
        node = scene().GetNodeByID(one)
        if node is not None:
            remove_with_display(node)


def _moved(one: Landmark, matrix: np.ndarray) -> Landmark:
    if one.position is None:
        return one
    return replace(one, position=matrix[:3, :3] @ one.position + matrix[:3, 3])


@dataclass(frozen=True)
class FoundLandmarks:
    """Landmarks of a target.

    Attributes
    ----------
    template
        The name of what was looked for.
    detection
        The landmarks.
    structure, way
        The template's structure on the target, and how the template gets there; None where they were not wanted.
    """

    template: str
    detection: Detection
    structure: Volume | None = None
    way: ReferenceTransform | None = None


def detect_inputs(
    inputs: TargetInputs,
    *,
    template: str,
    mirror: str = "no",
    device: str = "auto",
    structure: bool = False,
    deformation: bool = False,
    progress: Progress | None = None,
) -> FoundLandmarks:
    """Find a template's landmarks, on any thread; the template stays loaded. Errors as of `landmarks.detect`."""
    from ..landmarks.detect import detect
    from ..landmarks.model import FAMILY
    from ..landmarks.propagation import propagated_structure, reference_transform

    progress = progress or Progress()
    progress(0.0, "loading the template")
    loaded = opened(FAMILY, template, device)
    part = progress.part(0.05, 0.95)
    found = detect(loaded, inputs.image, mirror=mirror, seed_point=inputs.seed, progress=part)
    return FoundLandmarks(
        loaded.name,
        found,
        propagated_structure(loaded, found, inputs.image.grid) if structure else None,
        reference_transform(found) if deformation else None,
    )


def show_found(
    inputs: TargetInputs, found: FoundLandmarks
) -> tuple[
    slicer.vtkMRMLMarkupsFiducialNode, slicer.vtkMRMLSegmentationNode | None, slicer.vtkMRMLTransformNode | None
]:
    """New nodes: the list of landmarks, and the others that there are (None: was not wanted)."""
    landmarks = show_landmarks(inputs, found.detection, found.template)
    structure = None if found.structure is None else show_structure(inputs, found.structure, found.template)
    way = None if found.way is None else show_transform(inputs, found.way, found.template)
    return landmarks, structure, way
