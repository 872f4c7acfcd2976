"""Common part of all pictures: planes as a radiologist sees them, slices with contours, the sheet on which they lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..core.volume import Grid, Volume

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PIXELS = 320
"""Along a side of a square picture of a slice."""
SNAP_DEGREES = 5.0
"""A stroke's plane that is nearer than this to one of the image's is taken for it: no resampling in the picture."""

_ENDS = {(0, 1): "R", (0, -1): "L", (1, 1): "A", (1, -1): "P", (2, 1): "S", (2, -1): "I"}
# For a plane whose normal is nearest to R, A or S: what points right and up on the screen.
_VIEWS = (
    ("sagittal", (0, -1, 0), (0, 0, 1)),
    ("coronal", (-1, 0, 0), (0, 0, 1)),
    ("axial", (-1, 0, 0), (0, 1, 0)),
)
_GAP = 0.03  # inches between two slices


class Sheet:
    """Rows and columns of square slices on black.

    Parameters
    ----------
    rows, columns
        How many.
    side
        Of a slice, in inches.
    head, foot
        Room above and below the slices, in inches.
    """

    def __init__(self, rows: int, columns: int, side: float, *, head: float = _GAP, foot: float = _GAP) -> None:
        from matplotlib.figure import Figure

        self._rows, self._side, self._foot = rows, side, foot
        self._width = columns * (side + _GAP) + _GAP
        self._height = rows * (side + _GAP) - _GAP + head + foot
        self._figure = Figure(figsize=(self._width, self._height), facecolor="black")

    def cell(self, row: int, column: int) -> Axes:
        """The axes of one slice."""
        pitch = self._side + _GAP
        left, bottom = _GAP + column * pitch, self._foot + (self._rows - 1 - row) * pitch
        size = (self._side / self._width, self._side / self._height)
        return self._figure.add_axes((left / self._width, bottom / self._height, *size))

    def legend(self, entries: Sequence[tuple[str, str, str]]) -> None:
        """Labels, colours and styles of lines, below the slices."""
        from matplotlib.lines import Line2D

        lines = [Line2D([], [], color=color, linestyle=style, linewidth=2) for _, color, style in entries]
        labels = [label for label, _, _ in entries]
        self._figure.legend(lines, labels, loc="lower center", ncols=5, frameon=False, labelcolor="white", fontsize=10)

    def save(self, path: Path, dpi: int = 110) -> None:
        """Write the sheet as PNG."""
        self._figure.savefig(path, format="png", dpi=dpi, facecolor="black")


@dataclass(frozen=True)
class Plane:
    """A plane in RAS with its screen axes.

    Attributes
    ----------
    name
        axial, coronal or sagittal, "oblique" in front where it is tilted.
    centre
        RAS, mm.
    right, up, normal
        Unit vectors in RAS.
    """

    name: str
    centre: np.ndarray
    right: np.ndarray
    up: np.ndarray
    normal: np.ndarray

    def grid(self, half_size_mm: float, pixels: int) -> Grid:
        """One slice of pixels x pixels on the plane; rows run down the screen."""
        pixel = 2 * half_size_mm / pixels
        matrix = np.eye(4)
        matrix[:3, :3] = np.stack([self.right, -self.up, self.normal], axis=1) * pixel
        matrix[:3, 3] = self.centre + (pixel / 2 - half_size_mm) * (self.right - self.up)
        return Grid((1, pixels, pixels), matrix)

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N, 2) screen coordinates (mm right and up of the centre) of RAS points, and (N,) mm in front of it."""
        shifted = points - self.centre
        return np.stack([shifted @ self.right, shifted @ self.up], axis=1), shifted @ self.normal

    @property
    def letters(self) -> tuple[str, str, str, str]:
        """Anatomical directions at the left, right, upper and lower edge."""
        return _letter(-self.right), _letter(self.right), _letter(self.up), _letter(-self.up)


def plane_at(centre: np.ndarray, normal: np.ndarray) -> Plane:
    """The plane through a RAS point at right angles to a unit vector, turned as a radiologist sees it."""
    axis = int(np.abs(normal).argmax())
    name, right, up = _VIEWS[axis]
    up = unit(up - (np.array(up) @ normal) * normal)
    across = np.cross(up, normal)
    right = across if across @ right > 0 else -across
    tilted = np.abs(normal[axis]) < np.cos(np.radians(SNAP_DEGREES))
    return Plane(f"oblique {name}" if tilted else name, centre, right, up, normal)


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


def unit(vector: np.ndarray) -> np.ndarray:
    """The vector at length 1."""
    return vector / np.linalg.norm(vector)


def _letter(direction: np.ndarray) -> str:
    axis = int(np.abs(direction).argmax())
    return _ENDS[axis, 1 if direction[axis] > 0 else -1]
