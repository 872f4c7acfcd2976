"""The picture of found landmarks: one row for the reference and for each target, one column for each landmark."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..core.volume import Volume
from ..landmarks.detect import Landmark
from ..landmarks.model import Template
from .slices import PIXELS, Sheet, draw_directions, draw_slice, intensity_window, plane_at

_COLUMNS = 5
_MARK, _REFERENCE = "#2fd3ff", "#ffb000"


def draw_landmarks(path: Path, template: Template, targets: Sequence[tuple[Volume, Sequence[Landmark]]]) -> None:
    """Draw axial slices through landmarks as PNG.

    Parameters
    ----------
    path
        The file.
    template
        Its first reference makes the first row.
    targets
        Images with what was found on them; landmarks after the fifth are left out.
    """
    reference = template.references[0]
    names = template.landmarks[:_COLUMNS]
    half = 0.9 * template.scale.diameter_mm
    rows: list[tuple[str, Volume, dict[str, np.ndarray], dict[str, str], str]] = [
        ("reference", reference.image, dict(reference.landmarks), {}, _REFERENCE)
    ]
    for image, found in targets:
        remarks = {one.name: f"{one.confidence:.2f}" for one in found}
        placed = {one.name: one.position for one in found if one.position is not None}
        rows.append((image.name, image, placed, remarks, _MARK))
    sheet = Sheet(len(rows), len(names), 2.4)
    for row, (title, image, points, remarks, color) in enumerate(rows):
        planes = {name: plane_at(points[name], np.array([0.0, 0.0, 1.0])) for name in names if name in points}
        slices = {
            name: image.resampled_to(plane.grid(half, PIXELS), fill=np.nan).array[0] for name, plane in planes.items()
        }
        window = intensity_window(list(slices.values())) if slices else (0.0, 1.0)
        for column, name in enumerate(names):
            axes = sheet.cell(row, column)
            label = " ".join(part for part in (title if column == 0 else "", name, remarks.get(name, "")) if part)
            if name not in planes:
                draw_slice(axes, np.full((2, 2), np.nan), half, (0.0, 1.0))
                axes.text(0, 0, f"{label}\nunplaced", color="white", ha="center", va="center", fontsize=9)
                continue
            draw_slice(axes, slices[name], half, window)
            axes.plot([0], [0], "+", color=color, markersize=12, markeredgewidth=1.4)
            draw_directions(axes, planes[name], half, label)
    sheet.save(path)
