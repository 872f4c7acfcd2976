"""Several strokes on one segment, one after another."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..core.errors import InputError
from ..core.progress import Progress
from ..core.volume import Volume
from .edit import EditResult, checked_stroke, edit
from .editors import Editor
from .influence import default_influence_radius
from .working_grid import room_within, with_background


@dataclass(frozen=True, eq=False)
class Stroke:
    """Strokes as the user has drawn them.

    Attributes
    ----------
    name
        What the user knows it by.
    points
        (N, 3) RAS, mm.
    influence_radius_mm
        None: chosen from the stroke and the segment, see `influence.default_influence_radius`.
    lies_on
        Name of another segment on which it lies, if one does; for the sentence that refuses it.
    """

    name: str
    points: np.ndarray
    influence_radius_mm: float | None = None
    lies_on: str = ""


@dataclass(frozen=True, eq=False)
class AppliedStroke:
    """One stroke and what it did.

    Attributes
    ----------
    name
        Of the stroke.
    points
        (N, 3) RAS, mm.
    influence_radius_mm
        Given or chosen; None where the stroke was refused before.
    result
        What the library says, with no more of the segmentation than its region, so that many strokes fit into the
        memory; None where the stroke was refused.
    before
        The region as it was before; None where the stroke was refused.
    seconds
        Of the whole edit.
    problem
        Why the stroke was refused; else empty.
    """

    name: str
    points: np.ndarray
    influence_radius_mm: float | None
    result: EditResult | None
    before: Volume | None
    seconds: float
    problem: str = ""


@dataclass(frozen=True, eq=False)
class Series:
    """Result of several strokes.

    Attributes
    ----------
    before, after
        The segment, uint8 0/1, on one grid.
    strokes
        In the order in which they were applied.
    """

    before: Volume
    after: Volume
    strokes: list[AppliedStroke]

    @property
    def applied(self) -> list[AppliedStroke]:
        """Those that were not refused."""
        return [stroke for stroke in self.strokes if stroke.result is not None]


def edit_series(
    image: Volume,
    segment: Volume,
    strokes: Sequence[Stroke],
    *,
    editor: Editor,
    earlier_strokes: Sequence[np.ndarray] = (),
    keep_earlier_edits: bool = True,
    protected: Volume | None = None,
    may_grow: bool = True,
    skip_refused: bool = False,
    progress: Progress | None = None,
) -> Series:
    """Correct a segment by strokes in order; each sees what the ones before it made of the segment.

    Parameters
    ----------
    image, segment, editor, keep_earlier_edits, protected
        See `edit.edit`.
    strokes
        In order; with `keep_earlier_edits` each protects those before it.
    earlier_strokes
        (N, 3) RAS points of strokes that the segment shows already.
    may_grow
        Whether the result may lie on a larger grid than the segment's, see `working_grid.room_within`.
    skip_refused
        Go on with the next stroke where one is refused, and say why in its `problem`.
    progress
        Told about the strokes; may cancel.

    Raises
    ------
    InputError
        Without `skip_refused`, the first refusal, which begins with the stroke's name.
    """
    progress = progress or Progress()
    before, after = segment, segment
    done: list[AppliedStroke] = []
    earlier = list(earlier_strokes)
    for number, stroke in enumerate(strokes):
        started = time.perf_counter()
        radius = stroke.influence_radius_mm
        try:
            checked_stroke(stroke.points, radius, image)
            if radius is None:
                radius = default_influence_radius(after, stroke.points, image.grid, stroke.lies_on)
            if may_grow:
                # One voxel more than can change: what touches it from outside shows there.
                margin = radius + float(after.spacing.max())
                room = room_within(after.grid, stroke.points, margin, image.grid)
                before, after = (with_background(one, room) for one in (before, after))
            result = edit(
                image,
                after,
                stroke.points,
                radius,
                editor=editor,
                earlier_strokes=earlier,
                keep_earlier_edits=keep_earlier_edits,
                protected=protected,
                progress=progress.part(number / len(strokes), (number + 1) / len(strokes)),
            )
        except InputError as error:
            if not skip_refused:
                raise InputError(f"{stroke.name}: {error}") from error
            seconds = time.perf_counter() - started
            done.append(AppliedStroke(stroke.name, stroke.points, radius, None, None, seconds, str(error)))
            continue
        seconds = time.perf_counter() - started
        there, here = (_copied(one.cropped(result.region)) for one in (after, result.segmentation))
        after = result.segmentation
        earlier.append(stroke.points)
        kept = replace(result, segmentation=here)
        done.append(AppliedStroke(stroke.name, stroke.points, radius, kept, there, seconds))
    return Series(before, after, done)


def _copied(volume: Volume) -> Volume:
    """The volume with an array of its own."""
    return volume.with_array(volume.array.copy())

