"""One benchmark of a family: sections are measured, their results kept, and a page is written from all that there are.

A section is a module of the family's package with

    TITLE: str                      its heading
    run(context) -> dict            measures; what it returns must be JSON
    render(found) -> str            Markdown of it, without the heading
    verdict(found) -> list[str]     optional: sentences for "What falls short" at the top

The result of each section is kept in the cache, so that --only replaces one and the page still holds them all.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from SparseToPreciseLib.core.files import write_atomically

from .tables import number

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = ROOT / "SparseToPrecise" / "SparseToPreciseLib"
DATA = ROOT.parent / "shared" / "data"
"""Real images; what needs them says so where they are absent."""
ANATOMY = DATA / "real"
"""Real anatomy of many sources, see `SparseToPreciseLib.anatomy.table`."""
PAGES = ROOT / "docs" / "benchmarks"
CACHE = Path.home() / ".cache" / "sparse-to-precise"

Entries = dict[str, dict[str, Any]]
"""Results by section: "stamp", "seconds" (wall time), "computing" (CPU time of this process) and "found"."""


def one_thread() -> None:
    """Compute with one thread in this process, so that the same case gives the same figures."""
    import SimpleITK as sitk
    import torch

    torch.set_num_threads(1)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)


def one_thread_for_children() -> None:
    """Let processes that are started from now on load numpy with one thread."""
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")


def mapped(function: Callable[..., list], jobs: Sequence[tuple], workers: int) -> list[Any]:
    """`function(*job)` for every job, in worker processes of one thread each; the lists joined in the jobs' order."""
    if workers == 1 or len(jobs) == 1:
        one_thread()
        return [record for job in jobs for record in function(*job)]
    # Read when the workers load numpy, which is before any initializer.
    os.environ["OMP_NUM_THREADS"] = "1"
    with multiprocessing.get_context("spawn").Pool(min(workers, len(jobs)), one_thread) as pool:
        return [record for part in pool.starmap(function, jobs, 1) for record in part]


def commit() -> str:
    """The git commit, or "unknown" outside a checkout."""
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return found.stdout.strip() or "unknown"


def printed_by_a_child(module: str, call: str) -> str:
    """Standard output of a process of its own that imports a module of this package and calls one of its functions.

    Raises
    ------
    subprocess.CalledProcessError
        The process failed.
    """
    path = os.pathsep.join([str(ROOT), str(LIBRARY.parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", f"import {module} as module; module.{call}"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@dataclass(frozen=True)
class Benchmark:
    """One family's benchmark.

    Attributes
    ----------
    family
        The page is docs/benchmarks/<family>.md, its numbers <family>.json, its cache benchmark-<family>.
    title
        The page's heading.
    remark
        Said below the heading, after how the page is made.
    sections
        By name, in the page's order.
    facts
        Lines of the list below, from the entries on the page and from this run's stamp.
    verdict
        "What falls short" from the entries on the page; None: from the sections' own `verdict`.
    current
        Whether the results of a section (its name, its stamp, this run's stamp) may stand on the page.
    more
        Further keys of the JSON, from the entries on the page.
    """

    family: str
    title: str
    remark: str
    sections: Mapping[str, ModuleType]
    facts: Callable[[Entries, dict[str, Any]], list[str]]
    current: Callable[[str, dict[str, Any], dict[str, Any]], bool] = lambda name, stamp, now: stamp == now
    verdict: Callable[[Entries], str] | None = None
    more: Callable[[Entries], dict[str, Any]] = lambda entries: {}

    @property
    def cache(self) -> Path:
        return CACHE / f"benchmark-{self.family}"

    def parser(self, description: str) -> argparse.ArgumentParser:
        """The options that every benchmark has."""
        parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{self.family}", description=description)
        parser.add_argument("--quick", action="store_true", help="few cases; the page goes to the cache folder")
        parser.add_argument("--only", default=",".join(self.sections), help=f"some of {', '.join(self.sections)}")
        parser.add_argument("--cache", type=Path, default=self.cache, help="results of sections, and what is trained")
        parser.add_argument("--output", type=Path, help="folder of the page; pictures go to images/ beside that folder")
        return parser

    def parsed(self, parser: argparse.ArgumentParser) -> argparse.Namespace:
        """The options given, with `only` as the list of sections and the folder `output` filled in."""
        given = parser.parse_args()
        given.only = [name for name in self.sections if name in given.only.split(",")]
        if not given.only:
            parser.error(f"choose from the sections {', '.join(self.sections)}")
        if getattr(given, "size", None) is None:
            given.size = "quick" if given.quick else "full"
        given.results = given.cache / "results" / given.size
        given.results.mkdir(parents=True, exist_ok=True)
        kept = given.results / "docs" / "benchmarks"
        given.output = given.output or (PAGES if given.size == "full" else kept)
        given.images = given.output.parent / "images"
        given.images.mkdir(parents=True, exist_ok=True)
        return given

    def measure(self, name: str, context: Any, stamp: dict[str, Any], results: Path) -> None:
        """Run a section and keep what it found."""
        print(f"{name} ...", end=" ", flush=True)
        started = time.perf_counter(), time.process_time()
        found = self.sections[name].run(context)
        seconds, computing = time.perf_counter() - started[0], time.process_time() - started[1]
        print(f"{seconds:.0f} s", flush=True)
        entry = {
            "stamp": stamp,
            "seconds": round(seconds, 1),
            # With what an interrupted run has left.
            "computing": round(computing + found.get("kept_seconds", 0.0), 1),
            "found": found,
        }
        write_text(results / f"{name}.json", json.dumps(entry))

    def write(self, stamp: dict[str, Any], results: Path, output: Path) -> Path:
        """Write the page and its numbers from all results that may stand on it; returns the page's path."""
        paths = {name: results / f"{name}.json" for name in self.sections}
        saved = {name: json.loads(path.read_text()) for name, path in paths.items() if path.exists()}
        now = json.loads(json.dumps(stamp))
        entries = {name: entry for name, entry in saved.items() if self.current(name, entry["stamp"], now)}
        numbers = f"{self.family}.json"
        made = f"Generated by `make bench-{self.family}`; every number stands in [{numbers}]({numbers}), too."
        facts = [
            f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}.",
            *self.facts(entries, stamp),
        ]
        parts = [f"# {self.title}", f"{made} {self.remark}", "\n".join(f"- {fact}" for fact in facts)]
        verdict = self.verdict(entries) if self.verdict else self._verdicts(entries)
        if verdict:
            parts += ["## What falls short, and what was found", verdict]
        for name, section in self.sections.items():
            parts += [f"## {section.TITLE}", self._body(name, entries, saved)]
        output.mkdir(parents=True, exist_ok=True)
        page = output / f"{self.family}.md"
        write_text(page, "\n\n".join(part.rstrip() for part in parts) + "\n")
        # Single cases stay in the cache.
        found = {
            name: {key: value for key, value in entry["found"].items() if key != "records"}
            for name, entry in entries.items()
        }
        seconds = {name: entry["seconds"] for name, entry in entries.items()}
        content = {**stamp, **self.more(entries), "seconds": seconds, "sections": found}
        text = json.dumps(rounded(content), indent=1, ensure_ascii=False) + "\n"
        write_text(page.with_suffix(".json"), text)
        return page

    def _verdicts(self, entries: Entries) -> str:
        sentences = [
            sentence
            for name, entry in entries.items()
            for sentence in getattr(self.sections[name], "verdict", lambda found: [])(entry["found"])
        ]
        return "\n".join(f"- {sentence}" for sentence in sentences)

    def _body(self, name: str, entries: Entries, saved: Entries) -> str:
        if name in entries:
            return self.sections[name].render(entries[name]["found"])
        if name in saved:
            return "Not part of this run: the last results are of other code, weights or settings."
        return "Not part of this run."


def computing_time(entries: Entries) -> str:
    """A sentence about the time of all sections on a page."""
    computing, wall = (sum(entry[key] for entry in entries.values()) / 60 for key in ("computing", "seconds"))
    return (
        f"Computing time of all sections, without worker processes: {number(computing, 1)} min, or {number(wall, 0)} "
        "min by the clock."
    )


def commits(entries: Entries) -> str:
    """The commits at which the sections of a page were measured."""
    return ", ".join(sorted({entry["stamp"]["commit"] for entry in entries.values()}))


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    write_atomically(path, lambda there: there.write_text(text, encoding="utf-8"))


def rounded(value: Any) -> Any:
    """Six significant digits in all that is nested, and null for what is no number."""
    if isinstance(value, dict):
        return {key: rounded(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(entry) for entry in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
