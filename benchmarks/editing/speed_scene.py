"""The scene whose edit is timed; it imports little but the tool, because its process also measures memory."""

from __future__ import annotations

import json

import numpy as np

from SparseToPreciseLib.core.used_memory import peak_bytes
from SparseToPreciseLib.core.volume import Volume
from SparseToPreciseLib.editing.edit import edit
from SparseToPreciseLib.phantoms import make_phantom

RADIUS_MM = 12.0

Scene = tuple[Volume, Volume, np.ndarray]


def scene_of(shape: tuple[int, int, int]) -> Scene:
    """Image (int16), segmentation (uint8) and stroke: one phantom in the middle of a volume of any size, 1 mm."""
    phantom = make_phantom("bean", 3, (64, 64, 64))
    image, mask = np.zeros(shape, np.int16), np.zeros(shape, np.uint8)
    start = [(size - 64) // 2 for size in shape]
    middle = tuple(slice(a, a + 64) for a in start)
    spread = max(float(np.ptp(phantom.image)), 1e-6)
    image[middle] = ((phantom.image - phantom.image.min()) / spread * 1000).astype(np.int16)
    mask[middle] = phantom.target
    matrix = np.eye(4)
    matrix[:3, 3] = -np.array(start[::-1])
    border = np.argwhere(phantom.target & ~np.roll(phantom.target, 1, axis=2))
    centre = border[np.linalg.norm(border - 32, axis=1).argmin()][::-1].astype(float)
    along = np.linspace(-8, 8, 9)[:, None]
    # Beside the boundary, as a stroke is that corrects something.
    stroke = centre + [3.0, 0.0, 0.0] + along * [0.0, 1.0, 0.0]
    return Volume(image, matrix, "image"), Volume(mask, matrix, "segment"), stroke


def print_peak(shape: tuple[int, int, int]) -> None:
    """In a process of its own: one edit with the default editor; prints GB (Linux)."""
    from SparseToPreciseLib.editing.model import load_editor

    scene = scene_of(shape)
    loaded = sum(volume.array.nbytes for volume in scene[:2])
    edit(*scene, RADIUS_MM, editor=load_editor(None, "cpu"))
    print(json.dumps({"peak_gb": peak_bytes() / 1e9, "loaded_gb": loaded / 1e9}))
