"""Real structures that nothing was chosen by."""

from __future__ import annotations

from ..tables import number, table
from .cases import KINDS, real_cases
from .context import PLANES, Context
from .rows import OURS, SHAPE, measured, of_sources, rendered, summary

TITLE = f"Real structures, {PLANES} planes"
GOAL, AHEAD = 0.90, 0.05


def run(context: Context) -> dict:
    cases = real_cases(context)
    if not cases:
        return {"structures": 0}
    records = measured(context, cases, (PLANES,))
    return {**summary(records), "sources": of_sources(records, PLANES), "records": records}


def render(found: dict) -> str:
    if not found["structures"]:
        return "The real images are not on this machine, so nothing was measured on them."
    rows = [
        [source, str(entry["structures"]), *(_against(entry["kinds"][kind]) for kind in KINDS)]
        for source, entry in found["sources"].items()
    ]
    return "\n\n".join(
        [
            f"{found['structures']} structures of {len(found['sources'])} sources; nothing was chosen by them. Each is "
            "cut out with half its size around it; sides of more than 72 voxels are joined to blocks first, so that "
            "every method can be run. Planes are annotated by the truth, and their voxels count in Dice as they are.",
            rendered(found["means"]),
            f"By source, {PLANES} planes: mean Dice of `planes fill`, and of the best other method there.",
            table(["source", "structures", *KINDS], rows),
        ]
    )


def _against(entry: dict) -> str:
    return f"{number(entry['ours'], 3)} ({entry['name']} {number(entry['best'], 3)})"


def verdict(found: dict) -> list[str]:
    if not found["structures"]:
        return []
    lines = []
    for kind in KINDS:
        by = {name: entry[str(PLANES)] for name, entry in found["means"][kind].items()}
        others = {name: value for name, value in by.items() if name not in (OURS, SHAPE) and value == value}
        best = max(others, key=others.get)
        ahead = by[OURS] - others[best]
        lines.append(
            f"Real structures, {PLANES} {'slices' if kind == 'slices' else 'planes of random direction'}: mean Dice "
            f"{number(by[OURS], 3)} (goal {GOAL:.2f}, {_reached(by[OURS] >= GOAL)}); {number(ahead, 3, True)} against "
            f"the best other method, {best} (goal {AHEAD:+.2f}, {_reached(ahead >= AHEAD)}). Both goals are those of "
            "training on the volume, which is not there yet."
        )
    lines.append(f"Voxels of planes that changed, all runs together: {found['changed']} (goal 0).")
    return lines


def _reached(there: bool) -> str:
    return "reached" if there else "**missed**"
