"""The same anatomy, stored otherwise: the same tightened box."""

from __future__ import annotations

import numpy as np

from SparseToPreciseLib.boxes.corrector.model import Corrector
from SparseToPreciseLib.boxes.corrector.tighten import around_slices
from SparseToPreciseLib.boxes.simulation import loose_box
from SparseToPreciseLib.boxes.slices import slice_step
from SparseToPreciseLib.core.box import Box
from SparseToPreciseLib.core.volume import Grid, Volume
from SparseToPreciseLib.phantoms.blobs import make_blob

from ..tables import number, table
from .context import Context

TITLE = "Geometry"
COVERAGE = 0.9
"""At a higher one little is taken off, and boxes that stay as they are would prove nothing."""
_TURN = np.array([[0.8, -0.6, 0.0], [0.48, 0.64, -0.6], [0.36, 0.48, 0.8]])


def run(context: Context) -> dict:
    blob = make_blob(90_600_002, "bean", cut=False)
    box = loose_box(blob.mask, 0.25, np.random.default_rng(context.seed))
    plain = _unchecked(blob.image, box, context.corrector)
    found = {}
    for name, image, given, back in _stored(blob.image, box):
        result = _unchecked(image, given, context.corrector)
        corners = result.corners() @ back.T
        # Corners come in the order of each box's own axes: compare as sets of positions.
        distance = np.linalg.norm(corners[:, None] - plain.corners()[None], axis=2).min(axis=1)
        found[name] = float(distance.max())
    return {"largest_mm": found, "voxel_mm": float(blob.image.spacing[0])}


def _unchecked(image: Volume, box: Box, corrector: Corrector) -> Box:
    """The tightened box whether the model is sure or not: a box that is kept would prove nothing."""
    level = corrector.calibration.levels[COVERAGE]
    frame = corrector.view.frame(box, 2, slice_step(image.grid, box, 2))
    seen = corrector.predict(image, frame)
    clean = seen.cleaned(corrector.patch, level.threshold)
    return around_slices(seen.bounds(clean, level.margin * clean.patch_mm), frame)


def _stored(image: Volume, box: Box):
    """(name, image, box, rotation that brings the answer back)."""
    identity = np.eye(3)
    flipped = image.array[:, :, ::-1]
    matrix = image.ijk_to_ras.copy()
    matrix[:3, 3] = image.grid.to_ras([image.shape[2] - 1, 0, 0])
    matrix[:3, 0] *= -1
    yield "flipped (LAS)", Volume(np.ascontiguousarray(flipped), matrix), box, identity
    # (J, I, K) in array order: the new I runs along the old K, the new J along the old I, the new K along the old J.
    order = image.ijk_to_ras[:, [2, 0, 1, 3]]
    yield "axes in another order", Volume(np.ascontiguousarray(image.array.transpose(1, 2, 0)), order), box, identity
    size = image.spacing * np.array(image.shape[::-1])
    thick = Grid((image.shape[0] // 2, *image.shape[1:]), _scaled(image, (1, 1, 2)))
    yield "slices twice as thick", image.resampled_to(thick), box, identity
    for beyond in (25, 6):
        yield f"cropped to the box and {beyond} mm", image.cropped_to_box(box.bounds_ras, beyond), box, identity
    turned = np.eye(4)
    turned[:3, :3] = _TURN
    moved = Volume(image.array, turned @ image.ijk_to_ras)
    yield "scene turned (parent transform)", moved, Box(_TURN @ box.center, _TURN @ box.axes, box.size), _TURN.T
    oblique = np.eye(4)
    oblique[:3, :3] = _TURN * image.spacing
    count = tuple(int(n) for n in np.ceil(np.linalg.norm(size) / image.spacing * 0.8)[::-1])
    oblique[:3, 3] = box.center - oblique[:3, :3] @ (np.array(count[::-1]) - 1) / 2
    yield "oblique grid", image.resampled_to(Grid(count, oblique)), box, identity


def _scaled(image: Volume, factors: tuple[int, int, int]) -> np.ndarray:
    matrix = image.ijk_to_ras.copy()
    matrix[:3, 3] = image.grid.to_ras((np.array(factors) - 1) / 2)
    matrix[:3, :3] *= factors
    return matrix


def render(found: dict) -> str:
    rows = [[name, number(value, 2)] for name, value in found["largest_mm"].items()]
    return (
        f"How far the corners of the tightened box lie from those for the image as it was made (voxels of "
        f"{number(found['voxel_mm'], 1)} mm), with a coverage of {COVERAGE:g}; interpolation alone moves them. A crop "
        "at 25 mm leaves all that the corrector sees around this box, one at 6 mm cuts it.\n\n"
        + table(["stored as", "largest distance (mm)"], rows)
    )
