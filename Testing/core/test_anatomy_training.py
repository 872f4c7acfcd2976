"""Each family trains on a folder of real anatomy, and its bundle says what it learnt from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from box_cases import TINY_CORRECTOR, TINY_SEGMENTER
from scipy import ndimage
from synthesis_cases import TINY_SYNTHESIS

from SparseToPreciseLib.anatomy.cases import AnatomyCubes, Variation
from SparseToPreciseLib.boxes.scenes import anatomy_scenes, is_compact, similarity_to_surroundings
from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.images import write_image
from SparseToPreciseLib.core.training.recipe import train
from SparseToPreciseLib.core.volume import Volume
from SparseToPreciseLib.families import FAMILIES
from tiny_training import tiny_options

SOURCES = [{"source": "hospital", "licence": "ours", "cases": 4}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four noisy blobs in CT-like images, with an MR each, and one more to validate with."""
    path = tmp_path_factory.mktemp("anatomy")
    rng = np.random.default_rng(0)
    lines = ["name\timage\tlabel\tct\tsource\tlicence\trole"]
    for number in range(5):
        field = ndimage.gaussian_filter(rng.normal(size=(40, 44, 48)), 5)
        distance = np.linalg.norm(np.indices(field.shape) - np.array(field.shape)[:, None, None, None] / 2, axis=0)
        body = distance < 18
        organ = distance + 60 * field < 9
        matrix = np.diag((2.0, 2.0, 2.0, 1.0))
        noise = rng.normal(size=field.shape)
        ct = np.where(organ, 400.0, np.where(body, 40.0, -1000.0)) + 8 * noise
        mr = np.where(organ, 60.0, np.where(body, 300.0, 0.0)) + 6 * np.abs(noise)
        for name, array in (("mr", mr), ("ct", ct), ("seg", organ)):
            write_image(Volume(array.astype(np.int16), matrix), path / f"{name}{number}.nrrd")
        role = "validate" if number == 4 else "train"
        lines.append(f"c{number}\tmr{number}.nrrd\tseg{number}.nrrd\tct{number}.nrrd\thospital\tours\t{role}")
    (path / "table.tsv").write_text("\n".join(lines) + "\n")
    return path


def test_editing(folder: Path, tmp_path: Path) -> None:
    options = tiny_options(tmp_path)
    options["overrides"] = {**options["overrides"], "simulation::anatomy_share": 1.0}
    bundle = train("editing", tmp_path / "model", anatomy=folder, **options)
    trained = bundle.metadata["training"]
    assert trained["data"] == "real anatomy and phantoms" and trained["sources"] == SOURCES
    card = (tmp_path / "model" / "docs" / "README.md").read_text()
    assert "hospital (4 cases, ours)" in card and "never seen a patient" not in card
    # What is kept is drawn anew for another folder only.
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "cache" / "training-anatomy").glob("case-*.npy")}
    train("editing", tmp_path / "again", anatomy=folder, **options)
    again = (tmp_path / "cache" / "training-anatomy").glob("case-*.npy")
    assert kept and {path.name: path.stat().st_mtime_ns for path in again} == kept


def test_boxes(folder: Path, tmp_path: Path) -> None:
    for family, overrides in (("boxes-corrector", TINY_CORRECTOR), ("boxes-segmenter", TINY_SEGMENTER)):
        bundle = train(
            family, tmp_path / family, anatomy=folder, phantoms=2, steps=1, device="cpu", overrides=overrides
        )
        assert bundle.metadata["training"]["data"] == "real anatomy and phantoms"
        assert bundle.metadata["training"]["sources"] == SOURCES
        assert "hospital (4 cases, ours)" in (tmp_path / family / "docs" / "README.md").read_text()


def test_images_that_end_at_their_structures_are_no_cases_for_boxes(tmp_path: Path, monkeypatch) -> None:
    filled = Volume(np.ones((24, 24, 24), np.int16), np.eye(4))
    filled.array[0] = 0
    for name in ("image", "label"):
        write_image(filled, tmp_path / f"{name}.nrrd")
    (tmp_path / "table.tsv").write_text("name\timage\tlabel\na\timage.nrrd\tlabel.nrrd\n")
    monkeypatch.setattr("SparseToPreciseLib.boxes.scenes._ATTEMPTS", 4)
    cubes = AnatomyCubes(tmp_path, variation=Variation(look_share=0))
    with pytest.raises(InputError, match="In 4 tries no whole, compact structure could be cut from .* to train"):
        anatomy_scenes(cubes, [1])


def test_boxes_learn_from_objects_that_a_box_is_drawn_around() -> None:
    ball = np.linalg.norm(np.indices((32, 32, 32)) - 15.5, axis=0) < 8
    assert is_compact(ball)
    assert not is_compact(ball & ~ndimage.binary_erosion(ball)), "a sheet"
    two = np.concatenate([ball, ball], axis=2)
    assert not is_compact(two), "two pieces"
    two[15, 15, 20:44] = True
    assert is_compact(two)


def test_the_similarity_to_the_surroundings_is_that_of_histograms() -> None:
    rng = np.random.default_rng(0)
    ball = np.linalg.norm(np.indices((32, 32, 32)) - 15.5, axis=0) < 8
    noise = rng.normal(size=ball.shape).astype(np.float32)
    assert similarity_to_surroundings(noise, ball) > 0.9
    assert similarity_to_surroundings(noise + 10 * ball, ball) < 0.1
    between = similarity_to_surroundings(noise + ball, ball)
    assert 0.4 < between < 0.8
    assert similarity_to_surroundings(np.exp(noise + ball), ball) == pytest.approx(between)


def test_synthesis(folder: Path, tmp_path: Path) -> None:
    bundle = train("synthesis", tmp_path / "model", anatomy=folder, steps=1, device="cpu", overrides=TINY_SYNTHESIS)
    assert bundle.metadata["training"]["data"] == "real pairs"
    assert bundle.metadata["training"]["sources"] == SOURCES
    assert (bundle.metadata["training"]["pairs"], bundle.metadata["training"]["validation_pairs"]) == (4, 1)
    assert "hospital (4 cases, ours)" in (tmp_path / "model" / "docs" / "README.md").read_text()


@pytest.mark.parametrize("family", ["editing", "boxes-corrector", "boxes-segmenter", "synthesis"])
def test_cases_and_anatomy_exclude_each_other(family: str, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="exclude each other"):
        train(family, tmp_path / "model", anatomy=folder, cases=[], steps=1, device="cpu")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("family", ["editing", "boxes-corrector", "boxes-segmenter", "synthesis"])
def test_a_folder_without_a_table_is_refused(family: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no readable table"):
        train(family, tmp_path / "model", anatomy=tmp_path, steps=1, device="cpu")
    assert not (tmp_path / "model").exists()


def test_own_cases_of_editing_have_their_own_time() -> None:
    recipe = FAMILIES["editing"].recipe_class()
    assert recipe.for_cases({"cases": []}) == {"minutes": 15.0}
    assert recipe.for_cases({"cases": None, "anatomy": "there"}) == {}
