"""What the recipes and cards of all families share."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.progress import Progress
from SparseToPreciseLib.core.training.card import (
    Description,
    TrainingSummary,
    before_and_after,
    bundle_metadata,
    filled_card,
    paragraph,
    software_versions,
    validation_curve,
)
from SparseToPreciseLib.core.training.loop import LoopOptions, TrainingLoop
from SparseToPreciseLib.core.training.recipe import (
    TrainingRecipe,
    packaged_config,
    recipe_from,
    train,
)
from SparseToPreciseLib.core.training.run import training_run
from SparseToPreciseLib.families import FAMILIES

ROWS = [
    {"minutes": 0.0, "steps": 0, "training_loss": float("nan"), "validation_loss": 0.9, "dice": 0.1},
    {"minutes": 0.5, "steps": 7, "training_loss": 0.5, "validation_loss": 0.2, "dice": 0.8},
    {"minutes": 1.0, "steps": 9, "training_loss": 0.4, "validation_loss": 0.3, "dice": 0.7},
]


@dataclass(frozen=True, kw_only=True)
class Small(TrainingRecipe):
    seed: int = 0
    minutes: float | None = 1.0
    epochs: float | None = None
    steps: int | None = None
    learning_rate: float = 0.1
    batch_size: int = 4
    validations: int = 2
    bfloat16: bool = False
    network: dict = field(default_factory=dict)
    margin: float = 1.0

    family = "synthesis"


def description(**more) -> Description:
    return Description("phantoms", {"task": "t"}, {"a": 1}, {"seed": 3}, measures={}, curve={}, **more)


def summary_of(rows: list = ROWS, device: str = "cpu", packages: tuple = ("scipy",)) -> TrainingSummary:
    return TrainingSummary("mine", "synthesis", rows, packages, device, 2, 90.0)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"minutes": -1}, "Minutes must be a positive number, not -1."),
        ({"minutes": float("inf")}, "Minutes must be a positive number, not inf."),
        ({"batch_size": 1.5}, "Batch size must be a positive whole number, not 1.5."),
        ({"steps": 0}, "Steps must be a positive whole number, not 0."),
        ({"margin": "2"}, "Margin must be a positive number, not 2."),
        ({"learning_rate": float("nan")}, "Learning rate must be a positive number, not nan."),
        ({"minutes": None}, "Nothing says when the training ends; give minutes, epochs or steps."),
    ],
)
def test_numbers_out_of_range_are_named(change: dict, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        Small(**change)
    assert str(caught.value) == sentence


def test_numbers_in_range_pass() -> None:
    assert Small().seed == 0
    assert Small(minutes=None, epochs=0.5).epochs == 0.5


@pytest.mark.parametrize(
    ("epochs", "steps", "processes", "wanted"),
    [(None, None, 1, None), (None, 5, 1, 5), (2, None, 1, 5), (2, None, 2, 3), (2, 4, 1, 4), (0.01, None, 1, 1)],
)
def test_epochs_are_steps_over_all_processes(epochs, steps, processes: int, wanted) -> None:
    assert Small(epochs=epochs, steps=steps)._steps(10, processes) == wanted


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list:
    """The recipes that `train` makes, instead of their trainings, with what they are given."""
    found: list = []

    def noted(recipe, output, **given):
        found.append((recipe, given))
        return SimpleNamespace(bundle=None)

    monkeypatch.setattr(TrainingRecipe, "train", noted)
    return found


def test_an_end_that_is_given_replaces_the_recipes_own(asked: list) -> None:
    config = packaged_config("synthesis", "train.json")
    train("synthesis", "new", phantoms=3, seed=None, steps=2, overrides={"sampling::patch": 48})
    train("synthesis", "new", seed=4, overrides={"seed": 5}, cases=[1])
    (first, _), (second, given) = asked
    assert (first.phantoms, first.seed, first.sampling.patch) == (3, config["seed"], 48)
    assert (first.minutes, first.epochs, first.steps) == (None, None, 2)
    assert second.minutes == config["minutes"] > 0 and second.seed == 5 and given["cases"] == [1]


def test_landmarks_have_a_limit_of_time_beside_their_steps(asked: list) -> None:
    for given in ({}, {"steps": 7}, {"minutes": 2}):
        train("landmarks", "new", **given)
    assert [(one.steps, one.minutes) for one, _ in asked] == [(1500, 15), (7, 15), (None, 2)]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_committed_recipe_of_every_family_describes_itself(family: str) -> None:
    config = packaged_config(family, "train.json")
    recipe = recipe_from(config)
    assert isinstance(recipe, FAMILIES[family].recipe_class()) and recipe.family == family
    assert recipe.config() == config


def test_what_is_in_the_way_of_a_training_is_told_before_it(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    for words, output, wrong in (
        ("no colour", "new", {"overrides": {"colour": 3}}),
        ("Phantoms must be", "new", {"phantoms": 0}),
        ("is no model bundle", "mine", {}),
        ("no device 'tpu'", "new", {"device": "tpu"}),
        ("no checkpoint .* to resume from", "new", {"checkpoint": tmp_path / "none", "resume": True}),
        ("folder .*nowhere does not exist", "new", {"checkpoint": tmp_path / "nowhere" / "state"}),
    ):
        with pytest.raises(InputError, match=words):
            train("synthesis", tmp_path / output, **wrong)
    assert not (tmp_path / "new").exists()


def test_a_run_refuses_before_anything_is_done(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for output, device in ((tmp_path, "cpu"), (tmp_path / "new", "cuda:99")):
        with pytest.raises(InputError), training_run(output, "synthesis", device, None):
            pytest.fail("the training began")
    told: list[tuple[float, str]] = []
    with training_run(tmp_path / "new", "synthesis", "cpu", Progress(lambda *step: told.append(step))) as run:
        assert run.first and run.processes == 1 and run.output == tmp_path / "new"
        assert not told
    assert told == [(1.0, f"written: {tmp_path / 'new'}")]


def test_an_error_within_a_run_is_not_told_as_written() -> None:
    told: list[tuple[float, str]] = []
    with pytest.raises(InputError), training_run("new", "synthesis", "cpu", Progress(lambda *step: told.append(step))):
        raise InputError("no")
    assert not told


def test_the_best_row_is_the_one_with_the_lowest_validation_loss() -> None:
    assert summary_of().best["steps"] == 7
    table = before_and_after(ROWS, {"dice": ("Dice", ".2f"), "absent": ("Nothing", ".1f")}, "untrained")
    assert table.splitlines() == [
        "| | Dice |",
        "|---|---:|",
        "| untrained | 0.10 |",
        "| these weights (step 7) | 0.80 |",
    ]


def test_facts_of_a_training() -> None:
    facts = summary_of().facts()
    assert facts["best"] == ROWS[1] and facts["steps"] == 9 and facts["clock"].startswith("computing time")
    assert "scipy" in facts["software"]
    # What is no number is no JSON either.
    assert "training_loss" not in summary_of(ROWS[:1], "cuda:0").facts()["best"]


def test_a_card_is_its_template_with_the_sentences_that_hold(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "Cards").mkdir()
    (tmp_path / "Cards" / "common.md").write_text("- After {ends}. {cancelled}\n\n<!-- cancelled: yes -->\nAsked.\n")
    (tmp_path / "Cards" / "synthesis.md").write_text(
        "# {summary.name}\n\nOf {data}, {recipe.seed}{more}.\n\n{ending}\n\n{table}\n"
        "<!-- data: a -->\n" + "word " * 40 + "{count}\n<!-- data: b -->\nb\n<!-- more: yes -->\n and more\n"
    )
    monkeypatch.setattr("SparseToPreciseLib.core.training.card.resource", lambda name: tmp_path / name)
    chosen = {"data": "a", "more": False}
    card = filled_card(summary_of(), description(choices=chosen, values={"count": 5}), Small(seed=3, steps=9))
    said = " ".join(card.split())
    assert said.startswith("# mine Of word") and "word 5, 3. - After 1 minutes or 9 steps. |" in said
    assert max(map(len, card.splitlines())) <= 120
    ended = replace(summary_of(), cancelled=True)
    card = filled_card(ended, description(choices={"data": "b", "more": True}), Small())
    assert "Of b, 0and more." in card and "- After 1 minutes. Asked." in card


def test_metadata_name_what_is_installed() -> None:
    summary = summary_of(packages=("scipy", "no-such-package"))
    found = bundle_metadata(summary, description(), {"name": "UNet"}, None)
    assert found["name"] == "mine" and list(found["required_packages_version"]) == ["scipy"]
    assert found["monai_version"] == software_versions()["monai"] != "unknown"
    assert (found["task"], found["family"], found["training"]["seed"]) == ("t", "synthesis", 3)
    assert found["data_source"] == found["training"]["data"] == "phantoms"


def test_lists_in_a_card_are_indented() -> None:
    lines = paragraph("- " + "word " * 60).splitlines()
    assert len(lines) > 2 and lines[0].startswith("- word") and all(line.startswith("  word") for line in lines[1:])
    assert not paragraph("word " * 60).splitlines()[1].startswith(" ")


def test_the_curve_is_a_picture() -> None:
    for start in ("", "before"):
        assert validation_curve(ROWS, {"dice": "Dice", "absent": "x"}, start=start).startswith(b"\x89PNG")


class Sometimes(TrainingLoop):
    """Fits a line; the loss of one step is not a number."""

    def _batch(self, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        self.number = getattr(self, "number", 0) + 1
        return {"x": torch.from_numpy(rng.normal(size=(8, 1)).astype(np.float32))}

    def _loss(self, network: torch.nn.Module, given: dict[str, torch.Tensor]) -> torch.Tensor:
        loss = (network(given["x"]) - 3 * given["x"]).square().mean()
        return loss * float("nan") if self.number == 5 else loss

    def _measure(self) -> dict[str, float]:
        return {"validation_loss": float((self.network.weight - 3).abs())}


def test_a_step_that_is_no_number_does_not_end_a_training() -> None:
    torch.manual_seed(0)
    network = torch.nn.Linear(1, 1)
    loop = Sometimes(network, LoopOptions(learning_rate=0.1, validations=2, bfloat16=False, steps=60))
    log = loop.run()
    assert loop.number == 60
    assert log.rows[-1]["validation_loss"] < 0.3 * log.rows[0]["validation_loss"]
    assert all(row["training_loss"] == row["training_loss"] for row in log.rows[1:])
