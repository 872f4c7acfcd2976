"""A predicted box or mask in a file against a reference mask in a file. The command `box evaluate` calls this."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

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
    """The numbers of `boxes.metrics.evaluate` for files. A prediction in which nothing was found is one, too.

    Raises
    ------
    InputError
        A file is not as it should be, or the reference is empty.
    """
    mask = _mask(reference, reference_segment)
    if not predicted.name.lower().endswith(ROI_EXTENSION):
        found = _mask(predicted, predicted_segment, may_be_empty=True)
        return evaluate(mask.with_array(np.zeros_like(mask.array)) if found is None else found, mask)
    node = read_roi(predicted, predicted_segment)
    try:
        return evaluate(box_from_roi(node), mask)
    finally:
        scene().RemoveNode(node)


def _mask(path: Path, segment: str | None, *, may_be_empty: bool = False) -> Volume | None:
    """A segment of a file; None where the file holds nothing at all, and may do so."""
    node = read_segmentation(path)
    try:
        if may_be_empty and segment is None and not node.GetSegmentation().GetNumberOfSegments():
            return None
        return segment_to_volume(node, find_segment(node, segment))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    finally:
        scene().RemoveNode(node)
