"""Ten strokes in a row: does the error fall, and do later strokes undo earlier ones?"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

from SparseToPreciseLib.phantoms import HELD_OUT_FAMILIES

from ..tables import number, table
from . import scores
from .answers import Answerer, Row, Tools, changed_outside, zone_of
from .cases import SEGMENTER_STEPS, Case, simulated_real_cases
from .context import Context
from .phantom_cases import held_out_cases

TITLE = "Ten strokes in a row"
ROWS = (
    "image-aware-warp",
    "cross-entropy/uncomposed",
    "cross-entropy",
    "dice/uncomposed",
    "dice",
    "editing/uncomposed",
    "editing",
    "residual",
    "default",
)
ERRORS = 4
"""Simulated errors are added this often, so that there is something for every stroke."""

RETAINED = 1.1
PICTURE = "editing-ten-strokes.png"


def run(context: Context) -> dict:
    count = context.size.ten_strokes_phantoms
    jobs = [("phantom", family, kind, count) for family in HELD_OUT_FAMILIES for kind in ("ambiguous", "segmenter")]
    jobs += [("real", structure, "segmenter", 1) for structure in context.size.ten_strokes_structures]
    records = context.map(_job, jobs)
    groups = scores.by(records, "row", "stroke")
    curves = []
    strokes = range(context.size.strokes + 1)
    for row in context.tools.rows(*ROWS):
        curve = {"row": row.key, "label": row.label, "composed": row.composed}
        for name in ("mean", "p95", "near_first_mean"):
            curve[name] = [scores.mean(groups.get((row.key, stroke), []), name) for stroke in strokes]
        curves.append(curve)
    found = {
        "cases": len({record["case"] for record in records}),
        "default": context.tools.default,
        "strokes": context.size.strokes,
        "curves": curves,
        "records": records,
    }
    _draw(found, context.images / PICTURE)
    return found


def _job(context: Context, source: str, what: str | int, kind: str, count: int) -> list[scores.Record]:
    if source == "phantom":
        cases = held_out_cases(what, kind, count, context.seed + 1, ERRORS)
    else:
        cases = simulated_real_cases(len(SEGMENTER_STEPS), context.seed + 1, kind, (what,))
    records = []
    for number_, case in enumerate(itertools.islice(cases, count)):
        identity = f"{source} {what} {kind} {number_}"
        for row in context.tools.rows(*ROWS):
            records += _trajectory(context.tools, case, row, identity, context.size.strokes, context.seed)
    return records


def _trajectory(tools: Tools, start: Case, row: Row, identity: str, strokes: int, seed: int) -> list[scores.Record]:
    rng = np.random.default_rng([seed, 3])
    case, done, first_zone = start, [], None
    records = [_record(start, row, identity, 0, None)]
    for stroke in range(1, strokes + 1):
        drawn = case.stroke(rng, done)
        outside = None
        if drawn is not None:
            earlier = tuple(points for points, _ in done) if row.composed else ()
            after, _ = Answerer(tools, case, *drawn, earlier)(row)
            if first_zone is None:
                first_zone = zone_of(case.truth.grid, *drawn)
            if row.composed:
                outside = changed_outside(case.truth.grid, case.current.array, after, *drawn)
            case = case.with_current(case.truth.with_array(after))
            done.append(drawn)
        if first_zone is None:
            return []
        records.append(_record(case, row, identity, stroke, first_zone) | {"outside": outside})
    return records


def _record(case: Case, row: Row, identity: str, stroke: int, first_zone: np.ndarray | None) -> scores.Record:
    mean, p95 = scores.boundary_error(case, case.current.array)
    near = None if first_zone is None else scores.boundary_error(case, case.current.array, first_zone)[0]
    record = {"case": identity, "name": case.name, "row": row.key, "stroke": stroke}
    return record | {"mean": mean, "p95": p95, "near_first_mean": near}


def _draw(found: dict, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4.2), layout="constrained")
    titles = ("true boundary to the segmentation, mean", "the same, 95th percentile", "near the first stroke, mean")
    axes = figure.subplots(1, 3)
    for place, name, title in zip(axes, ("mean", "p95", "near_first_mean"), titles, strict=True):
        for index, curve in enumerate(found["curves"]):
            place.plot(
                range(found["strokes"] + 1),
                curve[name],
                color=f"C{index}",
                linestyle="-" if curve["composed"] else "--",
                linewidth=2.6 if curve["row"] == found["default"] else 1.4,
                marker="o",
                markersize=3,
                label=curve["label"].replace("**", ""),
            )
        place.set(title=title, xlabel="strokes", ylabel="mm", ylim=(0, None))
        place.set_xticks(range(found["strokes"] + 1))
        place.grid(alpha=0.3)
        place.spines[["top", "right"]].set_visible(False)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def render(found: dict) -> str:
    last = found["strokes"]
    shown = [stroke for stroke in (0, 1, 2, 3, 5) if stroke < last] + [last]
    head = ["mean (p95), mm, after", *map(str, shown), "strokes that raised the mean"]
    head += ["near stroke 1: right after it", f"after stroke {last}", "ratio"]
    rows = []
    for curve in found["curves"]:
        near = curve["near_first_mean"]
        rows.append(
            [
                curve["label"],
                *(f"{number(curve['mean'][stroke])} ({number(curve['p95'][stroke], 1)})" for stroke in shown),
                str(_raised(curve)),
                number(near[1]),
                number(near[-1]),
                number(near[-1] / near[1] if near[1] else float("nan")),
            ]
        )
    text = (
        f"{found['cases']} cases with errors in many places (held-out phantoms and real structures). Each stroke is "
        "drawn on the segmentation as it is by then, not twice at one place while there are others. Errors are "
        "distances from the whole true boundary to the segmentation's (Euclidean, mm), means over cases. Composed "
        "rows keep earlier edits, as the tool does; the others are the networks as in the paper.\n\n"
    )
    return text + table(head, rows) + f"\n\n![The error after each stroke](../images/{PICTURE})\n\n" + _verdict(found)


def _raised(curve: dict) -> int:
    return int(np.count_nonzero(np.diff(curve["mean"]) > 0))


def _verdict(found: dict) -> str:
    curve = next((curve for curve in found["curves"] if curve["row"] == found["default"]), None)
    if curve is None:
        return ""
    raised, near = _raised(curve), curve["near_first_mean"]
    ratio = near[-1] / near[1] if near[1] else float("nan")
    falls = "falls with every stroke" if not raised else f"does not fall with every stroke ({raised} raised it)"
    kept = "kept" if ratio <= RETAINED else "**not** kept"
    return (
        f"- The default's mean error {falls}: {number(curve['mean'][0])} mm before, {number(curve['mean'][-1])} mm "
        f"after {found['strokes']} strokes.\n- Its error near the first stroke is {number(ratio)} times what it was "
        f"right after that stroke: the bar of {RETAINED} is {kept}."
    )
