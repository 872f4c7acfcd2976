"""A chosen segment as two fields of a parameter node, which Slicer's own connections do not know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class SegmentField:
    """Keeps a qMRMLSegmentSelectorWidget and a parameter node alike.

    Parameters
    ----------
    selector
        The widget.
    parameters
        Gives the parameter node, or None.
    node, segment
        Names of the fields that hold the segmentation node and the segment's ID.
    """

    def __init__(self, selector, parameters: Callable[[], Any], node: str, segment: str) -> None:
        self._selector, self._parameters, self._node, self._segment = selector, parameters, node, segment
        selector.connect("currentNodeChanged(vtkMRMLNode*)", self._chosen)
        selector.connect("currentSegmentChanged(QString)", self._chosen)

    def follow(self) -> None:
        """Show what the parameter node has."""
        p = self._parameters()
        if p is None:
            return
        node, segment = getattr(p, self._node), getattr(p, self._segment)
        if self._selector.currentNode() is node and self._selector.currentSegmentID() == segment:
            return
        blocked = self._selector.blockSignals(True)
        self._selector.setCurrentNode(node)
        self._selector.setCurrentSegmentID(segment)
        self._selector.blockSignals(blocked)

    def _chosen(self, _what=None) -> None:
        p = self._parameters()
        if p is not None:
            # Both before either, which makes the widget follow.
            node, segment = self._selector.currentNode(), self._selector.currentSegmentID()
            setattr(p, self._node, node)
            setattr(p, self._segment, segment)
