"""What the recipes and cards of all families share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from SparseToPreciseLib.core.errors import InputError
from SparseToPreciseLib.core.progress import Progress
from SparseToPreciseLib.core.training.card import (
    before_and_after,
    best_row,
    common_metadata,
    how_it_ended,
    paragraph,
    software_versions,
    training_facts,
    validation_curve,
)
from SparseToPreciseLib.core.training.configs import packaged_config
from SparseToPreciseLib.core.training.loop import TrainingLoop
from SparseToPreciseLib.core.training.recipe import changes_of, check_numbers, ready_recipe, steps_of, training_run

ROWS = [
    {"minutes": 0.0, "steps": 0, "training_loss": float("nan"), "validation_loss": 0.9, "dice": 0.1},
    {"minutes": 0.5, "steps": 7, "training_loss": 0.5, "validation_loss": 0.2, "dice": 0.8},
    {"minutes": 1.0, "steps": 9, "training_loss": 0.4, "validation_loss": 0.3, "dice": 0.7},
]


@dataclass
class Small:
    minutes: float | None = 1.0
    epochs: float | None = None
    steps: int | None = None
    learning_rate: float = 0.1
    batch_size: int = 4
    margin: float = 1.0
    seed: int = 3


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"minutes": -1}, "Minutes must be a positive number, not -1."),
        ({"minutes": float("inf")}, "Minutes must be a positive number, not inf."),
        ({"batch_size": 1.5}, "Batch size must be a positive whole number, not 1.5."),
        ({"steps": 0}, "Steps must be a positive whole number, not 0."),
        ({"margin": "2"}, "Margin must be a positive number, not 2."),
        ({"minutes": None}, "Nothing says when the training ends; give minutes, epochs or steps."),
    ],
)
def test_numbers_out_of_range_are_named(change: dict, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        check_numbers(Small(**change), ("steps", "batch_size"), ("margin",))
    assert str(caught.value) == sentence


def test_numbers_in_range_pass() -> None:
    check_numbers(Small(), ("steps", "batch_size"), ("margin",))
    check_numbers(Small(minutes=None, epochs=0.5), ("steps", "batch_size"))


@pytest.mark.parametrize(
    ("epochs", "steps", "processes", "wanted"),
    [(None, None, 1, None), (None, 5, 1, 5), (2, None, 1, 5), (2, None, 2, 3), (2, 4, 1, 4), (0.01, None, 1, 1)],
)
def test_epochs_are_steps_over_all_processes(epochs, steps, processes: int, wanted) -> None:
    assert steps_of(Small(epochs=epochs, steps=steps), 10, processes) == wanted


def test_an_end_that_is_given_replaces_the_recipes_own() -> None:
    assert changes_of({"seed": None, "phantoms": 2}, {"minutes": None, "steps": None}, None) == {"phantoms": 2}
    given = changes_of({"seed": 1}, {"minutes": None, "steps": 4}, {"seed": 2})
    assert given == {"seed": 2, "minutes": None, "steps": 4}


def test_a_recipe_is_ready_where_nothing_is_in_its_way(tmp_path: Path) -> None:
    config = packaged_config("synthesis", "train.json")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    none = {"minutes": None, "epochs": None, "steps": None}

    def ready(output: str = "new", device: str = "cpu", ends=none, **given):
        overrides = {"sampling::patch": 48}
        return ready_recipe(config, tmp_path / output, "synthesis", device, given=given, ends=ends, overrides=overrides)

    recipe = ready(phantoms=3, seed=None, ends=none | {"steps": 2})
    assert (recipe.phantoms, recipe.seed, recipe.sampling.patch) == (3, config["seed"], 48)
    assert (recipe.minutes, recipe.epochs, recipe.steps) == (None, None, 2)
    assert ready().minutes == config["minutes"] > 0
    for words, wrong in (
        ("no colour", {"colour": 3}),
        ("Phantoms must be", {"phantoms": 0}),
        ("is no model bundle", {"output": "mine"}),
        ("no device 'tpu'", {"device": "tpu"}),
    ):
        with pytest.raises(InputError, match=words):
            ready(**wrong)
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
    assert best_row(ROWS)["steps"] == 7
    table = before_and_after(ROWS, {"dice": ("Dice", ".2f"), "absent": ("Nothing", ".1f")}, "untrained")
    assert table.splitlines() == [
        "| | Dice |",
        "|---|---:|",
        "| untrained | 0.10 |",
        "| these weights (step 7) | 0.80 |",
    ]


def test_facts_and_sentences_of_a_training() -> None:
    facts = training_facts(ROWS, "cpu", 2, 90.0, ("scipy",))
    assert facts["best"] == ROWS[1] and facts["steps"] == 9 and facts["clock"].startswith("computing time")
    assert "scipy" in facts["software"]
    # What is no number is no JSON either.
    assert "training_loss" not in training_facts(ROWS[:1], "cuda:0", 1, 1.0, ())["best"]
    text = how_it_ended(Small(steps=9), facts)
    said = " ".join(text.split())
    assert "Ended after 1 minutes or 9 steps: 9 steps in 1.0 minutes" in said
    assert "2 process(es); 1.5 minutes of wall time" in said and "Seed 3." in said
    assert max(map(len, text.splitlines())) <= 120


def test_metadata_name_what_is_installed() -> None:
    found = common_metadata("mine", ("scipy", "no-such-package"), "phantoms")
    assert found["name"] == "mine" and list(found["required_packages_version"]) == ["scipy"]
    assert found["monai_version"] == software_versions()["monai"] != "unknown"


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
    loop = Sometimes(network, None, learning_rate=0.1, validations=2, bfloat16=False, steps=60)
    log = loop.run()
    assert loop.number == 60
    assert log.rows[-1]["validation_loss"] < 0.3 * log.rows[0]["validation_loss"]
    assert all(row["training_loss"] == row["training_loss"] for row in log.rows[1:])
