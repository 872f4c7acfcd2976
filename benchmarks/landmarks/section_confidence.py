"""How much a confidence is worth: on the held-out ears, on every other section, and where there is nothing to find."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from SparseToPreciseLib.core.images import read_image
from SparseToPreciseLib.core.volume import Grid, Volume
from SparseToPreciseLib.landmarks.detect import detect
from SparseToPreciseLib.phantoms.cochlea import make_cochlea

from ..harness import DATA
from ..tables import number, table
from . import section_phantoms as section_landmark_phantoms
from .context import PLACED, Context, calibration, nearness, template_at

TITLE = "Confidence, and images without the structure"
TEMPLATE = "cochlea"
PICTURE = "landmarks-confidence.png"
NEAR = 1 / 6
"""Of a structure's length: what confidence promises."""
UNRELATED = {"colin27_t1_1mm": 0.3, "abdomen_ct_3mm": 0.17}
"""Real volumes and the factor that brings them to the size of an ear's field of view."""


def measure(folder: Path, case: tuple[str, Any]) -> dict:
    kind, which = case
    if kind == "same scene without the ear":
        image = make_cochlea(1000 + which, "benchmark", spacing_mm=0.45, with_ear=False).image
    elif kind == "noise":
        grid = Grid((120, 120, 120), np.diag([0.5, 0.5, 0.5, 1.0]))
        image = Volume(np.random.default_rng([5, which]).normal(size=grid.shape).astype(np.float32), grid.ijk_to_ras)
    else:
        whole = read_image(DATA / f"{which}.nii.gz")
        scale = np.diag([UNRELATED[which]] * 3 + [1.0])
        image = Volume(whole.array, scale @ whole.ijk_to_ras, which)
    found = detect(template_at(folder), image, threshold=0.0)
    return {"kind": kind, "confidence": {one.name: one.confidence for one in found.landmarks}}


def run(context: Context) -> dict:
    cases: list[tuple[str, Any]] = [("same scene without the ear", one) for one in range(context.counts.absent)]
    cases += [("noise", one) for one in range(min(2, context.counts.absent))]
    if DATA.is_dir():
        cases += [("unrelated image", name) for name in UNRELATED]
    absent = context.each("absent", measure, TEMPLATE, cases)
    ears = section_landmark_phantoms.measured(context)
    near = template_at(context.template_folder(TEMPLATE)).scale.diameter_mm * NEAR
    curves = {"held-out ears": calibration(nearness(ears, near)), "all other sections": calibration(_others(context))}
    _draw(curves, context.images / PICTURE)
    kinds = {}
    for one in absent:
        kind = kinds.setdefault(one["kind"], {"images": 0, "wanted": 0, "placed": 0, "confident": 0, "highest": 0.0})
        values = list(one["confidence"].values())
        kind["images"] += 1
        kind["wanted"] += len(values)
        kind["placed"] += sum(value >= PLACED for value in values)
        kind["confident"] += sum(value >= 0.5 for value in values)
        kind["highest"] = max([kind["highest"], *values])
    return {"near_mm": near, "curves": curves, "absent": kinds, "records": absent}


def _others(context: Context) -> list[tuple[bool, float]]:
    """(near, confidence) of what the other sections have measured so far."""
    found = []
    for name in ("capture", "modality", "brain", "abdomen", "skull"):
        path = context.results / f"{name}.json"
        section = json.loads(path.read_text())["found"] if path.exists() else {}
        parts = section.get("parts", {name: section})
        for part, one in parts.items():
            template = {"mirrored": "kidney", "capture": TEMPLATE, "modality": TEMPLATE}.get(part, part)
            if one.get("records"):
                diameter = template_at(context.template_folder(template)).scale.diameter_mm
                found += nearness(one["records"], NEAR * diameter)
    return found


def render(found: dict) -> str:
    parts = [
        "Confidence means the chance to lie within a sixth of the structure's length "
        f"({number(found['near_mm'])} mm for the ears, some 18 mm for ventricles, kidney and vertebra)."
    ]
    for name, curve in found["curves"].items():
        rows = [
            [f"{row['low']:g} to {row['high']:g}", str(row["count"]), number(row["mean"]), number(row["near"])]
            for row in curve
        ]
        parts.append(table([f"confidence, {name}", "landmarks", "mean confidence", "share that is near"], rows))
    absent = [
        [name, *(str(one[key]) for key in ("images", "wanted", "placed", "confident")), number(one["highest"])]
        for name, one in found["absent"].items()
    ]
    parts += [
        f"![Share of near landmarks against confidence](../images/{PICTURE})",
        f"Images without an ear; every landmark should stay unplaced (below {PLACED:g}):",
        table(["", "images", "landmarks", "placed", "confident (≥ 0.5)", "highest confidence"], absent),
    ]
    return "\n\n".join(parts)


def _draw(curves: dict[str, list[dict]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.6, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1, label="as it should be")
    styles = (("o-", "#1565c0", 9), ("s--", "#ef6c00", -18))
    for (name, rows), (marks, colour, shift) in zip(curves.items(), styles, strict=True):
        filled = [row for row in rows if row["count"]]
        axes.plot([row["mean"] for row in filled], [row["near"] for row in filled], marks, color=colour, label=name)
        for row in filled:
            where = {"textcoords": "offset points", "xytext": (0, shift), "ha": "center"}
            axes.annotate(str(row["count"]), (row["mean"], row["near"]), fontsize=9, color=colour, **where)
    axes.set(xlim=(-0.03, 1.06), ylim=(-0.1, 1.12), xlabel="mean confidence of the bin", ylabel="share that is near")
    axes.set_title("Numbers: landmarks in the bin", fontsize=10)
    axes.legend(loc="upper left", frameon=False, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
