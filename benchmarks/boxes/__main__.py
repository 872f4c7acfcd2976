"""The benchmark of loose boxes: docs/benchmarks/boxes.md and .json.

    python -m benchmarks.boxes [--quick] [--only real,speed] [--cache DIR] [--output DIR]
"""

from __future__ import annotations

import os
from typing import Any

import torch

from SparseToPreciseLib.boxes.correction import LEARNING_COVERAGE
from SparseToPreciseLib.boxes.corrector.model import load_corrector
from SparseToPreciseLib.boxes.segmenter.model import DEFAULT_SEGMENTER
from SparseToPreciseLib.core.bundles import open_bundle

from ..harness import Benchmark, Entries, commit, commits, computing_time, one_thread, one_thread_for_children
from ..tables import number, percent
from . import (
    section_geometry,
    section_masks,
    section_own,
    section_phantoms,
    section_real,
    section_real_segmentation,
    section_segmentation,
    section_sources,
    section_speed,
)
from .context import FULL, LOWER, QUICK, Context, rules
from .section_segmentation import CORRECTED, gaps

SECTIONS = {
    "phantoms": section_phantoms,
    "real": section_real,
    "sources": section_sources,
    "masks": section_masks,
    "own": section_own,
    "segmentation": section_segmentation,
    "default-segmentation": section_real_segmentation,
    "geometry": section_geometry,
    "speed": section_speed,
}

OF_SEGMENTERS = ("sources", "default-segmentation")
"""Sections that the default segmenter is measured in, too."""


def main() -> None:
    parser = BENCHMARK.parser(__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    given = BENCHMARK.parsed(parser)
    one_thread_for_children()
    one_thread()
    torch.manual_seed(given.seed)
    (given.cache / "models").mkdir(parents=True, exist_ok=True)
    corrector = load_corrector(None, "cpu")
    context = Context(QUICK if given.quick else FULL, given.cache, given.images, given.seed, corrector, given.workers)
    stamp = {
        "commit": commit(),
        "weights": corrector.sha256[:12],
        "segmenter": open_bundle(DEFAULT_SEGMENTER).sha256[:12],
        "seed": given.seed,
        "rules": sorted(rules()),
    }
    for name in given.only:
        BENCHMARK.measure(name, context, stamp, given.results)
    print(f"written: {BENCHMARK.write(stamp, given.results, given.output)}")


def _current(name: str, stamp: dict[str, Any], now: dict[str, Any]) -> bool:
    keys = ("weights", "seed", *(("segmenter",) if name in OF_SEGMENTERS else ()))
    return all(stamp.get(key) == now[key] for key in keys)


def _facts(entries: Entries, stamp: dict[str, Any]) -> list[str]:
    lines = [
        f"Commit {commits(entries)}, weights {stamp['weights']} (corrector) and {stamp['segmenter']} (segmenter), "
        f"seed {stamp['seed']}, one thread.",
        f"{computing_time(entries)[:-1]}, without what was trained before and kept in the cache.",
    ]
    if not any("GrabCut" in rule for rule in stamp["rules"]):
        lines.append("OpenCV is not installed, so that GrabCut has no rows (pip install opencv-python-headless).")
    return lines


def _verdict(fresh: Entries) -> str:
    """The bar of the paper and of this project beside what was reached, in words that the numbers fill."""
    lines = []
    for name, label in (("phantoms", "held-out phantoms"), ("real", "real structures")):
        rows = fresh.get(name, {}).get("found", {}).get("rows")
        if rows:
            loose, used, free = (rows[key] for key in ("loose box", "corrector", "corrector, never unsure"))
            safe = sum(one["safe"] for one in used.values()) / len(used)
            cut = sum(one["cut_while_safe"] for one in used.values())
            lines.append(
                f"- Default model, {label}, margin 25 %: slice IoU {number(loose['0.25']['iou'])} (loose) → "
                f"{number(used['0.25']['iou'])}; without the safety test {number(free['0.25']['iou'])}, and then "
                f"{percent(free['0.25']['enough'])} of the boxes keep 99 % of the object. It is sure of "
                f"{percent(safe)} of the boxes over all margins and cut {cut} object(s) while sure"
                + (f", {used['0']['cut_while_safe']} of them in boxes without any margin." if "0" in used else ".")
            )
    if "sources" in fresh:
        lines += [f"- {line}" for line in section_sources.verdict(fresh["sources"]["found"])]
    rows = fresh.get("masks", {}).get("found", {}).get("rows")
    if rows:
        name, by = [one for one in rows.items() if one[0].startswith("corrector,") and one[0].endswith("p 2")][-1]
        lower = [one for key, one in rows.items() if key.endswith(f"coverage {LOWER[-1]:g}")][-1]
        enough = sum(one["enough"] for one in by.values()) / len(by)
        own = [one for key, values in rows.items() if ", p " in key for one in values.values()]
        cut = sum(one["cut_while_safe"] for one in own)
        safe = round(sum(one["safe"] * one["cases"] for one in own))
        all_slices, there = (
            [" and ".join(number(one[margin][key]) for margin in ("0.25", "1")) for one in (by, lower)]
            for key in ("iou", "iou_there")
        )
        lines.append(
            f"- {name[0].upper()}{name[1:]}: slice IoU {all_slices[0]} at margins of 25 % and 100 %, over the slices "
            f"that hold the object {there[0]}, where the paper has 0.93 (with a coverage of {LOWER[-1]:g}: "
            f"{all_slices[1]}, and {there[1]}); {percent(enough)} of the boxes keep "
            f"99 % of the object (bar: 95 %). Over all numbers of masks and sizes of patches, {cut} of {safe} boxes "
            "called safe lost more than 1 %. Each corrector is trained for "
            f"{fresh['masks']['found']['minutes']:g} minutes."
        )
    rows = fresh.get("own", {}).get("found", {}).get("rows")
    if rows:
        trained = [one for key, by in rows.items() if key.startswith("corrector,") for one in by.values()]
        cut, safe = sum(one["cut_while_safe"] for one in trained), round(sum(o["safe"] * o["cases"] for o in trained))
        lines.append(
            f"- Correctors of deformed masks of a real structure, margins of 60 % and 100 %: sure of {safe} of "
            f"{sum(one['cases'] for one in trained)} boxes, {cut} of which lost more than 1 % of the object. Each is "
            f"trained for {fresh['own']['found']['minutes']:g} minutes."
        )
    rows = fresh.get("segmentation", {}).get("found", {}).get("rows")
    if rows:
        told = "; ".join(f"{name}: {gaps(rows, name)}" for name in CORRECTED)
        lines.append(
            "- Dice of segmenters beside what ideal boxes of slices teach (bar: −0.03; a coverage of "
            f"{LEARNING_COVERAGE:g} is what training on loose boxes corrects them with). Learnt from {told}."
        )
    return "\n".join(lines)


BENCHMARK = Benchmark(
    "boxes",
    "Benchmark of loose boxes",
    "The default corrector was trained on phantoms only, the default segmenter on real anatomy and phantoms. "
    "Research use only.",
    SECTIONS,
    facts=_facts,
    current=_current,
    verdict=_verdict,
)


if __name__ == "__main__":
    main()
