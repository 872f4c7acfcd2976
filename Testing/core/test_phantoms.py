"""Procedural cases: deterministic, plausible, with whole families held out."""

from __future__ import annotations

import numpy as np
import pytest

from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.phantoms import FAMILIES, HELD_OUT_FAMILIES, TRAIN_FAMILIES, make_phantom
from SparseToPreciseLib.phantoms.fields import enlarged, sampling_matrix, smooth_field, spline_matrix
from SparseToPreciseLib.phantoms.shapes import superellipsoid, tube

SHAPE = (32, 32, 32)


def test_training_and_test_families_are_disjoint_and_complete():
    assert not set(TRAIN_FAMILIES) & set(HELD_OUT_FAMILIES)
    assert set(TRAIN_FAMILIES) | set(HELD_OUT_FAMILIES) == set(FAMILIES)
    assert {"tree", "bean", "vertebra"} == set(HELD_OUT_FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_case_is_usable_in_every_family(family):
    for seed in range(4):
        case = make_phantom(family, seed, SHAPE)
        assert case.image.shape == case.labels.shape == case.target.shape == SHAPE
        assert case.image.dtype == np.float32 and case.labels.dtype == np.uint8 and case.target.dtype == bool
        assert np.isfinite(case.image).all() and case.image.std() > 0
        assert 0.001 < case.target.mean() < 0.8
        assert len(np.unique(case.labels)) >= 3
        parts = case.labels >= 40
        overlap = 2 * np.count_nonzero(parts & case.target) / (parts.sum() + case.target.sum())
        assert overlap > 0.75  # an annotation differs from the labels by a fraction of a source voxel


def test_a_seed_is_a_case():
    first, again = make_phantom("lobed", 5, SHAPE), make_phantom("lobed", 5, SHAPE)
    assert np.array_equal(first.image, again.image) and np.array_equal(first.target, again.target)
    assert not np.array_equal(first.image, make_phantom("lobed", 6, SHAPE).image)
    assert not np.array_equal(first.target, make_phantom("organ", 5, SHAPE).target)


def test_the_boundary_usually_passes_near_the_centre_of_the_cube():
    near = 0
    for seed in range(20):
        middle = make_phantom("organ", seed, SHAPE).target[8:24, 8:24, 8:24]
        near += bool(middle.any() and not middle.all())
    assert near >= 16


def test_most_neighbours_differ_from_the_object():
    distinct = 0
    for seed in range(12):
        case = make_phantom("organ", seed, SHAPE)
        inside = case.image[case.target]
        low, high = np.percentile(inside, [5, 95])
        outside = case.image[~case.target]
        distinct += np.mean((outside < low) | (outside > high)) > 0.5
    assert distinct >= 8


def test_any_shape_can_be_asked_for():
    assert make_phantom("rod", 1, (24, 40, 32)).image.shape == (24, 40, 32)


def test_the_same_seed_is_the_same_anatomy_at_a_higher_resolution():
    share = [make_phantom("bean", 3, (size,) * 3).labels.ravel() for size in (32, 64)]
    coarse, fine = (np.mean(labels >= 40) for labels in share)
    assert coarse == pytest.approx(fine, rel=0.15)


@pytest.mark.parametrize(("family", "shape"), [("dragon", SHAPE), ("organ", (8, 32, 32)), ("organ", (32, 32))])
def test_what_cannot_be_made_is_refused_with_its_value(family, shape):
    with pytest.raises(InputError, match="dragon" if family == "dragon" else r"\("):
        make_phantom(family, 0, shape)


def test_splines_and_sampling_keep_constants():
    assert np.allclose(spline_matrix(50, 7).sum(axis=1), 1)
    assert np.allclose(sampling_matrix(64, 20, 1.5).sum(axis=1), 1)
    assert np.allclose(enlarged(np.full((4, 5, 6), 3.0, np.float32), (16, 16, 16)), 3)


def test_a_smooth_field_is_smooth_and_near_unit_variance():
    field = smooth_field(np.random.default_rng(0), (64, 64, 64), 6)
    assert 0.8 < field.std() < 1.2
    assert np.abs(np.diff(field, axis=0)).mean() < 0.35


def test_shapes_are_distances_near_their_surface():
    points = np.array([[12.0, 0, 0], [8, 0, 0], [0, 0, 7]], np.float32).T
    assert superellipsoid((10, 10, 5))(points) == pytest.approx([2, -2, 2], abs=0.05)
    pipe = tube(np.array([[0, 0, -9], [0, 0, 9]]), np.array([3.0, 3.0]))
    assert pipe(np.array([[5.0, 0, 0], [0, 1, 0], [0, 0, 14]], np.float32).T) == pytest.approx([2, -2, 2], abs=1e-4)
