"""The benchmark of scribble editing: docs/benchmarks/editing.md and .json, every row from one run.

    python -m benchmarks.editing [--quick] [--only real,speed] [--cache DIR] [--output DIR]

The networks that it compares come from `python -m benchmarks.editing.train_rivals`; without them their rows are left
out, and the page says so.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from typing import Any

from ..harness import DATA, Benchmark, Entries, commit, commits, computing_time
from . import (
    pictures,
    section_geometry,
    section_phantoms,
    section_promise,
    section_real,
    section_robustness,
    section_sources,
    section_speed,
    section_ten_strokes,
)
from .answers import NETWORKS
from .context import SIZES, Context, code_version

SECTIONS = {
    "promise": section_promise,
    "phantoms": section_phantoms,
    "ten-strokes": section_ten_strokes,
    "real": section_real,
    "sources": section_sources,
    "pictures": pictures,
    "robustness": section_robustness,
    "geometry": section_geometry,
    "speed": section_speed,
}
WITHOUT_DATA = {"structures": (), "ten_strokes_structures": (), "geometry_structures": (), "pictures": 0}


def main() -> None:
    parser = BENCHMARK.parser(__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, help="how many cases; quick: as --quick")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    given = BENCHMARK.parsed(parser)
    counts = SIZES[given.size] if DATA.is_dir() else replace(SIZES[given.size], **WITHOUT_DATA)
    context = Context(counts, given.seed, given.workers, given.cache, given.device, given.images)
    stamp = {"commit": commit(), "code": code_version(), "weights": context.tools.hashes, "seed": context.seed}
    stamp["size"] = asdict(context.size)
    print(f"code {stamp['code']}, seed {given.seed}, {given.workers} workers, default: {context.tools.default}")
    missing = [key for key in NETWORKS if key not in context.tools.editors]
    if missing:
        print(f"not trained: {', '.join(missing)}; python -m benchmarks.editing.train_rivals does that")
    for name in given.only:
        if name not in ("real", "sources") or context.size.structures:
            BENCHMARK.measure(name, context, stamp, given.results)
    benchmark = replace(
        BENCHMARK,
        facts=lambda entries, stamp: _facts(context, entries, stamp),
        more=lambda entries: {"training": _trained(context)},
    )
    print(f"written: {benchmark.write(stamp, given.results, given.output)}")


def _current(name: str, stamp: dict[str, Any], now: dict[str, Any]) -> bool:
    return {**stamp, "commit": None} == {**now, "commit": None}


def _facts(context: Context, entries: Entries, stamp: dict[str, Any]) -> list[str]:
    if "promise" in entries:
        entries["promise"]["found"]["tally"] = section_promise.tally(entry["found"] for entry in entries.values())
    tools = context.tools
    missing = [label for key, label in NETWORKS.items() if key not in tools.editors]
    lines = [
        f"Commit {commits(entries)}, code {stamp['code']}, seed {context.seed}, {context.workers} workers.",
        f"The tool's default: **{tools.editors[tools.default].name}**.",
    ]
    trained = _trained(context)
    if trained:
        times = (f"{key} {entry['minutes']:g} min, {entry['steps']} steps" for key, entry in trained.items())
        lines.append(
            "Networks at equal training time (CPU minutes of one thread, same cases, U-Net 8-16-32-64): "
            f"{'; '.join(times)}. InterCNN simulates its edits within its time."
        )
        if len({entry["minutes"] for entry in trained.values()}) > 1:
            lines.append("**Their training times differ**, so their rows cannot be compared fairly.")
    if missing:
        lines.append(f"Not trained on this machine, so without rows: {', '.join(missing)}.")
    if "residual" not in tools.editors:
        lines.append("No bundle is installed, so there is no row of the residual network by the committed recipe.")
    if not DATA.is_dir():
        lines.append(f"**The real images ({DATA.name}) are not on this machine**, so nothing was measured on them.")
    return [*lines, computing_time(entries)]


def _trained(context: Context) -> dict[str, dict]:
    found = {}
    for key in NETWORKS:
        path = context.rivals / key / "configs" / "metadata.json"
        if key in context.tools.editors and path.is_file():
            metadata = json.loads(path.read_text(encoding="utf-8"))
            found[key] = {"minutes": metadata["benchmark"]["minutes"], "steps": metadata["steps"]}
            found[key] |= {name: metadata["benchmark"][name] for name in ("cases", "objective", "learning_rate")}
    return found


BENCHMARK = Benchmark(
    "editing",
    "Benchmark of scribble editing",
    "The rivals were trained on phantoms only, the default on real anatomy, too. Research use only.",
    SECTIONS,
    facts=lambda entries, stamp: [],
    current=_current,
)


if __name__ == "__main__":
    main()
