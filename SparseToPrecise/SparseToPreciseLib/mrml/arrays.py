"""Files read as arrays with their geometry, of which no node stays in the scene."""

from __future__ import annotations

import os

from ..core.volume import Volume
from .files import read_volume
from .headless import scene
from .volumes import volume_from_node


def read_image(path: str | os.PathLike[str]) -> Volume:
    """An image; errors as `files.read_volume`."""
    node = read_volume(path)
    try:
        return volume_from_node(node)
    finally:
        scene().RemoveNode(node)
