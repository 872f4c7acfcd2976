"""Capture range: how far a target may be turned and shifted."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from SparseToPreciseLib.landmarks.detect import detect
from SparseToPreciseLib.landmarks.search import angle_between
from SparseToPreciseLib.phantoms.cochlea import Cochlea, make_cochlea

from ..tables import percent, table
from .context import Context, errors, template_at, told

TITLE = "Capture range"
TEMPLATE = "cochlea"
PICTURE = "landmarks-capture.png"
FIRST = 2000
ROWS = {
    "full": "all stages (the tool)",
    "naive": "rigid + demons from the reference's position",
}
_STILL_MM, _STILL_DEG = 4.0, 10.0


@lru_cache(maxsize=64)
def _drawn(number: int) -> tuple[float, float]:
    """Which share of the largest angle and of the largest offset a case draws."""
    case = make_cochlea(number, "benchmark", spacing_mm=4.0, rotation_deg=100.0, offset_mm=1.0)
    rotation = case.to_world[:3, :3]
    return angle_between(np.eye(3), rotation) / 100.0, float(np.linalg.norm(case.to_world[:3, 3]))


def case_of(number: int, angle_deg: float, offset_mm: float) -> Cochlea:
    """A phantom that is turned and shifted by exactly so much, about an axis and along a direction of its own."""
    angle, offset = _drawn(number)
    options = {"rotation_deg": angle_deg / angle, "offset_mm": offset_mm / offset}
    return make_cochlea(number, "benchmark", spacing_mm=0.45, **options)


def measure(folder: Path, given: tuple[int, float, float]) -> dict:
    template = template_at(folder)
    case = case_of(*given)
    full = detect(template, case.image, threshold=0.0)
    own = template.places[0].centre
    naive = detect(template, case.image, threshold=0.0, stages=("rigid", "deformable"), seed_point=own)
    rows = {"full": full.placed, "naive": naive.placed}
    return {"errors": {name: errors(case.landmarks, found) for name, found in rows.items()}, **told(full)}


def run(context: Context) -> dict:
    counts = context.counts
    numbers = range(FIRST, FIRST + counts.repeats)
    turned = [(one, angle, _STILL_MM) for angle in counts.angles for one in numbers]
    shifted = [(one, _STILL_DEG, offset) for offset in counts.offsets for one in numbers]
    found = context.each("capture", measure, TEMPLATE, [*turned, *shifted])
    result = {
        "repeats": counts.repeats,
        "angle": _curves([one[1] for one in turned], found[: len(turned)]),
        "offset": _curves([one[2] for one in shifted], found[len(turned) :]),
        "records": found,
    }
    _draw(result, context.images / PICTURE)
    return result


def _curves(where: list[float], found: list[dict]) -> dict[str, dict[str, float]]:
    """By row and by angle or offset: the share of phantoms whose landmarks all lie within 2 mm."""
    curves: dict[str, dict[str, float]] = {}
    for name in ROWS:
        for at in sorted(set(where)):
            good = [
                all(error is not None and error <= 2 for error in one["errors"][name].values())
                for place, one in zip(where, found, strict=True)
                if place == at
            ]
            curves.setdefault(name, {})[f"{at:g}"] = float(np.mean(good))
    return curves


def render(found: dict) -> str:
    parts = [
        f"Share of phantoms of which all landmarks lie within 2 mm, {found['repeats']} of them at each step, voxels "
        f"of 0.45 mm. Turned about random axes with an offset of {_STILL_MM:g} mm; shifted along random directions "
        f"while turned by {_STILL_DEG:g} degrees, within the same field of view of 60 mm."
    ]
    for key, unit in (("angle", "degrees"), ("offset", "mm")):
        steps = list(found[key]["full"])
        rows = [[ROWS[name], *(percent(values[step]) for step in steps)] for name, values in found[key].items()]
        parts.append(table([f"{key} ({unit})", *steps], rows))
    parts.append(f"![Success against rotation and offset](../images/{PICTURE})")
    return "\n\n".join(parts)


def _draw(found: dict, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.5, 3.8), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    style = {"full": ("o-", "#1565c0"), "naive": ("^:", "#616161")}
    for axes, (key, label) in zip(
        panels, (("angle", "rotation (degrees)"), ("offset", "offset from the reference's position (mm)")), strict=True
    ):
        for name, values in found[key].items():
            marks, colour = style[name]
            where = [float(step) for step in values]
            axes.plot(where, list(values.values()), marks, color=colour, label=ROWS[name], clip_on=False)
        axes.set(xlabel=label, ylim=(0, 1.02))
        axes.set_xticks(where)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("phantoms with all landmarks within 2 mm")
    names = panels[0].get_legend_handles_labels()
    figure.legend(*names, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
