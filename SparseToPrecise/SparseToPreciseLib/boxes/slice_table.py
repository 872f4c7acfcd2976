"""The boxes of slices as rows, for files and for tables on the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..core.box import Box
from .frame import AXES, in_plane_axes

if TYPE_CHECKING:
    from .corrector.tighten import TightenResult

Cell = int | float | str | None


def slice_columns(axis: int) -> list[str]:
    """Names of the columns for slices along an axis (0: I, 1: J, 2: K) of the given box."""
    sides = [f"{side}_{AXES[one]}_mm" for one in in_plane_axes(axis) for side in ("low", "high")]
    center = ["center_r", "center_a", "center_s"]
    return ["slice", "axis", "position_mm", *sides, *center, "parts", "confidence", "interpolated"]


def slice_rows(given: Box, result: TightenResult) -> list[list[Cell]]:
    """One row per slice of the given box.

    Returns
    -------
    list
        Cells in the order of `slice_columns`. Positions and sides are mm from the given box's centre along its own
        axes, the centre of the slice's box is in RAS, interpolated is 0 or 1; None where a slice has no box.
    """
    rows: list[list[Cell]] = []
    plane = list(in_plane_axes(result.axis))
    for one in result.slices:
        cells: list[Cell] = [None] * 7
        if one.bounds_mm is not None:
            bounds = np.asarray(one.bounds_mm, dtype=np.float64)
            middle = np.zeros(3)
            middle[result.axis] = one.position_mm
            middle[plane] = bounds.mean(axis=1)
            cells = [float(number) for number in (*bounds.ravel(), *given.from_box(middle))]
        parts = 0 if one.bounds_mm is None else max(len(one.parts), 1)
        head: list[Cell] = [one.index, AXES[result.axis], float(one.position_mm)]
        rows.append([*head, *cells, parts, float(one.confidence), int(one.interpolated)])
    return rows
