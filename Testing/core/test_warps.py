"""The two editors that need no training."""

from __future__ import annotations

import numpy as np
import pytest

from SparseToPreciseLib.editing.guidance import densify
from SparseToPreciseLib.editing.warps import evidence, image_aware_warp, signed_distance_warp
from SparseToPreciseLib.editing.working_grid import WorkingCase, distances_on, sampled, signed_distance

SHAPE = (48, 48, 48)
CENTRE, RADIUS = 24.0, 15.0
AWAY = np.sqrt(((np.indices(SHAPE) - CENTRE) ** 2).sum(0))
TRUTH = AWAY < RADIUS
DENT = np.sqrt(((np.indices(SHAPE) - np.array([CENTRE, CENTRE, CENTRE + RADIUS])[:, None, None, None]) ** 2).sum(0)) < 6


def case_of(initial: np.ndarray, contrast: float = 1.0, noise: float = 0.15) -> WorkingCase:
    angles = np.linspace(-0.35, 0.35, 12)
    stroke = np.stack([np.full(12, CENTRE), CENTRE + RADIUS * np.sin(angles), CENTRE + RADIUS * np.cos(angles)], axis=1)
    stroke = densify(stroke, 1.0)
    distance, nearest = distances_on(SHAPE, stroke)
    image = 0.2 + 0.6 * contrast * TRUTH + np.random.default_rng(0).normal(0, noise, SHAPE)
    return WorkingCase(image.astype(np.float32), signed_distance(initial, np.ones(3)), distance, nearest, stroke)


@pytest.mark.parametrize("initial", [TRUTH & ~DENT, TRUTH | DENT], ids=["dent", "bulge"])
def test_the_signed_distance_warp_passes_through_the_stroke(initial: np.ndarray) -> None:
    case = case_of(initial)
    before = np.abs(sampled(case.signed_distance, case.stroke)).max()
    after = np.abs(sampled(signed_distance_warp(case), case.stroke)).max()
    assert before > 3
    assert after < 0.5


@pytest.mark.parametrize("initial", [TRUTH & ~DENT, TRUTH | DENT], ids=["dent", "bulge"])
def test_the_image_helps(initial: np.ndarray) -> None:
    case = case_of(initial)
    wrong = [
        np.count_nonzero((phi > 0) != TRUTH)
        for phi in (case.signed_distance, signed_distance_warp(case), image_aware_warp(case))
    ]
    assert wrong[2] < 0.5 * wrong[0]
    assert wrong[2] < wrong[1]


def test_a_right_boundary_stays() -> None:
    case = case_of(TRUTH)
    changed = (image_aware_warp(case) > 0) != TRUTH
    assert np.count_nonzero(changed) < 0.02 * np.count_nonzero(TRUTH)


def test_evidence_is_trusted_only_where_the_image_tells_object_and_surroundings_apart() -> None:
    initial = TRUTH & ~DENT
    clear, blind = case_of(initial), case_of(initial, contrast=0.0)
    _, trusted = evidence(clear, signed_distance_warp(clear))
    ratio, distrusted = evidence(blind, signed_distance_warp(blind))
    assert trusted > 0.5
    assert distrusted < 0.1
    assert np.isfinite(ratio).all()


def test_without_an_inside_there_is_no_evidence() -> None:
    case = case_of(TRUTH)
    nowhere = WorkingCase(case.image, np.full(SHAPE, -30, np.float32), case.distance, case.nearest, case.stroke)
    ratio, trust = evidence(nowhere, nowhere.signed_distance)
    assert trust == 0
    assert not ratio.any()
