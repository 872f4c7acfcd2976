"""How a network is shown a box, and what it says of it: at first of all the box, then of where the object seems to be.

A second look costs no more than the first one, and what a very loose box shows of an object in a few cells has many
in the second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...core.box import Box
from ...core.progress import Progress
from ...core.volume import Grid, Volume
from ..frame import Frame
from .evidence import sharpened
from .inputs import IN_IMAGE, NEAR, POSITIONS, Appearance, cell_channels, reordered
from .patches import between_planes, patch_shares
from .postprocessing import CleanMap, cleaned, slice_bounds, smoothed_shares, widened

if TYPE_CHECKING:
    import torch

MAY_BE_OBJECT = 0.05
"""The second look is at patches of which so much may be object, and at what surrounds them."""
LOCATED = 0.7
"""Without a patch of so much object in the first look, there is no second one: it might be at something else. A
corrector of one vertebra, trained on one mask and given boxes that held its neighbours too, had 0.6 in the first look
where the second one cut, and 0.85 and more where it did not."""
AROUND = 0.15
"""Of their extent, added on every side."""
WORTH = 0.85
"""A part of the box that is not smaller than this share of it is not looked at again."""

SAY_OF_INTENSITIES = 2.0
"""As `evidence.MOST`. With more, cells at the blurred edge of an object get chances that are far too low, and so the
thresholds for a high coverage; with none, what was calibrated on phantoms cut real objects."""


@dataclass(frozen=True)
class View:
    """How a network is shown a box; the same in training and afterwards.

    Attributes
    ----------
    side
        Pixels along a box that is as long as it is wide; the pixels follow the box.
    typical_mm
        Length of the objects it was trained on (geometric mean of the three sides), by which it is told how large the
        box is; None: of any length.
    oriented
        The network is shown the cells in the order of the axes R, A and S, wherever the box's own axes point, so that
        it can tell left from right; otherwise in that of the box.
    """

    side: int = 72
    typical_mm: float | None = None
    oriented: bool = False

    def frame(self, box: Box, axis: int, step_mm: float) -> Frame:
        """The slices of a box along one of its axes, about `step_mm` apart."""
        return Frame.cut(box, axis, step_mm, None, self.side)

    def channels(self, image: Volume, frame: Frame) -> np.ndarray:
        """(CHANNELS, planes, rows, columns) float32, on frame.cells(0, frame.planes); see `cell_channels`."""
        return cell_channels(image, frame, Appearance.of(image, frame), self.typical_mm)

    def shown(self, cells: np.ndarray, grid: Grid) -> np.ndarray:
        """(CHANNELS, planes, rows, columns) channels in the order in which the network sees them."""
        order, flipped = self._order(grid)
        return np.flip(reordered(cells, order), flipped)

    def shown_mask(self, mask: np.ndarray, grid: Grid) -> np.ndarray:
        """(planes, rows, columns) values in that order."""
        order, flipped = self._order(grid)
        return np.flip(mask.transpose(order), [axis - 1 for axis in flipped])

    def as_stored(self, seen: np.ndarray, grid: Grid) -> np.ndarray:
        """(...) values as the network gives them, in the order of planes, rows and columns again."""
        order, flipped = self._order(grid)
        return np.flip(seen, [axis - 1 for axis in flipped]).transpose(np.argsort(order))

    def _order(self, grid: Grid) -> tuple[tuple[int, int, int], list[int]]:
        """Which axes of the arrays become the first to the third, and which axes (of 1 to 3) are turned round then."""
        if not self.oriented:
            return (0, 1, 2), []
        axes, signs = grid.nearest_ras_axes()
        # Of arrays, S comes first and R last.
        order = tuple(2 - axes[ras] for ras in (2, 1, 0))
        return order, [1 + number for number, ras in enumerate((2, 1, 0)) if signs[ras] < 0]


@dataclass(frozen=True)
class Look:
    """What a network says of a box.

    Attributes
    ----------
    given
        The slices of the whole box.
    frame
        Those of the part that was looked at last, which is all of it or less; on the same slices.
    shares
        (slices of that part, patch rows, patch columns) float32: the share of object in every patch.
    """

    given: Frame
    frame: Frame
    shares: np.ndarray

    @property
    def first(self) -> int:
        """The given box's number of the part's first slice."""
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


def look(
    network: torch.nn.Module,
    image: Volume,
    given: Frame,
    view: View,
    patch: int,
    device: torch.device,
    progress: Progress | None = None,
) -> Look:
    """Look at a box, and once more at the part where the object seems to be, if it is surely somewhere.

    Parameters
    ----------
    given
        From `View.frame`.
    patch
        Side of a patch, pixels.
    progress
        Told about each look; may cancel.
    """
    progress = progress or Progress()
    network = network.to(device)
    progress(0.0, "looking at the box")
    first = Look(given, given, _shares(network, image, given, view, patch, device))
    part = object_part(first, patch)
    if part is None:
        return first
    progress(0.5, "looking again, at the object")
    frame = given.part(*part, view.side)
    return Look(given, frame, _shares(network, image, frame, view, patch, device))


def object_part(seen: Look, patch: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Lower and upper corner (3,) of where the object seems to be, box coordinates; None where that is no less, or
    uncertain."""
    frame = seen.frame
    clean = seen.cleaned(patch, MAY_BE_OBJECT)
    if clean.empty or seen.shares.max() < LOCATED:
        return None
    low, high = around_bounds(slice_bounds(clean), frame)
    more = np.maximum(AROUND * (high - low), 2 * frame.spacing)
    half = frame.box.size / 2
    low, high = np.maximum(low - more, -half), np.minimum(high + more, half)
    return None if (high - low).prod() > WORTH * frame.box.volume_mm3 else (low, high)


def around_bounds(bounds: np.ndarray, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper corner (3,), box coordinates, of the box around those of all slices (slices, 2, 2)."""
    there = np.flatnonzero(~np.isnan(bounds[:, 0, 0]))
    low, high = np.empty(3), np.empty(3)
    positions = frame.positions()
    low[frame.axis], high[frame.axis] = positions[there[0]] - frame.step / 2, positions[there[-1]] + frame.step / 2
    plane = list(frame.plane)
    low[plane], high[plane] = np.nanmin(bounds[..., 0], axis=0), np.nanmax(bounds[..., 1], axis=0)
    return low, high


def cell_chances(
    network: torch.nn.Module, channels: np.ndarray, grid: Grid, view: View, device: torch.device
) -> np.ndarray:
    """(planes, rows, columns) float32: the chance of every cell to be object, by the network alone.

    Parameters
    ----------
    channels, grid
        From `View.channels`; the cells' grid.
    """
    import torch

    shown = np.ascontiguousarray(view.shown(channels, grid))
    given = torch.from_numpy(shown)[None].to(device, memory_format=torch.channels_last_3d)
    with torch.inference_mode():
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type != "mps"):
            logits = network(given)
        if not torch.isfinite(logits).all():
            # Convolutions in bfloat16 are not a number now and then; in full precision they are.
            logits = network(given)
    return view.as_stored(torch.sigmoid(logits.float())[0, 0].cpu().numpy(), grid)


def _shares(
    network: torch.nn.Module, image: Volume, frame: Frame, view: View, patch: int, device: torch.device
) -> np.ndarray:
    """By the network, and by what intensities this very image has where the object is and elsewhere."""
    import torch

    channels = view.channels(image, frame)
    chances = cell_chances(network, channels, frame.cells(0, frame.planes), view, device)
    there = channels[IN_IMAGE] > 0
    inside = (channels[POSITIONS] <= 1).all(axis=0) & there
    chances = np.ascontiguousarray(sharpened(chances, channels[NEAR], inside, there, SAY_OF_INTENSITIES))
    planes = patch_shares(torch.from_numpy(chances)[None], patch)[0].numpy()
    return between_planes(planes, frame)
