"""Tightening a loose box: a box per slice, and the box around them all.

After Redekop and Chernyavskiy, "Medical Image Segmentation with Imperfect 3D Bounding Boxes" (2021), section 3.1, with
a fully convolutional classifier, a calibrated threshold and margin, and clean-up over slices.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ...core.box import Box
from ...core.errors import InputError
from ...core.progress import Progress, timed
from ...core.volume import Grid, Volume
from ..contrast import LEAST_CONTRAST, NO_CONTRAST, contrast
from ..frame import Frame, axis_of, check_within, slice_step
from .inference import Look, around_bounds
from .inputs import Appearance
from .model import Corrector
from .patches import patch_grid
from .postprocessing import CleanMap, parts_of

LITTLE = 0.1
"""Of the box's volume: where less is taken off, the user is told how to get more."""


@dataclass(frozen=True)
class SliceBox:
    """The box of one slice.

    Attributes
    ----------
    index, position_mm
        Number of the slice, and where it lies along the axis from the centre of the given box.
    bounds_mm
        (2, 2) lower and upper bound along the two other axes of the given box (in cyclic order), mm from its centre;
        None where the slice has no object.
    parts
        The same of each component, where the slice has several; without the margin.
    confidence
        Share of object in the surest patch of the slice.
    interpolated
        The slice has no patch of its own: its box comes from its neighbours or the margin.
    """

    index: int
    position_mm: float
    bounds_mm: np.ndarray | None
    parts: tuple[np.ndarray, ...]
    confidence: float
    interpolated: bool


@dataclass(frozen=True)
class TightenResult:
    """What `tighten` found.

    Attributes
    ----------
    box
        Of the same axes as the given one; the given one itself where the result is not safe.
    slices
        Of the given box, in order. Where the result is not safe, each has the whole box.
    axis
        0, 1 or 2: the axis of the box along which it was sliced.
    safe, reason
        Whether the answer can be relied on, and why not.
    volume_before_mm3, volume_after_mm3
        Of the given and of the tightened box.
    coverage
        The share of the object for which threshold and margin were calibrated.
    frame
        The slices.
    timings, device, model, notes
        Seconds by stage, where it ran, the bundle's name, what else there is to say.
    """

    box: Box
    slices: list[SliceBox]
    axis: int
    safe: bool
    reason: str
    volume_before_mm3: float
    volume_after_mm3: float
    coverage: float
    frame: Frame
    timings: dict[str, float]
    device: str
    model: str
    notes: list[str] = field(default_factory=list)

    def slices_as_volume(self, image_grid: Grid) -> Volume:
        """uint8 on any grid: 1 inside the per-slice boxes."""
        frame = self.frame
        box, size = frame.box, frame.box.size
        bounds = np.full((frame.slices, 2, 2), np.nan)
        for one in self.slices:
            if one.bounds_mm is not None:
                bounds[one.index] = one.bounds_mm
        array = np.zeros(image_grid.shape, np.uint8)
        part = image_grid.slices_around(box.corners(), 0.0)
        for k in range(part[0].start, part[0].stop):
            if part[1].start >= part[1].stop or part[2].start >= part[2].stop:
                break
            plane = image_grid.cropped((slice(k, k + 1), part[1], part[2]))
            at = box.to_box(plane.points_ras()[0])
            along = at[..., self.axis]
            number = np.clip(((along + size[self.axis] / 2) / frame.step).astype(int), 0, frame.slices - 1)
            here = bounds[number]
            inside = np.abs(along) <= size[self.axis] / 2
            for one, axis in enumerate(frame.plane):
                inside &= (at[..., axis] >= here[..., one, 0]) & (at[..., axis] <= here[..., one, 1])
            array[k, part[1], part[2]] = inside
        return Volume(array, image_grid.ijk_to_ras, "slice boxes")


def tighten(
    image: Volume,
    box: Box,
    corrector: Corrector,
    *,
    axis: str = "auto",
    margin_mm: float = 0.0,
    coverage: float = 0.99,
    progress: Progress | None = None,
) -> TightenResult:
    """Shrink a loose box around the object in it, slice by slice.

    Parameters
    ----------
    image
        Any grid; the box must lie in it.
    box
        Around the object, loose; may be turned against the image.
    corrector
        From `load_corrector`.
    axis
        Of the box along which slices are cut: "I", "J", "K", or "auto" for the one nearest to the image's thickest
        voxels.
    margin_mm
        Added on every side of the result.
    coverage
        Share of the object that is to lie in the per-slice boxes; the model's calibration has threshold and
        margin for it.
    progress
        Told about every batch of slices; may cancel.

    Raises
    ------
    InputError
        The box lies outside or partly outside the image, is thinner than a voxel, or the image has no numbers there;
        a margin or coverage that makes no sense.
    """
    progress = progress or Progress()
    if not 0 <= margin_mm < np.inf:
        raise InputError(f"The margin must be 0 mm or more, not {margin_mm:g}.")
    if not 0 < coverage <= 1:
        raise InputError(f"The coverage must lie between 0 and 1, not {coverage:g}.")
    check_within(box, image.grid)
    stored = corrector.calibration.stored_coverage(coverage)
    level = corrector.calibration.levels[stored]
    number = axis_of(axis, image.grid, box)
    frame = corrector.view.frame(box, number, slice_step(image.grid, box, number))
    timings: dict[str, float] = {}
    with timed(timings, "network"):
        seen = corrector.look(image, frame, progress.part(0.0, 0.95))
    with timed(timings, "clean-up"):
        clean = seen.cleaned(corrector.patch, level.threshold)
        reason = corrector.calibration.doubt(clean, stored)
        if Appearance.of(image, frame).flat:
            reason = "the image is the same everywhere in the box"
        elif contrast(image, seen.shares, patch_grid(seen.frame, corrector.patch)) < LEAST_CONTRAST:
            reason = NO_CONTRAST
        bounds = None
        if not reason:
            bounds = seen.bounds(clean, level.margin * clean.patch_mm + margin_mm)
        slices = _slices(seen, clean, bounds)
    result = box if bounds is None else around_slices(bounds, frame)
    notes = [note for note in (corrector.note,) if note]
    if reason:
        notes.append(f"The box was kept as it is: {reason}.")
    elif result.volume_mm3 > (1 - LITTLE) * box.volume_mm3 and stored > min(corrector.calibration.levels):
        notes.append("Little was taken off; with a lower coverage it is more, and some of the object may be cut.")
    progress(1.0, "done")
    return TightenResult(
        result,
        slices,
        number,
        not reason,
        reason,
        box.volume_mm3,
        result.volume_mm3,
        stored,
        frame,
        {stage: round(seconds, 4) for stage, seconds in timings.items()},
        corrector.device,
        corrector.name,
        notes,
    )


def around_slices(bounds: np.ndarray, frame: Frame) -> Box:
    """The box around the boxes of all slices (slices, 2, 2), in the frame's own axes."""
    return frame.box.within(*around_bounds(bounds, frame))


def _slices(seen: Look, clean: CleanMap, bounds: np.ndarray | None) -> list[SliceBox]:
    """One entry a slice of the given box; without bounds each has the whole box."""
    frame = seen.given
    whole = np.array([[-frame.box.size[axis] / 2, frame.box.size[axis] / 2] for axis in frame.plane])
    ends = whole.T[..., None]
    slices = []
    for number, position in enumerate(frame.positions()):
        at = number - seen.first
        looked_at = 0 <= at < seen.frame.slices
        own = looked_at and bool(clean.kept[at].any())
        here = whole if bounds is None else bounds[number]
        found = parts_of(clean, at) if own and bounds is not None else []
        parts = [np.clip(part + seen.shift, *ends) for part in found]
        slices.append(
            SliceBox(
                number,
                float(position),
                None if np.isnan(here).any() else here,
                tuple(parts) if len(parts) > 1 else (),
                float(clean.shares[at].max()) if looked_at else 0.0,
                bounds is not None and not own and not np.isnan(here).any(),
            )
        )
    return slices
