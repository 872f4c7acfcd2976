"""The benchmark of scribble editing: docs/benchmarks/editing.md and .json, every row from one run.

    python benchmarks/editing/run.py [--quick] [--only real,speed] [--cache DIR] [--output DIR]

The networks that it compares come from train_rivals.py; without them their rows are left out, and the page says so.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from dataclasses import asdict, replace
from pathlib import Path

import pictures
import section_geometry
import section_phantoms
import section_promise
import section_real
import section_robustness
import section_speed
import section_ten_strokes
from answers import NETWORKS
from cases import DATA
from context import ROOT, SIZES, Context, code_version, commit
from tables import number
from train_rivals import DEFAULT_CACHE

from SparseToPreciseLib.core.files import write_atomically

SECTIONS = {
    "promise": section_promise,
    "phantoms": section_phantoms,
    "ten-strokes": section_ten_strokes,
    "real": section_real,
    "pictures": pictures,
    "robustness": section_robustness,
    "geometry": section_geometry,
    "speed": section_speed,
}
PAGE = "editing.md"
WITHOUT_DATA = {"structures": (), "ten_strokes_structures": (), "geometry_structures": (), "pictures": 0}


def main() -> None:
    given = _arguments()
    size = "quick" if given.quick else given.size
    output = given.output or (ROOT / "docs" / "benchmarks" if size == "full" else given.cache / size)
    images = ROOT / "docs" / "images" if given.output is None and size == "full" else output.parent / "images"
    counts = SIZES[size] if DATA.is_dir() else replace(SIZES[size], **WITHOUT_DATA)
    context = Context(counts, given.seed, given.workers, given.cache, given.device, images)
    stamp = _stamp(context)
    print(
        f"code {stamp['code']}, seed {given.seed}, {given.workers} workers, default: {context.tools.default}",
        flush=True,
    )
    missing = [key for key in NETWORKS if key not in context.tools.editors]
    if missing:
        print(f"not trained: {', '.join(missing)}; benchmarks/editing/train_rivals.py does that")
    results = given.cache / "results" / size
    results.mkdir(parents=True, exist_ok=True)
    for name in given.only:
        if name == "real" and not context.size.structures:
            continue
        started = time.perf_counter()
        print(f"{name} ...", end=" ", flush=True)
        found = SECTIONS[name].run(context)
        seconds = time.perf_counter() - started
        print(f"{seconds:.0f} s", flush=True)
        saved = {"stamp": stamp, "seconds": round(seconds, 1), "found": found}
        write_atomically(results / f"{name}.json", lambda path, saved=saved: path.write_text(json.dumps(saved)))
    _write(context, stamp, results, output)
    print(f"written: {output / PAGE}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few cases; the page goes to the cache folder")
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--only", default=",".join(SECTIONS), help=f"some of {', '.join(SECTIONS)}")
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, help="weights of the rivals, results of sections")
    parser.add_argument("--output", type=Path, help="folder of the page; pictures go to images/ beside that folder")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    given.only = [name for name in SECTIONS if name in given.only.split(",")]
    if not given.only:
        parser.error(f"choose from the sections {', '.join(SECTIONS)}")
    return given


def _stamp(context: Context) -> dict:
    """What must be equal for two sections to stand on one page."""
    size = json.loads(json.dumps(asdict(context.size)))
    return {"code": code_version(), "weights": context.tools.hashes, "seed": context.seed, "size": size}


def _write(context: Context, stamp: dict, results: Path, output: Path) -> None:
    saved = {
        name: json.loads((results / f"{name}.json").read_text())
        for name in SECTIONS
        if (results / f"{name}.json").exists()
    }
    fresh = {name: entry for name, entry in saved.items() if entry["stamp"] == stamp}
    if "promise" in fresh:
        sections = (entry["found"] for entry in fresh.values())
        fresh["promise"]["found"]["tally"] = section_promise.tally(sections)
    parts = [_head(context, stamp, fresh)]
    for name, section in SECTIONS.items():
        parts.append(f"## {section.TITLE}")
        if name in fresh:
            parts.append(section.render(fresh[name]["found"]))
        elif name in saved:
            parts.append("Not part of this run: the last results are of other code, weights or settings.")
        else:
            parts.append("Not part of this run.")
    output.mkdir(parents=True, exist_ok=True)
    text = "\n\n".join(parts) + "\n"
    write_atomically(output / PAGE, lambda path: path.write_text(text, encoding="utf-8"))
    summary = {name: {k: v for k, v in entry["found"].items() if k != "records"} for name, entry in fresh.items()}
    seconds = {name: entry["seconds"] for name, entry in fresh.items()}
    machine = {**stamp, "commit": commit(), "training": _trained(context), "seconds": seconds, "sections": summary}
    content = json.dumps(_rounded(machine), indent=1, ensure_ascii=False) + "\n"
    write_atomically(output / "editing.json", lambda path: path.write_text(content, encoding="utf-8"))


def _head(context: Context, stamp: dict, fresh: dict) -> str:
    tools = context.tools
    missing = [label for key, label in NETWORKS.items() if key not in tools.editors]
    lines = [
        "# Benchmark of scribble editing",
        "",
        "Generated by `make bench-editing`; every number is from one run and stands in [editing.json](editing.json), "
        "too. The models were trained on phantoms only. Research use only.",
        "",
        f"- Commit {commit()}, code {stamp['code']}, seed {context.seed}; {platform.machine()}, "
        f"{os.cpu_count()} cores, Python {platform.python_version()}.",
        f"- The tool's default: **{tools.editors[tools.default].name}**.",
    ]
    trained = _trained(context)
    if trained:
        entries = "; ".join(f"{key} {entry['minutes']:g} min, {entry['steps']} steps" for key, entry in trained.items())
        lines.append(
            "- Networks at equal training time (CPU minutes of one thread, same cases, U-Net 8-16-32-64): "
            f"{entries}. InterCNN simulates its edits within its time."
        )
        if len({entry["minutes"] for entry in trained.values()}) > 1:
            lines.append("- **Their training times differ**, so their rows cannot be compared fairly.")
    if missing:
        lines.append(f"- Not trained on this machine, so without rows: {', '.join(missing)}.")
    if "residual" not in tools.editors:
        lines.append("- No bundle is installed, so there is no row of the residual network by the committed recipe.")
    if not DATA.is_dir():
        lines.append(f"- **The real images ({DATA.name}) are not on this machine**, so nothing was measured on them.")
    seconds = sum(entry["seconds"] for entry in fresh.values())
    lines.append(f"- Computing time of the run: {number(seconds / 60, 1)} min with {context.workers} workers.")
    return "\n".join(lines)


def _trained(context: Context) -> dict[str, dict]:
    found = {}
    for key in NETWORKS:
        path = context.rivals / key / "configs" / "metadata.json"
        if key in context.tools.editors and path.is_file():
            metadata = json.loads(path.read_text(encoding="utf-8"))
            found[key] = {"minutes": metadata["benchmark"]["minutes"], "steps": metadata["steps"]}
            found[key] |= {name: metadata["benchmark"][name] for name in ("cases", "objective", "learning_rate")}
    return found


def _rounded(value: object) -> object:
    """Six significant digits, and null for what is no number."""
    if isinstance(value, dict):
        return {key: _rounded(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_rounded(entry) for entry in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if value == value and abs(value) != float("inf") else None
    return value


if __name__ == "__main__":
    main()
