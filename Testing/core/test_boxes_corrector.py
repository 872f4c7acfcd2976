"""The box corrector: slices, patches, clean-up, calibration, and the same answer however the image is stored."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from box_cases import GRID, GRIDS, LOOSE, RADII, TIGHT, image_on, mask_on
from edit_cases import resized, rotation
from scipy import ndimage

import house
from SparseToPreciseLib.boxes.corrector.confidence import (
    ACCEPTED_FAILURES,
    COVERAGES,
    Calibration,
    CalibrationCase,
    Level,
    calibrated,
    object_diameter,
)
from SparseToPreciseLib.boxes.corrector.inference import Prediction
from SparseToPreciseLib.boxes.corrector.model import Corrector
from SparseToPreciseLib.boxes.corrector.postprocessing import (
    CleanMap,
    cleaned,
    parts_of,
    slice_bounds,
    smoothed_shares,
    widened,
)
from SparseToPreciseLib.boxes.corrector.slice_boxes import slice_columns, slice_texts
from SparseToPreciseLib.boxes.corrector.tighten import _slices, tighten
from SparseToPreciseLib.boxes.corrector.working_grid import PATCHES, between_planes, patch_centres, patch_shares
from SparseToPreciseLib.boxes.intensities import contrast
from SparseToPreciseLib.boxes.metrics import coverage, covered, evaluate, mean_slice_iou, tight_bounds
from SparseToPreciseLib.boxes.scenes import mask_on as share_on
from SparseToPreciseLib.boxes.simulation import loose_box
from SparseToPreciseLib.boxes.slices import CELL, Frame, axis_of, check_within, in_image, slice_step
from SparseToPreciseLib.core.box import Box
from SparseToPreciseLib.core.bundles import open_bundle
from SparseToPreciseLib.core.devices import Device
from SparseToPreciseLib.core.errors import Cancelled, InputError
from SparseToPreciseLib.core.progress import Progress
from SparseToPreciseLib.core.resampling import sampled
from SparseToPreciseLib.core.volume import Grid, Volume


@pytest.fixture(scope="module")
def corrector(corrector_bundle: Path) -> Corrector:
    return Corrector(open_bundle(corrector_bundle), Device("cpu"))


def frame_of(box: Box = LOOSE, axis: int = 2, step: float = 1.5) -> Frame:
    return Frame.cut(box, axis, step, side=48)


# ------------------------------------------------------------------------------------------------ slices


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_fill_the_box_and_pixels_reach_beyond_it(axis: int) -> None:
    frame = frame_of(axis=axis)
    assert frame.slices * frame.step == pytest.approx(LOOSE.size[axis])
    for at, one in zip(frame.pixels(), frame.plane, strict=True):
        assert at[0] < -LOOSE.size[one] / 2 < at[0] + 14 * frame.spacing
        assert at[-1] > LOOSE.size[one] / 2
    grid = frame.grid(0, frame.slices)
    middle = grid.to_ras([(n - 1) / 2 for n in grid.shape[::-1]])
    assert LOOSE.to_box(middle)[axis] == pytest.approx(0, abs=1e-6)
    cells = frame.cells(0, frame.planes)
    assert np.allclose(cells.spacing, 2 * frame.spacing)
    assert np.allclose(LOOSE.to_box(cells.to_ras([0, 0, 0]))[axis], frame.plane_positions()[0])


def test_a_mask_on_the_slices_has_the_objects_volume() -> None:
    frame = Frame.cut(LOOSE, 1, 1.5, 0.5)
    volume = share_on(frame, mask_on(GRID)).sum() * frame.spacing**2 * frame.step
    assert volume == pytest.approx(mask_on(GRID).array.sum() * 1.5**3, rel=0.02)


@pytest.mark.parametrize("name", GRIDS)
def test_cells_beyond_the_image_are_told(name: str) -> None:
    """On the grid of a box turned against the image, of which a part lies beyond it."""
    image = GRIDS[name]
    box = Box(LOOSE.center + (25, -20, 25), rotation((1, 2, -1), 40), LOOSE.size)
    cells = frame_of(box).cells(3, 30)
    inside = image.contains(cells.points_ras())
    assert 0.05 < inside.mean() < 0.95
    assert np.array_equal(in_image(image, cells), np.where(inside, 1, -1))


def test_coarse_cells_hold_the_mean_of_the_voxels_in_them() -> None:
    """Cells of 3 x 2 x 4 voxels, in single and in half precision; voxels beyond whole blocks do not count."""
    array = np.random.default_rng(0).normal(100, 20, (26, 14, 20)).astype(np.float32)
    volume = Volume(array, np.diag([1.0, 1.5, 2.0, 1.0]))
    matrix = np.diag([4.0, 3.0, 6.0, 1.0])
    matrix[:3, 3] = (1.5, 0.75, 2.0)
    cells = Grid((8, 7, 5), matrix)
    means = array[:24].reshape(8, 3, 7, 2, 5, 4).mean(axis=(1, 3, 5))
    assert np.allclose(sampled(volume, cells), means, atol=1e-3)
    assert np.allclose(sampled(volume.with_array(array.astype(np.float16)), cells), means, atol=0.05)


def test_auto_takes_the_thickest_axis_of_the_image() -> None:
    assert axis_of("auto", GRIDS["anisotropic"], LOOSE) == 2
    turned = Grid((20, 20, 20), np.diag([3.0, 1.0, 1.0, 1.0]))
    assert axis_of("auto", turned, LOOSE) == 0
    assert slice_step(turned, LOOSE, 0) == pytest.approx(3.0)
    assert axis_of("J", turned, LOOSE) == 1
    with pytest.raises(InputError, match="auto, I, J or K, not 'S'"):
        axis_of("S", turned, LOOSE)


@pytest.mark.parametrize(
    ("box", "sentence"),
    [
        (LOOSE.grown(0, [80, 0, 0]), "is larger than the image|reaches beyond the image"),
        (Box(LOOSE.center + (20, 0, 0), np.eye(3), LOOSE.size), r"reaches beyond the image along .* \(by"),
        (Box(LOOSE.center + (500, 0, 0), np.eye(3), LOOSE.size), "lies outside the image"),
        (Box(LOOSE.center, np.eye(3), [20, 20, 0.5]), "less than one voxel"),
    ],
)
def test_boxes_that_the_image_does_not_hold_are_refused(box: Box, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        check_within(box, GRID)


def test_a_box_up_to_the_border_of_the_image_is_fine() -> None:
    check_within(Box.bounding(Volume(np.ones(GRID.shape), GRID.ijk_to_ras)), GRID)


# ----------------------------------------------------------------------------------------------- patches


@pytest.mark.parametrize("patch", PATCHES)
def test_patch_shares_are_means_of_their_pixels(patch: int) -> None:
    rng = np.random.default_rng(0)
    frame = frame_of(LOOSE)
    rows, columns = (size // CELL for size in frame.shape)
    cells = (rng.random((1, 2, rows, columns)) > 0.5).astype(np.float32)
    shares = patch_shares(torch.from_numpy(cells), patch).numpy()
    u, v = patch_centres(frame, patch)
    assert shares.shape == (1, 2, len(v), len(u))
    cells_u, cells_v = frame.cell_centres()
    half = patch * frame.spacing / 2
    for row, column in ((1, 1), (len(v) // 2, len(u) // 3)):
        inside = (np.abs(cells_v - v[row]) < half)[:, None] & (np.abs(cells_u - u[column]) < half)
        assert inside.sum() == (patch // CELL) ** 2
        assert shares[0, 1, row, column] == pytest.approx(cells[0, 1][inside].mean(), abs=1e-6)


def test_planes_become_slices_at_their_positions() -> None:
    frame = frame_of()
    ramp = np.repeat(frame.plane_positions()[:, None, None].astype(np.float32), 2, axis=1)
    assert np.allclose(between_planes(ramp, frame)[:, 0, 0], frame.positions(), atol=1e-4)
    thick = frame_of(step=9.0)
    assert np.allclose(between_planes(ramp, thick)[:, 0, 0], thick.positions(), atol=1e-4)


# ---------------------------------------------------------------------------------------------- clean-up


def shares_of(frame: Frame, patch: int = 16, mask: Volume | None = None) -> np.ndarray:
    """What a perfect network would say."""
    cells = (mask or mask_on(GRID)).resampled_to(frame.cells(0, frame.planes)).array
    return between_planes(patch_shares(torch.from_numpy(cells)[None], patch)[0].numpy(), frame)


@pytest.mark.parametrize("patch", [16, 32])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_perfect_shares_give_nearly_tight_boxes(patch: int, axis: int) -> None:
    frame = Frame.cut(LOOSE, axis, 1.5, side=96)
    clean = cleaned(smoothed_shares(shares_of(frame, patch), frame, patch), frame, patch, 0.45)
    mask = share_on(frame, mask_on(GRID))
    iou = mean_slice_iou(slice_bounds(clean), tight_bounds(mask, frame))
    loose = np.tile([[-LOOSE.size[one] / 2, LOOSE.size[one] / 2] for one in frame.plane], (frame.slices, 1, 1))
    assert iou > mean_slice_iou(loose, tight_bounds(mask, frame)) + 0.3
    assert iou > (0.8 if patch == 16 else 0.55)


def test_one_false_patch_does_not_blow_the_box_up() -> None:
    frame = Frame.cut(LOOSE, 2, 1.5, side=144)
    shares = shares_of(frame)
    before = slice_bounds(cleaned(shares, frame, 16, 0.3))
    assert not shares[frame.slices // 2, -5:, -5:].any()
    shares[frame.slices // 2, -4, -4] = 0.9
    assert np.array_equal(slice_bounds(cleaned(shares, frame, 16, 0.3)), before, equal_nan=True)


def test_gaps_are_interpolated_and_ends_dropped() -> None:
    frame = frame_of()
    clean = cleaned(shares_of(frame), frame, 16, 0.3)
    there = np.flatnonzero(clean.kept.any(axis=(1, 2)))
    gap = there[len(there) // 2]
    kept = clean.kept.copy()
    kept[gap] = False
    torn = CleanMap(frame, 16, clean.shares, 0.3, kept)
    bounds, whole = slice_bounds(torn), slice_bounds(clean)
    assert np.allclose(bounds[gap], (whole[gap - 1] + whole[gap + 1]) / 2)
    assert np.isnan(bounds[: there[0]]).all() and np.isnan(bounds[there[-1] + 1 :]).all()
    more = widened(bounds, frame, 2 * frame.step)
    assert np.flatnonzero(~np.isnan(more[:, 0, 0]))[0] == max(there[0] - 2, 0)
    assert (more[gap, :, 0] <= bounds[gap, :, 0]).all() and (np.abs(more[gap]) <= LOOSE.size[:2, None] / 2 + 1e-9).all()


def test_components_of_a_slice_are_listed() -> None:
    frame = frame_of()
    shares = np.zeros_like(shares_of(frame))
    shares[:, 3:7, 3] = shares[:, 3:7, 7] = 0.9
    shares[0, 3, 3:8] = 0.9  # joined on the first slice only
    clean = cleaned(shares, frame, 16, 0.3)
    assert len(parts_of(clean, 3)) == 2 and len(parts_of(clean, 0)) == 1
    left, right = sorted(parts_of(clean, 3), key=lambda part: part[0, 0])
    assert left[0, 1] < right[0, 0]


# ------------------------------------------------------------------------------------------- calibration


def blurred_cases(count: int, seed: int) -> list[CalibrationCase]:
    """A network whose outline is vaguer, and so more often wrong, for some boxes than for others."""
    rng = np.random.default_rng(seed)
    cases = []
    for _ in range(count):
        frame = frame_of(loose_box(mask_on(GRID), float(rng.uniform(0.1, 0.4)), rng))
        vague = float(rng.uniform(0, 2.5))
        shares = ndimage.shift(shares_of(frame, 8), (0, *rng.normal(0, 0.6 * vague, 2)), order=1, mode="nearest")
        shares = ndimage.gaussian_filter(shares, (0, vague, vague)).astype(np.float32)
        cases.append(CalibrationCase(Prediction(frame, frame, shares), share_on(frame, mask_on(GRID))))
    return cases


@cache
def of_blurred() -> Calibration:
    return calibrated(blurred_cases(80, 0), 8)


@cache
def other_blurred() -> list[CalibrationCase]:
    return blurred_cases(60, 1)


def map_of(case: CalibrationCase, calibration: Calibration, patch: int = 8, coverage: float = 0.99) -> CleanMap:
    return case.prediction.cleaned(patch, calibration.levels[coverage].threshold)


def kept_by(calibration: Calibration, cases: list[CalibrationCase], coverage: float = 0.99) -> list[float]:
    """What of the object stays in the boxes of those cases that are trusted."""
    kept = []
    for case in cases:
        clean = map_of(case, calibration, 8, coverage)
        if not calibration.rejection(clean, coverage):
            bounds = case.prediction.bounds(clean, calibration.levels[coverage].margin * clean.patch_mm)
            kept.append(covered(bounds, case.mask, case.frame))
    return kept


def test_the_object_is_kept_in_cases_that_were_not_calibrated_on() -> None:
    found = of_blurred()
    kept = kept_by(found, other_blurred())
    assert len(kept) >= 20 and np.mean(np.array(kept) >= 0.99) >= 0.85
    assert found.stored_coverage(0.985) == 0.99
    with pytest.raises(InputError, match="at most 0.995"):
        found.stored_coverage(0.999)
    assert Calibration.from_parameters(found.as_parameters()) == found


def test_less_coverage_is_tighter_and_more_loses_less() -> None:
    found = of_blurred()
    thresholds, margins = zip(*((one.threshold, one.margin) for one in found.levels.values()), strict=True)
    assert list(found.levels) == sorted(found.levels)
    assert list(thresholds) == sorted(thresholds, reverse=True) and list(margins) == sorted(margins)
    overlaps = [one["slice_iou"] for one in found.report.values()]
    assert overlaps == sorted(overlaps, reverse=True) and overlaps[0] > overlaps[-1]
    assert np.mean(kept_by(found, other_blurred(), 0.9)) < np.mean(kept_by(found, other_blurred(), 0.995))


def test_the_panel_offers_the_coverages_that_are_calibrated() -> None:
    module = (house.ROOT / "BoxModule" / "BoxModule.py").read_text(encoding="utf-8")
    offered = re.search(r"coverage: Annotated\[str, Choice\(\[(.*?)\]\)\]", module).group(1)
    assert [float(one.strip(' "')) for one in offered.split(",")] == list(COVERAGES)


def test_cases_that_fail_are_told_apart_by_their_maps() -> None:
    rng = np.random.default_rng(1)
    frame = frame_of()
    mask = share_on(frame, mask_on(GRID))
    good = shares_of(frame, 2)
    cases = []
    for number in range(60):
        faint = number % 3 == 0
        noise = rng.normal(0, 0.02, good.shape)
        shares = np.clip(good * (0.5 if faint else 1.0) + noise, 0, 1).astype(np.float32)
        if faint:
            shares[8:] = 0  # most of the object is not seen
        cases.append(CalibrationCase(Prediction(frame, frame, shares), mask))
    found = calibrated(cases, 2)
    rejections = [bool(found.rejection(map_of(case, found, 2), 0.99)) for case in cases]
    assert all(rejections[::3]), "each of them is rejected"
    assert sum(rejections) <= 20 + 4, "clear cases are trusted"
    assert found.report[0.99]["failed_among_safe"] <= ACCEPTED_FAILURES
    assert found.report[0.99]["slice_iou"] > found.report[0.99]["loose_slice_iou"] + 0.1


def test_what_is_far_longer_than_what_was_learnt_is_not_trusted() -> None:
    """Half of the maps show something that fills the box; the object itself is some 23 mm across."""
    frame = frame_of()
    mask, good = share_on(frame, mask_on(GRID)), shares_of(frame, 2)
    filled = np.where(good > 0.5, good, np.float32(0.9))
    cases = [CalibrationCase(Prediction(frame, frame, good if n % 2 else filled), mask) for n in range(60)]
    found, unlimited = calibrated(cases, 2, longest_mm=34.0), calibrated(cases, 2)
    rejections = [found.rejection(map_of(case, found, 2), 0.99) for case in cases]
    assert all("far larger than the objects" in one and "up to 34 mm" in one for one in rejections[::2])
    tiny = replace(found, longest_mm=0.034).rejection(map_of(cases[0], found, 2), 0.99)
    assert "up to 0.034 mm is trusted" in tiny
    assert not any(rejections[1::2]) and found.report[0.99]["safe"] == 0.5
    assert not any(unlimited.rejection(map_of(case, unlimited, 2), 0.99) for case in cases)
    assert object_diameter(map_of(cases[1], found, 2)) == pytest.approx(np.cbrt(np.prod(2 * RADII)), rel=0.04)
    assert Calibration.from_parameters(found.as_parameters()) == found
    # What bundles from before this limit have.
    old = {name: value for name, value in found.as_parameters().items() if name != "longest_mm"}
    assert Calibration.from_parameters(old).longest_mm is None


@pytest.mark.parametrize("count", [8, 40])
def test_where_every_map_fails_or_there_are_few_none_is_trusted(count: int) -> None:
    frame = frame_of()
    shares = shares_of(frame, 2)
    if count == 40:
        shares[8:] = 0  # more is missing than any margin makes up for
    cases = [CalibrationCase(Prediction(frame, frame, shares), share_on(frame, mask_on(GRID))) for _ in range(count)]
    found = calibrated(cases, 2)
    clean = cleaned(smoothed_shares(shares, frame, 2), frame, 2, found.levels[0.99].threshold)
    assert "could not be relied on" in found.rejection(clean, 0.99)
    reached = found.report[0.99]
    assert reached["safe"] == 0 and reached["slice_iou"] == reached["loose_slice_iou"]


def test_a_calibration_that_is_not_in_order_is_refused() -> None:
    values = Calibration({0.99: Level(0.3, 0.5, 0.2)}).as_parameters()
    assert Calibration.from_parameters(values).levels[0.99].threshold == 0.3
    wrong = [{}, {"threshold": 0.3, "weights": []}, Calibration({0.9: Level(0.3, 0.5, 0.2)}).as_parameters()]
    wrong += [Calibration({0.99: Level(*one)}).as_parameters() for one in ((0.0, 0.5, 0.2), (0.3, -1.0, 0.2))]
    wrong += [Calibration({0.99: Level(0.3, float("nan"), 0.2)}).as_parameters()]
    wrong += [values | {"longest_mm": one} for one in (0, "far", float("nan"))]
    for one in wrong:
        with pytest.raises(InputError, match="calibration is not in order"):
            Calibration.from_parameters(one)


# ----------------------------------------------------------------------------------------------- tighten


def test_a_loose_box_becomes_tighter_and_keeps_the_object(corrector: Corrector) -> None:
    result = tighten(image_on(GRID), LOOSE, corrector)
    assert result.safe and not result.reason
    assert result.volume_after_mm3 == pytest.approx(result.box.volume_mm3) and result.box.volume_mm3 < LOOSE.volume_mm3
    truth = mask_on(GRID)
    slices = result.slices_as_volume(GRID)
    assert coverage(slices.array > 0, truth.array > 0) >= 0.99
    assert evaluate(slices, truth)["slice_iou"] > evaluate(LOOSE, truth)["slice_iou"] + 0.1
    assert (slices.array[~result.box.grown(1e-3, 1e-3).mask_on(GRID)] == 0).all()
    assert len(result.slices) == result.frame.slices and result.coverage == 0.99
    assert {one.bounds_mm is None for one in result.slices} == {True, False}


@pytest.mark.parametrize("name", GRIDS)
def test_the_answer_does_not_depend_on_how_the_image_is_stored(corrector: Corrector, name: str) -> None:
    expected = tighten(image_on(GRID), LOOSE, corrector, axis="K").box
    found = tighten(image_on(GRIDS[name]), LOOSE, corrector, axis="K").box
    tolerance = 2 * GRIDS[name].spacing.max()
    assert np.abs(found.corners() - expected.corners()).max() < tolerance


def test_a_turned_scene_gives_a_turned_answer(corrector: Corrector) -> None:
    turn = rotation((2, -1, 1), 27)
    matrix = np.eye(4)
    matrix[:3, :3] = turn
    image = image_on(GRID)
    there = Volume(image.array, matrix @ image.ijk_to_ras)
    box = Box(turn @ LOOSE.center, turn @ LOOSE.axes, LOOSE.size)
    expected, found = (tighten(*case, corrector, axis="K").box for case in ((image, LOOSE), (there, box)))
    assert np.allclose(found.center, turn @ expected.center, atol=0.2)
    assert np.allclose(found.size, expected.size, atol=0.3)


def test_margin_and_coverage_widen_the_box(corrector: Corrector) -> None:
    image = image_on(GRID)
    plain = tighten(image, LOOSE, corrector)
    wide = tighten(image, LOOSE, corrector, margin_mm=2.0)
    assert (wide.box.size >= plain.box.size).all() and (wide.box.size > plain.box.size).any()
    assert (wide.box.size <= LOOSE.size + 1e-6).all()
    low, high = (tighten(image, LOOSE, corrector, coverage=share).volume_after_mm3 for share in (0.9, 0.995))
    assert low <= high


def test_where_little_is_taken_off_a_lower_coverage_is_named(corrector: Corrector) -> None:
    image, tight = image_on(GRID), TIGHT.grown(1.5, 1.5)
    told = {share: tighten(image, tight, corrector, coverage=share).notes for share in (0.8, 0.99)}
    assert not told[0.8] and "lower coverage" in told[0.99][0]
    assert not tighten(image, LOOSE, corrector).notes


def test_an_empty_box_is_kept_and_says_so(corrector: Corrector) -> None:
    flat = image_on(GRID).with_array(np.zeros(GRID.shape, np.float32))
    result = tighten(flat, LOOSE, corrector)
    assert not result.safe and result.reason and result.box is LOOSE
    assert any("kept" in note for note in result.notes)
    kept = result.slices_as_volume(GRID).array > 0
    assert (kept == LOOSE.mask_on(GRID)).mean() > 0.999


def test_a_box_of_noise_is_kept_whatever_the_network_says(corrector: Corrector, monkeypatch) -> None:
    noise = image_on(GRID).with_array(np.random.default_rng(0).normal(0, 10, GRID.shape).astype(np.float32))
    # A network that is sure of the object, by where it lies alone.
    real = corrector.predict(image_on(GRID), corrector.view.frame(LOOSE, 2, 1.5), Progress())
    monkeypatch.setattr(corrector, "predict", lambda *_: real)
    assert tighten(image_on(GRID), LOOSE, corrector).safe
    result = tighten(noise, LOOSE, corrector)
    assert not result.safe and result.box == LOOSE
    assert result.reason == "what was found looks like all that surrounds it"


def test_contrast_is_that_of_what_was_found() -> None:
    object_, noise = mask_on(GRID), np.random.default_rng(0).normal(0, 1, GRID.shape)
    for name, grid in (("same", GRID), *GRIDS.items()):
        chances = mask_on(grid).array.astype(np.float32)
        assert contrast(object_, chances, grid) > 0.8, name
        assert contrast(object_.with_array(noise), chances, grid) < 0.1, name
    assert contrast(object_.with_array(np.ones(GRID.shape)), object_.array, GRID) == 0


@pytest.mark.parametrize("axes", [np.eye(3), np.diag([-1.0, -1.0, 1.0]), np.diag([-1.0, 1.0, 1.0])])
def test_the_answer_does_not_depend_on_which_way_the_axes_of_the_box_point(corrector: Corrector, axes) -> None:
    expected = tighten(image_on(GRID), LOOSE, corrector, axis="K").box
    found = tighten(image_on(GRID), Box(LOOSE.center, axes, LOOSE.size), corrector, axis="K").box
    assert np.allclose(found.bounds_ras, expected.bounds_ras)


def test_components_of_slices_lie_within_the_box(corrector: Corrector) -> None:
    frame = corrector.view.frame(LOOSE, 2, 1.5)
    seen = corrector.predict(image_on(GRID), frame, Progress())
    clean = seen.cleaned(corrector.patch, 1e-6)
    # Two components on every slice, as far as the patches reach.
    clean.kept[:] = True
    clean.kept[:, :, clean.kept.shape[2] // 2] = False
    half = LOOSE.size[list(frame.plane)] / 2
    parts = [part for one in _slices(seen, clean, seen.bounds(clean)) for part in one.parts]
    assert parts
    for part in parts:
        assert (np.abs(part) <= half[:, None] + 1e-9).all()


def test_values_beyond_the_box_that_are_no_numbers_are_not_said_to_be_inside(corrector: Corrector) -> None:
    image = image_on(GRID)
    beyond = ~LOOSE.contains(GRID.points_ras().reshape(-1, 3)).reshape(GRID.shape)
    with pytest.raises(InputError, match="no numbers in or near the box"):
        tighten(image.with_array(np.where(beyond, np.nan, image.array)), LOOSE, corrector)


def test_bad_input_is_refused_in_one_sentence(corrector: Corrector) -> None:
    image = image_on(GRID)
    broken = image.array.copy()
    broken[GRID.shape[0] // 2] = np.nan
    for sentence, call in {
        "no numbers": lambda: tighten(image.with_array(broken), LOOSE, corrector),
        "margin must be 0 mm or more": lambda: tighten(image, LOOSE, corrector, margin_mm=-1),
        "coverage must lie between": lambda: tighten(image, LOOSE, corrector, coverage=1.5),
        "lies outside the image": lambda: tighten(image, Box([900, 0, 0], np.eye(3), [9, 9, 9]), corrector),
    }.items():
        with pytest.raises(InputError, match=sentence) as caught:
            call()
        assert "\n" not in str(caught.value)
    with pytest.raises(Cancelled):
        tighten(image, LOOSE, corrector, progress=Progress(cancelled=lambda: True))


@pytest.mark.parametrize("factor", [1e-3, 10])
@pytest.mark.parametrize("name", ["oblique", "anisotropic"])
def test_the_same_box_however_large_the_voxels_are(corrector: Corrector, name: str, factor: float):
    image, large = image_on(GRIDS[name]), Box(factor * LOOSE.center, LOOSE.axes, factor * LOOSE.size)
    expected, found = tighten(image, LOOSE, corrector), tighten(resized(image, factor), large, corrector)
    assert found.safe and found.axis == expected.axis
    np.testing.assert_allclose(found.box.corners() / factor, expected.box.corners(), atol=1e-6)
    pairs = ((found, resized(image, factor)), (expected, image))
    inside = [one.slices_as_volume(volume.grid).array for one, volume in pairs]
    assert np.array_equal(*inside)


def test_slices_are_written_in_digits_that_fit_their_size(corrector: Corrector):
    sides = slice(slice_columns(2).index("low_I_mm"), slice_columns(2).index("center_r"))
    for factor, fewest in ((1, 3), (1e-3, 6)):
        large = Box(factor * LOOSE.center, LOOSE.axes, factor * LOOSE.size)
        result = tighten(resized(image_on(GRID), factor), large, corrector, axis="K")
        for text, one in zip(slice_texts(result.slices, large, result.frame, 3), result.slices, strict=True):
            assert text[2] == f"{one.position_mm:.{fewest}f}" and text[-2] == f"{one.confidence:.3f}"
            if one.bounds_mm is not None:
                near = 0.01 * result.frame.spacing
                np.testing.assert_allclose([float(side) for side in text[sides]], one.bounds_mm.ravel(), atol=near)


def test_sentences_about_micrometres_have_lengths():
    half = np.full(3, 0.012)
    with pytest.raises(InputError, match=r"around RAS \[0\.095, 0\.0, 0\.0\] lies outside"):
        check_within(Box(np.array([0.095, 0, 0]), np.eye(3), half), Grid((40, 40, 40), np.diag([1e-3] * 3 + [1.0])))


# ---------------------------------------------------------------------------- loose boxes and baselines


@pytest.mark.parametrize("margin", [0.0, 0.25, 1.0])
def test_loose_boxes_have_the_wanted_size_and_are_off_centre(margin: float) -> None:
    mask = Volume(np.pad(mask_on(GRID).array, 30), GRID.ijk_to_ras)
    tight, box = Box.bounding(mask), loose_box(mask, margin, np.random.default_rng(0))
    assert np.allclose(box.size, tight.size * (1 + 2 * margin))
    assert box.contains(tight.corners()).all()
    assert (np.abs(box.center - tight.center).max() > 0.5) == (margin > 0)
    even = loose_box(mask, margin, np.random.default_rng(0), asymmetric=False)
    assert np.allclose(even.center, tight.center)


def test_loose_boxes_end_with_the_field_of_view() -> None:
    mask = mask_on(GRIDS["oblique"])
    box = loose_box(mask, 3.0, np.random.default_rng(0))
    check_within(box, mask.grid)


def test_rules_without_training_find_a_bright_object() -> None:
    from benchmarks.boxes.baselines import histogram_mask, otsu_mask, shrunk_bounds

    frame = frame_of()
    truth = share_on(frame, mask_on(GRID)) > 0.5
    for rule in (otsu_mask, histogram_mask):
        found = rule(image_on(GRID), frame)
        assert (found & truth).sum() > 0.8 * truth.sum(), rule.__name__
    bounds = shrunk_bounds(frame, 0.2)
    assert np.isnan(bounds[0]).all() and np.allclose(np.nanmax(bounds[:, 0]), 0.3 * LOOSE.size[0])


def test_side_errors_have_the_sign_of_what_is_missing() -> None:
    mask = mask_on(GRID)
    found = evaluate(Box.bounding(mask).grown([2, 0, 0], [0, 0, -3]), mask)
    assert np.allclose(found["side_errors_mm"], [2, 0, 0, 0, 0, -3], atol=1e-6)
    assert found["coverage"] < 1
    assert evaluate(TIGHT.grown(2, 2), mask)["coverage"] == 1
    with pytest.raises(InputError, match="is empty"):
        evaluate(TIGHT, mask.with_array(np.zeros(GRID.shape)))
