"""The working grid: where it lies, what is brought onto it, and how exactly."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.volume import Grid, Volume
from SparseToPreciseLib.editing.guidance import RADIUS_PER_SIGMA, nearest_on_stroke
from SparseToPreciseLib.editing.working_grid import (
    MARGIN_SIGMAS,
    SIGMA_VOXELS,
    around,
    distances_on,
    normalised,
    signed_distance,
    working_case,
    working_grid,
)

STROKE = np.array([[3.0, -20.0, 5.0], [9.0, -14.0, 5.0], [12.0, -5.0, 5.0]])


@pytest.mark.parametrize("radius", [2.0, 11.7741, 30.0])
def test_sigma_is_the_same_number_of_voxels_for_every_radius(radius: float) -> None:
    grid = working_grid(STROKE, radius)
    sigma_mm = radius / RADIUS_PER_SIGMA
    assert np.allclose(grid.spacing, sigma_mm / SIGMA_VOXELS)
    assert all(size % 16 == 0 for size in grid.shape)
    ijk = grid.to_ijk(STROKE)
    margin = MARGIN_SIGMAS * SIGMA_VOXELS
    assert (ijk >= margin - 1).all()
    assert (ijk <= np.array(grid.shape[::-1]) - margin).all()


def test_the_same_stroke_gets_the_same_grid_in_any_order() -> None:
    assert working_grid(STROKE, 9.0).same_as(working_grid(STROKE[::-1], 9.0))


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.0, 1.0, 0.5)])
def test_signed_distance_is_zero_on_the_border_and_antisymmetric(spacing: tuple[float, float, float]) -> None:
    mask = np.zeros((12, 14, 16), dtype=bool)
    mask[:, :, 6:] = True  # a plane between i = 5 and i = 6
    distance = signed_distance(mask, np.array(spacing))
    expected = (np.arange(16) - 5.5) * spacing[2]
    assert np.allclose(distance[6, 7], expected, atol=1e-4)
    assert np.allclose(signed_distance(~mask, np.array(spacing)), -distance, atol=1e-5)
    assert ((distance > 0) == mask).all()


def test_signed_distance_without_a_boundary_is_far_on_one_side() -> None:
    empty = np.zeros((4, 5, 6), dtype=bool)
    assert (signed_distance(empty, np.ones(3)) < -8).all()
    assert (signed_distance(~empty, np.ones(3)) > 8).all()


def test_a_finer_volume_is_averaged_in_place() -> None:
    """Blocks of 2 x 3 x 4 voxels on an oblique grid: their means lie at their centres."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", [20, -30, 40], degrees=True).as_matrix() @ np.diag([0.25, 0.34, 0.5])
    grid = Grid((64, 66, 68), matrix)
    linear = (grid.points_ras() @ np.array([1.0, -2.0, 0.5])).astype(np.float32)
    target = Grid.around(grid.to_ras([[34, 33, 32]]), 5.0, 1.02)
    part = around(Volume(linear, matrix), target)
    assert np.allclose(part.spacing, [1.0, 1.02, 1.0])
    assert np.allclose(part.array, part.grid.points_ras() @ np.array([1.0, -2.0, 0.5]), atol=1e-4)


def test_a_coarser_volume_is_only_cropped() -> None:
    volume = Volume(np.random.default_rng(0).normal(size=(20, 20, 20)).astype(np.float32), np.diag([3.0, 3, 3, 1]))
    part = around(volume, Grid.around(np.array([[30.0, 30, 30]]), 5.0, 1.0))
    assert part.array.base is not None
    assert max(part.shape) < 12


def test_normalised_maps_the_percentiles_and_clips() -> None:
    image = np.random.default_rng(1).normal(1000, 200, (40, 40, 40)).astype(np.float32)
    image[0, 0, 0] = 1e6
    scaled = normalised(image)
    low, high = np.percentile(scaled, (1, 99))
    assert abs(low) < 0.01 and abs(high - 1) < 0.01
    assert scaled.max() == 1.5
    assert np.isfinite(normalised(np.full((8, 8, 8), 7.0, dtype=np.float32))).all()


def test_distances_agree_with_an_exact_search() -> None:
    stroke = np.cumsum(np.random.default_rng(2).normal(0, 0.55, (40, 3)), axis=0) + 20
    distance, nearest = distances_on((40, 44, 48), stroke)
    points = np.indices((40, 44, 48)).reshape(3, -1).T
    exact, _ = nearest_on_stroke(points, stroke)
    assert (distance.ravel() >= exact - 1e-3).all()
    assert np.abs(distance.ravel() - exact).max() < 1.0
    assert np.allclose(np.linalg.norm(points - stroke[nearest.ravel()], axis=1), distance.ravel(), atol=1e-3)


def test_nan_near_the_stroke_is_refused_and_elsewhere_ignored() -> None:
    array = np.zeros((60, 60, 60), dtype=np.float32)
    distance = Volume(np.zeros_like(array), np.eye(4), "Segment")
    stroke = np.array([[12.0, 12, 12], [15.0, 12, 12]])
    grid = working_grid(stroke, 3.0)
    far = array.copy()
    far[55, 55, 55] = np.nan
    case = working_case(Volume(far, np.eye(4), "CT"), distance, stroke, grid)
    assert np.isfinite(case.image).all()
    near = array.copy()
    near[12, 12, 12] = np.inf
    with pytest.raises(InputError, match="CT has NaN or infinite values near the stroke"):
        working_case(Volume(near, np.eye(4), "CT"), distance, stroke, grid)
