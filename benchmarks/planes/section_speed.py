"""Time and memory of filling a large image, in a process of its own."""

from __future__ import annotations

import json
import time

import numpy as np

from SparseToPreciseLib.core.plane import Plane
from SparseToPreciseLib.core.used_memory import peak_bytes
from SparseToPreciseLib.core.volume import Volume
from SparseToPreciseLib.planes.fill import fill

from ..harness import printed_by_a_child
from ..tables import number, table
from .context import Context

TITLE = "Time and memory"
PLANES = (6, 16)
GOAL_SECONDS, GOAL_BYTES = 2.0, 3e9


def run(context: Context) -> dict:
    rows = [json.loads(printed_by_a_child(__name__, f"measure({context.side}, {count})")) for count in PLANES]
    return {"side": context.side, "rows": rows}


def measure(side: int, count: int) -> None:
    """Print seconds by the clock and of computing, and bytes before and at the peak."""
    rng = np.random.default_rng(count)
    k, j, i = (np.arange(side, dtype=np.float32) - side / 2 for _ in range(3))
    away = (k[:, None, None] / 0.31) ** 2 + (j[:, None] / 0.23) ** 2 + (i / 0.35) ** 2
    truth = away < side**2
    image = Volume(truth * np.float32(60) + rng.normal(0, 20, truth.shape).astype(np.float32), np.eye(4))
    normals = rng.normal(size=(count, 3))
    planes = [Plane.across(one, side / 2 + rng.normal(0, side / 10, 3)) for one in normals]
    paint = np.zeros(truth.shape, np.uint8)
    for plane in planes:
        i, j, k = plane.voxels(image.grid).T
        paint[k, j, i] = truth[k, j, i]
    before = peak_bytes()
    started = time.perf_counter(), time.process_time()
    found = fill(image, Volume(paint, np.eye(4)), planes)
    seconds, computing = time.perf_counter() - started[0], time.process_time() - started[1]
    overlap = 2 * np.count_nonzero(found.segmentation.array & truth)
    overlap /= np.count_nonzero(found.segmentation.array) + np.count_nonzero(truth)
    told = {"planes": count, "seconds": seconds, "computing": computing, "before": before, "peak": peak_bytes()}
    print(json.dumps({**told, "dice": float(overlap)}))


def render(found: dict) -> str:
    rows = [
        [
            str(row["planes"]),
            number(row["seconds"], 1),
            number(row["computing"], 1),
            number(row["before"] / 1e9, 2),
            number(row["peak"] / 1e9, 2),
            number(row["dice"], 3),
        ]
        for row in found["rows"]
    ]
    head = ["planes", "seconds", "computing time (s)", "memory before (GB)", "at the peak (GB)", "Dice"]
    side = found["side"]
    return (
        f"A noisy ellipsoid in {side} × {side} × {side} voxels, planes of random direction, one segment. Seconds by "
        "the clock count whatever else this machine did.\n\n" + table(head, rows)
    )


def verdict(found: dict) -> list[str]:
    slowest = max(row["computing"] for row in found["rows"])
    peak = max(row["peak"] for row in found["rows"])
    return [
        f"{found['side']} voxels along each side: up to {number(slowest, 1)} s of computing (goal {GOAL_SECONDS:g} s), "
        f"{number(peak / 1e9, 2)} GB (goal {GOAL_BYTES / 1e9:g} GB)."
    ]
