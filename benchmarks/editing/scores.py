"""Numbers per answer, and their summary over cases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from SparseToPreciseLib.core.masks import dice
from SparseToPreciseLib.editing.metrics import (
    average_surface_distance,
    editing_distance,
    in_zone_error_removed,
    near_error,
    off_target_change_mm3,
)

from .cases import Case

Record = dict[str, float | int | str | bool | None]


def overlap_scores(case: Case, after: np.ndarray, zone: np.ndarray) -> Record:
    """Dice, ASSD (mm), share of the in-zone error removed and off-target change (mm3) of one answer.

    Where the answer has lost its whole boundary, distances are the diagonal of the array.
    """
    before, truth, spacing = case.current.array, case.truth.array, case.truth.grid.spacing_kji
    diagonal = float(np.linalg.norm(np.array(truth.shape) * spacing))
    return {
        "dice": dice(truth, after),
        "dice_change": dice(truth, after) - dice(truth, before),
        "assd": min(average_surface_distance(truth, after, spacing), diagonal),
        "removed": in_zone_error_removed(truth, before, after, zone),
        "off_target": off_target_change_mm3(before, after, zone, spacing),
    }


def paper_scores(case: Case, after: np.ndarray, zone: np.ndarray, cube: tuple[slice, ...]) -> Record:
    """The paper's D (mm) in the part of the grid that the working cube covers.

    The paper's volume is 6.4 sigmas wide, and so is the working cube; on a whole phantom most contour voxels are far
    from the stroke and right, so that the 95th percentile without an edit would be 0.
    """
    spacing = float(case.truth.spacing[0])
    truth, before, after, zone = (array[cube] for array in (case.truth.array, case.current.array, after, zone))
    diagonal = float(np.linalg.norm(np.array(truth.shape) * spacing))
    found = editing_distance(truth, before, after, zone, spacing)
    return {f"D_{name}": min(value, diagonal) for name, value in found.items()}


def boundary_error(case: Case, mask: np.ndarray, zone: np.ndarray | None = None) -> tuple[float, float]:
    """Mean and 95th percentile (mm) of the distance from the true contour (in a zone) to the mask's."""
    spacing = case.truth.grid.spacing_kji
    where = np.ones(mask.shape, bool) if zone is None else zone
    diagonal = float(np.linalg.norm(np.array(mask.shape) * spacing))
    mean, p95 = near_error(case.truth.array, mask, where, spacing)
    return min(mean, diagonal), min(p95, diagonal)


def fall(after: float, before: float) -> float:
    """Share by which an error fell; NaN where there was none."""
    return 1 - after / before if before else float("nan")


def column(records: Iterable[Record], name: str) -> np.ndarray:
    """Values of one field without the missing ones."""
    values = np.array([np.nan if record[name] is None else record[name] for record in records], float)
    return values[~np.isnan(values)]


def mean(records: Iterable[Record], name: str) -> float:
    values = column(records, name)
    return float(values.mean()) if len(values) else float("nan")


def median(records: Iterable[Record], name: str) -> float:
    values = column(records, name)
    return float(np.median(values)) if len(values) else float("nan")


def paired_interval(
    first: Sequence[Record],
    second: Sequence[Record],
    name: str,
    statistic: Callable[[np.ndarray], float] = np.mean,
    seed: int = 0,
    draws: int = 2000,
) -> dict[str, float]:
    """Difference first - second of a statistic over the same cases, with a 95 % bootstrap interval.

    Structures (the records' "name") are drawn with replacement, then cases within each: cases of one structure are no
    independent witnesses.

    Returns
    -------
    dict
        "difference", "low", "high".
    """
    theirs = {record["case"]: record for record in second}
    pairs: dict[str, list[tuple[float, float]]] = {}
    for record in first:
        pair = (record[name], theirs[record["case"]][name])
        if not np.isnan(np.array(pair, float)).any():
            pairs.setdefault(str(record["name"]), []).append(pair)
    groups = [np.array(values) for values in pairs.values()]
    if not groups:
        return {"difference": float("nan"), "low": float("nan"), "high": float("nan")}
    rng = np.random.default_rng(seed)

    def difference(parts: list[np.ndarray]) -> float:
        together = np.concatenate(parts)
        return float(statistic(together[:, 0]) - statistic(together[:, 1]))

    drawn = []
    for _ in range(draws):
        chosen = (groups[index] for index in rng.integers(len(groups), size=len(groups)))
        drawn.append(difference([group[rng.integers(len(group), size=len(group))] for group in chosen]))
    low, high = np.percentile(drawn, (2.5, 97.5))
    return {"difference": difference(groups), "low": float(low), "high": float(high)}


def by(records: Iterable[Record], *names: str) -> dict:
    """Records in groups by the values of one field, or of several as a tuple."""
    groups: dict = {}
    for record in records:
        key = record[names[0]] if len(names) == 1 else tuple(record[name] for name in names)
        groups.setdefault(key, []).append(record)
    return groups
