"""Loose boxes that are tightened before a segmenter learns from them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from box_cases import GRID, GRIDS, LOOSE, TIGHT, find_nothing, image_on, mask_on, tiny_corrector  # noqa: E402

from SparseToPreciseLib.boxes.corrected_boxes import LEARNING_COVERAGE, BoxCorrection  # noqa: E402
from SparseToPreciseLib.boxes.model import Corrector, load_corrector  # noqa: E402
from SparseToPreciseLib.boxes.tighten import tighten  # noqa: E402
from SparseToPreciseLib.boxes.training_run import train_segmenter  # noqa: E402
from SparseToPreciseLib.core.box import Box  # noqa: E402
from SparseToPreciseLib.core.errors import Cancelled, InputError  # noqa: E402
from SparseToPreciseLib.core.progress import Progress  # noqa: E402
from SparseToPreciseLib.core.volume import Volume  # noqa: E402
from test_boxes_segmenter_training import TINY  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_corrector(tmp_path_factory.mktemp("boxes") / "tiny")


@pytest.fixture(scope="module")
def corrector(folder: Path) -> Corrector:
    return load_corrector(folder, "cpu")


@pytest.fixture(scope="module")
def unsure(tmp_path_factory: pytest.TempPathFactory) -> Corrector:
    """It finds nothing, whatever it is shown."""
    path = tiny_corrector(tmp_path_factory.mktemp("boxes") / "unsure")
    find_nothing(path)
    return load_corrector(path, "cpu")


def labelmap(box: Box, image: Volume) -> Volume:
    return image.with_array(box.mask_on(image.grid).astype(np.uint8))


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
    # A labelmap on another grid, and one of another value.
    oblique = GRIDS["oblique"]
    other = Volume(LOOSE.mask_on(oblique).astype(np.uint8) * 3, oblique.ijk_to_ras, "other")
    assert correction.corrected(image, other).grid.same_as(GRID)


def test_a_box_that_the_corrector_is_not_sure_of_stays(unsure: Corrector) -> None:
    image, correction = image_on(GRID), BoxCorrection(unsure)
    inside = correction.corrected(image, LOOSE).array > 0
    assert np.array_equal(inside, LOOSE.mask_on(GRID)) and (correction.boxes, correction.kept) == (1, 1)


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
            overrides=TINY,
        )
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize(("coverage", "words"), [(0, "between 0 and 1"), (2, "between 0 and 1"), (0.999, "at most")])
def test_a_coverage_that_the_corrector_does_not_have(corrector: Corrector, coverage: float, words: str) -> None:
    with pytest.raises(InputError, match=words):
        BoxCorrection(corrector, coverage)


def test_the_bundle_says_what_corrected_its_boxes(corrector: Corrector, unsure: Corrector, tmp_path: Path) -> None:
    image = image_on(GRID)
    cases, options = [(image, LOOSE), (image, [TIGHT, LOOSE])], {"steps": 1, "device": "cpu", "overrides": TINY}
    bundle = train_segmenter(tmp_path / "mine", cases=cases, correction=BoxCorrection(corrector), **options)
    made = bundle.metadata["training"]["correction"]
    assert made == {"corrector": "tiny", "sha256": corrector.sha256, "coverage": 0.9, "boxes": 3, "kept": 0}
    assert "corrected by the model tiny first, coverage 0.9." in " ".join(bundle.card.split())
    assert bundle.metadata["training"]["data"] == "corrected user boxes (3)"
    plain = train_segmenter(tmp_path / "plain", cases=cases, **options)
    assert plain.metadata["training"]["correction"] is None and "corrected" not in plain.card
    correction = replace(BoxCorrection(unsure), coverage=0.95)
    kept = train_segmenter(tmp_path / "kept", cases=cases, validation_cases=cases, correction=correction, **options)
    assert kept.metadata["training"]["correction"]["kept"] == 6
    assert "coverage 0.95, but for 6 of 6, of which it was not sure." in " ".join(kept.card.split())
    json.dumps(kept.metadata)


def test_a_training_is_cancelled_between_two_boxes(corrector: Corrector, tmp_path: Path) -> None:
    correction = BoxCorrection(corrector)

    def stop(_fraction: float, _message: str) -> None:
        if correction.boxes == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        train_segmenter(
            tmp_path / "mine",
            cases=[(image_on(GRID), [LOOSE] * 5)],
            correction=correction,
            steps=1,
            device="cpu",
            progress=Progress(stop),
            overrides=TINY,
        )
    assert correction.boxes == 2 and not (tmp_path / "mine").exists()
