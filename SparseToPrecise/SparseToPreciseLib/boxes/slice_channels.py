"""What a 2.5D network sees of a slice: itself and its neighbours, and where in the box it is."""

from __future__ import annotations

import numpy as np

from ..core.errors import InputError
from ..core.volume import Volume
from .channels import Appearance, in_image
from .frame import Frame

NEIGHBOURS = (-2, -1, 0, 1, 2)
"""Slices seen besides the one that is judged, in steps of `neighbour_step`."""
SLICE_CHANNELS = len(NEIGHBOURS) + 6
_LEAST_STEP = 4.0


def neighbour_step(frame: Frame) -> int:
    """Slices between two neighbours that are seen: some four pixels apart, whatever the slices' distance."""
    return max(1, round(_LEAST_STEP * frame.spacing / frame.step))


def slice_channels(image: Volume, frame: Frame, appearance: Appearance, first: int, stop: int) -> np.ndarray:
    """(stop - first, SLICE_CHANNELS, rows, columns) float32 of neighbouring slices; sampled once for all of them."""
    reach = neighbour_step(frame) * max(NEIGHBOURS)
    values = frame.sample(image, first - reach, stop + reach)
    if not np.isfinite(values).all():
        raise InputError(f"{image.name or 'The image'} has values that are no numbers in or near the box; mend it.")
    return channels_from(values, frame, appearance, np.arange(first, stop), first - reach, image)


def channels_from(
    values: np.ndarray, frame: Frame, appearance: Appearance, numbers: np.ndarray, start: int, image: Volume
) -> np.ndarray:
    """The channels of slices by number, from sampled slices of which the first has the number `start`."""
    step = neighbour_step(frame)
    rows, columns = frame.shape
    result = np.empty((len(numbers), SLICE_CHANNELS, rows, columns), np.float32)
    near = np.tanh((values - appearance.middle) / (2.5 * appearance.spread))
    for channel, offset in enumerate(NEIGHBOURS):
        result[:, channel] = near[numbers - start + offset * step]
    here = values[numbers - start]
    wide = (here - appearance.low) / (appearance.high - appearance.low)
    channel = len(NEIGHBOURS)
    result[:, channel] = np.clip(wide, -0.5, 1.5) * 2 - 1
    result[:, channel + 1] = appearance.evidence(here)
    # The slice's own frame: 1 at the faces of the box.
    half = frame.box.size / 2
    u, v = (np.minimum(np.abs(at) / half[one], 1.5) for at, one in zip(frame.pixels(), frame.plane, strict=True))
    result[:, channel + 2] = u
    result[:, channel + 3] = v[:, None]
    result[:, channel + 4] = (np.abs(frame.positions(numbers)) / half[frame.axis])[:, None, None]
    for row, number in enumerate(numbers):
        result[row, channel + 5] = in_image(image.grid, frame.grid(int(number), int(number) + 1))
    return result
