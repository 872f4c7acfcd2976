"""Whatever stands in a file of markups or segments, the process goes on or refuses it in one sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from SparseToPreciseLib.core.box import Box
from SparseToPreciseLib.core.volume import Volume
from SparseToPreciseLib.mrml import files
from SparseToPreciseLib.mrml.labelmaps import segmentation_from_labelmap
from SparseToPreciseLib.mrml.landmark_lists import landmarks_to_node, write_landmarks
from SparseToPreciseLib.mrml.rois import roi_from_box, write_roi
from SparseToPreciseLib.mrml.segmentations import new_segment, volume_to_segment

LIBRARY = Path(__file__).resolve().parents[2] / "SparseToPrecise"
MUTATIONS = int(os.environ.get("FUZZED_FILES", "10000"))
BATCHES = 4


@pytest.fixture
def sources(scene, tmp_path: Path) -> Path:
    files.write_stroke(np.arange(12.0).reshape(4, 3), tmp_path / "stroke.mrk.json")
    files.write_stroke(np.arange(12.0).reshape(4, 3), tmp_path / "stroke.fcsv")
    landmarks = landmarks_to_node({"nose": np.array([1.0, 2, 3]), "ear": np.array([4.0, 5, 6])})
    write_landmarks(landmarks, tmp_path / "points.mrk.json")
    write_roi(roi_from_box(Box([1, 2, 3], np.eye(3), [4, 5, 6])), tmp_path / "roi.mrk.json")
    labels = np.zeros((5, 6, 7), np.uint8)
    labels[1:3, 1:4, 1:5], labels[4, 4, 4] = 1, 2
    node = segmentation_from_labelmap(Volume(labels, np.eye(4)))
    volume_to_segment(Volume((labels > 0).astype(np.uint8), np.eye(4)), node, new_segment(node, "over"))
    files.write_segmentation(node, tmp_path / "s.seg.nrrd")
    return tmp_path


@pytest.mark.parametrize("batch", range(BATCHES))
def test_no_mutation_ends_the_process(sources: Path, batch: int) -> None:
    first, stop = (MUTATIONS * part // BATCHES for part in (batch, batch + 1))
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("fuzzed_files.py"), sources, str(first), str(stop)],
        env=os.environ | {"PYTHONPATH": str(LIBRARY)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    last = done.stdout.split()[-1:]
    assert done.returncode == 0, f"mutation {last} ended with {done.returncode}: {done.stderr[-2000:]}"
    assert last == [str(stop - 1)]
