"""How evidence becomes a confidence, and how references that disagree become one answer."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch")

from landmark_cases import grid_around, reference

from SparseToPreciseLib.core.progress import Progress
from SparseToPreciseLib.core.volume import Volume
from SparseToPreciseLib.landmarks import detect as detection
from SparseToPreciseLib.landmarks.confidence import PLACED, Evidence
from SparseToPreciseLib.landmarks.fusion import fused
from SparseToPreciseLib.landmarks.localize import Place
from SparseToPreciseLib.landmarks.register import Registered
from SparseToPreciseLib.landmarks.similarity import local_similarity

GRID = grid_around(np.zeros(3), half_mm=40.0)
GOOD = Evidence(round_trip=0.01, spread=0.01, local=0.95, whole=0.95, mass=1.0, margin=0.4)
WRONG = Evidence(round_trip=0.02, spread=0.04, local=0.6, whole=0.55, mass=0.2, margin=0.02)


class TestEvidence:
    def test_right_and_wrong(self) -> None:
        assert GOOD.confidence > 0.9
        assert WRONG.confidence < 0.1 < PLACED

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"round_trip": 0.5}, "going there and back ends 0.50"),
            ({"spread": 0.4}, "other starts end 0.40"),
            ({"local": 0.1}, "its neighbourhood resembles the reference by 0.10"),
            ({"whole": 0.3}, "the structure resembles the reference by 0.30"),
            ({"margin": 0.0}, "another pose or place resembles the reference nearly as well"),
        ],
    )
    def test_what_is_worse_counts_and_is_said(self, change: dict[str, float], words: str) -> None:
        worse = replace(GOOD, **change)
        assert worse.confidence < GOOD.confidence
        assert words in worse.weakness

    def test_of_two_answers_that_fit_alike_one_at_most_is_right(self) -> None:
        tie = replace(GOOD, local=1.0, whole=1.0, spread=0.0, round_trip=0.0, margin=0.0)
        assert 0.4 < tie.confidence <= 0.5
        assert replace(tie, margin=-0.1).confidence <= 0.5

    def test_another_answer_that_fits_as_well_or_better_counts(self) -> None:
        sure = replace(GOOD, margin=0.3)
        both_fit = sure.against(0.018, "the other side")
        assert both_fit.confidence <= 0.5 < sure.confidence
        assert "the other side fits as well (by 0.02)" in both_fit.weakness
        assert sure.against(0.2, "the other side").confidence == sure.confidence
        assert both_fit.against(0.3, "another size") == both_fit
        worse = sure.against(-0.09, "another size")
        assert worse.confidence < PLACED and "another size fits better (by 0.09)" in worse.weakness

    def test_nothing_to_compare_around_a_landmark_at_the_rim(self) -> None:
        fixed = Volume(np.zeros((4, 4, 4), np.float32), np.eye(4))
        assert local_similarity(fixed, fixed.array, np.array([40.0, 0, 0]), 10.0) == 0.0


def laid(position: list[float], score: float, evidence: Evidence = GOOD, place: Place | None = None) -> Registered:
    landmarks = {"a": np.array(position)}
    place = place or Place(np.array(position), 1.0, None, None)
    return Registered(landmarks, {"a": evidence}, np.eye(4), None, GRID, score, place)


class TestReferences:
    target = Volume(np.zeros(GRID.shape, np.float32), GRID.ijk_to_ras)

    def test_the_weighted_median_is_placed(self) -> None:
        three = [laid([0.0, 0, 0], 0.9), laid([0.5, 0.5, 0.5], 0.9), laid([9.0, 9, 9], 0.4, WRONG)]
        found = fused("a", three, PLACED, self.target, np.eye(4), 3.0)
        assert np.linalg.norm(found.position) < 1
        assert found.confidence > 0.9

    def test_two_that_disagree_are_not_averaged(self) -> None:
        two = [laid([0.0, 0, 0], 0.9), laid([20.0, 0, 0], 0.9, replace(GOOD, local=0.9))]
        found = fused("a", two, 0.0, self.target, np.eye(4), 3.0)
        np.testing.assert_array_equal(found.position, [0, 0, 0])
        assert found.confidence < 0.6 * GOOD.confidence
        unplaced = fused("a", two, 0.7, self.target, np.eye(4), 3.0)
        assert unplaced.position is None and "the references disagree by 20 mm" in unplaced.reason

    def test_none_that_is_sure(self) -> None:
        found = fused("a", [laid([0.0, 0, 0], 0.4, WRONG)], PLACED, self.target, np.eye(4), 3.0)
        assert found.position is None and found.confidence < PLACED
        assert "unsure" in found.reason and "resembles" in found.reason

    def test_outside_of_the_image(self) -> None:
        found = fused("a", [laid([900.0, 0, 0], 0.9)], PLACED, self.target, np.eye(4), 3.0)
        assert found.position is None and "outside the image" in found.reason

    @pytest.mark.parametrize(("other", "both"), [(0.885, True), (0.6, False)])
    def test_the_other_side_that_fits_as_well_is_told(self, other: float, both: bool) -> None:
        place = Place(np.zeros(3), 1.0, None, None)

        def side(mirrored: bool, score: float) -> detection._Side:
            return detection._Side(mirrored, None, [place], [laid([0.0, 0, 0], score)], {}, {})

        notes: list[str] = []
        best = detection._against_other_side(side(True, 0.9), side(False, other), notes)
        assert best.report["mirror"] == {"used": True, "scores": {"yes": 0.9, "no": other}, "lead": 0.9 - other}
        confidence = best.registered[0].evidence["a"].confidence
        if both:
            assert confidence <= 0.5
            assert "cannot be told which side it shows" in notes[0] and "0.885 and 0.900" in notes[0]
        else:
            assert confidence == GOOD.confidence and notes == []

    def test_one_that_means_another_place_is_laid_again_where_the_best_one_is(self, monkeypatch) -> None:
        asked = []

        def register(_template, number, _target, places, _stages, **_) -> Registered:
            asked.append((number, len(places)))
            if number == 1 and len(places) > 1:
                return laid([30.0, 0, 0], 0.6, WRONG)
            return laid([float(number), 0, 0], 0.9, place=places[0])

        monkeypatch.setattr(detection, "register", register)
        places = [Place(np.full(3, float(number)), 1.0, None, None) for number in range(3)]
        template = SimpleNamespace(references=[reference()] * 2, scale=SimpleNamespace(diameter_mm=10.0))
        found = detection._registered(template, None, places, (), True, True, Progress())
        assert asked == [(0, 3), (1, 3), (1, 1)]
        np.testing.assert_array_equal(found[1].landmarks["a"], [1, 0, 0])
        assert found[1].place is places[0]
