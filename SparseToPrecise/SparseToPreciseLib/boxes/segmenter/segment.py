"""The object in a box as a segmentation on the image's own grid."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ...core.box import Box
from ...core.progress import Progress, timed
from ...core.volume import Volume
from ..corrector.model import Corrector
from ..intensities import LEAST_CONTRAST, NO_CONTRAST, Appearance, contrast
from ..slices import Frame, axis_of, check_within
from .model import Segmenter
from .postprocessing import main_component, mask_on

if TYPE_CHECKING:
    from ..corrector.tighten import TightenResult


@dataclass(frozen=True)
class SegmentResult:
    """The segmentation of the object in a box.

    Attributes
    ----------
    segmentation
        uint8 on the image's own grid, 1 for the object, 0 everywhere outside the box.
    volume_mm3
        Volume of the object.
    timings, device, model, notes
        Seconds by stage, the device, the bundle's name, and sentences for the user.
    """

    segmentation: Volume
    volume_mm3: float
    timings: dict[str, float]
    device: str
    model: str
    notes: list[str] = field(default_factory=list)


def segment(
    image: Volume,
    box: Box,
    segmenter: Segmenter | Corrector,
    *,
    slices: TightenResult | None = None,
    progress: Progress | None = None,
) -> SegmentResult:
    """Segment the one object in a box.

    Parameters
    ----------
    image
        Any grid; the box must lie in it.
    box
        Around the object, tight or a little loose; may be turned against the image.
    segmenter
        From `load_segmenter`.
    slices
        From `tighten`: what lies outside the boxes of its slices is not object either.
    progress
        Told about every batch of slices; may cancel.

    Raises
    ------
    InputError
        The box lies outside or partly outside the image, is thinner than a voxel, or the image has no numbers there.

    Examples
    --------
    >>> from SparseToPreciseLib.boxes.segmenter.model import load_segmenter
    >>> k, j, i = np.ogrid[-24:25, -24:25, -24:25]
    >>> ball = Volume(np.float32(k**2 + j**2 + i**2 < 10**2), np.eye(4))
    >>> box = Box(np.full(3, 24.0), np.eye(3), np.full(3, 24.0))
    >>> result = segment(ball, box, load_segmenter())
    >>> overlap = np.count_nonzero(result.segmentation.array * ball.array) / np.count_nonzero(ball.array)
    >>> bool(overlap > 0.7)
    True
    """
    progress = progress or Progress()
    check_within(box, image.grid)
    axis = axis_of("auto", image.grid, box) if slices is None else slices.axis
    timings: dict[str, float] = {}
    with timed(timings, "network"):
        probabilities = segmenter.probabilities(image, box, axis, progress.part(0.0, 0.85))
    with timed(timings, "clean-up"):
        allowed = box.mask_on(probabilities.grid)
        if slices is not None:
            allowed &= slices.slices_as_volume(probabilities.grid).array > 0
        cleaned = main_component(probabilities, allowed, segmenter.level)
        flat = Appearance.of(image, Frame.cut(box, axis, float(box.size[axis]))).flat
        if flat:
            cleaned = cleaned.with_array(np.zeros_like(cleaned.array))
    with timed(timings, "resampling"):
        progress(0.85, "to the image's grid")
        array = mask_on(cleaned, image.grid, box, segmenter.level)
        if slices is not None:
            array &= slices.slices_as_volume(image.grid).array
    notes = [segmenter.note] if segmenter.note else []
    if not array.any():
        why = "The image is the same everywhere in the box" if flat else "Nothing in the box looks like one object"
        notes.append(f"{why}: the segmentation is empty.")
    elif contrast(image, probabilities.array, probabilities.grid) < LEAST_CONTRAST:
        # Not taken away: a model of somebody's own may know the object by its edge or place alone.
        notes.append(f"There may be no object: {NO_CONTRAST}. Check the segmentation.")
    progress(1.0, "done")
    volume = float(np.count_nonzero(array)) * image.grid.voxel_volume_mm3
    return SegmentResult(
        Volume(array, image.ijk_to_ras, f"{image.name} segmentation".strip()),
        volume,
        {stage: round(seconds, 4) for stage, seconds in timings.items()},
        segmenter.device,
        segmenter.name,
        notes,
    )
