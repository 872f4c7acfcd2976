"""Comparisons: known answers on any grid, the rules for what is empty, and refusals in one sentence."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from SparseToPreciseLib.comparison.centerlines import centerlines
from SparseToPreciseLib.comparison.compare import Pair, compare, compare_all, compare_on_planes
from SparseToPreciseLib.comparison.definitions import MEASURES
from SparseToPreciseLib.comparison.grids import on_common_grid
from SparseToPreciseLib.comparison.matching import Label, match
from SparseToPreciseLib.comparison.overlap import inclusion
from SparseToPreciseLib.comparison.surface import Surface, surface_distances
from SparseToPreciseLib.comparison.thickness import sides, thickness
from SparseToPreciseLib.comparison.topology import topology
from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.volume import Grid, Volume

TURNED = Rotation.from_euler("xyz", (25, -35, 50), degrees=True).as_matrix()
GRIDS = {
    "isotropic": np.eye(3),
    "thick": np.diag([1.0, 1.0, 3.0]),
    "flipped": np.diag([-1.0, 1.0, -1.0]),
    "oblique": TURNED,
    "oblique and thick": TURNED @ np.diag([1.0, 1.0, 3.0]),
    "micrometres": np.eye(3) * 1e-3,
    "centimetres": np.eye(3) * 10,
}


def grid_around(axes: np.ndarray, half: float) -> Grid:
    """A grid of these axes around the origin that reaches so many millimetres along each of them."""
    spacing = np.linalg.norm(axes, axis=0)
    size = np.ceil(2 * half / spacing).astype(int) + 1
    matrix = np.eye(4)
    matrix[:3, :3] = axes
    matrix[:3, 3] = -axes @ (size - 1) / 2
    return Grid(tuple(size[::-1]), matrix)


def ball(grid: Grid, radius: float, centre=(0.0, 0.0, 0.0)) -> Volume:
    return Volume(np.linalg.norm(grid.points_ras() - centre, axis=-1) <= radius, grid.ijk_to_ras, "ball")


def block(shape: tuple[int, int, int], *boxes: tuple[slice, slice, slice], spacing=(1.0, 1.0, 1.0)) -> Volume:
    array = np.zeros(shape, bool)
    for box in boxes:
        array[box] = True
    return Volume(array, np.diag([*spacing, 1.0]), "block")


# ------------------------------------------------------------------------------------------------- distances


@pytest.mark.parametrize("axes", GRIDS.values(), ids=GRIDS)
def test_balls_of_one_centre_are_as_far_apart_as_their_radii_differ(axes: np.ndarray) -> None:
    unit = float(np.linalg.norm(axes, axis=0).min())
    thick = float(np.linalg.norm(axes, axis=0).max())
    grid = grid_around(axes, 16 * unit)
    found = compare(ball(grid, 10 * unit), ball(grid, 13 * unit))
    assert found.distances.mean == pytest.approx(3 * unit, abs=0.1 * thick)
    assert found.distances.hd95 == pytest.approx(3 * unit, abs=0.2 * thick)
    assert found.overlap.dice == pytest.approx(2 * 10**3 / (10**3 + 13**3), abs=0.02)
    assert found.overlap.volume_a_mm3 == pytest.approx(4 / 3 * np.pi * (10 * unit) ** 3, rel=0.03)


def test_the_faces_of_cubes_are_as_far_apart_as_they_are_moved() -> None:
    a = block((30, 40, 40), np.s_[5:20, 8:32, 8:32], spacing=(1, 1, 2.5))
    b = a.with_array(np.roll(a.array, 2, axis=0))
    found = compare(a, b)
    assert (found.distances.hd95, found.distances.maximum) == pytest.approx((5.0, 5.0), abs=0.02)
    # Beyond 4.9 mm: of each cube one end face, and the middle of the other one, which is far from the other's sides.
    beyond = (24**2 + (24 - 2 * 4.9) ** 2) / (2 * 24**2 + 4 * 24 * 15 * 2.5)
    assert found.distances.within(4.9) == pytest.approx(1 - beyond, abs=0.02)


def test_a_surface_encloses_its_volume_and_is_turned_outwards() -> None:
    for axes in (np.eye(3), np.diag([-1.0, 1, 1]), TURNED @ np.diag([1, 1, 2.0])):
        mask = ball(grid_around(axes, 14), 12, (0.3, -0.2, 0.1))
        surface = Surface.of(mask)
        enclosed = (surface.points[surface.triangles[:, 0]] * surface.normals).sum() / 3
        assert enclosed == pytest.approx(4 / 3 * np.pi * 12**3, rel=0.04)
        # No voxel centre changes sides.
        outside = mask.grid.to_ras(np.argwhere(~mask.array)[:, ::-1])
        assert np.linalg.norm(surface.points, axis=1).max() < np.linalg.norm(outside, axis=1).min() + 2


def test_distances_are_those_of_all_triangles() -> None:
    rng = np.random.default_rng(3)
    masks = [rng.random((5, 12, 12)) > 0.6 for _ in range(2)]
    a, b = (Surface.of(Volume(mask, np.diag([1, 1, 4, 1]))) for mask in masks)
    points = a.points[::40]
    corners = b.points[b.triangles]
    steps = np.linspace(0, 1, 9)
    weights = np.array([(1 - s - t, s, t) for s in steps for t in steps if s + t <= 1 + 1e-9])
    dense = cKDTree((weights @ corners).reshape(-1, 3)).query(points)[0]
    found = b.nearest(points)[0]
    assert (found <= dense + 1e-9).all() and (dense - found).max() < 0.3  # how dense the triangles are filled


def test_a_sheet_of_one_voxel_is_not_lost() -> None:
    sheet = block((7, 20, 20), np.s_[3, 2:18, 2:18])
    other = sheet.with_array(np.roll(sheet.array, 2, axis=0))
    assert surface_distances(Surface.of(sheet), Surface.of(other)).maximum == pytest.approx(2.0, abs=0.05)


def test_the_same_on_another_grid_and_a_tight_crop_is_the_same() -> None:
    a = ball(grid_around(np.eye(3), 14), 9)
    fine = ball(grid_around(TURNED @ np.diag([0.8, 0.8, 1.6]), 14), 9)
    found = compare(a, fine)
    assert found.overlap.dice > 0.95 and found.distances.mean < 0.2
    assert found.a.grid.spacing == pytest.approx(a.spacing)  # the voxels of the smaller volume
    cropped = a.cropped(np.s_[5:24, 5:24, 5:24])
    again = compare(a, cropped)
    assert again.overlap.dice == 1.0 and again.distances.maximum == 0.0


# ------------------------------------------------------------------------------------------------- what is empty


def test_rules_for_empty_masks() -> None:
    full, empty = block((8, 8, 8), np.s_[2:6, 2:6, 2:6]), block((8, 8, 8))
    row = compare(full, empty).row()
    assert (row["dice"], row["iou"], row["inclusion_a_in_b"], row["inclusion_b_in_a"]) == (0, 0, 0, 1)
    assert row["hd95_mm"] == row["mean_mm"] == row["max_mm"] == np.inf and row["within_tolerance"] == 0
    assert (row["components_b"], row["slices_excluded"], row["dice_common"]) == (0, 1, None)
    assert compare(empty, full).row()["hd95_mm"] == np.inf
    both = surface_distances(Surface.of(empty), Surface.of(empty))
    assert (both.mean, both.rms, both.hd95, both.maximum, both.within(1.0)) == (0, 0, 0, 0, 1)
    assert centerlines(empty, empty).cldice == 1 and centerlines(full, empty).cldice == 0
    assert topology(empty) == topology(empty, places=False)
    (place,) = compare(full, empty).places[:1]
    assert place.text == "only in A, B is empty" and full.array[tuple(np.rint(place.position[::-1]).astype(int))]


def test_both_empty_is_refused_by_name_and_left_out_of_several() -> None:
    full, empty = block((8, 8, 8), np.s_[2:6, 2:6, 2:6]), block((8, 8, 8))
    with pytest.raises(InputError, match=r"^Lung is empty in both, so that nothing can be compared\.$"):
        compare(empty, empty, name="Lung")
    found, notes = compare_all([Pair("Lung", empty, empty), Pair("Liver", full, full)])
    assert [one.name for one in found] == ["Liver"] and notes == ["Lung is empty in both and was left out."]
    with pytest.raises(InputError, match=r"^Both segmentations are empty \(Lung\)"):
        compare_all([Pair("Lung", empty, empty)])


# ------------------------------------------------------------------------------------------------- refusals


def test_refusals() -> None:
    a = block((8, 8, 8), np.s_[2:6, 2:6, 2:6])
    matrix = a.ijk_to_ras.copy()
    matrix[:3, 3] = (500, 0, 0)
    with pytest.raises(InputError, match="have no place in common, their centres are 500 mm apart; compare"):
        compare(a, Volume(a.array, matrix, "other"))
    with pytest.raises(InputError, match="no common support 'L'; choose one of auto, none, I, J, K"):
        compare(a, a, common_support="L")
    with pytest.raises(InputError, match=r"tolerance of -1 mm is not positive"):
        compare(a, a, tolerance_mm=-1)
    with pytest.raises(InputError, match="3D volume"):
        compare(Volume(np.zeros((2, 2, 2, 2)), np.eye(4)), a)
    with pytest.raises(InputError, match="No plane shows both"):
        compare_on_planes(a, a, [Grid((1, 8, 8), np.eye(4))])
    with pytest.raises(InputError, match="one slice, not of 8"):
        compare_on_planes(a, a, [a.grid])


# ------------------------------------------------------------------------------------------------- common support


@pytest.mark.parametrize("axis", "IJK")
def test_slices_that_one_rater_left_out_do_not_count(axis: str) -> None:
    along = "KJI".index(axis)
    a = block((28, 28, 28), np.s_[4:24, 4:24, 4:24])
    b = block((28, 28, 28), np.s_[4:24, 4:24, 6:22]) if axis != "I" else block((28, 28, 28), np.s_[6:22, 4:24, 4:24])
    sparse = b.array.copy()
    gone = np.random.default_rng(0).permutation(np.arange(6, 22))[:6]
    sparse[tuple(gone if one == along else slice(None) for one in range(3))] = False
    whole = compare(a, b, common_support=axis)
    found = compare(a, b.with_array(sparse), common_support=axis)
    assert found.support.excluded_share == pytest.approx(6 / 20)
    assert found.overlap.dice < whole.overlap.dice - 0.1
    assert found.common_overlap.dice == pytest.approx(whole.common_overlap.dice, abs=1e-9)
    assert found.common_distances.hd95 == pytest.approx(2.0, abs=0.1)


def test_without_anything_left_out_the_common_numbers_are_the_whole_ones() -> None:
    a, b = block((12, 12, 12), np.s_[2:10, 2:10, 2:10]), block((12, 12, 12), np.s_[2:10, 2:10, 3:10])
    row = compare(a, b).row()
    assert row["slices_excluded"] == 0 and row["dice_common"] == row["dice"]
    assert row["hd95_common_mm"] == row["hd95_mm"]
    assert compare(a, b, common_support="none").row()["dice_common"] is None
    assert set(row) == set(MEASURES)


def test_planes_of_any_orientation() -> None:
    grid = grid_around(np.eye(3), 14)
    a, b = ball(grid, 9), ball(grid, 11)
    planes = []
    for turn in (np.eye(3), TURNED):
        matrix = np.eye(4)
        matrix[:3, :3] = turn * 0.5
        matrix[:3, 3] = -turn @ [14, 14, 0]
        planes.append(Grid((1, 57, 57), matrix))
    beyond = np.diag([0.5, 0.5, 0.5, 1.0])
    beyond[:3, 3] = (-14, -14, 10)  # shows the larger ball alone
    overlap, distances, excluded = compare_on_planes(a, b, [*planes, Grid((1, 57, 57), beyond)])
    assert excluded == pytest.approx(1 / 3)
    assert overlap.dice == pytest.approx(2 * 81 / (81 + 121), abs=0.02)
    assert distances.mean == pytest.approx(2, abs=0.15) and distances.hd95 < 2.7


def test_one_slice_is_a_plane_without_faces() -> None:
    a, b = block((1, 30, 30), np.s_[:, 5:25, 5:25]), block((1, 30, 30), np.s_[:, 5:25, 5:22])
    found = compare(a, b)
    assert found.distances.maximum == pytest.approx(3, abs=0.1)
    assert np.abs(found.a_surface.points[:, 2]).max() == 0.5


# ------------------------------------------------------------------------------------------------- thickness


def test_a_boundary_that_ends_early_makes_no_layer_thicker() -> None:
    layer = block((40, 60, 20), np.s_[3:37, 3:57, 8:14], spacing=(0.5, 1, 1))
    lower, upper = sides(layer, axis=0)
    assert thickness(lower, upper, layer.grid, 0).mean_mm == pytest.approx(3.0, abs=0.15)
    short = layer.array.copy()
    short[:, 30:] = False
    upper = sides(layer.with_array(short), axis=0)[1]
    common = thickness(lower, upper, layer.grid, 0)
    assert common.mean_mm == pytest.approx(3.0, abs=0.2) and 0.4 < common.excluded_share < 0.6
    assert thickness(lower, upper, layer.grid, 0, common_support=False).mean_mm > 5
    nothing = sides(block((4, 4, 4)), axis=0)
    assert np.isnan(thickness(*nothing, layer.grid, 0).mean_mm)


# ------------------------------------------------------------------------------------------------- topology


def test_components_tunnels_and_cavities_with_their_places() -> None:
    array = np.zeros((30, 30, 60), bool)
    array[5:25, 5:25, 5:25] = True
    array[10:13, 10:13, 10:13] = False  # a cavity
    array[5:25, 18:21, 18:21] = False  # a tunnel
    array[12:15, 12:15, 40:43] = True  # a piece
    array[20, 20, 25:30] = True  # a loop of a thin wire and a bar
    array[10:21, 20, 29] = True
    array[10, 20, 25:30] = True
    mask = Volume(array, np.diag([1, 1, 2, 1]))
    found = topology(mask)
    assert (found.components, found.tunnels, found.cavities) == (2, 2, 1)
    kinds = {kind: [one for one in found.places if one.kind == kind] for kind in ("component", "tunnel", "cavity")}
    (piece,), (cavity,) = kinds["component"], kinds["cavity"]
    assert piece.position.tolist() == [41, 13, 26] and piece.size == 54
    assert cavity.position.tolist() == [11, 11, 22] and cavity.size == 54
    wire = [one for one in kinds["tunnel"] if one.position[0] >= 25]
    assert len(kinds["tunnel"]) == 2 and len(wire) == 1  # the thin wire is where that ring is to be cut


def test_touching_at_corners_joins_the_mask_and_not_the_background() -> None:
    array = np.zeros((4, 4, 4), bool)
    array[1, 1, 1] = array[2, 2, 2] = True
    assert topology(Volume(array, np.eye(4))).components == 1
    shell = np.ones((3, 3, 3), bool)
    shell[1, 1, 1] = False
    assert topology(Volume(shell, np.eye(4))).cavities == 1


def test_a_gap_in_a_tube_is_found_where_it_is() -> None:
    axes = TURNED @ np.diag([1.0, 1.0, 2.0])
    grid = grid_around(axes, 22)
    points = grid.points_ras() @ TURNED
    tube = (np.hypot(points[..., 0], points[..., 1]) < 3) & (np.abs(points[..., 2]) < 20)
    broken = tube & ~(np.abs(points[..., 2] - 6) < 2.1)
    found = compare(
        Volume(broken, grid.ijk_to_ras, "vessel"), Volume(tube, grid.ijk_to_ras), tubes=True, common_support="none"
    )
    (gap,) = found.centerlines.gaps
    assert np.linalg.norm(TURNED.T @ gap.position - [0, 0, 6]) < 1.5
    assert found.centerlines.precision == 1 and 0.8 < found.centerlines.sensitivity < 0.95
    assert "gap" in {place.kind for place in found.places}
    assert [place.kind for place in found.places].count("component") == 1


def test_inclusion_is_one_sided() -> None:
    organ, lesion = block((9, 9, 9), np.s_[1:8, 1:8, 1:8]), block((9, 9, 9), np.s_[6:9, 4, 4])
    assert inclusion(lesion, organ) == pytest.approx(2 / 3)
    assert inclusion(organ, lesion) == pytest.approx(2 / 7**3)


# ------------------------------------------------------------------------------------------------- places


def test_each_bulge_is_one_place() -> None:
    grid = grid_around(np.eye(3), 26)
    a = ball(grid, 15)
    bulges = ball(grid, 5, (15, 0, 0)).array | ball(grid, 4, (0, -15, 0)).array
    found = compare(a.with_array(a.array | bulges), a).places
    assert [place.text.partition(" by")[0] for place in found] == ["A reaches beyond B"] * 2
    assert np.linalg.norm(found[0].position - [20, 0, 0]) < 1.5 and found[0].size == pytest.approx(5, abs=0.5)
    assert np.linalg.norm(found[1].position - [0, -19, 0]) < 1.5


# ------------------------------------------------------------------------------------------------- matching


def labels(*names: str) -> list[Label]:
    return [Label(f"id{number}", name, number) for number, name in enumerate(names, 1)]


def test_two_names_of_their_own_are_not_matched_by_value() -> None:
    with pytest.raises(InputError, match="No segment is in both: A has Liver, Spleen, B has Colon, Lung; name them"):
        match(labels("Liver", "Spleen"), labels("Colon", "Lung"))
    found = match(labels("Liver"), labels("Leber"))
    assert found.pairs[0][1].name == "Leber"  # one each: meant for one another
    found = match(labels("Liver", "Spleen"), labels("Segment_1", "label 2", ""))
    assert [(one.name, other.name) for one, other in found.pairs] == [("Liver", "Segment_1"), ("Spleen", "label 2")]
    assert len(found.only_b) == 1


def test_wanted_segments() -> None:
    a, b = labels("Liver", "Spleen", "Spleen"), labels("Leber", "Spleen")
    assert [one.key for one in match(a, b, ["Liver=Leber"]).pairs[0]] == ["id1", "id1"]
    with pytest.raises(InputError, match="2 segments of A are called Spleen; give the ID"):
        match(a, b, ["Spleen"])
    with pytest.raises(InputError, match="A has no segment Lung; it has Liver, Spleen, Spleen"):
        match(a, b, ["Lung"])
    with pytest.raises(InputError, match="B has no segment Liver; it has Leber, Spleen; say which one"):
        match(a, b, ["Liver"])


def test_the_common_grid_holds_both() -> None:
    a = block((4, 4, 4), np.s_[:, :, :])
    matrix = np.eye(4)
    matrix[:3, 3] = (2, 2, -3)
    one, other = on_common_grid(a, Volume(np.ones((4, 4, 4), bool), matrix))
    assert one.shape == other.shape == (7, 6, 6) and one.array.sum() == other.array.sum() == 64
    assert (one.array & other.array).sum() == 4
