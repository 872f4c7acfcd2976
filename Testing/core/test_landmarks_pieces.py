"""The pieces of landmark detection: moments, likeness, sampling, rotations, registration, errors, references."""

from __future__ import annotations

import numpy as np
import pytest
from edit_cases import rotation
from landmark_cases import MOVED, ORIGIN, TURN, depth, grid_around, image_on, landmarks, reference

from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.itk_images import matrix_of, moved
from SparseToPreciseLib.core.resampling import shrunk
from SparseToPreciseLib.core.volume import Volume
from SparseToPreciseLib.landmarks.cases import random_rotation
from SparseToPreciseLib.landmarks.deformable import deform, warped_patch
from SparseToPreciseLib.landmarks.fusion import weighted_median
from SparseToPreciseLib.landmarks.inputs import Surroundings
from SparseToPreciseLib.landmarks.metrics import landmark_errors
from SparseToPreciseLib.landmarks.moments import Moments
from SparseToPreciseLib.landmarks.pose import Candidate
from SparseToPreciseLib.landmarks.reference import Reference
from SparseToPreciseLib.landmarks.register import patch_of
from SparseToPreciseLib.landmarks.rigid import PatchAligner
from SparseToPreciseLib.landmarks.search import angle_between, rotation_grid
from SparseToPreciseLib.landmarks.similarity import correlation, dependence, similarity, visible_similarity
from SparseToPreciseLib.landmarks.working_grid import Scale, cube_around


def mask_moments(turned: np.ndarray, origin: np.ndarray, **grid) -> Moments:
    where = grid_around(origin, **grid)
    return Moments.of((depth(where.points_ras(), turned, origin) > 0).astype(np.float32), where)


class TestMoments:
    def test_the_right_rotation_is_among_the_four_and_its_ends_come_first(self) -> None:
        before, after = mask_moments(np.eye(3), ORIGIN), mask_moments(TURN, MOVED)
        turns = after.rotations_from(before)
        assert len(turns) == 4
        assert angle_between(turns[0], TURN) < 3
        assert all(np.linalg.det(one) == pytest.approx(1) for one in turns)
        assert min(angle_between(turns[0], other) for other in turns[1:]) > 170

    def test_all_24_when_two_moments_are_alike(self) -> None:
        before = mask_moments(np.eye(3), ORIGIN)
        turns = before.rotations_from(before, alike=100)
        assert len(turns) == 24
        assert angle_between(turns[0], np.eye(3)) < 1e-3

    def test_do_not_depend_on_the_grid(self) -> None:
        plain = mask_moments(TURN, MOVED, spacing=(0.8, 0.8, 0.8))
        other = mask_moments(TURN, MOVED, spacing=(0.7, 0.9, 1.3), axes=rotation((1, 0, 2), 40) @ np.diag([-1, 1, 1]))
        np.testing.assert_allclose(other.values, plain.values, rtol=0.02)
        np.testing.assert_allclose(other.centre, plain.centre, atol=0.1)
        np.testing.assert_allclose(np.abs((other.axes * plain.axes).sum(axis=0)), 1, atol=2e-3)

    def test_parameters_there_and_back(self) -> None:
        before = mask_moments(TURN, ORIGIN)
        after = Moments.from_parameters(before.as_parameters())
        for name, value in vars(before).items():
            np.testing.assert_array_equal(getattr(after, name), value)
        with pytest.raises(ValueError, match="wrong shape"):
            Moments.from_parameters({**before.as_parameters(), "axes": [1, 2, 3]})

    def test_of_nothing(self) -> None:
        with pytest.raises(InputError, match="no structure"):
            Moments.of(np.zeros((3, 3, 3)), grid_around(half_mm=2))


class TestLikeness:
    def test_of_one_modality_of_two_and_of_none(self) -> None:
        rng = np.random.default_rng(0)
        values = rng.normal(size=5000)
        assert similarity(values, 3 * values - 7) == pytest.approx(1)
        assert correlation(values, np.abs(values)) < 0.1 < 0.9 < dependence(values, np.abs(values))
        assert 0.75 < similarity(values, -values) < 0.9
        assert similarity(values, rng.normal(size=5000)) < 0.1
        assert correlation(values, np.zeros(5000)) == dependence(values, np.zeros(5000)) == 0

    def test_what_was_not_seen_counts_for_neither(self) -> None:
        rng = np.random.default_rng(0)
        values = rng.normal(size=5000)
        cut = np.where(np.arange(5000) < 2000, np.nan, 2 * values)
        assert correlation(values, cut) == pytest.approx(1) and similarity(cut, values) == pytest.approx(1)
        assert 0.8 < visible_similarity(values, cut) < 0.95
        assert visible_similarity(values, np.where(np.arange(5000) < 4000, np.nan, values)) == 0
        assert similarity(values, np.full(5000, np.nan)) == 0


class TestSampling:
    def test_shrinking_keeps_mean_and_place(self) -> None:
        grid = grid_around(axes=rotation((1, 1, 0), 20) @ np.diag([-1.0, 1, 1]), half_mm=18)
        ramp = Volume((grid.points_ras() @ (1.0, -2.0, 0.5)).astype(np.float32), grid.ijk_to_ras)
        small = shrunk(ramp, 3.0)
        assert small.shape == tuple(size // 2 for size in ramp.shape)
        np.testing.assert_allclose(small.array, small.grid.points_ras() @ (1.0, -2.0, 0.5), atol=1e-3)

    def test_units_of_the_surroundings_know_no_unit_and_no_storage(self) -> None:
        cube = cube_around(ORIGIN, 12, 1.5)
        plain = Surroundings.of(image_on(grid_around(), noise=0), 16).on(cube)
        image = image_on(grid_around(axes=np.diag([-1.0, -1, 1])), noise=0)
        other = Surroundings.of(image.with_array((image.array * 0.5 + 20).astype(np.uint8)), 16).on(cube)
        assert plain.std() > 0.3
        np.testing.assert_allclose(other, plain, atol=0.25)  # of 8 bits

    def test_zero_beyond_the_image_and_where_there_is_no_number(self) -> None:
        image = image_on(grid_around(half_mm=20))
        seen = Surroundings.of(image, 16)
        beyond = cube_around(ORIGIN + 500, 8, 1.5)
        assert not seen.on(beyond).any() and np.isnan(seen.seen_on(beyond)).all()
        holes = image.array.copy()
        holes[0, 0, 0] = np.nan
        with_hole = Surroundings.of(image.with_array(holes), 16)
        assert np.isfinite(with_hole.on(seen.image.grid)).all()
        assert np.isnan(with_hole.seen_on(seen.image.grid)[0, 0, 0])

    def test_inverted(self) -> None:
        seen = Surroundings.of(image_on(grid_around(half_mm=20)), 16)
        cube = cube_around(ORIGIN, 12, 1.5)
        np.testing.assert_allclose(seen.inverted.on(cube), -seen.on(cube), atol=1e-4)

    def test_nothing_can_be_found_in_one_value(self) -> None:
        with pytest.raises(InputError, match="same value everywhere"):
            Surroundings.of(Volume(np.full((20, 20, 20), 7, np.int16), np.eye(4)), 4)


class TestRotations:
    def test_grid_covers_all_rotations(self) -> None:
        grid = rotation_grid(600)
        np.testing.assert_array_equal(grid[0], np.eye(3))
        rng = np.random.default_rng(3)
        far = [min(angle_between(one, random_rotation(rng, 180)) for one in grid) for _ in range(20)]
        assert max(far) < 35

    def test_random_ones_stay_within_the_angle(self) -> None:
        rng = np.random.default_rng(1)
        angles = [angle_between(np.eye(3), random_rotation(rng, 30)) for _ in range(200)]
        assert 25 < max(angles) <= 30
        assert angle_between(np.eye(3), rotation((0, 0, 1), 40)) == pytest.approx(40)


class TestRegistration:
    def test_rigid_finds_a_pose_that_is_off(self) -> None:
        first = reference()
        scale = Scale.of([first])
        patch, mask = patch_of(first, scale)
        seen = Surroundings.of(first.image, scale.window_mm)
        target = Surroundings.of(image_on(grid_around(MOVED), TURN, MOVED), scale.window_mm)
        start = Candidate(rotation((5, -5, 6), 10.63) @ TURN, ORIGIN, MOVED + [1.5, -1, 1], 0.0, "given")
        found = PatchAligner(seen, target, patch, mask).align(start)
        for name, point in landmarks(TURN, MOVED).items():
            before = np.linalg.norm(moved(start.matrix, first.landmarks[name]) - point)
            after = np.linalg.norm(moved(found.matrix, first.landmarks[name]) - point)
            assert after < min(1.0, 0.6 * before)

    def test_matrix_of_a_transform_is_what_it_does(self) -> None:
        import SimpleITK as sitk

        transform = sitk.Similarity3DTransform()
        transform.SetCenter((3.0, -4, 5))
        transform.SetRotation((0.0, 0.6, 0.8), 0.7)
        transform.SetTranslation((1.0, 2, 3))
        transform.SetScale(1.1)
        point = np.array([7.0, -8, 9])
        through = np.array(transform.TransformPoint((point * (-1, -1, 1)).tolist())) * (-1, -1, 1)
        np.testing.assert_allclose(moved(matrix_of(transform), point), through)

    def test_demons_carries_points_of_the_reference_to_the_target(self) -> None:
        grid = grid_around(half_mm=24)
        points = grid.points_ras()

        def bent(where: np.ndarray) -> np.ndarray:
            """From the target back to the reference."""
            return where + (2.5 * np.sin(where[..., 1:2] / 9 + 1)) * (1, 0, 0)

        fixed = Volume(np.clip(depth(points, np.eye(3), ORIGIN), -3, 3).astype(np.float32), grid.ijk_to_ras)
        moving = np.clip(depth(bent(points), np.eye(3), ORIGIN), -3, 3).astype(np.float32)
        found = deform(fixed, moving)
        assert found.after > found.before + 0.02
        for centre, _ in (((9.0, 2.0, 0.0), 5.0), ((14.0, 6.0, -6.0), 3.5)):
            point = ORIGIN + centre
            there = found.there(point[None])
            # It came to lie where the bend takes it back to the reference.
            assert np.linalg.norm(bent(there)[0] - point) < 0.5 * np.linalg.norm(bent(point[None])[0] - point)
            assert np.linalg.norm(found.back(there)[0] - point) < 0.6

    def test_demons_are_not_pulled_by_what_was_not_seen(self) -> None:
        grid = grid_around(half_mm=24)
        fixed = Volume(np.clip(depth(grid.points_ras(), np.eye(3), ORIGIN), -3, 3).astype(np.float32), grid.ijk_to_ras)
        seen = np.array(fixed.array)
        seen[..., seen.shape[2] // 2 :] = np.nan  # through the first ball
        found = deform(fixed, seen)
        points = np.stack(list(landmarks().values()))
        assert np.linalg.norm(found.there(points) - points, axis=1).max() < 0.1
        assert np.isnan(warped_patch(found, fixed, seen)[..., -1]).all()

    @pytest.mark.parametrize("drifting", [(4,), (4, 2, 1)])
    def test_levels_that_make_it_worse_are_dropped(self, monkeypatch, drifting: tuple[int, ...]) -> None:
        import SimpleITK as sitk

        real, sizes = sitk.DiffeomorphicDemonsRegistrationFilter, [42 // shrink for shrink in drifting]

        class Drifting:
            """Demons that drift by 9 mm on some levels."""

            def __init__(self) -> None:
                self.inner = real()

            def __getattr__(self, name: str):
                return getattr(self.inner, name)

            def Execute(self, fixed, moving, field):
                if fixed.GetSize()[0] not in sizes:
                    return self.inner.Execute(fixed, moving, field)
                values = sitk.GetArrayFromImage(field) + np.array([0, 9.0, 0])
                moved_on = sitk.GetImageFromArray(values, isVector=True)
                moved_on.CopyInformation(field)
                return moved_on

        monkeypatch.setattr(sitk, "DiffeomorphicDemonsRegistrationFilter", Drifting)
        grid = grid_around(half_mm=24.6)
        assert grid.shape == (42, 42, 42)
        points = grid.points_ras()
        fixed = Volume(np.clip(depth(points, np.eye(3), ORIGIN), -3, 3).astype(np.float32), grid.ijk_to_ras)
        moving = np.clip(depth(points, np.eye(3), ORIGIN + [1.0, 0, 0]), -3, 3).astype(np.float32)
        found = deform(fixed, moving)
        marks = np.stack(list(landmarks().values()))
        if len(drifting) == 3:
            assert found.forward is None and found.after == found.before and found.kept == []
            np.testing.assert_array_equal(found.there(marks), marks)
        else:
            assert found.kept == [2, 1] and found.after > found.before
            assert np.abs(found.there(marks) - marks)[:, 1].max() < 1


def test_weighted_median() -> None:
    positions = np.array([[0.0, 0, 0], [1, 1, 1], [50, -50, 50]])
    np.testing.assert_array_equal(weighted_median(positions, np.array([0.9, 0.8, 0.7])), [1, 0, 1])
    np.testing.assert_array_equal(weighted_median(positions, np.array([0.1, 0.1, 0.9])), positions[2])
    np.testing.assert_allclose(weighted_median(positions[:2], np.array([0.25, 0.75])), [0.75] * 3)


def test_errors_of_landmarks() -> None:
    truth = {"a": np.zeros(3), "b": np.ones(3), "c": np.zeros(3)}
    found = landmark_errors({"a": np.array([0, 3.0, 4]), "b": np.ones(3), "other": np.zeros(3)}, truth)
    assert found["errors_mm"] == {"a": 5.0, "b": 0.0, "c": None}
    assert (found["wanted"], found["placed"], found["mean_mm"], found["max_mm"]) == (3, 2, 2.5, 5.0)
    assert found["within_2_mm"] == pytest.approx(1 / 3)
    with pytest.raises(InputError, match="No name is in both lists"):
        landmark_errors({"x": np.zeros(3)}, truth)
    with pytest.raises(InputError, match="no placed landmarks"):
        landmark_errors(truth, {})


class TestReference:
    @staticmethod
    def made(points=None, soi=None, image=None) -> Reference:
        good = reference()
        return Reference(image or good.image, soi or good.soi, good.landmarks if points is None else points)

    def test_no_landmarks_and_no_numbers(self) -> None:
        with pytest.raises(InputError, match="no landmarks"):
            self.made(points={})
        with pytest.raises(InputError, match="Landmark a has the position"):
            self.made(points={"a": [1, 2, np.nan]})

    def test_landmark_outside_or_far_away(self) -> None:
        with pytest.raises(InputError, match=r"Landmark a at \(500.00, 0.00, 0.00\) .* lies outside shape"):
            self.made(points={"a": [500, 0, 0]})
        wide = image_on(grid_around(half_mm=80, spacing=(2.5, 2.5, 2.5)))
        with pytest.raises(InputError, match="Landmark a is .* mm from shape, which is"):
            self.made(points={"a": ORIGIN + [-70, 0, 0]}, image=wide)

    def test_empty_cut_or_tiny_structure(self) -> None:
        good = reference()
        with pytest.raises(InputError, match="segment shape is empty"):
            self.made(soi=good.soi.with_array(np.zeros_like(good.soi.array)))
        with pytest.raises(InputError, match="segment shape fills its image"):
            self.made(soi=good.soi.with_array(np.ones_like(good.soi.array)))
        away = image_on(grid_around(ORIGIN + [30, 0, 0], half_mm=20))
        with pytest.raises(InputError, match=r"\d\d% of the segment shape lies outside"):
            self.made(points={"a": ORIGIN + [12, 0, 0]}, image=away)
        coarse = image_on(grid_around(spacing=(1.2, 1.2, 9.0), half_mm=60))
        with pytest.raises(InputError, match="thinner slices"):
            self.made(points={"a": ORIGIN}, image=coarse)

    def test_a_structure_at_the_border_is_warned_of(self) -> None:
        (warning,) = self.made(points={"a": ORIGIN}, image=image_on(grid_around(half_mm=16))).warnings
        assert "touches the border of its image" in warning

    def test_a_symmetric_structure_is_warned_of(self) -> None:
        good = reference()
        ball = np.linalg.norm(good.soi.grid.points_ras() - ORIGIN, axis=-1) < 10
        (warning,) = self.made(soi=good.soi.with_array(ball.astype(np.uint8))).warnings
        assert "nearly symmetric" in warning and "1.00 and 1.00 to 1" in warning
        assert good.warnings == []
