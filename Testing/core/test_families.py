"""The table of families tells the truth, and importing it imports nothing of them."""

from __future__ import annotations

import subprocess
import sys

import pytest

import house
from SparseToPreciseLib.core.training.recipe import TrainingRecipe
from SparseToPreciseLib.families import FAMILIES, family_of_recipe, resolved


@pytest.mark.parametrize("name", FAMILIES)
def test_a_row_leads_to_what_is_there(name: str) -> None:
    row = FAMILIES[name]
    assert issubclass(row.recipe_class(), TrainingRecipe) and row.recipe_class().family == name
    assert callable(resolved(row.loader)) and callable(resolved(row.verb))
    assert row.slicer_module in {folder.name for folder in house.module_folders()}
    resources = house.ROOT / "SparseToPrecise" / "Resources"
    assert (resources / "Cards" / f"{name}.md").is_file()
    assert (resources / "Models" / (row.default_model or name) / "configs" / "train.json").is_file()


@pytest.mark.parametrize("package", (*house.FAMILIES, *house.WITHOUT_MODEL))
def test_a_family_has_its_picture_its_benchmark_and_its_page(package: str) -> None:
    places = (f"SparseToPrecise/{house.LIBRARY}/pictures/{package}.py", f"benchmarks/{package}/__main__.py")
    for place in (*places, f"docs/{package}.md"):
        assert (house.ROOT / place).is_file(), f"{package} has no {place}"


def test_each_family_adds_its_training_to_the_command_line() -> None:
    from typer.main import get_command

    from SparseToPreciseLib.cli.main import app

    assert set(get_command(app).commands["train"].commands) == set(FAMILIES)


@pytest.mark.parametrize("target", ["their.Recipe", "SparseToPreciseLib.editing.recipe.Nothing", 3, None])
def test_what_is_none_of_our_recipes_is_of_no_family(target: object) -> None:
    assert family_of_recipe(target) is None


def test_nothing_of_a_family_is_imported_with_the_table() -> None:
    code = "import sys, SparseToPreciseLib.families; print(*(one for one in sys.modules if one.startswith('SparseTo')))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=house.ROOT / "SparseToPrecise", capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) == {"SparseToPreciseLib", "SparseToPreciseLib.families", "SparseToPreciseLib.moved"}
