"""Every method on one structure with so many planes, and the tables of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from SparseToPreciseLib.core.masks import dice
from SparseToPreciseLib.planes.fill import fill

from ..tables import number, table
from .cases import KINDS, Case, slice_axis
from .context import Context
from .rivals import RIVALS, Rival

OURS, SHAPE = "planes fill", "planes fill, without the image"


def measured(
    context: Context, cases: list[Case], counts: Sequence[int], rivals: Mapping[str, Rival] = RIVALS
) -> list[dict[str, Any]]:
    """Dice by method of every structure, number and kind of planes, and how many of their voxels changed."""
    records = []
    for which, case in enumerate(cases):
        for kind in KINDS:
            for count in counts:
                rng = np.random.default_rng([context.seed, which, count])
                planes = case.planes(kind, count, rng)
                paint, on_planes = case.painted(planes)
                axis = slice_axis(case.truth) if kind == "slices" else None
                found = fill(case.image, paint, planes)
                changed = found.segmentation.array[on_planes] != paint.array[on_planes]
                masks = {OURS: found.segmentation.array != 0}
                masks[SHAPE] = fill(case.image.with_array(np.zeros(case.image.shape)), paint, planes).segmentation.array
                masks |= {name: rival(case.image, paint, on_planes, axis) for name, rival in rivals.items()}
                records.append(
                    {
                        "name": case.name,
                        "source": case.source,
                        "kind": kind,
                        "planes": count,
                        "changed": int(np.count_nonzero(changed)),
                        "dice": {
                            name: dice(np.where(on_planes, case.truth.array, mask != 0), case.truth.array)
                            for name, mask in masks.items()
                            if mask is not None
                        },
                    }
                )
        print(f"{case.name}: {records[-1]['dice'][OURS]:.3f}", end="; ", flush=True)
    return records


def summary(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean Dice over the structures by kind, method and number of planes; and by source for ours."""
    means = {}
    for kind in KINDS:
        mine = [record for record in records if record["kind"] == kind]
        counts = sorted({record["planes"] for record in mine})
        names = list(dict.fromkeys(name for record in mine for name in record["dice"]))
        means[kind] = {name: {str(count): _mean(mine, name, count) for count in counts} for name in names}
    return {
        "structures": len({record["name"] for record in records}),
        "changed": sum(record["changed"] for record in records),
        "means": means,
    }


def of_sources(records: list[dict[str, Any]], count: int) -> dict[str, Any]:
    """By source: structures, and mean Dice by kind of ours and of the best other method there."""
    found = {}
    for source in sorted({record["source"] for record in records}):
        mine = [record for record in records if record["source"] == source and record["planes"] == count]
        by_kind = {}
        for kind in KINDS:
            ours = [record for record in mine if record["kind"] == kind]
            names = [name for name in ours[0]["dice"] if name not in (OURS, SHAPE)]
            others = {name: _mean(ours, name, count) for name in names}
            best = max(others, key=others.get)
            by_kind[kind] = {"ours": _mean(ours, OURS, count), "best": others[best], "name": best}
        found[source] = {"structures": len({record["name"] for record in mine}), "kinds": by_kind}
    return found


def _mean(records: list[dict[str, Any]], name: str, count: int) -> float:
    values = [one["dice"][name] for one in records if one["planes"] == count and name in one["dice"]]
    return float(np.mean(values)) if values else float("nan")


def rendered(means: dict[str, Any]) -> str:
    """A table for each kind of planes."""
    parts = []
    for kind, title in zip(KINDS, ("Slices, evenly spaced", "Planes of random direction"), strict=True):
        counts = list(next(iter(means[kind].values())))
        rows = [[name, *(number(by[count], 3) for count in counts)] for name, by in means[kind].items()]
        parts += [f"{title}: mean Dice.", table(["method", *(f"{count} planes" for count in counts)], rows)]
    return "\n\n".join(parts)
