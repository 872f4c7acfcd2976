"""A predicted box or mask in a file against a reference mask in a file. The command `box evaluate` calls this."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..boxes.metrics import evaluate
from ..mrml.headless import scene
from ..mrml.rois import ROI_EXTENSION, box_from_roi, read_roi
from .inputs import read_segment


def evaluate_files(
    predicted: Path, reference: Path, predicted_segment: str | None = None, reference_segment: str | None = None
) -> dict[str, Any]:
    """The numbers of `boxes.metrics.evaluate` for files. A prediction in which nothing was found is one, too.

    Raises
    ------
    InputError
        A file is not as it should be, or the reference is empty.
    """
    mask = read_segment(reference, reference_segment)
    if not predicted.name.lower().endswith(ROI_EXTENSION):
        found = read_segment(predicted, predicted_segment, may_be_empty=True)
        return evaluate(mask.with_array(np.zeros_like(mask.array)) if found is None else found, mask)
    node = read_roi(predicted, predicted_segment)
    try:
        return evaluate(box_from_roi(node), mask)
    finally:
        scene().RemoveNode(node)
