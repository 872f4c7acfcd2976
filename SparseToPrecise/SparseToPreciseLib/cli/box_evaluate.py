"""A predicted box or mask in a file against a reference mask in a file. The command `box evaluate` calls this."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..boxes.metrics import evaluate
from ..core.errors import InputError
from ..core.volume import Volume
from ..mrml.files import read_segmentation
from ..mrml.headless import scene
from ..mrml.lookup import find_segment
from ..mrml.roi_files import ROI_EXTENSION, read_roi
from ..mrml.rois import box_from_roi
from ..mrml.segmentations import segment_to_volume


def evaluate_files(
    predicted: Path, reference: Path, predicted_segment: str | None = None, reference_segment: str | None = None
) -> dict[str, Any]:
    """The numbers of `boxes.metrics.evaluate` for files.

    Raises
    ------
    InputError
        A file is not as it should be, or the reference is empty.
    """
    mask = _mask(reference, reference_segment)
    if not predicted.name.lower().endswith(ROI_EXTENSION):
        return evaluate(_mask(predicted, predicted_segment), mask)
    node = read_roi(predicted, predicted_segment)
    try:
        return evaluate(box_from_roi(node), mask)
    finally:
        scene().RemoveNode(node)


def _mask(path: Path, segment: str | None) -> Volume:
    node = read_segmentation(path)
    try:
        return segment_to_volume(node, find_segment(node, segment))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    finally:
        scene().RemoveNode(node)
