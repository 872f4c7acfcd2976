"""Slices on a screen: the image, contours on it, the directions and a scale bar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..core.volume import Grid, Volume
from .planes import Plane

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PIXELS = 320
"""Along a side of a square picture of a slice."""


def intensity_window(slices: Sequence[np.ndarray]) -> tuple[float, float]:
    """Black and white for some slices, NaN where the image ends."""
    seen = np.concatenate([values[np.isfinite(values)] for values in slices])
    return tuple(np.percentile(seen, (0.5, 99.5))) if len(seen) else (0.0, 1.0)


def soft_mask(mask: Volume, grid: Grid) -> np.ndarray:
    """A mask on a plane, interpolated so that its 0.5 contour is the boundary between the voxels."""
    near = mask.cropped(mask.grid.slices_around(grid.points_ras().reshape(-1, 3), 0.0))
    return near.with_array((near.array != 0).astype(np.float32)).resampled_to(grid, fill=0.0).array[0]


def draw_slice(axes: Axes, values: np.ndarray, half: float, window: tuple[float, float]) -> None:
    """A square slice that reaches `half` mm from its centre; black where it is NaN."""
    axes.imshow(values, cmap="gray", vmin=window[0], vmax=window[1], extent=(-half, half, -half, half), origin="upper")
    axes.set_facecolor("black")
    axes.set(xlim=(-half, half), ylim=(-half, half), xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)


def draw_contour(axes: Axes, values: np.ndarray, half: float, level: float, color: str, **style) -> None:
    """Where values on such a slice cross a level."""
    if np.nanmin(values) < level < np.nanmax(values):
        middle = half - half / len(values)  # pixel centres
        axes.contour(
            values, levels=[level], colors=[color], extent=(-middle, middle, middle, -middle), origin=None, **style
        )


def draw_directions(axes: Axes, plane: Plane, half: float, title: str = "") -> None:
    """The plane's name or another title, the anatomical directions and a scale bar."""
    style = {"color": "white", "fontsize": 9, "transform": axes.transAxes}
    left, right, upper, lower = plane.letters
    axes.text(0.02, 0.98, title or plane.name, ha="left", va="top", **style)
    axes.text(0.01, 0.5, left, ha="left", va="center", **style)
    axes.text(0.99, 0.5, right, ha="right", va="center", **style)
    axes.text(0.5, 0.98, upper, ha="center", va="top", **style)
    axes.text(0.5, 0.02, lower, ha="center", va="bottom", **style)
    length = float(10 ** np.floor(np.log10(half / 2)))
    length = max(step * length for step in (1, 2, 5) if step * length <= half / 2)
    start, level = 0.96 * half, -0.93 * half
    axes.plot([start - length, start], [level, level], color="white", linewidth=2)
    axes.text(start - length / 2, level, f"{length:g} mm", color="white", fontsize=8, ha="center", va="bottom")
