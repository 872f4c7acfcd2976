"""How much an imprecise stroke costs."""

from __future__ import annotations

import numpy as np

from SparseToPreciseLib.phantoms import HELD_OUT_FAMILIES

from ..tables import number, percent, table
from . import scores
from .answers import Answerer, changed_outside, zone_of
from .cases import simulated_real_cases
from .context import Context
from .phantom_cases import held_out_cases

TITLE = "Robustness of the stroke"
STROKES = {
    "as drawn": {},
    "1 voxel of jitter": {"jitter_voxels": 1.0},
    "2 voxels of jitter": {"jitter_voxels": 2.0},
    "3 voxels of jitter": {"jitter_voxels": 3.0},
    "half the length": {"length_factor": 0.5},
    "oblique plane": {"axis": "oblique"},
}
ROWS = ("signed-distance-warp", "image-aware-warp", "residual", "default")
_SOURCES = {"phantom": "held-out phantoms (voxels of 1 mm)", "real": "real cases (voxels of 2 mm, tumour 0.8 mm)"}


def run(context: Context) -> dict:
    size = context.size
    jobs = [("phantom", family, "ambiguous", size.robustness_phantoms) for family in HELD_OUT_FAMILIES]
    for kind in ("geometric", "ambiguous"):
        jobs += [("real", structure, kind, size.robustness_repeats) for structure in size.structures]
    records = context.map(_job, jobs)
    groups = scores.by(records, "source", "row", "stroke")
    summary = [
        {
            "source": source,
            "row": row.key,
            "label": row.label,
            "stroke": stroke,
            "cases": len(groups.get((source, row.key, stroke), [])),
            "removed_median": scores.median(groups.get((source, row.key, stroke), []), "removed"),
            "dice_change": scores.mean(groups.get((source, row.key, stroke), []), "dice_change"),
        }
        for source in _SOURCES
        for row in context.tools.rows(*ROWS)
        for stroke in STROKES
    ]
    return {"summary": summary, "records": records}


def _job(context: Context, source: str, what: str | int, kind: str, count: int) -> list[scores.Record]:
    if source == "phantom":
        cases = held_out_cases(what, kind, count, context.seed + 2)
    else:
        cases = simulated_real_cases(count, context.seed + 2, kind, (what,))
    records = []
    for number_, case in enumerate(cases):
        for stroke, options in STROKES.items():
            drawn = case.stroke(np.random.default_rng([context.seed, 5, number_]), **options)
            if drawn is None:
                continue
            zone = zone_of(case.truth.grid, *drawn)
            answerer = Answerer(context.tools, case, *drawn)
            for row in context.tools.rows(*ROWS):
                after, refused = answerer(row)
                record = {"case": f"{source} {what} {kind} {number_}", "name": case.name, "source": source}
                record |= {"row": row.key, "stroke": stroke, "refused": refused}
                record |= scores.overlap_scores(case, after, zone)
                record["outside"] = changed_outside(case.truth.grid, case.current.array, after, *drawn)
                records.append(record)
    return records


def render(found: dict) -> str:
    parts = [
        "The same cases with the same place and length of the stroke, which wanders off the true boundary by smooth "
        "noise of the given standard deviation, is cut to half its length, or lies on an oblique plane."
    ]
    for source, words in _SOURCES.items():
        entries = [entry for entry in found["summary"] if entry["source"] == source and entry["cases"]]
        if not entries:
            continue
        rows = []
        for label, mine in scores.by(entries, "label").items():
            cells = [f"{percent(entry['removed_median'])} ({number(entry['dice_change'], 4, True)})" for entry in mine]
            rows.append([label, *cells])
        shown = list(dict.fromkeys(entry["stroke"] for entry in entries))
        fewest = min(entry["cases"] for entry in entries)
        parts.append(
            f"### {words[0].upper()}{words[1:]}, {fewest} cases or more\n\nMedian share of the in-zone error removed "
            "(mean change of Dice).\n\n" + table(["", *shown], rows)
        )
    return "\n\n".join(parts)
