"""Running the corrector: the second pass, and the directions that an oriented network gets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from box_cases import GRID, LOOSE, TIGHT, image_on
from box_cases import mask_on as case_mask
from scipy import ndimage

from SparseToPreciseLib.boxes.corrector.confidence import best_level, dice_by_level
from SparseToPreciseLib.boxes.corrector.inference import LOCATED, Prediction, cell_probabilities, located_part, predict
from SparseToPreciseLib.boxes.corrector.inputs import CHANNELS, POSITIONS
from SparseToPreciseLib.boxes.corrector.working_grid import View, between_planes
from SparseToPreciseLib.boxes.metrics import mean_slice_iou, tight_bounds
from SparseToPreciseLib.boxes.scenes import mask_on
from SparseToPreciseLib.core.box import Box
from SparseToPreciseLib.core.errors import Cancelled
from SparseToPreciseLib.core.progress import Progress
from SparseToPreciseLib.core.volume import Grid, Volume

CPU = torch.device("cpu")
WIDE = TIGHT.grown([9, 8, 12], [6, 12, 9])


class Alike(torch.nn.Module):
    """Takes for object what is like the middle of the box."""

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        return 16 * (given[:, 1:2] - 0.5)


class Rightward(torch.nn.Module):
    """Its answer differs along each axis of what it is shown, so that it tells how that lies."""

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        sizes = given.shape[2:]
        ramps = [torch.linspace(-1, 1, size) * weight for size, weight in zip(sizes, (1.0, 2.0, 4.0), strict=True)]
        return (ramps[0][:, None, None] + ramps[1][:, None] + ramps[2])[None, None]


def frame_of(box: Box, axis: int, view: View, step: float = 1.5):
    return view.frame(box, axis, step)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_second_look_is_at_the_object_and_its_boxes_come_back_to_their_slices(axis: int) -> None:
    view = View(48)
    image = Volume(np.pad(image_on(GRID).array, 12, mode="edge"), _shifted(12))
    given = frame_of(WIDE, axis, view)
    seen = predict(Alike(), image, given, view, 2, CPU)
    assert seen.frame.box.volume_mm3 < 0.6 * WIDE.volume_mm3 and seen.frame.spacing < 0.9 * given.spacing
    assert seen.frame.step == pytest.approx(given.step), "the same slices"
    first, shift = given.positions()[seen.first], WIDE.to_box(seen.frame.box.center)[axis]
    assert first == pytest.approx(seen.frame.positions()[0] + shift)
    mask = mask_on(given, case_mask(image.grid))
    clean = seen.cleaned(2, 0.5)
    bounds = seen.bounds(clean)
    tight = tight_bounds(mask, given)
    both = ~np.isnan(bounds[:, 0, 0]) & ~np.isnan(tight[:, 0, 0])
    assert both.sum() > 0.6 * (~np.isnan(tight[:, 0, 0])).sum()
    # What is like the middle ends before the object's soft edge does, on all sides alike.
    assert np.abs((bounds[both] - tight[both]).mean(axis=2)).max() < 1.5
    assert mean_slice_iou(bounds, tight) > 3 * mean_slice_iou(_whole(given), tight)
    wider = seen.bounds(clean, 3.0)
    there = ~np.isnan(bounds[:, 0, 0])
    assert (wider[there, :, 0] <= bounds[there, :, 0]).all() and (~np.isnan(wider[:, 0, 0])).sum() > there.sum()


def test_where_nothing_or_nearly_all_may_be_object_there_is_no_second_look() -> None:
    frame = frame_of(LOOSE, 2, View(48))
    shape = Prediction(frame, frame, _constant(frame, 0.0)).shares.shape
    for value in (0.0, 0.9):
        assert located_part(Prediction(frame, frame, np.full(shape, value, np.float32)), 2) is None


def test_where_no_patch_is_surely_object_there_is_no_second_look() -> None:
    frame = frame_of(LOOSE, 2, View(48))
    shares = np.zeros_like(_constant(frame, 0.0))
    k, v, u = (size // 2 for size in shares.shape)
    for value, second in ((LOCATED - 0.05, False), (LOCATED + 0.05, True)):
        shares[k - 3 : k + 3, v - 3 : v + 3, u - 3 : u + 3] = value
        assert (located_part(Prediction(frame, frame, shares), 2) is not None) == second


@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, 1), (1, -1, -1)])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
@pytest.mark.parametrize("axis", [0, 2])
def test_an_oriented_network_sees_r_a_and_s_wherever_the_boxs_axes_point(order, flips, axis: int) -> None:
    box = Box(TIGHT.center, np.eye(3)[:, order] * flips, TIGHT.size[list(order)])
    view = View(48, 20.0, True)
    frame = frame_of(box, axis, view)
    grid = frame.cells(0, frame.planes)
    channels = view.channels(image_on(GRID), frame)
    chances = cell_probabilities(Rightward(), channels, grid, view, CPU)
    points = grid.points_ras()
    logits = np.log(chances / (1 - chances))
    # The answer grows along S, more along A, most along R.
    for ras, weight in ((2, 1.0), (1, 2.0), (0, 4.0)):
        slope = np.polyfit(points[..., ras].ravel(), logits.ravel(), 1)[0]
        assert slope * np.ptp(points[..., ras]) == pytest.approx(2 * weight, rel=0.1)
    shown = view.shown(channels, grid)
    for spatial, channel in ((0, 6), (1, 5), (2, 4)):
        values = shown[channel]
        assert all(np.ptp(values, axis=still).max() == 0 for still in {0, 1, 2} - {spatial})
    assert np.array_equal(view.as_stored(view.shown_mask(channels[0], grid), grid), channels[0])


def test_a_network_that_knows_no_directions_sees_the_boxs_own() -> None:
    view = View(48)
    frame = frame_of(LOOSE, 2, view)
    channels = view.channels(image_on(GRID), frame)
    assert np.array_equal(view.shown(channels, frame.cells(0, frame.planes)), channels)
    assert channels.shape[0] == CHANNELS and not channels[8].any(), "of any length"
    assert channels[POSITIONS].min() >= 0


def test_a_network_is_told_how_large_the_box_is_beside_the_objects_it_knows() -> None:
    told = [
        float(View(48, typical, True).channels(image_on(GRID), frame_of(LOOSE, 2, View(48)))[8].max())
        for typical in (10.0, float(np.cbrt(LOOSE.volume_mm3)), 200.0)
    ]
    assert told[0] > 0.5 and abs(told[1]) < 1e-6 and told[2] < -0.5


def test_every_axis_of_a_grid_is_the_nearest_of_one_direction() -> None:
    flipped = Grid((2, 3, 4), np.diag([-1.0, -2.0, 3.0, 1.0]))
    assert flipped.nearest_ras_axes() == ((0, 1, 2), (-1, -1, 1))
    mixed = np.eye(4)
    mixed[:3, :3] = np.array([[0.1, 0.2, 0.9], [-0.9, 0.1, 0.1], [0.1, 0.9, -0.2]])
    assert Grid((2, 3, 4), mixed).nearest_ras_axes() == ((2, 0, 1), (1, -1, 1))


class Unsteady(Alike):
    """No number in half precision, as real convolutions are now and then."""

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        return super().forward(given) * (torch.nan if torch.is_autocast_enabled("cpu") else 1.0)


def test_what_is_no_number_in_half_precision_is_computed_in_full() -> None:
    view = View(48)
    frame = frame_of(LOOSE, 2, view)
    given = view.channels(image_on(GRID), frame), frame.cells(0, frame.planes), view, CPU
    assert np.array_equal(cell_probabilities(Unsteady(), *given), cell_probabilities(Alike(), *given))


def test_looking_may_be_cancelled() -> None:
    frame = frame_of(LOOSE, 2, View(48))
    with pytest.raises(Cancelled):
        predict(Alike(), image_on(GRID), frame, View(48), 2, CPU, Progress(cancelled=lambda: True))


def _constant(frame, value: float) -> np.ndarray:
    cells = np.full((frame.planes, *(size // 2 for size in frame.shape)), value, np.float32)
    return between_planes(cells, frame)


def _whole(frame) -> np.ndarray:
    half = frame.box.size[list(frame.plane)] / 2
    return np.tile(np.stack([-half, half], axis=1), (frame.slices, 1, 1))


def _shifted(voxels: int) -> np.ndarray:
    matrix = GRID.ijk_to_ras.copy()
    matrix[:3, 3] = GRID.to_ras([-voxels] * 3)
    return matrix


@pytest.mark.parametrize(("mirrored", "turned_round"), [(2, (0, 1, 2)), (4, (0,)), (8, (1,)), (8, (2,))])
def test_the_mean_over_mirror_images_turns_round_with_the_cells(mirrored: int, turned_round: tuple[int, ...]) -> None:
    view = View(48, mirrored=mirrored)
    frame = frame_of(LOOSE, 2, view)
    grid, channels = frame.cells(0, frame.planes), view.channels(image_on(GRID), frame)
    network = torch.nn.Conv3d(CHANNELS, 1, 3, padding=1)
    turned = np.flip(channels, [axis + 1 for axis in turned_round])
    once, other = (cell_probabilities(network, one, grid, view, CPU) for one in (channels, turned))
    assert np.allclose(np.flip(other, turned_round), once, atol=1e-5)
    plain = replace(view, mirrored=1)
    alone = np.flip(cell_probabilities(network, turned, grid, plain, CPU), turned_round)
    assert not np.allclose(alone, cell_probabilities(network, channels, grid, plain, CPU), atol=1e-3)
    assert replace(view, oriented=True).mirrors == ((),)


def test_the_level_is_the_one_at_which_what_is_found_overlaps_most() -> None:
    mask = case_mask(GRID)
    there = mask.array > 0
    shell = ndimage.binary_dilation(there, iterations=2) & ~there
    for doubtful, wanted in ((0.33, 0.35), (0.52, 0.55)):
        chances = mask.with_array(np.where(there, 0.8, np.where(shell, doubtful, 0.05)).astype(np.float32))
        overlaps = dice_by_level(chances, mask, LOOSE)
        assert best_level([overlaps]) == wanted and overlaps.max() > 0.99 and overlaps.min() < 0.9
