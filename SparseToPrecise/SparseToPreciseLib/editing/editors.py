"""Protocol of an editor, and the two that need no training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .warps import image_aware_warp, signed_distance_warp
from .working_grid import WorkingCase


class Editor(Protocol):
    """Corrects a working case: a model or a warp."""

    name: str
    device: str
    multiple: int
    """Sides of the working grid are multiples of this."""
    note: str
    """A sentence for the user about where or how it ran; else empty."""

    def __call__(self, case: WorkingCase) -> np.ndarray:
        """The corrected signed quantity, (K, J, I) float32, positive inside, about one per voxel at the boundary."""
        ...


@dataclass(frozen=True)
class Warp:
    """An editor without training."""

    name: str
    function: Callable[[WorkingCase], np.ndarray]
    device: str = "cpu"
    multiple: int = 16
    note: str = ""

    def __call__(self, case: WorkingCase) -> np.ndarray:
        return self.function(case)


IMAGE_AWARE_WARP = Warp("image-aware-warp", image_aware_warp)
SIGNED_DISTANCE_WARP = Warp("signed-distance-warp", signed_distance_warp)
WARPS = {warp.name: warp for warp in (IMAGE_AWARE_WARP, SIGNED_DISTANCE_WARP)}
