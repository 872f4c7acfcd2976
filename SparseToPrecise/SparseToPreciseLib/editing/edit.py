"""One stroke in, one corrected segmentation out; nothing changes outside the influence zone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np

from ..core.errors import InputError, in_mm
from ..core.masks import components_with
from ..core.progress import Progress, timed
from ..core.volume import Grid, Volume
from .editors import IMAGE_AWARE_WARP, Editor
from .guidance import RADIUS_PER_SIGMA, densify
from .working_grid import SIGMA_VOXELS, around, signed_distance, working_case, working_grid
from .zone import zone_around

SMALLEST_VOXELS = 0.01
"""An influence radius below this many voxels is no length that anybody means."""

LONGEST_PIECE_SIGMAS = 6.0
"""A longer stroke is worked on in pieces, so that memory does not grow with its length."""


@dataclass(frozen=True)
class EditResult:
    """A corrected segmentation and what happened.

    Attributes
    ----------
    segmentation
        uint8 0/1 on the given segmentation's own grid.
    region
        K,J,I slices that hold every voxel that could change.
    changed_inside, changed_outside
        Voxels that changed within and beyond the influence radius; the latter is 0 by construction, and counted to
        show it.
    changed_mm3
        Volume that changed.
    volume_before_mm3, volume_after_mm3
        Volume of the segment.
    timings
        Seconds per stage: prepare, editor, apply.
    editor, device
        What corrected it, and where it ran.
    notes
        Sentences for the user.
    """

    segmentation: Volume
    region: tuple[slice, slice, slice]
    changed_inside: int
    changed_outside: int
    changed_mm3: float
    volume_before_mm3: float
    volume_after_mm3: float
    timings: dict[str, float]
    editor: str
    device: str
    notes: list[str] = field(default_factory=list)


def edit(
    image: Volume,
    segmentation: Volume,
    stroke_ras: np.ndarray,
    influence_radius_mm: float,
    *,
    editor: Editor = IMAGE_AWARE_WARP,
    earlier_strokes: Sequence[np.ndarray] = (),
    keep_earlier_edits: bool = True,
    protected: Volume | None = None,
    progress: Progress | None = None,
) -> EditResult:
    """Correct a segmentation so that its boundary follows a stroke nearby and equals the old one elsewhere.

    Parameters
    ----------
    image
        Any modality, any grid.
    segmentation
        Binary (non-zero is inside), on a grid of its own; the result lies on that grid. Where it ends before the
        image does is background.
    stroke_ras
        (N, 3) RAS points in mm along the true boundary, N >= 2, drawn on one plane.
    influence_radius_mm
        A voxel whose centre is farther than this from the stroke never changes (1.1774 sigma of the attention).
    editor
        What does the correction; see `IMAGE_AWARE_WARP` and `model.load_editor`.
    earlier_strokes
        Strokes (RAS, mm) by which this segment was edited before.
    keep_earlier_edits
        A voxel nearer to an earlier stroke than to this one, and within `zone.PROTECTED_SHARE` of the influence radius
        of it, keeps its value. Where this stroke is drawn over an earlier one, it replaces it.
    protected
        Non-zero where no voxel may change, on any grid: other segments, for example.
    progress
        Told about the stages; may cancel, in which case nothing has happened.

    Returns
    -------
    EditResult
        The given arrays are not changed.

    Raises
    ------
    InputError
        See `checked_stroke`; also: an empty segment, no boundary of the segment within reach of the stroke,
        NaN or infinite image values near the stroke or in the editor's answer.

    Notes
    -----
    After Shahin et al. 2023; the composition with the old segmentation outside the influence zone is ours, and is
    what makes "unchanged elsewhere" a fact instead of a hope.

    Examples
    --------
    A ball of 10 mm whose segmentation ends at one plane; the stroke says where its boundary runs beyond it.

    >>> k, j, i = np.ogrid[-16:17, -16:17, -16:17]
    >>> image = Volume(np.float32(k**2 + j**2 + i**2 < 10**2), np.eye(4), "ball")
    >>> cut = image.with_array((image.array > 0) & (i < 5))
    >>> angles = np.linspace(-0.8, 0.8, 9)
    >>> stroke = 16 + 9.5 * np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)
    >>> result = edit(image, cut, stroke, influence_radius_mm=8.0)
    >>> missing = [int(((image.array > 0) & (mask == 0)).sum()) for mask in (cut.array, result.segmentation.array)]
    >>> missing[1] < missing[0] / 2, result.changed_outside
    (True, 0)
    """
    progress = progress or Progress()
    timings: dict[str, float] = {}
    with timed(timings, "prepare"):
        stroke = checked_stroke(stroke_ras, influence_radius_mm, image)
        step = influence_radius_mm / RADIUS_PER_SIGMA / SIGMA_VOXELS
        dense = densify(stroke, step)
        # The only pass over the whole array; the result is made in this copy.
        mask = segmentation.with_array(segmentation.array.astype(bool))
        zone = zone_around(mask, dense, influence_radius_mm, earlier_strokes if keep_earlier_edits else ())
        before = mask.array[zone.slices].copy()
        after = before.copy()
    pieces = _pieces(dense, LONGEST_PIECE_SIGMAS * influence_radius_mm / RADIUS_PER_SIGMA)
    out_of_reach = 0
    for number, (start, stop) in enumerate(pieces):
        progress(number / len(pieces), f"correcting near the stroke ({editor.name})")
        with timed(timings, "prepare"):
            grid = working_grid(dense[start:stop], influence_radius_mm, editor.multiple)
            old_distance, own_grid = _old_distance(mask, grid, image.grid)
            if old_distance is None:
                out_of_reach += 1
                continue
            case = working_case(image, old_distance, dense[grid.contains(dense)], grid)
        progress.check()
        with timed(timings, "editor"):
            change = editor(case) - case.signed_distance
        if not np.isfinite(change).all():
            raise InputError(
                f"The editor {editor.name} answered with values that are not numbers; choose another model."
            )
        progress.check()
        with timed(timings, "apply"):
            # The change travels, not the new mask: where nothing changes, the old boundary keeps its sub-voxel place.
            there = _on_zone(old_distance, own_grid, before, zone.grid)
            there += Volume(change * np.float32(grid.spacing[0]), grid.ijk_to_ras).resampled_to(zone.grid).array
            mine = zone.free & (zone.nearest >= start) & (zone.nearest < stop)
            after[mine] = there[mine] > 0
    if out_of_reach == len(pieces):
        refuse_without_boundary(mask)
    with timed(timings, "apply"):
        withheld = 0
        if protected is not None:
            held = protected.resampled_to(zone.grid, "nearest", fill=0).array != 0
            withheld = int(np.count_nonzero(held & (after != before)))
            after[held] = before[held]
        _tidy(before, after, zone.distance < step)
        outside = (after != before) & (zone.distance >= influence_radius_mm)
        voxels_before = int(np.count_nonzero(mask.array))
        mask.array[zone.slices] = after
    progress(1.0, "done")
    notes = [editor.note] if editor.note else []
    if out_of_reach:
        notes.append("A part of the stroke is too far from the segment's boundary and was left out.")
    if withheld:
        notes.append(f"{withheld} voxels near the stroke were left as they are, because they are protected.")
    changed_outside = int(np.count_nonzero(outside))
    return _result(mask, zone.slices, before, after, changed_outside, voxels_before, timings, editor, notes)


def _result(
    mask: Volume,
    region: tuple[slice, slice, slice],
    before: np.ndarray,
    after: np.ndarray,
    changed_outside: int,
    voxels_before: int,
    timings: dict[str, float],
    editor: Editor,
    notes: list[str],
) -> EditResult:
    changed = int(np.count_nonzero(after != before))
    voxels_after = voxels_before + int(np.count_nonzero(after)) - int(np.count_nonzero(before))
    voxel = mask.grid.voxel_volume_mm3
    if not changed:
        notes.append("No voxel changed: the boundary already runs along the stroke, or the influence radius is small.")
    return EditResult(
        segmentation=mask.with_array(mask.array.view(np.uint8)),
        region=region,
        changed_inside=changed - changed_outside,
        changed_outside=changed_outside,
        changed_mm3=changed * voxel,
        volume_before_mm3=voxels_before * voxel,
        volume_after_mm3=voxels_after * voxel,
        timings=timings,
        editor=editor.name,
        device=editor.device,
        notes=notes,
    )


def checked_stroke(stroke_ras: np.ndarray, influence_radius_mm: float | None, image: Volume) -> np.ndarray:
    """The stroke as (N, 3) float64, or an `InputError` that says what is wrong with it or with the radius, if given."""
    stroke = np.asarray(stroke_ras, dtype=np.float64)
    if influence_radius_mm is not None and not 0 < influence_radius_mm < np.inf:
        raise InputError(f"The influence radius must be a positive number of millimetres, not {influence_radius_mm:g}.")
    if stroke.ndim != 2 or stroke.shape[1:] != (3,):
        raise InputError(f"A stroke is a list of points with three coordinates, not an array of shape {stroke.shape}.")
    if len(stroke) < 2:
        raise InputError(f"The stroke has {len(stroke)} point(s); draw at least two along the boundary.")
    if not np.isfinite(stroke).all():
        raise InputError(f"The stroke has {np.count_nonzero(~np.isfinite(stroke).all(axis=1))} point(s) that are NaN.")
    outside = np.count_nonzero(~image.grid.contains(stroke))
    if outside:
        raise InputError(
            f"{outside} of the stroke's {len(stroke)} points lie outside the image {image.name}; "
            "draw the stroke on the image (and check that both are in the same world coordinates)."
        )
    if not np.ptp(stroke, axis=0).any():
        raise InputError(f"All {len(stroke)} points of the stroke are at one place; draw it along the boundary.")
    if influence_radius_mm is None:
        return stroke
    extent = image.grid.spacing * np.array(image.shape[::-1])
    if influence_radius_mm > np.linalg.norm(extent):
        raise InputError(
            f"The influence radius {influence_radius_mm:g} mm is larger than the image "
            f"({in_mm(extent)}); choose a smaller one."
        )
    finest = float(image.spacing.min())
    if influence_radius_mm < SMALLEST_VOXELS * finest:
        raise InputError(
            f"The influence radius {influence_radius_mm:g} mm is far smaller than a voxel ({finest:.3g} mm), so that "
            "nothing can change; choose a larger one."
        )
    return stroke


def _tidy(before: np.ndarray, after: np.ndarray, on_stroke: np.ndarray) -> None:
    """Undo (in place) new islands and new holes: changed parts that hang on nothing old and not on the stroke."""
    if np.array_equal(before, after):
        return
    for inside in (True, False):
        there = after == inside
        after[there & ~components_with(there, (before == inside) | on_stroke)] = not inside


def _old_distance(mask: Volume, grid: Grid, image: Grid) -> tuple[Volume | None, bool]:
    """Signed distance (mm) of the old segmentation around the working grid, and whether it is on the mask's grid.

    None where no boundary of the segmentation lies within the grid.
    """
    part = around(mask, grid, image)
    own_grid = part.array.dtype == bool
    inside = part.array if own_grid else part.array > 0.5
    if not inside.any() or inside.all():
        return None, own_grid
    return part.with_array(signed_distance(inside, part.grid.spacing_kji)), own_grid


def refuse_without_boundary(mask: Volume) -> NoReturn:
    """Raise the `InputError` that says why nothing can be corrected: an empty segment, or a stroke out of reach."""
    if not mask.array.any():
        raise InputError(
            f"The segment {mask.name} is empty; a stroke corrects a boundary, so paint or threshold a first shape."
        )
    raise InputError(
        f"The stroke is farther from the boundary of {mask.name} than the influence radius can reach; "
        "draw nearer to it or choose a larger influence radius."
    )


def _on_zone(old_distance: Volume, own_grid: bool, before: np.ndarray, zone_grid: Grid) -> np.ndarray:
    """The old signed distance (mm) on the zone's voxels, with exactly the old mask's sign."""
    there = old_distance.resampled_to(zone_grid).array
    if not own_grid:
        # Far finer than the working grid: away from the change the old mask itself decides.
        half = np.float32(zone_grid.spacing.min() / 2)
        there = np.where(before, np.maximum(there, half), np.minimum(there, -half))
    return there


def _pieces(stroke: np.ndarray, longest: float) -> list[tuple[int, int]]:
    """Index ranges of consecutive points whose bounding boxes are at most `longest` wide."""
    pieces, start = [], 0
    for stop in range(1, len(stroke)):
        if np.ptp(stroke[start : stop + 1], axis=0).max() > longest:
            pieces.append((start, stop))
            start = stop
    return [*pieces, (start, len(stroke))]
