"""Whether an MR looks like those that a model was trained on: spacing, extent of the body, histogram."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..core.errors import InputError
from ..core.volume import Volume
from .body import BACKGROUND, HIGHEST
from .working_grid import WorkingMR, working_mr

EDGES = np.linspace(BACKGROUND - 1, HIGHEST, 29)
"""Of the histograms of standardised intensities."""
TOLERANCE = 0.15
"""Beyond the range that was seen, as a share of its ends, before a size counts as unlike."""
_AXES = ("left to right", "back to front", "bottom to top")


def histogram(z: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Shares of the standardised intensities within a mask in the bins of `EDGES`; their sum is 1."""
    counts = np.histogram(np.clip(z[mask], EDGES[0], EDGES[-1]), EDGES)[0].astype(np.float64)
    return counts / max(counts.sum(), 1.0)


def histogram_distance(one: np.ndarray, other: np.ndarray) -> float:
    """Earth mover's distance between two histograms of `EDGES`, in units of standardised intensity."""
    return float(np.abs(np.cumsum(one - other)).sum() * (EDGES[1] - EDGES[0]))


def extent_mm(mask: np.ndarray, spacing_mm: float) -> list[float]:
    """Lengths along R, A and S of the box around a mask on a lattice, mm."""
    return [
        float(np.ptp(np.flatnonzero(mask.any(axis=tuple(o for o in range(3) if o != axis)))) + 1) * spacing_mm
        for axis in (2, 1, 0)
    ]


def seen_in(mrs: Iterable[Volume], spacing_mm: float) -> dict[str, Any]:
    """What a model has seen, for `seen` of its bundle's parameters.

    Parameters
    ----------
    mrs
        Images that it was trained on, as they were before they came onto the lattice.
    spacing_mm
        Of the model's lattice.

    Returns
    -------
    dict
        "spacing_mm": [smallest, largest] of the images' coarsest voxel sides. "extent_mm": for R, A and S [smallest,
        largest] of the body. "histogram": "edges", "frequencies" (the mean) and "distance", the 99th percentile of the
        images' distances from the mean.

    Raises
    ------
    InputError
        There is no image, or one of them is not usable.
    """
    spacings, extents, histograms = [], [], []
    for mr in mrs:
        working = working_mr(mr, spacing_mm)
        spacings.append(float(mr.spacing.max()))
        extents.append(extent_mm(working.mask, spacing_mm))
        histograms.append(histogram(working.z, working.mask))
    if not histograms:
        raise InputError("There is no MR to learn from; give at least one.")
    mean = np.mean(histograms, axis=0)
    distances = [histogram_distance(one, mean) for one in histograms]
    return {
        "spacing_mm": [round(min(spacings), 3), round(max(spacings), 3)],
        "extent_mm": [
            [round(float(low), 1), round(float(high), 1)]
            for low, high in zip(np.min(extents, axis=0), np.max(extents, axis=0), strict=True)
        ],
        "histogram": {
            "edges": [round(float(edge), 4) for edge in EDGES],
            "frequencies": [round(float(share), 6) for share in mean],
            "distance": round(float(np.percentile(distances, 99)), 4),
        },
    }


def checked_seen(seen: Mapping[str, Any]) -> dict[str, Any]:
    """`seen` of a bundle's parameters, whose parts may be missing.

    Raises
    ------
    KeyError, TypeError, ValueError
        A part is not as `seen_in` makes it.
    """
    seen = dict(seen)
    shapes = {"spacing_mm": (2,), "extent_mm": (3, 2), "edges": EDGES.shape, "frequencies": (len(EDGES) - 1,)}
    parts = {name: seen[name] for name in ("spacing_mm", "extent_mm") if name in seen}
    if "histogram" in seen:
        parts |= {name: seen["histogram"][name] for name in ("edges", "frequencies")}
        float(seen["histogram"]["distance"])
    for name, values in parts.items():
        if np.asarray(values, dtype=np.float64).shape != shapes[name]:
            raise ValueError(f"{name} of what was seen is {values!r}")
    return seen


def unlikeness(mr: Volume, working: WorkingMR, seen: Mapping[str, Any]) -> list[str]:
    """Sentences on what of an MR is unlike what a model has seen; none when nothing is.

    Parameters
    ----------
    mr
        As it was given.
    working
        The same on the model's lattice.
    seen
        From `seen_in`; parts that a bundle lacks are not looked at.
    """
    lattice_mm = float(working.grid.spacing[0])
    notes = []
    if "spacing_mm" in seen:
        # Finer voxels than the lattice's are averaged, so that only coarse ones are unlike.
        largest = max(float(seen["spacing_mm"][1]), lattice_mm)
        coarsest = float(mr.spacing.max())
        if coarsest > largest * (1 + TOLERANCE):
            notes.append(
                f"The voxels of {_name(mr)} are up to {coarsest:.2g} mm long, and the model has seen at most "
                f"{largest:.2g} mm; fine detail will be missing."
            )
    if "extent_mm" in seen:
        notes += _unlike_extent(extent_mm(working.mask, lattice_mm), seen["extent_mm"], _name(mr))
    if "histogram" in seen:
        wanted = seen["histogram"]
        if np.allclose(wanted["edges"], EDGES, atol=1e-3):
            distance = histogram_distance(histogram(working.z, working.mask), np.array(wanted["frequencies"]))
            if distance > float(wanted["distance"]) + 1e-3:
                notes.append(
                    f"The intensities of {_name(mr)} are unlike those that the model has seen (distance "
                    f"{distance:.2f}, at most {float(wanted['distance']):.2f} there); check the result."
                )
    return notes


def _unlike_extent(extent: list[float], seen: list[list[float]], name: str) -> list[str]:
    odd = []
    for length, (low, high), axis in zip(extent, seen, _AXES, strict=True):
        if not low * (1 - TOLERANCE) <= length <= high * (1 + TOLERANCE):
            odd.append(f"{length:.0f} mm from {axis} where the model has seen {low:.0f} to {high:.0f} mm")
    return [f"The body in {name} measures {'; '.join(odd)}; check the result."] if odd else []


def _name(mr: Volume) -> str:
    return mr.name or "the MR"
