"""Simulated errors and strokes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.masks import dice
from SparseToPreciseLib.editing.metrics import contour
from SparseToPreciseLib.editing.simulated_user import draw_stroke, influence_radius_for
from SparseToPreciseLib.editing.simulation import AMBIGUOUS_KINDS, GEOMETRIC_KINDS, corrupt

RADIUS = 8.0


def ball(centre: tuple[float, float, float] = (24, 24, 24), radius: float = 12.0, size: int = 48) -> np.ndarray:
    grid = np.indices((size,) * 3) - np.array(centre)[:, None, None, None]
    return (grid**2).sum(0) <= radius**2


def picture(truth: np.ndarray) -> np.ndarray:
    """An image in which half of the boundary cannot be seen."""
    image = truth.astype(np.float32)
    image[:, :, 24:] = 0.5
    return ndimage.gaussian_filter(image, 1.0) + np.random.default_rng(0).normal(0, 0.05, truth.shape)


TRUTH = ball()


@pytest.mark.parametrize("kind", GEOMETRIC_KINDS + AMBIGUOUS_KINDS)
def test_every_kind_is_local_sizeable_and_repeatable(kind):
    image = picture(TRUTH)
    for seed in range(4):
        wrong, name = corrupt(TRUTH, np.random.default_rng(seed), RADIUS, image, [kind])
        again, _ = corrupt(TRUTH, np.random.default_rng(seed), RADIUS, image, [kind])
        assert np.array_equal(wrong, again)
        assert set(name.split("+")) == {kind}
        assert np.count_nonzero(wrong ^ TRUTH) >= 12
        assert dice(wrong, TRUTH) > 0.5
    assert wrong.dtype == bool and wrong.shape == TRUTH.shape


def test_errors_stay_near_the_centre_that_was_asked_for():
    for seed in range(6):
        wrong, _ = corrupt(TRUTH, np.random.default_rng(seed), RADIUS, kinds=["dent", "leak"], centre=(12, 24, 24))
        where = np.argwhere(wrong ^ TRUTH)
        assert np.linalg.norm(where - [12, 24, 24], axis=1).max() < 3.5 * RADIUS
        assert np.median(where[:, 0]) < 24


def test_dents_only_remove_and_bulges_and_leaks_only_add():
    for seed in range(3):
        dented, _ = corrupt(TRUTH, np.random.default_rng(seed), RADIUS, kinds=["dent"])
        assert not (dented & ~TRUTH).any()
        for kind in ("bulge", "leak"):
            grown, _ = corrupt(TRUTH, np.random.default_rng(seed), RADIUS, kinds=[kind])
            assert not (TRUTH & ~grown).any()


def test_an_island_is_a_separate_piece_or_a_hole():
    pieces = []
    for seed in range(8):
        wrong, _ = corrupt(TRUTH, np.random.default_rng(seed), RADIUS, kinds=["island"])
        pieces.append(ndimage.label(wrong)[1] + ndimage.label(~wrong)[1])
    assert max(pieces) > 2


def test_ambiguous_errors_choose_the_side_that_the_image_does_not_show():
    image, sides = picture(TRUTH), []
    for seed in range(12):
        wrong, _ = corrupt(TRUTH, np.random.default_rng(seed), RADIUS, image, ["faded"])
        sides.append(np.argwhere(wrong ^ TRUTH)[:, 2].mean() > 24)
    assert sum(sides) >= 11


def test_the_image_decides_which_kinds_are_possible():
    kinds = {corrupt(TRUTH, np.random.default_rng(seed), RADIUS)[1].split("+")[0] for seed in range(10)}
    assert not kinds & set(AMBIGUOUS_KINDS)
    with pytest.raises(InputError, match="need an image"):
        corrupt(TRUTH, np.random.default_rng(0), RADIUS, kinds=["spread"])


@pytest.mark.parametrize(
    ("truth", "radius", "kinds", "said"),
    [
        (np.zeros((8, 8, 8), bool), 5, None, "0 of 512"),
        (np.ones((8, 8, 8), bool), 5, None, "512 of 512"),
        (TRUTH, -2, None, "-2"),
        (TRUTH, float("nan"), None, "nan"),
        (TRUTH, 5, ["smear"], "smear"),
    ],
)
def test_what_cannot_be_spoilt_is_refused_with_its_value(truth, radius, kinds, said):
    with pytest.raises(InputError, match=said):
        corrupt(truth, np.random.default_rng(0), radius, kinds=kinds)


@pytest.mark.parametrize("axis", [0, 1, 2, "oblique", None])
def test_a_stroke_lies_on_the_true_boundary_beside_the_error(axis):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        wrong, _ = corrupt(TRUTH, rng, RADIUS, kinds=["dent", "bulge"])
        stroke = draw_stroke(TRUTH, wrong, rng, axis)
        assert axis is None or stroke.axis == axis
        from_centre = np.linalg.norm(stroke.points - 24, axis=1)
        assert np.abs(from_centre - 12).max() < 1.0  # the ball's surface
        to_error = ndimage.distance_transform_edt(~(wrong ^ TRUTH))
        assert ndimage.map_coordinates(to_error, stroke.points.T, order=1).max() < 2.0
        steps = np.linalg.norm(np.diff(stroke.points, axis=0), axis=1)
        assert len(stroke.points) >= 3 and steps.max() < 1.5 and steps.min() > 0
        flat = stroke.points - stroke.origin
        assert np.abs(flat @ np.cross(*stroke.basis)).max() < 1e-6  # drawn on one plane
        assert stroke.error_area > 0


def test_without_chance_the_largest_error_is_taken():
    wrong = TRUTH.copy()
    wrong[10:16, 20:28, 20:29] = False  # a notch in the cap towards low K
    wrong[24, 35:37, 22:26] = False
    stroke = draw_stroke(TRUTH, wrong, None)
    areas = [(TRUTH ^ wrong).sum(axis=tuple({0, 1, 2} - {axis})).max() for axis in range(3)]
    assert stroke.axis == int(np.argmax(areas))
    assert stroke.error_area <= max(areas)
    again = draw_stroke(TRUTH, wrong, None)
    assert np.array_equal(stroke.points, again.points)


def test_length_and_jitter():
    wrong, _ = corrupt(TRUTH, np.random.default_rng(1), RADIUS, kinds=["dent"])

    def length(stroke):
        return np.linalg.norm(np.diff(stroke.points, axis=0), axis=1).sum()

    whole, half = (draw_stroke(TRUTH, wrong, None, length_factor=factor) for factor in (1.0, 0.5))
    assert length(half) == pytest.approx(0.5 * length(whole), rel=0.05)
    off = [
        np.abs(np.linalg.norm(stroke.points - 24, axis=1) - 12)
        for stroke in (draw_stroke(TRUTH, wrong, np.random.default_rng(s), 0, jitter_voxels=2.0) for s in range(20))
    ]
    assert 0.8 < np.sqrt(np.mean(np.concatenate(off) ** 2)) < 3.5
    with pytest.raises(InputError, match="2.0 voxels"):
        draw_stroke(TRUTH, wrong, None, jitter_voxels=2.0)


def test_where_a_boundary_stroke_cannot_help_there_is_none():
    assert draw_stroke(TRUTH, TRUTH, np.random.default_rng(0)) is None
    island = TRUTH | ball((5, 5, 5), 3)
    assert draw_stroke(TRUTH, island, np.random.default_rng(0)) is None
    both = island.copy()
    both[34:, 22:27, 22:27] = False
    stroke = draw_stroke(TRUTH, both, None)
    assert stroke.points[:, 0].max() > 30


def test_an_object_that_is_missing_on_a_slice_gets_its_whole_outline():
    wrong = TRUTH.copy()
    wrong[30:] = False
    stroke = draw_stroke(TRUTH, wrong, None, axis=0)
    assert stroke.index == 30
    circumference = 2 * np.pi * np.sqrt(12**2 - 6**2)
    assert np.linalg.norm(np.diff(stroke.points, axis=0), axis=1).sum() == pytest.approx(circumference, rel=0.08)


def test_the_cut_edge_of_an_array_is_not_a_boundary():
    half = TRUTH[24:]
    for seed in range(5):
        wrong, _ = corrupt(half, np.random.default_rng(seed), RADIUS, kinds=["dent"])
        stroke = draw_stroke(half, wrong, np.random.default_rng(seed), axis=1)
        assert np.abs(np.linalg.norm(stroke.points - [0, 24, 24], axis=1) - 12).max() < 1.0


@pytest.mark.parametrize("axis", [0, "oblique"])
def test_the_influence_radius_covers_the_depth_of_the_error(axis):
    outer = ball(radius=17)
    stroke = draw_stroke(TRUTH, outer, None, axis=axis)  # a shell five voxels thick
    radius = influence_radius_for(TRUTH, outer, stroke)
    assert 1.2 * 4 < radius < 1.2 * 7
    assert influence_radius_for(TRUTH, TRUTH, stroke) == 3.0


def test_the_influence_radius_is_limited():
    tiny = TRUTH.copy()
    tiny[24, 35:, 20:29] = False
    stroke = draw_stroke(TRUTH, tiny, None, axis=0)
    assert influence_radius_for(TRUTH, tiny, stroke) == 3.0
    slab = np.zeros((8, 128, 128), bool)
    slab[2:6, 4:124, 4:124] = True
    wrong = slab.copy()
    wrong[:, :, 60:] = False
    stroke = draw_stroke(slab, wrong, None, axis=0, length_factor=0.1)
    assert influence_radius_for(slab, wrong, stroke) == 40.0


def test_corruption_leaves_the_truth_alone():
    truth = TRUTH.copy()
    corrupt(truth, np.random.default_rng(0), RADIUS)
    assert np.array_equal(truth, TRUTH)
    assert contour(TRUTH).any()
