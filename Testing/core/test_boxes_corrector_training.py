"""Training of the corrector: what is learnt from, the recipe, and a user's few masks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from box_cases import GRID, GRIDS, TINY_CORRECTOR, image_on, mask_on
from scipy.spatial.transform import Rotation

from SparseToPreciseLib.boxes.corrector.cases import COPIES, case_sets
from SparseToPreciseLib.boxes.corrector.confidence import FAR_LONGER
from SparseToPreciseLib.boxes.corrector.inputs import CHANNELS
from SparseToPreciseLib.boxes.corrector.model import CORRECTOR_FAMILY, load_corrector
from SparseToPreciseLib.boxes.corrector.recipe import train_corrector
from SparseToPreciseLib.boxes.corrector.trainer import (
    OBJECTIVES,
    OVERLAP_WEIGHT,
    CorrectorTrainer,
    Sample,
    Sampling,
    collated,
    draw_sample,
    drawn_frame,
    turned,
)
from SparseToPreciseLib.boxes.corrector.working_grid import View
from SparseToPreciseLib.boxes.scenes import Scene, case_scenes, deformed
from SparseToPreciseLib.boxes.simulation import loose_box
from SparseToPreciseLib.core.box import Box
from SparseToPreciseLib.core.errors import Cancelled, InputError
from SparseToPreciseLib.core.masks import mean_diameter
from SparseToPreciseLib.core.networks import build_network
from SparseToPreciseLib.core.progress import Progress
from SparseToPreciseLib.core.training.loop import LoopOptions
from SparseToPreciseLib.core.training.recipe import packaged_config, recipe_from
from SparseToPreciseLib.core.volume import Grid, Volume

FAR_AWAY = GRID.ijk_to_ras + np.outer([200, 0, 0, 0], [0, 0, 0, 1])  # 200 mm to the right of GRID
SCENE = Scene(image_on(GRID), mask_on(GRID))


def test_samples_have_the_mask_on_the_cells_of_the_image() -> None:
    rng = np.random.default_rng(0)
    sample = draw_sample(SCENE, Sampling(inverted_share=0.0), rng)
    assert sample.channels.shape[0] == CHANNELS and sample.channels.shape[1:] == sample.mask.shape[1:]
    inside = sample.mask[0] > 0.5
    bright = sample.channels[2]  # the rank of the intensity, and the object is the brightest thing there is
    assert bright[inside].mean() > bright[~inside].mean() + 0.3
    assert not sample.mask[0][sample.channels[4:7].max(axis=0) > 1].any(), "no object beyond the box"
    assert all(size % 8 == 0 for size in sample.mask.shape[1:])


def test_samples_that_tell_directions_are_never_mirrored() -> None:
    """The object's heavier end lies at the upper end of I, J and K."""
    array = np.zeros((40, 40, 40), np.float32)
    array[22:34, 22:34, 22:34] = 1
    array[12:22, 24:30, 24:30] = array[24:30, 12:22, 24:30] = array[24:30, 24:30, 12:22] = 1
    flipped = np.diag([-1.0, 1.0, -1.0, 1.0])
    scene = Scene(Volume(array, flipped), Volume(array.astype(np.uint8), flipped))
    rng, sampling = np.random.default_rng(3), Sampling(View(32, 20.0, True), inverted_share=0.0)
    for _ in range(6):
        mask = draw_sample(scene, sampling, rng).mask[0]
        heavier = []
        for axis in range(3):
            there = np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis})))
            middle = (there[0] + there[-1]) / 2
            line = mask.sum(axis=tuple({0, 1, 2} - {axis}))
            heavier.append(float((line * np.arange(len(line))).sum() / line.sum()) > middle)
        assert heavier == [False, True, False], "along S, A and R, wherever I, J and K point"


@pytest.mark.parametrize("share", [0.0, 0.6])
def test_so_many_boxes_are_close_as_is_wanted(share: float) -> None:
    """Some are tight, and the loosest still come."""
    rng, tight = np.random.default_rng(0), Box.bounding(SCENE.mask).size
    sampling = Sampling(View(32), largest_margin=1.0, close_share=share)
    margins = np.array([(drawn_frame(SCENE, sampling, rng).box.size / tight - 1).max() / 2 for _ in range(300)])
    assert 0.12 < (margins < 1e-6).mean() < 0.3
    assert (margins < 0.26).mean() == pytest.approx(0.2 + share + (0.8 - share) * 0.25, abs=0.12)
    assert margins.max() > 0.6


def test_turned_samples_keep_positions_with_their_axes() -> None:
    sample = draw_sample(SCENE, Sampling(), np.random.default_rng(1))
    for axes in ((2, 0, 1), (1, 0, 2)):
        other = turned(sample, axes)
        assert other.mask.shape[1:] == tuple(sample.mask.shape[1:][axis] for axis in axes)
        for spatial, channel in ((0, 6), (1, 5), (2, 4)):
            values = other.channels[channel]
            for still in {0, 1, 2} - {spatial}:
                assert np.ptp(values, axis=still).max() == 0, "a position changes along its own axis only"


def test_batches_of_different_sizes_have_no_weight_where_nothing_was() -> None:
    small, large = (
        Sample(*(np.ones((count, size, size, size), np.float32) for count in (CHANNELS, 1, 1))) for size in (8, 16)
    )
    given = collated([small, large], torch.device("cpu"))
    assert given["channels"].shape == (2, CHANNELS, 16, 16, 16)
    assert given["weight"][0].sum() == 8**3 and given["weight"][1].sum() == 16**3


def test_training_lowers_the_loss() -> None:
    torch.manual_seed(0)
    trainer = CorrectorTrainer(
        build_network(TINY_CORRECTOR["network"]), [SCENE], [SCENE], Sampling(View(32)), 16,
        LoopOptions(steps=25, learning_rate=0.02, batch_size=1, validations=2),
    )  # fmt: skip
    losses = [row["validation_loss"] for row in trainer.run().rows]
    assert min(losses) < 0.8 * losses[0]


def test_copies_give_way_to_new_ones_and_the_cases_stay() -> None:
    cases, copies = [SCENE, SCENE], [Scene(SCENE.image, SCENE.mask, "old") for _ in range(3)]
    made = []

    def renew(rng: np.random.Generator) -> Scene:
        made.append(Scene(SCENE.image, SCENE.mask, f"new {len(made)}"))
        return made[-1]

    given = [*cases, *copies]
    trainer = CorrectorTrainer(
        build_network(TINY_CORRECTOR["network"]), given, [SCENE], Sampling(View(32)), 16,
        LoopOptions(steps=9, batch_size=1, validations=1), renew, len(cases),
    )  # fmt: skip
    trainer.run()
    assert len(made) == trainer.renewed == 2, "one in four steps"
    assert trainer.scenes[:2] == cases and len(trainer.scenes) == 5
    assert any(one is made[-1] for one in trainer.scenes[2:])
    assert given == [*cases, *copies], "the caller's list is not changed"


def test_deformed_copies_are_other_cases_of_the_same_object() -> None:
    rng = np.random.default_rng(2)
    copy = deformed(SCENE, rng)
    both = (copy.mask.array > 0) & (SCENE.mask.array > 0)
    assert 0.4 < both.sum() / SCENE.mask.array.sum() < 1
    inside, outside = copy.mask.array > 0, copy.mask.array == 0
    assert np.median(copy.image.array[inside]) > np.median(copy.image.array[outside]), "image and mask move together"
    assert not np.array_equal(copy.image.array, SCENE.image.array)


def test_cases_are_cropped_around_the_object_and_keep_their_place() -> None:
    far = np.zeros((90, 90, 90), np.float32)
    mask = far.astype(np.int16)
    mask[40:50, 42:48, 41:47] = 7
    matrix = np.diag([-1.0, -1.0, 2.0, 1.0])
    scene = case_scenes([(Volume(far, matrix, "far"), Volume(mask, matrix))])[0]
    assert scene.image.shape == scene.mask.shape and max(scene.image.shape) <= 52
    assert np.allclose(Box.bounding(scene.mask).center, Box.bounding(Volume(mask, matrix)).center)
    assert set(np.unique(scene.mask.array)) == {0, 1}


def test_a_cropped_case_still_holds_the_loosest_box_and_what_is_seen_around_it() -> None:
    mask = np.zeros((100, 100, 100), np.uint8)
    mask[42:56, 45:57, 44:54] = 1
    whole = Volume(mask, np.diag([2.0, 2.0, 2.0, 1.0]))
    scene = case_scenes([(whole.with_array(mask.astype(np.float32)), whole)])[0]
    assert scene.image.array.size < mask.size / 4
    for seed in range(20):
        # The same draw gives the same box unless the crop cuts it.
        box, here = (loose_box(one, 1.0, np.random.default_rng(seed)) for one in (whole, scene.mask))
        np.testing.assert_allclose(here.size, box.size)
        around = scene.image.grid.to_ijk(here.grown(here.size / 6, here.size / 6).corners())
        assert (around > -1.5).all() and (around < np.array(scene.image.shape[::-1]) + 0.5).all()


@pytest.mark.parametrize(
    ("cases", "sentence"),
    [
        ([], "no cases to train on"),
        ([(image_on(GRID), mask_on(GRID).with_array(np.zeros(GRID.shape)))], "mask of image is empty"),
        ([(image_on(GRID), Volume(mask_on(GRID).array, FAR_AWAY))], "mask of image does not meet the image"),
        ([(image_on(GRID).with_array(np.full(GRID.shape, np.nan)), mask_on(GRID))], "no numbers around the object"),
    ],
)
def test_cases_that_teach_nothing_are_refused(cases, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        case_scenes(cases)


def test_the_committed_recipe_is_in_order_and_describes_itself() -> None:
    config = packaged_config(CORRECTOR_FAMILY, "train.json")
    assert recipe_from(config).config() == config


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"minutes": None}, "Nothing says when the training ends"),
        ({"patch": 20}, "A patch must have 2, 4, 8, 16 or 32 pixels, not 20"),
        ({"phantoms": -1}, "Phantoms must be a positive whole number, not -1"),
        ({"network::arguments::in_channels": 3}, r"has \(3, 1\) input and output channels"),
        ({"objective": "dice"}, "There is no objective 'dice'; choose from cross-entropy, with-overlap"),
        ({"colour": 1}, "no colour"),
    ],
)
def test_recipes_that_make_no_sense_are_refused(change: dict, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        recipe_from(packaged_config(CORRECTOR_FAMILY, "train.json"), change)


def test_phantoms_become_a_bundle_that_can_be_used(tmp_path: Path) -> None:
    bundle = train_corrector(tmp_path / "mine", phantoms=2, steps=2, seed=3, device="cpu", overrides=TINY_CORRECTOR)
    corrector = load_corrector(str(bundle.path), "cpu")
    assert corrector.patch == 2 and corrector.view == View(32) and corrector.calibration.longest_mm is None
    assert "mm across" not in bundle.card
    assert bundle.metadata["training"]["seed"] == 3 and bundle.metadata["training"]["steps"] == 2
    assert "never seen a patient" in bundle.card
    written = json.loads((bundle.path / "configs/train.json").read_text())
    assert written["phantoms"] == 2 and written["sampling"]["view"]["side"] == 32
    assert recipe_from(written).config() == written


def test_a_corrector_that_is_to_segment_learns_with_dice_beside_and_says_so(tmp_path: Path) -> None:
    options = {"phantoms": 2, "steps": 1, "device": "cpu"}
    plain, segmenting = (
        train_corrector(tmp_path / objective, overrides=TINY_CORRECTOR | {"objective": objective}, **options)
        for objective in OBJECTIVES
    )
    logs = [(one.path / "docs/log.csv").read_text().splitlines() for one in (plain, segmenting)]
    losses = [float(lines[1].split(",")[3]) for lines in logs]
    assert losses[0] < losses[1] <= losses[0] + OVERLAP_WEIGHT
    assert "so that chances are what they say" in plain.card
    assert "and Dice, since the model is to segment, too" in segmenting.card


def test_one_mask_is_enough_and_the_card_says_what_that_is_worth(tmp_path: Path) -> None:
    cases = [(image_on(GRID), mask_on(GRID))]
    bundle = train_corrector(tmp_path / "mine", cases=cases, steps=4, device="cpu", overrides=TINY_CORRECTOR)
    corrector = load_corrector(str(bundle.path), "cpu")
    # In four steps one copy is made anew.
    assert f"and {COPIES + 1} deformed copies of those trained on" in " ".join(bundle.card.split())
    assert bundle.metadata["training"]["scenes"] == 1 + COPIES + 1
    assert corrector.view.oriented and corrector.view.typical_mm == pytest.approx(np.cbrt(18 * 24 * 30), rel=0.1)
    assert corrector.calibration.longest_mm == pytest.approx(FAR_LONGER * np.cbrt(18 * 24 * 30), rel=0.03)
    assert "So it is where something more than 41 mm across was found." in " ".join(bundle.card.split())
    assert bundle.metadata["data_source"] == "user cases (1)"
    assert "of the same cases" in bundle.card
    first = bundle.load_network().state_dict()
    # A training may begin with the weights of another.
    options = {**TINY_CORRECTOR, "start": str(bundle.path), "learning_rate": 1e-9}
    again = train_corrector(tmp_path / "more", cases=cases, steps=1, device="cpu", overrides=options)
    assert again.metadata["training"]["started_from"] == "mine"
    for name, value in again.load_network().state_dict().items():
        assert torch.allclose(value, first[name], atol=1e-5)
    other = {**options, "network::arguments::channels": [4, 12]}
    with pytest.raises(InputError, match="has another network"):
        train_corrector(tmp_path / "none", cases=cases, steps=1, device="cpu", overrides=other)


@pytest.mark.parametrize("grid", [GRID, *GRIDS.values()], ids=["plain", *GRIDS])
def test_how_large_an_object_is_does_not_depend_on_its_grid(grid: Grid) -> None:
    found = mean_diameter(mask_on(grid).array > 0, grid.spacing_kji)
    assert found == pytest.approx(np.cbrt(18 * 24 * 30), rel=0.02)


def test_the_length_of_a_slender_object_does_not_depend_on_how_it_is_turned() -> None:
    turned = Grid((40, 40, 40), np.diag([2.0, 2.0, 2.0, 1.0])).points_ras() - 39
    for angle in (0, 30, 45):
        axes = Rotation.from_euler("xy", [angle, angle], degrees=True).as_matrix()
        bar = (np.abs(turned @ axes) <= (30, 6, 6)).all(axis=-1)
        # Of a cuboid the ellipsoid of its moments is larger by the square root of 5 / 3.
        assert mean_diameter(bar, np.full(3, 2.0)) == pytest.approx(np.cbrt(60 * 12 * 12) * np.sqrt(5 / 3), rel=0.04)
    one = np.zeros((3, 3, 3), bool)
    one[1, 1, 1] = True
    assert 1 < mean_diameter(one, np.ones(3)) < 1.5


def test_the_largest_of_the_cases_is_what_counts() -> None:
    small = mask_on(GRID)
    large = Volume(small.array, small.ijk_to_ras * [[1.5], [1.5], [1.5], [1]])
    scenes = case_scenes([(one.with_array(one.array.astype(np.float32)), one) for one in (small, large)])
    found = case_sets(0, scenes, Sampling(), Progress()).largest_mm
    assert found == pytest.approx(1.5 * np.cbrt(18 * 24 * 30), rel=0.03)


def test_cancelling_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        train_corrector(
            tmp_path / "mine",
            phantoms=2,
            steps=2,
            device="cpu",
            overrides=TINY_CORRECTOR,
            progress=Progress(cancelled=lambda: True),
        )
    assert not list(tmp_path.iterdir())
