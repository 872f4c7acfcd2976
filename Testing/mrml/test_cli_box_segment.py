"""`sparse-to-precise box segment` on files: what it writes and says, and the same answer from every storage."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from box_cases import CENTRE, GRID, GRIDS, LOOSE, TIGHT, find_nothing, image_on, mask_on
from edit_cases import rotation

from SparseToPreciseLib.core.box import Box
from SparseToPreciseLib.core.bundles import METADATA, open_bundle
from SparseToPreciseLib.core.images import read_labelmap
from SparseToPreciseLib.core.masks import dice
from SparseToPreciseLib.mrml import files
from SparseToPreciseLib.mrml.rois import roi_from_box, write_roi

SLIGHTLY = TIGHT.grown(3, 3)


@pytest.fixture
def segment(box_cli, box_folder: Path):
    """What `box segment` finds, on the image's grid."""
    write_roi(roi_from_box(SLIGHTLY, color=(0.2, 0.7, 0.3)), box_folder / "near.mrk.json")

    def found(*more: object, image="image.nrrd", roi="near.mrk.json", out="out.nrrd"):
        given = (box_folder / image, box_folder / roi, "-o", box_folder / out)
        models = ("--model", box_folder / "segmenter", "--device", "cpu")
        box_cli.succeeds("box", "segment", *given, *models, *more)
        return read_labelmap(box_folder / out)

    return found


def test_everything_that_is_asked_for_is_written(segment, box_folder: Path) -> None:
    found = segment("--report", box_folder / "r.json", "--picture", box_folder / "p.png", out="out.seg.nrrd")
    there = found.resampled_to(GRID, "nearest", fill=0).array != 0
    assert dice(there, mask_on(GRID).array != 0) > 0.85
    assert SLIGHTLY.contains(GRID.to_ras(np.argwhere(there)[:, ::-1])).all()
    node = files.read_segmentation(box_folder / "out.seg.nrrd").GetSegmentation()
    segment_node = node.GetSegment(node.GetSegmentIDs()[0])
    assert segment_node.GetName() == "near" and segment_node.GetColor() == pytest.approx((0.2, 0.7, 0.3))
    report = json.loads((box_folder / "r.json").read_text())
    assert report["segmented"]["volume_mm3"] == pytest.approx(np.count_nonzero(there) * GRID.voxel_volume_mm3)
    assert report["tightened"] is None and report["model"]["name"] == "tiny"
    assert (box_folder / "p.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in box_folder.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("name", ["out.nii.gz", "out.nrrd", "out.mha"])
def test_a_labelmap_on_the_image_s_grid(segment, box_folder: Path, name: str) -> None:
    segment(out=name)
    image, found = sitk.ReadImage(str(box_folder / "image.nrrd")), sitk.ReadImage(str(box_folder / name))
    assert found.GetSize() == image.GetSize() and found.GetPixelID() == sitk.sitkUInt8
    np.testing.assert_allclose(found.GetOrigin(), image.GetOrigin(), atol=1e-4)
    assert set(np.unique(sitk.GetArrayFromImage(found))) == {0, 1}


def test_tightened_first(segment, box_folder: Path) -> None:
    more = ("--tighten-first", "--corrector", box_folder / "corrector", "--report", box_folder / "r.json")
    found = segment(*more, roi="loose.mrk.json")
    report = json.loads((box_folder / "r.json").read_text())
    described = report["tightened"]
    tight = Box(described["center"], np.transpose(described["axes"]), described["size_mm"])
    assert described["safe"] and tight.volume_mm3 < 0.7 * LOOSE.volume_mm3
    assert tight.contains(found.grid.to_ras(np.argwhere(found.array)[:, ::-1])).all()
    assert dice(found.array != 0, mask_on(GRID).array != 0) > 0.75


def test_a_corrector_segments_around_a_longest_diameter(segment, box_folder: Path) -> None:
    half = np.where(TIGHT.size == TIGHT.size.max(), TIGHT.size / 2, 0)
    ends = [{"position": list(TIGHT.center + sign * half)} for sign in (-1, 1)]
    markup = {"type": "Line", "coordinateSystem": "RAS", "controlPoints": ends}
    (box_folder / "line.mrk.json").write_text(json.dumps({"markups": [markup]}))
    found = segment("--model", box_folder / "corrector", "--report", box_folder / "r.json", roi="line.mrk.json")
    report = json.loads((box_folder / "r.json").read_text())
    assert report["model"]["weights_sha256"] == open_bundle(box_folder / "corrector").sha256
    assert report["given"]["size_mm"] == pytest.approx([1.2 * TIGHT.size.max()] * 3)
    assert dice(found.array != 0, mask_on(GRID).array != 0) > 0.8


def test_where_tightening_is_unsure_the_given_box_is_segmented(box_cli, segment, box_folder: Path) -> None:
    find_nothing(box_folder / "corrector")
    more = ("--tighten-first", "--corrector", box_folder / "corrector", "--report", box_folder / "r.json")
    found = segment(*more)
    report = json.loads((box_folder / "r.json").read_text())
    assert report["tightened"]["safe"] is False and report["tightened"]["reason"] in report["warnings"][0]
    assert np.array_equal(found.array, segment(out="plain.nrrd").array)


@pytest.mark.parametrize("name", GRIDS)
def test_another_storage_of_the_image_gives_the_same_answer(segment, box_folder: Path, name: str) -> None:
    plain = segment()
    files.write_volume(image_on(GRIDS[name]), box_folder / "other.nrrd")
    other = segment(image="other.nrrd", out="other-out.nrrd")
    soft = other.with_array((other.array != 0).astype(np.float32)).resampled_to(plain.grid, fill=0).array
    # With axes in another order, slices of the isotropic image are cut along another axis.
    assert dice(soft > 0.5, plain.array != 0) > (0.85 if name == "axes in another order" else 0.9)
    assert dice(other.array != 0, mask_on(GRIDS[name]).array != 0) > 0.8


def test_a_turned_box(segment, box_folder: Path) -> None:
    turned = Box(CENTRE, rotation((1, 1, 2), 25), [26.0, 30.0, 36.0])
    write_roi(roi_from_box(turned), box_folder / "turned.mrk.json")
    found = segment(roi="turned.mrk.json")
    assert turned.contains(found.grid.to_ras(np.argwhere(found.array)[:, ::-1])).all()
    assert dice(found.array != 0, mask_on(GRID).array != 0) > 0.75


@pytest.mark.parametrize("out", ["o.seg.nrrd", "o.nii.gz"])
def test_nothing_found_is_an_empty_segment_and_a_warning(segment, box_folder: Path, out: str) -> None:
    metadata = box_folder / "segmenter" / METADATA
    content = json.loads(metadata.read_text())
    content["parameters"]["level"] = 1 - 1e-9  # nothing is as sure as that
    metadata.write_text(json.dumps(content))
    found = segment("--report", box_folder / "r.json", "--picture", box_folder / "p.png", out=out)
    assert not found.array.any()
    assert "the segmentation is empty" in json.loads((box_folder / "r.json").read_text())["warnings"][0]
    if out.endswith(".seg.nrrd"):
        assert files.read_segmentation(box_folder / out).GetSegmentation().GetNumberOfSegments() == 1
