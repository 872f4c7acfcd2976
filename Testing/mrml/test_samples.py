"""The sample data that come with the modules: whole, small, and ready to be worked on."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from SparseToPreciseLib.editing.edit_series import Stroke, edit_series
from SparseToPreciseLib.editing.editors import IMAGE_AWARE_WARP
from SparseToPreciseLib.mrml import files
from SparseToPreciseLib.mrml.landmark_teaching import read_lesson
from SparseToPreciseLib.mrml.lookup import find_segment
from SparseToPreciseLib.mrml.markups import load_markup, stroke_from_node
from SparseToPreciseLib.mrml.segmentations import segment_to_volume
from SparseToPreciseLib.mrml.volumes import volume_from_node

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = [
    (listing.parent, sample)
    for listing in sorted(ROOT.glob("*/Resources/SampleData/samples.json"))
    for sample in json.loads(listing.read_text(encoding="utf-8"))
]
LARGEST_BYTES, ALL_BYTES = 350_000, 4_000_000  # a file; all of them, in a repository that must stay small
KINDS = {"VolumeFile", "SegmentationFile", "MarkupsFile"}  # of Slicer's readers


def named(samples):
    return pytest.mark.parametrize(("folder", "sample"), samples, ids=[sample["name"] for _, sample in samples])


@named(SAMPLES)
def test_files_are_those_that_are_listed(folder: Path, sample: dict) -> None:
    for file in sample["files"]:
        assert hashlib.sha256((folder / file["file"]).read_bytes()).hexdigest() == file["sha256"], file["file"]
        assert file["type"] in KINDS and file["node"]
        assert (folder / file["file"]).stat().st_size < LARGEST_BYTES, file["file"]
    assert (folder / sample["thumbnail"]).read_bytes().startswith(b"\x89PNG")


def test_names_are_used_once() -> None:
    # Slicer keeps all samples in one folder.
    used = [file["file"] for _, sample in SAMPLES for file in sample["files"]]
    titles = [sample["name"] for _, sample in SAMPLES]
    assert len(set(used)) == len(used) and len(set(titles)) == len(titles) and SAMPLES


def test_all_of_them_are_small() -> None:
    folders = {folder for folder, _ in SAMPLES}
    assert sum(path.stat().st_size for folder in folders for path in folder.iterdir()) < ALL_BYTES


@named([(folder, sample) for folder, sample in SAMPLES if folder.parents[1].name == "EditingModule"])
def test_the_stroke_mends_the_segment(scene, folder: Path, sample: dict) -> None:
    image, segmentation, stroke = (folder / file["file"] for file in sample["files"])
    node = files.read_segmentation(segmentation)
    points = stroke_from_node(files.read_stroke(stroke))
    there = volume_from_node(files.read_volume(image))
    segment = segment_to_volume(node, find_segment(node))
    series = edit_series(there, segment, [Stroke("stroke", points)], editor=IMAGE_AWARE_WARP)
    assert np.count_nonzero(series.before.array != series.after.array) > 100
    assert series.strokes[0].result.changed_outside == 0


EARS = ROOT / "LandmarkModule" / "Resources" / "SampleData"


def test_the_annotated_ear_can_be_taught(scene) -> None:
    image = files.read_volume(EARS / "EarReference.nrrd")
    segmentation = files.read_segmentation(EARS / "EarReference-structure.seg.nrrd")
    points = load_markup(EARS / "EarReference-landmarks.mrk.json", "a landmark list")
    lesson = read_lesson(image, segmentation, find_segment(segmentation), points)
    assert list(lesson.reference.landmarks) == ["centre", "apex", "window"]
    assert lesson.reference.warnings == []


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_other_ears_show_what_is_looked_for(scene, number: int) -> None:
    image = volume_from_node(files.read_volume(EARS / f"EarTarget{number}.nrrd"))
    truth = json.loads((EARS / "truth.json").read_text(encoding="utf-8"))[f"Ear {number}"]
    assert list(truth) == ["centre", "apex", "window"]
    assert image.grid.contains(np.array(list(truth.values()))).all()


@named([(folder, sample) for folder, sample in SAMPLES if folder.parents[1].name == "SynthesisModule"])
def test_the_head_looks_forward(folder: Path, sample: dict) -> None:
    from SparseToPreciseLib.core.images import read_image
    from SparseToPreciseLib.synthesis.body import body_mask

    mr, ct = (read_image(folder / file["file"]) for file in sample["files"])
    assert mr.grid.same_as(ct.grid)
    body = body_mask(ct, -400).array > 0
    # Nose and sinuses hold most of the air, and lie in front of the brain.
    body_at, air_at = (ct.grid.points_ras()[where].mean(axis=0) for where in (body, body & (ct.array < -400)))
    assert air_at[1] > body_at[1] + 20 and air_at[2] < body_at[2]
