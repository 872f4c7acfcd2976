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
from SparseToPreciseLib.mrml.lookup import find_segment
from SparseToPreciseLib.mrml.markups import stroke_from_node
from SparseToPreciseLib.mrml.segmentations import segment_to_volume
from SparseToPreciseLib.mrml.volumes import volume_from_node

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = [
    (listing.parent, sample)
    for listing in sorted(ROOT.glob("*/Resources/SampleData/samples.json"))
    for sample in json.loads(listing.read_text(encoding="utf-8"))
]
LARGEST_BYTES = 300_000
KINDS = {"VolumeFile", "SegmentationFile", "MarkupsFile"}  # of Slicer's readers


def named(samples):
    return pytest.mark.parametrize(("folder", "sample"), samples, ids=[sample["name"] for _, sample in samples])


@named(SAMPLES)
def test_files_are_those_that_are_listed(folder: Path, sample: dict) -> None:
    for file in sample["files"]:
        assert hashlib.sha256((folder / file["file"]).read_bytes()).hexdigest() == file["sha256"], file["file"]
        assert file["type"] in KINDS and file["node"]
    assert sum((folder / file["file"]).stat().st_size for file in sample["files"]) < LARGEST_BYTES
    assert (folder / sample["thumbnail"]).read_bytes().startswith(b"\x89PNG")


def test_names_are_used_once() -> None:
    # Slicer keeps all samples in one folder.
    used = [file["file"] for _, sample in SAMPLES for file in sample["files"]]
    titles = [sample["name"] for _, sample in SAMPLES]
    assert len(set(used)) == len(used) and len(set(titles)) == len(titles) and SAMPLES


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
