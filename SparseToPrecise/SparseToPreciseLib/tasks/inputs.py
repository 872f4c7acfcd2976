"""Reading what tasks work on: a segment of a file."""

from __future__ import annotations

from pathlib import Path

from ..core.errors import InputError
from ..core.volume import Volume
from ..mrml.files import read_segmentation
from ..mrml.headless import scene
from ..mrml.lookup import find_segment
from ..mrml.segmentations import segment_to_volume


def read_segment(path: Path, segment: str | None, *, may_be_empty: bool = False) -> Volume | None:
    """A segment of a segmentation or labelmap as a uint8 mask; None where the file holds nothing, and may do so.

    Raises
    ------
    InputError
        The file cannot be read, or has not one segment of that ID, name or label value; names the file.
    """
    node = read_segmentation(path)
    try:
        if may_be_empty and segment is None and not node.GetSegmentation().GetNumberOfSegments():
            return None
        return segment_to_volume(node, find_segment(node, segment))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    finally:
        scene().RemoveNode(node)
