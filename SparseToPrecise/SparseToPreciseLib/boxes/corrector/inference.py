"""Running the corrector's network: on the whole box, and once more on the part where the object seems to be.

The second pass costs no more than the first one; an object that fills few cells of a very loose box fills many of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...core.devices import mixed_precision
from ...core.progress import Progress
from ...core.volume import Grid, Volume
from ..intensities import refined
from ..slices import Frame
from .inputs import IN_IMAGE, NEAR, POSITIONS
from .postprocessing import CleanMap, cleaned, slice_bounds, smoothed_shares, widened
from .working_grid import View, between_planes, patch_shares

if TYPE_CHECKING:
    import torch

CANDIDATE_SHARE = 0.05
"""The second pass is around the patches of which so much may be object."""
LOCATED = 0.7
"""Without a patch of so much object in the first pass, there is no second one: it might be around something else. A
corrector of one vertebra, trained on one mask and given boxes that held its neighbours too, had 0.6 in the first pass
where the second one cut, and 0.85 and more where it did not."""
PART_MARGIN = 0.15
"""Added on every side of the part, as a share of its extent."""
LARGEST_PART = 0.85
"""A part that is not smaller than this share of the box gets no second pass."""
LARGEST_LOG_RATIO = 2.0
"""As `intensities.LARGEST_LOG_RATIO`. With more, cells at the blurred edge of an object get probabilities that are far
too low, and so the thresholds for a high coverage; with none, what was calibrated on phantoms cut real objects."""


@dataclass(frozen=True)
class Prediction:
    """A network's output for a box.

    Attributes
    ----------
    given
        The slices of the whole box.
    frame
        Those of the part of the last pass, which is all of it or less; on the same slices.
    shares
        (slices of that part, patch rows, patch columns) float32: the share of object in every patch.
    chances
        The probability of each cell of that part to be object, float32; None where nobody needs it any more.
    """

    given: Frame
    frame: Frame
    shares: np.ndarray
    chances: Volume | None = None

    @property
    def first(self) -> int:
        """The number, in the given box, of the part's first slice."""
        given, part, axis = self.given, self.frame, self.given.axis
        return round((self._moved[axis] + (given.box.size[axis] - part.box.size[axis]) / 2) / given.step)

    @property
    def shift(self) -> np.ndarray:
        """(2, 1) mm: from in-plane coordinates of the part's box to those of the given one."""
        return self._moved[list(self.given.plane), None]

    @property
    def _moved(self) -> np.ndarray:
        return self.given.box.to_box(self.frame.box.center)

    def cleaned(self, patch: int, threshold: float) -> CleanMap:
        """The component that is the object when patches over a threshold count."""
        return cleaned(smoothed_shares(self.shares, self.frame, patch), self.frame, patch, threshold)

    def bounds(self, clean: CleanMap, margin_mm: float = 0.0) -> np.ndarray:
        """(slices, 2, 2) boxes of a component (from `cleaned`) on the given box's slices; see `slice_bounds`."""
        return widened(self.on_given(slice_bounds(clean)), self.given, margin_mm)

    def on_given(self, bounds: np.ndarray) -> np.ndarray:
        """Boxes of the part's slices (slices, 2, 2), mm, as boxes of the given box's slices; NaN beyond the part."""
        result = np.full((self.given.slices, 2, 2), np.nan)
        result[self.first : self.first + self.frame.slices] = bounds + self.shift
        return result


def predict(
    network: torch.nn.Module,
    image: Volume,
    given: Frame,
    view: View,
    patch: int,
    device: torch.device,
    progress: Progress | None = None,
) -> Prediction:
    """The share of object in the patches of a box, with a second pass where the object is located in a part of it.

    Parameters
    ----------
    given
        From `View.frame`.
    patch
        Side of a patch, pixels.
    progress
        Told about each pass; may cancel.
    """
    progress = progress or Progress()
    network = network.to(device)
    progress(0.0, "looking at the box")
    first = _look(network, image, given, given, view, patch, device)
    part = located_part(first, patch)
    if part is None:
        return first
    progress(0.5, "looking again, at the object")
    return _look(network, image, given, given.part(*part, view.side), view, patch, device)


def located_part(prediction: Prediction, patch: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Lower and upper corner (3,) of the part with the object, box coordinates; None where that is hardly less than the
    box, or uncertain."""
    frame = prediction.frame
    clean = prediction.cleaned(patch, CANDIDATE_SHARE)
    if clean.empty or prediction.shares.max() < LOCATED:
        return None
    low, high = around_bounds(slice_bounds(clean), frame)
    more = np.maximum(PART_MARGIN * (high - low), 2 * frame.spacing)
    half = frame.box.size / 2
    low, high = np.maximum(low - more, -half), np.minimum(high + more, half)
    return None if (high - low).prod() > LARGEST_PART * frame.box.volume_mm3 else (low, high)


def around_bounds(bounds: np.ndarray, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper corner (3,), box coordinates, of the box around those of all slices (slices, 2, 2)."""
    there = np.flatnonzero(~np.isnan(bounds[:, 0, 0]))
    low, high = np.empty(3), np.empty(3)
    positions = frame.positions()
    low[frame.axis], high[frame.axis] = positions[there[0]] - frame.step / 2, positions[there[-1]] + frame.step / 2
    plane = list(frame.plane)
    low[plane], high[plane] = np.nanmin(bounds[..., 0], axis=0), np.nanmax(bounds[..., 1], axis=0)
    return low, high


def cell_probabilities(
    network: torch.nn.Module, channels: np.ndarray, grid: Grid, view: View, device: torch.device
) -> np.ndarray:
    """(planes, rows, columns) float32: the probability of every cell to be object, by the network alone.

    Parameters
    ----------
    channels, grid
        From `View.channels`; the cells' grid.
    """
    import torch

    shown = torch.from_numpy(np.ascontiguousarray(view.shown(channels, grid)))[None].to(device)
    total = torch.zeros(shown.shape[2:], device=device)
    with torch.inference_mode():
        for axes in view.mirrors:
            given = shown.flip(axes).contiguous(memory_format=torch.channels_last_3d)
            with mixed_precision(device.type):
                logits = network(given)
            if not torch.isfinite(logits).all():
                # Convolutions in bfloat16 are not a number now and then; in full precision they are.
                logits = network(given)
            total += torch.sigmoid(logits.float()).flip(axes)[0, 0]
    return view.as_stored((total / len(view.mirrors)).cpu().numpy(), grid)


def _look(
    network: torch.nn.Module, image: Volume, given: Frame, frame: Frame, view: View, patch: int, device: torch.device
) -> Prediction:
    """The share of object in the patches of a frame, by the network and by this image's own intensities."""
    import torch

    channels, grid = view.channels(image, frame), frame.cells(0, frame.planes)
    chances = cell_probabilities(network, channels, grid, view, device)
    there = channels[IN_IMAGE] > 0
    inside = (channels[POSITIONS] <= 1).all(axis=0) & there
    chances = np.ascontiguousarray(refined(chances, channels[NEAR], inside, there, LARGEST_LOG_RATIO))
    planes = patch_shares(torch.from_numpy(chances)[None], patch)[0].numpy()
    return Prediction(given, frame, between_planes(planes, frame), Volume(chances, grid.ijk_to_ras))
