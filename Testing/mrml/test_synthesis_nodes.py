"""Synthetic CTs and what comes with them as nodes, under transforms; the files of the child process."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from synthesis_cases import CENTRE, GRID, GRIDS, ball_on, ct_on, mr_on, tiny_model

from known_shape import matrix
from SparseToPreciseLib.core.errors import Cancelled, InputError
from SparseToPreciseLib.core.images import read_image, write_image
from SparseToPreciseLib.core.progress import Progress
from SparseToPreciseLib.core.volume import Volume

pytest.importorskip("slicer")
pytest.importorskip("torch")

from SparseToPreciseLib.core.quiet import quiet
from SparseToPreciseLib.mrml import evaluation_nodes
from SparseToPreciseLib.mrml import synthesis_nodes as nodes
from SparseToPreciseLib.mrml.segmentations import new_segment, segment_to_volume, volume_to_segment
from SparseToPreciseLib.mrml.synthesis_files import read_answer, write_request
from SparseToPreciseLib.mrml.volumes import volume_from_node, volume_to_node
from SparseToPreciseLib.synthesis.hu import classify
from SparseToPreciseLib.synthesis.metrics import evaluate
from SparseToPreciseLib.synthesis.model import load_model
from SparseToPreciseLib.synthesis.synthesize import synthesize

RIGID = matrix((10, 40, -25), origin=(3, -20, 8))
SHEARED = matrix((5, -10, 15), (1.1, 0.9, 1.05), (4, 2, -6), shear=0.15)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_model(tiny_model(tmp_path_factory.mktemp("models") / "tiny"), "cpu")


@pytest.fixture
def mr(scene):
    return volume_to_node(mr_on(GRID), "Head")


def made_of(inputs: nodes.SynthesisInputs, model, **options) -> nodes.Synthetic:
    return nodes.Synthetic.of(synthesize(inputs.mr, model, inputs.body, **options), classes=True)


def shifted(inputs: nodes.SynthesisInputs, value: int = 0) -> nodes.Synthetic:
    """A CT that needs no model."""
    array = np.where(inputs.mr.array > 100, 40 + value, -1024).astype(np.int16)
    return nodes.Synthetic(inputs.mr.with_array(array), models=("threshold",), warnings=("It is a threshold.",))


def ijk_to_ras(node) -> np.ndarray:
    import vtk

    found = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(found)
    return np.array([[found.GetElement(i, j) for j in range(4)] for i in range(4)])


class TestShow:
    @pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
    @pytest.mark.parametrize("moved", [None, RIGID, SHEARED], ids=["here", "rigid", "sheared"])
    def test_the_ct_lies_on_the_mrs_voxels(self, scene, linear, model, grid, moved) -> None:
        node = volume_to_node(mr_on(grid), "Head")
        if moved is not None:
            node.SetAndObserveTransformNodeID(linear(moved).GetID())
        inputs = nodes.read_inputs(node)
        made = shifted(inputs)
        ct = nodes.show_synthetic(inputs, made)
        assert ijk_to_ras(ct).tobytes() == ijk_to_ras(node).tobytes()
        assert ct.GetTransformNodeID() == node.GetTransformNodeID()
        shown = volume_from_node(ct)
        assert shown.array.dtype == np.int16 and np.array_equal(shown.array, made.ct.array)
        assert shown.grid.same_as(volume_from_node(node).grid)

    def test_what_the_model_sees_follows_the_transform(self, scene, linear, model) -> None:
        """Head turned by a transform or by its own matrix: the same CT."""
        turned = volume_to_node(Volume(mr_on(GRID).array, RIGID @ GRID.ijk_to_ras, "Head"), "Head")
        under = volume_to_node(mr_on(GRID), "Head")
        under.SetAndObserveTransformNodeID(linear(RIGID).GetID())
        one, other = (made_of(nodes.read_inputs(node), model).ct.array for node in (turned, under))
        assert np.abs(one.astype(int) - other).max() <= 1

    def test_everything_that_a_ct_comes_with(self, mr, model) -> None:
        inputs = nodes.read_inputs(mr)
        ct = nodes.show_synthetic(inputs, made_of(inputs, model, bands=True, uncertainty=True))
        assert ct.GetName() == "Head CT" and nodes.is_synthetic(ct) and nodes.mr_of(ct) is mr
        names = {what: nodes.companion(ct, what).GetName() for what in nodes.COMPANIONS}
        assert names["high"] == "Head CT high band" and names["uncertainty"] == "Head CT uncertainty"
        low, high, both = (volume_from_node(n).array.astype(int) for n in
                           (nodes.companion(ct, "low"), nodes.companion(ct, "high"), ct))  # fmt: skip
        inside = both > -1024
        assert np.abs((low + high - both)[inside]).max() <= 2
        segmentation = nodes.classes_of(ct).GetSegmentation()
        titles = {segmentation.GetSegment(one).GetName(): one for one in segmentation.GetSegmentIDs()}
        assert set(titles) <= {"air", "soft tissue", "bone"} and "soft tissue" in titles
        soft = segment_to_volume(nodes.classes_of(ct), titles["soft tissue"], volume_from_node(ct).grid)
        assert np.array_equal(soft.array > 0, inside & (both >= -400) & (both <= 250))
        assert nodes.ct_of_uncertainty(nodes.companion(ct, "uncertainty")) is ct
        assert "tiny" in ct.GetDescription() and "not measured" in ct.GetDescription()

    @pytest.mark.parametrize("known", [True, False], ids=["items are there", "items are made"])
    def test_it_lies_in_the_mrs_study(self, scene, mr, known: bool) -> None:
        import slicer
        import vtk

        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
        study = hierarchy.CreateStudyItem(hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "Anna"), "2026")
        hierarchy.CreateItem(study, mr)

        def added(_scene, _event, node) -> None:  # as the application does
            if node.IsA("vtkMRMLScalarVolumeNode") or node.IsA("vtkMRMLSegmentationNode"):
                hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)

        added.CallDataType = vtk.VTK_OBJECT
        observer = scene.AddObserver(slicer.vtkMRMLScene.NodeAddedEvent, added) if known else None
        try:
            inputs = nodes.read_inputs(mr)
            made = shifted(inputs)
            more = dict.fromkeys(nodes.COMPANIONS, made.ct)
            made = replace(made, **more, classes=classify(made.ct))
            ct = nodes.show_synthetic(inputs, made)
            filed = [ct, nodes.classes_of(ct), *(nodes.companion(ct, what) for what in nodes.COMPANIONS)]
            reference = volume_to_node(ct_on(GRID), "True")
            given = evaluation_nodes.read_inputs(ct, reference)
            found = evaluate(given.ct, given.reference)
            table = evaluation_nodes.show_evaluation(given, found, evaluation_nodes.histograms(given.ct, found))
            filed.append(evaluation_nodes.error_of(table))
        finally:
            scene.RemoveObserver(observer) if observer else None
        parents = [hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) for node in filed]
        assert parents == [study] * 7
        again = nodes.read_inputs(mr, output=ct)
        folder = hierarchy.CreateFolderItem(study, "moved by hand")
        hierarchy.SetItemParent(hierarchy.GetItemByDataNode(ct), folder)
        nodes.show_synthetic(again, replace(shifted(again), uncertainty=made.ct))
        moved = [hierarchy.GetItemByDataNode(node) for node in (ct, nodes.companion(ct, "uncertainty"))]
        assert [hierarchy.GetItemParent(item) for item in moved] == [folder, folder]

    def test_classes_follow_the_transform(self, mr, linear, model) -> None:
        mr.SetAndObserveTransformNodeID(linear(RIGID).GetID())
        inputs = nodes.read_inputs(mr)
        ct = nodes.show_synthetic(inputs, made_of(inputs, model))
        segmentation = nodes.classes_of(ct)
        assert segmentation.GetTransformNodeID() == mr.GetTransformNodeID()
        soft = segment_to_volume(segmentation, "Segment_2", volume_from_node(ct).grid).array > 0
        values = volume_from_node(ct).array
        assert np.array_equal(soft, (values >= -400) & (values <= 250) & (values > -1024))

    def test_it_is_shown_in_a_ct_window(self, mr) -> None:
        inputs = nodes.read_inputs(mr)
        ct = nodes.show_synthetic(inputs, shifted(inputs))
        display = ct.GetDisplayNode()
        assert (display.GetWindow(), display.GetLevel()) == (400, 40) and not display.GetAutoWindowLevel()
        nodes.set_window(ct, *nodes.WINDOWS["Bone"])
        assert (display.GetWindow(), display.GetLevel()) == (2000, 500)

    def test_warnings_stay_with_the_ct(self, mr) -> None:
        inputs = nodes.read_inputs(mr)
        ct = nodes.show_synthetic(inputs, shifted(inputs))
        assert nodes.warnings_of(ct) == ["It is a threshold."] and nodes.warnings_of(mr) == []

    def test_a_second_ct_is_a_second_node(self, scene, mr) -> None:
        inputs = nodes.read_inputs(mr)
        one, two = (nodes.show_synthetic(inputs, shifted(inputs, value)) for value in (0, 10))
        assert one is not two and one.GetName() != two.GetName()
        assert volume_from_node(one).array.max() == 40 and volume_from_node(two).array.max() == 50

    def test_a_ct_can_be_filled_anew_and_keeps_what_it_came_with_in_the_scene(self, scene, mr, model) -> None:
        inputs = nodes.read_inputs(mr)
        ct = nodes.show_synthetic(inputs, made_of(inputs, model, uncertainty=True))
        map_node, segmentation = nodes.companion(ct, "uncertainty"), nodes.classes_of(ct)
        again = nodes.read_inputs(mr, output=ct)
        assert nodes.show_synthetic(again, shifted(again)) is ct
        assert volume_from_node(ct).array.max() == 40
        assert nodes.companion(ct, "uncertainty") is None and nodes.classes_of(ct) is None
        assert map_node.GetScene() is scene and segmentation.GetScene() is scene

    def test_hardening_meanwhile_does_not_move_the_ct(self, mr, linear) -> None:
        mr.SetAndObserveTransformNodeID(linear(RIGID).GetID())
        inputs = nodes.read_inputs(mr)
        mr.HardenTransform()
        ct = nodes.show_synthetic(inputs, shifted(inputs))
        assert volume_from_node(ct).grid.same_as(inputs.mr.grid)

    def test_a_removed_mr_is_refused_and_nothing_is_added(self, scene, mr) -> None:
        inputs = nodes.read_inputs(mr)
        scene.RemoveNode(mr)
        with pytest.raises(InputError, match="MR was removed"):
            nodes.show_synthetic(inputs, shifted(inputs))
        assert scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 0

    def test_it_is_saved_with_the_scene(self, scene, mr, model, tmp_path) -> None:
        inputs = nodes.read_inputs(mr)
        made = made_of(inputs, model, uncertainty=True)
        nodes.show_synthetic(inputs, nodes.Synthetic(**{**vars(made), "warnings": ("Mind the gap.",)}))
        scene.SetURL(str(tmp_path / "scene.mrml"))
        assert scene.Commit()
        scene.Clear(False)
        with quiet():  # the voxels were not saved
            scene.Import()
        ct = scene.GetFirstNodeByName("Head CT")
        assert ct.GetAttribute(nodes.SYNTHETIC) and nodes.warnings_of(ct) == ["Mind the gap."]
        assert nodes.mr_of(ct).GetName() == "Head"
        assert nodes.companion(ct, "uncertainty").GetName() == "Head CT uncertainty"


class TestRead:
    def test_a_body_segment_under_another_transform(self, mr, segmentation, linear) -> None:
        """Mask and MR lie together in the world, whatever each is under."""
        body = new_segment(segmentation, "body")
        volume_to_segment(ball_on(GRID), segmentation, body)
        segmentation.SetAndObserveTransformNodeID(linear(RIGID).GetID())
        inputs = nodes.read_inputs(mr, (segmentation, body))
        centre = np.mean(inputs.body.grid.to_ras(np.argwhere(inputs.body.array)[:, ::-1]), axis=0)
        assert np.allclose(centre, RIGID[:3, :3] @ CENTRE + RIGID[:3, 3], atol=1)

    def test_refusals(self, scene, mr, segmentation, bent) -> None:
        empty = new_segment(segmentation, "nothing")
        volume_to_segment(ball_on(GRID), segmentation, new_segment(segmentation, "body"))
        other = volume_to_node(ct_on(GRID), "Mine")
        for wrong, sentence in (
            (lambda: nodes.read_inputs(None), "no MR"),
            (lambda: nodes.read_inputs(mr, (segmentation, empty)), "nothing is empty"),
            (lambda: nodes.read_inputs(mr, output=other), "Mine is no synthetic CT"),
            (lambda: nodes.read_inputs(mr, output=mr), "Head is no synthetic CT"),
        ):
            with pytest.raises(InputError, match=sentence):
                wrong()
        mr.SetAndObserveTransformNodeID(bent.GetID())
        with pytest.raises(InputError, match="non-linear"):
            nodes.read_inputs(mr)


class TestFiles:
    def request(self, mr, folder, **options):
        return write_request(nodes.read_inputs(mr), folder, ["tiny", "other"], device="cpu", **options)

    def test_what_the_child_is_asked_for(self, mr, tmp_path) -> None:
        mr.SetName("MR 1/2: T1?")
        arguments = self.request(mr, tmp_path, bands=True, uncertainty=True)
        written = tmp_path / "given" / "MR 1_2_ T1_.nrrd"
        assert arguments[:2] == ["synthesize", str(written)]
        assert read_image(written).grid.same_as(GRID)
        assert [arguments[place + 1] for place, one in enumerate(arguments) if one == "--model"] == ["tiny", "other"]
        assert {"--uncertainty", "--bands", "--report", "--output"} < set(arguments)
        assert not {"--body-mask", "--classes"} & set(arguments) and arguments[-2:] == ["--device", "cpu"]

    @pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
    def test_from_files_to_nodes(self, scene, linear, segmentation, grid, tmp_path, capfd) -> None:
        """What the panel does, with the command line in this process."""
        from cli_files import CommandLine

        node = volume_to_node(mr_on(grid), "ct")  # as an output is called, too
        node.SetAndObserveTransformNodeID(linear(RIGID).GetID())
        body = new_segment(segmentation, "body")
        volume_to_segment(ball_on(grid), segmentation, body)
        segmentation.SetAndObserveTransformNodeID(node.GetTransformNodeID())
        folder = tmp_path / "scratch"
        folder.mkdir()
        inputs = nodes.read_inputs(node, (segmentation, body))
        bundle = tiny_model(tmp_path / "tiny")
        arguments = write_request(inputs, folder, [str(bundle)], bands=True, uncertainty=True, device="cpu")
        outcome = CommandLine(capfd, tmp_path)(*arguments)
        assert outcome.code == 0, outcome
        made = read_answer(folder, classes=True)
        assert made.models == ("tiny",) and made.classes is not None
        ct = nodes.show_synthetic(inputs, made)
        direct = synthesize(inputs.mr, load_model(bundle, "cpu"), inputs.body)
        assert np.array_equal(volume_from_node(ct).array, direct.ct.array)
        assert ijk_to_ras(ct).tobytes() == ijk_to_ras(node).tobytes()
        assert all(nodes.companion(ct, what) for what in nodes.COMPANIONS)

    def test_cancel_while_writing(self, mr, tmp_path) -> None:
        with pytest.raises(Cancelled):
            self.request(mr, tmp_path, progress=Progress(cancelled=lambda: True))

    def test_a_missing_answer_is_a_sentence(self, tmp_path) -> None:
        with pytest.raises(InputError, match="report"):
            read_answer(tmp_path)
        (tmp_path / "report.json").write_text(json.dumps({"models": [], "warnings": []}))
        with pytest.raises(InputError):
            read_answer(tmp_path)
        write_image(ct_on(GRID), tmp_path / "ct.nrrd")
        assert read_answer(tmp_path).uncertainty is None
