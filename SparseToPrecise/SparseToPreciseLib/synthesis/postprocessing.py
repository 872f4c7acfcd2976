"""Post-processing of a network's output: Hounsfield units on the MR's own grid, air outside the body."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..core.progress import Progress
from ..core.volume import Volume
from .hu import OUTSIDE, HuWindow
from .working_grid import WayBack

_KINDS = {"ct": np.int16, "low": np.int16, "high": np.int16, "high_probability": np.float32, "uncertainty": np.float32}
_OUTSIDE = {"ct": OUTSIDE, "low": OUTSIDE, "high": 0, "high_probability": 0, "uncertainty": 0}
_TITLES = {
    "ct": "CT", "low": "CT low band", "high": "CT high band", "high_probability": "high-band probability",
    "uncertainty": "CT uncertainty", "body": "body",
}  # fmt: skip


def on_mr_grid(
    mr: Volume, way_back: WayBack, outputs: Mapping[str, Volume], window: HuWindow, progress: Progress | None = None
) -> dict[str, Volume]:
    """Every output, and "body", on the MR's grid.

    Parameters
    ----------
    mr
        Lends its grid and its name.
    way_back
        The way to the MR's grid.
    outputs
        Name to values on the working grid in units of the window; uncertainty in HU.
    window
        CT window of the models.
    progress
        Hears of every few planes; may cancel.

    Returns
    -------
    dict
        ct, low, high: int16 HU. high_probability, uncertainty: float32. body: uint8 0/1. Outside the body CT and low
        band are `OUTSIDE`, everything else 0.
    """
    arrays = {name: np.full(mr.shape, _OUTSIDE[name], _KINDS[name]) for name in outputs}
    body = np.zeros(mr.shape, np.uint8)
    for slab, inside, values in way_back.planes(outputs, progress or Progress()):
        body[slab] = inside
        for name, array in values.items():
            arrays[name][slab][inside] = _in_units(name, array, window)[inside]
    return {
        name: mr.with_array(array, f"{mr.name} {_TITLES[name]}".strip())
        for name, array in {**arrays, "body": body}.items()
    }


def _in_units(name: str, values: np.ndarray, window: HuWindow) -> np.ndarray:
    if name in ("ct", "low"):
        return window.as_int16(window.to_hu(values))
    if name == "high":
        return np.rint(values * window.width).astype(np.int16)
    return values
