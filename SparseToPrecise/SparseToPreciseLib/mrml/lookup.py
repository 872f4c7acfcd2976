"""Which segment is meant: by ID, name, or label value."""

from __future__ import annotations

import json

import slicer

from ..core.errors import InputError, listing

# Slicer changes label values when a segment moves to a layer of its own, so those of the file are kept beside it.
_LABELS = "SparseToPrecise.LabelValues"
_LISTED = 20


def find_segment(node: slicer.vtkMRMLSegmentationNode, wanted: str | int | None = None) -> str:
    """The ID of the segment that is meant.

    Parameters
    ----------
    node
        The segmentation.
    wanted
        ID, name, or label value, looked for in this order; None when there is only one segment.

    Raises
    ------
    InputError
        No such segment, several of that name or label value, or several segments and none named. The sentence
        lists what is there.
    """
    segmentation = node.GetSegmentation()
    ids = list(segmentation.GetSegmentIDs())
    title = node.GetName() or "The segmentation"
    if not ids:
        raise InputError(f"{title} has no segments; add one, or choose another segmentation.")
    if wanted is None or str(wanted) == "":
        if len(ids) > 1:
            raise InputError(f"{title} has {len(ids)} segments; name one of them: {_listing(node, ids)}.")
        return ids[0]
    text = str(wanted)
    if text in ids and not isinstance(wanted, int):
        return text
    for how, found in (
        ("name", [] if isinstance(wanted, int) else [i for i in ids if segmentation.GetSegment(i).GetName() == text]),
        ("label value", [i for i, label in label_values(node).items() if str(label) == text]),
    ):
        if len(found) == 1:
            return found[0]
        if found:
            raise InputError(
                f"{len(found)} segments of {title} have the {how} {text}; "
                f"give the ID of one of them: {_listing(node, found)}."
            )
    raise InputError(f"{title} has no segment {text}; it has {_listing(node, ids)}.")


def label_values(node: slicer.vtkMRMLSegmentationNode) -> dict[str, int]:
    """Segment ID to label value: the file's where `keep_label_values` noted it, else the stored one."""
    kept = json.loads(node.GetAttribute(_LABELS) or "{}")
    segmentation = node.GetSegmentation()
    return {i: kept.get(i, segmentation.GetSegment(i).GetLabelValue()) for i in segmentation.GetSegmentIDs()}


def unique_label_values(node: slicer.vtkMRMLSegmentationNode) -> dict[str, int]:
    """Segment ID to a label value that no other segment has.

    Segments of the file come first and keep theirs; one whose value is taken (or 0) gets the next above all others.
    """
    kept = json.loads(node.GetAttribute(_LABELS) or "{}")
    unique: dict[str, int] = {}
    for segment_id, label in sorted(label_values(node).items(), key=lambda item: item[0] not in kept):
        free = label > 0 and label not in unique.values()
        unique[segment_id] = label if free else max(unique.values(), default=0) + 1
    return unique


def keep_label_values(node: slicer.vtkMRMLSegmentationNode) -> None:
    """Note the present label values, so that later edits do not change which segment a label value means."""
    segmentation = node.GetSegmentation()
    labels = {i: segmentation.GetSegment(i).GetLabelValue() for i in segmentation.GetSegmentIDs()}
    node.SetAttribute(_LABELS, json.dumps(labels))


def _listing(node: slicer.vtkMRMLSegmentationNode, ids: list[str]) -> str:
    labels = label_values(node)
    segmentation = node.GetSegmentation()
    entries = []
    for segment_id in ids:
        name = segmentation.GetSegment(segment_id).GetName()
        named = f"{name}, " if name and name != segment_id else ""
        entries.append(f"{segment_id} ({named}label {labels[segment_id]})")
    return listing(entries, _LISTED)
