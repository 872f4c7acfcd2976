"""The benchmark of one-shot landmarks: docs/benchmarks/landmarks.md and .json, every row from one run.

    python benchmarks/landmarks/run.py [--quick] [--only phantoms,skull] [--workers 2] [--cache DIR] [--output DIR]

Every measured case is kept in the cache until the code changes, so a run that was stopped goes on where it was.
"""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import argparse  # noqa: E402
import json  # noqa: E402
import multiprocessing  # noqa: E402
import platform  # noqa: E402
import subprocess  # noqa: E402
import time  # noqa: E402
from concurrent.futures import ProcessPoolExecutor  # noqa: E402
from dataclasses import replace  # noqa: E402
from pathlib import Path  # noqa: E402
from types import ModuleType  # noqa: E402

import elastix_row  # noqa: E402
import section_landmark_abdomen  # noqa: E402
import section_landmark_brain  # noqa: E402
import section_landmark_capture  # noqa: E402
import section_landmark_confidence  # noqa: E402
import section_landmark_modality  # noqa: E402
import section_landmark_phantoms  # noqa: E402
import section_landmark_rows  # noqa: E402
import section_landmark_skull  # noqa: E402
import section_landmark_speed  # noqa: E402
from landmark_context import FULL, LIBRARY_CODE, QUICK, ROOT, TRAINING_CODE, Context, one_thread  # noqa: E402
from landmark_reading import reading  # noqa: E402
from landmark_template import teach  # noqa: E402

from SparseToPreciseLib.core.files import write_atomically  # noqa: E402

SECTIONS = {
    "phantoms": section_landmark_phantoms,
    "rows": section_landmark_rows,
    "capture": section_landmark_capture,
    "brain": section_landmark_brain,
    "abdomen": section_landmark_abdomen,
    "skull": section_landmark_skull,
    "modality": section_landmark_modality,
    "confidence": section_landmark_confidence,
    "speed": section_landmark_speed,
}
CACHE = Path.home() / ".cache" / "sparse-to-precise" / "benchmark-landmarks"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few cases; the page goes to the cache folder")
    parser.add_argument("--only", default=",".join(SECTIONS), help=f"some of {', '.join(SECTIONS)}")
    parser.add_argument("--rows", type=int, help="how many phantoms for the section rows, which takes the longest")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--page", action="store_true", help="write the page anew from what is there; measure nothing")
    parser.add_argument("--keep-templates", action="store_true", help="use templates that older code has taught, too")
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--output", type=Path, help="folder of the page; pictures go to images/ beside it")
    given = parser.parse_args()
    wanted = [name for name in SECTIONS if name in given.only.split(",")]
    if not wanted:
        parser.error(f"choose from the sections {', '.join(SECTIONS)}")
    counts = QUICK if given.quick else FULL
    counts = counts if given.rows is None else replace(counts, rows=given.rows)
    results = given.cache / ("quick" if given.quick else "full")
    results.mkdir(parents=True, exist_ok=True)
    output = given.output or (results / "docs" / "benchmarks" if given.quick else ROOT / "docs" / "benchmarks")
    stamp = {"code": LIBRARY_CODE, "training": TRAINING_CODE, "commit": _commit(), "date": time.strftime("%Y-%m-%d")}
    if given.page:
        return _write(stamp, results, output)
    one_thread()
    with ProcessPoolExecutor(given.workers, multiprocessing.get_context("spawn"), one_thread) as pool:
        context = Context(counts, given.cache, results, output.parent / "images", pool)
        teach(context, _templates(wanted), stamp["commit"], given.keep_templates)
        taught = {name: context.templates[name]["stamp"] for name in _templates(wanted) if name in context.templates}
        for name in wanted:
            print(f"{name} ", end="", flush=True)
            started = time.perf_counter()
            found = SECTIONS[name].run(context)
            print(f" {time.perf_counter() - started:.0f} s", flush=True)
            content = json.dumps({"stamp": {**stamp, "templates": taught}, "found": found})
            write_atomically(results / f"{name}.json", lambda path, content=content: path.write_text(content))
            _write(stamp, results, output)
    print(f"written: {output / 'landmarks.md'}")


def _templates(wanted: list[str]) -> list[str]:
    names: list[str] = []
    for name in wanted:
        section = SECTIONS[name]
        names += getattr(section, "TEMPLATES", None) or [section.TEMPLATE]
    return list(dict.fromkeys(names))


def _write(stamp: dict, results: Path, output: Path) -> None:
    paths = {name: results / f"{name}.json" for name in SECTIONS}
    saved = {name: json.loads(path.read_text()) for name, path in paths.items() if path.exists()}
    found = {name: entry["found"] for name, entry in saved.items()}
    older = {name: entry["stamp"] for name, entry in saved.items() if entry["stamp"]["code"] != stamp["code"]}
    without = [] if elastix_row.available() else ["elastix is not installed and has no row (pip install '.[bench]')."]
    parts = [
        "# Benchmark of one-shot landmarks",
        "Generated by `make bench-landmarks`; every number stands in [landmarks.json](landmarks.json), too. No "
        "template was taught on what it is measured on. Research use only.",
        "\n".join(
            f"- {line}"
            for line in (
                f"Commit {stamp['commit']}; {platform.machine()}, Python {platform.python_version()}, every case in "
                "one thread.",
                *without,
                *_older_templates(saved),
                *(
                    f"**{SECTIONS[name].TITLE}**: measured with the older code of commit {entry['commit']}."
                    for name, entry in older.items()
                ),
            )
        ),
        "## Plain reading",
        reading(found),
    ]
    for name, section in SECTIONS.items():
        parts += [f"## {section.TITLE}", _body(section, found.get(name))]
    output.mkdir(parents=True, exist_ok=True)
    text = "\n\n".join(part.rstrip() for part in parts) + "\n"
    write_atomically(output / "landmarks.md", lambda path: path.write_text(text, encoding="utf-8"))
    content = json.dumps(_rounded({**stamp, "sections": found}), indent=1, ensure_ascii=False) + "\n"
    write_atomically(output / "landmarks.json", lambda path: path.write_text(content, encoding="utf-8"))


def _older_templates(saved: dict[str, dict]) -> list[str]:
    """Which templates were not taught with the code that the sections were measured with."""
    older = {
        name: stamp["commit"]
        for entry in saved.values()
        for name, stamp in entry["stamp"].get("templates", {}).items()
        if stamp["code"] != entry["stamp"]["training"]
    }
    return [f"The template {name} was taught with the code of commit {commit}." for name, commit in older.items()]


def _body(section: ModuleType, found: dict | None) -> str:
    if found is None:
        return "Not part of this run."
    if "untaught" in found:
        return f"The template could not be taught: {found['untaught']}"
    return section.render(found)


def _rounded(value):
    """Four decimals are more than any figure here is worth."""
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list | tuple) else value


def _commit() -> str:
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return found.stdout.strip() or "unknown"


if __name__ == "__main__":
    main()
