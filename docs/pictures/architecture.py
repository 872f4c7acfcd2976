"""The picture of docs/architecture.md: the packages by layer, and who imports whom, counted from the sources.

    python docs/pictures/architecture.py
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "Testing" / "core"))

import house  # noqa: E402

FAMILIES = (*house.FAMILIES, *house.NO_MODEL_YET)
LAYERS = (
    (("core", 0.0),),
    (("phantoms", -2.6), ("anatomy", 1.3), ("comparison", 3.9)),
    tuple((family, 2.3 * (number - (len(FAMILIES) - 1) / 2)) for number, family in enumerate(FAMILIES)),
    (("mrml", -2.6), ("pictures", 3.9)),
    (("tasks", 1.3),),
    (("desktop", -2.6), ("cli", 3.9)),
    ((house.MODULE, -2.6),),
)
"""Packages from the lowest layer up, with where they stand from left to right."""
COLORS = ("#d8e6f5", "#e8eef0", "#dff1df", "#fbeecb", "#f6ddd0", "#e9ddf3", "#f3d9e4")
LABELS = {house.MODULE: "module folders", "core": "core (all import it; no arrows drawn)"}
SIZE = (1.8, 0.62)
STEP = 1.2


def counted(root: Path = ROOT) -> tuple[Counter, Counter, Counter]:
    """Files and lines of each layer, and imports between two of them."""
    files, lines, imports = Counter(), Counter(), Counter()
    for folder in house.module_folders(root):
        for path in sorted(folder.rglob("*.py")):
            layer = house.layer_of(path, root)
            files[layer] += 1
            lines[layer] += len(path.read_text(encoding="utf-8").splitlines())
            for _, name in house.imported_modules(path, root):
                first, *rest = name.split(".")
                if first == house.LIBRARY and rest and rest[0] in house.ALLOWED and rest[0] != layer:
                    imports[layer, rest[0]] += 1
    return files, lines, imports


def draw(path: Path) -> None:
    files, lines, imports = counted()
    places = {name: (x, STEP * floor) for floor, row in enumerate(LAYERS) for name, x in row}
    figure = Figure(figsize=(11.5, 8.0), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for (above, below), count in imports.items():
        if below == "core" or above not in places or below not in places:
            continue
        (x, y), (to_x, to_y) = places[above], places[below]
        arrow = FancyArrowPatch(
            (x, y - SIZE[1] / 2),
            (to_x, to_y + SIZE[1] / 2),
            arrowstyle="-|>",
            mutation_scale=11,
            linewidth=0.6 + min(count, 60) / 22,
            color="#6b7480",
            alpha=0.75,
            zorder=1,
        )
        axes.add_patch(arrow)
    for floor, row in enumerate(LAYERS):
        for name, x in row:
            width = SIZE[0] * (2.6 if name == "core" else 1)
            corner = (x - width / 2, STEP * floor - SIZE[1] / 2)
            box = FancyBboxPatch(corner, width, SIZE[1], "round,pad=0.06", fc=COLORS[floor], ec="#3b4450", zorder=2)
            axes.add_patch(box)
            axes.text(x, STEP * floor + 0.11, LABELS.get(name, name), ha="center", va="center", weight="bold", zorder=3)
            size = f"{files[name]} files, {lines[name]:,} lines"
            axes.text(x, STEP * floor - 0.17, size, ha="center", va="center", fontsize=8, zorder=3)
    axes.set(xlim=(-5.8, 5.8), ylim=(-0.6, STEP * (len(LAYERS) - 1) + 0.6))
    axes.axis("off")
    figure.savefig(path, format="png", metadata={"Software": None})


if __name__ == "__main__":
    draw(ROOT / "docs" / "images" / "architecture.png")
