"""Training on a user's own volumes: where cubes are cut, and that they show what the volumes show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from edit_cases import CENTRE, RADIUS, case_on, grid_around, rotation

from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.volume import Volume
from SparseToPreciseLib.editing.case_store import build_store
from SparseToPreciseLib.editing.cases import RADIUS_SHARES, Simulation, VolumeScenes, store_volumes
from SparseToPreciseLib.editing.guidance import RADIUS_PER_SIGMA
from SparseToPreciseLib.editing.recipe import train_editing
from SparseToPreciseLib.editing.working_grid import SIGMA_VOXELS
from tiny_training import tiny_options

FINE = grid_around((1.0, 1.0, 1.0))
THICK = grid_around((1.0, 1.2, 3.0), rotation((1, 2, 3), 35))
ELSEWHERE = np.array([[0, 0, 0, 999], [0] * 4, [0] * 4, [0] * 4])
SIMULATION = Simulation(seed=3, segmenter_share=0, edits_per_phantom=1)


def ball(image_grid=FINE, segmentation_grid=None) -> tuple[Volume, Volume]:
    case = case_on(image_grid, segmentation_grid)
    return case.image, case.truth


@pytest.mark.parametrize(
    ("image_grid", "segmentation_grid", "agreement"),
    [(FINE, FINE, 0.985), (THICK, THICK, 0.95), (FINE, THICK, 0.96), (THICK, FINE, 0.95)],
    ids=["fine", "thick oblique", "segmentation thick", "image thick"],
)
def test_image_and_truth_of_a_cube_show_the_same_place(
    tmp_path: Path, image_grid, segmentation_grid, agreement: float
) -> None:
    assert store_volumes(tmp_path, [ball(image_grid, segmentation_grid)]) == 1
    scenes = VolumeScenes(tmp_path)
    shares = []
    for number in range(6):
        scene = scenes(np.random.default_rng(number), SIMULATION)
        assert scene.image.shape == scene.truth.shape == (SIMULATION.phantom_size,) * 3
        low, high = (scene.image[scene.truth == inside].mean() for inside in (False, True))
        shares.append(np.mean((scene.image > (low + high) / 2) == scene.truth))
        # The cube's centre lies on the boundary.
        middle = scene.truth[36:44, 36:44, 36:44]
        assert middle.any() and not middle.all()
    assert min(shares) > agreement


def test_beyond_a_cropped_labelmap_is_background(tmp_path: Path) -> None:
    """Cropped to the ball itself, whose poles lie on the border."""
    image, truth = ball()
    used = [np.flatnonzero(truth.array.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    tight = truth.cropped(tuple(slice(int(one[0]), int(one[-1]) + 1) for one in used))
    store_volumes(tmp_path, [(image, tight)])
    for number in range(6):
        scene = VolumeScenes(tmp_path)(np.random.default_rng(number), SIMULATION)
        low, high = (scene.image[scene.truth == inside].mean() for inside in (False, True))
        assert np.mean((scene.image > (low + high) / 2) == scene.truth) > 0.985


def test_cubes_have_the_size_of_a_random_influence_radius(tmp_path: Path) -> None:
    store_volumes(tmp_path, [ball()])
    widths = []
    for number in range(30):
        scene = VolumeScenes(tmp_path)(np.random.default_rng(number), SIMULATION)
        # On a ball of known size the curvature of the boundary would tell; its share of the cube does as well.
        widths.append(np.count_nonzero(scene.truth))
    radii = np.array(RADIUS_SHARES) * RADIUS
    largest_voxel = radii[1] / RADIUS_PER_SIGMA / SIGMA_VOXELS
    whole_ball = 4 / 3 * np.pi * RADIUS**3 / largest_voxel**3
    assert min(widths) < 1.3 * whole_ball
    assert max(widths) > 2 * min(widths)


def test_a_drawn_mask_is_stored_on_the_sources_own_voxels(tmp_path: Path) -> None:
    store_volumes(tmp_path, [ball(THICK)])
    scene = VolumeScenes(tmp_path)(np.random.default_rng(0), SIMULATION)
    own = scene.redrawn(scene.truth)
    assert np.mean((own > 0) == scene.truth) > 0.985
    dot = np.zeros_like(scene.truth)
    dot[40, 40, 40] = True  # far smaller than a voxel of 1 x 1.2 x 3 mm
    assert not (scene.redrawn(dot) > 0).any()


def test_all_cases_and_all_segments_take_part(tmp_path: Path) -> None:
    image, truth = ball()
    two = truth.with_array(np.where(truth.grid.points_ras()[..., 2] > CENTRE[2], 5, 2) * truth.array)
    store_volumes(tmp_path, [(image, truth), (image.with_array(-image.array), two)])
    scenes = VolumeScenes(tmp_path)
    assert len(scenes) == 2 and len(set(scenes.digests)) == 2
    dark = half = 0
    for number in range(24):
        scene = scenes(np.random.default_rng(number), SIMULATION)
        dark += scene.image[scene.truth].mean() < scene.image[~scene.truth].mean()
        half += np.mean((scene.image > 0.5) == scene.truth) < 0.9  # the other half of the ball is as bright
    assert 4 <= dark <= 20 and half > 0


def test_cases_do_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    store_volumes(tmp_path / "cases", [ball(THICK)])
    one, two = (
        build_store(tmp_path / f"{workers}", 3, SIMULATION, workers, scenes=VolumeScenes(tmp_path / "cases"))
        for workers in (0, 2)
    )
    assert [path.name for path in one.files] == [path.name for path in two.files]
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(one.files, two.files, strict=True))


def test_other_volumes_replace_the_cases(tmp_path: Path) -> None:
    for contrast in (1, -1):
        image, truth = ball()
        store_volumes(tmp_path / "cases", [(image.with_array(contrast * image.array), truth)])
        store = build_store(tmp_path / "store", 2, SIMULATION, 0, scenes=VolumeScenes(tmp_path / "cases"))
        case = store[0]
        brighter = case["image"][case["truth"] > 0.5].mean() > case["image"][case["truth"] < 0.5].mean()
        assert brighter == (contrast > 0)


def test_not_finite_values_are_passed_over(tmp_path: Path) -> None:
    image, truth = ball()
    values = image.array.copy()
    values[image.grid.points_ras()[..., 0] > CENTRE[0] + 8] = np.nan
    store_volumes(tmp_path, [(image.with_array(values), truth)])
    scenes = [VolumeScenes(tmp_path)(np.random.default_rng(number), SIMULATION) for number in range(12)]
    made = [scene for scene in scenes if scene is not None]
    assert 0 < len(made) < 12
    assert all(np.isfinite(scene.image).all() for scene in made)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda image, truth: (image, truth.with_array(0 * truth.array)), "truth has no segment with a boundary"),
        (lambda image, truth: (image, truth.with_array(0 * truth.array + 1)), "truth has no segment with a boundary"),
        (
            lambda image, truth: (Volume(image.array, image.ijk_to_ras + ELSEWHERE, image.name), truth),
            "boundary inside the image image",
        ),
        (lambda image, truth: (image, truth.with_array(truth.array * 0.5)), "other values than the whole numbers"),
        (lambda image, truth: (image, truth.with_array(truth.array * -1.0)), "other values than the whole numbers"),
        (lambda image, truth: (image, truth.with_array(truth.array * 1e9)), "other values than the whole numbers"),
    ],
    ids=["empty", "full", "elsewhere", "fractions", "negative", "huge"],
)
def test_cases_to_which_training_cannot_look_are_refused(tmp_path: Path, change, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        store_volumes(tmp_path, [change(*ball())])
    with pytest.raises(InputError, match="holds no training cases"):
        VolumeScenes(tmp_path)


def test_no_case_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no case to train on"):
        store_volumes(tmp_path, [])


@pytest.mark.parametrize("validated", [False, True])
def test_a_bundle_says_what_it_was_trained_on_and_how_it_was_checked(
    tmp_path: Path, validated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    options = tiny_options(tmp_path) | {"phantoms": None, "cubes": 3, "cache": None}
    more = {"validation_cases": [ball(THICK)]} if validated else {}
    bundle = train_editing(tmp_path / "mine", **options, cases=iter([ball(), ball(THICK)]), **more)
    training = bundle.metadata["training"]
    assert training["data"] == bundle.metadata["data_source"] == "user cases (2)"
    assert training["validation_cases_from_training_cases"] is not validated
    assert ("held back by seed **from the same" in bundle.card) is not validated
    assert ("images that training did not see" in bundle.card) is validated
    assert "never seen a patient" not in bundle.card
    assert not list((tmp_path / "temporary").glob("sparse-to-precise*")), "nothing of the user's images stays"


def test_cases_to_validate_with_need_cases_to_train_on(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none to train on"):
        train_editing(tmp_path / "mine", **tiny_options(tmp_path), validation_cases=[ball()])
