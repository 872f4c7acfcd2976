"""The picture of a synthesis: MR and CT, and the uncertainty where there is one, on three planes through the body."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..core.volume import Volume
from .slices import PIXELS, Plane, Sheet, draw_directions, draw_slice, intensity_window, plane_at

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..synthesis.synthesize import SynthesisResult

CT_WINDOW = (-500.0, 1200.0)
"""HU from black to white: skull and soft tissue in one picture."""
_ROOM = 1.05


def draw_synthesis(path: Path, cases: Sequence[tuple[Volume, SynthesisResult]]) -> None:
    """Draw MRs and their CTs as PNG.

    Parameters
    ----------
    path
        The file.
    cases
        Two rows for each, three where there is an uncertainty; axial, coronal and sagittal through the body's middle.
    """
    rows = [(row, case) for case in cases for row in _rows(case[1])]
    sheet = Sheet(len(rows), 3, 2.8)
    for number, (row, (mr, result)) in enumerate(rows):
        planes, half = _planes(result.body)
        volume = mr if row == "MR" else result.ct if row == "CT" else result.uncertainty
        shown = [volume.resampled_to(plane.grid(half, PIXELS), fill=np.nan).array[0] for plane in planes]
        window = intensity_window(shown) if row == "MR" else CT_WINDOW
        for column, (plane, values) in enumerate(zip(planes, shown, strict=True)):
            axes = sheet.cell(number, column)
            if row == "uncertainty":
                _draw_map(axes, values, half, result.uncertainty)
            else:
                draw_slice(axes, values, half, window)
            draw_directions(axes, plane, half, f"{mr.name} {row}".strip() if column == 0 else "")
    sheet.save(path)


def _rows(result: SynthesisResult) -> list[str]:
    return ["MR", "CT"] + (["uncertainty"] if result.uncertainty is not None else [])


def _planes(body: Volume) -> tuple[list[Plane], float]:
    """Three planes through the middle of the body, and how far the pictures reach from there in mm."""
    ijk = np.argwhere(body.array)[:, ::-1]
    if not len(ijk):
        ijk = np.argwhere(np.ones(body.shape, bool))[:, ::-1]
    # A body of millions of voxels is known by thousands.
    ras = body.grid.to_ras(ijk[:: max(1, len(ijk) // 20000)])
    low, high = ras.min(axis=0), ras.max(axis=0)
    half = float((high - low).max()) / 2 * _ROOM
    return [plane_at((low + high) / 2, normal) for normal in np.eye(3)[::-1]], half


def _draw_map(axes: Axes, values: np.ndarray, half: float, uncertainty: Volume) -> None:
    found = uncertainty.array[uncertainty.array > 0]
    highest = float(np.percentile(found, 99)) if found.size else 1.0
    draw_slice(axes, values, half, (0.0, max(highest, 1e-3)))
    axes.images[-1].set_cmap("inferno")
    axes.text(0.99, 0.98, f"0 to {highest:.0f} HU", color="white", fontsize=8, ha="right", va="top",
              transform=axes.transAxes)  # fmt: skip
