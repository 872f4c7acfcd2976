"""The object in a box as a segmentation on the image's own grid."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from ...core.box import Box
from ...core.bundles import Bundle
from ...core.devices import Device
from ...core.errors import InputError
from ...core.models import OpenedModel, open_model, reading_parameters
from ...core.progress import Progress, timed
from ...core.volume import Grid, Volume
from ..contrast import LEAST_CONTRAST, NO_CONTRAST, contrast
from ..corrector.inputs import Appearance
from ..corrector.model import NEEDED_BYTES
from ..frame import Frame, axis_of, check_within
from .inputs import SEEN

if TYPE_CHECKING:
    from ..corrector.tighten import TightenResult

SEGMENTER_FAMILY = "boxes-segmenter"
DEFAULT_SEGMENTER = "boxes-segmenter"
LEVEL = 0.5
"""Probability from which a voxel is object, where a model does not say."""
PLANES_AT_ONCE = 16
"""Of the image, when probabilities are brought to its grid: bounds the memory."""


@dataclass(frozen=True)
class SegmentResult:
    """What `segment` found.

    Attributes
    ----------
    segmentation
        uint8 on the image's own grid, 1 for the object, 0 everywhere outside the box.
    volume_mm3
        Of the object.
    timings, device, model, notes
        Seconds by stage, where it ran, the bundle's name, what else there is to say.
    """

    segmentation: Volume
    volume_mm3: float
    timings: dict[str, float]
    device: str
    model: str
    notes: list[str] = field(default_factory=list)


class Segmenter(OpenedModel):
    """A trained network that segments slices of a box.

    Parameters
    ----------
    bundle
        Of the family "boxes-segmenter".
    device
        Where it runs; falls back to the CPU when the GPU's memory does not suffice, and says so in `note`.

    Raises
    ------
    InputError
        The bundle is refused.
    """

    def __init__(self, bundle: Bundle, device: Device) -> None:
        with reading_parameters(bundle) as parameters:
            self.side = int(parameters["side"])
            spacing = parameters["spacing_mm"]
            self.spacing_mm = None if spacing is None else float(spacing)
            self.all_axes = bool(parameters["all_axes"])
            self.own_intensities = bool(parameters.get("own_intensities", False))
            self.level = float(parameters.get("level", LEVEL))
            if not 0 < self.level < 1:
                raise InputError(f"it cannot work with the level {self.level}")
            if not 16 <= self.side <= 512 or not (spacing is None or spacing > 0):
                raise InputError(f"it cannot work with side {self.side}, spacing {spacing}")
        super().__init__(bundle, device, SEEN, 1)

    def probabilities(self, image: Volume, box: Box, axis: int, progress: Progress | None = None) -> Volume:
        """The probability of object in every cell of a box and a little beyond, float32.

        Parameters
        ----------
        axis
            Of the box, along which its planes are cut; some models then cut along the others too.
        """
        from .inference import cell_probabilities

        frame = Frame.cut(box, axis, float(box.size[axis]), self.spacing_mm, self.side)
        views = 3 if self.all_axes else 1
        own = self.own_intensities
        array = self.run(
            lambda device: cell_probabilities(
                self.network, image, frame, views, device, progress, own_intensities=own
            )
        )
        return Volume(array, frame.cells(0, frame.planes).ijk_to_ras)


def load_segmenter(model: str | os.PathLike[str] | None = None, device: str = "auto") -> Segmenter:
    """A segmenter, ready to be used again and again.

    Parameters
    ----------
    model
        Name or folder of a bundle; None: the default.
    device
        auto, cpu, cuda, cuda:N or mps.

    Raises
    ------
    InputError
        No such bundle, it is refused, or the device is not there.
    """
    return open_model(Segmenter, model or DEFAULT_SEGMENTER, SEGMENTER_FAMILY, device, NEEDED_BYTES)


def segment(
    image: Volume,
    box: Box,
    segmenter: Segmenter,
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
        one = _one_component(probabilities, allowed, segmenter.level)
        flat = Appearance.of(image, Frame.cut(box, axis, float(box.size[axis]))).flat
        if flat:
            one = one.with_array(np.zeros_like(one.array))
    with timed(timings, "resampling"):
        progress(0.85, "to the image's grid")
        array = _on_grid(one, image.grid, box, segmenter.level)
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


def _one_component(probabilities: Volume, allowed: np.ndarray, level: float) -> Volume:
    """Without all components but the largest (by its sum of probabilities) of what is allowed to be object."""
    there = (probabilities.array >= level) & allowed
    labels, count = ndimage.label(there)
    if count < 2:
        return probabilities
    masses = ndimage.sum_labels(probabilities.array, labels, np.arange(1, count + 1))
    others = there & (labels != 1 + int(masses.argmax()))
    return probabilities.with_array(np.where(others, np.float32(0), probabilities.array))


def _on_grid(probabilities: Volume, grid: Grid, box: Box, level: float) -> np.ndarray:
    """(K, J, I) uint8: where interpolated probabilities say object, within the box; memory follows the box."""
    result = np.zeros(grid.shape, np.uint8)
    part = grid.slices_around(box.corners(), 0.0)
    for start in range(part[0].start, part[0].stop, PLANES_AT_ONCE):
        slab = (slice(start, min(start + PLANES_AT_ONCE, part[0].stop)), *part[1:])
        there = grid.cropped(slab)
        result[slab] = (probabilities.resampled_to(there).array >= level) & box.mask_on(there)
    return result
