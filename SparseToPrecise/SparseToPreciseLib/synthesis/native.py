"""From a model's lattice back to the MR's own grid, a few planes at a time, so that memory follows the result."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..core.progress import Progress
from ..core.resampling import shrunk, world_corners
from ..core.volume import Volume
from .hu import OUTSIDE, HuWindow
from .working_grid import WorkingMR

PLANES_AT_ONCE = 16

_KINDS = {"ct": np.int16, "low": np.int16, "high": np.int16, "high_probability": np.float32, "uncertainty": np.float32}
_OUTSIDE = {"ct": OUTSIDE, "low": OUTSIDE, "high": 0, "high_probability": 0, "uncertainty": 0}
_TITLES = {
    "ct": "CT", "low": "CT low band", "high": "CT high band", "high_probability": "high-band probability",
    "uncertainty": "CT uncertainty", "body": "body",
}  # fmt: skip


class Native:
    """The grid of an MR.

    Parameters
    ----------
    mr
        Whose grid is meant.
    working
        The MR on a model's lattice.
    body
        The mask that was given; None takes the one that was found.
    """

    def __init__(self, mr: Volume, working: WorkingMR, body: Volume | None) -> None:
        self._mr = mr
        self._lattice = working.grid
        # On the MR's own grid a mask is taken as it is, voxel by voxel.
        self._exact = body if body is not None and body.grid.same_as(mr.grid) else None
        if self._exact is None:
            found = Volume(working.mask.astype(np.uint8), working.grid.ijk_to_ras)
            given = found if body is None else body.with_array((body.array != 0).astype(np.uint8))
            small = shrunk(given, float(mr.spacing.min()))
            # A border of zeros instead of a fill value: repeating the edge is several times faster.
            matrix = small.ijk_to_ras.copy()
            matrix[:3, 3] = small.grid.to_ras([-1, -1, -1])
            self._body = Volume(np.pad(small.array, 1), matrix)

    def volumes(
        self, lattice: Mapping[str, np.ndarray], window: HuWindow, progress: Progress | None = None
    ) -> dict[str, Volume]:
        """Every answer, and "body", on the MR's grid.

        Parameters
        ----------
        lattice
            Name to (K, J, I) on the lattice in units of the window; uncertainty in HU.
        window
            Of the models.
        progress
            Told about every few planes; may cancel.
        """
        progress = progress or Progress()
        grid = self._mr.grid
        arrays = {name: np.full(grid.shape, _OUTSIDE[name], _KINDS[name]) for name in lattice}
        body = np.zeros(grid.shape, np.uint8)
        sources = {name: Volume(array, self._lattice.ijk_to_ras) for name, array in lattice.items()}
        part = self._where()
        planes = part[0].stop - part[0].start
        for start in range(part[0].start, part[0].stop, PLANES_AT_ONCE):
            progress((start - part[0].start) / planes, "to the MR's grid")
            slab = (slice(start, min(start + PLANES_AT_ONCE, part[0].stop)), *part[1:])
            inside = self._inside(slab)
            if not inside.any():
                continue
            body[slab] = inside
            there = grid.cropped(slab)
            for name, source in sources.items():
                values = _in_units(name, source.resampled_to(there).array, window)
                arrays[name][slab][inside] = values[inside]
        return {
            name: self._mr.with_array(array, f"{self._mr.name} {_TITLES[name]}".strip())
            for name, array in {**arrays, "body": body}.items()
        }

    def _where(self) -> tuple[slice, slice, slice]:
        """K,J,I slices that hold the body."""
        if self._exact is not None:
            return tuple(slice(0, size) for size in self._mr.shape)
        corners = world_corners(self._body.grid)
        return self._mr.grid.slices_around(corners, float(self._body.spacing.max()))

    def _inside(self, slab: tuple[slice, slice, slice]) -> np.ndarray:
        if self._exact is not None:
            return self._exact.array[slab] != 0
        return self._body.resampled_to(self._mr.grid.cropped(slab)).array >= 0.5


def _in_units(name: str, values: np.ndarray, window: HuWindow) -> np.ndarray:
    if name in ("ct", "low"):
        return window.as_int16(window.to_hu(values))
    if name == "high":
        return np.rint(values * window.width).astype(np.int16)
    return values
