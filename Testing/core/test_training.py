"""Training on phantoms: the cases, the loop, the recipe, the bundle, and what is left when it stops."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from SparseToPreciseLib.core.bundles import open_bundle
from SparseToPreciseLib.core.errors import Cancelled, InputError
from SparseToPreciseLib.core.networks import build_network
from SparseToPreciseLib.core.progress import Progress
from SparseToPreciseLib.core.training.loop import LoopOptions
from SparseToPreciseLib.core.training.recipe import packaged_config, recipe_from
from SparseToPreciseLib.editing.case_store import CaseStore, build_store
from SparseToPreciseLib.editing.cases import FIELDS, SIZE, Simulation
from SparseToPreciseLib.editing.model import load_editor
from SparseToPreciseLib.editing.network import NetworkForm
from SparseToPreciseLib.editing.recipe import EditingRecipe, train_editing
from SparseToPreciseLib.editing.trainer import Trainer, augmented, cropped
from tiny_training import TINY, tiny_options

PLAIN = Simulation(seed=5, segmenter_share=0, edits_per_phantom=2)


def packaged_recipe(overrides: dict | None = None) -> EditingRecipe:
    return recipe_from(packaged_config("editing", "train.json"), overrides)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds the simulated cases of all trainings of this file."""
    return tmp_path_factory.mktemp("training")


@pytest.fixture(scope="module")
def store(folder: Path) -> CaseStore:
    return build_store(folder / "plain", 3, PLAIN, workers=0)


def contents(store: CaseStore) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in store.files}


# ---------------------------------------------------------------------------------------------------- cases


def test_a_case_is_what_a_network_trains_on(store: CaseStore) -> None:
    assert 3 <= len(store) <= 6
    for index in range(len(store)):
        case = store[index]
        assert set(case) == set(FIELDS)
        assert all(array.shape == (SIZE,) * 3 and np.isfinite(array).all() for array in case.values())
        truth, mask, zone = case["truth"] > 0.5, case["mask"] > 0.5, case["guidance"] > 0.5
        assert set(np.unique(case["truth"])) == {0, 1}
        assert ((truth != mask) & zone).any(), "there is nothing to correct in the zone"
        assert case["guidance"].max() > 0.9
        assert truth[zone].any() and not truth[zone].all(), "no true boundary in the zone"


def test_cases_do_not_depend_on_the_number_of_workers(store: CaseStore, tmp_path: Path) -> None:
    again = build_store(tmp_path, 3, PLAIN, workers=2)
    assert contents(again) == contents(store)
    assert again.generation.cases == len(store) and again.generation.workers == 2
    assert again.generation.cases_per_second > 0


def test_more_phantoms_keep_the_first_ones_and_fewer_take_only_those(store: CaseStore, tmp_path: Path) -> None:
    first = build_store(tmp_path, 1, PLAIN, workers=0)
    made = contents(first)
    times = {path: path.stat().st_mtime_ns for path in first.files}
    more = build_store(tmp_path, 2, PLAIN, workers=0)
    assert len(more) > len(first) and contents(more).items() >= made.items()
    assert {path: path.stat().st_mtime_ns for path in first.files} == times
    assert contents(build_store(tmp_path, 1, PLAIN, workers=0)) == made
    assert contents(more).items() <= contents(store).items()


def test_another_recipe_replaces_the_cases(tmp_path: Path) -> None:
    before = contents(build_store(tmp_path, 1, PLAIN, workers=0))
    after = contents(build_store(tmp_path, 1, replace(PLAIN, seed=6), workers=0))
    assert after != before
    assert json.loads((tmp_path / "simulation.json").read_text())["seed"] == 6


def test_a_scene_of_which_a_case_is_missing_is_made_again(store: CaseStore, tmp_path: Path) -> None:
    made = build_store(tmp_path, 3, PLAIN, workers=0)
    made.files[0].unlink()  # as when a run was killed: a scene's case 0 is written last
    (tmp_path / "tmp-000001-0.npy").write_bytes(b"half")
    assert contents(build_store(tmp_path, 3, PLAIN, workers=0)) == contents(store)
    assert not list(tmp_path.glob("tmp-*"))


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(InputError, match="Could not write training cases into .*: the disk is full"):
        build_store(tmp_path, 1, PLAIN, workers=0)


def test_augmentation_turns_all_channels_alike(store: CaseStore) -> None:
    case = store[0]
    marked = {name: case["signed_distance"].copy() for name in case}
    turned = augmented(marked, np.random.default_rng(2))
    for name in set(turned) - {"image"}:
        np.testing.assert_array_equal(turned[name], turned["truth"])
    assert not np.array_equal(turned["truth"], case["signed_distance"])
    np.testing.assert_array_equal(np.sort(turned["truth"], axis=None), np.sort(case["signed_distance"], axis=None))


# ----------------------------------------------------------------------------------------------------- loop


def trainer(store: CaseStore, **options: object) -> Trainer:
    torch.manual_seed(0)
    form = options.pop("form", packaged_recipe(TINY).form)
    description = json.loads(json.dumps(TINY["network"]))
    description["arguments"]["in_channels"] = len(form.inputs)
    settings = {"minutes": None, "steps": 4, "batch_size": 1, "validations": 2} | options
    return Trainer(build_network(description), form, "cross-entropy", store, store, LoopOptions(**settings))


PAPER = NetworkForm(("image", "mask", "guidance"), residual=False)


def test_training_lowers_the_loss_and_keeps_the_best_weights(store: CaseStore) -> None:
    ours = trainer(store, form=PAPER, steps=8, learning_rate=0.02)
    rows = ours.run().rows
    losses = [row["validation_loss"] for row in rows]
    assert min(losses) < 0.9 * losses[0]
    assert [row["steps"] for row in rows] == [0, 4, 8]
    assert math.isnan(rows[0]["training_loss"]) and rows[1]["training_loss"] > 0
    again = ours._validate(1.0, 0.0, 0, [])
    assert again == pytest.approx(min(losses), abs=1e-6)


def test_the_same_seed_trains_the_same_network(store: CaseStore) -> None:
    first, second, other = (trainer(store, form=PAPER, seed=seed, learning_rate=0.02) for seed in (1, 1, 2))
    losses = [[row["validation_loss"] for row in ours.run().rows] for ours in (first, second, other)]
    assert losses[0] == losses[1] != losses[2]


def test_a_residual_network_starts_as_its_proposal(store: CaseStore) -> None:
    ours = trainer(store, steps=1)
    first = ours.run().rows[0]
    wrong = removed = 0
    for index in range(len(store)):
        case = store[index]
        truth, zone = case["truth"] > 0.5, case["guidance"] > 0.5
        before = (((case["mask"] > 0.5) != truth) & zone).sum()
        wrong += before
        removed += before - (((case["proposal"] > 0) != truth) & zone).sum()
    assert first["in_zone_error_removed"] == pytest.approx(removed / wrong, abs=1e-4)


def test_time_ends_training(store: CaseStore) -> None:
    rows = trainer(store, minutes=0.01, steps=None).run().rows
    assert rows[-1]["minutes"] >= 0.01
    assert rows[-1]["steps"] >= 1


def test_training_without_an_end_or_without_cases_is_refused(store: CaseStore, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="None minutes and None steps"):
        trainer(store, steps=None)
    with pytest.raises(InputError, match="There are 0 cases to train on"):
        trainer(CaseStore(tmp_path))


def test_every_step_asks_whether_to_go_on(store: CaseStore) -> None:
    asked = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > 3

    with pytest.raises(Cancelled):
        trainer(store, steps=100, validations=1, progress=Progress(cancelled=cancelled)).run()


# --------------------------------------------------------------------------------------------------- recipe


def test_the_committed_recipe_is_in_order_and_describes_itself() -> None:
    recipe = packaged_recipe()
    assert isinstance(recipe, EditingRecipe)
    assert recipe.config() == packaged_config("editing", "train.json")


def test_changed_values_are_in_the_written_config() -> None:
    config = packaged_recipe({"seed": 9, "phantoms": 7, **TINY}).config()
    assert (config["seed"], config["phantoms"], config["simulation"]["seed"]) == (9, 7, "@seed")
    assert config["simulation"]["edits_per_phantom"] == 1 and config["network"] == TINY["network"]
    assert packaged_recipe({"seed": 9}).simulation.seed == 9
    assert packaged_recipe({"simulation::seed": 4}).config()["simulation"]["seed"] == 4


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"phantoms": 0}, "Phantoms must be a positive whole number, not 0."),
        ({"phantoms": 1.5}, "Phantoms must be a positive whole number, not 1.5."),
        ({"minutes": -1}, "Minutes must be a positive number, not -1."),
        ({"minutes": math.inf}, "Minutes must be a positive number, not inf."),
        ({"minutes": None, "epochs": None, "steps": None}, "Nothing says when the training ends"),
        ({"objective": "hinge"}, "There is no objective 'hinge'; choose from editing, "),
        ({"network::name": "Transformer"}, "Transformer"),
        ({"network::arguments::in_channels": 1}, r"The network has \(1, 1\) input and output channels"),
        ({"form::parameters::inputs": ["depth"]}, r"inputs \['depth'\] are not known"),
        ({"speed": 3}, "The recipe has no speed"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(changes: dict, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        packaged_recipe(changes)


# --------------------------------------------------------------------------------------------------- bundle


def test_training_makes_a_whole_bundle_that_edits(folder: Path) -> None:
    rows, messages = [], []
    bundle = train_editing(
        folder / "mine",
        **tiny_options(folder),
        progress=Progress(lambda fraction, message: messages.append((fraction, message))),
        validated=rows.append,
    )
    bundle.verify()
    assert bundle.path == folder / "mine" and bundle.family == "editing"
    fractions = [fraction for fraction, _ in messages]
    assert fractions == sorted(fractions) and fractions[-1] == 1
    assert [row["steps"] for row in rows] == [0, 1, 2]

    training, parameters = bundle.metadata["training"], bundle.parameters
    assert training["data"] == bundle.metadata["data_source"] == "phantoms"
    assert training["steps"] == 2 and training["seeds"] == {"recipe": 1, "simulation": 1}
    assert training["software"]["torch"] == torch.__version__
    assert training["simulation_cases_per_second"] > 0
    assert parameters["inputs"] == packaged_config("editing", "train.json")["form"]["parameters"]["inputs"]
    assert "influence radius (mm) / 1.1774 / 10" in parameters["working_spacing"]

    logged = list(csv.DictReader((bundle.path / "docs" / "log.csv").open()))
    assert [int(row["steps"]) for row in logged] == [0, 1, 2]
    assert (bundle.path / "docs" / "validation.png").read_bytes().startswith(b"\x89PNG")
    best = min(rows, key=lambda row: row["validation_loss"])
    assert f"| these weights (step {best['steps']}) | {best['validation_loss']:.5f} |" in bundle.card
    said = " ".join(bundle.card.split())
    assert "has never seen a patient" in said and "on 3 procedural phantoms" in said

    config = json.loads((bundle.path / "configs" / "train.json").read_text())
    assert (config["steps"], config["minutes"], config["phantoms"]) == (2, None, 3)
    everything = "".join(path.read_text() for path in bundle.path.rglob("*.json"))
    assert str(folder) not in everything + bundle.card, "a bundle tells nobody where it was made"
    assert load_editor(str(bundle.path), "cpu").name == "mine"

    again = train_editing(folder / "again", **tiny_options(folder))
    assert again.sha256 == bundle.sha256
    other = train_editing(folder / "other", **tiny_options(folder) | {"seed": 2, "cache": folder / "other-cache"})
    assert other.sha256 != bundle.sha256


def test_epochs_are_passes_over_the_cases(folder: Path) -> None:
    options = tiny_options(folder) | {"steps": None, "epochs": 2, "phantoms": 2}
    bundle = train_editing(folder / "epochs", **options)
    assert bundle.metadata["training"]["steps"] == 2 * bundle.metadata["training"]["cases"]


@pytest.mark.parametrize("moment", ["simulating", "step 1"])
def test_a_cancelled_training_leaves_no_bundle_and_an_old_one_as_it_was(
    folder: Path, tmp_path: Path, moment: str
) -> None:
    options = tiny_options(folder) | ({"cache": tmp_path / "cache"} if moment == "simulating" else {})
    old = train_editing(tmp_path / "mine", **tiny_options(folder))
    seen: list[str] = []
    progress = Progress(lambda _, message: seen.append(message), lambda: any(moment in message for message in seen))
    before = {path: path.read_bytes() for path in old.path.rglob("*") if path.is_file()}
    for name in ("mine", "new"):
        seen.clear()
        with pytest.raises(Cancelled):
            train_editing(tmp_path / name, **options, progress=progress)
    assert {path: path.read_bytes() for path in old.path.rglob("*") if path.is_file()} == before
    assert {path.name for path in tmp_path.iterdir()} - {"cache"} == {"mine"}


def test_outputs_that_are_something_else_are_refused_before_any_work(folder: Path, tmp_path: Path) -> None:
    def refuse(output: Path, sentence: str, **more: object) -> None:
        seen: list[str] = []
        with pytest.raises(InputError, match=sentence):
            train_editing(
                output, **tiny_options(folder) | more, progress=Progress(lambda _, message: seen.append(message))
            )
        assert not seen

    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "text.tex").write_text("years of work")
    (tmp_path / "other" / "configs").mkdir(parents=True)
    (tmp_path / "other" / "configs" / "metadata.json").write_text('{"name": "spleen"}')
    (tmp_path / "file").touch()
    refuse(tmp_path / "thesis", "thesis exists and is no model bundle")
    refuse(tmp_path / "other", "other is a bundle of the family unknown, not editing")
    refuse(tmp_path / "file", "file is a file; name a folder")
    refuse(tmp_path / "missing" / "mine", "missing does not exist")
    refuse(tmp_path / "new", "There is no device 'tpu'", device="tpu")
    assert (tmp_path / "thesis" / "text.tex").read_text() == "years of work"


def test_the_shipped_configs_may_be_trained_over(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "editing" / "configs"
    target.mkdir(parents=True)
    (target / "train.json").write_text(json.dumps(packaged_config("editing", "train.json")))
    train_editing(target.parent, **tiny_options(folder))
    assert open_bundle(target.parent).name == "editing"


def test_somebody_elses_config_is_never_run(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trap = tmp_path / "models" / "editing" / "configs"
    trap.mkdir(parents=True)
    config = packaged_config("editing", "train.json")
    config |= {"phantoms": "$open(__import__('os').environ['TRAP'], 'w').write('x')"}
    (trap / "train.json").write_text(json.dumps(config))
    monkeypatch.setenv("SPARSE_TO_PRECISE_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("TRAP", str(tmp_path / "sprung"))
    train_editing(tmp_path / "mine", **tiny_options(folder))
    assert not (tmp_path / "sprung").exists()


def test_a_crop_lies_on_the_stroke() -> None:
    guidance = np.zeros((64, 64, 64), np.float32)
    guidance[20, 30, 5:60] = 1
    case = {"guidance": guidance, "image": np.arange(guidance.size, dtype=np.float32).reshape(guidance.shape)}
    places = set()
    for seed in range(12):
        part = cropped(case, 48, np.random.default_rng(seed))
        assert part["guidance"].shape == part["image"].shape == (48, 48, 48)
        assert part["guidance"].any()
        places.add(float(part["image"][0, 0, 0]))
    assert len(places) > 3
    assert cropped(case, 64, np.random.default_rng(0))["image"].shape == (64, 64, 64)


def test_a_crop_that_the_network_cannot_see_is_refused(tmp_path: Path) -> None:
    for crop in (40, 80):
        with pytest.raises(InputError, match=f"multiple of 16 voxels up to 64, not {crop}"):
            train_editing(tmp_path / "model", **{**tiny_options(tmp_path), "overrides": {"crop": crop}})
    assert list(tmp_path.iterdir()) == []
