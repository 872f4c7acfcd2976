"""The contact sheet of docs/anatomy.md: forty cases as an editing model sees them in training.

    python docs/pictures/anatomy.py FOLDER

FOLDER holds real anatomy (docs/anatomy.md); the page's sheet is of the project's own, which is not part of it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "SparseToPrecise"))

from SparseToPreciseLib.anatomy.cases import AnatomyCubes, Cube, Structure  # noqa: E402
from SparseToPreciseLib.core.volume import Grid  # noqa: E402

ROWS, COLUMNS, SIZE = 5, 8, 64


def voxel_mm(rng: np.random.Generator, structure: Structure, grid: Grid) -> float:
    """Half of the cube is some one to three times as long as the structure's radius."""
    return max(structure.size_mm, 1.5 * float(np.cbrt(grid.voxel_volume_mm3))) / np.exp(rng.uniform(2.6, 3.7))


def drawn(cubes: AnatomyCubes, number: int) -> Cube:
    rng = np.random.default_rng([7, number])
    while (cube := cubes.draw(rng, SIZE, voxel_mm)) is None:
        pass
    return cube


def sheet(cubes: AnatomyCubes) -> Figure:
    figure = Figure(figsize=(COLUMNS * 1.5, ROWS * 1.62), dpi=100, layout="tight")
    FigureCanvasAgg(figure)
    for number, axes in enumerate(figure.subplots(ROWS, COLUMNS).flat):
        cube, middle = drawn(cubes, number), SIZE // 2
        low, high = np.percentile(cube.image, (1, 99))
        axes.imshow(cube.image[middle], cmap="gray", vmin=low, vmax=high, origin="lower")
        axes.contour(cube.truth[middle], [0.5], colors="#ffd800", linewidths=1.0)
        if cube.other is not None:
            axes.contour(cube.other[middle], [0.5], colors="#00d0ff", linewidths=0.7)
        axes.set_title(f"{'real image' if cube.real else 'random look'}", fontsize=7)
        axes.set_axis_off()
    return figure


if __name__ == "__main__":
    if len(sys.argv) != 2:
        # As one of all pictures (`make pictures`) it stays as it is.
        print("docs/pictures/anatomy.py draws from a folder of real anatomy; give one")
    else:
        path = ROOT / "docs" / "images" / "anatomy.png"
        sheet(AnatomyCubes(sys.argv[1])).savefig(path, pil_kwargs={"optimize": True})
