"""Training of the segmenter: boxes are all it learns from, and a bundle comes of it, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from box_cases import GRID, SEGMENTER_ARGUMENTS, TIGHT, TINY_SEGMENTER, image_on, mask_on  # noqa: E402

from SparseToPreciseLib.boxes.hull import box_hull  # noqa: E402
from SparseToPreciseLib.boxes.scenes import Scene  # noqa: E402
from SparseToPreciseLib.boxes.segmenter.confidence import LEVELS, calibrated_level  # noqa: E402
from SparseToPreciseLib.boxes.segmenter.inference import cell_probabilities  # noqa: E402
from SparseToPreciseLib.boxes.segmenter.inputs import SEEN  # noqa: E402
from SparseToPreciseLib.boxes.segmenter.model import SEGMENTER_FAMILY, load_segmenter  # noqa: E402
from SparseToPreciseLib.boxes.segmenter.recipe import train_segmenter  # noqa: E402
from SparseToPreciseLib.boxes.segmenter.segment import segment  # noqa: E402
from SparseToPreciseLib.boxes.segmenter.trainer import (  # noqa: E402
    PlaneSampling,
    SegmenterTrainer,
    Weights,
    box_loss,
    boxes_of,
    collated_planes,
    drawn_planes,
)
from SparseToPreciseLib.boxes.simulation import cut_by_field_of_view  # noqa: E402
from SparseToPreciseLib.boxes.slices import Frame  # noqa: E402
from SparseToPreciseLib.core.box import Box  # noqa: E402
from SparseToPreciseLib.core.bundles import open_bundle  # noqa: E402
from SparseToPreciseLib.core.errors import Cancelled, InputError  # noqa: E402
from SparseToPreciseLib.core.masks import dice  # noqa: E402
from SparseToPreciseLib.core.networks import build_network  # noqa: E402
from SparseToPreciseLib.core.progress import Progress  # noqa: E402
from SparseToPreciseLib.core.training.loop import LoopOptions  # noqa: E402
from SparseToPreciseLib.core.training.recipe import packaged_config  # noqa: E402
from SparseToPreciseLib.core.volume import Volume  # noqa: E402

SAMPLING = PlaneSampling(side=40, inverted_share=0.0)


def scene() -> Scene:
    return Scene(image_on(GRID), mask_on(GRID))


def boxed(mask: Volume) -> Volume:
    """On every plane along K, the box of what a mask has there."""
    array = np.zeros_like(mask.array)
    for plane, filled in zip(mask.array, array, strict=True):
        rows, columns = np.nonzero(plane)
        if rows.size:
            filled[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = 1
    return mask.with_array(array)


def test_boxes_of_slices_are_their_extent_and_empty_where_there_is_nothing():
    mask = torch.zeros((3, 1, 6, 8))
    mask[0, 0, 2, 3] = mask[0, 0, 4, 1] = 1
    mask[2] = 1
    expected = [[[2, 5], [1, 4]], [[0, 0], [0, 0]], [[0, 6], [0, 8]]]
    assert boxes_of(mask).tolist() == expected


def test_only_the_boxes_of_planes_are_learnt_from():
    """The object's mask and the hull of its planes' boxes give the same batch but for the mask, and the same loss."""
    seen = []
    hull = scene().mask.with_array(box_hull(scene().mask.array > 0).astype(np.uint8))
    for labelmap in (scene().mask, hull):
        sampling = PlaneSampling(side=40, inverted_share=0.0, axis=2)
        given = drawn_planes(Scene(scene().image, labelmap), sampling, np.random.default_rng(3))
        batch = {name: torch.from_numpy(array) for name, array in collated_planes([given]).items()}
        seen.append(batch | {"boxes": boxes_of(batch["mask"])})
    of_mask, of_boxes = seen
    assert (of_mask["mask"] != of_boxes["mask"]).any()
    # Interpolation may move the side of a box by a cell.
    assert (of_mask["boxes"] - of_boxes["boxes"]).abs().max() <= 1
    assert (of_mask["inside"] != of_boxes["inside"]).float().mean() < 0.02
    same = of_mask | {"mask": of_boxes["mask"]}
    logits = torch.randn(of_mask["mask"].shape, generator=torch.Generator().manual_seed(0))
    loss = box_loss(Weights())
    assert torch.equal(loss(logits, of_mask, 5.0), loss(logits, same, 5.0))


def test_planes_lie_in_the_box_and_hold_the_object():
    rng = np.random.default_rng(4)
    for _ in range(5):
        given = drawn_planes(scene(), SAMPLING, rng)
        assert given["channels"].shape[1] == SEEN and 1 <= len(given["channels"]) <= SAMPLING.planes
        shape = (len(given["channels"]), 1, *given["channels"].shape[2:])
        assert given["mask"].shape == given["chances"].shape == given["inside"].shape == shape
        assert (given["inside"] >= (given["mask"] >= 0.5)).all()
        assert (given["channels"][:, 5] <= 1).all() and given["mask"].max() > 0.9
    batch = collated_planes([drawn_planes(scene(), SAMPLING, rng) for _ in range(3)])
    assert all(side % 16 == 0 for side in batch["mask"].shape[2:])
    assert {array.dtype for array in batch.values()} == {np.dtype(np.float32)}


def test_a_field_of_view_that_ends_within_the_object_leaves_a_part_of_it():
    rng, whole = np.random.default_rng(5), np.count_nonzero(scene().mask.array)
    for _ in range(8):
        image, mask = cut_by_field_of_view(scene().image, scene().mask, rng)
        assert image.grid.same_as(mask.grid) and 0 < np.count_nonzero(mask.array) < whole
        tight = Box.bounding(mask)
        there = scene().mask.grid.to_ijk(tight.corners())
        assert (there > -0.6).all()
        # What is left of the object touches an end of the image.
        ends = [mask.array.any(axis=other) for other in ((1, 2), (0, 2), (0, 1))]
        assert any(lines[0] or lines[-1] for lines in ends)
        sampling = PlaneSampling(side=40, cut_share=1.0)
        assert drawn_planes(scene(), sampling, rng)["mask"].max() > 0.9


def test_an_object_is_learnt_from_its_boxes_alone():
    """Filled boxes of slices are given; what comes out is nearer to the object than they are."""
    torch.manual_seed(0)
    network = build_network({"name": "UNet", "arguments": SEGMENTER_ARGUMENTS | {"channels": [8, 16]}})
    given = Scene(scene().image, boxed(scene().mask))
    sampling = PlaneSampling(side=40, inverted_share=0.0, largest_margin=0.2, axis=2)
    trainer = SegmenterTrainer(
        network, [given], [scene()], sampling, box_loss(Weights()),
        LoopOptions(steps=120, learning_rate=0.02, batch_size=2, validations=2, bfloat16=False),
    )  # fmt: skip
    trainer.run()
    level = calibrated_level(network, [given], sampling, 1, 0, torch.device("cpu"))
    assert level in LEVELS
    box = TIGHT.grown(1, 1)
    frame = Frame.cut(box, 2, float(box.size[2]), None, sampling.side)
    chances = cell_probabilities(network, given.image, frame, 1, torch.device("cpu"))
    grid = frame.cells(0, frame.planes)
    truth, filled = mask_on(grid).array > 0, given.mask.array > 0
    of_labels = dice(filled, scene().mask.array > 0)
    assert dice((chances >= level) & box.mask_on(grid), truth) > max(of_labels, 0.88)


@pytest.mark.parametrize("weights", [{"tightness": -1}, {"likeness": float("nan")}, {"tolerance": 0}])
def test_weights_out_of_range_are_refused(weights: dict):
    with pytest.raises(InputError, match="must be"):
        Weights(**weights)


@pytest.mark.parametrize(
    "sampling", [{"side": 3}, {"largest_margin": -0.1}, {"cut_share": 2}, {"planes": 0}, {"axis": 3}]
)
def test_sampling_out_of_range_is_refused(sampling: dict):
    with pytest.raises(InputError, match=f"The sampling's {next(iter(sampling))} cannot be"):
        PlaneSampling(**sampling)


# ------------------------------------------------------------------------------------------------ bundles


def test_a_bundle_from_phantoms_segments_and_says_what_it_is(tmp_path: Path):
    rows = []
    bundle = train_segmenter(
        tmp_path / "mine", phantoms=2, steps=2, device="cpu", validated=rows.append, overrides=TINY_SEGMENTER
    )
    assert bundle.family == SEGMENTER_FAMILY and bundle.metadata["training"]["steps"] == 2
    assert "never seen a patient" in " ".join(bundle.card.split()) and "| Dice |" in bundle.card
    assert rows and {"validation_loss", "box_iou", "dice"} <= rows[-1].keys()
    config = json.loads((bundle.path / "configs" / "train.json").read_text())
    assert config["sampling"]["side"] == 32 and config["recipe"]["sampling"] == "@sampling"
    result = segment(image_on(GRID), TIGHT, load_segmenter(str(bundle.path), "cpu"))
    assert result.model == "mine" and result.segmentation.grid.same_as(GRID)


def test_own_boxes_are_taken_as_labelmap_box_or_list(tmp_path: Path):
    image = image_on(GRID)
    cases = [(image, boxed(mask_on(GRID))), (image, TIGHT), (image, [TIGHT, TIGHT.grown(2, 2)])]
    bundle = train_segmenter(tmp_path / "own", cases=cases, steps=1, device="cpu", overrides=TINY_SEGMENTER)
    training = bundle.metadata["training"]
    assert training["boxes"] == 4 and not training["held_back"] and "dice" not in training["best"]
    assert "same boxes" in bundle.card
    held = train_segmenter(
        tmp_path / "held", cases=cases[:1], validation_cases=cases[1:2], steps=1, device="cpu", overrides=TINY_SEGMENTER
    )
    assert held.metadata["training"]["held_back"] and held.metadata["training"]["validation_boxes"] == 1


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"cases": []}, "There are no cases"),
        ({"validation_cases": []}, "none to train on"),
        ({"overrides": {"sampling::side": 3}}, "side cannot be 3"),
        ({"overrides": {"nonsense": 3}}, "no nonsense"),
        ({"steps": -1}, "Steps must be a positive whole number"),
        (
            {"overrides": {"network": {"name": "UNet", "arguments": SEGMENTER_ARGUMENTS | {"in_channels": 2}}}},
            "channels",
        ),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(tmp_path: Path, wrong: dict, sentence: str):
    given = {"phantoms": 1, "steps": 1, "device": "cpu"} | wrong
    given["overrides"] = TINY_SEGMENTER | given.get("overrides", {})
    with pytest.raises(InputError, match=sentence):
        train_segmenter(tmp_path / "bad", **given)
    assert not list(tmp_path.iterdir())


def test_a_box_beside_the_image_is_refused_as_empty(tmp_path: Path):
    away = Box(TIGHT.center + 500, np.eye(3), TIGHT.size)
    with pytest.raises(InputError, match="is empty"):
        train_segmenter(
            tmp_path / "bad", cases=[(image_on(GRID), away)], steps=1, device="cpu", overrides=TINY_SEGMENTER
        )


def test_cancel_leaves_nothing(tmp_path: Path):
    with pytest.raises(Cancelled):
        train_segmenter(
            tmp_path / "bad",
            phantoms=2,
            steps=5,
            device="cpu",
            overrides=TINY_SEGMENTER,
            progress=Progress(None, lambda: True),
        )
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------------------------ the default


def test_the_default_model_is_small_and_was_trained_by_the_committed_recipe():
    bundle = open_bundle("boxes-segmenter", SEGMENTER_FAMILY)
    bundle.verify()
    assert (bundle.path / "models" / "model.pt").stat().st_size <= 8 * 2**20
    config = packaged_config(SEGMENTER_FAMILY, "train.json")
    assert bundle.metadata["network"] == config["network"]
    assert bundle.parameters["side"] == config["sampling"]["side"]
    assert bundle.metadata["training"]["data"] == "phantoms"
    given = {name: value for name, value in config["weights"].items() if name != "_target_"}
    assert bundle.metadata["training"]["weights_of_losses"] == given


def test_the_default_model_finds_a_plain_object_better_than_its_ellipsoid():
    loose = TIGHT.grown(3, 3)
    result = segment(image_on(GRID), loose, load_segmenter(None, "cpu"))
    truth = mask_on(GRID).array > 0
    ellipsoid = (((loose.to_box(GRID.points_ras())) / (loose.size / 2)) ** 2).sum(axis=-1) <= 1
    assert dice(result.segmentation.array > 0, truth) > max(dice(ellipsoid, truth), 0.85)
