"""The benchmark of MR -> CT synthesis: docs/benchmarks/synthesis.md and .json.

    python -m benchmarks.synthesis [--quick] [--only ablation,real] [--cache DIR] [--output DIR] [--seed N]
"""

from __future__ import annotations

import math
import time
from typing import Any

import torch

from SparseToPreciseLib.core.bundles import open_bundle

from ..harness import (
    ROOT,
    Benchmark,
    Entries,
    commit,
    commits,
    computing_time,
    one_thread,
    one_thread_for_children,
)
from . import section_ablation, section_geometry, section_pictures, section_real, section_speed
from .context import FULL, QUICK, Context

MODEL = ROOT / "SparseToPrecise" / "Resources" / "Models" / "synthesis"
SECTIONS = {
    "ablation": section_ablation,
    "real": section_real,
    "geometry": section_geometry,
    "speed": section_speed,
    "pictures": section_pictures,
}
WITHOUT_MODEL = ("ablation",)
"""Sections whose numbers hold, whatever the weights of the default model."""


def main() -> None:
    parser = BENCHMARK.parser(__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="begin no training of the ablation after so much wall time"
    )
    given = BENCHMARK.parsed(parser)
    one_thread_for_children()
    one_thread()
    torch.manual_seed(given.seed)
    until = time.monotonic() + 60 * given.minutes
    counts = QUICK if given.quick else FULL
    context = Context(counts, given.results, given.images, given.seed, MODEL, until)
    stamp = {"commit": commit(), "weights": open_bundle(MODEL).sha256[:12], "seed": given.seed}
    for name in given.only:
        BENCHMARK.measure(name, context, stamp, given.results)
    print(f"written: {BENCHMARK.write(stamp, given.results, given.output)}")


def _current(name: str, stamp: dict[str, Any], now: dict[str, Any]) -> bool:
    return stamp["seed"] == now["seed"] and (stamp["weights"] == now["weights"] or name in WITHOUT_MODEL)


def _facts(entries: Entries, stamp: dict[str, Any]) -> list[str]:
    return [
        f"Commit {commits(entries)}, weights {stamp['weights']}, seed {stamp['seed']}, torch {torch.__version__}, "
        "one thread.",
        computing_time(entries),
    ]


BENCHMARK = Benchmark(
    "synthesis",
    "Benchmark of MR → CT synthesis",
    "The default model was trained on phantoms only: anatomy plausible, HU not validated. Research use only.",
    SECTIONS,
    facts=_facts,
    current=_current,
)


if __name__ == "__main__":
    main()
