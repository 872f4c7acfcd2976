"""Pictures of objects in their boxes: the label and what was found, on one slice each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from SparseToPreciseLib.boxes.scenes import Scene
from SparseToPreciseLib.core.box import Box
from SparseToPreciseLib.core.files import write_atomically

COLOURS = ("lime", "deepskyblue", "red")
"""Of the label and of what was found, in this order."""
_AROUND = 0.35
"""Of the box's extent on the slice, shown beyond it."""


@dataclass(frozen=True)
class Panel:
    """A slice across the image's third axis, where the label is largest.

    Attributes
    ----------
    name, margin
        Of the case, and of the box: column and row of the picture.
    caption
        A line or two.
    image, box, masks
        (J, I): intensities, which pixels lie in the box, and the label and what was found.
    """

    name: str
    margin: float
    caption: str
    image: np.ndarray
    box: np.ndarray
    masks: tuple[np.ndarray, ...]

    @staticmethod
    def of(scene: Scene, margin: float, box: Box, masks: Sequence[np.ndarray], caption: str) -> Panel:
        """`masks`: the label and what was found, (K, J, I) bool on the image's grid."""
        k = int(masks[0].sum(axis=(1, 2)).argmax())
        inside = box.mask_on(scene.image.grid)[k]
        part = []
        for axis, length in zip((1, 0), inside.shape, strict=True):
            there = np.flatnonzero(inside.any(axis=axis))
            more = round(_AROUND * len(there))
            part.append(slice(max(int(there[0]) - more, 0), min(int(there[-1]) + 1 + more, length)))
        rows, columns = part
        return Panel(
            scene.name,
            margin,
            caption,
            scene.image.array[k, rows, columns].astype(np.float32),
            inside[rows, columns],
            tuple(mask[k, rows, columns] for mask in masks),
        )


def draw(panels: list[Panel], path: Path) -> None:
    """One column for each case, one row for each margin; K slices with I to the right and J upwards."""
    from matplotlib.figure import Figure

    names, margins = (list(dict.fromkeys(getattr(one, key) for one in panels)) for key in ("name", "margin"))
    figure = Figure(figsize=(1.75 * len(names), 2.05 * len(margins)), layout="constrained")
    axes = figure.subplots(len(margins), len(names), squeeze=False)
    for one in panels:
        shown = axes[margins.index(one.margin), names.index(one.name)]
        low, high = np.percentile(one.image[one.box], (1, 99))
        span = max(float(high - low), 1e-6)
        shown.imshow(one.image, cmap="gray", vmin=low - 0.3 * span, vmax=high + 0.3 * span, origin="lower")
        for mask, colour, width in ((one.box, "white", 0.8), *zip(one.masks, COLOURS, (1.6, 0.9, 0.9), strict=True)):
            if mask.any() and not mask.all():
                # One more pixel around, so that a mask at the edge of what is shown is closed.
                padded = np.pad(mask.astype(float), 1)
                columns, rows = (np.arange(-1, length + 1) for length in mask.shape[::-1])
                shown.contour(columns, rows, padded, [0.5], colors=colour, linewidths=width)
        shown.set_xlim(-0.5, one.image.shape[1] - 0.5)
        shown.set_ylim(-0.5, one.image.shape[0] - 0.5)
        shown.set_axis_off()
        shown.set_title(one.caption, fontsize=6)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda to: figure.savefig(to, dpi=110, format="png"))
