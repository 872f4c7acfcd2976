"""The benchmark of one-shot landmarks: docs/benchmarks/landmarks.md and .json.

    python -m benchmarks.landmarks [--quick] [--only phantoms,skull] [--workers 2] [--cache DIR] [--output DIR]

Every measured case is kept in the cache until the code changes, so a run that was stopped goes on where it was.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import Any

from ..harness import Benchmark, Entries, commit, one_thread, one_thread_for_children
from . import (
    from_pose,
    section_abdomen,
    section_brain,
    section_capture,
    section_confidence,
    section_ears,
    section_modality,
    section_phantoms,
    section_rows,
    section_skull,
    section_speed,
)
from .context import FULL, LIBRARY_CODE, QUICK, TRAINING_CODE, Context, Counts
from .reading import reading
from .templates import teach

SECTIONS = {
    "ears-real": section_ears,
    "phantoms": section_phantoms,
    "rows": section_rows,
    "capture": section_capture,
    "brain": section_brain,
    "abdomen": section_abdomen,
    "skull": section_skull,
    "modality": section_modality,
    "confidence": section_confidence,
    "speed": section_speed,
}


def main() -> None:
    parser = BENCHMARK.parser(__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, help="how many phantoms for the section rows, which takes the longest")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--page", action="store_true", help="write the page anew from what is there; measure nothing")
    parser.add_argument("--keep-templates", action="store_true", help="use templates that older code has taught, too")
    given = BENCHMARK.parsed(parser)
    counts = QUICK if given.quick else FULL
    counts = counts if given.rows is None else replace(counts, rows=given.rows)
    stamp = {"code": LIBRARY_CODE, "training": TRAINING_CODE, "commit": commit(), "date": time.strftime("%Y-%m-%d")}
    if not given.page:
        one_thread_for_children()
        one_thread()
        with ProcessPoolExecutor(given.workers, multiprocessing.get_context("spawn"), one_thread) as pool:
            context = Context(counts, given.cache, given.results, given.images, pool)
            templates = _templates(given.only, counts)
            teach(context, templates, stamp["commit"], given.keep_templates)
            taught = {name: context.templates[name]["stamp"] for name in templates if name in context.templates}
            for name in given.only:
                BENCHMARK.measure(name, context, {**stamp, "templates": taught}, given.results)
                BENCHMARK.write(stamp, given.results, given.output)
    print(f"written: {BENCHMARK.write(stamp, given.results, given.output)}")


def _templates(wanted: list[str], counts: Counts) -> list[str]:
    names: list[str] = []
    for name in wanted:
        section = SECTIONS[name]
        if section is section_ears:
            names += section_ears.templates(counts)
        else:
            names += getattr(section, "TEMPLATES", None) or [section.TEMPLATE]
    return list(dict.fromkeys(names))


def _facts(entries: Entries, stamp: dict[str, Any]) -> list[str]:
    lines = [f"Commit {stamp['commit']}; every case in one thread."]
    if not from_pose.elastix_available():
        lines.append("elastix is not installed and has no row (pip install '.[bench]').")
    older = {
        name: taught["commit"]
        for entry in entries.values()
        for name, taught in entry["stamp"].get("templates", {}).items()
        if taught["code"] != entry["stamp"]["training"]
    }
    lines += [f"The template {name} was taught with the code of commit {older[name]}." for name in older]
    return lines + [
        f"**{SECTIONS[name].TITLE}**: measured with the older code of commit {entry['stamp']['commit']}."
        for name, entry in entries.items()
        if entry["stamp"]["code"] != stamp["code"]
    ]


BENCHMARK = Benchmark(
    "landmarks",
    "Benchmark of one-shot landmarks",
    "No template was taught on what it is measured on. Research use only.",
    SECTIONS,
    facts=_facts,
    current=lambda name, stamp, now: True,  # each section says which code measured it
    verdict=lambda entries: reading({name: entry["found"] for name, entry in entries.items()}),
)


if __name__ == "__main__":
    main()
