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
from ..intensities import LEAST_CONTRAST, NO_CONTRAST, Appearance, contrast
from ..slices import Frame, axis_of, check_within, slice_step
from .inference import Prediction, around_bounds
from .model import Corrector
from .postprocessing import CleanMap, parts_of
from .slice_boxes import SliceBox, slices_as_volume
from .working_grid import patch_grid

LITTLE = 0.1
"""Share of the box's volume: where less is taken off, the user is told how to get more."""


@dataclass(frozen=True)
class TightenResult:
    """A tightened box, with the boxes of its slices.

    Attributes
    ----------
    box
        Tightened, with the axes of the given one; the given one itself where the result is not safe.
    slices
        One entry for each slice of the given box, in order. Where the result is not safe, each has the whole box.
    axis
        0, 1 or 2: the axis of the box along which it was sliced.
    safe, reason
        Whether the answer can be relied on, and why not.
    volume_before_mm3, volume_after_mm3
        Volumes of the given and of the tightened box.
    coverage
        The share of the object for which threshold and margin were calibrated.
    frame
        The slices of the given box.
    timings, device, model, notes
        Seconds by stage, the device, the bundle's name, and sentences for the user.
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
        """uint8 on any grid: 1 inside the boxes of the slices."""
        return slices_as_volume(self.slices, self.frame, image_grid)


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
        The box's axis along which slices are cut: "I", "J", "K", or "auto" for the one nearest to the image's thickest
        voxels.
    margin_mm
        Added on every side of the result.
    coverage
        Share of the object that is to lie in the boxes of the slices; the model's calibration has threshold and
        margin for it.
    progress
        Told about both passes of the network; may cancel.

    Raises
    ------
    InputError
        The box lies outside or partly outside the image, is thinner than a voxel, or the image has no numbers there;
        a margin or coverage that makes no sense.

    Examples
    --------
    >>> from SparseToPreciseLib.boxes.corrector.model import load_corrector
    >>> k, j, i = np.ogrid[-24:25, -24:25, -24:25]
    >>> ball = Volume(np.float32(k**2 + j**2 + i**2 < 10**2), np.eye(4))
    >>> loose = Box(np.full(3, 24.0), np.eye(3), np.full(3, 36.0))
    >>> result = tighten(ball, loose, load_corrector())
    >>> bool(result.safe), result.volume_after_mm3 < 0.5 * result.volume_before_mm3
    (True, True)
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
        prediction = corrector.predict(image, frame, progress.part(0.0, 0.95))
    with timed(timings, "clean-up"):
        clean = prediction.cleaned(corrector.patch, level.threshold)
        reason = corrector.calibration.rejection(clean, stored)
        if Appearance.of(image, frame).flat:
            reason = "the image is the same everywhere in the box"
        elif contrast(image, prediction.shares, patch_grid(prediction.frame, corrector.patch)) < LEAST_CONTRAST:
            reason = NO_CONTRAST
        bounds = None
        if not reason:
            bounds = prediction.bounds(clean, level.margin * clean.patch_mm + margin_mm)
        slices = _slices(prediction, clean, bounds)
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


def _slices(prediction: Prediction, clean: CleanMap, bounds: np.ndarray | None) -> list[SliceBox]:
    """One entry a slice of the given box; without bounds each has the whole box."""
    frame = prediction.given
    whole = np.array([[-frame.box.size[axis] / 2, frame.box.size[axis] / 2] for axis in frame.plane])
    ends = whole.T[..., None]
    slices = []
    for number, position in enumerate(frame.positions()):
        at = number - prediction.first
        predicted = 0 <= at < prediction.frame.slices
        own = predicted and bool(clean.kept[at].any())
        here = whole if bounds is None else bounds[number]
        parts = parts_of(clean, at) if own and bounds is not None else []
        parts = [np.clip(part + prediction.shift, *ends) for part in parts]
        slices.append(
            SliceBox(
                number,
                float(position),
                None if np.isnan(here).any() else here,
                tuple(parts) if len(parts) > 1 else (),
                float(clean.shares[at].max()) if predicted else 0.0,
                bounds is not None and not own and not np.isnan(here).any(),
            )
        )
    return slices
