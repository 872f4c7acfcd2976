"""The benchmark of sparse planes: docs/benchmarks/planes.md and .json.

python -m benchmarks.planes [--quick] [--only real,speed] [--cache DIR] [--output DIR]
"""

from __future__ import annotations

from typing import Any

from ..harness import Benchmark, Entries, commit, commits, computing_time, one_thread, one_thread_for_children
from . import section_number, section_phantoms, section_real, section_speed, section_suggestion
from .context import FULL, QUICK

SECTIONS = {
    "real": section_real,
    "number": section_number,
    "phantoms": section_phantoms,
    "suggestion": section_suggestion,
    "speed": section_speed,
}


def main() -> None:
    given = BENCHMARK.parsed(BENCHMARK.parser(__doc__.splitlines()[0]))
    one_thread_for_children()
    one_thread()
    context = QUICK if given.quick else FULL
    stamp = {"commit": commit(), "seed": context.seed}
    for name in given.only:
        BENCHMARK.measure(name, context, stamp, given.results)
    print(f"written: {BENCHMARK.write(stamp, given.results, given.output)}")


def _facts(entries: Entries, stamp: dict[str, Any]) -> list[str]:
    return [f"Commit {commits(entries)}, seed {stamp['seed']}, one thread.", computing_time(entries)]


BENCHMARK = Benchmark(
    "planes",
    "Benchmark of sparse planes",
    "No model, no training. Research use only.",
    SECTIONS,
    _facts,
    current=lambda name, stamp, now: stamp["seed"] == now["seed"],
)

if __name__ == "__main__":
    main()
