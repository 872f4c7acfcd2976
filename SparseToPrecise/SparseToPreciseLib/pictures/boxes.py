"""The picture of a box: two views along its slices, and some of the slices, with every box and the segmentation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..boxes.slices import AXES, axis_of, in_plane_axes
from ..core.box import Box
from ..core.errors import in_digits
from ..core.volume import Volume
from .slices import (
    PIXELS,
    Plane,
    Sheet,
    draw_contour,
    draw_directions,
    draw_slice,
    intensity_window,
    plane_at,
    soft_mask,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..boxes.corrector.tighten import TightenResult

GIVEN, TIGHTENED, SLICE, SEGMENT = "#ffb000", "#2fd3ff", "#ff3d9a", "#b6ff3d"
SLICES = 6
_ROOM = 1.15


@dataclass(frozen=True)
class _View:
    """A plane across one of the box's axes, at `position` mm from the box's centre."""

    axis: int
    position: float
    plane: Plane
    title: str


def draw_boxes(
    path: Path, image: Volume, given: Box, result: TightenResult | None = None, segmentation: Volume | None = None
) -> None:
    """Draw a box as PNG.

    Parameters
    ----------
    path
        The file.
    given
        The box before.
    result
        What tightening made of it; not drawn where it is not safe.
    segmentation
        Its boundary is drawn.
    """
    axis = axis_of("auto", image.grid, given) if result is None else result.axis
    tightened = result if result is not None and result.safe else None
    views = _views(given, given if result is None else result.box, axis)
    half = max(float(np.abs(view.plane.project(given.corners())[0]).max()) for view in views) * _ROOM
    grids = [view.plane.grid(half, PIXELS) for view in views]
    slices = [image.resampled_to(grid, fill=np.nan).array[0] for grid in grids]
    window = intensity_window(slices)

    columns = len(views) // 2
    sheet = Sheet(2, columns, 2.6, foot=0.4)
    for number, (view, grid, values) in enumerate(zip(views, grids, slices, strict=True)):
        axes = sheet.cell(*divmod(number, columns))
        draw_slice(axes, values, half, window)
        if segmentation is not None:
            draw_contour(axes, soft_mask(segmentation, grid), half, 0.5, SEGMENT, linewidths=1.6)
        _rectangle(axes, view, given, given, GIVEN, linewidth=1.6)
        if tightened is not None:
            _slices(axes, view, given, tightened)
            _rectangle(axes, view, given, tightened.box, TIGHTENED, linewidth=1.6)
        draw_directions(axes, view.plane, half, view.title)
    entries = [("given box", GIVEN, "-")]
    if tightened is not None:
        entries += [("boxes of slices", SLICE, "-"), ("tightened box", TIGHTENED, "-")]
    entries += [("segment", SEGMENT, "-")] if segmentation is not None else []
    sheet.legend(entries)
    sheet.save(path)


def _views(given: Box, tight: Box, axis: int) -> list[_View]:
    """Two planes that hold the axis, through the middle of the tightened box, and slices all across the given one."""
    middle = given.to_box(tight.center)
    planes = [(across, float(middle[across])) for across in in_plane_axes(axis)]
    ends = given.size[axis] * ((np.arange(SLICES) + 0.5) / SLICES - 0.5)
    planes += [(axis, float(position)) for position in ends]
    views = []
    for number, (across, position) in enumerate(planes):
        shift = np.zeros(3)
        shift[across] = position
        plane = plane_at(given.from_box(shift), given.axes[:, across])
        title = plane.name if number < 2 else f"{AXES[axis]} {'+' if position >= 0 else ''}{in_digits(position, 1)} mm"
        views.append(_View(across, position, plane, title))
    return views


def _rectangle(axes: Axes, view: _View, frame: Box, box: Box, color: str, **style) -> None:
    """Where a box of the frame's axes is cut by the view's plane."""
    middle, half = frame.to_box(box.center), box.size / 2
    if abs(view.position - middle[view.axis]) <= half[view.axis] + 1e-6:
        one, other = in_plane_axes(view.axis)
        bounds = [(middle[each] - half[each], middle[each] + half[each]) for each in (one, other)]
        _outline(axes, view, frame, bounds, color, **style)


def _slices(axes: Axes, view: _View, frame: Box, result: TightenResult) -> None:
    """The boxes of the slices: that of the slice on a slice, else the outline of all as they stand on end."""
    step = frame.size[result.axis] / len(result.slices)
    plane = in_plane_axes(result.axis)
    # A view between two slices shows one of them.
    shown = min(max(int((view.position + frame.size[result.axis] / 2) // step), 0), len(result.slices) - 1)
    runs: list[list[np.ndarray]] = [[]]
    for one in result.slices:
        if one.bounds_mm is None:
            continue
        bounds = np.zeros((3, 2))
        bounds[list(plane)] = one.bounds_mm
        bounds[result.axis] = one.position_mm - step / 2, one.position_mm + step / 2
        if view.axis != result.axis:
            low, high = bounds[view.axis]
            if not low - 1e-6 <= view.position <= high + 1e-6:
                continue
            if runs[-1] and runs[-1][-1][result.axis, 1] < bounds[result.axis, 0] - step / 2:
                runs.append([])
            runs[-1].append(bounds)
            continue
        if one.index != shown:
            continue
        for part in one.parts if len(one.parts) > 1 else ():
            _outline(axes, view, frame, part, SLICE, linewidth=0.8, linestyle="dashed")
        style = "dotted" if one.interpolated else "solid"
        _outline(axes, view, frame, bounds[list(plane)], SLICE, linewidth=1.4, linestyle=style)
    for run in filter(None, runs):
        _stairs(axes, view, frame, np.array(run), result.axis)


def _stairs(axes: Axes, view: _View, frame: Box, run: np.ndarray, along: int) -> None:
    """The outline of consecutive slices, (N, 3, 2) bounds in box coordinates, on a plane that holds their axis."""
    (across,) = {0, 1, 2} - {view.axis, along}
    corners = np.zeros((4 * len(run), 3))
    corners[:, view.axis] = view.position
    there, back = run[:, along].ravel(), run[:, along].ravel()[::-1]
    corners[:, along] = np.concatenate([there, back])
    corners[:, across] = np.repeat(np.concatenate([run[:, across, 0], run[::-1, across, 1]]), 2)
    corners = np.concatenate([corners, corners[:1]])
    axes.plot(*view.plane.project(frame.from_box(corners))[0].T, color=SLICE, linewidth=1.2)


def _outline(axes: Axes, view: _View, frame: Box, bounds, color: str, **style) -> None:
    """A rectangle in box coordinates along the two in-plane axes of a view."""
    (a, b), (c, d) = bounds
    corners = np.zeros((5, 3))
    corners[:, view.axis] = view.position
    corners[:, list(in_plane_axes(view.axis))] = [(a, c), (b, c), (b, d), (a, d), (a, c)]
    axes.plot(*view.plane.project(frame.from_box(corners))[0].T, color=color, **style)
