"""The same head, stored otherwise: the same CT, on a grid that is the MR's to the byte."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from SparseToPreciseLib.core.images import read_image
from SparseToPreciseLib.core.resampling import on_grid, world_corners
from SparseToPreciseLib.core.volume import Grid, Volume
from SparseToPreciseLib.phantoms.head import head_case
from SparseToPreciseLib.synthesis.model import Synthesizer, load_model
from SparseToPreciseLib.synthesis.synthesize import synthesize
from SparseToPreciseLib.synthesis.working_grid import onto_working_grid, working_grid_around

from ..harness import DATA
from ..tables import number, table
from .context import Context

TITLE = "Geometry"

GOAL_HU = 15.0
REAL = "mni152_t1_head_2mm.nii.gz"
_TURN = np.array([[0.8, -0.6, 0.0], [0.48, 0.64, -0.6], [0.36, 0.48, 0.8]])


def run(context: Context) -> dict:
    synthesizer = load_model(context.model, "cpu")
    heads = {
        f"phantom, {step:g} mm": head_case(7, "benchmark", spacing_mm=step, kind="head", thick_slices=False).mr
        for step in (1.0, 2.0)
    }
    if DATA.is_dir():
        real = read_image(DATA / REAL)
        corners = world_corners(real.grid)
        fine = working_grid_around(corners.min(axis=0), corners.max(axis=0), 1.0)
        heads["real T1, 1 mm"] = Volume(np.nan_to_num(onto_working_grid(real, fine)), fine.ijk_to_ras, "T1")
    return {name: _compared(mr, synthesizer) for name, mr in heads.items()}


def _compared(mr: Volume, synthesizer: Synthesizer) -> dict:
    straight = synthesize(mr, synthesizer)
    corners = world_corners(mr.grid)
    # Neither's own grid, so that both are interpolated once.
    common = working_grid_around(corners.min(axis=0), corners.max(axis=0), synthesizer.spacing_mm)
    first, body = onto_working_grid(straight.ct, common), _inside(straight.body, common)
    found = {}
    for name, other in _stored(mr):
        result = synthesize(other, synthesizer)
        there = onto_working_grid(result.ct, common)
        inside = body & _inside(result.body, common) & np.isfinite(there)
        difference = np.abs(there - first)[inside]
        # What storing and reading the very same CT on that grid costs.
        stored = Volume(np.nan_to_num(on_grid(straight.ct, other.grid), nan=-1024.0), other.ijk_to_ras)
        kept = onto_working_grid(stored, common)
        floor = np.abs(kept - first)[inside & np.isfinite(kept)]
        found[name] = {
            "mae_hu": float(difference.mean()),
            "p95_hu": float(np.percentile(difference, 95)),
            "floor_hu": float(floor.mean()),
            "compared": float(inside.sum() / body.sum()),
            "same_matrix": result.ct.ijk_to_ras.tobytes() == other.ijk_to_ras.tobytes(),
        }
    return found


def _inside(body: Volume, grid: Grid) -> np.ndarray:
    """(K, J, I) bool: voxels of a grid that lie wholly in a mask."""
    return np.nan_to_num(onto_working_grid(body, grid)) > 0.99


def _stored(mr: Volume) -> Iterator[tuple[str, Volume]]:
    """(name, the same head)."""
    flipped = mr.ijk_to_ras.copy()
    flipped[:3, 3] = mr.grid.to_ras([mr.shape[2] - 1, 0, 0])
    flipped[:3, 0] *= -1
    yield "flipped (LAS)", Volume(np.ascontiguousarray(mr.array[:, :, ::-1]), flipped)
    order = mr.ijk_to_ras[:, [2, 0, 1, 3]]
    yield "axes in another order", Volume(np.ascontiguousarray(mr.array.transpose(1, 2, 0)), order)
    yield "oblique", _turned(mr)
    step = float(mr.spacing[0])
    group = round(4 / step)
    planes = mr.shape[0] // group * group
    thick = mr.ijk_to_ras.copy()
    thick[:3, 3] = mr.grid.to_ras([0, 0, (group - 1) / 2])
    thick[:3, 2] *= group
    means = mr.array[:planes].reshape(planes // group, group, *mr.shape[1:]).mean(axis=1)
    yield "slices of 4 mm", Volume(means.astype(np.float32), thick)
    below, severe, left = (round(length / step) for length in (20, 26, 14))
    everything = slice(None)
    yield "cropped by 20 mm below", mr.cropped((slice(below, None), everything, everything))
    yield (
        "cropped by 26 mm below and 14 mm on the left",
        mr.cropped((slice(severe, None), everything, slice(left, None))),
    )


def _turned(mr: Volume) -> Volume:
    """Sampled on voxels of the same size along turned axes that hold the whole image."""
    corners = world_corners(mr.grid)
    along = corners @ _TURN
    low, high = along.min(axis=0), along.max(axis=0)
    step = float(mr.spacing[0])
    matrix = np.eye(4)
    matrix[:3, :3] = _TURN * step
    matrix[:3, 3] = _TURN @ low
    grid = Grid(tuple(int(np.ceil(size / step)) + 1 for size in (high - low)[::-1]), matrix)
    return Volume(np.nan_to_num(onto_working_grid(mr, grid), nan=float(np.percentile(mr.array, 1))), matrix)


def render(found: dict) -> str:
    heads = list(found)
    names = list(found[heads[0]])
    rows = [
        [name]
        + [
            cell
            for head in heads
            for cell in (
                number(found[head][name]["mae_hu"], 1),
                number(found[head][name]["p95_hu"], 0),
                number(found[head][name]["floor_hu"], 1),
            )
        ]
        for name in names
    ]
    same = all(one["same_matrix"] for head in found.values() for one in head.values())
    head = ["stored", *(f"{one}: {what}" for one in heads for what in ("MAE", "95 %", "of storing"))]
    text = (
        "A head, and the same head stored otherwise; both CTs are brought to one grid, which is neither's own (the "
        "model's voxels, along the axes of the world), and compared within both bodies, in HU. \"Of storing\" is the "
        "mean difference when the first CT itself is stored on the other grid: an answer can hardly be nearer. "
        f"Goal: a mean of at most {GOAL_HU:g} HU.\n\n{table(head, rows)}\n\n"
    )
    return text + f"The CT's matrix is the MR's, byte for byte: {'yes, in every row' if same else 'no'}."


def verdict(found: dict) -> list[str]:
    over = [
        f"{head}, {name}: {number(one['mae_hu'], 1)} HU"
        for head, rows in found.items()
        for name, one in rows.items()
        if one["mae_hu"] > GOAL_HU
    ]
    if not over:
        return [f"Geometry: however the head is stored, the CT differs by at most {GOAL_HU:g} HU on average."]
    return [
        f"Geometry: more than {GOAL_HU:g} HU between the CTs of the same head stored otherwise ({'; '.join(over)})."
    ]
