"""`planes fill` and `planes suggest`: from files to files; bad input in one sentence, and nothing written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from edit_cases import CENTRE, case_on, grid_around

pytest.importorskip("slicer")

from cli_files import CommandLine
from SparseToPreciseLib.core.images import read_image, read_labelmap, write_image
from SparseToPreciseLib.core.markups import read_plane
from SparseToPreciseLib.core.masks import dice
from SparseToPreciseLib.core.plane import Plane
from SparseToPreciseLib.core.volume import Volume
from SparseToPreciseLib.mrml import files
from SparseToPreciseLib.mrml.labelmaps import segmentation_from_labelmap
from SparseToPreciseLib.mrml.planes import plane_to_node, write_plane

GRID = grid_around((2.0, 2.0, 2.5), half_mm=27)
NORMALS = ((0.2, 0.1, 1.0), (1.0, 0.3, 0.0), (0.1, 1.0, -0.4))


def on_planes(truth: np.ndarray, planes: list[Plane]) -> np.ndarray:
    paint = np.zeros_like(truth)
    for plane in planes:
        i, j, k = plane.voxels(GRID).T
        paint[k, j, i] = truth[k, j, i]
    return paint


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """image.nrrd, painted.nii.gz and painted.seg.nrrd (slices), oblique.nrrd with cut1..3.mrk.json, truth.nrrd."""
    folder = tmp_path_factory.mktemp("planes")
    case = case_on(GRID)
    truth = case.truth.array.astype(np.uint8)
    slices = [Plane.of_slice(GRID, 2, k) for k in (6, 11, 15)]
    oblique = [Plane.across(normal, CENTRE) for normal in NORMALS]
    files.write_volume(case.image, folder / "image.nrrd")
    painted = Volume(5 * on_planes(truth, slices), GRID.ijk_to_ras)
    write_image(painted, folder / "painted.nii.gz")
    node = segmentation_from_labelmap(painted)
    node.GetSegmentation().GetSegment("Segment_5").SetName("Ball")
    files.write_segmentation(node, folder / "painted.seg.nrrd")
    write_image(Volume(on_planes(truth, oblique), GRID.ijk_to_ras), folder / "oblique.nrrd")
    for number, plane in enumerate(oblique, start=1):
        write_plane(plane_to_node(plane, (90.0, 90.0)), folder / f"cut{number}.mrk.json")
    write_image(case.truth, folder / "truth.nrrd")
    return folder


@pytest.fixture
def work(made, tmp_path, scene) -> Path:
    return Path(shutil.copytree(made, tmp_path / "work"))


@pytest.fixture
def cli(capfd, work) -> CommandLine:
    return CommandLine(capfd, work)


def truth_of(work: Path) -> np.ndarray:
    return read_image(work / "truth.nrrd").array != 0


class TestFill:
    @pytest.mark.parametrize("name", ["painted.nii.gz", "painted.seg.nrrd"])
    def test_slices_are_found(self, cli, work: Path, name: str) -> None:
        extra = ("--picture", work / "p.png", "--report", work / "r.json")
        answer = cli("planes", "fill", work / "image.nrrd", work / name, "-o", work / f"out-{name}", *extra)
        assert answer.code == 0, answer.error
        assert "Voxels of the planes that changed: 0." in answer.out
        report = json.loads((work / "r.json").read_text())
        assert [plane["name"] for plane in report["planes"]] == ["slice K 6", "slice K 11", "slice K 15"]
        assert report["changed_on_planes"] == 0 and report["warnings"] == []
        assert (work / "p.png").read_bytes()[1:4] == b"PNG"
        before, after = (read_labelmap(work / one).array for one in (name, f"out-{name}"))
        assert np.array_equal(before[[6, 11, 15]], after[[6, 11, 15]])
        assert dice(after == after.max(), truth_of(work)) > 0.9
        if name.endswith(".nii.gz"):
            assert set(np.unique(after)) == {0, 5}
        else:
            node = files.read_segmentation(work / f"out-{name}")
            assert node.GetSegmentation().GetNthSegment(0).GetName() == "Ball"

    def test_planes_of_any_direction(self, cli, work: Path) -> None:
        planes = [argument for n in (1, 2, 3) for argument in ("--planes", work / f"cut{n}.mrk.json")]
        output = work / "out.mha"
        answer = cli("planes", "fill", work / "image.nrrd", work / "oblique.nrrd", "-o", output, *planes)
        assert answer.code == 0, answer.error
        before, after = (read_labelmap(path).array for path in (work / "oblique.nrrd", output))
        for normal in NORMALS:
            i, j, k = Plane.across(normal, CENTRE).voxels(GRID).T
            assert np.array_equal(before[k, j, i], after[k, j, i])
        assert dice(after, truth_of(work)) > 0.9

    def test_a_suggested_plane_is_painted_and_then_counts(self, cli, work: Path) -> None:
        output = work / "next.mrk.json"
        suggested = ("planes", "suggest", work / "image.nrrd", work / "painted.nii.gz", "-o", output)
        answer = cli(*suggested, "--report", work / "r.json")
        assert answer.code == 0, answer.error
        told = json.loads((work / "r.json").read_text())["suggested"]
        assert 0 < told["gain"] <= 1 and f"To paint next: {told['name']}" in answer.out
        i, j, k = read_plane(output).voxels(GRID).T
        assert truth_of(work)[k, j, i].sum() > 50
        axis = "IJK".index(told["name"].split()[1])
        assert len(set((i, j, k)[axis].tolist())) == 1 and len(i) == np.prod(GRID.shape) / GRID.shape[2 - axis]


class TestRefusals:
    @pytest.fixture
    def refused(self, cli, work: Path):
        def sentence(*more: object, image="image.nrrd", painted="painted.nii.gz", verb="fill", out="o.nrrd") -> str:
            return cli.refuses("planes", verb, work / image, work / painted, "-o", work / out, *more)

        return sentence

    def test_no_paint(self, refused, work: Path) -> None:
        write_image(Volume(np.zeros(GRID.shape, np.uint8), GRID.ijk_to_ras), work / "empty.nrrd")
        assert "empty.nrrd: empty has no segments, so that nothing was painted" in refused(painted="empty.nrrd")

    def test_a_whole_object(self, refused) -> None:
        assert "truth.nrrd: No slice was painted on its own" in refused(painted="truth.nrrd")

    def test_a_plane_outside(self, refused, work: Path) -> None:
        write_plane(plane_to_node(Plane.across([0, 0, 1], [0, 0, 500]), (9.0, 9.0)), work / "far.mrk.json")
        assert "far at [0.0, 0.0, 500.0] (RAS, mm) lies outside" in refused("--planes", work / "far.mrk.json")

    def test_a_stroke_for_a_plane(self, refused, work: Path) -> None:
        files.write_stroke(np.eye(3), work / "s.mrk.json")
        assert "holds a markup of type Curve; draw it as a plane" in refused("--planes", work / "s.mrk.json")

    def test_slices_and_planes(self, refused, work: Path) -> None:
        sentence = refused("--slices", "K", "--planes", work / "cut1.mrk.json")
        assert "--slices K finds slices where no planes are named" in sentence

    def test_a_segment_that_is_not_there(self, refused) -> None:
        assert "has no segment 7; it has Segment_5" in refused("--segment", "7")

    def test_one_slice_only(self, refused, work: Path) -> None:
        write_image(Volume(np.ones((1, 5, 5), np.uint8), np.eye(4)), work / "flat.nrrd")
        assert "with one slice there is nothing to fill" in refused(painted="flat.nrrd")

    def test_values_that_are_no_numbers(self, refused, work: Path) -> None:
        image = read_image(work / "image.nrrd")
        write_image(image.with_array(np.full(image.shape, np.nan, np.float32)), work / "nan.nrrd")
        assert "has values that are no numbers near the paint" in refused(image="nan.nrrd")

    def test_an_output_of_another_kind(self, refused) -> None:
        assert "must end with .seg.nrrd or" in refused(out="o.mrk.json")
        assert "must end with .mrk.json" in refused(verb="suggest", out="o.nrrd")

    def test_the_painted_file_is_never_lost_to_a_plane(self, refused, work: Path) -> None:
        shutil.copy(work / "cut1.mrk.json", work / "kept.mrk.json")
        sentence = refused("--planes", work / "cut1.mrk.json", verb="suggest", out="cut1.mrk.json")
        assert "is one of the inputs" in sentence


def test_a_file_may_replace_what_was_painted(cli, work: Path) -> None:
    painted = work / "painted.seg.nrrd"
    answer = cli("planes", "fill", work / "image.nrrd", painted, "-o", painted, "--slices", "K", "--segment", "Ball")
    assert answer.code == 0, answer.error
    assert dice(read_labelmap(painted).array, truth_of(work)) > 0.9
