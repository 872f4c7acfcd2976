"""Loose boxes that are tightened before a segmenter learns from them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from box_cases import (  # noqa: E402
    GRID,
    GRIDS,
    LOOSE,
    TIGHT,
    TINY_SEGMENTER,
    find_nothing,
    image_on,
    mask_on,
)

from SparseToPreciseLib.boxes.correction import LEARNING_COVERAGE, BoxCorrection  # noqa: E402
from SparseToPreciseLib.boxes.corrector.model import Corrector, load_corrector  # noqa: E402
from SparseToPreciseLib.boxes.corrector.tighten import tighten  # noqa: E402
from SparseToPreciseLib.boxes.segmenter.recipe import train_segmenter  # noqa: E402
from SparseToPreciseLib.core.box import Box  # noqa: E402
from SparseToPreciseLib.core.errors import Cancelled, InputError  # noqa: E402
from SparseToPreciseLib.core.progress import Progress  # noqa: E402
from SparseToPreciseLib.core.volume import Volume  # noqa: E402


@pytest.fixture(scope="module")
def corrector(corrector_bundle: Path) -> Corrector:
    return load_corrector(corrector_bundle, "cpu")


@pytest.fixture(scope="module")
def unsure(corrector_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Corrector:
    """It finds nothing, whatever it is shown."""
    path = Path(shutil.copytree(corrector_bundle, tmp_path_factory.mktemp("boxes") / "unsure"))
    find_nothing(path)
    return load_corrector(path, "cpu")


def labelmap(box: Box, image: Volume) -> Volume:
    return image.with_array(box.mask_on(image.grid).astype(np.uint8))


def two_corners() -> Volume:
    """Two things in opposite corners of the loose box, and between them the object, which their extents do not hold."""
    array = np.zeros(GRID.shape, np.uint8)
    ends = np.round(np.sort(GRID.to_ijk(LOOSE.corners()), axis=0)[[0, -1], ::-1]).astype(int)
    for corner, step in zip(ends, (1, -1), strict=True):
        array[tuple(slice(*sorted((at + step, at + 4 * step))) for at in corner)] = 1
    return image_on(GRID).with_array(array)


@pytest.mark.parametrize("grid", [GRID, *GRIDS.values()], ids=["plain", *GRIDS])
def test_a_box_becomes_the_boxes_of_its_slices(corrector: Corrector, grid) -> None:
    image, correction = image_on(grid), BoxCorrection(corrector)
    inside = correction.corrected(image, LOOSE).array > 0
    found = tighten(image, LOOSE, corrector, coverage=LEARNING_COVERAGE)
    assert found.safe and np.array_equal(inside, found.slices_as_volume(grid).array > 0)
    mask, loose = mask_on(grid).array > 0, LOOSE.mask_on(grid)
    assert (inside & mask).sum() >= 0.9 * mask.sum()
    assert not (inside & ~loose).any() and inside.sum() < 0.7 * loose.sum()
    assert (correction.boxes, correction.kept) == (1, 0)


def test_of_a_labelmap_its_box_is_tightened_and_its_extent_stays(corrector: Corrector) -> None:
    image, correction = image_on(GRID), BoxCorrection(corrector)
    whole = correction.corrected(image, labelmap(LOOSE, image)).array > 0
    box = Box.bounding(labelmap(LOOSE, image))
    assert np.array_equal(whole, correction.corrected(image, box).array > 0)
    # Boxes of slices that lack a corner of the box still lack it.
    cut = labelmap(LOOSE, image).array.copy()
    there = np.argwhere(whole)
    middle = there.mean(axis=0).astype(int)
    cut[: middle[0], :, : middle[2]] = 0
    left = correction.corrected(image, image.with_array(cut)).array > 0
    assert not (left & (cut == 0)).any() and 0 < left.sum() < whole.sum()
    # A labelmap on another grid, and of another value.
    oblique = GRIDS["oblique"]
    other = Volume(LOOSE.mask_on(oblique).astype(np.float32) * 3, oblique.ijk_to_ras, "other")
    found, mask = correction.corrected(image, other), mask_on(GRID).array > 0
    assert found.grid.same_as(GRID) and (found.array[mask] > 0).mean() >= 0.9 and found.array.sum() < 2.5 * mask.sum()


@pytest.mark.parametrize("box", [LOOSE, Box([5, -8, 12], np.eye(3), [30, 36, 39])], ids=["between", "on voxels"])
def test_a_box_that_the_corrector_is_not_sure_of_stays(unsure: Corrector, box: Box) -> None:
    image, correction = image_on(GRID), BoxCorrection(unsure)
    inside = correction.corrected(image, box).array > 0
    assert np.array_equal(inside, box.mask_on(GRID)) and (correction.boxes, correction.kept) == (1, 1)
    assert "nothing like an object" in correction.reason
    shape = labelmap(box, image).array
    shape[: len(shape) // 2, :, : shape.shape[2] // 2] = 0
    assert np.array_equal(correction.corrected(image, image.with_array(shape)).array, shape)


def test_of_a_labelmap_without_the_object_its_extent_stays(corrector: Corrector) -> None:
    image, correction = image_on(GRID), BoxCorrection(corrector)
    found = correction.corrected(image, two_corners()).array
    assert np.array_equal(found, two_corners().array) and correction.kept == 1
    assert "outside the given extent" in correction.reason


def test_a_labelmap_elsewhere_is_refused_by_the_training(corrector: Corrector, tmp_path: Path) -> None:
    image, far = image_on(GRID), labelmap(LOOSE, image_on(GRID))
    far = Volume(far.array, far.ijk_to_ras @ np.array([[1, 0, 0, 900], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]), "")
    with pytest.raises(InputError, match="does not meet the image"):
        train_segmenter(
            tmp_path / "mine",
            cases=[(image, far)],
            correction=BoxCorrection(corrector),
            steps=1,
            device="cpu",
            overrides=TINY_SEGMENTER,
        )
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize(("coverage", "words"), [(0, "between 0 and 1"), (2, "between 0 and 1"), (0.999, "at most")])
def test_a_coverage_that_the_corrector_does_not_have(corrector: Corrector, coverage: float, words: str) -> None:
    with pytest.raises(InputError, match=words):
        BoxCorrection(corrector, coverage)


def test_the_bundle_says_what_corrected_its_boxes(corrector: Corrector, tmp_path: Path) -> None:
    image = image_on(GRID)
    cases, options = (
        [(image, LOOSE), (image, [TIGHT, LOOSE])],
        {"steps": 1, "device": "cpu", "overrides": TINY_SEGMENTER},
    )
    bundle = train_segmenter(tmp_path / "mine", cases=cases, correction=BoxCorrection(corrector), **options)
    made = bundle.metadata["training"]["correction"]
    assert made == {"corrector": "tiny", "sha256": corrector.sha256, "coverage": 0.9, "boxes": 3, "kept": 0}
    card = " ".join(bundle.card.split())
    assert "3 of 3 (with those for validation) were tightened by the model tiny first, coverage 0.9" in card
    assert "boxes that a corrector tightened first; it learnt from masks" in card and "single mask" not in card
    assert bundle.metadata["training"]["data"] == "user boxes (3), tightened first"
    plain = train_segmenter(tmp_path / "plain", cases=cases, **options)
    assert plain.metadata["training"]["correction"] is None and "tightened" not in plain.card
    assert "without a single mask" in plain.card
    # Counted for each training, however often the correction is used; some are kept.
    correction = BoxCorrection(corrector, 0.95, boxes=7, kept=7)
    some = [*cases, (image, two_corners())]
    mixed = train_segmenter(tmp_path / "mixed", cases=some, validation_cases=cases, correction=correction, **options)
    made = mixed.metadata["training"]["correction"]
    assert (made["boxes"], made["kept"], made["coverage"]) == (7, 1, 0.95)
    assert "6 of 7 (with those for validation) were tightened" in " ".join(mixed.card.split())
    json.dumps(mixed.metadata)


def test_where_no_box_could_be_tightened_nothing_is_trained(unsure: Corrector, tmp_path: Path) -> None:
    told = []
    progress = Progress(lambda _, message: told.append(message))
    options = {"steps": 1, "device": "cpu", "overrides": TINY_SEGMENTER, "progress": progress}
    cases = [(image_on(GRID), [LOOSE, TIGHT])]
    with pytest.raises(InputError, match="none of the 2 box.* because nothing like an object"):
        train_segmenter(tmp_path / "mine", cases=cases, correction=BoxCorrection(unsure), **options)
    assert {"tightening box 1", "tightening box 2"} <= set(told) and not (tmp_path / "mine").exists()
    with pytest.raises(InputError, match="phantoms need no correction"):
        train_segmenter(tmp_path / "mine", phantoms=1, correction=BoxCorrection(unsure), **options)


def test_a_training_is_cancelled_between_two_boxes(corrector: Corrector, tmp_path: Path) -> None:
    told = []

    def stop(_fraction: float, message: str) -> None:
        told.append(message)
        if message == "tightening box 3":
            raise Cancelled

    with pytest.raises(Cancelled):
        train_segmenter(
            tmp_path / "mine",
            cases=[(image_on(GRID), [LOOSE] * 5)],
            correction=BoxCorrection(corrector),
            steps=1,
            device="cpu",
            progress=Progress(stop),
            overrides=TINY_SEGMENTER,
        )
    assert "tightening box 2" in told and told[-1] == "tightening box 3" and not (tmp_path / "mine").exists()
