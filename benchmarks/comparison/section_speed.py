"""How long a comparison of large masks takes."""

from __future__ import annotations

import time

import numpy as np
from scipy import ndimage

from SparseToPreciseLib.comparison.compare import compare
from SparseToPreciseLib.core.volume import Volume

from ..tables import number, table
from .context import Context
from .rivals import installed

TITLE = "Speed"
BAR_SECONDS = 10.0


def run(context: Context) -> dict:
    side = context.side
    axis = (np.arange(side) - side / 2) / side
    radius = np.sqrt(sum(np.square(axis).reshape([-1 if one == a else 1 for one in range(3)]) for a in range(3)))
    rng = np.random.default_rng(context.seed)
    bumps = [0.25 * ndimage.gaussian_filter(rng.standard_normal(radius.shape).astype(np.float32), 6) for _ in range(2)]
    a, b = (Volume(radius + one < 0.33, np.eye(4)) for one in bumps)
    found = {"side": side, "share": float(a.array.mean()), "tools": {}}
    tools = {"compare: all measures": lambda one, other: compare(one, other), **installed()}
    for name, measure in tools.items():
        wall, own = time.perf_counter(), time.process_time()
        measure(a, b)
        found["tools"][name] = {"wall": time.perf_counter() - wall, "computing": time.process_time() - own}
    return found


def render(found: dict) -> str:
    least = found["tools"].get("MONAI", found["tools"]["ours"])["computing"]
    rows = [
        [name if name.startswith("compare") else f"{name}: mean and HD95", number(one["computing"], 1),
         number(one["wall"], 1), number(one["computing"] / least)]
        for name, one in found["tools"].items()
    ]  # fmt: skip
    side = found["side"]
    return (
        f"Two bumpy balls that fill {100 * found['share']:.0f} % of {side} × {side} × {side} voxels, one thread. "
        "Computing time counts; the clock also counts what else the machine did. Ratio: to MONAI's computing time.\n\n"
        + table(["", "computing (s)", "clock (s)", "ratio"], rows)
    )


def verdict(found: dict) -> list[str]:
    one = found["tools"]["compare: all measures"]
    return [
        f"A comparison of {found['side']}³ voxels takes {number(one['computing'], 1)} s of computing time, "
        f"{number(one['wall'], 1)} s by the clock (bar: {BAR_SECONDS:g} s)."
    ]
