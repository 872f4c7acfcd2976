"""Air, soft tissue and bone of a CT as segments."""

from __future__ import annotations

import os
from pathlib import Path

import slicer

from ..core.volume import Volume
from ..synthesis.classes import CLASSES, COLORS
from .files import write_segmentation
from .headless import scene as current_scene
from .labelmaps import segmentation_from_labelmap


def classes_to_segmentation(labels: Volume, name: str | None = None) -> slicer.vtkMRMLSegmentationNode:
    """A segmentation with a segment for each of `synthesis.classes.CLASSES` that is there.

    Parameters
    ----------
    labels
        From `synthesis.classes.classify`.
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
        current_scene().RemoveNode(node)
