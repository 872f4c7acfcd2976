"""Filling from painted planes: voxels of the planes never change, on any grid; what is found where nobody says so."""

from __future__ import annotations

import numpy as np
import pytest
from edit_cases import rotation
from hypothesis import given, settings
from hypothesis import strategies as st

from SparseToPreciseLib.core.errors import Cancelled, InputError
from SparseToPreciseLib.core.masks import dice
from SparseToPreciseLib.core.plane import Plane
from SparseToPreciseLib.core.progress import Progress
from SparseToPreciseLib.core.volume import Grid, Volume
from SparseToPreciseLib.planes.fill import fill
from SparseToPreciseLib.planes.painted import painted_slices
from SparseToPreciseLib.planes.suggest import suggest_plane

SHAPE = (22, 24, 26)
MIDDLE = np.array([12.5, 11.5, 10.5])


def grid_of(spacing=(1.0, 1.0, 1.0), turn: float = 0.0, flip: bool = False, origin=(0.0, 0.0, 0.0)) -> Grid:
    matrix = np.eye(4)
    matrix[:3, :3] = rotation((1, 2, 3), turn) * spacing
    if flip:
        matrix[:3, 0] *= -1
    matrix[:3, 3] = origin
    return Grid(SHAPE, matrix)


def ball_on(grid: Grid, radius: float = 8.0, middle: np.ndarray = MIDDLE) -> np.ndarray:
    """A ball of so many shortest voxel sides around the grid's middle, as it is in the world."""
    away = np.linalg.norm(grid.points_ras() - grid.to_ras(middle), axis=-1)
    return away < radius * grid.spacing.min()


def case_on(grid: Grid, planes: list[Plane], noise: float = 0.0) -> tuple[Volume, Volume, np.ndarray, np.ndarray]:
    """Image, paint, truth and the planes' voxels."""
    truth = ball_on(grid)
    image = np.where(truth, 100.0, 40.0) + np.random.default_rng(0).normal(0, noise, SHAPE)
    annotated = np.zeros(SHAPE, bool)
    for plane in planes:
        i, j, k = plane.voxels(grid).T
        annotated[k, j, i] = True
    paint = (truth & annotated).astype(np.uint8)
    return Volume(image, grid.ijk_to_ras, "image"), Volume(paint, grid.ijk_to_ras, "paint"), truth, annotated


def slices_of(grid: Grid, *where: tuple[int, int]) -> list[Plane]:
    return [Plane.of_slice(grid, axis, index) for axis, index in where]


class TestPlane:
    @pytest.mark.parametrize("turn", [0.0, 33.0])
    @pytest.mark.parametrize("spacing", [(1, 1, 1), (0.5, 0.7, 3.0), (1e-3, 2e-3, 1e-3)])
    def test_a_slice_is_that_slice(self, spacing, turn: float) -> None:
        grid = grid_of(spacing, turn, flip=True, origin=(500.0, -20.0, 3.0))
        for axis in range(3):
            found = Plane.of_slice(grid, axis, 7).voxels(grid)
            assert (found[:, axis] == 7).all() and len(np.unique(found, axis=0)) == np.prod(SHAPE) // SHAPE[2 - axis]

    @settings(max_examples=25)
    @given(st.integers(0, 10_000), st.sampled_from([(1, 1, 1), (0.4, 0.5, 2.5)]))
    def test_every_voxel_is_within_half_a_voxel(self, seed: int, spacing) -> None:
        rng = np.random.default_rng(seed)
        grid = grid_of(spacing, rng.uniform(0, 90))
        plane = Plane.across(rng.normal(size=3), grid.to_ras(MIDDLE + rng.normal(0, 3, 3)))
        found = plane.voxels(grid)
        # Half a voxel along the axis that the plane is most across; one voxel for each column that meets it.
        step = np.abs(plane.normal @ grid.ijk_to_ras[:3, :3])
        assert len(found) and (plane.distance(grid.to_ras(found)) <= step.max() * (0.5 + 1e-5)).all()
        columns = np.delete(found, int(step.argmax()), axis=1)
        assert len(np.unique(columns, axis=0)) == len(columns)

    def test_bounds_end_it(self) -> None:
        grid = grid_of()
        plane = Plane(grid.to_ras(MIDDLE), np.eye(3), np.array([-3.0, 3.0, -2.0, 2.0]))
        assert len(plane.voxels(grid)) == 6 * 4

    @pytest.mark.parametrize(
        ("center", "axes", "bounds", "words"),
        [
            ([0, 0, np.nan], np.eye(3), None, "three finite coordinates"),
            ([0, 0, 0], np.ones((3, 3)), None, "not at right angles"),
            ([0, 0, 0], np.eye(3), [1, 1, 0, 2], "hold nothing"),
        ],
    )
    def test_what_is_none(self, center, axes, bounds, words: str) -> None:
        with pytest.raises(InputError, match=words):
            Plane(center, axes, bounds)

    def test_a_normal_without_length(self) -> None:
        with pytest.raises(InputError, match="has no length"):
            Plane.across([0, 0, 0], [0, 0, 0])


class TestPromise:
    @settings(max_examples=12)
    @given(
        seed=st.integers(0, 10_000),
        spacing=st.sampled_from([(1.0, 1.0, 1.0), (0.5, 0.6, 2.0), (2e-3, 1e-3, 1e-3), (30.0, 20.0, 25.0)]),
        kind=st.sampled_from([np.uint8, np.int16, np.uint16, np.int32]),
        count=st.integers(1, 4),
        flip=st.booleans(),
    )
    def test_voxels_of_the_planes_never_change(self, seed: int, spacing, kind, count: int, flip: bool) -> None:
        """Whatever is painted: also what is no shape at all."""
        rng = np.random.default_rng(seed)
        grid = grid_of(spacing, rng.uniform(0, 90), flip, rng.normal(0, 100, 3))
        planes = [
            Plane.across(rng.normal(size=3), grid.to_ras(MIDDLE + rng.normal(0, 2, 3)), f"p{number}")
            for number in range(count)
        ]
        image, paint, truth, annotated = case_on(grid, planes, noise=20.0)
        labels = np.where(truth, rng.integers(1, 4), 0) if seed % 2 else rng.integers(0, 3, SHAPE)
        labels = labels.astype(kind)
        before = labels.copy()
        found = fill(image, paint.with_array(labels), planes)
        assert np.array_equal(labels, before)
        assert found.segmentation.array.dtype == kind and found.segmentation.grid.same_as(grid)
        assert np.array_equal(found.segmentation.array[annotated], before[annotated])
        assert np.array_equal(found.annotated, annotated)
        assert set(np.unique(found.segmentation.array)) <= {0, *np.unique(before[annotated])}
        assert np.isfinite(found.chance.array).all()
        assert np.array_equal(found.chance.array[annotated], before[annotated] != 0)

    def test_a_segment_that_is_not_to_be_filled_keeps_all_its_voxels(self) -> None:
        grid = grid_of()
        planes = slices_of(grid, (2, 5), (2, 10), (2, 15))
        image, paint, _, annotated = case_on(grid, planes)
        labels = paint.array.copy()
        labels[:4, :4, :4] = 2
        labels[10, 11, 12] = 3
        found = fill(image, paint.with_array(labels), planes, labels=[1]).segmentation.array
        for other in (2, 3):
            assert np.array_equal(found == other, labels == other)
        assert (found == 1).sum() > 3 * (labels == 1).sum()


class TestFill:
    @pytest.mark.parametrize(
        "grid",
        [
            grid_of(),
            grid_of((1.0, 1.0, 2.0), 40.0, flip=True, origin=(80.0, -30.0, 999.0)),
            grid_of((1e-3, 1e-3, 1e-3), 10.0),
            grid_of((40.0, 40.0, 40.0)),
        ],
        ids=["plain", "oblique and flipped", "micrometres", "centimetres"],
    )
    @pytest.mark.parametrize("oblique", [False, True])
    def test_a_ball_comes_back(self, grid: Grid, oblique: bool) -> None:
        if oblique:
            normals = [(1, 0.2, 0), (0.1, 1, 0.3), (0, 0.4, 1), (1, -1, 0.5)]
            planes = [Plane.across(normal, grid.to_ras(MIDDLE)) for normal in normals]
        else:
            planes = slices_of(grid, (2, 7), (2, 11), (2, 14))
        image, paint, truth, _ = case_on(grid, planes, noise=15.0)
        assert dice(fill(image, paint, planes).segmentation.array, truth) > 0.93

    def test_the_image_decides_where_the_planes_do_not(self) -> None:
        """A tube that winds between the planes: without its intensities it would be straight."""
        rng = np.random.default_rng(1)
        k, j, i = np.indices(SHAPE)
        truth = np.hypot(i - 12.5 - 4.5 * np.sin(k / 1.9), j - 11.5) < 4
        annotated = np.isin(k, (2, 6, 10, 14, 18))
        paint = Volume((truth & annotated).astype(np.uint8), np.eye(4))
        seen = fill(paint.with_array(np.where(truth, 100.0, 40.0) + rng.normal(0, 10, SHAPE)), paint)
        blind = fill(paint.with_array(rng.normal(0, 10, SHAPE)), paint)
        assert dice(seen.segmentation.array, truth) > dice(blind.segmentation.array, truth) + 0.15
        assert np.abs(blind.weights[1][2:]).max() < seen.weights[1][2:].max()

    def test_two_segments_share_no_voxel_and_both_come_back(self) -> None:
        grid = grid_of()
        planes = slices_of(grid, (2, 6), (2, 10), (2, 14))
        one, other = ball_on(grid, 5.0, MIDDLE - [6, 0, 0]), ball_on(grid, 5.0, MIDDLE + [6, 0, 0])
        truth = np.where(one, 7, np.where(other, 9, 0)).astype(np.uint8)
        annotated = np.zeros(SHAPE, bool)
        annotated[[6, 10, 14]] = True
        image = Volume(np.where(truth > 0, 100.0, 40.0), grid.ijk_to_ras)
        found = fill(image, Volume(np.where(annotated, truth, 0).astype(np.uint8), grid.ijk_to_ras), planes)
        assert list(found.weights) == [7, 9]
        for label in (7, 9):
            assert dice(found.segmentation.array == label, truth == label) > 0.9

    def test_an_image_on_another_grid(self) -> None:
        grid = grid_of()
        planes = slices_of(grid, (2, 7), (2, 11), (2, 14))
        _, paint, truth, _ = case_on(grid, planes)
        finer = Grid((60, 60, 60), np.diag([0.5, 0.5, 0.5, 1.0]))
        found = fill(Volume(np.where(ball_there(finer, grid), 100.0, 40.0), finer.ijk_to_ras), paint, planes)
        assert dice(found.segmentation.array, truth) > 0.93

    def test_a_large_image_is_filled_in_blocks(self, monkeypatch) -> None:
        from SparseToPreciseLib.planes import fill as module

        monkeypatch.setattr(module, "WORKING_VOXELS", 3000)
        grid = grid_of()
        planes = slices_of(grid, (2, 7), (2, 11), (2, 14))
        image, paint, truth, annotated = case_on(grid, planes)
        found = fill(image, paint, planes).segmentation.array
        assert dice(found, truth) > 0.9 and np.array_equal(found[annotated], paint.array[annotated])

    def test_cancelled(self) -> None:
        grid = grid_of()
        planes = slices_of(grid, (2, 7), (2, 14))
        image, paint, _, _ = case_on(grid, planes)
        with pytest.raises(Cancelled):
            fill(image, paint, planes, progress=Progress(cancelled=lambda: True))


def ball_there(grid: Grid, of: Grid) -> np.ndarray:
    return np.linalg.norm(grid.points_ras() - of.to_ras(MIDDLE), axis=-1) < 8.0


class TestPaintedSlices:
    def test_of_several_axes_and_beside_each_other(self) -> None:
        grid = grid_of((1, 1, 2), 20.0)
        planes = slices_of(grid, (0, 12), (2, 8), (2, 9), (2, 13), (1, 9))
        _, paint, _, _ = case_on(grid, planes)
        assert {plane.name for plane in painted_slices(paint)} == {plane.name for plane in planes}

    def test_of_one_axis_every_slice_with_paint_counts(self) -> None:
        grid = grid_of()
        _, paint, truth, _ = case_on(grid, slices_of(grid, (0, 12)))
        found = painted_slices(paint, "K")
        assert [plane.name for plane in found] == [f"slice K {k}" for k in np.flatnonzero(truth[:, :, 12].any(axis=1))]

    def test_a_whole_object_is_no_slice(self) -> None:
        grid = grid_of()
        with pytest.raises(InputError, match="No slice was painted on its own"):
            painted_slices(Volume(ball_on(grid).astype(np.uint8), grid.ijk_to_ras))


class TestNotes:
    def test_one_plane(self) -> None:
        grid = grid_of()
        planes = slices_of(grid, (2, 10))
        image, paint, truth, _ = case_on(grid, planes)
        found = fill(image, paint, planes)
        assert "Only one plane holds paint" in found.notes[0]
        assert dice(found.segmentation.array, truth) > 0.6

    def test_planes_that_contradict_each_other(self) -> None:
        grid = grid_of()
        planes = slices_of(grid, (2, 10), (0, 12))
        image, paint, _, _ = case_on(grid, planes)
        assert fill(image, paint, planes).notes == []
        erased = paint.array.copy()
        erased[:, :, 12] = 0
        erased[0:2, 2:4, 12] = 1
        found = fill(image, paint.with_array(erased), planes)
        assert "slice K 10 and slice I 12 contradict each other where they cross, as at [12.0, " in found.notes[0]
        assert np.array_equal(found.segmentation.array[:, :, 12], erased[:, :, 12])

    def test_paint_off_the_planes_and_segments_that_are_not_there(self) -> None:
        grid = grid_of()
        planes = slices_of(grid, (2, 7), (2, 14))
        image, paint, _, _ = case_on(grid, planes)
        more = paint.array.copy()
        more[0, :2, :2] = 1
        notes = fill(image, paint.with_array(more), planes, labels=[1, 5]).notes
        assert notes == [
            "Not painted on any plane, and left as it is: label 5.",
            "4 painted voxels lie on none of the planes and were not used.",
        ]


class TestRefusals:
    def test_no_paint(self) -> None:
        grid = grid_of()
        image, paint, _, _ = case_on(grid, [])
        with pytest.raises(InputError, match="paint holds no paint on any plane"):
            fill(image, paint)

    def test_an_empty_plane_alone(self) -> None:
        grid = grid_of()
        image, paint, _, _ = case_on(grid, slices_of(grid, (2, 10)))
        with pytest.raises(InputError, match=r"None of the planes \(slice K 1\) holds paint"):
            fill(image, paint, slices_of(grid, (2, 1)))

    def test_a_plane_outside(self) -> None:
        grid = grid_of()
        image, paint, _, _ = case_on(grid, slices_of(grid, (2, 10)))
        with pytest.raises(InputError, match=r"far at \[0.0, 0.0, 300.0\] \(RAS, mm\) lies outside paint"):
            fill(image, paint, [Plane.across([0, 0, 1], [0, 0, 300], "far")])

    def test_planes_painted_all_over(self) -> None:
        grid = grid_of()
        image, paint, _, _ = case_on(grid, [])
        with pytest.raises(InputError, match="painted all over"):
            fill(image, paint.with_array(np.ones(SHAPE, np.uint8)), slices_of(grid, (2, 10)))

    def test_one_slice(self) -> None:
        flat = Volume(np.ones((1, 8, 8), np.uint8), np.eye(4), "scout")
        with pytest.raises(InputError, match="scout has 8 x 8 x 1 voxels: with one slice there is nothing to fill"):
            fill(flat, flat)

    def test_values_that_are_no_numbers(self) -> None:
        grid = grid_of()
        planes = slices_of(grid, (2, 7), (2, 14))
        image, paint, _, _ = case_on(grid, planes)
        image.array[10, 11, 12] = np.nan
        with pytest.raises(InputError, match="image has values that are no numbers near the paint"):
            fill(image, paint, planes)

    def test_an_image_elsewhere(self) -> None:
        grid = grid_of()
        planes = slices_of(grid, (2, 7), (2, 14))
        image, paint, _, _ = case_on(grid, planes)
        moved = grid_of(origin=(500.0, 0.0, 0.0))
        with pytest.raises(InputError, match="image does not lie where paint is painted"):
            fill(Volume(image.array, moved.ijk_to_ras, "image"), paint, planes)


class TestSuggestion:
    def test_it_crosses_the_object_and_what_is_not_known(self) -> None:
        grid = grid_of()
        planes = slices_of(grid, (2, 4), (2, 6))
        image, paint, truth, annotated = case_on(grid, planes)
        for oblique in (False, True):
            plane = suggest_plane(image, paint, planes, oblique=oblique).plane
            i, j, k = plane.voxels(grid).T
            new = ~annotated[k, j, i]
            assert truth[k, j, i][new].sum() > 60

    def test_it_is_never_one_that_is_there(self) -> None:
        grid = grid_of()
        planes = slices_of(grid, (2, 7), (2, 14))
        image, paint, truth, _ = case_on(grid, planes)
        names = {plane.name for plane in planes}
        for _ in range(3):
            found = suggest_plane(image, paint, planes)
            assert found.plane.name not in names and 0 < found.gain <= 1
            names.add(found.plane.name)
            planes.append(found.plane)
            i, j, k = found.plane.voxels(grid).T
            paint.array[k, j, i] = truth[k, j, i]
