"""Which plane next: what is suggested against planes by chance and the largest gap."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from SparseToPreciseLib.core.masks import dice
from SparseToPreciseLib.core.plane import Plane
from SparseToPreciseLib.planes.fill import FillResult, fill
from SparseToPreciseLib.planes.suggest import LIKELY, suggest_plane

from ..tables import number, table
from .cases import Case, real_cases
from .context import Context

TITLE = "Which plane next"
ENOUGH = 0.9
MOST = 10
TOLD = (4, 6, 8, 10)


def suggested(case: Case, result: FillResult, rng: np.random.Generator) -> Plane:
    """What the tool suggests."""
    return suggest_plane(case.image, result.segmentation, result.planes, result=result).plane


def by_chance(case: Case, result: FillResult, rng: np.random.Generator) -> Plane:
    """A random slice of a random axis that meets what may be object: foreground-aware random."""
    there = np.argwhere((result.chance.array > LIKELY) & ~result.annotated)
    axis = int(rng.integers(3))
    return Plane.of_slice(case.truth.grid, axis, int(rng.choice(np.unique(there[:, 2 - axis]))))


def largest_gap(case: Case, result: FillResult, rng: np.random.Generator) -> Plane:
    """The slice through the point of the likely object that is farthest from all planes, across the axis across which
    most planes lie."""
    grid = case.truth.grid
    there = np.argwhere((result.chance.array > 0.5) & ~result.annotated)[:, ::-1]
    away = np.min([plane.distance(grid.to_ras(there)) for plane in result.planes], axis=0)
    point = there[int(away.argmax())]
    axes = [plane.dominant_axis(grid) for plane in result.planes]
    axis = max(range(3), key=axes.count)
    return Plane.of_slice(grid, axis, int(point[axis]))


STRATEGIES: dict[str, Callable[[Case, FillResult, np.random.Generator], Plane]] = {
    "suggested": suggested,
    "random, through likely object": by_chance,
    "largest gap": largest_gap,
}


def run(context: Context) -> dict:
    cases = real_cases(context)
    if not cases:
        return {"structures": 0}
    cases = [cases[index] for index in np.unique(np.linspace(0, len(cases) - 1, context.painted).astype(int))]
    return compared(cases, context)


def compared(cases: list[Case], context: Context) -> dict:
    """Dice after each plane, from two random slices on, by strategy; every strategy from the same starts."""
    curves: dict[str, list[list[float]]] = {name: [] for name in STRATEGIES}
    for which, case in enumerate(cases):
        for start in range(context.starts):
            first = _first(case, np.random.default_rng([context.seed, which, start]))
            for name, choose in STRATEGIES.items():
                rng = np.random.default_rng([context.seed, which, start, 1])
                curves[name].append(_curve(case, list(first), choose, rng))
        print(f"{case.name}: {[round(curves[name][-1][-1], 3) for name in STRATEGIES]}", end="; ", flush=True)
    return {
        "structures": len(cases),
        "starts": context.starts,
        "dice": {
            name: {str(count): float(np.mean([one[count - 2] for one in of])) for count in TOLD}
            for name, of in curves.items()
        },
        "needed": {name: [_needed(one) for one in of] for name, of in curves.items()},
    }


def _first(case: Case, rng: np.random.Generator) -> list[Plane]:
    """Two random slices through the structure, across different axes."""
    there = np.argwhere(case.truth.array)
    planes = []
    for axis in rng.permutation(3)[:2]:
        low, high = np.quantile(there[:, 2 - axis], (0.25, 0.75))
        planes.append(Plane.of_slice(case.truth.grid, int(axis), int(rng.integers(int(low), int(high) + 1))))
    return planes


def _curve(case: Case, planes: list[Plane], choose: Callable, rng: np.random.Generator) -> list[float]:
    found = []
    while True:
        paint, _ = case.painted(planes)
        result = fill(case.image, paint, planes)
        found.append(dice(result.segmentation.array, case.truth.array))
        if len(planes) == MOST:
            return found
        planes.append(choose(case, result, rng))


def _needed(curve: list[float]) -> int:
    """Planes until Dice is enough; one more than the most where it never is."""
    return next((count for count, value in enumerate(curve, start=2) if value >= ENOUGH), MOST + 1)


def render(found: dict) -> str:
    if not found["structures"]:
        return "The real images are not on this machine, so nothing was measured on them."
    rows = [
        [
            name,
            *(number(by[str(count)], 3) for count in TOLD),
            number(float(np.mean(found["needed"][name])), 1),
            str(sum(one > MOST for one in found["needed"][name])),
        ]
        for name, by in found["dice"].items()
    ]
    head = ["next plane", *(f"Dice, {count} planes" for count in TOLD), f"planes to {ENOUGH:g}", "never"]
    return (
        f"{found['structures']} real structures, {found['starts']} starts each: two random slices across different "
        f"axes, then one plane after the other up to {MOST}, annotated by the truth. Where Dice {ENOUGH:g} is never "
        f"reached, {MOST + 1} planes count.\n\n" + table(head, rows)
    )


def verdict(found: dict) -> list[str]:
    if not found["structures"]:
        return []
    means = {name: float(np.mean(needed)) for name, needed in found["needed"].items()}
    told = ", ".join(f"{name} {number(value, 1)}" for name, value in means.items())
    return [f"Planes until Dice {ENOUGH:g}: {told}."]
