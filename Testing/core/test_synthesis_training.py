"""Training of synthesis models: cases, patches, the recipe, bad input, Cancel."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage
from synthesis_cases import FREQUENCY, PLAIN, TINY_SYNTHESIS

from SparseToPreciseLib.core.errors import Cancelled, InputError
from SparseToPreciseLib.core.networks import build_network
from SparseToPreciseLib.core.progress import Progress
from SparseToPreciseLib.core.training.loop import LoopOptions
from SparseToPreciseLib.core.training.recipe import packaged_config, recipe_from
from SparseToPreciseLib.core.volume import Volume
from SparseToPreciseLib.phantoms.head import head_case
from SparseToPreciseLib.synthesis.adversarial import Adversarial
from SparseToPreciseLib.synthesis.cases import Sampling, TrainingCase, cut_out, patch_of, prepared
from SparseToPreciseLib.synthesis.hu import HuWindow
from SparseToPreciseLib.synthesis.inputs import BACKGROUND, BODY_PARAMETERS, HIGHEST
from SparseToPreciseLib.synthesis.model import FAMILY
from SparseToPreciseLib.synthesis.recipe import train_synthesis
from SparseToPreciseLib.synthesis.trainer import OBJECTIVES, SynthesisTrainer, ct_of

WINDOW = HuWindow()


@cache
def pair(number: int = 0) -> tuple[Volume, Volume]:
    case = head_case(number, "test", spacing_mm=6.0, kind="head", whole=True, misregistration_mm=0.0)
    return case.mr, case.ct


@pytest.fixture(scope="module")
def case() -> TrainingCase:
    return prepared(*pair(), 6.0, WINDOW, 15.0)


def test_a_case_is_in_units_of_body_and_window(case: TrainingCase) -> None:
    assert case.mr.shape == case.ct.shape == case.high.shape == case.mask.shape
    assert (case.mr[~case.mask] == BACKGROUND).all()
    assert case.mr.min() >= BACKGROUND - 1 and case.mr.max() <= HIGHEST
    assert case.ct.min() >= 0 and case.ct.max() <= 1
    assert (case.ct[~case.mask] == 0).all()
    hu = WINDOW.to_hu(case.ct[case.mask].astype(np.float32))
    # Soft tissue is most of a head, and bone is there.
    assert -100 < np.median(hu) < 100 and hu.max() > 600
    assert abs(float(case.high[case.mask].astype(np.float32).mean())) < 0.1
    assert case.coarsest_mm == pytest.approx(6.0)


def test_a_table_outside_the_body_does_not_reach_into_the_bands() -> None:
    mr, ct = pair()
    plain = prepared(mr, ct, 6.0, WINDOW, 15.0)
    hu = ct.array.copy()
    far = ~ndimage.binary_dilation(hu > -900, iterations=3)
    far[:, 1:] = False
    assert far.sum() > 100
    hu[far] = 900.0
    table = prepared(mr, ct.with_array(hu), 6.0, WINDOW, 15.0)
    assert np.abs(table.high.astype(np.float32) - plain.high.astype(np.float32))[plain.mask].max() < 0.02


def test_a_ct_that_ends_early_is_learnt_from_where_it_is() -> None:
    mr, ct = pair()
    half = ct.cropped((slice(ct.shape[0] // 2, None), slice(None), slice(None)))
    case = prepared(mr, half, 6.0, WINDOW, 15.0)
    whole = prepared(mr, ct, 6.0, WINDOW, 15.0)
    assert 0.2 < case.mask.sum() / whole.mask.sum() < 0.8
    # The MR is all there, in the same units.
    assert np.array_equal(case.mr, whole.mr)


def test_voxels_without_a_value_are_left_out_and_take_nothing_with_them() -> None:
    # As `register_pair` marks what the CT does not show.
    mr, ct = pair()
    hu = ct.array.astype(np.float32)
    hu[:10] = np.nan
    case = prepared(mr, ct.with_array(hu), 5.0, WINDOW, 15.0)
    whole = prepared(mr, ct, 5.0, WINDOW, 15.0)
    lost = whole.mask & ~case.mask
    assert np.isfinite(case.ct).all() and np.isfinite(case.high).all()
    assert 0 < lost.sum() < 0.5 * whole.mask.sum()
    # The bottom of the head; a few planes above it the CT is as it was.
    top = np.flatnonzero(lost.any(axis=(1, 2))).max()
    assert top <= np.flatnonzero(whole.mask.any(axis=(1, 2)))[0] + 13
    above = case.mask.copy()
    above[: top + 4] = False
    assert np.abs(case.ct[above].astype(np.float32) - whole.ct[above].astype(np.float32)).max() < 0.01


def test_the_bands_are_of_the_volume_and_not_of_the_patch(case: TrainingCase) -> None:
    whole = [size // 2 for size in case.mask.shape]
    one = cut_out(case, whole, 32)
    other = cut_out(case, [at + 3 for at in whole], 32)
    # The same voxel has the same target wherever the patch lies.
    room = np.maximum(np.array(case.mask.shape) - 32, 0)
    starts = [np.clip(np.array(whole) + shift - 16, 0, room) for shift in (0, 3)]
    shift = np.array(starts[1]) - starts[0]
    here = tuple(slice(10 + step, 20 + step) for step in shift)
    assert np.array_equal(one["high"][here], other["high"][10:20, 10:20, 10:20])


def test_patches_keep_ct_and_mr_together(case: TrainingCase) -> None:
    marked = TrainingCase(case.ct, case.ct, case.high, case.mask, 6.0)
    rng = np.random.default_rng(0)
    for _ in range(20):
        patch = patch_of(marked, Sampling(32, "RAS", gamma=0.0, cut_share=0.0), rng)
        assert patch["mr"].shape == (32, 32, 32) and patch["mr"].dtype == np.float32
        assert patch["mask"].any()
        inside = patch["mask"] > 0
        assert np.allclose(patch["mr"][inside], patch["ct"][inside], atol=1e-3)


def test_small_cases_are_padded_with_air(case: TrainingCase) -> None:
    patch = cut_out(case, [0, 0, 0], 128)
    size = case.mask.shape
    for name, fill in (("mr", BACKGROUND), ("ct", 0), ("mask", 0)):
        assert (patch[name][size[0] :] == fill).all() and (patch[name][:, :, size[2] :] == fill).all()
    assert patch["mask"].sum() == case.mask.sum()


def test_a_cut_takes_a_slab_of_the_mr_out_of_the_loss(case: TrainingCase) -> None:
    rng = np.random.default_rng(0)
    cut = [patch_of(case, Sampling(32, "", 0.0, 0.99), rng) for _ in range(20)]
    for patch in cut:
        gone = patch["mr"] == BACKGROUND
        slabs = [gone.all(axis=tuple(o for o in range(3) if o != axis)) for axis in range(3)]
        assert any(slab[0] or slab[-1] for slab in slabs)
        assert not (patch["mask"][gone & (patch["mask"] > 0)] > 0).sum() > 0.2 * patch["mask"].sum()


@pytest.mark.parametrize(("objective", "network"), [("frequency", FREQUENCY), ("l1", PLAIN)])
def test_every_objective_learns(case: TrainingCase, objective: str, network: dict) -> None:
    torch.manual_seed(0)
    net = build_network({"name": "BackboneWithHead", "arguments": network})
    trainer = trainer_of(net, case, objective, Adversarial(weight=0.0), steps=20)
    log = trainer.run()
    assert log.rows[-1]["mae_hu"] < 0.9 * log.rows[0]["mae_hu"]
    assert ("high_mae_hu" in log.rows[0]) == (objective == "frequency")


def test_the_discriminator_waits_for_the_warm_up(case: TrainingCase) -> None:
    torch.manual_seed(0)
    net = build_network({"name": "BackboneWithHead", "arguments": FREQUENCY})
    trainer = trainer_of(net, case, "frequency", Adversarial(0.001, 0.5, 4, 1), steps=4)
    asked = []
    prepare = trainer._prepare

    def watched() -> None:
        prepare()
        step = trainer.adversary.step
        trainer.adversary.step = lambda *given: asked.append(trainer.share_done) or step(*given)

    trainer._prepare = watched
    trainer.run()
    assert asked == [0.5, 0.75]


def test_the_adversarial_loss_sees_the_high_band_alone(case: TrainingCase) -> None:
    torch.manual_seed(0)
    net = build_network({"name": "BackboneWithHead", "arguments": FREQUENCY})
    trainer = trainer_of(net, case, "frequency", Adversarial(1.0, 0.0, 4, 1), steps=1)
    trainer._prepare()
    seen = []
    trainer.adversary.step = lambda mr, made, real, mask: seen.append((made, real))
    given = trainer._batch(np.random.default_rng(0))
    trainer._loss(trainer.network.train(), given)
    made, real = seen[0]
    assert torch.equal(real, given["high"]) and made.shape[1] == 1


def trainer_of(net: torch.nn.Module, case: TrainingCase, objective: str, adversarial: Adversarial, steps: int):
    return SynthesisTrainer(
        net,
        [case],
        [case],
        Sampling(32),
        objective,
        adversarial,
        WINDOW,
        LoopOptions(steps=steps, learning_rate=0.01, batch_size=1, validations=1, bfloat16=False),
    )


def test_the_ct_is_the_sum_of_the_bands() -> None:
    said = torch.randn(2, 3, 2, 2, 2)
    assert torch.equal(ct_of(said), said[:, :1] + said[:, 1:2])
    assert torch.equal(ct_of(said[:, :1]), said[:, :1])
    assert {"l1", "frequency"} <= set(OBJECTIVES)  # benchmarks add rivals of their own


def test_a_bundle_from_phantoms_says_what_it_is(tmp_path: Path) -> None:
    bundle = train_synthesis(tmp_path / "mine", phantoms=2, steps=2, device="cpu", overrides=TINY_SYNTHESIS)
    assert bundle.family == FAMILY
    bundle.verify()
    parameters = bundle.parameters
    assert parameters["outputs"] == ["low", "high", "high_probability"]
    assert parameters["body"] == BODY_PARAMETERS and parameters["modality"] == "MR"
    assert parameters["spacing_mm"] == 6.0 and parameters["hu_window"] == [-1024, 3000] and parameters["tile"] == 32
    assert parameters["seen"]["spacing_mm"] == [6.0, 6.0]
    assert "anatomy plausible, HU not validated" in bundle.card
    assert "anatomy plausible, HU not validated" in bundle.metadata["description"]
    assert bundle.metadata["training"]["pairs"] == 2 and bundle.metadata["training"]["data"] == "phantoms"
    assert all(len(line) <= 120 for line in bundle.card.splitlines() if not line.startswith("|"))
    recipe = recipe_from(json.loads((bundle.path / "configs" / "train.json").read_text()))
    assert recipe.config() == json.loads((bundle.path / "configs" / "train.json").read_text())
    # The same recipe gives the same weights.
    again = train_synthesis(tmp_path / "again", phantoms=2, steps=2, device="cpu", overrides=TINY_SYNTHESIS)
    assert again.sha256 == bundle.sha256


def test_own_pairs_are_trained_on(tmp_path: Path) -> None:
    plain = {**TINY_SYNTHESIS, "network": {"name": "BackboneWithHead", "arguments": PLAIN}, "objective": "l1"}
    bundle = train_synthesis(tmp_path / "own", pairs=[pair()], steps=2, device="cpu", overrides=plain)
    assert bundle.metadata["training"]["data"] == "user pairs (1)"
    assert bundle.metadata["training"]["held_back"] is False
    assert "**same pairs**" in bundle.card and "HU not validated" not in bundle.card
    assert bundle.parameters["outputs"] == ["ct"]
    given = train_synthesis(
        tmp_path / "held", pairs=[pair()], validation_pairs=[pair(1)], steps=1, device="cpu", overrides=plain
    )
    assert given.metadata["training"]["held_back"] is True


def swapped() -> tuple[Volume, Volume]:
    mr, ct = pair()
    return ct, mr


def elsewhere() -> tuple[Volume, Volume]:
    mr, ct = pair()
    matrix = ct.ijk_to_ras.copy()
    matrix[:3, 3] += 1000
    return mr, Volume(ct.array, matrix, ct.name)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"steps": 0}, "Steps must be a positive whole number, not 0"),
        ({"overrides": {**TINY_SYNTHESIS, "sampling::patch": 40}}, "multiple of 16 voxels, not 40"),
        ({"overrides": {**TINY_SYNTHESIS, "sampling::flips": "X"}}, "mirrored along R, A and S, not 'X'"),
        ({"overrides": {**TINY_SYNTHESIS, "tile": 50}}, "multiple of 16 voxels, not 50"),
        ({"overrides": {**TINY_SYNTHESIS, "spacing_mm": 20}}, "0.5 to 6 mm, not 20 mm"),
        ({"overrides": {**TINY_SYNTHESIS, "hu_window": [100, 0]}}, "must rise"),
        ({"overrides": {**TINY_SYNTHESIS, "sigma_mm": -1}}, "Sigma mm must be a positive number"),
        ({"overrides": {**TINY_SYNTHESIS, "sigma_mm": 1e9}}, "Sigma must be at most 100 mm, not 1e+09 mm"),
        ({"overrides": {**TINY_SYNTHESIS, "adversarial::weight": -1}}, "weight must be 0 or a positive number, not -1"),
        ({"overrides": {**TINY_SYNTHESIS, "adversarial::weight": float("nan")}}, "0 or a positive number, not nan"),
        ({"overrides": {**TINY_SYNTHESIS, "adversarial::warm_up": 2}}, "must be a share between 0 and 1, not 2"),
        ({"overrides": {**TINY_SYNTHESIS, "objective": "l2"}}, "no objective 'l2'"),
        (
            {"overrides": {**TINY_SYNTHESIS, "network": {"name": "BackboneWithHead", "arguments": PLAIN}}},
            "the objective frequency needs",
        ),
        ({"overrides": {**TINY_SYNTHESIS, "bogus": 1}}, "The recipe has no bogus"),
        ({"pairs": []}, "0 pairs to train on"),
        ({"validation_pairs": [1]}, "none to train on; give both"),
        ({"pairs": "swapped"}, 'has no Hounsfield units; give the MR as "image"'),
        ({"pairs": "elsewhere"}, "shows next to nothing of the body"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(tmp_path: Path, wrong: dict, sentence: str) -> None:
    options = {"phantoms": 1, "steps": 1, "device": "cpu", "overrides": TINY_SYNTHESIS, **wrong}
    if isinstance(options.get("pairs"), str):
        options["pairs"] = [{"swapped": swapped, "elsewhere": elsewhere}[options["pairs"]]()]
    with pytest.raises(InputError) as caught:
        train_synthesis(tmp_path / "bad", **options)
    assert sentence in str(caught.value) and "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_something_else_in_the_place_of_the_bundle_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="left alone"):
        train_synthesis(tmp_path, phantoms=1, steps=1, device="cpu", overrides=TINY_SYNTHESIS)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("stage", ["preparing", "step"])
def test_cancel_leaves_nothing(tmp_path: Path, stage: str) -> None:
    said: list[str] = []
    progress = Progress(lambda fraction, message: said.append(message), lambda: any(stage in one for one in said))
    with pytest.raises(Cancelled):
        train_synthesis(tmp_path / "x", phantoms=2, steps=50, device="cpu", progress=progress, overrides=TINY_SYNTHESIS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["train.json", "inference.json", "multi_gpu_train.json"])
def test_committed_configs_keep_the_form_in_which_bundles_are_written(name: str) -> None:
    config = packaged_config(FAMILY, name)
    there = Path(__file__).resolve().parents[2] / "SparseToPrecise" / "Resources" / "Models" / FAMILY / "configs" / name
    assert there.read_text(encoding="utf-8") == json.dumps(config, indent=2, ensure_ascii=False) + "\n"
