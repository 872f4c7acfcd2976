"""An annotated image of the scene as files, from which a process without Slicer's window can learn landmarks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import slicer

from ..core.errors import InputError
from ..core.images import write_image
from ..core.volume import Volume
from ..landmarks.reference import Reference
from .landmark_lists import (
    LANDMARK_EXTENSION,
    landmarks_from_node,
    landmarks_to_node,
    remove_with_display,
    write_landmarks,
)
from .segmentations import segment_to_volume
from .volumes import volume_from_node


@dataclass(frozen=True, eq=False)
class Lesson:
    """Inputs from which a template is taught, in the world.

    Attributes
    ----------
    reference
        The annotated image, checked.
    validation
        Another image, on which training is watched; None: there is none.
    """

    reference: Reference
    validation: Reference | None = None

    @property
    def warnings(self) -> list[str]:
        """Sentences for the user before training."""
        found = list(self.reference.warnings)
        if self.validation is None:
            found.append(
                "There is no validation image, so it is not controlled whether the network learns this one image by "
                "heart; give another image with its structure where you have one."
            )
        return found


def read_lesson(
    image: slicer.vtkMRMLScalarVolumeNode | None,
    segmentation: slicer.vtkMRMLSegmentationNode | None,
    segment_id: str,
    landmarks: slicer.vtkMRMLMarkupsFiducialNode | None,
    validation_image: slicer.vtkMRMLScalarVolumeNode | None = None,
    validation_segmentation: slicer.vtkMRMLSegmentationNode | None = None,
    validation_segment_id: str = "",
) -> Lesson:
    """Copy an annotated image, with the parent transforms of each node; on the main thread.

    Raises
    ------
    InputError
        Something is not chosen or not as `Reference` needs it; an image or a segmentation is under a non-linear
        transform (a list of landmarks may be).
    """
    if image is None:
        raise InputError("There is no reference image; choose the annotated image.")
    if landmarks is None:
        raise InputError("There are no landmarks; choose a point list.")
    soi = _structure(segmentation, segment_id, "structure of interest")
    reference = Reference(volume_from_node(image), soi, landmarks_from_node(landmarks, complete=True))
    if validation_image is None and validation_segmentation is None:
        return Lesson(reference)
    if validation_image is None:
        raise InputError("The validation image is missing; choose it, or choose no structure for it.")
    other = _structure(validation_segmentation, validation_segment_id, "structure in the validation image")
    return Lesson(reference, validation_reference(volume_from_node(validation_image), other))


def validation_reference(image: Volume, soi: Volume) -> Reference:
    """An image to watch training on, which needs no landmarks: the structure's centre stands for them."""
    inside = np.argwhere(soi.array)[:, ::-1]
    return Reference(image, soi, {"centre": soi.grid.to_ras(inside.mean(axis=0) if len(inside) else np.zeros(3))})


def write_points(lesson: Lesson, folder: Path) -> None:
    """Write the landmarks of a lesson; on the main thread, as Slicer's scene writes them."""
    node = landmarks_to_node(lesson.reference.landmarks)
    try:
        write_landmarks(node, _points(folder))
    finally:
        remove_with_display(node)


def write_images(lesson: Lesson, folder: Path) -> list[str]:
    """Write the images of a lesson, on any thread, after `write_points`.

    Returns
    -------
    list
        Arguments of `sparse-to-precise landmarks train` for them.

    Raises
    ------
    InputError
        The disk is full or read-only.
    """
    given = {"image": lesson.reference.image, "soi": lesson.reference.soi}
    if lesson.validation is not None:
        given |= {"validation-image": lesson.validation.image, "validation-soi": lesson.validation.soi}
    paths = {name: write_image(volume, folder / f"{name}.nrrd") for name, volume in given.items()}
    options = [part for name, path in paths.items() if name != "image" for part in (f"--{name}", str(path))]
    return [str(paths["image"]), str(_points(folder)), *options]


def _points(folder: Path) -> Path:
    return folder / f"landmarks{LANDMARK_EXTENSION}"


def _structure(segmentation: slicer.vtkMRMLSegmentationNode | None, segment_id: str, what: str) -> Volume:
    if segmentation is None or segmentation.GetSegmentation().GetSegment(segment_id) is None:
        raise InputError(f"There is no {what}; choose a segmentation and its segment.")
    return segment_to_volume(segmentation, segment_id)
