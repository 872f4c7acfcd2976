"""Out of domain: is an MR like those that a model was trained on, by spacing, extent of the body, histogram?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..core.errors import InputError, in_digits, in_mm
from ..core.masks import bounding_slices
from ..core.volume import Volume
from .inputs import BACKGROUND, HIGHEST, NetworkInput, network_input
from .working_grid import outer_corners

EDGES = np.linspace(BACKGROUND - 1, HIGHEST, 29)
"""Edges of the bins of standardised intensities."""
TOLERANCE = 0.15
"""Share of the ends of the range that was seen, by which a size may lie beyond it and count as seen."""
WIDER = 1.05
"""Share by which a body must be wider than deep to be turned, for a model that knows what is deeper than wide."""
CUT, FREE = 0.25, 0.1
"""Shares of a body's largest section: an end of the image that cuts it, and one that it does not reach."""
_LEAST_SIDE = 0.25
"""Share of the longest body seen that an image must be long; one in cm has a tenth."""
_AXES = ("left to right", "back to front", "bottom to top")


def histogram(z: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Shares of the standardised intensities within a mask in the bins of `EDGES`; their sum is 1."""
    counts = np.histogram(np.clip(z[mask], EDGES[0], EDGES[-1]), EDGES)[0].astype(np.float64)
    return counts / max(counts.sum(), 1.0)


def histogram_distance(one: np.ndarray, other: np.ndarray) -> float:
    """Earth mover's distance between two histograms of `EDGES`, in units of standardised intensity."""
    return float(np.abs(np.cumsum(one - other)).sum() * (EDGES[1] - EDGES[0]))


def extent_mm(mask: np.ndarray, spacing_mm: float) -> list[float]:
    """Lengths along R, A and S of the box around a mask on a working grid, mm."""
    return [(part.stop - part.start) * spacing_mm for part in reversed(bounding_slices(mask))]


def seen_in(mrs: Iterable[Volume], spacing_mm: float) -> dict[str, Any]:
    """The domain of a model, for `seen` of its bundle's parameters.

    Parameters
    ----------
    mrs
        Images that it was trained on, as they were before they came onto the working grid.
    spacing_mm
        Spacing of the model's working grid.

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
        given = network_input(mr, spacing_mm)
        spacings.append(float(mr.spacing.max()))
        extents.append(extent_mm(given.mask, spacing_mm))
        histograms.append(histogram(given.z, given.mask))
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


def out_of_domain(mr: Volume, given: NetworkInput, seen: Mapping[str, Any]) -> list[str]:
    """Sentences on what of an MR lies outside the domain of a model; none when nothing does.

    Parameters
    ----------
    mr
        The MR as it was given.
    given
        The same on the model's working grid.
    seen
        The result of `seen_in`; parts that a bundle lacks are not looked at.
    """
    grid_mm = float(given.grid.spacing[0])
    notes = []
    if "spacing_mm" in seen:
        # Finer voxels than the working grid's are averaged, so that only coarse ones are unlike.
        largest = max(float(seen["spacing_mm"][1]), grid_mm)
        coarsest = float(mr.spacing.max())
        if coarsest > largest * (1 + TOLERANCE):
            notes.append(
                f"The voxels of {_name(mr)} are up to {coarsest:.2g} mm long, and the model has seen at most "
                f"{largest:.2g} mm; fine detail will be missing."
            )
    if "extent_mm" in seen:
        notes += _unlike_extent(extent_mm(given.mask, grid_mm), seen["extent_mm"], _name(mr))
        notes += _turned(mr, given, seen["extent_mm"])
    if "histogram" in seen:
        wanted = seen["histogram"]
        if np.allclose(wanted["edges"], EDGES, atol=1e-3):
            distance = histogram_distance(histogram(given.z, given.mask), np.array(wanted["frequencies"]))
            if distance > float(wanted["distance"]) + 1e-3:
                notes.append(
                    f"The intensities of {_name(mr)} are unlike those that the model has seen (distance "
                    f"{distance:.2f}, at most {float(wanted['distance']):.2f} there); check the result."
                )
    return notes


def refuse_other_unit(mr: Volume, seen: Mapping[str, Any]) -> None:
    """Refuse an image so small that its unit cannot be the mm that the model has learnt heads in.

    Heads are of one size, and so is what the networks know of them; nothing is scaled in silence.

    Parameters
    ----------
    mr
        The MR as it was given.
    seen
        The result of `seen_in`; without an extent nothing is refused.

    Raises
    ------
    InputError
        The longest side of the image is less than a quarter of the longest body that the model has seen.
    """
    if "extent_mm" not in seen:
        return
    sides = np.ptp(outer_corners(mr.grid), axis=0)
    longest = max(high for _, high in seen["extent_mm"])
    if sides.max() < _LEAST_SIDE * longest:
        raise InputError(
            f"{mr.name or 'The MR'} is only {in_mm(sides)} large, and the model has seen bodies of up to "
            f"{in_digits(longest)} mm; check its spacing (is it in mm?)."
        )


def _unlike_extent(extent: list[float], seen: list[list[float]], name: str) -> list[str]:
    odd = []
    for length, (low, high), axis in zip(extent, seen, _AXES, strict=True):
        if not low * (1 - TOLERANCE) <= length <= high * (1 + TOLERANCE):
            odd.append(f"{in_digits(length)} mm from {axis} where the model has seen {low:.0f} to {high:.0f} mm")
    return [f"The body in {name} measures {'; '.join(odd)}; check the result."] if odd else []


def _turned(mr: Volume, given: NetworkInput, seen: list[list[float]]) -> list[str]:
    """Signs that the directions of an image were lost or are wrong, for a model that knows heads."""
    width, depth, _ = extent_mm(given.mask, float(given.grid.spacing[0]))
    middles = [sum(one) / 2 for one in seen]
    longest = max(one[1] for one in seen) * (1 + TOLERANCE)
    if middles[0] >= middles[1] or max(width, depth) > longest:
        return []
    if width > WIDER * depth and max(_ends(mr, given, 1)) < CUT:
        axes = np.abs(mr.ijk_to_ras[:3, :3]) / mr.spacing
        plain = " (its directions are those of a file that has lost them)" if np.allclose(axes, np.eye(3)) else ""
        return [
            f"The body in {_name(mr)} is {in_digits(width)} mm wide and {in_digits(depth)} mm deep{plain}, but "
            "heads are deeper than wide: its orientation may be wrong. Set it right before the CT is made."
        ]
    below, above = _ends(mr, given, 2)
    if above >= CUT and below <= FREE:
        return [
            f"The body in {_name(mr)} is cut at the upper end of the image and not at the lower one: the head may be "
            "upside down. Set its orientation right before the CT is made."
        ]
    return []


def _ends(mr: Volume, given: NetworkInput, axis: int) -> tuple[float, float]:
    """Sections of the body at both ends of an image along R, A or S, as shares of its largest section."""
    sections = given.mask.sum(axis=tuple(other for other in range(3) if other != 2 - axis))
    places = given.grid.ijk_to_ras[axis, 3] + np.arange(len(sections)) * float(given.grid.spacing[0])
    corners = outer_corners(mr.grid)[:, axis]
    half = float(given.grid.spacing[0]) / 2
    reach = half + max(half, float(np.abs(mr.ijk_to_ras[axis, :3]).max()) / 2)
    ends = (places <= corners.min() + reach, places >= corners.max() - reach)
    return tuple(float(sections[end].max(initial=0) / sections.max()) for end in ends)


def _name(mr: Volume) -> str:
    return mr.name or "the MR"
