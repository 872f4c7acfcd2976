"""Pictures of the real images and their synthetic CTs; every voxel is drawn as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from SparseToPreciseLib.core.images import read_image
from SparseToPreciseLib.core.volume import Volume
from SparseToPreciseLib.pictures.slices import draw_directions, draw_slice, intensity_window, plane_at

from ..harness import DATA
from .context import Context
from .section_real import BRAIN, CT, MR, TUMOUR, answers

TITLE = "Pictures"

TEMPLATES, BRAINS = "synthesis-real-templates.png", "synthesis-real-brains.png"
_CT_WINDOW = (-600.0, 1000.0)
_ERROR_HU = 600.0
_PIXELS = 300
# RAS of the planes' common point: through vault, eyes and base in the templates' space
_VIEWS = (
    ("axial", (0, -20, 40)),
    ("axial", (0, -20, 0)),
    ("axial", (0, -20, -36)),
    ("axial", (0, -20, -60)),
    ("coronal", (0, -24, 18)),
    ("sagittal", (3, -20, 18)),
)
_NORMALS = {"axial": (0, 0, 1), "coronal": (0, 1, 0), "sagittal": (1, 0, 0)}


def run(context: Context) -> dict:
    if not DATA.is_dir():
        return {}
    found = answers(str(context.model))
    mr, result = found[MR]
    reference = read_image(DATA / CT).resampled_to(mr.grid)
    body = result.body.array != 0
    error = mr.with_array(np.where(body, result.ct.array - reference.array, np.nan))
    # The mean MR may not be passed on, not even as a picture.
    rows = [("synthetic CT", result.ct), ("mean CT", reference), ("error", error)]
    _draw(context.images / TEMPLATES, rows, _VIEWS, 112.0)
    brains = []
    for title, name in (("no skull", BRAIN), ("6.5 mm", TUMOUR)):
        image, answer = found[name]
        brains += [(f"MR, {title}", image), ("synthetic CT", answer.ct)]
    _draw(context.images / BRAINS, brains, None, 112.0)
    return {"templates": TEMPLATES, "brains": BRAINS}


def render(found: dict) -> str:
    if not found:
        return "The real images are not on this machine."
    return (
        f"![Synthetic CT of the mean T1, mean CT and error](../images/{found['templates']})\n\n"
        f"The pair of templates. CT from {_CT_WINDOW[0]:g} to {_CT_WINDOW[1]:g} HU; errors from −{_ERROR_HU:g} "
        f"(blue) to {_ERROR_HU:g} HU (red), within the body.\n\n"
        f"![MR and synthetic CT of two brains](../images/{found['brains']})\n\n"
        "A brain without skull (colin27), and a T1 with contrast agent in slices of 6.5 mm with a tumour; there is no "
        "CT of either."
    )


def _draw(path: Path, rows: list[tuple[str, Volume]], views: tuple | None, half: float) -> None:
    """A row for each volume, a column for each view; None: planes through the middle of every volume."""
    from matplotlib.figure import Figure

    columns = len(views or _default_views(rows[0][1]))
    side, gap = 2.0, 0.03  # inches
    width, height = columns * (side + gap) + gap, len(rows) * (side + gap) + gap
    figure = Figure(figsize=(width, height), facecolor="black")
    for line, (title, volume) in enumerate(rows):
        planes = [plane_at(np.array(point, float), np.array(_NORMALS[name], float)) for name, point in
                  views or _default_views(volume)]  # fmt: skip
        shown = [volume.resampled_to(plane.grid(half, _PIXELS), fill=np.nan).array[0] for plane in planes]
        if "MR" in title:
            window = intensity_window(shown)
        else:
            window = (-_ERROR_HU, _ERROR_HU) if title == "error" else _CT_WINDOW
        for column, (plane, values) in enumerate(zip(planes, shown, strict=True)):
            corner = (gap + column * (side + gap)) / width, 1 - (line + 1) * (side + gap) / height
            axes = figure.add_axes((*corner, side / width, side / height))
            draw_slice(axes, values, half, window)
            if title == "error":
                axes.images[-1].set_cmap("RdBu_r")
            draw_directions(axes, plane, half, title if column == 0 else " ")
    figure.savefig(path, format="png", dpi=80, facecolor="black")


def _default_views(volume: Volume) -> tuple:
    size = np.array(volume.shape[::-1]) - 1
    middle = volume.grid.to_ras(size / 2)
    axial = [("axial", middle + np.array([0, 0, step])) for step in (40, 10, -20)]
    return (*axial, ("coronal", middle), ("sagittal", middle + np.array([3.0, 0, 0])))
