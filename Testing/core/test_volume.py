"""Grids and volumes in physical space."""

from __future__ import annotations

import numpy as np
import pytest
from edit_cases import rotation

from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.volume import Grid, Volume

OBLIQUE = rotation((1, 2, 3), 33)
AXES = {
    "aligned": np.eye(3),
    "flipped": np.diag([-1.0, -1.0, 1.0]),
    "permuted": np.eye(3)[[2, 0, 1]],
    "oblique": OBLIQUE,
    "left-handed oblique": OBLIQUE @ np.diag([1.0, -1.0, 1.0]),
}


def grid(axes: str = "aligned", spacing=(0.7, 1.1, 2.3), shape=(9, 12, 15), origin=(-30.0, 4.0, 110.0)) -> Grid:
    matrix = np.eye(4)
    matrix[:3, :3] = AXES[axes] * spacing
    matrix[:3, 3] = origin
    return Grid(shape, matrix)


def linear(points: np.ndarray) -> np.ndarray:
    return points @ (0.3, -1.7, 0.9) + 5.0


@pytest.mark.parametrize("axes", AXES)
def test_points_go_to_voxels_and_back(axes: str) -> None:
    there = grid(axes)
    ijk = np.array([[0, 0, 0], [14, 11, 8], [3.25, 7.5, 1.125]])
    np.testing.assert_allclose(there.to_ijk(there.to_ras(ijk)), ijk, atol=1e-9)
    np.testing.assert_allclose(there.spacing, (0.7, 1.1, 2.3))
    np.testing.assert_allclose(there.spacing_kji, (2.3, 1.1, 0.7))
    assert there.voxel_volume_mm3 == pytest.approx(0.7 * 1.1 * 2.3)
    # array index K, J, I belongs to the voxel I, J, K
    np.testing.assert_allclose(there.points_ras()[8, 11, 14], there.to_ras([14, 11, 8]))


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("source_axes", AXES)
def test_linear_resampling_reproduces_a_linear_function(axes: str, source_axes: str) -> None:
    source = grid(source_axes, spacing=(1.5, 1.5, 2.0), shape=(30, 30, 30))
    middle = source.to_ras([14.5, 14.5, 14.5])
    target = grid(axes, spacing=(0.7, 1.1, 0.9), shape=(6, 5, 7))
    matrix = target.ijk_to_ras.copy()
    matrix[:3, 3] += middle - target.to_ras([3, 2, 2.5])
    target = Grid(target.shape, matrix)
    volume = Volume(linear(source.points_ras()), source.ijk_to_ras).resampled_to(target)
    assert volume.array.dtype == np.float32
    np.testing.assert_allclose(volume.array, linear(target.points_ras()), rtol=2e-5)
    assert volume.grid.same_as(target)


@pytest.mark.parametrize("axes", AXES)
def test_nearest_resampling_gives_the_nearest_voxel_and_keeps_the_type(axes: str) -> None:
    source = Volume(np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6), grid(axes, (1, 1, 1), (4, 5, 6)).ijk_to_ras)
    target = Grid((3, 3, 3), source.grid.cropped((slice(0, 3),) * 3).ijk_to_ras @ _shift(0.3, -0.3, 0.2))
    assert np.array_equal(source.resampled_to(target, "nearest").array, source.array[:3, :3, :3])
    assert source.resampled_to(target, "nearest").array.dtype == np.int16
    mask = source.with_array(source.array > 20)
    assert mask.resampled_to(target, "nearest").array.dtype == bool
    assert mask.resampled_to(source.grid, "nearest").array is mask.array


@pytest.mark.parametrize("axes", AXES)
def test_beyond_the_edge_the_edge_is_repeated_or_filled(axes: str) -> None:
    source = Volume(np.full((4, 4, 4), 7.0), grid(axes, (1, 1, 1), (4, 4, 4)).ijk_to_ras)
    target = Grid((1, 1, 3), source.ijk_to_ras @ _shift(-20, 0, 0))
    assert (source.resampled_to(target).array == 7).all()
    assert (source.resampled_to(target, fill=-1).array == -1).all()
    assert (source.resampled_to(target, "nearest", fill=0).array == 0).all()


def _shift(i: float, j: float, k: float) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, 3] = i, j, k
    return matrix


@pytest.mark.parametrize("axes", AXES)
def test_cropping_keeps_every_voxel_in_its_place(axes: str) -> None:
    whole = grid(axes)
    volume = Volume(linear(whole.points_ras()), whole.ijk_to_ras, "whole")
    part = volume.cropped((slice(2, 7), slice(1, 12), slice(4, 5)))
    assert part.shape == (5, 11, 1) and part.name == "whole"
    np.testing.assert_allclose(part.array, linear(part.grid.points_ras()))


@pytest.mark.parametrize("axes", AXES)
def test_a_box_in_the_world_is_held_by_what_is_cropped_for_it(axes: str) -> None:
    whole = grid(axes, shape=(20, 30, 40))
    volume = Volume(np.zeros(whole.shape), whole.ijk_to_ras, "CT")
    low, high = whole.to_ras([[14, 12, 8], [18, 15, 11]])
    bounds = np.sort(np.stack([low, high], axis=1), axis=1)
    part = volume.cropped_to_box(bounds, margin_mm=0.5)
    corners = np.stack(np.meshgrid(*bounds, indexing="ij"), axis=-1).reshape(-1, 3)
    inside = whole.contains(corners)
    assert part.grid.contains(corners[inside]).all() and inside.any()
    if axes == "aligned":
        assert part.shape == (6, 6, 7)
    with pytest.raises(InputError, match="lies outside CT"):
        volume.cropped_to_box(bounds + 500)


def test_what_is_cropped_for_a_box_is_no_larger_than_needed() -> None:
    volume = Volume(np.zeros((9, 12, 15)), grid(spacing=(1.0, 2.0, 4.0)).ijk_to_ras)
    part = volume.cropped_to_box([[-28, -26], [10, 18], [114, 130]])
    assert part.shape == (5, 5, 3) and part.grid.to_ras([0, 0, 0]).tolist() == [-28, 10, 114]


@pytest.mark.parametrize(("voxel_mm", "tolerance_mm"), [(1.0, 1e-3), (0.02, 2e-4)])
def test_grids_are_the_same_within_a_micrometre_or_a_hundredth_of_a_small_voxel(voxel_mm, tolerance_mm) -> None:
    one = Grid((4, 5, 6), np.diag([voxel_mm, voxel_mm, voxel_mm, 1.0]))
    for factor, same in ((0.9, True), (1.1, False)):
        matrix = one.ijk_to_ras.copy()
        matrix[1, 3] += factor * tolerance_mm
        assert one.same_as(Grid(one.shape, matrix)) == same


def test_the_grid_around_one_point_is_one_voxel() -> None:
    assert Grid.around(np.array([1.0, 2, 3]), 0.0, 2.0).shape == (1, 1, 1)
    assert Grid.around(np.array([1.0, 2, 3]), 0.0, 2.0, multiple=8).shape == (8, 8, 8)


def test_the_slices_around_points_hold_every_voxel_within_the_margin() -> None:
    for axes in AXES:
        there = grid(axes, shape=(16, 16, 16))
        point = there.to_ras([[7.3, 8.1, 7.9]])
        near = np.linalg.norm(there.points_ras() - point, axis=-1) <= 4.0
        inside = np.zeros(there.shape, dtype=bool)
        inside[there.slices_around(point, 4.0)] = True
        assert near.any() and not (near & ~inside).any()


def test_growing_adds_whole_voxels_and_only_where_needed() -> None:
    for axes in AXES:
        there = grid(axes)
        points = there.to_ras([[-2.2, 3.0, 4.0], [5.0, 14.3, 4.0]])
        grown = there.grown_to_hold(points)
        assert grown.shape == (9, 15, 17)
        np.testing.assert_allclose(grown.to_ras([2, 0, 0]), there.to_ras([0, 0, 0]), atol=1e-9)
        assert grown.contains(points).all()
        assert there.grown_to_hold(there.to_ras([[3, 3, 3]])).same_as(there)
        wide = there.grown_to_hold(there.to_ras([[7, 5, 4]]), margin_mm=30)
        assert wide.contains(there.to_ras([[7, 5, 4]]) + np.eye(3) * 29).all()


def test_equality_of_geometry() -> None:
    there = grid("oblique")
    moved = there.ijk_to_ras.copy()
    moved[0, 3] += 2e-3
    assert there.same_as(grid("oblique")) and not there.same_as(Grid(there.shape, moved))
    assert there.same_as(Grid(there.shape, moved), tolerance_mm=1e-2)
    assert not there.same_as(grid("oblique", shape=(9, 12, 16)))
    turned = there.ijk_to_ras.copy()
    turned[:3, 0] *= 1.001  # the corner next to the origin hardly moves, the far one does
    assert not there.same_as(Grid(there.shape, turned))


def test_a_point_is_inside_up_to_the_outer_face_of_the_last_voxel() -> None:
    there = grid("left-handed oblique")
    inside = there.to_ras([[-0.49, 0, 0], [14.49, 11.49, 8.49], [-0.51, 0, 0], [0, 0, 8.51]])
    assert there.contains(inside).tolist() == [True, True, False, False]


def test_the_grid_around_points_depends_on_the_points_alone() -> None:
    points = np.array([[10.0, 2.0, 3.0], [22.0, 2.5, 3.0]])
    around = Grid.around(points, margin_mm=5.0, spacing_mm=0.5, multiple=16)
    assert all(size % 16 == 0 for size in around.shape)
    np.testing.assert_allclose(around.spacing, 0.5)
    assert around.contains(points + [[-4.9, -4.9, -4.9], [4.9, 4.9, 4.9]]).all()
    np.testing.assert_allclose(around.to_ras((np.array(around.shape[::-1]) - 1) / 2), [16.0, 2.25, 3.0])
    assert Grid.around(points[::-1], 5.0, 0.5, 16).same_as(around)


@pytest.mark.parametrize(
    ("shape", "matrix", "words"),
    [
        ((2, 2, 2), np.full((4, 4), np.nan), "finite 4x4 affine"),
        ((2, 2, 2), np.eye(3), "finite 4x4 affine"),
        ((2, 2, 2), np.diag([1.0, 1.0, 1.0, 2.0]), "finite 4x4 affine"),
        ((2, 2, 2), np.diag([1.0, 0.0, 1.0, 1.0]), "singular"),
        ((2, 2), np.eye(4), "three axes"),
        ((2, 0, 2), np.eye(4), "three axes"),
    ],
)
def test_impossible_grids_are_refused(shape, matrix, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Grid(shape, matrix)


@pytest.mark.parametrize("shape", [(4, 4), (2, 4, 4, 3), (2, 3, 4, 4)])
def test_a_volume_has_three_axes_and_one_value_per_voxel(shape) -> None:
    with pytest.raises(InputError, match="CT must be a 3D volume"):
        Volume(np.zeros(shape), np.eye(4), "CT")


def test_unknown_interpolation_is_refused_and_nothing_is_shared_by_mistake() -> None:
    matrix = np.eye(4)
    volume = Volume(np.zeros((2, 2, 2)), matrix)
    matrix[0, 3] = 9
    assert volume.ijk_to_ras[0, 3] == 0
    with pytest.raises(ValueError):
        volume.ijk_to_ras[0, 3] = 1
    with pytest.raises(InputError, match="linear or nearest, not 'cubic'"):
        volume.resampled_to(volume.grid, "cubic")


@pytest.mark.parametrize("voxel_mm", [1e-4, 1e-3, 1.0, 10.0, 1e3])
def test_a_grid_may_have_voxels_of_any_size(voxel_mm: float) -> None:
    grid = Grid((3, 4, 5), np.diag([voxel_mm, voxel_mm, 2 * voxel_mm, 1]))
    shifted = grid.ijk_to_ras.copy()
    shifted[0, 3] = voxel_mm / 2
    assert grid.same_as(grid) and not grid.same_as(Grid((3, 4, 5), shifted))
    flat = grid.ijk_to_ras.copy()
    flat[:3, 1] = flat[:3, 0] * (1 + 1e-12)
    with pytest.raises(InputError, match="singular"):
        Grid((3, 4, 5), flat)


@pytest.mark.parametrize("size", [5e-5, 1.0, 10.0])
def test_axes_coincide_or_not_whatever_the_voxels_measure(size: float) -> None:
    turned = np.array([[1.0, 1.0, 0.0, 0.0], [0.0, 1e-11, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    lengths = np.diag([size, size, size, 1.0])
    assert Grid((2, 2, 2), lengths).voxel_volume_mm3 == pytest.approx(size**3)
    with pytest.raises(InputError, match="two image axes coincide"):
        Grid((2, 2, 2), lengths @ turned)
