"""The default synthesis model: small, said to be of phantoms, of the committed recipe, and better than no model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from SparseToPreciseLib.core.bundles import CARD, WEIGHTS, open_bundle
from SparseToPreciseLib.core.images import read_image
from SparseToPreciseLib.core.training.recipe import packaged_config, recipe_from
from SparseToPreciseLib.phantoms.head import head_case
from SparseToPreciseLib.synthesis.metrics import evaluate
from SparseToPreciseLib.synthesis.model import FAMILY, load_model
from SparseToPreciseLib.synthesis.synthesize import synthesize

FOLDER = Path(__file__).resolve().parents[2] / "SparseToPrecise" / "Resources" / "Models" / FAMILY
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
SAYS = "Phantoms only: anatomy plausible, HU not validated"


@pytest.fixture(scope="module")
def model():
    return load_model(FOLDER, "cpu")


def test_it_is_small_and_says_that_it_knows_phantoms_alone() -> None:
    bundle = open_bundle(FOLDER, FAMILY)
    bundle.verify()
    assert (FOLDER / WEIGHTS).stat().st_size < 12e6
    assert SAYS in " ".join((FOLDER / CARD).read_text(encoding="utf-8").split())
    assert SAYS.lower() in bundle.metadata["description"].lower()


def test_it_was_trained_by_the_committed_recipe() -> None:
    bundle = open_bundle(FOLDER, FAMILY)
    recipe = recipe_from(packaged_config(FAMILY, "train.json"))
    training, parameters = bundle.metadata["training"], bundle.parameters
    assert training["data"] == "phantoms" and training["processes"] == 1
    assert (training["pairs"], training["validation_pairs"]) == (recipe.phantoms, recipe.validation_phantoms)
    assert training["seed"] == recipe.seed and training["objective"] == recipe.objective
    assert training["minutes"] == pytest.approx(recipe.minutes, abs=0.2)
    assert json.loads(json.dumps(recipe.network)) == bundle.metadata["network"]
    assert parameters["spacing_mm"] == recipe.spacing_mm and parameters["tile"] == recipe.tile


def test_on_a_phantom_it_finds_bone_that_no_rule_tells_from_air(model) -> None:
    case = head_case(3, "test", spacing_mm=3.0, kind="head", contrast="T1", misregistration_mm=0.0, thick_slices=False)
    made = synthesize(case.mr, model).ct
    soft = made.with_array(np.where(case.body.array > 0, 40, -1024).astype(np.int16))
    ours, rule = evaluate(made, case.ct, case.body), evaluate(soft, case.ct, case.body)
    assert ours.mae < 0.75 * rule.mae
    assert ours.bone_dice > 0.5 and rule.bone_dice == 0


@pytest.mark.skipif(not DATA.is_dir(), reason="the real images of ../shared/data are not on this machine")
def test_on_the_real_templates_bone_is_where_the_ct_has_it(model) -> None:
    mr, ct = read_image(DATA / "mni152_t1_head_2mm.nii.gz"), read_image(DATA / "ct_template_head_2mm_hu.nii.gz")
    result = synthesize(mr, model)
    assert evaluate(result.ct, ct, result.body).bone_dice >= 0.6
