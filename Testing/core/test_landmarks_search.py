"""The search over rotations and places: any turn, other contrasts, and a place that is not the likeliest."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from edit_cases import rotation
from landmark_cases import MOVED, ORIGIN, TURN, grid_around, image_on, landmarks, reference

from SparseToPreciseLib.core.itk_images import moved
from SparseToPreciseLib.core.volume import Volume
from SparseToPreciseLib.landmarks.alternatives import OWN_MIRROR, mirror_similarity
from SparseToPreciseLib.landmarks.inputs import Surroundings
from SparseToPreciseLib.landmarks.localize import Place, lattice
from SparseToPreciseLib.landmarks.pose import PoseResult, apart, find_pose
from SparseToPreciseLib.landmarks.reference import Reference, structure_on
from SparseToPreciseLib.landmarks.search import SHIFT, Pattern, TurnedPatterns, angle_between, search
from SparseToPreciseLib.landmarks.working_grid import Scale

FIRST = reference()
SCALE = Scale.of([FIRST])
DIAMETER = SCALE.diameter_mm
TURNS = {"55 degrees": TURN, "180 degrees": rotation((2, 1, 1), 180), "120 degrees": rotation((-1, 0, 3), 120)}
CENTRE = {name: turned @ (FIRST.centre - ORIGIN) + MOVED for name, turned in TURNS.items()}


@pytest.fixture(scope="module")
def seen() -> Surroundings:
    return Surroundings.of(FIRST.image, SCALE.window_mm)


@pytest.fixture(scope="module")
def pattern(seen) -> Pattern:
    return Pattern.of(FIRST, seen, DIAMETER)


@pytest.fixture(scope="module")
def patterns(seen) -> TurnedPatterns:
    return TurnedPatterns.of(FIRST, seen, DIAMETER, 1000)


def target(turned: np.ndarray, change=lambda values: values) -> Surroundings:
    image = image_on(grid_around(MOVED), turned, MOVED)
    return Surroundings.of(image.with_array(change(image.array)), SCALE.window_mm)


def place(centre) -> Place:
    return Place(np.asarray(centre, dtype=float), 1.0, None, None)


class TestSearch:
    @pytest.mark.parametrize("name", TURNS)
    def test_any_turn_from_a_centre_that_is_off(self, patterns: TurnedPatterns, name: str) -> None:
        off = CENTRE[name] + np.array([0.3, -0.2, 0.1]) * DIAMETER
        (score, turned, centre), *others = search(patterns, target(TURNS[name]), off, DIAMETER, 4)
        assert angle_between(turned, TURNS[name]) < 25
        assert np.linalg.norm(centre - CENTRE[name]) < 0.12 * DIAMETER
        assert score > 0.7 and score > others[0][0]
        assert min(angle_between(turned, other) for _, other, _ in others) > 25

    @pytest.mark.parametrize("change", [lambda v: 300 - v, lambda v: np.abs(v - 150)], ids=["inverted", "folded"])
    def test_other_contrasts(self, patterns: TurnedPatterns, change) -> None:
        image = target(TURN, change)
        centre = CENTRE["55 degrees"]
        (_, turned, where), *_ = search(patterns, image, centre, DIAMETER, 1, classes=True)
        assert angle_between(turned, TURN) < 25
        assert np.linalg.norm(where - centre) < 0.15 * DIAMETER

    @pytest.mark.parametrize("classes", [False, True])
    def test_what_lies_beyond_the_image_is_no_tissue(self, patterns: TurnedPatterns, classes: bool) -> None:
        change = (lambda values: 300 - values) if classes else (lambda values: values)
        centre = CENTRE["55 degrees"]
        image = target(TURN, change).image
        part = image.cropped((slice(None), slice(None), slice(int(image.grid.to_ijk(centre)[0]) - 3, None)))
        cut = Surroundings.of(part, SCALE.window_mm)
        found = search(patterns, cut, centre, DIAMETER, 1, classes=classes)
        assert angle_between(found[0][1], TURN) < 25
        assert np.linalg.norm(found[0][2] - centre) < 0.15 * DIAMETER

    def test_noise_scores_low(self, patterns: TurnedPatterns) -> None:
        noise = np.random.default_rng(2).normal(size=FIRST.image.shape).astype(np.float32)
        image = Surroundings.of(Volume(noise, FIRST.image.ijk_to_ras), SCALE.window_mm)
        assert search(patterns, image, ORIGIN, DIAMETER, 1)[0][0] < 0.5

    def test_weights_are_of_what_counts(self, patterns: TurnedPatterns) -> None:
        np.testing.assert_allclose(patterns.all_weights.sum(axis=1), 1, rtol=1e-4)
        np.testing.assert_allclose(patterns.values.sum(axis=1), 0, atol=1e-4)
        # Most of the ball around a structure is not the structure.
        assert (patterns.all_weights > 1e-6).mean() < 0.5


class TestPlaces:
    def test_a_small_image_is_covered_and_a_large_one_is_not(self) -> None:
        grid = grid_around(axes=rotation((1, 2, 0), 25), half_mm=1.1 * DIAMETER)
        points = np.array(lattice(grid, DIAMETER))
        assert 8 <= len(points) <= 27
        rng = np.random.default_rng(4)
        for centre in rng.uniform(-0.6, 0.6, (50, 3)) * DIAMETER @ rotation((1, 2, 0), 25).T + ORIGIN:
            assert np.linalg.norm(points - centre, axis=1).min() < SHIFT * DIAMETER * 1.2
        (only,) = lattice(grid_around(half_mm=0.6 * DIAMETER), DIAMETER)
        np.testing.assert_allclose(only, ORIGIN, atol=1e-6)
        assert lattice(grid_around(half_mm=3 * DIAMETER), DIAMETER) == []

    def test_what_is_thinner_than_a_voxel_is_not_lost(self) -> None:
        fine = grid_around(spacing=(0.6, 0.6, 0.6), half_mm=20)
        away = np.linalg.norm(fine.points_ras() - ORIGIN, axis=-1)
        shell = Volume((np.abs(away - 14) < 0.5).astype(np.uint8), fine.ijk_to_ras)
        thin = Reference(image_on(fine), shell, {"a": ORIGIN})
        coarse = grid_around(spacing=(2.5, 2.5, 2.5), half_mm=22)
        volumes = [(structure_on(thin, coarse) >= 0.5).sum() * 2.5**3, np.count_nonzero(shell.array) * 0.6**3]
        assert 0.8 < volumes[0] / volumes[1] < 1.6
        solid = structure_on(FIRST, coarse)
        assert 0.85 < (solid > 0.5).sum() * 2.5**3 / FIRST.moments.mass < 1.15


class TestFindPose:
    @staticmethod
    def found(pattern, patterns, image, places, **options) -> PoseResult:
        return find_pose(pattern, patterns, place(FIRST.centre), image, places, DIAMETER, **options)

    def test_the_right_place_wins_wherever_it_stands(self, pattern, patterns) -> None:
        name = "120 degrees"
        places = [place(MOVED + [20, 20, 20]), place(MOVED - [22, 0, 20]), place(CENTRE[name] + 3)]
        best = self.found(pattern, patterns, target(TURNS[name]), places).candidates[0]
        assert best.place == 2 and best.how == "search" and best.score > 0.8
        truth = landmarks(TURNS[name], MOVED)
        for mark, point in FIRST.landmarks.items():
            assert np.linalg.norm(moved(best.matrix, point) - truth[mark]) < 0.1 * DIAMETER

    def test_both_kinds_are_reported(self, pattern, patterns) -> None:
        from dataclasses import replace

        moments = replace(FIRST.moments, axes=TURN @ FIRST.moments.axes, centre=CENTRE["55 degrees"])
        there = Place(moments.centre, 1.0, moments, None)
        own = Place(FIRST.centre, 1.0, FIRST.moments, None)
        both = find_pose(pattern, patterns, own, target(TURN), [there], DIAMETER)
        assert both.moments_score > 0.8 and both.search_score > 0.8
        alone = find_pose(pattern, patterns, own, target(TURN), [there], DIAMETER, searched=False)
        assert alone.search_score is None and alone.candidates[0].how == "moments"
        assert angle_between(alone.candidates[0].rotation, TURN) < 10

    def test_nothing_wanted_nothing_turned(self, pattern, patterns) -> None:
        given = self.found(pattern, patterns, target(TURN), [place(MOVED)], moments=False, searched=False)
        (only,) = given.candidates
        assert only.how == "given"
        np.testing.assert_array_equal(only.rotation, np.eye(3))

    def test_candidates_differ(self, pattern, patterns) -> None:
        found = self.found(pattern, patterns, target(TURN), [place(MOVED)]).candidates
        assert len(found) > 1 and len(apart(found, 10, DIAMETER)) == len(found)


@pytest.mark.parametrize("symmetric", [False, True])
def test_what_is_its_own_mirror_image_is_known(symmetric: bool) -> None:
    image, soi = (one.array.astype(np.float32) for one in (FIRST.image, FIRST.soi))
    if symmetric:
        image, soi = ((array + array[..., ::-1]) / 2 for array in (image, soi))
    volumes = [one.with_array(array) for one, array in ((FIRST.image, image), (FIRST.soi, soi > 0))]
    own = Reference(*volumes, FIRST.landmarks)
    surroundings = Surroundings.of(own.image, SCALE.window_mm)
    patterns = (Pattern.of(own, surroundings, DIAMETER), TurnedPatterns.of(own, surroundings, DIAMETER, 1000))
    given = {"references": [own], "surroundings": [surroundings], "patterns": [patterns], "scale": SCALE}
    assert (mirror_similarity(SimpleNamespace(**given)) >= OWN_MIRROR) == symmetric
