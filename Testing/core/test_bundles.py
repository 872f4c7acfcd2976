"""Model bundles: found, checked, loaded without running anything that is in them."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from SparseToPreciseLib.core import bundles
from SparseToPreciseLib.core.bundles import LAYOUT, METADATA, WEIGHTS, find_bundles, open_bundle
from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.files import called_before_replacing
from SparseToPreciseLib.core.networks import build_network
from SparseToPreciseLib.core.training import writing as bundle_writing
from SparseToPreciseLib.core.training.writing import write_bundle
from SparseToPreciseLib.families import FAMILIES

NETWORK = {
    "name": "UNet",
    "arguments": {"spatial_dims": 3, "in_channels": 3, "out_channels": 1, "channels": [2, 4], "strides": [2]},
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder of bundles."""
    folder = tmp_path / "bundles"
    folder.mkdir()
    monkeypatch.setenv("SPARSE_TO_PRECISE_MODELS", str(folder))
    return folder


def write(path: Path, **changes):
    torch.manual_seed(0)
    arguments = {
        "metadata": {"name": path.name, "family": "editing", "version": "1.0.0", "network": NETWORK},
        "state": build_network(NETWORK).state_dict(),
        "inference": {"network_def": "$__import__('os').system('touch ' + 'ran')"},
        "training": {"imports": ["$import os"]},
        "card": "# A model\n",
    }
    return write_bundle(path, **(arguments | changes))


def with_weights(bundle: Path, content: bytes) -> None:
    """Put other weights into a bundle, with a hash that fits: whoever makes a bundle can do that."""
    (bundle / WEIGHTS).write_bytes(content)
    metadata = json.loads((bundle / METADATA).read_text())
    metadata["weights_sha256"] = hashlib.sha256(content).hexdigest()
    (bundle / METADATA).write_text(json.dumps(metadata))


def with_metadata(bundle: Path, **changes) -> None:
    metadata = json.loads((bundle / METADATA).read_text()) | changes
    (bundle / METADATA).write_text(json.dumps(metadata))


def test_a_written_bundle_is_found_and_gives_the_same_network(root: Path) -> None:
    network = build_network(NETWORK).eval()
    written = write(root / "mine", state=network.state_dict(), more={"configs/more.json": {"a": 1}, "docs/x.txt": "x"})
    found = open_bundle("mine", family="editing")
    assert found.path == written.path == root / "mine"
    assert (found.name, found.family, found.card) == ("mine", "editing", "# A model\n")
    assert found.sha256 == hashlib.sha256((root / "mine" / WEIGHTS).read_bytes()).hexdigest()
    assert all((found.path / name).is_file() for name in (*LAYOUT, "configs/more.json", "docs/x.txt"))
    loaded = found.load_network(in_channels=3, out_channels=1)
    given = torch.rand(1, 3, 8, 8, 8)
    with torch.no_grad():
        assert torch.equal(loaded(given), network(given))
    assert not loaded.training
    found.verify()
    assert list(root.iterdir()) == [root / "mine"]  # nothing temporary is left


def test_a_bundles_expressions_are_never_run(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    write(root / "mine").load_network()
    with_metadata(root / "mine", network={"name": "$__import__('os').system('touch ran')", "arguments": {}})
    with pytest.raises(InputError, match="mine .*is refused: there is no network"):
        open_bundle("mine").verify()
    with_metadata(root / "mine", network={"name": "UNet", "arguments": {"act": "$__import__('os').mkdir('ran')"}})
    with pytest.raises(InputError, match="cannot be built"):
        open_bundle("mine").verify()
    assert not (root / "ran").exists()


class _Runs:
    """Creates a file when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("how", ["torch.save", "torch.save legacy", "pickle"])
def test_a_pickle_that_runs_code_does_not_run(root: Path, tmp_path: Path, how: str) -> None:
    bundle = write(root / "mine").path
    trace, weights = tmp_path / "ran", tmp_path / "evil.pt"
    if how == "pickle":
        weights.write_bytes(pickle.dumps(_Runs(trace)))
    else:
        torch.save({"weight": _Runs(trace)}, weights, _use_new_zipfile_serialization=how == "torch.save")
    with_weights(bundle, weights.read_bytes())
    with pytest.raises(InputError, match="mine .*is refused: models/model.pt is not a file of plain weights") as caught:
        open_bundle("mine").load_network()
    assert "\n" not in str(caught.value)
    assert not trace.exists()
    # The same file does run where nobody is careful: the test would notice.
    if how != "pickle":
        torch.load(weights, weights_only=False)
        assert trace.exists()


def test_wrong_hashes_and_damaged_weights_are_refused(root: Path) -> None:
    bundle = write(root / "mine").path
    good = (bundle / WEIGHTS).read_bytes()
    for content in (good[: len(good) // 2], good[:-1] + bytes([good[-1] ^ 1]), b""):
        (bundle / WEIGHTS).write_bytes(content)
        with pytest.raises(InputError, match="mine .*is refused: the SHA-256 of models/model.pt is"):
            open_bundle("mine").verify()
    for content in (good[: len(good) // 2], b"", b"not a pickle at all", np.random.default_rng(0).bytes(1000)):
        with_weights(bundle, content)
        with pytest.raises(InputError, match="not a file of plain weights") as caught:
            open_bundle("mine").verify()
        assert "\n" not in str(caught.value)


def test_weights_that_do_not_fit_are_refused(root: Path, tmp_path: Path) -> None:
    bundle = write(root / "mine").path
    arguments = NETWORK["arguments"] | {"in_channels": 5}
    with_metadata(bundle, network={"name": "UNet", "arguments": arguments})
    with pytest.raises(InputError, match="its weights do not fit its network") as caught:
        open_bundle("mine").load_network()
    assert "\n" not in str(caught.value)
    with_metadata(bundle, network=NETWORK)
    with pytest.raises(InputError, match=r"has 3 input channel\(s\) where 6 are needed"):
        open_bundle("mine").load_network(in_channels=6)
    with pytest.raises(InputError, match=r"has 1 output channel\(s\) where 2 are needed"):
        open_bundle("mine").load_network(out_channels=2)
    state = build_network(NETWORK).state_dict()
    for wrong in ({}, state | {"more": torch.zeros(1)}, [torch.zeros(1)], {"weight": 3}):
        torch.save(wrong, tmp_path / "wrong.pt")
        with_weights(bundle, (tmp_path / "wrong.pt").read_bytes())
        with pytest.raises(InputError, match="do not fit|something else"):
            open_bundle("mine").load_network()


@pytest.mark.parametrize("name", LAYOUT)
def test_a_missing_file_is_named(root: Path, name: str) -> None:
    (write(root / "mine").path / name).unlink()
    with pytest.raises(InputError, match=f"is refused: it lacks {name}"):
        open_bundle(root / "mine")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[]", "is no JSON object"),
        ("{}", "names no model family"),
        ('{"family": "editing"}', 'has no "network"'),
        ('{"family": "editing", "network": {}}', 'has no "weights_sha256"'),
        ('{"family": "editing", "network": {}, "weights_sha256": "12"}', 'has no "weights_sha256"'),
    ],
)
def test_broken_metadata_are_refused_and_not_listed(root: Path, content: str, words: str) -> None:
    (write(root / "mine").path / METADATA).write_text(content)
    with pytest.raises(InputError, match=words):
        open_bundle("mine")
    assert "mine" not in [bundle.name for bundle in find_bundles()]


def test_finding_by_family_path_and_name(root: Path) -> None:
    write(root / "one")
    metadata = {"name": "Second", "family": "landmarks", "network": NETWORK}
    write(root / "two", metadata=metadata)
    assert {"one"} <= {bundle.name for bundle in find_bundles("editing")}
    assert [bundle.name for bundle in find_bundles("landmarks")] == ["Second"]
    assert open_bundle("Second").path == open_bundle("two").path == open_bundle(root / "two").path
    with pytest.raises(InputError, match="Second .* is of the family landmarks, not editing"):
        open_bundle("two", family="editing")
    with pytest.raises(InputError, match="There is no bundle three: .*one"):
        open_bundle("three")
    with pytest.raises(InputError, match=r"no such name among those of the family landmarks here \(two\)\.$"):
        open_bundle("three", family="landmarks")
    with pytest.raises(InputError, match=r"among those of the family nothing here \(none\)"):
        open_bundle("three", family="nothing")
    with pytest.raises(InputError, match="metadata.json is a file; name the bundle's folder"):
        open_bundle(root / "one" / METADATA)


def test_writing_replaces_a_bundle_and_nothing_else(root: Path) -> None:
    write(root / "mine", card="old")
    assert write(root / "mine", card="new").card == "new"
    (root / "empty").mkdir()
    write(root / "empty")
    (root / "thesis").mkdir()
    (root / "thesis" / "text.tex").write_text("years of work")
    with pytest.raises(InputError, match="thesis exists and is no model bundle"):
        write(root / "thesis")
    assert (root / "thesis" / "text.tex").read_text() == "years of work"
    with pytest.raises(InputError, match="missing does not exist"):
        write(root / "missing" / "mine")
    with pytest.raises(InputError, match="names no model family"):
        write(root / "mine", metadata={"network": NETWORK})
    assert open_bundle("mine").card == "new"


def test_an_old_bundle_survives_a_full_disk(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(root / "mine", card="old")
    real = bundle_writing._write

    def full(path: Path, content) -> None:
        if path.name == "README.md":
            raise OSError(28, "No space left on device")
        real(path, content)

    monkeypatch.setattr(bundle_writing, "_write", full)
    with pytest.raises(InputError, match="Could not write the bundle .*mine: the disk is full"):
        write(root / "mine", card="new")
    assert open_bundle("mine").card == "old"
    assert list(root.iterdir()) == [root / "mine"]


def test_an_old_bundle_comes_back_when_the_exchange_fails(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(root / "mine", card="old")
    real, target = os.replace, root / "mine"

    def replace(source, destination) -> None:
        if Path(destination) == target and Path(source).name.startswith(".tmp"):
            raise KeyboardInterrupt
        real(source, destination)

    monkeypatch.setattr(bundle_writing.os, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        write(root / "mine", card="new")
    assert open_bundle("mine").card == "old"
    assert list(root.iterdir()) == [target]


def test_an_old_bundle_comes_back_when_a_signal_comes_between(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(root / "mine", card="old")
    real = os.replace

    def replace(source, destination) -> None:
        real(source, destination)
        if Path(destination).name.startswith(".old"):
            raise KeyboardInterrupt

    monkeypatch.setattr(bundle_writing.os, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        write(root / "mine", card="new")
    assert open_bundle("mine").card == "old"
    assert list(root.iterdir()) == [root / "mine"]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"configs/train.json": "{}"}, "exists and is no model bundle"),
        ({"configs/train.json": "not JSON"}, "exists and is no model bundle"),
        ({"configs/train.json": '{"recipe": {"_target_": "their.Recipe"}}'}, "exists and is no model bundle"),
        ({"configs/train.json": '{"recipe": {"_target_": 3}}'}, "exists and is no model bundle"),
        ({METADATA: "{"}, "exists and is no model bundle"),
        ({METADATA: "[]", "configs/train.json": "{}"}, "exists and is no model bundle"),
        ({METADATA: '{"family": "editing"}', "scans/patient.nrrd": "x"}, "holds scans/patient.nrrd, which no training"),
        ({METADATA: '{"family": "editing"}', ".git": "x"}, "holds .git, which no training"),
        ({METADATA: '{"family": "landmarks"}'}, "is a bundle of the family landmarks, not editing"),
        ({METADATA: '{"version": "1"}'}, "is a bundle of the family unknown, not editing"),
    ],
)
def test_a_foreign_folder_is_left_alone(root: Path, files: dict[str, str], words: str) -> None:
    for name, content in files.items():
        (root / "mine" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "mine" / name).write_text(content)
    with pytest.raises(InputError, match=words):
        write(root / "mine")
    there = {path.relative_to(root / "mine").as_posix() for path in (root / "mine").rglob("*") if path.is_file()}
    assert there == set(files)
    assert all((root / "mine" / name).read_text() == content for name, content in files.items())


def test_whoever_can_interrupt_learns_that_a_bundle_is_about_to_be_replaced(root: Path) -> None:
    seen: list[bool] = []
    with called_before_replacing(lambda: seen.append((root / "mine").exists())):
        write(root / "mine")
        write(root / "mine")
    assert seen == [False, True]


def test_what_our_trainings_wrote_is_replaced(root: Path) -> None:
    more = dict.fromkeys(bundle_writing.MORE, "old")
    write(root / "mine", card="old", more=more)
    assert write(root / "mine", card="new", more=more).card == "new"


@pytest.mark.parametrize(
    ("family", "recipe"),
    [
        *((name, f"SparseToPreciseLib.{row.recipe.replace(':', '.')}") for name, row in FAMILIES.items()),
        ("editing", "SparseToPreciseLib.editing.recipe.Recipe"),
        ("editing", "SparseToPreciseLib.editing.training_recipe.Recipe"),
        ("boxes-corrector", "SparseToPreciseLib.boxes.corrector_recipe.CorrectorRecipe"),
        ("boxes-segmenter", "SparseToPreciseLib.boxes.segmenter_recipe.SegmenterRecipe"),
    ],
)
def test_configs_that_wait_for_their_first_training_are_replaced_by_one_of_their_family(
    root: Path, family: str, recipe: str
) -> None:
    waiting = root / "waiting" / "configs" / "train.json"
    waiting.parent.mkdir(parents=True)
    waiting.write_text(json.dumps({"recipe": {"_target_": recipe}}))
    other = "editing" if family == "synthesis" else "synthesis"
    with pytest.raises(InputError, match=f"is a bundle of the family {family}, not {other}"):
        bundle_writing.check_bundle_target(root / "waiting", other)
    bundle_writing.check_bundle_target(root / "waiting", family)
    if family == "editing":
        write(root / "waiting", card="new")
        assert open_bundle("waiting").card == "new"


def test_nothing_in_the_current_folder_hides_a_bundle(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root / "mine")
    write(root / "other")
    (tmp_path / "here" / "mine").mkdir(parents=True)
    (tmp_path / "here" / "other").touch()
    monkeypatch.chdir(tmp_path / "here")
    assert open_bundle("mine").path == root / "mine"
    assert open_bundle("other").path == root / "other"
    with pytest.raises(InputError, match="mine is refused: it lacks"):
        open_bundle(tmp_path / "here" / "mine")
    write(tmp_path / "here" / "mine")  # one that is a bundle is meant
    assert open_bundle("mine").path == Path("mine")


def test_the_shipped_bundles_are_in_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPARSE_TO_PRECISE_MODELS", str(tmp_path))
    shutil.rmtree(tmp_path)  # a user folder that does not exist is none
    shipped = {bundle.path: bundle for bundle in find_bundles()}
    folder = Path(bundles.__file__).resolve().parents[2] / "Resources" / "Models" / "editing"
    assert folder in shipped
    bundle = shipped[folder]
    for found in shipped.values():
        found.verify()
    assert (bundle.name, bundle.family) == ("editing", "editing")
    assert open_bundle("editing", family="editing").path == bundle.path
    log = (bundle.path / "docs" / "log.csv").read_text(encoding="utf-8").splitlines()
    assert "validation_loss" in log[0].split(",") and len(log) > 2
    assert (bundle.path / "docs" / "validation.png").read_bytes().startswith(b"\x89PNG")
    parameters = bundle.parameters
    assert parameters["sigma_voxels"] > 0
    assert set(parameters["inputs"]) >= {"image", "signed_distance"}
    bundle.load_network(in_channels=len(parameters["inputs"]), out_channels=1)
    recipe = json.loads((bundle.path / "configs" / "train.json").read_text(encoding="utf-8"))
    assert recipe["recipe"]["_target_"] == "SparseToPreciseLib.editing.recipe.EditingRecipe"
    assert isinstance(recipe["seed"], int) and recipe["seed"] == bundle.metadata["training"]["seeds"]["recipe"]
