"""From a stroke to distances and attention, and the default influence radius."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from edit_cases import DENT_RADIUS, arc, case_on, distance_to_polyline, grid_around, rotation

from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.volume import Volume
from SparseToPreciseLib.editing.guidance import RADIUS_PER_SIGMA, attention, densify, nearest_on_stroke
from SparseToPreciseLib.editing.influence import default_influence_radius
from SparseToPreciseLib.editing.zone import zone_around


def test_densifying_keeps_points_and_order_and_leaves_no_gap() -> None:
    stroke = np.array([[0.0, 0, 0], [10, 0, 0], [10, 0.1, 0], [10, 0.1, 7]])
    dense = densify(stroke, 0.75)
    steps = np.linalg.norm(np.diff(dense, axis=0), axis=1)
    assert steps.max() <= 0.75 + 1e-9
    assert steps.sum() == pytest.approx(17.1)
    indices = [np.flatnonzero(np.isclose(dense, point).all(axis=1))[0] for point in stroke]
    assert indices == sorted(indices)
    assert np.array_equal(densify(stroke[:1], 1.0), stroke[:1])
    assert np.isfinite(densify(np.zeros((3, 3)), 1.0)).all()  # the same point again and again


@pytest.mark.parametrize("origin", [0.0, 3000.0])
def test_the_nearest_point_is_the_nearest_also_far_from_the_origin(origin: float) -> None:
    rng = np.random.default_rng(0)
    points, stroke = rng.normal(size=(300, 3)) * 20 + origin, rng.normal(size=(40, 3)) * 10 + origin
    distance, index = nearest_on_stroke(points, stroke)
    all_of_them = np.linalg.norm(points[:, None] - stroke[None], axis=2)
    np.testing.assert_allclose(distance, all_of_them.min(axis=1), rtol=1e-4)
    np.testing.assert_allclose(all_of_them[np.arange(300), index], all_of_them.min(axis=1), rtol=1e-4)


def test_attention_is_one_on_the_stroke_and_a_half_at_the_influence_radius() -> None:
    values = attention(np.array([0.0, RADIUS_PER_SIGMA * 4, 4.0, 400.0], dtype=np.float32), 4.0)
    np.testing.assert_allclose(values, [1.0, 0.5, np.exp(-0.5), 0.0], atol=1e-6)
    assert pytest.approx(1.17741, abs=1e-5) == RADIUS_PER_SIGMA


def test_the_zone_of_a_large_radius_takes_some_bytes_per_voxel() -> None:
    """The positions of all voxels at once, as they were, take more than 100."""
    mask = Volume(np.ones((100, 100, 100), np.uint8), np.eye(4))
    tracemalloc.start()
    try:
        zone = zone_around(mask, densify(np.array([[10.0, 50, 50], [90, 50, 50]]), 1.0), 80.0, [])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert zone.free.size == 10**6 and peak < 40 * zone.free.size


class TestDefaultRadius:
    def test_it_reaches_the_bottom_of_the_dent(self) -> None:
        case = case_on(grid_around())
        radius = default_influence_radius(case.before, case.stroke)
        assert DENT_RADIUS < radius < 2 * DENT_RADIUS

    def test_it_does_not_depend_on_the_grid(self) -> None:
        expected = default_influence_radius(case_on(grid_around()).before, arc())
        for grid in (grid_around(axes=rotation((1, 1, 0), 30)), grid_around((1, 1, 1), np.diag([-1, -1, 1]))):
            assert default_influence_radius(case_on(grid).before, arc()) == pytest.approx(expected, rel=0.1)

    def test_a_stroke_on_the_boundary_gets_a_third_of_its_length(self) -> None:
        truth = case_on(grid_around()).truth
        length = np.linalg.norm(np.diff(arc(), axis=0), axis=1).sum()
        assert default_influence_radius(truth, arc()) == pytest.approx(length / 3, abs=0.1)

    def test_a_stroke_around_the_whole_segment_gets_half_its_radius(self) -> None:
        truth = case_on(grid_around()).truth
        assert default_influence_radius(truth, arc(0, 360, 60)) == pytest.approx(9.0, abs=0.1)

    def test_a_short_stroke_gets_three_voxels(self) -> None:
        truth = case_on(grid_around((2, 2, 2))).truth
        assert default_influence_radius(truth, arc(0, 1, 2)) == pytest.approx(6.0)

    def column(self, stop: int = 10) -> Volume:
        mask = np.zeros((20, 20, 120), np.uint8)
        mask[5:15, 5:15, :stop] = 1
        return Volume(mask, np.eye(4), "cube")

    def test_far_from_the_boundary_it_still_reaches_it(self) -> None:
        stroke = np.array([[9.0, 8, 10], [100, 8, 10], [100, 12, 10]])  # as long as it is far
        assert default_influence_radius(self.column(), stroke) == pytest.approx(1.5 * 90.5, rel=0.02)
        assert default_influence_radius(self.column(0), stroke) == 3.0

    def test_a_stroke_that_is_far_for_its_length_and_the_segment_s_size_is_refused(self) -> None:
        stroke = np.array([[70.0, 6, 10], [70, 14, 10]])
        with pytest.raises(InputError) as caught:
            default_influence_radius(self.column(), stroke, lies_on="kidney_left")
        assert str(caught.value) == (
            "The stroke lies on kidney_left and is 60.5 mm from the boundary of cube, farther than it is long (8 mm); "
            "choose the segment that it was drawn for, or give an influence radius."
        )
        with pytest.raises(InputError, match="The stroke is 60.5 mm from the boundary of cube"):
            default_influence_radius(self.column(), stroke)

    def test_what_is_refused_follows_from_length_and_size(self) -> None:
        """An error may be as deep as the stroke is long, or as half the radius of the segment."""
        for x, length, accepted in ((20, 16, True), (20, 8, False), (12, 2, True)):
            stroke = np.array([[x, 6.0, 10], [x, 6.0 + length, 10]])
            if accepted:
                assert default_influence_radius(self.column(), stroke) < 20
            else:
                with pytest.raises(InputError):
                    default_influence_radius(self.column(), stroke)

    def test_points_between(self) -> None:
        line = np.array([[0.0, 0, 0], [10, 0, 0]])
        np.testing.assert_allclose(
            distance_to_polyline(np.array([[5.0, 3, 4], [-3, 4, 0], [10, 0, 2]]), line), [5, 5, 2]
        )
