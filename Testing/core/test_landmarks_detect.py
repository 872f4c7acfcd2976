"""Teaching and finding as a whole, with a template that learnt a simple shape in seconds."""

from __future__ import annotations

import doctest
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from edit_cases import resized, rotation
from landmark_cases import (
    GRIDS,
    MOVED,
    ORIGIN,
    TURN,
    depth,
    grid_around,
    image_on,
    landmarks,
    quick_template,
    reference,
)

from SparseToPreciseLib.core.bundles import open_bundle
from SparseToPreciseLib.core.errors import Cancelled, InputError
from SparseToPreciseLib.core.progress import Progress
from SparseToPreciseLib.core.volume import Volume
from SparseToPreciseLib.landmarks.detect import Detection, detect
from SparseToPreciseLib.landmarks.inference import SlicePredictor
from SparseToPreciseLib.landmarks.model import Template, load_template, place_in
from SparseToPreciseLib.landmarks.recipe import train_template
from SparseToPreciseLib.landmarks.reference import Reference
from SparseToPreciseLib.landmarks.working_grid import Scale

TRUTH = landmarks(TURN, MOVED)
PLAIN = GRIDS["axis-aligned"]


@pytest.fixture(scope="module")
def template(landmark_template: Path) -> Template:
    return load_template(landmark_template, "cpu")


@pytest.fixture(scope="module")
def plain(template) -> Detection:
    return detect(template, image_on(PLAIN, TURN, MOVED))


def errors(found: Detection, truth=TRUTH) -> np.ndarray:
    assert set(found.placed) == set(truth), found.as_text()
    return np.array([np.linalg.norm(found.placed[name] - point) for name, point in truth.items()])


def taught_at(template: Template, factor: float) -> Template:
    """The template as if everything in its references had been so many times as large."""
    references = [
        Reference(
            resized(one.image, factor),
            resized(one.soi, factor),
            {name: factor * point for name, point in one.landmarks.items()},
        )
        for one in template.references
    ]
    lengths = template.scale
    scale = Scale(factor * lengths.diameter_mm, factor * lengths.spacing_mm, lengths.size)
    predictor = SlicePredictor(template.predictor.network, scale.spacing_mm, scale.size)
    places = [place_in(predictor, scale, one) for one in references]
    return Template(references, places, scale, predictor, template.name, template.sha256)


class TestDetect:
    def test_finds_what_was_turned_and_moved(self, plain: Detection) -> None:
        assert errors(plain).max() < 1.5
        assert min(one.confidence for one in plain.landmarks) > 0.5
        assert plain.place.ended == "converged" and not plain.mirrored
        assert set(plain.timings) == {"localize", "pose", "rigid", "deformable", "confidence"}
        json.dumps(plain.report)

    @pytest.mark.parametrize("name", [name for name in GRIDS if name != "axis-aligned"])
    def test_however_it_is_stored(self, template, plain: Detection, name: str) -> None:
        found = detect(template, image_on(GRIDS[name], TURN, MOVED))
        assert errors(found).max() < 1.8
        assert errors(found, plain.placed).max() < 1.0

    def test_the_same_twice(self, template, plain: Detection) -> None:
        import SimpleITK

        before = SimpleITK.ProcessObject.GetGlobalDefaultNumberOfThreads()
        again = detect(template, image_on(PLAIN, TURN, MOVED))
        for one, other in zip(again.landmarks, plain.landmarks, strict=True):
            np.testing.assert_array_equal(one.position, other.position)
            assert one.confidence == other.confidence
        assert SimpleITK.ProcessObject.GetGlobalDefaultNumberOfThreads() == before

    @pytest.mark.parametrize("factor", [1e-3, 10])
    def test_however_large_the_voxels_are(self, template, plain: Detection, factor: float) -> None:
        found = detect(taught_at(template, factor), resized(image_on(PLAIN, TURN, MOVED), factor))
        same = {name: point / factor for name, point in found.placed.items()}
        assert errors(plain, same).max() < 1e-3  # of voxels of 1.2
        for one, other in zip(found.landmarks, plain.landmarks, strict=True):
            assert one.confidence == pytest.approx(other.confidence, abs=1e-3)

    @pytest.mark.parametrize("angle", [120, 180])
    def test_turned_by_any_angle(self, template, angle: int) -> None:
        turned = rotation((1, -2, 3), angle)
        assert errors(detect(template, image_on(PLAIN, turned, MOVED)), landmarks(turned, MOVED)).max() < 2.5

    def test_whatever_the_intensities(self, template) -> None:
        image = image_on(PLAIN, TURN, MOVED)
        eight_bits = np.clip((image.array - 70) * 1.6, 0, 255).astype(np.uint8)
        assert errors(detect(template, image.with_array(eight_bits))).max() < 1.8

    def test_another_modality_is_found_or_left_unplaced(self, template) -> None:
        image = image_on(PLAIN, TURN, MOVED)
        found = detect(template, image.with_array(400 - image.array))
        for name, position in found.placed.items():
            assert np.linalg.norm(position - TRUTH[name]) < 2
        assert all(one.position is not None or one.reason for one in found.landmarks)

    def test_a_seed_point_instead_of_a_search(self, template) -> None:
        found = detect(template, image_on(PLAIN, TURN, MOVED), seed_point=MOVED + [8, -4, 4])
        assert errors(found).max() < 1.5

    def test_the_other_side(self, template) -> None:
        image = image_on(PLAIN, TURN, MOVED)
        mirror = np.diag([-1.0, 1, 1, 1])
        other = Volume(image.array, mirror @ image.ijk_to_ras)
        truth = {name: point * (-1, 1, 1) for name, point in TRUTH.items()}
        tried = detect(template, other, mirror="try")
        assert tried.mirrored and errors(tried, truth).max() < 1.5
        assert tried.report["mirror"]["scores"]["yes"] > tried.report["mirror"]["scores"]["no"]
        assert detect(template, other, mirror="yes", stages=("localize",)).mirrored

    @pytest.mark.parametrize("share", [0.2, 0.3])
    def test_what_is_not_in_the_image_is_not_placed_in_it(self, template, share: float) -> None:
        image = image_on(PLAIN, TURN, MOVED)
        inside = np.argwhere(depth(PLAIN.points_ras(), TURN, MOVED) > 0)[:, 0]
        lowest = int(np.ceil(inside.min() + share * np.ptp(inside)))  # the tip's end
        cut = image.cropped((slice(lowest, None), slice(None), slice(None)))
        assert [name for name, point in TRUTH.items() if not cut.grid.contains(point)] == ["tip"]
        found = detect(template, cut, seed_point=MOVED)
        (tip,) = [one for one in found.landmarks if one.name == "tip"]
        assert tip.position is None and tip.reason == "it would lie outside the image"
        assert set(found.placed) == {"big", "horn"}, found.as_text()
        for name, position in found.placed.items():
            assert np.linalg.norm(position - TRUTH[name]) < 2

    @pytest.mark.parametrize("size", [0.7, 1.6])
    def test_another_size_is_said_and_nothing_placed(self, template, size: float) -> None:
        grid = grid_around(MOVED, half_mm=30 * max(1, size))
        found = detect(template, image_on(grid, TURN, MOVED, size), seed_point=MOVED)
        assert found.placed == {}, found.as_text()
        assert found.report["size"]["factor"] == pytest.approx(size, rel=0.12)
        (note,) = found.notes
        assert f"about {found.report['size']['factor']:.2g} times as large as it was taught" in note
        assert any("times the taught size fits better" in one.reason for one in found.landmarks)

    def test_its_example(self, template) -> None:
        given = {"detect": detect, "template": template, "target": image_on(PLAIN, TURN, MOVED)}
        (example,) = doctest.DocTestFinder(recurse=False).find(detect, "detect", globs=given)
        assert doctest.DocTestRunner().run(example) == doctest.TestResults(failed=0, attempted=3)

    def test_noise_and_waves_are_left_alone(self, template) -> None:
        noise = np.random.default_rng(1).normal(size=PLAIN.shape)
        waves = np.sin(PLAIN.points_ras() @ (0.5, 0.3, 0.2)) + 0.2 * noise
        for array in (noise, waves):
            found = detect(template, Volume(array.astype(np.float32), PLAIN.ijk_to_ras))
            assert found.placed == {}
            assert all(one.reason for one in found.landmarks)

    def test_stages_can_be_left_out(self, template) -> None:
        image = image_on(PLAIN, TURN, MOVED)
        without = detect(template, image, stages=("localize",), threshold=0.0)
        assert errors(without).max() > 5  # it is still turned
        assert set(without.report["references"][0]) == {"pose"}
        posed = detect(template, image, stages=("localize", "pose"), threshold=0.0)
        assert errors(posed).max() < 4
        nowhere = detect(template, image, stages=(), threshold=0.0, seed_point=MOVED)
        assert nowhere.place.ended == "given"

    def test_several_references(self, template, plain: Detection) -> None:
        from dataclasses import replace

        two = replace(template, references=template.references * 2, places=template.places * 2)
        found = detect(two, image_on(PLAIN, TURN, MOVED))
        assert len(found.registered) == 2
        np.testing.assert_allclose(found.placed["tip"], plain.placed["tip"], atol=0.2)

    def test_refused(self, template) -> None:
        image = image_on(PLAIN, TURN, MOVED)
        with pytest.raises(InputError, match="no stage 'dance'"):
            detect(template, image, stages=("dance",))
        with pytest.raises(InputError, match="not 'maybe'"):
            detect(template, image, mirror="maybe")
        with pytest.raises(InputError, match="seed point .* lies outside shape"):
            detect(template, image, seed_point=[500, 0, 0])
        with pytest.raises(InputError, match="thinner slices"):
            detect(template, image_on(grid_around(MOVED, (1.2, 1.2, 15.0))))
        for slices in (5, 1):  # one: a 2D image
            with pytest.raises(InputError, match="shows all of it"):
                detect(template, image.cropped((slice(0, slices), slice(None), slice(None))))

    def test_cancel(self, template) -> None:
        asked = iter([False] * 6)
        with pytest.raises(Cancelled):
            detect(template, image_on(PLAIN), progress=Progress(cancelled=lambda: next(asked, True)))


class TestTemplate:
    def test_says_what_it_is(self, landmark_template: Path) -> None:
        bundle = open_bundle(landmark_template, "landmarks")
        bundle.verify()
        assert bundle.parameters["landmarks"] == ["big", "tip", "horn"]
        assert bundle.metadata["training"]["steps"] <= 120
        for words in ("not for diagnosis", "holds the reference images", "other slices of the same image"):
            assert words in bundle.card

    @pytest.mark.parametrize("name", ["image.nrrd", "landmarks.json", "soi.nrrd"])
    def test_a_changed_or_missing_file_is_refused(self, landmark_template: Path, tmp_path: Path, name: str) -> None:
        name = f"references/0/{name}"
        copy = Path(shutil.copytree(landmark_template, tmp_path / "copy"))
        content = bytearray((copy / name).read_bytes())
        content[-2] ^= 1
        (copy / name).write_bytes(content)
        for check in (load_template, lambda copy, _: open_bundle(copy).verify()):
            with pytest.raises(InputError, match=f"{name} was changed"):
                check(copy, "cpu")
        (copy / name).unlink()
        with pytest.raises(InputError, match=f"{name} is missing"):
            load_template(copy, "cpu")

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"format": 99}, "the format 99 where this version reads 1"),
            ({"files_sha256": {}}, "name no reference files"),
            ({"files_sha256": {"../secret": "0"}}, "outside of it"),
            ({"spacing_mm": -1}, "pixels of -1 mm and patches of 48 pixels make no sense"),
            ({"diameter_mm": 1e9}, r"its diameter_mm is 1e\+09 where the structure in its reference is 3\d\.\d mm"),
            ({"diameter_mm": float("nan")}, "its diameter_mm is nan"),
            ({"moments": [{}]}, "parameters are not in order"),
        ],
    )
    def test_metadata_that_make_no_sense_are_refused(
        self, landmark_template: Path, tmp_path: Path, change, words: str
    ) -> None:
        copy = Path(shutil.copytree(landmark_template, tmp_path / "copy"))
        path = copy / "configs" / "metadata.json"
        metadata = json.loads(path.read_text())
        metadata["parameters"] |= change
        path.write_text(json.dumps(metadata))
        with pytest.raises(InputError, match=words):
            load_template(copy, "cpu")

    def test_may_be_trained_again_but_not_over_a_file_of_the_users(
        self, landmark_template: Path, tmp_path: Path
    ) -> None:
        from SparseToPreciseLib.core.training.writing import check_bundle_target

        copy = Path(shutil.copytree(landmark_template, tmp_path / "copy"))
        check_bundle_target(copy, "landmarks")
        (copy / "references" / "0" / "notes.txt").write_text("mine")
        with pytest.raises(InputError, match="notes.txt, which no training wrote"):
            check_bundle_target(copy, "landmarks")


class TestTraining:
    def test_the_same_twice(self, tmp_path: Path, monkeypatch) -> None:
        monkeypatch.setattr("SparseToPreciseLib.landmarks.recipe.place_in", lambda *_: template_place())
        first, again = (quick_template(tmp_path / name, steps=4, batch_size=4) for name in ("a", "b"))
        assert first.sha256 == again.sha256
        assert quick_template(tmp_path / "c", steps=4, batch_size=4, seed=1).sha256 != first.sha256

    def test_ends_when_it_no_longer_improves(self, tmp_path: Path, monkeypatch) -> None:
        monkeypatch.setattr("SparseToPreciseLib.landmarks.recipe.place_in", lambda *_: template_place())
        bundle = quick_template(tmp_path / "t", steps=2000, batch_size=2, learning_rate=1e-12, patience=2)
        assert bundle.metadata["training"]["steps"] <= 500

    def test_cancelled_nothing_is_written_unless_that_was_asked_for(self, tmp_path: Path, monkeypatch) -> None:
        monkeypatch.setattr("SparseToPreciseLib.landmarks.recipe.place_in", lambda *_: template_place())

        def after(count: int) -> Progress:
            asked = iter([False] * count)
            return Progress(cancelled=lambda: next(asked, True))

        with pytest.raises(Cancelled):
            quick_template(tmp_path / "t", batch_size=2, progress=after(12))
        assert list(tmp_path.iterdir()) == []
        bundle = quick_template(tmp_path / "t", batch_size=2, progress=after(12), keep_on_cancel=True)
        assert bundle.metadata["training"]["cancelled"] and "Ended by the user" in bundle.card

    def test_a_network_that_learnt_nothing_is_refused(self, tmp_path: Path) -> None:
        wide = reference(grid_around(spacing=(3.0, 3.0, 3.0), half_mm=75))
        with pytest.raises(InputError, match="did not learn to find the structure"):
            train_template(tmp_path / "t", [wide], steps=2, batch_size=2, device="cpu")
        assert list(tmp_path.iterdir()) == []

    def test_but_a_small_image_is_searched_everywhere(self, tmp_path: Path) -> None:
        quick_template(tmp_path / "t", steps=2, batch_size=2)
        template = load_template(tmp_path / "t", "cpu")
        assert "did not learn" in template.notes[0]
        assert errors(detect(template, image_on(PLAIN, TURN, MOVED))).max() < 2.5

    def test_bad_input(self, tmp_path: Path) -> None:
        good = reference()
        other = Reference(good.image, good.soi, {"big": ORIGIN})
        with pytest.raises(InputError, match="at least one reference"):
            train_template(tmp_path / "t", [])
        with pytest.raises(InputError, match="Landmark horn is not in every reference"):
            train_template(tmp_path / "t", [good, other])
        with pytest.raises(InputError, match="no network 'huge'"):
            train_template(tmp_path / "t", [good], network="huge")
        with pytest.raises(InputError, match="Minutes must be a positive number, not 0"):
            train_template(tmp_path / "t", [good], minutes=0)
        assert list(tmp_path.iterdir()) == []


def template_place():
    """Where the shape is, as if a network had said so."""
    from SparseToPreciseLib.landmarks.localize import Place

    good = reference()
    return Place(good.centre, 1.0, good.moments, None)
