"""Boxes of slices, which tightening gives: as a labelmap, and as rows for files and for tables on the screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...core.box import Box
from ...core.errors import decimals_on
from ...core.volume import Grid, Volume
from ..slices import AXES, Frame, in_plane_axes

Cell = int | float | str | None


@dataclass(frozen=True)
class SliceBox:
    """The box of one slice.

    Attributes
    ----------
    index, position_mm
        Number of the slice, and its position along the axis from the centre of the given box.
    bounds_mm
        (2, 2) lower and upper bound along the two other axes of the given box (in cyclic order), mm from its centre;
        None where the slice has no object.
    parts
        The same of each component, where the slice has several; without the margin.
    confidence
        Largest share of object of a patch of the slice.
    interpolated
        The slice has no patch of its own: its box comes from its neighbours or the margin.
    """

    index: int
    position_mm: float
    bounds_mm: np.ndarray | None
    parts: tuple[np.ndarray, ...]
    confidence: float
    interpolated: bool


def slices_as_volume(slices: Sequence[SliceBox], frame: Frame, image_grid: Grid) -> Volume:
    """uint8 on any grid: 1 inside the boxes of a frame's slices."""
    box, size = frame.box, frame.box.size
    bounds = np.full((frame.slices, 2, 2), np.nan)
    for entry in slices:
        if entry.bounds_mm is not None:
            bounds[entry.index] = entry.bounds_mm
    array = np.zeros(image_grid.shape, np.uint8)
    part = image_grid.slices_around(box.corners(), 0.0)
    if any(along.start >= along.stop for along in part):
        return Volume(array, image_grid.ijk_to_ras, "slice boxes")
    for k in range(part[0].start, part[0].stop):
        plane = image_grid.cropped((slice(k, k + 1), part[1], part[2]))
        at = box.to_box(plane.points_ras()[0])
        along = at[..., frame.axis]
        number = np.clip(((along + size[frame.axis] / 2) / frame.step).astype(int), 0, frame.slices - 1)
        here = bounds[number]
        inside = np.abs(along) <= size[frame.axis] / 2
        for column, axis in enumerate(frame.plane):
            inside &= (at[..., axis] >= here[..., column, 0]) & (at[..., axis] <= here[..., column, 1])
        array[k, part[1], part[2]] = inside
    return Volume(array, image_grid.ijk_to_ras, "slice boxes")


def slice_columns(axis: int) -> list[str]:
    """Names of the columns for slices along an axis (0: I, 1: J, 2: K) of the given box."""
    sides = [f"{side}_{AXES[other]}_mm" for other in in_plane_axes(axis) for side in ("low", "high")]
    center = ["center_r", "center_a", "center_s"]
    return ["slice", "axis", "position_mm", *sides, *center, "parts", "confidence", "interpolated"]


def slice_rows(slices: Sequence[SliceBox], given: Box, axis: int) -> list[list[Cell]]:
    """One row per slice of the given box, which was cut along one of its axes.

    Returns
    -------
    list
        Cells in the order of `slice_columns`. Positions and sides are mm from the given box's centre along its own
        axes, the centre of the slice's box is in RAS, interpolated is 0 or 1; None where a slice has no box.
    """
    rows: list[list[Cell]] = []
    plane = list(in_plane_axes(axis))
    for entry in slices:
        cells: list[Cell] = [None] * 7
        if entry.bounds_mm is not None:
            bounds = np.asarray(entry.bounds_mm, dtype=np.float64)
            middle = np.zeros(3)
            middle[axis] = entry.position_mm
            middle[plane] = bounds.mean(axis=1)
            cells = [float(number) for number in (*bounds.ravel(), *given.from_box(middle))]
        parts = 0 if entry.bounds_mm is None else max(len(entry.parts), 1)
        head: list[Cell] = [entry.index, AXES[axis], float(entry.position_mm)]
        rows.append([*head, *cells, parts, float(entry.confidence), int(entry.interpolated)])
    return rows


def slice_texts(slices: Sequence[SliceBox], given: Box, frame: Frame, decimals: int) -> list[list[str]]:
    """The rows of `slice_rows` as text: numbers with so many decimals, lengths on fine slices with more."""
    fine = decimals_on(min(frame.step, frame.spacing), decimals)
    shares = slice_columns(frame.axis).index("confidence")

    def text(column: int, cell: Cell) -> str:
        if isinstance(cell, float):
            return f"{cell:.{decimals if column == shares else fine}f}"
        return "" if cell is None else str(cell)

    return [[text(*one) for one in enumerate(row)] for row in slice_rows(slices, given, frame.axis)]
