"""Real images: the number that counts."""

from __future__ import annotations

import itertools

import numpy as np

from ..tables import interval, number, percent, table
from . import scores
from .answers import Answerer, Row, Tools, changed_outside, zone_of
from .cases import SEGMENTER_STEPS, STRUCTURES, TUMOUR, Case, simulated_real_cases
from .context import Context

TITLE = "Real cases"
KINDS = {
    "geometric": "simulated errors that contradict the image",
    "ambiguous": "simulated errors where the image is ambiguous",
    "segmenter": "errors of a real under-trained segmentation network",
}
ROWS = (
    "none",
    "signed-distance-warp",
    "image-aware-warp",
    "sphere-brush",
    "grow-from-seeds",
    "editing",
    "residual-equal",
    "phantoms",
    "residual",
    "default",
)
WORST_DROP = 0.005
"""No structure may lose more Dice than this on average."""

_THICK = tuple(name for file, _, name in STRUCTURES if file == TUMOUR)


def run(context: Context) -> dict:
    jobs = [(kind, number) for kind in KINDS for number in context.size.structures]
    jobs.sort(key=lambda job: job[0] != "segmenter")  # the longest first
    records = context.map(_job, jobs)
    tools = context.tools
    first = [record for record in records if record["stroke"] == 1]
    rows = tools.rows(*ROWS)
    found = {
        "cases": len({record["case"] for record in records}),
        "default": tools.default,
        "rows": [{"row": row.key, "label": row.label} for row in rows],
        "first": {kind: summary_of(rows, [r for r in first if kind in ("all", r["kind"])]) for kind in ("all", *KINDS)},
        "thick": summary_of(rows, [record for record in first if record["name"] in _THICK]),
        "strokes": _by_strokes(rows, records),
        "structures": _by_structure(rows, first),
        "differences": _differences(tools, rows, first, context.seed),
        "records": records,
    }
    return found


def _job(context: Context, kind: str, structure: int) -> list[scores.Record]:
    size = context.size
    records = []
    # Of a segmenter's stages the first are often too poor to be cases.
    tried = len(SEGMENTER_STEPS) if kind == "segmenter" else size.repeats
    cases = simulated_real_cases(tried, context.seed, kind, (structure,))
    for repeat, case in enumerate(itertools.islice(cases, size.repeats)):
        identity = f"{structure} {kind} {repeat}"
        seeds = [context.seed, 4, structure, tuple(KINDS).index(kind), repeat]
        strokes = 5 if repeat < size.repeats_five else 1
        for row in context.tools.rows(*ROWS):
            records += one_row(context.tools, case, row, identity, seeds, strokes)
    return records


def one_row(tools: Tools, start: Case, row: Row, identity: str, seeds: list[int], strokes: int) -> list[scores.Record]:
    """The same user edits stroke by stroke, each drawn on what the row made of the one before."""
    rng = np.random.default_rng(seeds)
    case, done, records = start, [], []
    for stroke in range(1, strokes + 1):
        drawn = case.stroke(rng, done)
        if drawn is None and stroke == 1:
            return []
        record = {"case": identity, "name": start.name, "kind": start.kind, "row": row.key, "stroke": stroke}
        if drawn is None:  # nothing is left to correct
            records.append({**records[-1], **record, "outside": None})
            continue
        earlier = tuple(points for points, _ in done)
        after, record["refused"] = Answerer(tools, case, *drawn, earlier)(row)
        record |= scores.overlap_scores(case, after, zone_of(case.truth.grid, *drawn))
        if row.composed and row.editor:
            record["outside"] = changed_outside(case.truth.grid, case.current.array, after, *drawn)
        records.append(record)
        case = case.with_current(case.truth.with_array(after))
        done.append(drawn)
        if row.key == "none":
            records += [{**record, "stroke": later} for later in range(2, strokes + 1)]
            break
    return records


def summary_of(rows: list[Row], records: list[scores.Record]) -> dict:
    groups = scores.by(records, "row")
    summary = {}
    for row in rows:
        mine = groups.get(row.key, [])
        summary[row.key] = {
            "cases": len(mine),
            "dice": scores.mean(mine, "dice"),
            "dice_change": scores.mean(mine, "dice_change"),
            "assd": scores.mean(mine, "assd"),
            "removed_median": scores.median(mine, "removed"),
            "removed_mean": scores.mean(mine, "removed"),
            "off_target": scores.mean(mine, "off_target"),
            "got_worse": float(np.mean(scores.column(mine, "dice_change") < 0)) if mine else float("nan"),
        }
    return summary


def _by_strokes(rows: list[Row], records: list[scores.Record]) -> dict:
    """Dice and ASSD after 1, 3 and 5 strokes over the cases that got five."""
    long = {record["case"] for record in records if record["stroke"] == 5}
    groups = scores.by((record for record in records if record["case"] in long), "row", "stroke")
    return {
        "cases": len(long),
        "rows": {
            row.key: {
                str(stroke): {name: scores.mean(groups.get((row.key, stroke), []), name) for name in ("dice", "assd")}
                for stroke in (1, 3, 5)
            }
            for row in rows
        },
    }


def _by_structure(rows: list[Row], first: list[scores.Record]) -> dict:
    groups = scores.by(first, "name", "row")
    names = list(dict.fromkeys(record["name"] for record in first))
    return {
        name: {
            row.key: scores.mean(groups.get((name, row.key), []), "dice_change") for row in rows if row.key != "none"
        }
        for name in names
    }


def _differences(tools: Tools, rows: list[Row], first: list[scores.Record], seed: int) -> dict:
    """The default against every other row, on the same cases; the next best row is named."""
    groups = scores.by(first, "row")
    others = [row.key for row in rows if row.key != tools.default and row.key in groups]
    if tools.default not in groups:
        return {}
    found = {
        key: {
            "dice": scores.paired_interval(groups[tools.default], groups[key], "dice", np.mean, seed),
            "removed": scores.paired_interval(groups[tools.default], groups[key], "removed", np.median, seed)
            if key != "none"
            else None,
        }
        for key in others
    }
    return {"next_best": max(others, key=lambda key: scores.mean(groups[key], "dice")), "against": found}


def render(found: dict) -> str:
    labels = {row["row"]: row["label"] for row in found["rows"]}
    parts = [
        f"{found['cases']} wrong segmentations of {len(found['structures'])} structures in a CT, an MR slab and a "
        "tumour in 6.5 mm slices. No network was trained on them, but the image-aware warp's constants were chosen "
        "on them, with other seeds, and the residual network starts from that warp. Strokes are drawn by the simulated "
        "user, who "
        "leaves the influence radius to the tool. The sphere brush and the seeds of "
        "grow-from-seeds are told on which side of the stroke the object lies; nobody else is.",
        _verdict(found, labels),
        "### One stroke, all kinds of error\n\n" + first_table(found["first"]["all"], labels),
    ]
    for kind, words in KINDS.items():
        parts.append(f"### One stroke, {words}\n\n" + first_table(found["first"][kind], labels))
    if found["thick"]["none"]["cases"]:
        parts.append("### Thick slices apart (the tumour, 1 : 8)\n\n" + first_table(found["thick"], labels))
    parts.append(_strokes_table(found["strokes"], labels))
    parts.append(_structures_table(found["structures"], labels))
    if found["differences"]:
        parts.append(_differences_table(found, labels))
    return "\n\n".join(parts)


def first_table(summary: dict, labels: dict[str, str]) -> str:
    head = ["", "cases", "Dice", "change", "ASSD mm", "in-zone error removed, median", "mean"]
    head += ["cases that lost Dice", "off-target mm³"]
    rows = []
    for key, entry in summary.items():
        none = key == "none"
        rows.append(
            [
                labels[key],
                str(entry["cases"]),
                number(entry["dice"], 4),
                "–" if none else number(entry["dice_change"], 4, True),
                number(entry["assd"]),
                "–" if none else percent(entry["removed_median"]),
                "–" if none else percent(entry["removed_mean"]),
                "–" if none else percent(entry["got_worse"]),
                number(entry["off_target"], 0),
            ]
        )
    return table(head, rows)


def _strokes_table(found: dict, labels: dict[str, str]) -> str:
    head = ["", *(f"{name} {stroke}" for name in ("Dice after", "ASSD mm after") for stroke in (1, 3, 5))]
    rows = []
    for key, entry in found["rows"].items():
        cells = [number(entry[str(stroke)]["dice"], 4) for stroke in (1, 3, 5)]
        cells += [number(entry[str(stroke)]["assd"]) for stroke in (1, 3, 5)]
        rows.append([labels[key], *cells])
    return f"### 1, 3 and 5 strokes ({found['cases']} cases)\n\n" + table(head, rows)


def _structures_table(found: dict, labels: dict[str, str]) -> str:
    keys = list(next(iter(found.values())))
    worst = {key: min(found, key=lambda name: (found[name][key], name)) for key in keys}
    rows = []
    for name, changes in found.items():
        cells = []
        for key in keys:
            text = number(changes[key], 4, True)
            cells.append(f"**{text}**" if worst[key] == name else text)
        rows.append([name, *cells])
    text = f"Mean change of Dice; the worst structure of each row in bold. The bar: none below −{WORST_DROP}.\n\n"
    return "### Change of Dice per structure, one stroke\n\n" + text + table(["", *(labels[key] for key in keys)], rows)


def _differences_table(found: dict, labels: dict[str, str]) -> str:
    rows = [
        [
            labels[key] + (" (next best)" if key == found["differences"]["next_best"] else ""),
            interval(entry["dice"]),
            "–" if entry["removed"] is None else interval(entry["removed"], 0, 100, " points"),
        ]
        for key, entry in found["differences"]["against"].items()
    ]
    return (
        "### The default against each other row, one stroke\n\nPaired differences with 95 % bootstrap intervals "
        "(structures drawn first, then cases within them).\n\n"
        + table(["default minus …", "mean Dice", "median share of in-zone error removed"], rows)
    )


def _verdict(found: dict, labels: dict[str, str]) -> str:
    summary, default = found["first"]["all"], found["default"]
    if default not in summary or not summary[default]["cases"]:
        return ""
    mine = summary[default]
    lines = [
        f"The default ({labels[default].replace(' **(default)**', '')}) removes {percent(mine['removed_median'])} of "
        f"the in-zone error with one stroke (median; the prototype to beat: 36 %) and changes Dice by "
        f"{number(mine['dice_change'], 4, True)} on average.",
    ]
    for name, words in (("dice", "mean Dice"), ("removed_median", "median share of in-zone error removed")):
        best = max((key for key in summary if key != "none"), key=lambda key: summary[key][name])
        digits = (number(summary[key][name], 4) for key in (default, best))
        if best == default:
            lines.append(f"By {words} the default is the best row{_margin(found, name)}.")
        else:
            lines.append(
                f"By {words} the default ({next(digits)}) is **not** the best row: {labels[best]} ({next(digits)}"
                f"){_margin(found, name, best)}."
            )
    changes = {name: entry[default] for name, entry in found["structures"].items()}
    worst = min(changes, key=changes.get)
    kept = changes[worst] >= -WORST_DROP
    lines.append(
        f"The worst structure of the default is {worst} ({number(changes[worst], 4, True)} Dice on average): the bar "
        f"of −{WORST_DROP} is {'kept' if kept else '**not** kept'}."
    )
    return "\n".join(f"- {line}" for line in lines)


def _margin(found: dict, name: str, other: str | None = None) -> str:
    """The paired difference to another row (the next best by mean Dice), in words."""
    against = found["differences"].get("against", {})
    other = other or found["differences"].get("next_best")
    difference = against.get(other, {}).get("dice" if name == "dice" else "removed")
    if difference is None:
        return ""
    label = next(row["label"] for row in found["rows"] if row["row"] == other)
    text = interval(difference) if name == "dice" else interval(difference, 0, 100, " points")
    unsure = difference["low"] <= 0 <= difference["high"]
    return f"; default minus {label}: {text}" + (", which may be chance" if unsure else "")
