"""The user's own bundles: added whole or not at all, removed only where they are the user's."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import pytest
import torch

from SparseToPreciseLib.core import user_bundles
from SparseToPreciseLib.core.bundles import METADATA, WEIGHTS, find_bundles, open_bundle, search_roots
from SparseToPreciseLib.core.errors import Cancelled, InputError
from SparseToPreciseLib.core.networks import build_network
from SparseToPreciseLib.core.progress import Progress
from SparseToPreciseLib.core.training.writing import write_bundle
from SparseToPreciseLib.core.user_bundles import NameTaken, add_bundle, free_name, installed_bundles, remove_bundle

NETWORK = {
    "name": "UNet",
    "arguments": {"spatial_dims": 3, "in_channels": 3, "out_channels": 1, "channels": [2, 4], "strides": [2]},
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder, which the first bundle creates."""
    folder = tmp_path / "home" / "models"
    monkeypatch.setenv("SPARSE_TO_PRECISE_MODELS", str(folder))
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A bundle as somebody else may hand it over."""
    folder = tmp_path / "given" / "mine"
    folder.parent.mkdir()
    torch.manual_seed(0)
    write_bundle(
        folder,
        {"name": "Mine", "family": "editing", "network": NETWORK, "copyright": "MIT"},
        build_network(NETWORK).state_dict(),
        inference={},
        training={},
        card="# Mine\n",
        more={"docs/picture.svg": "<svg/>", "LICENSE": "MIT"},
    )
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def own(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir()) if root.is_dir() else []


def test_a_bundle_is_added_listed_and_removed_again(root: Path, source: Path) -> None:
    steps = []
    added = add_bundle(source, progress=Progress(lambda fraction, message: steps.append(fraction)))
    assert added.path == root / "mine" and content(added.path) == content(source)
    assert steps == sorted(steps) and own(root) == ["mine"]
    assert (added.licence, added.name) == ("MIT", "Mine")
    assert "Mine" in [bundle.name for bundle in find_bundles("editing")]

    (listed,) = [one for one in installed_bundles() if one.own]
    assert (listed.path, listed.problem) == (added.path, "") and listed.bundle == added
    assert listed.size_bytes == sum(len(data) for data in content(source).values())
    shipped = [one for one in installed_bundles() if not one.own]
    assert shipped and all(not one.problem for one in shipped)

    remove_bundle(added.path)
    assert own(root) == [] and content(source)


def test_a_bundle_that_is_refused_is_not_there_afterwards(root: Path, source: Path) -> None:
    weights = (source / WEIGHTS).read_bytes()
    (source / WEIGHTS).write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    with pytest.raises(InputError, match="SHA-256") as caught:
        add_bundle(source)
    assert str(source) in str(caught.value) and ".tmp" not in str(caught.value)
    assert own(root) == []
    (source / METADATA).write_text("{}")
    with pytest.raises(InputError, match="names no model family"):
        add_bundle(source)
    (source / METADATA).unlink()
    with pytest.raises(InputError, match="it lacks configs/metadata.json"):
        add_bundle(source)
    with pytest.raises(InputError, match="is no folder"):
        add_bundle(source / "docs" / "README.md")
    assert own(root) == []


def test_the_copy_is_what_is_checked(root: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = shutil.copyfile

    def exchanged(given: Path, to: Path) -> None:
        real(given, to)
        if to.name == "model.pt":
            to.write_bytes(b"something else")

    monkeypatch.setattr(user_bundles.shutil, "copyfile", exchanged)
    with pytest.raises(InputError, match="SHA-256"):
        add_bundle(source)
    assert own(root) == []


def test_links_are_not_followed(root: Path, source: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (source / "docs" / "more.md").symlink_to(tmp_path / "secret")
    with pytest.raises(InputError, match=r"docs/more\.md is a link"):
        add_bundle(source)
    assert own(root) == []


def test_names_collide_and_are_solved(root: Path, source: Path) -> None:
    add_bundle(source)
    with pytest.raises(NameTaken, match="already a model mine") as caught:
        add_bundle(source)
    assert caught.value.replaceable and free_name("mine") == "mine-2" and free_name("other") == "other"
    (source / "docs" / "README.md").write_text("# Newer\n")
    assert add_bundle(source, "mine-2").card == "# Newer\n"
    assert open_bundle("mine").card == "# Mine\n"
    assert add_bundle(source, replace=True).card == "# Newer\n"
    assert free_name("mine") == "mine-3" and own(root) == ["mine", "mine-2"]

    # A model that came with the software is neither replaced nor hidden.
    with pytest.raises(NameTaken) as caught:
        add_bundle(source, "editing", replace=True)
    assert not caught.value.replaceable
    for name in ("", " ", ".hidden", "a/b", "..", "a\\b", "con:", "end."):
        with pytest.raises(InputError, match="cannot be called"):
            add_bundle(source, name)
    with pytest.raises(InputError, match="already among your models"):
        add_bundle(root / "mine")
    assert own(root) == ["mine", "mine-2"]


def test_what_is_no_bundle_is_neither_replaced_nor_removed(root: Path, source: Path) -> None:
    (root / "mine").mkdir(parents=True)
    (root / "mine" / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="is no bundle, so it is left alone"):
        add_bundle(source, replace=True)
    with pytest.raises(NameTaken):
        add_bundle(source)
    with pytest.raises(InputError, match="is no bundle"):
        remove_bundle(root / "mine")
    (listed,) = [one for one in installed_bundles() if one.own]
    assert listed.bundle is None and "it lacks configs/metadata.json" in listed.problem
    assert content(root / "mine")


def test_only_the_users_own_are_removed(root: Path, source: Path, tmp_path: Path) -> None:
    root.mkdir(parents=True)
    shipped = [one for one in installed_bundles() if not one.own]
    for path in [*(one.path for one in shipped), source, root, root.parent, root / "mine" / "docs"]:
        with pytest.raises(InputError, match="left alone"):
            remove_bundle(path)
    assert content(source) and [one for one in installed_bundles() if not one.own] == shipped
    (root / "linked").symlink_to(source)
    remove_bundle(root / "linked")
    assert own(root) == [] and content(source)


def test_broken_and_hidden_bundles_are_listed_with_their_reason(root: Path, source: Path) -> None:
    add_bundle(source)
    shutil.copytree(source, root / "editing")
    (root / "mine" / WEIGHTS).unlink()
    (root / ".tmp1-x").mkdir()
    listed = {(one.path.name, one.own): one for one in installed_bundles()}
    assert "it lacks models/model.pt" in listed["mine", True].problem and listed["mine", True].bundle is None
    assert listed["editing", True].problem == ""
    assert listed["editing", False].problem == f"Not used: {root / 'editing'} has the same name."
    assert (".tmp1-x", True) not in listed
    remove_bundle(root / "mine")
    assert own(root) == [".tmp1-x", "editing"]


def test_configs_that_wait_for_their_training_are_no_refused_model(root: Path, tmp_path: Path, monkeypatch) -> None:
    shipped = tmp_path / "shipped"
    (shipped / "waits" / "configs").mkdir(parents=True)
    monkeypatch.setattr(user_bundles, "search_roots", lambda: [root, shipped])
    assert installed_bundles() == []
    shutil.copytree(shipped / "waits", root / "lost")  # in the user's folder it is something that went wrong
    assert [one.path.name for one in installed_bundles()] == ["lost"]


def test_a_full_disk_leaves_nothing_behind(root: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(given: Path, to: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(user_bundles.shutil, "copyfile", full)
    with pytest.raises(InputError, match="Could not add the bundle .*the disk is full"):
        add_bundle(source)
    assert own(root) == []


def test_cancel_leaves_the_old_bundle(root: Path, source: Path) -> None:
    add_bundle(source)
    (source / "docs" / "README.md").write_text("# Newer\n")
    fractions: list[float] = []
    progress = Progress(lambda fraction, message: fractions.append(fraction), lambda: bool(fractions))
    with pytest.raises(Cancelled):
        add_bundle(source, replace=True, progress=progress)
    assert own(root) == ["mine"] and open_bundle("mine").card == "# Mine\n"


def test_the_hash_is_checked_without_torch(root: Path, source: Path) -> None:
    bundle = add_bundle(source)
    bundle.check_hash()
    (bundle.path / WEIGHTS).write_bytes(b"")
    with pytest.raises(InputError, match="SHA-256"):
        bundle.check_hash()
    metadata = json.loads((bundle.path / METADATA).read_text())
    assert "license" not in metadata
    assert search_roots()[0] == root
