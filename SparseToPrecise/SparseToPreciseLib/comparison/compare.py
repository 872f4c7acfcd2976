"""Two masks compared in every respect: the function that the command, the nodes and the benchmark call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..core.errors import InputError
from ..core.masks import bounding_slices
from ..core.progress import Progress
from ..core.volume import Grid, Volume
from .centerlines import Centerlines, centerlines
from .definitions import AXES, SUPPORTS
from .grids import on_common_grid, refuse_apart
from .overlap import Overlap, overlap
from .place import Place
from .places import largest_differences
from .support import Support, common_slices, slice_axis
from .surface import Surface, SurfaceDistances, pooled, surface_distances
from .topology import Topology, topology


@dataclass(frozen=True)
class Comparison:
    """Mask A against mask B.

    Attributes
    ----------
    name
        What is compared.
    a, b
        bool, on one grid that holds both (`grids.on_common_grid`).
    a_surface, b_surface
        The surfaces, on the masks' own grids.
    overlap, distances
        Overlap and distances of the whole masks.
    a_topology, b_topology
        Components, tunnels and cavities.
    tolerance_mm
        For the share of the surfaces within it.
    centerlines
        Of tubes; None where it was not asked for.
    support
        The common slices; None where none were wanted.
    common_overlap, common_distances
        The same measures there; those of the whole where no slice is left out, None where all are.
    """

    name: str
    a: Volume
    b: Volume
    a_surface: Surface = field(repr=False)
    b_surface: Surface = field(repr=False)
    overlap: Overlap
    distances: SurfaceDistances = field(repr=False)
    a_topology: Topology
    b_topology: Topology
    tolerance_mm: float
    centerlines: Centerlines | None = None
    support: Support | None = None
    common_overlap: Overlap | None = None
    common_distances: SurfaceDistances | None = field(default=None, repr=False)

    @cached_property
    def places(self) -> list[Place]:
        """Where to look: the largest differences, gaps, and pieces, tunnels and cavities that one has more of."""
        found = largest_differences(self.a, self.b, self.a_surface, self.b_surface, self.distances)
        found += [] if self.centerlines is None else list(self.centerlines.gaps)
        counts = (("component", "components"), ("tunnel", "tunnels"), ("cavity", "cavities"))
        for kind, attribute in counts:
            numbers = [getattr(one, attribute) for one in (self.a_topology, self.b_topology)]
            if numbers[0] != numbers[1]:
                name, more = ("A", self.a_topology) if numbers[0] > numbers[1] else ("B", self.b_topology)
                of_kind = (place for place in more.places if place.kind == kind)
                found += [Place(kind, one.position, one.size, one.unit, f"{one.text} in {name}") for one in of_kind]
        return found

    def row(self) -> dict[str, float | str | None]:
        """The numbers by the names of `definitions.MEASURES`; None where one was not asked for."""
        whole, common = self.overlap, self.common_overlap
        far, near = self.distances, self.common_distances
        lines, support = self.centerlines, self.support
        return {
            "dice": whole.dice,
            "iou": whole.iou,
            "volume_a_mm3": whole.volume_a_mm3,
            "volume_b_mm3": whole.volume_b_mm3,
            "difference_mm3": whole.difference_mm3,
            "inclusion_a_in_b": whole.inclusion_a_in_b,
            "inclusion_b_in_a": whole.inclusion_b_in_a,
            "mean_mm": far.mean,
            "rms_mm": far.rms,
            "hd95_mm": far.hd95,
            "max_mm": far.maximum,
            "tolerance_mm": self.tolerance_mm,
            "within_tolerance": far.within(self.tolerance_mm),
            **{
                f"{what}_{which}": getattr(one, what)
                for what in ("components", "tunnels", "cavities")
                for which, one in (("a", self.a_topology), ("b", self.b_topology))
            },
            "cldice": None if lines is None else lines.cldice,
            "t_prec": None if lines is None else lines.precision,
            "t_sens": None if lines is None else lines.sensitivity,
            "support": None if support is None else AXES[support.axis],
            "slices_excluded": None if support is None else support.excluded_share,
            "dice_common": None if common is None else common.dice,
            "iou_common": None if common is None else common.iou,
            "mean_common_mm": None if near is None else near.mean,
            "hd95_common_mm": None if near is None else near.hd95,
        }


def compare(
    a: Volume,
    b: Volume,
    *,
    common_support: str = "auto",
    tolerance_mm: float | None = None,
    tubes: bool = False,
    name: str = "",
    same_place: bool = False,
    progress: Progress | None = None,
) -> Comparison:
    """Compare two masks on any grids.

    Parameters
    ----------
    a, b
        Not 0 inside; (K, J, I). Overlap is taken on the finer of both grids, surfaces on each mask's own grid. A grid
        of one voxel along an axis is a plane: its surfaces are open there.
    common_support
        "I", "J" or "K": also compare on the slices across this axis of the common grid on which both have something.
        "auto": across the thickest voxels. "none": do not.
    tolerance_mm
        For the share of the surfaces within it; None: the longest side of a voxel.
    tubes
        Also compare centre lines.
    name
        What is compared; empty: A's name.
    same_place
        The masks are cut out of grids that lie on each other, and may themselves lie apart.

    Raises
    ------
    InputError
        The grids have no place in common, both masks are empty, an unknown axis, or a tolerance that is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> one, other = np.zeros((12, 12, 12), np.uint8), np.zeros((12, 12, 12), np.uint8)
    >>> one[1:11, 1:11, 1:11] = 1
    >>> other[1:8, 1:11, 1:11] = 1
    >>> found = compare(Volume(one, np.eye(4)), Volume(other, np.eye(4)))
    >>> round(found.overlap.dice, 3), found.common_overlap.dice, round(found.support.excluded_share, 2)
    (0.824, 1.0, 0.3)
    >>> [place.text for place in found.places]
    ['A reaches beyond B by 3.0 mm']
    """
    progress = progress or Progress()
    if common_support not in SUPPORTS:
        raise InputError(f"There is no common support {common_support!r}; choose one of {', '.join(SUPPORTS)}.")
    if not same_place:
        refuse_apart(a.grid, b.grid, a.name, b.name)
    one, other = on_common_grid(a, b)
    name = name or a.name
    if not one.array.any() and not other.array.any():
        raise InputError(f"{name or 'The segment'} is empty in both, so that nothing can be compared.")
    tolerance = float(one.spacing.max()) if tolerance_mm is None else tolerance_mm
    if not tolerance > 0:
        raise InputError(f"A tolerance of {tolerance_mm} mm is not positive; give a length above 0.")
    progress(0.1, f"surfaces of {name}")
    flat = [axis for axis in range(3) if a.shape[2 - axis] == b.shape[2 - axis] == 1]
    surfaces = _of_both(lambda mask: Surface.of(_filled(mask), flat), (a, b))
    distances = surface_distances(*surfaces)
    progress(0.5, f"topology of {name}")
    shapes = _of_both(topology, (a, b))
    lines = centerlines(one, other) if tubes else None
    support = whole = near = None
    if common_support != "none":
        progress(0.7, f"common support of {name}")
        axis = slice_axis(one) if common_support == "auto" else AXES.index(common_support)
        support = common_slices(one, other, axis)
        if not support.excluded_share:
            whole, near = overlap(one, other), distances
        elif support.used:
            whole = overlap(one, other, support)
            masks = [mask.with_array(support.extended(mask.array)) for mask in (one, other)]
            extended = _of_both(lambda mask: Surface.of(mask, flat), masks)
            near = surface_distances(*extended, support, one.grid)
    progress(1.0, f"{name} compared")
    return Comparison(
        name, one, other, *surfaces, overlap(one, other), distances, *shapes, tolerance, lines, support, whole, near
    )


@dataclass(frozen=True)
class Pair:
    """Two masks of one structure, cut out of grids that lie on each other."""

    name: str
    a: Volume
    b: Volume


def compare_all(
    pairs: Sequence[Pair], progress: Progress | None = None, **options: Any
) -> tuple[list[Comparison], list[str]]:
    """Compare several structures.

    Parameters
    ----------
    pairs
        The structures.
    options
        Of `compare`.

    Returns
    -------
    tuple
        The comparisons, and sentences on the structures that are empty in both and were left out.

    Raises
    ------
    InputError
        All are empty in both, and as `compare`.
    """
    progress = progress or Progress()
    found, notes = [], []
    for number, pair in enumerate(pairs):
        part = progress.part(number / len(pairs), (number + 1) / len(pairs))
        if not pair.a.array.any() and not pair.b.array.any():
            notes.append(f"{pair.name} is empty in both and was left out.")
            continue
        found.append(compare(pair.a, pair.b, name=pair.name, same_place=True, progress=part, **options))
    if not found:
        names = ", ".join(pair.name for pair in pairs)
        raise InputError(f"Both segmentations are empty ({names}), so that nothing can be compared; check the files.")
    return found, notes


def compare_on_planes(a: Volume, b: Volume, planes: Sequence[Grid]) -> tuple[Overlap, SurfaceDistances, float]:
    """Overlap and contour distances of two masks on the planes where both have something.

    Parameters
    ----------
    a, b
        Not 0 inside, on any grids.
    planes
        Grids of one slice each, in any orientation, e.g. the planes on which somebody has drawn.

    Returns
    -------
    tuple
        The overlap, with each plane as thick as its grid's third axis; the distances within the planes, in mm; and the
        share of the planes with either on which one of them has nothing, and which are left out.

    Raises
    ------
    InputError
        A grid has more than one slice, or no plane shows both.
    """
    measured, parts, either = [], [], 0
    for plane in planes:
        if plane.shape[0] != 1:
            raise InputError(f"A plane is a grid of one slice, not of {plane.shape[0]}.")
        cuts = [mask.with_array(mask.array != 0).resampled_to(plane, "nearest", fill=0) for mask in (a, b)]
        shown = [cut.array.any() for cut in cuts]
        either += any(shown)
        if all(shown):
            measured.append(overlap(*cuts))
            parts.append(surface_distances(*(Surface.of(cut, open_axes=(2,)) for cut in cuts)))
    if not parts:
        raise InputError("No plane shows both segmentations; give planes on which both have something.")
    volumes = [
        sum(getattr(one, key) for one in measured)
        for key in ("volume_a_mm3", "volume_b_mm3", "only_a_mm3", "only_b_mm3")
    ]
    common = volumes[0] - volumes[2]
    total = Overlap(2 * common / (volumes[0] + volumes[1]), common / (common + volumes[2] + volumes[3]), *volumes)
    return total, pooled(parts), 1 - len(parts) / either


def _of_both(function: Callable[[Volume], Any], masks: Sequence[Volume]) -> list[Any]:
    """A function's results for two masks, computed at the same time: numpy and scipy leave the interpreter free."""
    with ThreadPoolExecutor(len(masks)) as threads:
        return list(threads.map(function, masks))


def _filled(mask: Volume) -> Volume:
    part = bounding_slices(mask.array)
    return mask if part is None else mask.cropped(part)
