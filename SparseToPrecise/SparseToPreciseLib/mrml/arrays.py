"""Files read as arrays with their geometry, of which no node stays in the scene."""

from __future__ import annotations

import os

from ..core.volume import Volume
from .files import read_segmentation, read_volume
from .headless import scene
from .labelmaps import labelmap_from_segmentation
from .volumes import volume_from_node


def read_image(path: str | os.PathLike[str]) -> Volume:
    """An image; errors as `files.read_volume`."""
    node = read_volume(path)
    try:
        return volume_from_node(node)
    finally:
        scene().RemoveNode(node)


def read_labelmap(path: str | os.PathLike[str]) -> Volume:
    """A segmentation or a labelmap, its segments as label values; errors as `files.read_segmentation`."""
    node = read_segmentation(path)
    try:
        return labelmap_from_segmentation(node)
    finally:
        scene().RemoveNode(node)
