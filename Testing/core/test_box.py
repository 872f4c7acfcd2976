"""Boxes: frames, growing, grids and bounding boxes, in any orientation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from SparseToPreciseLib.core.box import Box
from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.volume import Grid, Volume

TURN = np.linalg.qr(np.array([[0.9, -0.3, 0.2], [0.4, 0.8, -0.1], [-0.1, 0.3, 0.95]]))[0]
TURN = TURN * np.sign(np.linalg.det(TURN))


def test_coordinates_go_there_and_back() -> None:
    box = Box([10, -5, 3], TURN, [4, 6, 8])
    points = np.random.default_rng(0).normal(0, 10, (50, 3))
    assert np.allclose(box.from_box(box.to_box(points)), points)
    assert np.allclose(np.abs(box.to_box(box.corners())), [2, 3, 4])
    assert box.contains(box.corners()).all()
    assert not box.contains(box.from_box([[2.1, 0, 0]])).any()


def test_grown_moves_each_side_by_itself() -> None:
    box = Box([0, 0, 0], TURN, [4, 6, 8])
    grown = box.grown([1, 0, 0], [0, 2, 0])
    assert np.allclose(grown.size, [5, 8, 8])
    assert np.allclose(box.to_box(grown.center), [-0.5, 1, 0])
    assert np.allclose(grown.shrunk([1, 0, 0], [0, 2, 0]).center, box.center)
    with pytest.raises(InputError, match="positive lengths"):
        box.shrunk(3, 3)


@pytest.mark.parametrize("signs", list(itertools.product((1, -1), repeat=3)))
@pytest.mark.parametrize("axes", [np.eye(3), TURN])
def test_the_same_box_has_the_same_frame_whichever_way_its_axes_are_stored(axes, signs) -> None:
    box, stored = Box([1, 2, 3], axes, [4, 6, 8]), Box([1, 2, 3], axes * signs, [4, 6, 8])
    assert np.linalg.det(stored.axes) > 0
    assert np.allclose(stored.axes, box.axes)
    assert box.contains(stored.corners()).all()


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_frame_of_axes_in_any_order_is_right_handed_and_of_unit_length(order) -> None:
    box = Box([1, 2, 3], TURN[:, order], [4, 6, 8])
    assert np.allclose(box.axes.T @ box.axes, np.eye(3)) and np.linalg.det(box.axes) == pytest.approx(1)
    assert np.allclose(np.abs(np.sum(box.axes * TURN[:, order], axis=0)), 1), "each axis has the length that it had"


def test_bounds_are_those_of_the_box() -> None:
    box = Box.from_bounds([[-2, 4], [1, 2], [-9, -5]])
    assert box.center.tolist() == [1, 1.5, -7] and box.size.tolist() == [6, 1, 4]
    assert box.bounds_ras.tolist() == [[-2, 4], [1, 2], [-9, -5]] and box.volume_mm3 == 24


@pytest.mark.parametrize("size", [[1, 0, 1], [1, -2, 1], [1, np.nan, 1], [1, 2]])
def test_lengths_must_be_positive(size) -> None:
    with pytest.raises(InputError, match="positive lengths"):
        Box([0, 0, 0], np.eye(3), size)


def test_sheared_frame_is_refused() -> None:
    sheared = np.eye(4)
    sheared[0, 1] = 0.2
    with pytest.raises(InputError, match="right angles"):
        Box.from_matrix(sheared, [1, 1, 1])


def test_scaling_matrix_scales_the_lengths() -> None:
    matrix = np.eye(4)
    matrix[:3, :3] = TURN * (2, 1, 0.5)
    assert np.allclose(Box.from_matrix(matrix, [3, 3, 3]).size, [6, 3, 1.5])


@pytest.mark.parametrize("margin", [0, 2])
def test_grid_fills_the_box_exactly(margin: int) -> None:
    box = Box([10, -5, 3], TURN, [4, 6.1, 8])
    grid = box.grid([0.9, 2, 8], margin)
    assert np.allclose(grid.spacing * (np.array(grid.shape[::-1]) - 2 * margin), box.size)
    assert (grid.spacing <= np.array([0.9, 2, 8]) + 1e-9).all()
    assert np.allclose(grid.to_ras((np.array(grid.shape[::-1]) - 1) / 2), box.center)


@pytest.mark.parametrize("flip", [1, -1])
@pytest.mark.parametrize("axes", [None, np.eye(3), TURN])
def test_bounding_box_holds_whole_voxels_and_touches_them(flip: int, axes) -> None:
    matrix = np.eye(4)
    matrix[:3, :3] = np.linalg.qr(TURN + 0.2)[0] * (0.7 * flip, 1.3, 2.9)
    matrix[:3, 3] = [5, 6, -7]
    array = np.zeros((12, 14, 16), np.uint8)
    array[3:6, 4:10, 5:7] = 1
    array[7, 2, 11] = 3
    mask = Volume(array, matrix)
    box = Box.bounding(mask, axes)
    index = np.argwhere(array)[:, ::-1]
    shifts = np.stack(np.meshgrid(*[(-0.5, 0.5)] * 3), axis=-1).reshape(-1, 3)
    corners = mask.grid.to_ras((index[:, None] + shifts).reshape(-1, 3))
    reach = box.to_box(corners)
    assert np.allclose(reach.max(axis=0), box.size / 2) and np.allclose(reach.min(axis=0), -box.size / 2)
    if axes is not None:
        assert np.allclose(np.abs(box.axes.T @ axes), np.eye(3), atol=1e-6)


def test_empty_mask_has_no_box() -> None:
    with pytest.raises(InputError, match="is empty"):
        Box.bounding(Volume(np.zeros((3, 3, 3)), np.eye(4), "nothing"))


def test_mask_on_a_grid_is_the_box() -> None:
    box = Box([6, 7, 8], TURN, [4, 6, 8])
    grid = Grid((15, 17, 19), np.diag([0.8, 0.9, 1.1, 1]))
    assert (box.mask_on(grid) == box.contains(grid.points_ras())).all()
    assert box.mask_on(grid).any()
    assert not Box([100, 0, 0], TURN, [4, 6, 8]).mask_on(grid).any()
