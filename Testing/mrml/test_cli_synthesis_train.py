"""`train synthesis` from phantoms and from files, tiny; refusals; MONAI's launcher with the bundle."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cli_files import CommandLine
from SparseToPreciseLib.core.bundles import open_bundle
from SparseToPreciseLib.core.images import read_image, write_image
from SparseToPreciseLib.core.training import recipe
from SparseToPreciseLib.core.volume import Volume
from SparseToPreciseLib.phantoms.head import head_case
from SparseToPreciseLib.synthesis.pair_quality import PairQuality

pytest.importorskip("slicer")
OPTIONS = ("--epochs", "1", "--device", "cpu")


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch):
    """The shipped recipe with a small network and few cases; nothing else of it is changed."""
    real = recipe.packaged_config

    def small(family: str, name: str) -> dict:
        config = real(family, name)
        if name == "train.json":
            config["network"]["arguments"]["backbone"] = {
                "name": "BasicUNet",
                "arguments": {"features": [4, 4, 4, 4, 4, 4]},
            }
            config["network"]["arguments"]["head"]["arguments"] = {"kernel": 3}
            config |= {"spacing_mm": 6.0, "tile": 32, "validations": 2, "validation_phantoms": 1, "batch_size": 1}
            config["sampling"]["patch"] = 32
        return config

    monkeypatch.setattr(recipe, "packaged_config", small)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    for number in (0, 1):
        case = head_case(number, "test", spacing_mm=4.0, kind="head", contrast="T1", misregistration_mm=0.0)
        write_image(case.mr, folder / f"mr{number}.nii.gz")
        write_image(case.ct.with_array(case.ct.array.astype(np.int16)), folder / f"ct{number}.nii.gz")
    moved = read_image(folder / "ct0.nii.gz")
    matrix = moved.ijk_to_ras.copy()
    matrix[:3, 3] += (7.0, -6.0, 5.0)
    write_image(Volume(moved.array, matrix), folder / "moved.nii.gz")
    return folder


@pytest.fixture
def cli(capfd, tmp_path: Path) -> CommandLine:
    return CommandLine(capfd, tmp_path)


def datalist(folder: Path, pairs: Path, *training: tuple[str, str], validation: tuple = ()) -> Path:
    def entries(found) -> list[dict[str, str]]:
        return [{"image": str(pairs / mr), "label": str(pairs / ct)} for mr, ct in found]

    path = folder / "pairs.json"
    path.write_text(json.dumps({"training": entries(training), "validation": entries(validation)}))
    return path


def test_phantoms_with_progress_for_the_desktop(cli, tiny, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    answer = cli.succeeds("train", "synthesis", "--phantoms", 2, "-o", out, *OPTIONS, "--progress", "json")
    lines = [json.loads(line) for line in answer.out.splitlines()]
    fractions = [line["fraction"] for line in lines]
    assert fractions == sorted(fractions) and fractions[-1] == 1
    validations = [line["validation"] for line in lines if "validation" in line]
    assert len(validations) >= 2 and validations[0]["training_loss"] is None and validations[0]["mae_hu"] > 0
    bundle = open_bundle(out, "synthesis")
    bundle.verify()
    assert lines[-1]["result"]["sha256"] == bundle.sha256
    assert bundle.metadata["training"]["pairs"] == 2


def test_own_pairs_and_options_of_the_method(cli, tiny, tmp_path: Path, pairs: Path) -> None:
    given = datalist(tmp_path, pairs, ("mr0.nii.gz", "ct0.nii.gz"), validation=(("mr1.nii.gz", "ct1.nii.gz"),))
    out = tmp_path / "own"
    more = ("--sigma", 5, "--adversarial", 0.001, "--spacing", 5)
    answer = cli.succeeds("train", "synthesis", "--dataset", given, "-o", out, *OPTIONS, *more)
    assert "user pairs (1)" in answer.out and "Best mean absolute error" in answer.out
    bundle = open_bundle(out, "synthesis")
    assert bundle.parameters["sigma_mm"] == 5 and bundle.parameters["spacing_mm"] == 5
    assert bundle.metadata["training"]["adversarial_weight"] == 0.001
    assert bundle.metadata["training"]["held_back"] is True
    assert "relativistic average patch GAN on the high band" in " ".join(bundle.card.split())


def test_registration_is_done_and_told(cli, tiny, tmp_path: Path, pairs: Path) -> None:
    given = datalist(tmp_path, pairs, ("mr0.nii.gz", "moved.nii.gz"))
    answer = cli.succeeds(
        "train", "synthesis", "--dataset", given, "--register", "-o", tmp_path / "own", *OPTIONS, "--progress", "json"
    )
    (found,) = json.loads(answer.out.splitlines()[-1])["result"]["registration"]
    assert found["used"] and found["sentence"] and found["mr"].endswith("mr0.nii.gz")
    assert 6 < found["moved_mm"] < 15


def test_pairs_of_which_none_fits_are_refused(cli, tiny, tmp_path: Path, pairs: Path, monkeypatch) -> None:
    bad = PairQuality(False, "The registration may be wrong: X. Look at it.", 0, 0, 0, 0, 0, 0, 0, 0, 1, np.eye(4))
    monkeypatch.setattr("SparseToPreciseLib.synthesis.pairs.register_pair", lambda mr, ct, **options: (ct, bad))
    given = datalist(tmp_path, pairs, ("mr0.nii.gz", "ct0.nii.gz"))
    told = cli.refuses("train", "synthesis", "--dataset", given, "--register", "-o", tmp_path / "own", *OPTIONS)
    assert told.endswith("No pair could be registered: the registration may be wrong: X. Look at it.")


def test_monais_launcher_makes_a_ct_with_a_bundle(cli, tiny, tmp_path: Path, pairs: Path) -> None:
    from monai.bundle import ConfigParser, verify_net_in_out

    out = tmp_path / "mine"
    cli.succeeds("train", "synthesis", "--phantoms", 1, "-o", out, *OPTIONS)
    parser = ConfigParser()
    parser.read_config(str(out / "configs" / "inference.json"))
    parser["bundle_root"] = str(out)
    parser["mr"] = str(pairs / "mr0.nii.gz")
    parser["output"] = str(tmp_path / "ct.nii.gz")
    parser["device"] = "cpu"
    (outcome,) = parser.get_parsed_content("inferring")
    assert [case.error for case in outcome.cases] == [""]
    assert read_image(tmp_path / "ct.nii.gz").grid.same_as(read_image(pairs / "mr0.nii.gz").grid)
    # Feeds zeros of the size and channels of the metadata, and compares what comes out with them.
    verify_net_in_out(
        net_id="network_def",
        meta_file=str(out / "configs" / "metadata.json"),
        config_file=str(out / "configs" / "inference.json"),
        n=1,
        device="cpu",
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--dataset", "pairs.json", "--phantoms", 2), "exclude each other"),
        (("--register",), "--register brings together the pairs of --dataset"),
        (("--dataset", "absent.json"), "cannot be read"),
        (("--phantoms", 0), "Phantoms must be a positive whole number, not 0"),
        (("--phantoms", 1, "--sigma", 0), "Sigma mm must be a positive number, not 0"),
        (("--phantoms", 1, "--sigma", 1e9), "Sigma must be at most 100 mm, not 1e+09 mm"),
        (("--phantoms", 1, "--adversarial", -1), "The adversarial weight must be 0 or a positive number, not -1"),
        (("--phantoms", 1, "--adversarial", "nan"), "The adversarial weight must be 0 or a positive number, not nan"),
        (("--phantoms", 1, "--resume"), "There is no checkpoint"),
        (("--phantoms", 1, "--device", "cuda:9"), "cuda:9"),
    ],
)
def test_refusals_are_one_sentence_and_write_nothing(cli, tiny, tmp_path: Path, options, sentence: str) -> None:
    given = [tmp_path / one if str(one).endswith(".json") else one for one in options]
    assert sentence in cli.refuses("train", "synthesis", "-o", tmp_path / "bad", *given)


def test_swapped_files_are_noticed(cli, tiny, tmp_path: Path, pairs: Path) -> None:
    given = datalist(tmp_path, pairs, ("ct0.nii.gz", "mr0.nii.gz"))
    told = cli.refuses("train", "synthesis", "--dataset", given, "-o", tmp_path / "bad", *OPTIONS)
    assert 'give the MR as "image" and the CT as "label"' in told


def test_one_bad_pair_is_left_out_and_named(cli, tiny, tmp_path: Path, pairs: Path) -> None:
    # SynthRAD's layout: what belongs to a patient lies in one folder, and all patients' files are named alike.
    body = read_image(pairs / "ct1.nii.gz")
    for number in (0, 1):
        (tmp_path / f"p{number}").mkdir()
        for name in ("mr", "ct"):
            write_image(read_image(pairs / f"{name}{number}.nii.gz"), tmp_path / f"p{number}" / f"{name}.nii.gz")
    write_image(body.with_array((body.array > -400).astype(np.uint8)), tmp_path / "p1" / "mask.nii.gz")
    good, bad = (("p0/mr.nii.gz", "p0/ct.nii.gz"), ("p1/mr.nii.gz", "p1/mask.nii.gz"))
    given = datalist(tmp_path, tmp_path, bad, good)
    answer = cli.succeeds("train", "synthesis", "--dataset", given, "-o", tmp_path / "own", *OPTIONS)
    told = " ".join(answer.out.split())
    assert "were left out: p1/mask.nii.gz has only the values 0 and 1, so it is a mask and no CT" in told
    assert open_bundle(tmp_path / "own", "synthesis").metadata["training"]["pairs"] == 1
    given = datalist(tmp_path, tmp_path, bad, bad)
    told = cli.refuses("train", "synthesis", "--dataset", given, "-o", tmp_path / "none", *OPTIONS)
    assert "p1/mask.nii.gz has only the values 0 and 1" in told and "(2 pairs, none of which can be used)" in told
    assert not (tmp_path / "none").exists()
